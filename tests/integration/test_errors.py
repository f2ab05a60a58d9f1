"""Every refusal of Tesla's has one meaning."""

import aiohttp
import pytest
from tesla_fleet_api import exceptions as library

from custom_components.teslafi.tesla import errors
from custom_components.teslafi.tesla.errors import TeslaError, meaning, translated

MISSING_SCOPES = {"response": None, "error": "Unauthorized missing scopes vehicle_location", "error_description": ""}
EXCEEDED = {"error": "account disabled: EXCEEDED_LIMIT"}
OWNER_CLOSED = {"error": "forbidden, see https://developer.tesla.com/docs/fleet-api"}
FLEET_ONLY = {"error": "Endpoint is only available on fleetapi. Visit https://developer.tesla.com/docs for more info"}
NOT_REGISTERED = {"error": "Account 1 must be registered in the current region"}
OTHER_REGION = {
    "error": "user out of region, use base URL: https://fleet-api.prd.na.vn.cloud.tesla.com, see "
    "https://developer.tesla.com/docs/fleet-api#regional-requirements"
}


@pytest.mark.parametrize(
    ("raised", "ours", "billable"),
    [
        (library.OAuthExpired(), errors.AccessTokenRefused, True),
        (library.LoginRequired({}), errors.SignInRequired, True),
        (library.MobileAccessDisabled({}), errors.MobileAccessDisabled, True),
        (library.PaymentRequired({}), errors.BillingLimitReached, True),
        (library.Forbidden(MISSING_SCOPES), errors.ScopeMissing, True),
        (library.InvalidScope({"error": "invalid_scope"}), errors.ScopeMissing, True),
        (library.Forbidden(EXCEEDED), errors.BillingLimitReached, True),
        (library.Forbidden(OWNER_CLOSED), errors.OwnerApiClosed, True),
        (library.Forbidden({"error": "something new"}), errors.Refused, True),
        (library.Forbidden("plain text"), errors.Refused, True),
        (library.Forbidden(), errors.Refused, True),
        (library.NotFound({}), errors.NotFound, True),
        (library.NotAllowed({}), errors.VehicleInService, True),
        (library.VehicleOffline({}), errors.VehicleAsleep, True),
        (library.PreconditionFailed(FLEET_ONLY), errors.OwnerApiClosed, True),
        (library.PreconditionFailed(NOT_REGISTERED), errors.NotRegistered, True),
        (library.InvalidRegion(OTHER_REGION), errors.WrongRegion, True),
        (library.RateLimited({"after": "12", "reset": "30"}), errors.RateLimited, True),
        (library.ResponseError("<html>", 200), errors.UnexpectedAnswer, True),
        (library.InternalServerError({}), errors.Unreachable, False),
        (library.BadGateway({}), errors.Unreachable, False),
        (library.ServiceUnavailable({}), errors.Unreachable, False),
        (library.GatewayTimeout({}), errors.Unreachable, False),
        (library.DeviceUnexpectedResponse({}), errors.Unreachable, False),
        (library.InvalidCommand({}), errors.Refused, True),
        (library.TeslaFleetError(status=418), errors.Refused, True),
    ],
)
def test_the_table(raised: library.TeslaFleetError, ours: type[TeslaError], *, billable: bool) -> None:
    """The library's exception -> ours, and whether Tesla bills the answer."""
    error = meaning(raised)
    assert type(error) is ours
    assert error.billable is billable
    with pytest.raises(ours), translated():
        raise raised


def test_the_base_class_of_the_library_is_not_lost() -> None:
    """`TeslaFleetError` is no Exception: this is why one place catches it."""
    assert not issubclass(library.TeslaFleetError, Exception)


def test_details_are_kept() -> None:
    """The wait and the address that Tesla names are at hand."""
    limited = meaning(library.RateLimited({"after": "37829", "reset": None}))
    assert isinstance(limited, errors.RateLimited)
    assert limited.retry_after == 37829
    reset_only = meaning(library.RateLimited({"after": None, "reset": "60"}))
    assert isinstance(reset_only, errors.RateLimited)
    assert reset_only.retry_after == 60
    silent = meaning(library.RateLimited({"after": None, "reset": "soon"}))
    assert isinstance(silent, errors.RateLimited)
    assert silent.retry_after is None
    moved = meaning(library.InvalidRegion(OTHER_REGION))
    assert isinstance(moved, errors.WrongRegion)
    assert moved.api == "https://fleet-api.prd.na.vn.cloud.tesla.com"


@pytest.mark.parametrize(
    ("raised", "ours"),
    [
        (aiohttp.ClientConnectionError(), errors.Unreachable),
        (TimeoutError(), errors.Unreachable),
        (ValueError("no JSON"), errors.UnexpectedAnswer),
        (AttributeError("list has no get"), errors.UnexpectedAnswer),
    ],
)
def test_the_network_and_bad_bodies(raised: Exception, ours: type[TeslaError]) -> None:
    """What is not the library's own exception is translated as well."""
    with pytest.raises(ours), translated():
        raise raised


def test_our_own_exceptions_pass() -> None:
    """A grant that died while a request was prepared is not hidden."""
    with pytest.raises(errors.SignInRequired), translated():
        raise errors.SignInRequired(errors.Reason.EXPIRED)


def every_error() -> list[type[TeslaError]]:
    """Return all our exceptions."""
    found = [TeslaError]
    for kind in found:
        found.extend(kind.__subclasses__())
    return found


def test_every_error_has_a_key_of_its_own() -> None:
    """Two errors never share a sentence."""
    keys = [kind.key for kind in every_error()]
    assert len(keys) == len(set(keys))
