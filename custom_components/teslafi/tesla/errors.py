"""What can go wrong at Tesla, as typed exceptions, and the one table that turns the library's errors into them.

`tesla-fleet-api` raises `TeslaFleetError`, a `BaseException`, so that `except Exception` misses it: `translated` is
the only place that catches it. Codes and texts: Tesla's developer documents, "Response codes", and recorded answers.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from enum import StrEnum
from http import HTTPStatus
import re
import time
from typing import Final, override

import aiohttp
from tesla_fleet_api import exceptions as library

from .retry_after import seconds_to_wait


class TeslaError(Exception):
    """Any refusal or failure on Tesla's side; `key` names its sentence under "exceptions" in the translations.

    `delivered`: the request may have reached Tesla.
    """

    key = "tesla_error"
    delivered = False


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
    FEED_TOKEN = "feed_token"  # noqa: S105 - a reason, no secret
    """TeslaFi.com no longer takes its API token."""


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
    """The car answered, and does not do it; `reason` in Tesla's words, for logs. Known ones have a sentence."""

    key = "command_refused"

    def __init__(self, reason: str) -> None:
        """Keep the reason."""
        super().__init__(f"The car refused the command ({reason})")
        self.reason = reason
        if reason in EXPLAINED:
            self.key = f"command_refused_{EXPLAINED[reason]}"


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


class KeyTooFar(TeslaError):
    """The car does this only with a key near it."""

    key = "key_too_far"


class CommandNotUnderstood(TeslaError):
    """The car's computer does not take the command the way it was sent; nothing was done."""

    key = "command_not_understood"


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


SIGNING_REQUIRED: Final = "Tesla Vehicle Command Protocol required"
"""How the text begins by which Tesla refuses an unsigned command; the address in it differs."""


def said(error: TeslaError) -> tuple[int, str]:
    """Return status and text of Tesla's refusal behind one of our errors; 0 and "" when there was no answer."""
    cause = error.__cause__
    return (cause.status or 0, _text(cause)) if isinstance(cause, library.TeslaFleetError) else (0, "")


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
    if text.startswith(SIGNING_REQUIRED):
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


def rate_limited(*said: object, at: float | None = None) -> RateLimited:
    """Return the error for a 429 out of what its headers and its body say, the first that says something first.

    `at`: epoch seconds by the clock of who answered, which is not wrong when ours is; dates are told by that one.
    """
    now = time.time() if at is None else at
    waits = (seconds_to_wait(value, now) for value in said)
    return RateLimited(next((wait for wait in waits if wait is not None), None))


EXPLAINED: Final[Mapping[str, str]] = {
    "GENERICERROR_ALREADY_ON": "already",
    "GENERICERROR_CLOSURES_OPEN": "closures_open",
    "GENERICERROR_DISABLED_FOR_USER_COMMAND": "disabled",
    "GENERICERROR_NOT_ALLOWED_OVER_TRANSPORT": "transport",
    "GENERICERROR_NOT_SUPPORTED": "not_supported",
    "GENERICERROR_VEHICLE_NOT_IN_PARK": "not_in_park",
    "already_max_range": "already",
    "already_set": "already",
    "already_standard": "already",
    "already_started": "already",
    "cabin comfort remote settings not enabled": "cabin_comfort",
    "cable connected": "cable_connected",
    "car_wash": "car_wash",
    "complete": "charge_complete",
    "disconnected": "unplugged",
    "invalid_pin": "invalid_pin",
    "invalid_value": "invalid_value",
    "is_charging": "already",
    "no_power": "no_power",
    "not_charging": "already",
    "not_found": "not_found",
    "not_near": "not_near",
    "not_supported": "not_supported",
    "requested": "already",
    "speed_limit_mode_active": "speed_limit_active",
    "too_many_schedules": "too_many_schedules",
    "valet_mode_active": "valet_active",
    "vehicle_not_in_park": "not_in_park",
}
"""A car's reason -> its sentence, under "exceptions" as `command_refused_…`. No owner reads a reason itself.

Sources: recorded answers, as listed in "Commands", and `errors.proto`.
"""

REASONS: Final[Mapping[str, Callable[[], TeslaError]]] = {
    "GENERICERROR_KEY_NOT_FOUND": lambda: KeyNotPaired("The car does not find the key"),
    "GENERICERROR_UNAUTHORIZED": lambda: KeyNotAllowed("The key may not do this"),
    "could_not_wake_buses": lambda: VehicleBusy("The car is just waking up"),
    "unsigned_cmds_hardlocked": lambda: SigningRequired("The car takes signed commands alone"),
}
"""A car's reason that is another error than a refused command. Names that begin with GENERICERROR: `errors.proto`."""

NEUTRAL_REASONS: Final = frozenset({"GENERICERROR_NONE", "GENERICERROR_UNKNOWN"})
"""Reasons that explain nothing."""


def refusal(reason: object) -> TeslaError:
    """Return the error for a car's answer that it did not do it."""
    text = reason if isinstance(reason, str) and reason else "unknown"
    if text.startswith(SIGNING_REQUIRED):
        return SigningRequired("The car takes signed commands alone")
    return REASONS[text]() if text in REASONS else CommandRefused(text)


FAULTS: Final[Mapping[int, Callable[[], TeslaError]]] = {
    1: lambda: VehicleBusy("The car is busy"),
    2: lambda: CommandUncertain("The car's computer did not answer in time"),
    3: lambda: KeyNotPaired("The car does not know the command key"),
    4: lambda: KeyNotPaired("The command key is not active in the car"),
    5: lambda: SessionOutOfStep("The signature does not fit"),
    6: lambda: SessionOutOfStep("The counter does not fit"),
    7: lambda: KeyNotAllowed("The key may not do this"),
    8: lambda: CommandNotUnderstood("The car has no such computer"),
    9: lambda: CommandNotUnderstood("The car does not know the command"),
    10: lambda: CommandNotUnderstood("The car cannot decode the command"),
    11: lambda: VehicleBusy("The car's computer has trouble"),
    12: lambda: KeyNotPaired("The command was signed for another car"),
    13: lambda: CommandNotUnderstood("The car does not take a parameter"),
    14: lambda: KeyNotAllowed("The car's list of keys is full"),
    15: lambda: SessionOutOfStep("The car's computer was restarted"),
    16: lambda: CommandNotUnderstood("The car does not take the message's nonce"),
    17: lambda: SessionOutOfStep("The command came too late"),
    18: lambda: KeyNotPaired("The car has no identity for signed commands yet"),
    19: lambda: KeyNotPaired("The car cannot make out whom the signature is for"),
    20: lambda: SessionOutOfStep("The clocks do not fit"),
    21: lambda: KeyNotAllowed("Remote access is off in the car"),
    22: lambda: KeyNotAllowed("Remote access for services is off in the car"),
    23: lambda: KeyNotAllowed("Only the owner may"),
    24: lambda: CommandNotUnderstood("The command is longer than the car takes"),
    25: lambda: CommandUncertain("The car's answer is longer than can be brought back"),
    26: lambda: SessionOutOfStep("The counter was used before"),
    27: lambda: KeyNotPaired("The car does not know the handle of the key"),
    28: lambda: CommandNotUnderstood("The car wants to encrypt its answer"),
    29: lambda: KeyTooFar("The car wants a key near it"),
}
"""`MessageFault_E` of `universal_message.proto` -> ours. After 2 and 25 nobody knows whether the car has done it."""

SECURITY_FAULTS: Final[Mapping[int, Callable[[], TeslaError]]] = {
    1: lambda: CommandNotUnderstood("The security computer does not say why"),
    2: FAULTS[3],
    3: FAULTS[16],
    4: FAULTS[6],
    5: FAULTS[6],
    6: FAULTS[5],
    7: FAULTS[5],
    8: FAULTS[5],
    9: lambda: KeyTooFar("The car wants somebody to confirm in the car"),
    10: lambda: KeyTooFar("Nobody confirmed in the car"),
    11: FAULTS[27],
    12: FAULTS[6],
    13: FAULTS[5],
    14: FAULTS[6],
    15: FAULTS[15],
    16: FAULTS[16],
    17: FAULTS[17],
    18: FAULTS[18],
    19: FAULTS[19],
}
"""`SignedMessage_information_E` of `vcsec.proto` -> ours."""

KEYCHAIN_NOT_LISTED: Final = 12
"""The one value of `WhitelistOperation_information_E` that tells of our key. We never ask a car to change its keys."""

SESSION_STATUSES: Final[Mapping[int, Callable[[], TeslaError]]] = {1: FAULTS[3], 2: FAULTS[27]}
"""`Session_Info_Status` of `signatures.proto` -> ours, but for 0: there is a session."""


def _rate_limited(error: library.TeslaFleetError) -> RateLimited:
    data = error.data if isinstance(error.data, dict) else {}
    return rate_limited(data.get("after"), data.get("reset"), _text(error))


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
    library.TeslaFleetMessageFault: lambda error: _fault(error, FAULTS),
    library.SignedMessageInformationFault: lambda error: _fault(error, SECURITY_FAULTS),
    library.TeslaFleetInformationFault: lambda error: _fault(error, SECURITY_FAULTS),
    library.NotOnWhitelistFault: lambda _: FAULTS[3](),
    library.WhitelistOperationStatus: lambda _: KeyNotAllowed("The car does not let its keys be changed"),
    library.WhitelistOperationPublicKeyNotOnWhitelist: lambda _: FAULTS[3](),
    library.SessionInfoAuthenticationFault: lambda _: SessionOutOfStep("The car's answer could not be authenticated"),
    library.SignedCommandResponseReplayed: lambda _: CommandUncertain("The car's answer came twice"),
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


def _fault(error: library.TeslaFleetError, table: Mapping[int, Callable[[], TeslaError]]) -> TeslaError:
    """Look up a fault by its number in Tesla's protocol, which the library's class carries."""
    code = getattr(error, "code", None)
    return table[code]() if isinstance(code, int) and code in table else CommandRefused(f"fault {code}")


def meaning(error: library.TeslaFleetError) -> TeslaError:
    """Return our exception for one of the library's."""
    return next((MEANINGS[kind] for kind in type(error).__mro__ if kind in MEANINGS), _refused)(error)


class _Translation(AbstractContextManager[None]):
    """Keeps nothing, so that one serves all calls."""

    @override
    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> None:
        # The library's are no subclasses of Exception
        if isinstance(error, Exception | library.TeslaFleetError) and not isinstance(error, TeslaError):
            raise _translation_of(error) from error


def _translation_of(error: Exception | library.TeslaFleetError) -> TeslaError:
    if isinstance(error, library.TeslaFleetError):
        return meaning(error)
    if isinstance(error, aiohttp.ClientError | OSError):
        return Unreachable("Tesla could not be reached")
    return UnexpectedAnswer(f"Tesla's answer is not what its documents say ({type(error).__name__})")


_TRANSLATION: Final = _Translation()


def translated() -> AbstractContextManager[None]:
    """Turn everything that foreign code can raise into a `TeslaError`.

    What is neither the library's nor the network's is its stumbling over an answer that is not what the documents say.
    """
    return _TRANSLATION
