"""Not listed, could not ask, gone: nothing goes on the word of one list, nor because none could be had."""

from datetime import timedelta
import json
from pathlib import Path

from freezegun.api import FrozenDateTimeFactory
from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant
from homeassistant.helpers import device_registry as dr, entity_registry as er
import pytest

from custom_components.teslafi import async_remove_config_entry_device
from custom_components.teslafi.const import DOMAIN
from custom_components.teslafi.coordinators.absence import GONE_AFTER, LONGEST_STEP
from custom_components.teslafi.tesla.errors import NotFound, RateLimited, TeslaError, Unreachable
from tests.integration.recorded import MODEL_3, SITE_ID, VIN, RecordedReader, begin, recorded, watch

OTHER = "5YJ3E1EA7KF000002"


@pytest.fixture(autouse=True)
def _clock(freezer: FrozenDateTimeFactory) -> None:
    """Stand in the middle of a month."""
    freezer.move_to("2026-11-10 12:00:00")


def account_of(*cars: str) -> RecordedReader:
    """Return an account with these cars and a site."""
    return RecordedReader({vin: recorded(MODEL_3) | {"vin": vin} for vin in cars}, {SITE_ID: "Home"})


async def lists(hass: HomeAssistant, entry: ConfigEntry, freezer: FrozenDateTimeFactory, times: int) -> None:
    """Have the list asked for, every twenty minutes."""
    for _ in range(times):
        freezer.tick(timedelta(seconds=LONGEST_STEP))
        await entry.runtime_data.account.async_refresh()
    await hass.async_block_till_done()


def devices(hass: HomeAssistant, entry: ConfigEntry) -> set[str]:
    """Return the identifiers of the entry's devices."""
    known = dr.async_entries_for_config_entry(dr.async_get(hass), entry.entry_id)
    return {identifier for device in known for _, identifier in device.identifiers}


@pytest.mark.parametrize(
    "trouble",
    [None, Unreachable("down"), RateLimited(7200), NotFound("none"), TeslaError("odd")],
    ids=["empty", "unreachable", "limited", "404", "odd"],
)
async def test_nothing_goes_by_an_empty_list_or_an_outage_of_nine_days(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, trouble: TeslaError | None
) -> None:
    """Every device and entity is there afterward, and the month's ledger goes on."""
    reader = account_of(VIN, OTHER)
    entry = await watch(hass, reader)
    before = devices(hass, entry), len(er.async_entries_for_config_entry(er.async_get(hass), entry.entry_id))
    cars, sites, cost = dict(reader.cars), dict(reader.sites), entry.runtime_data.budget.cost
    assert cost > 0
    reader.cars.clear()
    reader.sites.clear()
    if trouble is not None:
        reader.troubles["products"] = trouble
    await lists(hass, entry, freezer, 9 * 72)
    reader.troubles.clear()
    reader.cars.update(cars)
    reader.sites.update(sites)
    await lists(hass, entry, freezer, 80)
    after = devices(hass, entry), len(er.async_entries_for_config_entry(er.async_get(hass), entry.entry_id))
    assert after == before
    assert set(entry.runtime_data.vehicles) == {VIN, OTHER}
    assert set(entry.runtime_data.sites) == {SITE_ID}
    assert entry.runtime_data.budget.cost >= cost


async def test_what_is_missing_for_days_goes_with_its_parts(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory
) -> None:
    """Seven days of lists with something else on them; a restart in between does not begin anew."""
    reader = account_of(VIN, OTHER)
    entry = await watch(hass, reader)
    del reader.cars[OTHER]
    reader.sites.clear()
    await lists(hass, entry, freezer, int(GONE_AFTER / LONGEST_STEP) - 10)
    assert {VIN, OTHER, str(SITE_ID), "5432"} <= devices(hass, entry)
    await hass.config_entries.async_unload(entry.entry_id)
    await begin(hass, entry, reader)
    assert {VIN, OTHER, str(SITE_ID), "5432"} <= devices(hass, entry)
    await lists(hass, entry, freezer, 13)
    assert devices(hass, entry) == {VIN}


async def test_the_ledger_outlives_its_car(hass: HomeAssistant, freezer: FrozenDateTimeFactory, storage: Path) -> None:
    """The owner removes a car that was sold: what its requests cost is spent, also after a restart."""
    reader = account_of(VIN, OTHER)
    entry = await watch(hass, reader)
    spent = entry.runtime_data.budget.cost
    del reader.cars[OTHER]
    await lists(hass, entry, freezer, 1)
    registry = dr.async_get(hass)
    device = registry.async_get_device_by_identifier((DOMAIN, OTHER), entry.entry_id)
    assert device is not None
    assert await async_remove_config_entry_device(hass, entry, device)
    await hass.async_block_till_done()
    assert set(entry.runtime_data.vehicles) == {VIN}
    assert entry.runtime_data.budget.cost >= spent
    spent = entry.runtime_data.budget.cost
    await hass.config_entries.async_unload(entry.entry_id)
    kept = json.loads((storage / f"{DOMAIN}.last_values.{entry.entry_id}").read_text())
    assert OTHER not in json.dumps(kept["data"]["vehicles"])
    reader.trouble = Unreachable("down")
    await begin(hass, entry, reader)
    assert entry.runtime_data.budget.cost == pytest.approx(spent)


async def test_the_owner_removes_only_what_is_not_listed(hass: HomeAssistant, freezer: FrozenDateTimeFactory) -> None:
    """What could not be asked for is not known to be gone."""
    reader = account_of(VIN, OTHER)
    entry = await watch(hass, reader)
    registry = dr.async_get(hass)

    async def may_remove(identifier: str) -> bool:
        device = registry.async_get_device_by_identifier((DOMAIN, identifier), entry.entry_id)
        assert device is not None
        return await async_remove_config_entry_device(hass, entry, device)

    assert [await may_remove(key) for key in (VIN, OTHER, str(SITE_ID), "5432")] == [False] * 4
    reader.trouble = Unreachable("down")
    await hass.config_entries.async_unload(entry.entry_id)
    await begin(hass, entry, reader)
    assert [await may_remove(key) for key in (VIN, OTHER, str(SITE_ID), "5432")] == [False] * 4
    reader.trouble = None
    del reader.cars[OTHER]
    reader.sites.clear()
    await lists(hass, entry, freezer, 1)
    assert [await may_remove(key) for key in (VIN, OTHER, str(SITE_ID))] == [False, True, True]
    assert devices(hass, entry) == {VIN}
    reader.cars[OTHER] = recorded(MODEL_3) | {"vin": OTHER}
    await lists(hass, entry, freezer, 1)
    assert devices(hass, entry) == {VIN, OTHER}


async def test_sites_are_there_after_a_restart_in_an_outage(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory
) -> None:
    """Their entities exist and are unavailable; they come back within the site's own waits, not the list's."""
    reader = account_of(VIN)
    entry = await watch(hass, reader)
    before = set(hass.states.async_entity_ids())
    await hass.config_entries.async_unload(entry.entry_id)
    reader.trouble = Unreachable("down")
    await begin(hass, entry, reader)
    assert set(hass.states.async_entity_ids()) == before
    power = hass.states.get("sensor.home_solar_power")
    assert power is not None
    assert power.state == "unavailable"
    reader.trouble = None
    freezer.tick(timedelta(seconds=90))
    await entry.runtime_data.sites[SITE_ID].async_refresh()
    power = hass.states.get("sensor.home_solar_power")
    assert power is not None
    assert power.state == "16.176"


async def test_vins_are_compared_in_one_form(hass: HomeAssistant) -> None:
    """The reader's keys are upper case without blanks; what 0.1.0 stored is read alike."""
    from custom_components.teslafi.storage.last_values import Stored  # noqa: PLC0415

    stored = Stored.from_json({"vehicles": {f" {VIN.lower()} ": {"state": "asleep"}}, "sites": {"²": {}, "7": 1}})
    assert set(stored.vehicles) == {VIN}
    assert set(stored.sites) == {7}
