"""Actions about one car that answer with what they found: registered out of tables, each row one action."""

from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from homeassistant.const import ATTR_DEVICE_ID
from homeassistant.core import HomeAssistant, ServiceCall, ServiceResponse, SupportsResponse, callback
from homeassistant.exceptions import ServiceValidationError
from homeassistant.helpers import config_validation as cv
from homeassistant.util import dt as dt_util
import probatio

from .const import DOMAIN
from .runtime import TeslaFiConfigEntry
from .services import target

type Asked = Mapping[str, Any]

YEARS: Final = range(2000, 2100)
"""Years of what can be asked about: any moment in them can be moved between zones."""


def _in_years(moment: datetime) -> datetime:
    if moment.year not in YEARS:
        raise probatio.Invalid(f"expected a year from {YEARS.start} to {YEARS.stop - 1}")
    return moment


MOMENT: Final = probatio.All(cv.datetime, _in_years)
"""A moment that somebody names."""


@dataclass(frozen=True, slots=True)
class CarAction[Subject]:
    """One action: what it takes besides the device, and how it is answered. `only`: of no use without its response."""

    ask: Callable[[HomeAssistant, Subject, Asked], Awaitable[ServiceResponse]]
    fields: Mapping[Any, Any]
    only: bool = True


@callback
def async_register[Subject](
    hass: HomeAssistant,
    actions: Mapping[str, CarAction[Subject]],
    subject: Callable[[TeslaFiConfigEntry, str], Subject],
    refusals: Callable[[Subject], AbstractContextManager[None]],
) -> None:
    """Register actions about what `subject` makes of an entry and a VIN; `refusals` turns errors into sentences."""
    for name, action in actions.items():
        schema = probatio.Schema({probatio.Required(ATTR_DEVICE_ID): cv.string, **action.fields})
        response = SupportsResponse.ONLY if action.only else SupportsResponse.OPTIONAL
        handler = _handler(hass, action, subject, refusals)
        hass.services.async_register(DOMAIN, name, handler, schema, supports_response=response)


def _handler[Subject](
    hass: HomeAssistant,
    action: CarAction[Subject],
    subject: Callable[[TeslaFiConfigEntry, str], Subject],
    refusals: Callable[[Subject], AbstractContextManager[None]],
) -> Callable[[ServiceCall], Coroutine[Any, Any, ServiceResponse]]:
    async def handle(call: ServiceCall) -> ServiceResponse:
        entry, vin = target(hass, call.data[ATTR_DEVICE_ID])
        if vin not in entry.runtime_data.vehicles:
            raise ServiceValidationError(translation_domain=DOMAIN, translation_key="no_such_vehicle")
        about = subject(entry, vin)
        with refusals(about):
            told = await action.ask(hass, about, call.data)
        return told if call.return_response else None

    return handle


def moment_of(asked: Asked, name: str) -> datetime | None:
    """Return a moment that is asked for, in UTC; without a zone it is one of Home Assistant's zone."""
    moment = asked.get(name)
    return None if moment is None else dt_util.as_utc(moment)
