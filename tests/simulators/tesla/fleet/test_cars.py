"""Simulated cars keep the laws of physics, and of Tesla's shapes."""

from hypothesis import given, strategies as st
import pytest

from teslafi_simulators.tesla.cars.car import Car, State, Supply
from teslafi_simulators.tesla.cars.garage import MODERN, OLD, RIGHT_HAND, sample

NOW = 1_795_435_200.0


def car(model: str = MODERN) -> Car:
    """Return a parked, idle car."""
    made = Car(vin="5YJ3E1EA7KF000001", number=1, region="na", owner="a", data=sample(model), now=NOW)
    made.data["climate_state"]["is_climate_on"] = False
    made.data["vehicle_state"]["sentry_mode"] = False
    return made


HAPPENINGS = st.lists(
    st.tuples(
        st.sampled_from(["drive", "park", "one", "three", "direct", "unplug", "wait", "look"]), st.floats(1, 7200)
    ),
    max_size=12,
)


@given(history=HAPPENINGS, model=st.sampled_from([MODERN, RIGHT_HAND, OLD]))
def test_laws_that_hold_always(history: list[tuple[str, float]], model: str) -> None:
    """Charge stays between empty and full, energy comes from a charger alone, the odometer never runs backwards."""
    one = car(model)
    actions = {
        "drive": one.start_drive,
        "park": one.park,
        "one": lambda: one.plug_in(Supply.SINGLE_PHASE),
        "three": lambda: one.plug_in(Supply.THREE_PHASE),
        "direct": lambda: one.plug_in(Supply.DIRECT),
        "unplug": one.unplug,
        "wait": lambda: None,
        "look": one.touch,
    }
    for name, seconds in history:
        actions[name]()
        charging = one.charge is not None
        soc, odometer = one.soc, one.data["vehicle_state"]["odometer"]
        one.advance(one.now + seconds)
        assert 0 <= one.soc <= 100
        assert charging or one.soc <= soc
        assert one.data["vehicle_state"]["odometer"] >= odometer
        assert (one.data["drive_state"]["shift_state"] is None) == (one.drive is None) or one.state is not State.ONLINE


def test_an_idle_car_falls_asleep_unless_looked_at() -> None:
    one = car()
    for _ in range(20):
        one.advance(one.now + 300)
        one.touch()
    states = [one.state]
    one.advance(one.now + 900)
    assert [*states, one.state] == [State.ONLINE, State.ASLEEP]


def test_a_sleeping_cars_values_stand_still() -> None:
    one = car()
    one.advance(NOW + 3600)
    before = one.data["charge_state"]["timestamp"]
    one.advance(NOW + 7200)
    assert one.data["charge_state"]["timestamp"] == before


@pytest.mark.parametrize(
    ("supply", "power", "phases"),
    [(Supply.SINGLE_PHASE, 3.7, 1), (Supply.THREE_PHASE, 11, 2), (Supply.DIRECT, 90, None)],
)
def test_charging(supply: Supply, power: float, phases: int | None) -> None:
    """An hour's energy is the power's; three phases read 2; direct current has none."""
    one = car()
    one.set_value("charge_state.battery_level", 20)
    one.set_value("charge_state.charge_current_request", 16)
    one.plug_in(supply)
    one.advance(NOW + 600)
    charge = one.data["charge_state"]
    assert charge["charging_state"] == "Charging"
    assert charge["charger_phases"] == phases
    assert charge["fast_charger_present"] is (supply is Supply.DIRECT)
    assert charge["charge_energy_added"] == pytest.approx((one.soc - 20) / 100 * one.capacity, abs=0.01)
    assert charge["charger_power"] >= power * 0.9


def test_a_charge_ends_at_its_limit() -> None:
    one = car()
    one.plug_in(Supply.DIRECT)
    one.advance(NOW + 6 * 3600)
    charge = one.data["charge_state"]
    assert charge["charging_state"] == "Complete"
    assert charge["battery_level"] == charge["charge_limit_soc"]
    assert charge["minutes_to_full_charge"] == 0


def test_a_drive_arrives() -> None:
    one = car()
    before, level = one.data["vehicle_state"]["odometer"], one.soc
    one.start_drive(miles=10, speed=60)
    one.advance(NOW + 120)
    drive = one.data["drive_state"]
    assert (drive["shift_state"], drive["speed"]) == ("D", 60)
    assert drive["active_route_miles_to_arrival"] == pytest.approx(8, abs=0.1)
    one.advance(NOW + 900)
    drive = one.data["drive_state"]
    assert (drive["shift_state"], drive["speed"]) == (None, None)
    assert "active_route_destination" not in drive
    assert one.data["vehicle_state"]["odometer"] == pytest.approx(before + 10, abs=0.01)
    assert level - one.soc == pytest.approx(10 * 0.27 / 75 * 100, abs=0.01)


def test_a_supply_that_fails() -> None:
    """Plugged in, no power: the word of Tesla's for it."""
    one = car()
    one.plug_in(Supply.SINGLE_PHASE)
    one.advance(NOW + 60)
    one.lose_power()
    charge = one.data["charge_state"]
    assert (charge["charging_state"], charge["charger_power"], charge["charge_port_door_open"]) == ("NoPower", 0, True)
