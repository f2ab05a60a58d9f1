"""The polling rule in a real Home Assistant: ages of blocks, commands beside looks, hints, wishes, restarts, a week."""

from collections import Counter
from datetime import timedelta
import os
from random import Random
import time
from typing import Any

from freezegun.api import FrozenDateTimeFactory
from homeassistant.const import ATTR_DEVICE_ID, ATTR_UNIT_OF_MEASUREMENT, EVENT_STATE_CHANGED, STATE_UNKNOWN
from homeassistant.core import Event, EventStateChangedData, HomeAssistant, callback
from homeassistant.helpers import device_registry as dr, entity_registry as er
import pytest

from custom_components.teslafi.const import CONF_HINTS, DOMAIN
from custom_components.teslafi.coordinators.vehicle import VehicleCoordinator
from custom_components.teslafi.polling.observation import Reason
from custom_components.teslafi.sensor import AWAKE_BECAUSE
from custom_components.teslafi.tesla.errors import RateLimited
from custom_components.teslafi.tesla.requests import Category
from custom_components.teslafi.tesla.snapshot import CarState
from teslafi_simulators.tesla.cars.routine import Routine
from teslafi_simulators.tesla.scenario import ANNAS_MODEL_3, ANNAS_MODEL_Y
from tests.integration.owner import Owner
from tests.integration.recorded import MODEL_3, VIN, RecordedReader, watch_car
from tests.integration.test_watching import asked, pass_time


@pytest.fixture(autouse=True)
def _at_a_quiet_time(freezer: FrozenDateTimeFactory) -> None:
    """Stand in the middle of a month."""
    freezer.move_to("2026-11-16 12:00:00")


async def look(hass: HomeAssistant, freezer: FrozenDateTimeFactory, car: VehicleCoordinator, seconds: float) -> None:
    """Let time pass, and look."""
    freezer.tick(seconds)
    car.want_look()
    await car.async_refresh()
    await hass.async_block_till_done()


async def watched_car(hass: HomeAssistant) -> tuple[VehicleCoordinator, RecordedReader]:
    """Watch one recorded car."""
    entry, reader = await watch_car(hass, MODEL_3)
    return entry.runtime_data.vehicles[VIN], reader


async def test_a_block_that_stops_coming_becomes_unknown(hass: HomeAssistant, freezer: FrozenDateTimeFactory) -> None:
    """Not at once, but after an hour of answers without it; the others go on, and it may come again."""
    car, reader = await watched_car(hass)
    climate = reader.cars[VIN].pop("climate_state")
    await look(hass, freezer, car, 1800)
    assert car.data.snapshot.climate_state.inside_temp is not None
    await look(hass, freezer, car, 1900)
    assert car.data.snapshot.climate_state.inside_temp is None
    assert car.data.snapshot.charge_state.battery_level == 77
    assert hass.states.get("sensor.test_inside_temperature").state == STATE_UNKNOWN
    reader.cars[VIN]["climate_state"] = climate
    await look(hass, freezer, car, 60)
    assert car.data.snapshot.climate_state.inside_temp is not None


async def test_what_a_block_said_long_ago_decides_nothing(hass: HomeAssistant, freezer: FrozenDateTimeFactory) -> None:
    """A drive that was seen once does not go on for ever when drive_state stops coming: neither money nor a reason."""
    car, reader = await watched_car(hass)
    reader.cars[VIN]["drive_state"]["shift_state"] = "D"
    await look(hass, freezer, car, 60)
    assert car.data.awake_because is Reason.DRIVING
    del reader.cars[VIN]["drive_state"]
    await look(hass, freezer, car, 60)
    assert car.data.awake_because is not Reason.DRIVING


async def test_the_date_of_the_data_moves_only_when_something_came(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory
) -> None:
    """An answer without any block says nothing, and is not asked for each minute."""
    car, reader = await watched_car(hass)
    before = car.data.data_at
    for block in [name for name, value in reader.cars[VIN].items() if isinstance(value, dict)]:
        del reader.cars[VIN][block]
    await look(hass, freezer, car, 600)
    assert reader.asked["data"] == 2
    assert car.data.data_at == before
    await look(hass, freezer, car, 60)
    assert reader.asked["data"] == 2


async def test_a_look_under_way_brings_no_older_values_back(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A command ends while a look is on its way: what it set stays until a question asked later says otherwise."""
    car, reader = await watched_car(hass)
    ask = reader.vehicle_data

    async def slow(vin: str, count: Any) -> Any:  # noqa: ANN401 - as the reader's
        answer = await ask(vin, count)
        freezer.tick(2)
        car.assume({"charge_state.charge_limit_soc": 55})
        return answer

    monkeypatch.setattr(reader, "vehicle_data", slow)
    await look(hass, freezer, car, 60)
    assert car.data.snapshot.charge_state.charge_limit_soc == 55
    assert car.last_values.snapshot.charge_state.charge_limit_soc != 55
    monkeypatch.setattr(reader, "vehicle_data", ask)
    reader.cars[VIN]["charge_state"]["charge_limit_soc"] = 60
    await look(hass, freezer, car, 60)
    assert car.data.snapshot.charge_state.charge_limit_soc == 60


@pytest.mark.parametrize("word", ["hibernating", "", None, 5, ["online"]])
async def test_a_state_that_says_nothing_is_trouble(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    word: object,
) -> None:
    """It is asked less and less often, not at once again; nobody takes the last state for the present one."""
    car, reader = await watched_car(hass)
    reader.cars[VIN]["state"] = word
    reader.asked.clear()
    await pass_time(hass, freezer, 900, step=5)
    assert 3 <= reader.asked["state"] <= 6
    assert not car.reachable
    reader.cars[VIN]["state"] = "online"
    await pass_time(hass, freezer, 900)
    assert car.reachable
    assert car.data.state is CarState.ONLINE


async def test_a_hint_brings_a_look(hass: HomeAssistant, owner: Owner, freezer: FrozenDateTimeFactory) -> None:
    """A garage door, a person, a plug's power across a hundred watts; not what is merely unavailable."""
    entry = await owner.sign_in()
    owner.tesla.control.set_values(ANNAS_MODEL_3, {"vehicle_state.sentry_mode": True})
    names = ["cover.garage", "person.anna", "sensor.plug"]
    watts = {ATTR_UNIT_OF_MEASUREMENT: "W"}
    for name, state in zip(names, ("closed", "home", "3"), strict=True):
        hass.states.async_set(name, state, watts if name == "sensor.plug" else {})
    hass.config_entries.async_update_entry(entry, options={CONF_HINTS: names})
    await hass.async_block_till_done()
    car = entry.runtime_data.vehicles[ANNAS_MODEL_3]
    for name, state, looks in (
        ("cover.garage", "open", True),
        ("person.anna", "unavailable", False),
        ("sensor.plug", "80", False),
        ("sensor.plug", "2300", True),
    ):
        freezer.tick(4 * 3600)
        before = car.polling.hinted_at
        asked(owner.tesla, ANNAS_MODEL_3)
        hass.states.async_set(name, state, watts if name == "sensor.plug" else {})
        await hass.async_block_till_done(wait_background_tasks=True)
        assert (car.polling.hinted_at != before) is looks, (name, state)
        assert asked(owner.tesla, ANNAS_MODEL_3)["vehicle_data"] > 0 or not looks
        assert owner.tesla.control.car(ANNAS_MODEL_Y).state == "asleep"


async def test_look_now(hass: HomeAssistant, owner: Owner, freezer: FrozenDateTimeFactory) -> None:
    """An action; a car that sleeps is not woken."""
    entry = await owner.sign_in()
    registry = dr.async_get(hass)
    for vin, looks in ((ANNAS_MODEL_3, 1), (ANNAS_MODEL_Y, 0)):
        device = registry.async_get_device_by_identifier((DOMAIN, vin), entry.entry_id)
        assert device is not None
        freezer.tick(60)
        asked(owner.tesla, vin)
        await hass.services.async_call(DOMAIN, "look_now", {ATTR_DEVICE_ID: device.id}, blocking=True)
        await hass.async_block_till_done(wait_background_tasks=True)
        count = asked(owner.tesla, vin)
        assert (count["vehicle_data"], count["wake_up"]) == (looks, 0)
    assert owner.tesla.control.car(ANNAS_MODEL_Y).state == "asleep"


async def test_what_is_learnt_and_waited_for_outlasts_a_restart(
    hass: HomeAssistant, owner: Owner, freezer: FrozenDateTimeFactory
) -> None:
    """A restart is no reason to ask again what was refused."""
    entry = await owner.sign_in()
    owner.tesla.control.fault(path="*/vehicle_data", kind="status", status=403, body={"error": "no"}, times=None)
    owner.tesla.control.set_values(ANNAS_MODEL_3, {"vehicle_state.is_user_present": True})
    await pass_time(hass, freezer, 3600, step=60)
    car = entry.runtime_data.vehicles[ANNAS_MODEL_3]
    failures, learnt = car.polling.data_backoff.failures, car.polling.learnt
    assert failures >= 5
    asked(owner.tesla, ANNAS_MODEL_3)
    for _ in range(5):
        await hass.config_entries.async_reload(entry.entry_id)
        await pass_time(hass, freezer, 60)
    again = entry.runtime_data.vehicles[ANNAS_MODEL_3].polling
    assert again.learnt == learnt
    assert again.data_backoff.failures - failures <= 1
    assert asked(owner.tesla, ANNAS_MODEL_3)["vehicle_data"] <= 1


async def test_sensors_tell_why_and_how_long(hass: HomeAssistant, owner: Owner, freezer: FrozenDateTimeFactory) -> None:
    """Polling, awake because, asleep today."""
    entry = await owner.sign_in()
    for name in ("roadrunner", "snowball"):
        for key in ("polling", "asleep_today"):
            er.async_get(hass).async_update_entity(f"sensor.{name}_{key}", disabled_by=None)
    await hass.config_entries.async_reload(entry.entry_id)
    await pass_time(hass, freezer, 1800, step=60)
    shown = {
        (name, key): hass.states.get(f"sensor.{name}_{key}").state  # type: ignore[union-attr]
        for name in ("roadrunner", "snowball")
        for key in ("polling", "awake_because", "asleep_today")
    }
    assert shown["snowball", "awake_because"] == "nothing"
    assert shown["snowball", "asleep_today"] == "100"
    assert shown["roadrunner", "polling"] == "full"
    assert shown["roadrunner", "awake_because"] in AWAKE_BECAUSE.values()


async def test_falling_asleep_is_one_line_of_the_activity(hass: HomeAssistant, freezer: FrozenDateTimeFactory) -> None:
    """The car's state tells of it; that nothing keeps it awake was told before."""
    car, reader = await watched_car(hass)
    reader.cars[VIN]["climate_state"] |= {"climate_keeper_mode": "off", "is_climate_on": False}
    await look(hass, freezer, car, 60)
    await look(hass, freezer, car, 60)
    awake_because = hass.states.get("sensor.test_awake_because")
    assert awake_because is not None
    assert awake_because.state == "nothing"
    changed: list[str] = []

    @callback
    def note(event: Event[EventStateChangedData]) -> None:
        old, new = event.data["old_state"], event.data["new_state"]
        if old is not None and new is not None and old.state != new.state:
            changed.append(event.data["entity_id"])

    hass.bus.async_listen(EVENT_STATE_CHANGED, note)
    reader.cars[VIN]["state"] = "asleep"
    await look(hass, freezer, car, 60)
    assert changed == ["sensor.test_car_state"]
    reader.cars[VIN]["state"] = "online"
    await look(hass, freezer, car, 3600)
    assert set(changed) == {"sensor.test_car_state", "sensor.test_awake_because"}


def why_awake(hass: HomeAssistant) -> str:
    """Return what the sensor of Anna's car says."""
    state = hass.states.get("sensor.roadrunner_awake_because")
    assert state is not None
    return state.state


async def test_another_reader_of_a_car_is_told_and_not_counted(
    hass: HomeAssistant, owner: Owner, freezer: FrozenDateTimeFactory
) -> None:
    """A second client reads the car each five minutes, then far too often: unknown at first, then another app."""
    entry = await owner.sign_in()
    nothing = {"vehicle_state.sentry_mode": False, "climate_state.is_climate_on": False}
    owner.tesla.control.set_values(ANNAS_MODEL_3, nothing)
    car, reader = entry.runtime_data.vehicles[ANNAS_MODEL_3], entry.runtime_data.account.reader
    theirs: list[Category] = []

    async def share(minutes: int) -> None:
        for minute in range(minutes):
            if minute % 5 == 0:
                await reader.vehicle_data(ANNAS_MODEL_3, theirs.append)
            await pass_time(hass, freezer, 60, step=60)

    async def crowd() -> None:
        for _ in range(70):
            await reader.vehicle_data(ANNAS_MODEL_3, theirs.append)

    await pass_time(hass, freezer, 3600, step=300)
    await share(60)
    assert why_awake(hass) == "unexplained"
    with pytest.raises(RateLimited):
        await crowd()
    await car.async_request_refresh()
    await hass.async_block_till_done(wait_background_tasks=True)
    assert car.polling.crowded_at is not None
    assert why_awake(hass) == "another_app"
    asked_of_tesla = owner.tesla.control.counters()["anna@example.com"]["data"]
    assert car.ledger.counts(time.time())[Category.DATA] == asked_of_tesla - len(theirs)


@pytest.mark.slow
async def test_days_with_five_cars_are_counted_as_tesla_counts(
    hass: HomeAssistant, owner: Owner, freezer: FrozenDateTimeFactory
) -> None:
    """By category, and far from what would be too much: a Friday and a Saturday, or a week (`script/chaos week`)."""
    days = int(os.environ.get("TESLAFI_CHAOS_DAYS", "2"))
    freezer.move_to("2026-11-20 06:00:00")
    email = "fleet@example.com"
    owner.tesla.control.add_account(email, cars=5)
    account = owner.tesla.accounts.by_email(email)
    assert account is not None
    cars = owner.tesla.garage.of(account.sub)
    for number, car in enumerate(cars):
        car.behaviors.insert(0, Routine(Random(number), car))  # noqa: S311 - a day's plan is no secret
    entry = await owner.sign_in(email)
    left = timedelta(days=days).total_seconds()
    while left > 0:
        step = 600 if all(car.state == "asleep" for car in cars) else 120
        await pass_time(hass, freezer, step, step=step)
        left -= step
    ledger: Counter[str] = Counter()
    for vehicle in entry.runtime_data.vehicles.values():
        ledger.update(vehicle.data.requests)
    theirs = owner.tesla.control.counters()[email]
    assert ledger[Category.DATA] == theirs["data"] > 100
    assert ledger[Category.WAKE] == theirs.get("wake", 0) == 0
    assert ledger[Category.COMMAND] == theirs.get("command", 0) == 0
    assert ledger[Category.DATA] / 5 / days * 0.002 * 30 < 3.5
