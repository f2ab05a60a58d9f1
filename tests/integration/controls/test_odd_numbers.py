"""Numbers that are none, from a template or a calendar: refused with a sentence before anything is sent."""

from collections.abc import Mapping
from datetime import timedelta
import logging
from typing import Any, Final

from homeassistant.components.calendar import CalendarEntity
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers.entity_component import DATA_INSTANCES
from homeassistant.util import dt as dt_util
import probatio
import pytest
import voluptuous as vol

from custom_components.teslafi.const import DOMAIN
from teslafi_simulators.tesla.scenario import ANNAS_MODEL_3, ANNAS_SITE

from .keeper import Keeper
from .test_commands import NEW, look

pytestmark = pytest.mark.slow

ODD: Final = ("nan", "inf", "-inf", float("nan"), float("inf"), 1e300, -1e300, "1e400", 10**400)
REFUSED: Final = (HomeAssistantError, vol.Invalid, probatio.Invalid)


async def said(hass: HomeAssistant, domain: str, name: str, data: Mapping[str, Any]) -> str:
    """Return how an action ended."""
    try:
        await hass.services.async_call(domain, name, dict(data), blocking=True)
    except REFUSED:
        return "refused"
    except Exception as error:  # noqa: BLE001 - told in what the test says
        return f"{type(error).__name__} {error}"
    return "sent"


async def test_what_is_no_number_is_refused(
    hass: HomeAssistant, keeper: Keeper, caplog: pytest.LogCaptureFixture
) -> None:
    """Everywhere where one is taken."""
    # It logs temperatures as whole numbers, which pytest does not take for infinite ones
    caplog.set_level(logging.INFO, "homeassistant.components.climate")
    calls: list[tuple[str, str, dict[str, Any]]] = []
    for entity_id in sorted(keeper.of_controls()):
        if hass.states.get(entity_id) is None:
            continue
        match entity_id.partition(".")[0]:
            case "number":
                calls += [("number", "set_value", {"entity_id": entity_id, "value": odd}) for odd in ODD]
            case "climate":
                calls += [("climate", "set_temperature", {"entity_id": entity_id, "temperature": odd}) for odd in ODD]
            case "media_player":
                calls += [("media_player", "volume_set", {"entity_id": entity_id, "volume_level": odd}) for odd in ODD]
            case "cover":
                calls += [("cover", "set_cover_position", {"entity_id": entity_id, "position": odd}) for odd in ODD]
    device = dr.async_get(hass).async_get_device_by_identifier((DOMAIN, ANNAS_MODEL_3), keeper.entry.entry_id)
    assert device is not None
    about = {"device_id": device.id}
    home = dr.async_get(hass).async_get_device_by_identifier((DOMAIN, str(ANNAS_SITE)), keeper.entry.entry_id)
    assert home is not None
    site = {"device_id": home.id}
    for odd in ODD:
        calls += [
            (DOMAIN, "set_temperatures", about | {"driver": odd, "passenger": 20}),
            (DOMAIN, "set_temperatures", about | {"driver": 20, "passenger": odd}),
            (DOMAIN, "schedule_update", about | {"offset": odd}),
            (DOMAIN, "navigate", about | {"location": {"latitude": odd, "longitude": 8}}),
            (DOMAIN, "navigate", about | {"location": {"latitude": 50, "longitude": odd}}),
            (DOMAIN, "remove_charge_schedule", about | {"id": odd}),
            (DOMAIN, "remove_precondition_schedule", about | {"id": odd}),
            (DOMAIN, "add_charge_schedule", about | {"id": odd, "start_time": "22:00"}),
            (DOMAIN, "navigate_to_supercharger", about | {"id": odd}),
        ]
    tariffs = ({"tariff": {"prices": [1.0, {"ON_PEAK": float(odd)}]}} for odd in ("nan", "inf", "-inf"))
    calls += [(DOMAIN, "set_time_of_use", site | tariff) for tariff in tariffs]
    before = keeper.sent
    ends = {f"{domain}.{name} {data}": await said(hass, domain, name, data) for domain, name, data in calls}
    assert {call: end for call, end in ends.items() if end != "refused"} == {}
    assert keeper.sent == before
    assert len(ends) > 100


PLACES: Final = ("nan, nan", "inf, 5", "5, -inf", "1e400, 8", "91, 8", "-91, 8", "50, 181", "50, -999")


async def test_a_place_that_is_none_is_no_schedules(
    hass: HomeAssistant, keeper: Keeper, subtests: pytest.Subtests
) -> None:
    """A calendar takes any text; what is no place on the globe is home, as other words are."""
    car = keeper.car()
    NEW(car)
    await look(keeper, car)
    entity = hass.data[DATA_INSTANCES]["calendar"].get_entity("calendar.roadrunner_charge_schedules")
    assert isinstance(entity, CalendarEntity)
    begin = dt_util.now().replace(hour=22, minute=0, second=0, microsecond=0)
    home = pytest.approx((hass.config.latitude, hass.config.longitude), abs=1e-4)
    for location, expected in (*((one, home) for one in PLACES), ("50.5, -8.25", pytest.approx((50.5, -8.25)))):
        with subtests.test(location):
            await entity.async_create_event(
                dtstart=begin, dtend=begin + timedelta(hours=1), summary="Night", location=location, rrule="FREQ=DAILY"
            )
            schedule = car.data["charge_schedule_data"]["charge_schedules"][-1]
            assert (schedule["latitude"], schedule["longitude"]) == expected
