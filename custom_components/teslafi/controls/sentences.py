"""What a user reads when a command was not carried out, and how its record says so."""

from collections.abc import Mapping
from typing import Final, TypedDict

from homeassistant.exceptions import HomeAssistantError, ServiceValidationError

from ..const import DOMAIN
from ..tesla.errors import (
    AccessTokenRefused,
    BillingLimitReached,
    CommandRefused,
    CommandUncertain,
    KeyNotAllowed,
    KeyNotPaired,
    KeyTooFar,
    NotRegistered,
    RateLimited,
    ScopeMissing,
    SignInRequired,
    TeslaError,
    UnexpectedAnswer,
    Unreachable,
    VehicleAsleep,
)
from .gate import Forbidden, GateShut
from .record import Result

OF_COMMANDS: Final[Mapping[type[Exception], str]] = {
    AccessTokenRefused: "command_token_refused",
    BillingLimitReached: "command_billing_limit",
    NotRegistered: "command_not_registered",
    RateLimited: "too_many_commands",
    ScopeMissing: "command_scope_missing",
    UnexpectedAnswer: "command_not_sent",
    Unreachable: "command_not_sent",
    VehicleAsleep: "vehicle_not_awake",
}
"""What monitoring puts off or says of data, a command does not: its own sentences."""


def sentence(error: Exception, *, target: str, companion: str) -> HomeAssistantError:
    """Return Home Assistant's exception for what went wrong; its sentence says what to do.

    `target` names the car or energy site, `companion` is the companion's address.
    """
    if isinstance(error, HomeAssistantError):
        return error
    if isinstance(error, GateShut):
        return ServiceValidationError(
            translation_domain=DOMAIN,
            translation_key=f"controls_{error.lock.value}",
            translation_placeholders={"address": companion},
        )
    if isinstance(error, Forbidden):
        return ServiceValidationError(translation_domain=DOMAIN, translation_key=error.key)
    if isinstance(error, SignInRequired):
        return HomeAssistantError(translation_domain=DOMAIN, translation_key="controls_grant_ended")
    key = OF_COMMANDS.get(type(error), error.key if isinstance(error, TeslaError) else "tesla_error")
    return HomeAssistantError(translation_domain=DOMAIN, translation_key=key, translation_placeholders={"name": target})


RESULTS: Final = (
    ((CommandRefused, KeyNotAllowed, KeyNotPaired, KeyTooFar), Result.REFUSED),
    ((CommandUncertain,), Result.UNCERTAIN),
)
"""Errors that are the car's own answer, and those after which nobody knows; with any other nothing was done."""


class Outcome(TypedDict):
    """The fields of a record that tell how a command ended."""

    result: Result
    answer: str
    reason: str


def outcome_of(error: Exception | None, said: HomeAssistantError | None) -> Outcome:
    """Return how a command ended, as its record keeps it; `said` is the sentence about the error."""
    if error is None:
        return Outcome(result=Result.SUCCEEDED, answer="", reason="")
    reason = (said.translation_key or "") if said else ""
    if isinstance(error, TeslaError):
        answer = error.reason if isinstance(error, CommandRefused) else str(error)
        result = next((result for kinds, result in RESULTS if isinstance(error, kinds)), Result.FAILED)
        return Outcome(result=result, answer=answer, reason=reason)
    answer = (error.translation_key or "") if isinstance(error, HomeAssistantError) else str(error)
    return Outcome(result=Result.LOCKED, answer=answer, reason=reason)
