"""Watching cars in a real Home Assistant: set up whatever state they are in, polled by the rule, never woken."""

from collections import Counter
from datetime import timedelta
import logging
from pathlib import Path

from freezegun.api import FrozenDateTimeFactory
from homeassistant.components.homeassistant import SERVICE_UPDATE_ENTITY
from homeassistant.config_entries import ConfigEntry, ConfigEntryState
from homeassistant.const import ATTR_ENTITY_ID, STATE_UNAVAILABLE
from homeassistant.core import DOMAIN as HOME_ASSISTANT, HomeAssistant
from homeassistant.helpers import device_registry as dr, entity_registry as er, issue_registry as ir
from homeassistant.helpers.storage import Store
from homeassistant.setup import async_setup_component
import pytest
from pytest_homeassistant_custom_component.common import async_fire_time_changed  # type: ignore[import-untyped]

from custom_components.teslafi import async_remove_config_entry_device
from custom_components.teslafi.const import DOMAIN
from custom_components.teslafi.tesla.requests import Category
from teslafi_simulators.tesla import TeslaSimulator
from teslafi_simulators.tesla.scenario import ANNAS_MODEL_3, ANNAS_MODEL_Y, ERIKS_MODEL_S

from .owner import ANNA, ERIK, Owner

BATTERY = "sensor.roadrunner_battery_level"


async def pass_time(hass: HomeAssistant, freezer: FrozenDateTimeFactory, seconds: float, *, step: float = 30.0) -> None:
    """Let time go by in steps, with everything that is due."""
    left = seconds
    while left > 0:
        freezer.tick(timedelta(seconds=min(step, left)))
        async_fire_time_changed(hass)
        await hass.async_block_till_done(wait_background_tasks=True)
        left -= step


def asked(tesla: TeslaSimulator, vin: str) -> Counter[str]:
    """Count the requests about a car by their last word, and begin to count anew."""
    found = Counter(
        "state" if path.endswith(vin) else path.rsplit("/", 1)[-1] for _, path in tesla.state.requests if vin in path
    )
    tesla.state.requests.clear()
    return found


@pytest.fixture(autouse=True)
def _at_a_quiet_time(freezer: FrozenDateTimeFactory) -> None:
    """Stand in the middle of a month."""
    freezer.move_to("2026-11-16 12:00:00")


async def test_values_are_teslas(hass: HomeAssistant, owner: Owner) -> None:
    """What Home Assistant shows is what the simulated car says."""
    await owner.sign_in()
    car = owner.tesla.control.car(ANNAS_MODEL_3)
    state = hass.states.get(BATTERY)
    assert state is not None
    assert float(state.state) == car.data["charge_state"]["battery_level"]
    odometer = hass.states.get("sensor.roadrunner_odometer")
    assert odometer is not None
    assert float(odometer.state) == pytest.approx(car.data["vehicle_state"]["odometer"] * 1.609344, rel=1e-3)
    place = hass.states.get("device_tracker.roadrunner")
    assert place is not None
    assert place.attributes["latitude"] == car.data["drive_state"]["latitude"]


@pytest.mark.parametrize("how", ["sleep", "offline"])
async def test_setup_with_a_car_that_does_not_answer(hass: HomeAssistant, owner: Owner, how: str) -> None:
    """The entry loads, the car's state says why there is nothing else, and it is not woken."""
    for vin in (ANNAS_MODEL_3, ANNAS_MODEL_Y):
        getattr(owner.tesla.control, how)(vin)
    entry = await owner.sign_in()
    assert entry.state is ConfigEntryState.LOADED
    state = hass.states.get("sensor.roadrunner_car_state")
    assert state is not None
    assert state.state == {"sleep": "asleep", "offline": "offline"}[how]
    assert not asked(owner.tesla, ANNAS_MODEL_3)["vehicle_data"]
    assert owner.tesla.control.car(ANNAS_MODEL_3).state == state.state


async def test_setup_with_a_car_in_service(hass: HomeAssistant, owner: Owner) -> None:
    """It refuses its data; the entry loads all the same."""
    owner.tesla.control.set_values(ANNAS_MODEL_3, {"in_service": True})
    entry = await owner.sign_in()
    assert entry.state is ConfigEntryState.LOADED
    assert hass.states.get("sensor.roadrunner_car_state") is not None


async def test_last_values_after_a_restart(hass: HomeAssistant, owner: Owner, freezer: FrozenDateTimeFactory) -> None:
    """With the car asleep, and even with Tesla out of reach, the values of the last run are shown with their time."""
    entry = await owner.sign_in()
    before = {name: hass.states.get(name) for name in (BATTERY, "device_tracker.roadrunner")}
    owner.tesla.control.sleep(ANNAS_MODEL_3)
    await hass.config_entries.async_unload(entry.entry_id)
    await pass_time(hass, freezer, 3600, step=3600)
    owner.tesla.control.fault(path="*", kind="drop", times=None)
    er.async_get(hass).async_update_entity("sensor.roadrunner_data_as_of", disabled_by=None)
    await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert entry.state is ConfigEntryState.LOADED
    for name, state in before.items():
        again = hass.states.get(name)
        assert state is not None
        assert again is not None
        assert (again.state, again.attributes) == (state.state, state.attributes)
    as_of = hass.states.get("sensor.roadrunner_data_as_of")
    assert as_of is not None
    assert as_of.state == "2026-11-16T12:00:00+00:00"


async def test_a_driving_car_is_looked_at_each_two_minutes(
    hass: HomeAssistant, owner: Owner, freezer: FrozenDateTimeFactory
) -> None:
    """State each 60 s, data at the mode's pace, and the values follow."""
    await owner.sign_in()
    owner.tesla.control.drive(ANNAS_MODEL_3, miles=100, speed=60)
    asked(owner.tesla, ANNAS_MODEL_3)
    before = hass.states.get("sensor.roadrunner_odometer")
    await pass_time(hass, freezer, 600, step=10)
    count = asked(owner.tesla, ANNAS_MODEL_3)
    assert 3 <= count["vehicle_data"] <= 7
    assert 9 <= count["state"] + count["vehicle_data"] <= 16  # what a look says of the state need not be asked
    after = hass.states.get("sensor.roadrunner_odometer")
    assert before is not None
    assert after is not None
    assert float(after.state) - float(before.state) == pytest.approx(10 * 1.609344, abs=6)


async def test_an_idle_car_falls_asleep_and_is_never_woken(
    hass: HomeAssistant, owner: Owner, freezer: FrozenDateTimeFactory
) -> None:
    """An hour after parking it sleeps; a night long only the free question is asked."""
    owner.tesla.control.car(ANNAS_MODEL_3).park()
    owner.tesla.control.set_values(
        ANNAS_MODEL_3,
        {
            "vehicle_state.sentry_mode": False,
            "climate_state.is_climate_on": False,
            "climate_state.is_preconditioning": False,
        },
    )
    await owner.sign_in(energy_device_data=False)
    await pass_time(hass, freezer, 3600)
    assert owner.tesla.control.car(ANNAS_MODEL_3).state == "asleep"
    asked(owner.tesla, ANNAS_MODEL_3)
    await pass_time(hass, freezer, 8 * 3600, step=300)
    count = asked(owner.tesla, ANNAS_MODEL_3)
    assert set(count) == {"state"}
    assert owner.tesla.control.car(ANNAS_MODEL_3).state == "asleep"
    state = hass.states.get("sensor.roadrunner_car_state")
    assert state is not None
    assert state.state == "asleep"


async def test_asking_for_an_update_does_not_wake_the_car(hass: HomeAssistant, owner: Owner) -> None:
    """The owner's wish is a look at once, at what can be looked at."""
    await owner.sign_in()
    assert await async_setup_component(hass, HOME_ASSISTANT, {})
    asked(owner.tesla, ANNAS_MODEL_3)
    for name, vin in ((BATTERY, ANNAS_MODEL_3), ("sensor.snowball_car_state", ANNAS_MODEL_Y)):
        await hass.services.async_call(HOME_ASSISTANT, SERVICE_UPDATE_ENTITY, {ATTR_ENTITY_ID: name}, blocking=True)
        await hass.async_block_till_done(wait_background_tasks=True)
        assert owner.tesla.control.car(vin).state == ("online" if vin == ANNAS_MODEL_3 else "asleep")
    paths = Counter(path.rsplit("/", 1)[-1] for _, path in owner.tesla.state.requests)
    assert paths["vehicle_data"] == 1
    assert paths["wake_up"] == 0


async def test_one_lost_answer_changes_nothing(
    hass: HomeAssistant, owner: Owner, freezer: FrozenDateTimeFactory, caplog: pytest.LogCaptureFixture
) -> None:
    """Three in a row make it unavailable; one good answer brings it back. The log says each once."""
    await owner.sign_in()
    caplog.clear()
    owner.tesla.control.fault(path="*/vehicles/*", kind="status", status=503, times=None)
    await pass_time(hass, freezer, 61)
    state = hass.states.get(BATTERY)
    assert state is not None
    assert state.state != STATE_UNAVAILABLE
    await pass_time(hass, freezer, 1800, step=60)
    state = hass.states.get(BATTERY)
    assert state is not None
    assert state.state == STATE_UNAVAILABLE
    owner.tesla.control.clear_faults()
    await pass_time(hass, freezer, 1000, step=60)
    state = hass.states.get(BATTERY)
    assert state is not None
    assert state.state != STATE_UNAVAILABLE
    lines = [record for record in caplog.records if "rouble with" in record.getMessage()]
    assert [record.levelno for record in lines] == [logging.WARNING, logging.INFO]


async def test_any_values_do_no_harm(hass: HomeAssistant, owner: Owner, freezer: FrozenDateTimeFactory) -> None:
    """Wrong types make single entities unknown, and are told in the diagnostics."""
    entry = await owner.sign_in()
    owner.tesla.control.fault(
        path="*/vehicle_data",
        kind="values",
        times=None,
        values={
            "charge_state.battery_level": {"a": 1},
            "climate_state.inside_temp": "warm",
            "vehicle_state.locked": [],
        },
    )
    await entry.runtime_data.vehicles[ANNAS_MODEL_3].async_request_refresh()
    await pass_time(hass, freezer, 130)
    state = hass.states.get(BATTERY)
    assert state is not None
    assert state.state == "unknown"
    other = hass.states.get("sensor.roadrunner_battery_range")
    assert other is not None
    assert other.state not in ("unknown", STATE_UNAVAILABLE)
    coordinator = entry.runtime_data.vehicles[ANNAS_MODEL_3]
    assert set(coordinator.malformed) == {
        "charge_state.battery_level",
        "climate_state.inside_temp",
        "vehicle_state.locked",
    }


async def test_retry_after_is_kept(hass: HomeAssistant, owner: Owner, freezer: FrozenDateTimeFactory) -> None:
    """Nothing is asked about the car before Tesla allows it."""
    await owner.sign_in()
    owner.tesla.control.fault(
        path=f"*/vehicles/{ANNAS_MODEL_3}",
        kind="status",
        status=429,
        headers={"Retry-After": "1500"},
        body="Retry in 1500 seconds",
        times=1,
    )
    await pass_time(hass, freezer, 61)
    asked(owner.tesla, ANNAS_MODEL_3)
    await pass_time(hass, freezer, 1380, step=60)
    assert not asked(owner.tesla, ANNAS_MODEL_3)
    await pass_time(hass, freezer, 200)
    assert asked(owner.tesla, ANNAS_MODEL_3)


async def test_cars_come_and_go(hass: HomeAssistant, owner: Owner, freezer: FrozenDateTimeFactory) -> None:
    """A new car appears without a restart; a sold one stays until its owner removes it, or for days."""
    entry = await owner.sign_in()
    owner.tesla.garage.add("5YJ3E1EA9KF000009", str(entry.unique_id), "na", name="New one")
    await pass_time(hass, freezer, 660, step=60)
    assert hass.states.get("sensor.new_one_battery_level") is not None
    owner.tesla.garage.remove(ANNAS_MODEL_3)
    await pass_time(hass, freezer, 1320, step=60)
    assert hass.states.get(BATTERY) is not None
    registry = dr.async_get(hass)
    device = registry.async_get_device_by_identifier((DOMAIN, ANNAS_MODEL_3), entry.entry_id)
    assert device is not None
    assert await async_remove_config_entry_device(hass, entry, device)
    await hass.async_block_till_done()
    assert hass.states.get(BATTERY) is None
    assert registry.async_get_device_by_identifier((DOMAIN, ANNAS_MODEL_3), entry.entry_id) is None
    assert registry.async_get_device_by_identifier((DOMAIN, ANNAS_MODEL_Y), entry.entry_id) is not None


async def test_the_budget_is_kept(hass: HomeAssistant, owner: Owner, freezer: FrozenDateTimeFactory) -> None:
    """When it is used up, only the free question goes on, and an issue says so; a new month begins anew."""
    entry = await owner.sign_in()
    hass.config_entries.async_update_entry(entry, options={"monthly_budget": 0.01})
    owner.tesla.control.drive(ANNAS_MODEL_3, miles=1000, speed=30)
    await pass_time(hass, freezer, 7200, step=120)
    assert owner.tesla.control.counters()[ANNA]["data"] == 4  # a tenth is left to commands and wakes
    assert entry.runtime_data.vehicles[ANNAS_MODEL_3].data.cost == pytest.approx(0.008)
    issue = ir.async_get(hass).async_get_issue(DOMAIN, f"budget_reached_{entry.entry_id}")
    assert issue is not None
    freezer.move_to("2026-12-01 00:00:30")
    await pass_time(hass, freezer, 1200, step=60)
    assert owner.tesla.control.counters()[ANNA]["data"] > 4


async def test_counted_as_tesla_counts(hass: HomeAssistant, owner: Owner, freezer: FrozenDateTimeFactory) -> None:
    """Our ledger and Tesla's bill agree after an hour with faults."""
    entry = await owner.sign_in()
    owner.tesla.control.drive(ANNAS_MODEL_3, miles=1000, speed=30)
    await pass_time(hass, freezer, 600, step=60)
    owner.tesla.control.fault(path="*/vehicle_data", kind="status", status=408, times=2)
    owner.tesla.control.fault(path="*/vehicle_data", kind="status", status=500, times=2)
    await pass_time(hass, freezer, 3000, step=60)
    ours = sum(vehicle.data.requests.get(Category.DATA, 0) for vehicle in entry.runtime_data.vehicles.values())
    assert ours == owner.tesla.control.counters()[ANNA]["data"]


ISSUES = [
    ({"status": 403, "body": {"error": "account disabled: EXCEEDED_LIMIT"}}, "billing_limit_reached_{entry}"),
    ({"status": 403, "body": {"error": "Unauthorized missing scopes"}}, "scope_missing_{entry}_{vin}"),
    ({"status": 401, "body": {"error": "mobile_access_disabled"}}, "mobile_access_disabled_{entry}_{vin}"),
]


@pytest.mark.parametrize(("fault", "issue"), ISSUES)
async def test_what_the_owner_must_settle_becomes_an_issue(
    hass: HomeAssistant, owner: Owner, freezer: FrozenDateTimeFactory, fault: dict[str, object], issue: str
) -> None:
    """It is raised once and goes when Tesla answers again; nobody is asked to sign in."""
    entry = await owner.sign_in()
    issue_id = issue.format(entry=entry.entry_id, vin=ANNAS_MODEL_3)
    owner.tesla.control.fault(path="*/vehicle_data", kind="status", times=None, **fault)
    await pass_time(hass, freezer, 400, step=60)
    registry = ir.async_get(hass)
    assert registry.async_get_issue(DOMAIN, issue_id) is not None
    assert not hass.config_entries.flow.async_progress()
    owner.tesla.control.clear_faults()
    await pass_time(hass, freezer, 2400, step=60)
    assert registry.async_get_issue(DOMAIN, issue_id) is None


async def test_tesla_out_of_reach_with_nothing_known(hass: HomeAssistant, owner: Owner) -> None:
    """There is nothing to show: Home Assistant tries again by itself."""
    flow = await owner.answer(await owner.begin("token"), owner.token(ERIK))
    entry: ConfigEntry = flow["result"]
    await hass.async_block_till_done(wait_background_tasks=True)
    await hass.config_entries.async_unload(entry.entry_id)
    store = f"{DOMAIN}.last_values.{entry.entry_id}"
    await Store[dict[str, object]](hass, 1, store).async_remove()
    owner.tesla.control.fault(path="*", kind="status", status=502, times=None)
    await hass.config_entries.async_setup(entry.entry_id)
    assert entry.state is ConfigEntryState.SETUP_RETRY
    assert not hass.config_entries.flow.async_progress()
    owner.tesla.control.clear_faults()


async def test_removing_the_account_forgets_everything(hass: HomeAssistant, owner: Owner, storage: Path) -> None:
    """No grant, no last values, no file."""
    entry = await owner.sign_in()
    await hass.config_entries.async_unload(entry.entry_id)
    await hass.config_entries.async_remove(entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert not [path for path in storage.iterdir() if path.name.startswith("teslafi.")]


async def test_a_pre_2021_car(hass: HomeAssistant, owner: Owner, freezer: FrozenDateTimeFactory) -> None:
    """An old Model S, charging on three phases, in Europe."""
    await owner.sign_in(ERIK)
    await pass_time(hass, freezer, 3600, step=60)
    car = owner.tesla.control.car(ERIKS_MODEL_S)
    state = hass.states.get("sensor.oldtimer_battery_level")
    assert state is not None
    assert abs(float(state.state) - car.data["charge_state"]["battery_level"]) <= 1
    added = hass.states.get("sensor.oldtimer_charge_energy_added")
    assert added is not None
    assert float(added.state) > 3
