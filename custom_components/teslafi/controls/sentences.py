"""What a user reads when a command was not carried out, and how its record says so."""

from collections.abc import Mapping
from typing import Final

from homeassistant.exceptions import HomeAssistantError, ServiceValidationError

from ..const import DOMAIN
from ..tesla.errors import (
    CommandRefused,
    CommandUncertain,
    RateLimited,
    SignInRequired,
    TeslaError,
    Unreachable,
    VehicleAsleep,
)
from .gate import Forbidden, GateShut
from .record import Result

UNSENT: Final[Mapping[type[Exception], str]] = {
    Unreachable: "command_not_sent",
    RateLimited: "too_many_commands",
    VehicleAsleep: "vehicle_not_awake",
}
"""What watching puts off and tries again by itself, a command does not: its own sentences."""


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
    placeholders = {"name": target}
    key = UNSENT.get(type(error), error.key if isinstance(error, TeslaError) else "tesla_error")
    if isinstance(error, CommandRefused):
        placeholders["reason"] = error.reason
    return HomeAssistantError(translation_domain=DOMAIN, translation_key=key, translation_placeholders=placeholders)


def result_of(error: Exception | None) -> tuple[Result, str]:
    """Return how a command ended and the answer that its record keeps."""
    if error is None:
        return Result.SUCCEEDED, ""
    if isinstance(error, CommandRefused):
        return Result.REFUSED, error.reason
    if isinstance(error, CommandUncertain):
        return Result.UNCERTAIN, str(error)
    if isinstance(error, TeslaError):
        return Result.FAILED, str(error)
    if isinstance(error, HomeAssistantError):
        return Result.LOCKED, error.translation_key or ""
    return Result.LOCKED, str(error)
