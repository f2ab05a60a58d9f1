"""Binary sensors of recorded cars, in a real Home Assistant."""

from homeassistant.const import STATE_OFF, STATE_ON, STATE_UNKNOWN
from homeassistant.core import HomeAssistant
import pytest

from tests.integration.recorded import (
    MODEL_3,
    MODEL_3_WITHOUT_PLACE,
    MODEL_S_CHARGING,
    VIN,
    look_again,
    watch_car,
)
from tests.integration.test_sensor import shown


def yes(hass: HomeAssistant, key: str) -> str | None:
    """Return the state of the car's binary sensor."""
    return shown(hass, key, "binary_sensor")


async def test_a_door_ajar_is_open(hass: HomeAssistant) -> None:
    """Recorded with the driver's door open."""
    await watch_car(hass, MODEL_S_CHARGING, every_entity=True)
    assert yes(hass, "vehicle_state_df") == STATE_ON
    assert yes(hass, "vehicle_state_pf") == STATE_OFF


@pytest.mark.parametrize("position", [1, 2, 32])
async def test_any_position_but_zero_is_open(hass: HomeAssistant, position: int) -> None:
    """Boots send 32, windows 1 or 2."""
    entry, reader = await watch_car(hass, MODEL_3, every_entity=True)
    assert yes(hass, "vehicle_state_rt") == STATE_OFF
    reader.cars[VIN]["vehicle_state"] |= {"rt": position, "fd_window": position}
    await look_again(hass, entry)
    assert yes(hass, "vehicle_state_rt") == STATE_ON
    assert yes(hass, "vehicle_state_fd_window") == STATE_ON


async def test_the_lock_is_on_when_the_car_is_unlocked(hass: HomeAssistant) -> None:
    """Home Assistant's class `lock` is on when it is open."""
    entry, reader = await watch_car(hass, MODEL_3_WITHOUT_PLACE)
    assert yes(hass, "vehicle_state_locked") == STATE_OFF
    reader.cars[VIN]["vehicle_state"]["locked"] = False
    await look_again(hass, entry)
    assert yes(hass, "vehicle_state_locked") == STATE_ON
    reader.cars[VIN]["vehicle_state"]["locked"] = None
    await look_again(hass, entry)
    assert yes(hass, "vehicle_state_locked") == STATE_UNKNOWN


@pytest.mark.parametrize(
    ("cable", "charging_state", "plugged_in", "charging"),
    [
        ("IEC", "Charging", STATE_ON, STATE_ON),
        ("IEC", "Stopped", STATE_ON, STATE_OFF),
        ("<invalid>", "Disconnected", STATE_OFF, STATE_OFF),
        ("<invalid>", "NoPower", STATE_ON, STATE_OFF),
        (None, None, STATE_UNKNOWN, STATE_UNKNOWN),
        ("<invalid>", "Levitating", STATE_UNKNOWN, STATE_UNKNOWN),
    ],
)
async def test_cable_and_charging(
    hass: HomeAssistant, cable: str | None, charging_state: str | None, plugged_in: str, charging: str
) -> None:
    """Both from the charging state, and the cable from its kind where that is told."""
    entry, reader = await watch_car(hass, MODEL_3, every_entity=True)
    reader.cars[VIN]["charge_state"] |= {"conn_charge_cable": cable, "charging_state": charging_state}
    await look_again(hass, entry)
    assert yes(hass, "charge_state_conn_charge_cable") == plugged_in
    assert yes(hass, "charge_state_charging_state") == charging


async def test_recording_is_one_of_several_states_of_the_dashcam(hass: HomeAssistant) -> None:
    """`<invalid>` is unknown, not off."""
    entry, reader = await watch_car(hass, MODEL_3, every_entity=True)
    assert yes(hass, "vehicle_state_dashcam_state") == STATE_ON
    reader.cars[VIN]["vehicle_state"]["dashcam_state"] = "Unavailable"
    await look_again(hass, entry)
    assert yes(hass, "vehicle_state_dashcam_state") == STATE_OFF
    reader.cars[VIN]["vehicle_state"]["dashcam_state"] = "<invalid>"
    await look_again(hass, entry)
    assert yes(hass, "vehicle_state_dashcam_state") == STATE_UNKNOWN


async def test_a_car_that_fell_asleep_is_not_online_and_keeps_its_values(hass: HomeAssistant) -> None:
    """Last values stay."""
    entry, _ = await watch_car(hass, MODEL_3, every_entity=True)
    coordinator = entry.runtime_data.vehicles[VIN]
    assert yes(hass, "state") == STATE_ON
    data = coordinator.data
    coordinator.async_set_updated_data(
        type(data)(type(data.state)("asleep"), data.snapshot, data.data_at, data.contact_at, data.requests, data.cost)
    )
    assert yes(hass, "state") == STATE_OFF
    assert shown(hass, "state") == "asleep"
    assert shown(hass, "charge_state_battery_level") == "77"
