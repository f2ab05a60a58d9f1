"""Cars that live by themselves, the same days for the same seed."""

import json

import pytest

from teslafi_simulators.tesla import ManualClock, TeslaSimulator
from teslafi_simulators.tesla.cars.car import State
from teslafi_simulators.tesla.scenario import ANNAS_MODEL_3, ANNAS_MODEL_Y, ERIKS_MODEL_S

NOON = 1_795_435_200.0


def fortnight(seed: int | None) -> tuple[str, set[str]]:
    """Look at Anna's cars every ten minutes for two weeks; return what they say in the end, and what they did."""
    clock = ManualClock(NOON)
    tesla = TeslaSimulator(clock=clock, seed=seed)
    did = set()
    for _ in range(14 * 24 * 6):
        clock.advance(600)
        for vin in (ANNAS_MODEL_3, ANNAS_MODEL_Y):
            car = tesla.control.car(vin)
            did.add("drive" if car.drive else "charge" if car.charge else car.state.value)
    said = [tesla.control.car(vin).data for vin in (ANNAS_MODEL_3, ANNAS_MODEL_Y)]
    return json.dumps(said), did


def test_the_same_seed_gives_the_same_days() -> None:
    first, did = fortnight(1)
    assert fortnight(1) == (first, did)
    assert fortnight(2)[0] != first
    assert did == {"drive", "charge", "online", "asleep"}


def test_without_a_seed_cars_do_what_they_are_told() -> None:
    """The drive that the scenario begins with ends, and then nothing happens."""
    clock = ManualClock(NOON)
    tesla = TeslaSimulator(clock=clock)
    clock.advance(6 * 3600)
    odometer = tesla.control.car(ANNAS_MODEL_3).data["vehicle_state"]["odometer"]
    clock.advance(14 * 24 * 3600)
    car = tesla.control.car(ANNAS_MODEL_3)
    assert (car.drive, car.charge) == (None, None)
    assert car.data["vehicle_state"]["odometer"] == odometer


@pytest.mark.parametrize("asked", [True, False])
def test_an_old_car_sleeps_only_where_nobody_asks_for_its_data(*, asked: bool) -> None:
    """A Model S of before 2021 needs no signed commands; polling keeps it awake as it does every car."""
    clock = ManualClock(NOON)
    tesla = TeslaSimulator(clock=clock)
    tesla.control.unplug(ERIKS_MODEL_S)
    tesla.control.park(ERIKS_MODEL_S)
    car = tesla.control.car(ERIKS_MODEL_S)
    for _ in range(12):
        clock.advance(300)
        tesla.control.car(ERIKS_MODEL_S)
        if asked:
            car.touch()
    assert car.signing == "off"
    assert car.state is (State.ONLINE if asked else State.ASLEEP)
