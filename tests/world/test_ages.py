"""How old a block is, by which clock: a value that stopped coming goes after an hour, whatever the wall clock said."""

from typing import Any, Final

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant
import pytest

from tests.integration.recorded import MODEL_3, SITE_ID, VIN, RecordedReader, begin, look_again, recorded, watch

from .world import Clocks

DAY: Final = 86_400.0
BATTERY: Final = "sensor.test_battery_level"
IMPORTED: Final = "sensor.home_grid_imported_today"

STEPS: Final = [0.0, 3600.0, -3600.0, 365 * DAY, -365 * DAY, -1_794_000_000.0]
"""Seconds by which the wall clock was wrong for a while."""


def shown(hass: HomeAssistant, entity_id: str) -> str:
    """Return a state."""
    state = hass.states.get(entity_id)
    assert state is not None, [one.entity_id for one in hass.states.async_all("sensor")][:20]
    return state.state


async def looked(hass: HomeAssistant, clocks: Clocks, entry: ConfigEntry, seconds: float) -> None:
    """Let time pass, and ask for everything."""
    clocks.pass_time(seconds)
    await look_again(hass, entry)


@pytest.mark.parametrize("wrong", STEPS)
async def test_a_block_that_stops_coming_goes_after_an_hour(hass: HomeAssistant, clocks: Clocks, wrong: float) -> None:
    """It came last while the clock was wrong; after that the clock is right."""
    reader = RecordedReader({VIN: recorded(MODEL_3) | {"vin": VIN}}, {})
    entry = await watch(hass, reader)
    battery = shown(hass, BATTERY)
    assert battery.isdigit()
    clocks.step(wrong)
    await looked(hass, clocks, entry, 120)
    clocks.step(-wrong)
    charge = reader.cars[VIN].pop("charge_state")
    for _ in range(5):
        await looked(hass, clocks, entry, 600)
        assert shown(hass, BATTERY) == battery
    for _ in range(2):
        await looked(hass, clocks, entry, 600)
    assert shown(hass, BATTERY) == "unknown"
    reader.cars[VIN]["charge_state"] = charge
    await looked(hass, clocks, entry, 120)
    assert shown(hass, BATTERY) == battery


@pytest.mark.parametrize("wrong", STEPS)
async def test_a_restart_makes_no_block_younger(hass: HomeAssistant, clocks: Clocks, wrong: float) -> None:
    """It came last under a wrong clock, the entry was loaded anew, and the clock is right again: an hour at most."""
    reader = RecordedReader({VIN: recorded(MODEL_3) | {"vin": VIN}}, {})
    entry: Any = await watch(hass, reader)
    clocks.step(wrong)
    await looked(hass, clocks, entry, 120)
    reader.cars[VIN].pop("charge_state")
    await hass.config_entries.async_unload(entry.entry_id)
    clocks.step(-wrong)
    await begin(hass, entry, reader)
    for _ in range(8):
        await looked(hass, clocks, entry, 600)
    assert shown(hass, BATTERY) == "unknown"


@pytest.mark.parametrize("years", [1, 50, 500])
async def test_a_day_that_lies_ahead_does_not_hold_back_those_to_come(
    hass: HomeAssistant, clocks: Clocks, years: int
) -> None:
    """One answer with a moment that cannot be; the next is right."""

    def day(year: int, energy: float) -> dict[str, Any]:
        stretch = {"timestamp": f"{year}-11-16T08:00:00+10:00", "grid_energy_imported": energy}
        return {"time_series": [stretch]}

    reader = RecordedReader({}, {SITE_ID: "Home"})
    reader.today = day(2026, 1000)
    entry = await watch(hass, reader)
    assert float(shown(hass, IMPORTED)) == 1.0
    reader.today = day(2026 + years, 7000)
    await looked(hass, clocks, entry, 300)
    reader.today = day(2026, 1500)
    await looked(hass, clocks, entry, 300)
    assert float(shown(hass, IMPORTED)) == 1.5
