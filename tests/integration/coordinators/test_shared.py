"""A car or site that two accounts of one Home Assistant hold: one entry has it, the other says so and takes over."""

from dataclasses import replace
from datetime import timedelta
import logging

from freezegun.api import FrozenDateTimeFactory
from homeassistant.config_entries import ConfigEntryDisabler
from homeassistant.core import HomeAssistant
from homeassistant.helpers import device_registry as dr, entity_registry as er, issue_registry as ir
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry  # type: ignore[import-untyped]

from custom_components.teslafi.const import DOMAIN
from custom_components.teslafi.coordinators.absence import LONGEST_STEP
from custom_components.teslafi.tesla.grant import SCOPE_ENERGY
from tests.integration.recorded import MODEL_3, SITE_ID, VIN, RecordedReader, begin, recorded

BATTERY = "sensor.home_battery_power"


@pytest.fixture(autouse=True)
def _clock(freezer: FrozenDateTimeFactory) -> None:
    """Stand in the middle of a month."""
    freezer.move_to("2026-11-16 12:00:00")


class Household:
    """Two entries of one Home Assistant whose accounts both hold a car and a site."""

    def __init__(self, hass: HomeAssistant, freezer: FrozenDateTimeFactory) -> None:
        """Have both accounts list the same."""
        self.hass = hass
        self.freezer = freezer
        self.readers = [RecordedReader({VIN: recorded(MODEL_3) | {"vin": VIN}}, {SITE_ID: "Home"}) for _ in range(2)]
        self.entries = [
            MockConfigEntry(domain=DOMAIN, unique_id=f"account-{name}", title=name) for name in ("Erik", "Zoe")
        ]

    async def begin(self, which: int) -> None:
        """Set up one entry."""
        entry = self.entries[which]
        if self.hass.config_entries.async_get_entry(entry.entry_id) is None:
            entry.add_to_hass(self.hass)
        await begin(self.hass, entry, self.readers[which])

    async def lists(self, which: int, times: int = 1) -> None:
        """Have an account's list asked for."""
        for _ in range(times):
            self.freezer.tick(timedelta(seconds=LONGEST_STEP))
            await self.entries[which].runtime_data.account.async_refresh()
        await self.hass.async_block_till_done()

    def watched(self, which: int) -> set[str]:
        """Return what an entry watches."""
        data = self.entries[which].runtime_data
        return {*data.vehicles, *map(str, data.sites)}

    def said(self) -> set[str]:
        """Return the ids of the issues that say that another has it."""
        return {issue_id for domain, issue_id in ir.async_get(self.hass).issues if issue_id.startswith("shared_")}

    def ids(self) -> set[tuple[str, str]]:
        """Return unique ids with the ids of their entities."""
        registry = er.async_get(self.hass)
        return {
            (known.unique_id, known.entity_id)
            for entry in self.entries
            for known in er.async_entries_for_config_entry(registry, entry.entry_id)
        }

    def owners(self) -> set[str]:
        """Return whose entry the devices of the car and the site belong to."""
        registry = dr.async_get(self.hass)
        return {entry.title for entry in self.entries if dr.async_entries_for_config_entry(registry, entry.entry_id)}


@pytest.fixture
async def household(hass: HomeAssistant, freezer: FrozenDateTimeFactory) -> Household:
    """Return a household whose first entry is set up, then the second."""
    both = Household(hass, freezer)
    await both.begin(0)
    await both.begin(1)
    return both


BOTH = {VIN, str(SITE_ID)}


async def test_one_has_it_and_the_other_says_so(household: Household, caplog: pytest.LogCaptureFixture) -> None:
    """Nothing is refused, moved or asked twice."""
    assert [household.watched(0), household.watched(1)] == [BOTH, set()]
    assert household.owners() == {"Erik"}
    assert household.said() == {f"shared_{household.entries[1].entry_id}_{key}" for key in BOTH}
    assert set(household.readers[1].asked) == {"products", "products "}
    assert not [record for record in caplog.records if "unique" in record.getMessage()]
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
async def test_a_restart_changes_nothing_whichever_loads_first(household: Household, order: tuple[int, int]) -> None:
    """Whose entities the registry has is whose car it is."""
    before = household.ids()
    for entry in household.entries:
        await household.hass.config_entries.async_unload(entry.entry_id)
    household.hass.data.pop(f"{DOMAIN}_holders")
    for which in order:
        await household.begin(which)
    assert [household.watched(0), household.watched(1)] == [BOTH, set()]
    assert household.ids() == before
    assert household.owners() == {"Erik"}


@pytest.mark.parametrize("how", ["removed", "disabled"])
async def test_the_other_takes_over_when_the_first_goes(household: Household, how: str) -> None:
    """With the same entities, without a reload, and nothing left to say."""
    before = household.ids()
    entry_id = household.entries[0].entry_id
    if how == "removed":
        await household.hass.config_entries.async_remove(entry_id)
    else:
        await household.hass.config_entries.async_set_disabled_by(entry_id, ConfigEntryDisabler.USER)
    await household.hass.async_block_till_done()
    assert household.watched(1) == BOTH
    assert household.said() == set()
    assert household.ids() == before
    state = household.hass.states.get(BATTERY)
    assert state is not None
    assert state.state != "unavailable"


async def test_the_other_takes_over_what_is_unlisted(household: Household) -> None:
    """Not by one list, but after an hour; when it comes back, it stays where it is now."""
    before = household.ids()
    reader = household.readers[0]
    cars = dict(reader.cars)
    reader.cars.clear()
    await household.lists(0, 2)
    assert household.watched(1) == set()
    await household.lists(0, 3)
    assert [household.watched(0), household.watched(1)] == [{str(SITE_ID)}, {VIN}]
    assert household.ids() == before
    reader.cars.update(cars)
    await household.lists(0, 2)
    await household.lists(1, 2)
    assert [household.watched(0), household.watched(1)] == [{str(SITE_ID)}, {VIN}]
    assert household.said() == {
        f"shared_{household.entries[0].entry_id}_{VIN}",
        f"shared_{household.entries[1].entry_id}_{SITE_ID}",
    }


async def test_a_reload_gives_nothing_away(household: Household) -> None:
    """The other goes on waiting, and what it no longer lists it says nothing more about."""
    await household.hass.config_entries.async_unload(household.entries[0].entry_id)
    await household.lists(1, 3)
    assert household.watched(1) == set()
    await household.begin(0)
    assert household.watched(0) == BOTH
    household.readers[1].cars.clear()
    await household.lists(1)
    assert household.said() == {f"shared_{household.entries[1].entry_id}_{SITE_ID}"}
    await household.hass.config_entries.async_remove(household.entries[1].entry_id)
    assert household.said() == set()


async def test_what_0_1_0_left_of_the_second_entry_is_cleared(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory
) -> None:
    """It had a device of its own, with entities that were refused elsewhere."""
    both = Household(hass, freezer)
    await both.begin(0)
    before = both.ids()
    both.entries[1].add_to_hass(hass)
    device = dr.async_get(hass).async_get_or_create(
        config_entry_id=both.entries[1].entry_id, identifiers={(DOMAIN, VIN)}
    )
    registry = er.async_get(hass)
    moved = next(iter(er.async_entries_for_config_entry(registry, both.entries[0].entry_id)))
    registry.async_update_entity(moved.entity_id, config_entry_id=both.entries[1].entry_id, device_id=device.id)
    await both.begin(1)
    assert both.owners() == {"Erik"}
    await hass.config_entries.async_unload(both.entries[0].entry_id)
    await both.begin(0)
    assert both.ids() == before


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
async def test_who_declines_energy_keeps_no_site_from_the_other(household: Household, order: tuple[int, int]) -> None:
    """It had the site before: its entities go with the site to the account that may read it; the car stays."""
    before = household.ids()
    for entry in household.entries:
        await household.hass.config_entries.async_unload(entry.entry_id)
    household.hass.data.pop(f"{DOMAIN}_holders")
    reader = household.readers[0]
    reader.grant = replace(reader.grant, scopes=reader.grant.scopes - {SCOPE_ENERGY})
    for which in order:
        await household.begin(which)
    await household.lists(0)
    assert [household.watched(0), household.watched(1)] == [{VIN}, {str(SITE_ID)}]
    assert household.ids() == before
    await household.lists(1)
    await household.lists(0)
    assert [household.watched(0), household.watched(1)] == [{VIN}, {str(SITE_ID)}]
    assert household.said() == {f"shared_{household.entries[1].entry_id}_{VIN}"}
