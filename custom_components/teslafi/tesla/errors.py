"""What can go wrong at Tesla, as typed exceptions, and the one table that turns the library's errors into them.

`tesla-fleet-api` raises `TeslaFleetError`, a `BaseException`, so that `except Exception` misses it: `translated` is
the only place that catches it. Codes and texts: Tesla's developer documents, "Response codes", and recorded answers.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from http import HTTPStatus
import re
import time
from typing import Final

import aiohttp
from tesla_fleet_api import exceptions as library

from .retry_after import seconds_to_wait


class TeslaError(Exception):
    """Any refusal or failure on Tesla's side; `key` names its sentence under "exceptions" in the translations.

    `billable`: Tesla answered with a status below 500, and bills it ("Billing and limits").
    """

    key = "tesla_error"
    billable = False


class Unreachable(TeslaError):
    """No usable answer: network, time-out, or trouble on Tesla's side (5xx). Passes by itself."""

    key = "tesla_unreachable"


class UnexpectedAnswer(Unreachable):
    """An answer that is not what the documents say: not JSON, cut short, another shape."""

    key = "tesla_unexpected_answer"


class RateLimited(TeslaError):
    """Too many requests (429); `retry_after` in seconds, when Tesla said it."""

    key = "tesla_rate_limited"

    def __init__(self, retry_after: float | None) -> None:
        """Keep the wait."""
        super().__init__("Tesla asks for fewer requests")
        self.retry_after = retry_after


class Reason(StrEnum):
    """Why a grant is dead; each has its own sentence."""

    LOGIN_REQUIRED = "login_required"
    CONSENT_WITHDRAWN = "consent_withdrawn"
    UNKNOWN_USER = "unknown_user"
    EXPIRED = "expired"
    MISSING = "missing"


class SignInRequired(TeslaError):
    """The grant is dead: only the owner's new sign-in helps (password changed, consent withdrawn, expired)."""

    key = "sign_in_required"

    def __init__(self, reason: Reason) -> None:
        """Keep the reason."""
        super().__init__(f"Tesla asks the owner to sign in again ({reason})")
        self.reason = reason


class TokenRequestRefused(TeslaError):
    """The token endpoint refused the request itself (`error`), not the grant: an application set up wrongly."""

    key = "token_request_refused"

    def __init__(self, error: str) -> None:
        """Keep Tesla's error code."""
        super().__init__(f"Tesla's token endpoint answered {error}")
        self.error = error


class AccessTokenRefused(TeslaError):
    """401: the access token is no longer taken; a refresh decides whether the owner has to sign in."""

    key = "access_token_refused"


class ScopeMissing(TeslaError):
    """403: the grant does not carry the scope that this request needs."""

    key = "scope_missing"


class BillingLimitReached(TeslaError):
    """402, or 403 EXCEEDED_LIMIT: the developer account's spending limit is used up."""

    key = "billing_limit_reached"


class OwnerApiClosed(TeslaError):
    """403 or 412: Tesla no longer serves this token on the interface of its own app."""

    key = "owner_api_closed"


class NotRegistered(TeslaError):
    """412: the developer application is not registered in this region."""

    key = "not_registered"


class WrongRegion(TeslaError):
    """421: the account lives on another server; `api` is the address that Tesla names."""

    key = "wrong_region"

    def __init__(self, api: str | None) -> None:
        """Keep the address."""
        super().__init__("The account lives in another region")
        self.api = api


class VehicleAsleep(TeslaError):
    """408: the car is asleep or offline."""

    key = "vehicle_asleep"


class VehicleSilent(VehicleAsleep):
    """408 "timeout": the car is awake and did not answer in time."""

    key = "vehicle_silent"


class VehicleInService(TeslaError):
    """405: the car is at a service centre and does not answer."""

    key = "vehicle_in_service"


class MobileAccessDisabled(TeslaError):
    """401 mobile_access_disabled: the owner switched mobile access off in the car."""

    key = "mobile_access_disabled"


class NotFound(TeslaError):
    """404: the car or site is no longer part of this account."""

    key = "not_found"


class CommandRefused(TeslaError):
    """The car answered, and does not do it; `reason` in Tesla's words."""

    key = "command_refused"

    def __init__(self, reason: str) -> None:
        """Keep the reason."""
        super().__init__(f"The car refused the command ({reason})")
        self.reason = reason


class CommandUncertain(TeslaError):
    """No answer to a command that was sent: the car may have carried it out. Never to be repeated blindly."""

    key = "command_uncertain"


class NotAwake(TeslaError):
    """The car did not wake in time."""

    key = "vehicle_not_awake"


class KeyNotPaired(TeslaError):
    """The car does not know the command key: never paired, or removed in the car."""

    key = "key_not_paired"


class KeyNotAllowed(TeslaError):
    """The car knows the key, but not for this command: remote access off, or too few privileges."""

    key = "key_not_allowed"


class SigningRequired(TeslaError):
    """403: the car takes signed commands alone."""

    key = "signing_required"


class SigningUnknown(TeslaError):
    """422: the car does not speak the signed protocol."""

    key = "signing_unknown"


class SessionOutOfStep(TeslaError):
    """Counter, epoch or clock of the signed session did not fit, and did not come to fit when told anew."""

    key = "session_out_of_step"


class VehicleBusy(TeslaError):
    """The car's computer is busy or starting; nothing was done."""

    key = "vehicle_busy"


class Refused(TeslaError):
    """Any other refusal; asking again at once does not help."""

    key = "tesla_refused"


def _text(error: library.TeslaFleetError) -> str:
    """Return the error text of the body; "" when the answer had none."""
    data = error.data
    return str(data.get("error", "")) if isinstance(data, dict) else str(data or "")


def _forbidden(error: library.TeslaFleetError) -> TeslaError:
    """Tell the meanings of 403 apart by their recorded texts."""
    text = _text(error)
    if "EXCEEDED_LIMIT" in text:
        return BillingLimitReached("The spending limit at Tesla is reached")
    if "missing scopes" in text or text == "invalid_scope":
        return ScopeMissing("The grant lacks a scope")
    if text.startswith("Tesla Vehicle Command Protocol required"):
        return SigningRequired("The car takes signed commands alone")
    if text.startswith("forbidden, see"):
        return OwnerApiClosed("Tesla closed this interface to the token")
    return _refused(error)


def _precondition(error: library.TeslaFleetError) -> TeslaError:
    """Tell the two meanings of 412 apart."""
    if "only available on fleetapi" in _text(error):
        return OwnerApiClosed("Tesla closed this interface to the token")
    return NotRegistered("The application is not registered in this region")


def _asleep(error: library.TeslaFleetError) -> TeslaError:
    """Tell an awake car without answer from one that sleeps."""
    if "timeout" in _text(error):
        return VehicleSilent("The car is awake and does not answer")
    return VehicleAsleep("The car is asleep or offline")


def _region(error: library.TeslaFleetError) -> TeslaError:
    """Take the address out of the text; 421 is no HTTP redirect."""
    found = re.search(r"use base URL: (\S+?),?(\s|$)", _text(error))
    return WrongRegion(found[1] if found else None)


def _refused(error: library.TeslaFleetError) -> TeslaError:
    return Refused(f"Tesla refused the request ({error.status})")


def _other(error: library.TeslaFleetError) -> TeslaError:
    """Tell a good status with a bad body from a status that the library has no name for."""
    status = error.status or 0
    if status < HTTPStatus.BAD_REQUEST:
        return UnexpectedAnswer("Tesla's answer is not JSON")
    if status < HTTPStatus.INTERNAL_SERVER_ERROR:
        return _refused(error)
    return Unreachable(f"Tesla has trouble ({status})")


def _rate_limited(error: library.TeslaFleetError) -> TeslaError:
    data = error.data if isinstance(error.data, dict) else {}
    said = (data.get("after"), data.get("reset"), _text(error))
    waits = (seconds_to_wait(value, time.time()) for value in said)
    return RateLimited(next((wait for wait in waits if wait is not None), None))


type _Meaning = Callable[[library.TeslaFleetError], TeslaError]

MEANINGS: Final[dict[type[library.TeslaFleetError], _Meaning]] = {
    library.OAuthExpired: lambda _: AccessTokenRefused("Tesla refused the access token"),
    library.LoginRequired: lambda _: SignInRequired(Reason.LOGIN_REQUIRED),
    library.MobileAccessDisabled: lambda _: MobileAccessDisabled("Mobile access is switched off in the car"),
    library.PaymentRequired: lambda _: BillingLimitReached("Tesla asks for payment"),
    library.InvalidScope: _forbidden,
    library.Forbidden: _forbidden,
    library.NotFound: lambda _: NotFound("Tesla does not know this car or site for the account"),
    library.NotAllowed: lambda _: VehicleInService("The car is in service"),
    library.VehicleOffline: _asleep,
    library.PreconditionFailed: _precondition,
    library.InvalidRegion: _region,
    library.InvalidResource: lambda _: SigningUnknown("The car does not speak the signed protocol"),
    library.RateLimited: _rate_limited,
    library.NotOnWhitelistFault: lambda _: KeyNotPaired("The car does not know the command key"),
    library.TeslaFleetMessageFaultUnknownKeyId: lambda _: KeyNotPaired("The car does not know the command key"),
    library.TeslaFleetMessageFaultInactiveKey: lambda _: KeyNotPaired("The command key is not active in the car"),
    library.SignedMessageInformationFaultNotOnWhitelist: lambda _: KeyNotPaired("The car does not know the key"),
    library.WhitelistOperationPublicKeyNotOnWhitelist: lambda _: KeyNotPaired("The car does not know the key"),
    library.TeslaFleetMessageFaultInsufficientPrivileges: lambda _: KeyNotAllowed("The key may not do this"),
    library.TeslaFleetMessageFaultRemoteAccessDisabled: lambda _: KeyNotAllowed("Remote access is off in the car"),
    library.TeslaFleetMessageFaultCommandRequiresAccountCredentials: lambda _: KeyNotAllowed("Only the owner may"),
    library.TeslaFleetMessageFaultBusy: lambda _: VehicleBusy("The car is busy"),
    library.TeslaFleetMessageFaultInternal: lambda _: VehicleBusy("The car's computer has trouble"),
    library.TeslaFleetMessageFaultTimeout: lambda _: CommandUncertain("The car's computer did not answer in time"),
    library.TeslaFleetMessageFaultInvalidTokenOrCounter: lambda _: SessionOutOfStep("The counter does not fit"),
    library.TeslaFleetMessageFaultRepeatedCounter: lambda _: SessionOutOfStep("The counter was used before"),
    library.TeslaFleetMessageFaultIncorrectEpoch: lambda _: SessionOutOfStep("The car's computer was restarted"),
    library.TeslaFleetMessageFaultTimeExpired: lambda _: SessionOutOfStep("The command came too late"),
    library.TeslaFleetMessageFaultTimeToLiveTooLong: lambda _: SessionOutOfStep("The clocks do not fit"),
    library.SessionInfoAuthenticationFault: lambda _: SessionOutOfStep("The car's answer could not be authenticated"),
    library.ResponseError: _other,
    library.InvalidResponse: lambda _: Unreachable("Tesla got no answer from the car"),
    library.ClientClosedRequest: lambda _: Unreachable("The connection to Tesla ended early"),
    library.InternalServerError: lambda _: Unreachable("Tesla has trouble (500)"),
    library.BadGateway: lambda _: Unreachable("Tesla has trouble (502)"),
    library.ServiceUnavailable: lambda _: Unreachable("Tesla has trouble (503)"),
    library.GatewayTimeout: lambda _: Unreachable("Tesla has trouble (504)"),
    library.DeviceUnexpectedResponse: lambda _: Unreachable("The car gave an unexpected answer (540)"),
}
"""The library's exception class -> ours, looked up along the class's bases; anything else is `Refused`."""


def meaning(error: library.TeslaFleetError) -> TeslaError:
    """Return our exception for one of the library's."""
    found = next((MEANINGS[kind] for kind in type(error).__mro__ if kind in MEANINGS), _refused)
    ours = found(error)
    ours.billable = error.status is not None and error.status < HTTPStatus.INTERNAL_SERVER_ERROR
    return ours


@contextmanager
def translated() -> Iterator[None]:
    """Turn everything that a request through the library can raise into a `TeslaError`.

    `ValueError` and `AttributeError` are what the library lets through for a body that is not the JSON it says it is.
    """
    try:
        yield
    except library.TeslaFleetError as error:
        raise meaning(error) from error
    except (aiohttp.ClientError, TimeoutError) as error:
        raise Unreachable("Tesla could not be reached") from error
    except (ValueError, AttributeError) as error:
        raise UnexpectedAnswer("Tesla's answer is not JSON") from error
