"""Every refusal of Tesla's has one meaning."""

import asyncio
from collections.abc import Callable, Mapping
from email.utils import formatdate
import time
from typing import Final

import aiohttp
from cryptography.exceptions import InvalidTag
from google.protobuf.internal.enum_type_wrapper import EnumTypeWrapper
from google.protobuf.message import DecodeError
import pytest
from tesla_fleet_api import exceptions as library
from tesla_protocol.command.errors_pb2 import GenericError_E
from tesla_protocol.command.signatures_pb2 import Session_Info_Status
from tesla_protocol.command.universal_message_pb2 import MessageFault_E
from tesla_protocol.command.vcsec_pb2 import SignedMessage_information_E

from custom_components.teslafi.tesla import errors
from custom_components.teslafi.tesla.errors import TeslaError, meaning, translated
from tests.translations import translations

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
    ("raised", "ours"),
    [
        (library.OAuthExpired(), errors.AccessTokenRefused),
        (library.LoginRequired({}), errors.SignInRequired),
        (library.MobileAccessDisabled({}), errors.MobileAccessDisabled),
        (library.PaymentRequired({}), errors.BillingLimitReached),
        (library.Forbidden(MISSING_SCOPES), errors.ScopeMissing),
        (library.InvalidScope({"error": "invalid_scope"}), errors.ScopeMissing),
        (library.Forbidden(EXCEEDED), errors.BillingLimitReached),
        (library.Forbidden(OWNER_CLOSED), errors.OwnerApiClosed),
        (library.Forbidden({"error": "something new"}), errors.Refused),
        (library.Forbidden("plain text"), errors.Refused),
        (library.Forbidden(), errors.Refused),
        (library.NotFound({}), errors.NotFound),
        (library.NotAllowed({}), errors.VehicleInService),
        (library.VehicleOffline({}), errors.VehicleAsleep),
        (library.PreconditionFailed(FLEET_ONLY), errors.OwnerApiClosed),
        (library.PreconditionFailed(NOT_REGISTERED), errors.NotRegistered),
        (library.InvalidRegion(OTHER_REGION), errors.WrongRegion),
        (library.RateLimited({"after": "12", "reset": "30"}), errors.RateLimited),
        (library.ResponseError("<html>", 200), errors.UnexpectedAnswer),
        (library.InternalServerError({}), errors.Unreachable),
        (library.BadGateway({}), errors.Unreachable),
        (library.ServiceUnavailable({}), errors.Unreachable),
        (library.GatewayTimeout({}), errors.Unreachable),
        (library.DeviceUnexpectedResponse({}), errors.Unreachable),
        (library.InvalidCommand({}), errors.Refused),
        (library.TeslaFleetError(status=418), errors.Refused),
    ],
)
def test_the_table(raised: library.TeslaFleetError, ours: type[TeslaError]) -> None:
    """The library's exception -> ours."""
    assert type(meaning(raised)) is ours
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


STUMBLES: Final = (
    TypeError,
    KeyError,
    IndexError,
    AssertionError,
    RecursionError,
    OverflowError,
    ZeroDivisionError,
    RuntimeError,
    NotImplementedError,
    DecodeError,
    InvalidTag,
    MemoryError,
    StopAsyncIteration,
    library.LibraryError,
)


@pytest.mark.parametrize(
    ("raised", "ours"),
    [
        (aiohttp.ClientConnectionError(), errors.Unreachable),
        (TimeoutError(), errors.Unreachable),
        (ValueError("no JSON"), errors.UnexpectedAnswer),
        (AttributeError("list has no get"), errors.UnexpectedAnswer),
        (OSError("no route"), errors.Unreachable),
        *((kind(), errors.UnexpectedAnswer) for kind in STUMBLES),
    ],
)
def test_the_network_and_bad_bodies(raised: Exception, ours: type[TeslaError]) -> None:
    """What is not the library's own exception is translated as well."""
    with pytest.raises(ours), translated():
        raise raised


@pytest.mark.parametrize("raised", [asyncio.CancelledError, KeyboardInterrupt, SystemExit, GeneratorExit])
def test_what_ends_a_task_or_the_program_passes(raised: type[BaseException]) -> None:
    """These are not about Tesla."""
    with pytest.raises(raised), translated():
        raise raised


def test_our_own_exceptions_pass() -> None:
    """A grant that died while a request was prepared is not hidden."""
    with pytest.raises(errors.SignInRequired), translated():
        raise errors.SignInRequired(errors.Reason.EXPIRED)


def protocol(enum: EnumTypeWrapper) -> list[tuple[str, int]]:
    """Return names and numbers of Tesla's protocol, but for the one that says that all is well."""
    return [(name, value) for name, value in enum.items() if value]


@pytest.mark.parametrize(("name", "value"), protocol(MessageFault_E))
def test_every_fault_of_the_protocol_has_a_row(name: str, value: int) -> None:
    """The installed protocol says which faults there are."""
    assert value in errors.FAULTS, f"errors.FAULTS has no row for {name} ({value})"


@pytest.mark.parametrize(("name", "value"), protocol(SignedMessage_information_E))
def test_every_fault_of_the_security_computer_has_a_row(name: str, value: int) -> None:
    assert value in errors.SECURITY_FAULTS, f"errors.SECURITY_FAULTS has no row for {name} ({value})"


@pytest.mark.parametrize(("name", "value"), protocol(Session_Info_Status))
def test_every_status_of_a_session_has_a_row(name: str, value: int) -> None:
    assert value in errors.SESSION_STATUSES, f"errors.SESSION_STATUSES has no row for {name} ({value})"


@pytest.mark.parametrize("name", GenericError_E.keys())
def test_every_reason_of_the_protocol_has_a_row(name: str) -> None:
    rows = {*errors.REASONS, *errors.EXPLAINED, *errors.NEUTRAL_REASONS}
    assert name in rows, f"errors.py explains {name} nowhere"


def test_no_row_is_for_something_that_the_protocol_does_not_have() -> None:
    assert set(errors.FAULTS) == {value for _, value in protocol(MessageFault_E)}
    assert set(errors.SECURITY_FAULTS) == {value for _, value in protocol(SignedMessage_information_E)}
    assert set(errors.SESSION_STATUSES) == {value for _, value in protocol(Session_Info_Status)}


def every_kind(of: type[library.TeslaFleetError]) -> list[type[library.TeslaFleetError]]:
    """Return the library's classes below one, in whatever depth."""
    return [kind for below in of.__subclasses__() for kind in (below, *every_kind(below))]


@pytest.mark.parametrize(
    ("kind", "table"),
    [
        *((kind, errors.FAULTS) for kind in every_kind(library.TeslaFleetMessageFault)),
        *((kind, errors.SECURITY_FAULTS) for kind in every_kind(library.SignedMessageInformationFault)),
        *((kind, errors.SECURITY_FAULTS) for kind in every_kind(library.TeslaFleetInformationFault)),
    ],
)
def test_the_librarys_fault_leads_to_the_row_of_its_number(
    kind: type[library.TeslaFleetError], table: Mapping[int, Callable[[], TeslaError]]
) -> None:
    code: int = kind.code  # type: ignore[attr-defined]
    ours, row = meaning(kind()), table[code]()
    assert (type(ours), str(ours)) == (type(row), str(row))


@pytest.mark.parametrize(
    ("fault", "ours"),
    [
        (19, errors.KeyNotPaired),
        (22, errors.KeyNotAllowed),
        (24, errors.CommandNotUnderstood),
        (25, errors.CommandUncertain),
        (27, errors.KeyNotPaired),
        (28, errors.CommandNotUnderstood),
        (29, errors.KeyTooFar),
    ],
)
def test_faults_that_once_meant_nothing(fault: int, ours: type[TeslaError]) -> None:
    """24 is a request that is too long and 25 an answer that is: after that one nobody knows what the car did."""
    assert type(errors.FAULTS[fault]()) is ours


@pytest.mark.parametrize(
    ("reason", "ours", "key"),
    [
        ("could_not_wake_buses", errors.VehicleBusy, "vehicle_busy"),
        ("unsigned_cmds_hardlocked", errors.SigningRequired, "signing_required"),
        ("Tesla Vehicle Command Protocol required, please …", errors.SigningRequired, "signing_required"),
        ("GENERICERROR_UNAUTHORIZED", errors.KeyNotAllowed, "key_not_allowed"),
        ("GENERICERROR_CLOSURES_OPEN", errors.CommandRefused, "command_refused_closures_open"),
        ("something new", errors.CommandRefused, "command_refused"),
        ("", errors.CommandRefused, "command_refused"),
        (None, errors.CommandRefused, "command_refused"),
        (["x"], errors.CommandRefused, "command_refused"),
    ],
)
def test_reasons(reason: object, ours: type[TeslaError], key: str) -> None:
    error = errors.refusal(reason)
    assert type(error) is ours
    assert error.key == key


def test_every_reason_that_is_explained_has_its_sentence() -> None:
    """In English; other languages fall back to it."""
    sentences = translations()["exceptions"]
    wanted = {f"command_refused_{name}" for name in errors.EXPLAINED.values()}
    assert wanted == {key for key in sentences if key.startswith("command_refused_")}
    assert {kind.key for kind in every_error()} <= {*sentences, "tesla_error", "sign_in_required"}


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


@pytest.mark.parametrize(
    ("raised", "ours"),
    [
        (library.VehicleOffline({"error": '{"error": "timeout"}'}), errors.VehicleSilent),
        (library.VehicleOffline("timeout"), errors.VehicleSilent),
        (library.VehicleOffline({"error": "vehicle unavailable: vehicle is offline or asleep"}), errors.VehicleAsleep),
        (library.VehicleOffline(), errors.VehicleAsleep),
        (library.Forbidden("account disabled: EXCEEDED_LIMIT"), errors.BillingLimitReached),
        (library.Forbidden("forbidden, see"), errors.OwnerApiClosed),
        (library.Forbidden("Tesla Vehicle Command Protocol required"), errors.SigningRequired),
        (library.Forbidden({"error": None}), errors.Refused),
        (library.PreconditionFailed("only available on fleetapi"), errors.OwnerApiClosed),
        (library.ResponseError(status=399), errors.UnexpectedAnswer),
        (library.ResponseError(status=400), errors.Refused),
        (library.ResponseError(status=499), errors.Refused),
        (library.ResponseError(status=500), errors.Unreachable),
        (library.ResponseError(), errors.UnexpectedAnswer),
    ],
)
def test_texts_and_statuses_are_told_apart(raised: library.TeslaFleetError, ours: type[TeslaError]) -> None:
    """Whether the text came as JSON or alone."""
    assert type(meaning(raised)) is ours


def test_an_error_keeps_what_it_was_made_of() -> None:
    assert errors.SignInRequired(errors.Reason.EXPIRED).reason is errors.Reason.EXPIRED
    assert errors.TokenRequestRefused("invalid_request").error == "invalid_request"
    assert errors.CommandRefused("car_wash").reason == "car_wash"
    assert errors.RateLimited(7.0).retry_after == 7.0
    assert errors.WrongRegion("https://tesla.example").api == "https://tesla.example"
    assert isinstance(refused := errors.refusal(None), errors.CommandRefused)
    assert refused.reason == "unknown"
    plain = meaning(library.InvalidRegion("user out of region, use base URL: https://tesla.example"))
    assert isinstance(plain, errors.WrongRegion)
    assert plain.api == "https://tesla.example"


@pytest.mark.parametrize(
    ("data", "wait"),
    [
        ({"after": "12", "reset": "30"}, 12),
        ({"after": None, "reset": "30"}, 30),
        ({"error": "Retry in 70 seconds"}, 70),
        ("Retry in 80 seconds", 80),
        ({"after": "soon"}, None),
        (None, None),
        ([], None),
    ],
)
def test_what_the_library_keeps_of_a_429(data: dict[str, str] | str | None, wait: float | None) -> None:
    """Also of one that our transport did not see."""
    found = meaning(library.RateLimited(data))
    assert isinstance(found, errors.RateLimited)
    assert found.retry_after == wait


def test_a_date_is_waited_for_by_the_wall_clock() -> None:
    found = errors.rate_limited(formatdate(time.time() + 600, usegmt=True)).retry_after
    assert found == pytest.approx(600, abs=5)


@pytest.mark.parametrize("text", ["user out of region", "use base URL:", "", None])
def test_another_region_without_an_address(text: str | None) -> None:
    found = meaning(library.InvalidRegion({"error": text}))
    assert isinstance(found, errors.WrongRegion)
    assert found.api is None


@pytest.mark.parametrize("code", [None, "7", 999, -1, 7.5])
def test_a_fault_that_no_protocol_knows(code: object) -> None:
    """It is a refusal that names it."""
    fault = library.TeslaFleetMessageFault()
    fault.code = code  # type: ignore[attr-defined] # as its subclasses have one
    found = meaning(fault)
    assert isinstance(found, errors.CommandRefused)
    assert found.reason == f"fault {code}"


def test_a_fault_without_a_number() -> None:
    found = meaning(library.TeslaFleetMessageFault())
    assert isinstance(found, errors.CommandRefused)
    assert found.reason == "fault None"


def test_what_tesla_said_behind_an_error() -> None:
    """Status and text of its refusal; neither where there was no answer."""
    refused = meaning(library.Forbidden({"error": "unsupported vehicle"}))
    refused.__cause__ = library.Forbidden({"error": "unsupported vehicle"})
    assert errors.said(refused) == (403, "unsupported vehicle")
    refused.__cause__ = library.Forbidden(None)
    assert errors.said(refused) == (403, "")
    for cause in (None, TimeoutError("late")):
        refused.__cause__ = cause
        assert errors.said(refused) == (0, "")
