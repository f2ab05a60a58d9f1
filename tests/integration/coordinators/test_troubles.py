"""Repairs belong to whom they concern, and the log says once that trouble begins and once that it is over."""

from collections import Counter
from datetime import timedelta
import logging
from typing import Any

from freezegun.api import FrozenDateTimeFactory
from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant, callback
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.helpers import issue_registry as ir
from homeassistant.setup import async_setup_component
from hypothesis import given, settings, strategies as st
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry  # type: ignore[import-untyped]

from custom_components.teslafi.const import DOMAIN
from custom_components.teslafi.coordinators import troubles as module
from custom_components.teslafi.coordinators.troubles import Subject, Troubles, trouble_of
from custom_components.teslafi.issues import issue_of
from custom_components.teslafi.polling.backoff import Trouble
from custom_components.teslafi.tesla.errors import (
    BillingLimitReached,
    MobileAccessDisabled,
    NotRegistered,
    RateLimited,
    Refused,
    ScopeMissing,
    TeslaError,
    UnexpectedAnswer,
    Unreachable,
    VehicleInService,
    VehicleSilent,
)
from tests.integration.recorded import MODEL_3, SITE_ID, VIN, RecordedReader, begin, recorded, watch

OTHER = "5YJ3E1EA7KF000002"


@pytest.fixture(autouse=True)
def _clock(freezer: FrozenDateTimeFactory) -> None:
    """Stand in the middle of a month."""
    freezer.move_to("2026-11-16 12:00:00")


def raised(hass: HomeAssistant) -> set[str]:
    """Return the ids of our active issues."""
    issues = ir.async_get(hass).issues
    return {issue_id for (domain, issue_id), issue in issues.items() if domain == DOMAIN and issue.active}


def events(hass: HomeAssistant) -> Counter[str]:
    """Count from now on what becomes of issues."""
    seen: Counter[str] = Counter()

    @callback
    def take(event: Any) -> None:  # noqa: ANN401 - an event
        seen[event.data["action"]] += 1

    hass.bus.async_listen(ir.EVENT_REPAIRS_ISSUE_REGISTRY_UPDATED, take)
    return seen


async def looks(hass: HomeAssistant, entry: ConfigEntry, freezer: FrozenDateTimeFactory, times: int) -> None:
    """Have every car, site and the list looked at."""
    for _ in range(times):
        freezer.tick(timedelta(seconds=840))
        account = entry.runtime_data.account
        await account.async_refresh()
        freezer.tick(timedelta(seconds=60))  # what the list told of the state is no longer new
        for coordinator in (*account.vehicles.values(), *account.sites.values()):
            coordinator.want_look()
            await coordinator.async_refresh()
    await hass.async_block_till_done()


def two_cars() -> RecordedReader:
    """Return an account with two cars and a site."""
    return RecordedReader({vin: recorded(MODEL_3) | {"vin": vin} for vin in (VIN, OTHER)}, {SITE_ID: "Home"})


@pytest.mark.parametrize(
    ("endpoint", "error", "key"),
    [
        (f"data {VIN}", MobileAccessDisabled("off"), VIN),
        (f"data {VIN}", ScopeMissing("scope"), VIN),
        ("info", ScopeMissing("scope"), str(SITE_ID)),
        (f"data {VIN}", BillingLimitReached("limit"), None),
        (f"state {VIN}", NotRegistered("412"), None),
    ],
)
async def test_a_repair_stays_while_its_own_trouble_does(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, endpoint: str, error: TeslaError, key: str | None
) -> None:
    """Others that answer do not touch it; ignored it stays so, over reloads too; its own answer ends it."""
    reader = two_cars()
    entry = await watch(hass, reader)
    reader.troubles[endpoint] = error
    await looks(hass, entry, freezer, 4)
    issue_id = f"{error.key}_{entry.entry_id}" + (f"_{key}" if key else "")
    assert raised(hass) == {issue_id}
    ir.async_ignore_issue(hass, DOMAIN, issue_id, ignore=True)
    seen = events(hass)
    await looks(hass, entry, freezer, 20)
    await hass.config_entries.async_unload(entry.entry_id)
    await begin(hass, entry, reader)
    await looks(hass, entry, freezer, 10)
    assert not seen
    issue = ir.async_get(hass).async_get_issue(DOMAIN, issue_id)
    assert issue is not None
    assert issue.dismissed_version is not None
    reader.troubles.clear()
    await looks(hass, entry, freezer, 110)
    assert raised(hass) == set()


async def test_two_cars_two_repairs(hass: HomeAssistant, freezer: FrozenDateTimeFactory) -> None:
    """Each goes with its own car's answer; the texts name the car."""
    reader = two_cars()
    entry = await watch(hass, reader)
    reader.troubles = {"data": MobileAccessDisabled("off")}
    await looks(hass, entry, freezer, 2)
    both = {f"mobile_access_disabled_{entry.entry_id}_{vin}" for vin in (VIN, OTHER)}
    assert raised(hass) == both
    reader.troubles = {f"data {VIN}": MobileAccessDisabled("off")}
    await looks(hass, entry, freezer, 110)
    assert raised(hass) == {f"mobile_access_disabled_{entry.entry_id}_{VIN}"}


async def test_issues_of_0_1_0_are_cleaned_up(hass: HomeAssistant) -> None:
    """They were the account's."""
    reader = two_cars()
    entry = MockConfigEntry(domain=DOMAIN, unique_id="account", title="owner@example.com")
    entry.add_to_hass(hass)
    for key in ("mobile_access_disabled", "scope_missing"):
        ir.async_create_issue(
            hass,
            DOMAIN,
            f"{key}_{entry.entry_id}",
            is_fixable=False,
            severity=ir.IssueSeverity.ERROR,
            translation_key=key,
        )
    await begin(hass, entry, reader)
    assert raised(hass) == set()


async def test_an_outage_is_two_lines(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, caplog: pytest.LogCaptureFixture
) -> None:
    """However many cars and sites, and however long."""
    reader = two_cars()
    entry = await watch(hass, reader)
    caplog.clear()
    for times in (1, 40):
        reader.trouble = Unreachable("Tesla could not be reached")
        await looks(hass, entry, freezer, times)
        reader.trouble = None
        await looks(hass, entry, freezer, 12)
    lines = [record for record in caplog.records if record.name.startswith("custom_components.teslafi")]
    assert [record.levelno for record in lines if record.levelno >= logging.INFO] == [logging.WARNING, logging.INFO]


ERRORS = [
    Unreachable("down"),
    UnexpectedAnswer("odd"),
    RateLimited(1.0),
    MobileAccessDisabled("off"),
    ScopeMissing("scope"),
    BillingLimitReached("limit"),
    Refused("no"),
]
steps = st.lists(
    st.tuples(
        st.sampled_from([VIN, OTHER, str(SITE_ID)]),
        st.sampled_from(["data", "state"]),
        st.none() | st.sampled_from(ERRORS),
    ),
    max_size=40,
)


@settings(deadline=None, max_examples=150)
@given(steps)
def test_the_repairs_are_always_those_of_the_present_troubles(story: list[tuple[str, str, TeslaError | None]]) -> None:
    """Whatever order failures and answers come in: no repair too many, none missing, none made twice."""
    entry = MockConfigEntry(domain=DOMAIN, unique_id="account", title="owner@example.com")
    there: set[str] = set()
    made: list[str] = []
    present: dict[tuple[str, str], TeslaError] = {}

    def make(_hass: object, entry: ConfigEntry, error: TeslaError, *, key: str, name: str) -> None:
        if (issue_id := issue_of(entry, error, key)) is not None:
            if issue_id not in there:
                made.append(name)
            there.add(issue_id)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "raise_issue", make)
        patch.setattr(module, "delete_issue", lambda _hass, issue_id: there.remove(issue_id))
        troubles = Troubles(None, entry)  # type: ignore[arg-type]  # only its issues are looked at
        for key, endpoint, error in story:
            if error is None:
                troubles.settle(key, endpoint)
                present.pop((key, endpoint), None)
            else:
                troubles.note(Subject(key, key), endpoint, error)
                present[key, endpoint] = error
            ids = (issue_of(entry, error, place[0]) for place, error in present.items())
            assert there == {issue_id for issue_id in ids if issue_id}


@pytest.mark.parametrize(
    ("error", "trouble"),
    [
        (Unreachable("5xx"), Trouble.SERVER),
        (UnexpectedAnswer("odd"), Trouble.SERVER),
        (RateLimited(None), Trouble.RATE_LIMITED),
        (BillingLimitReached("402"), Trouble.SPENDING_LIMIT),
        (VehicleInService("405"), Trouble.IN_SERVICE),
        (VehicleSilent("408"), Trouble.UNANSWERED),
        (Refused("418"), Trouble.REFUSED),
        (MobileAccessDisabled("401"), Trouble.REFUSED),
    ],
)
def test_each_failure_has_its_wait(error: TeslaError, trouble: Trouble) -> None:
    """By what it means for the next attempt."""
    assert trouble_of(error) is trouble


def test_no_connection_is_a_network_failure() -> None:
    """It is over the moment the network is back."""
    error = Unreachable("down")
    error.__cause__ = TimeoutError()
    assert trouble_of(error) is Trouble.NETWORK


async def test_another_budget_settles_its_repair(hass: HomeAssistant, freezer: FrozenDateTimeFactory) -> None:
    """The fix is the option, and it counts at once."""
    assert await async_setup_component(hass, "repairs", {})
    reader = two_cars()
    entry = await watch(hass, reader)
    hass.config_entries.async_update_entry(entry, options={"monthly_budget": 0.005, "show_tokens": True})
    await hass.async_block_till_done()
    await looks(hass, entry, freezer, 3)
    issue_id = f"budget_reached_{entry.entry_id}"
    assert raised(hass) == {issue_id}
    manager = hass.data["repairs"]["flow_manager"]
    flow = await manager.async_init(DOMAIN, data={"issue_id": issue_id})
    assert flow["step_id"] == "budget"
    flow = await manager.async_configure(flow["flow_id"], {"monthly_budget": 5})
    assert flow["type"] is FlowResultType.CREATE_ENTRY
    assert entry.options == {"monthly_budget": 5, "show_tokens": True}
    assert entry.runtime_data.budget.may_look
    hass.config_entries.async_update_entry(entry, options={"monthly_budget": 0.001})
    await hass.async_block_till_done()
    assert raised(hass) == {issue_id}
    hass.config_entries.async_update_entry(entry, options={})
    await hass.async_block_till_done()
    assert raised(hass) == set()


async def test_a_missing_scope_is_fixed_by_a_sign_in(hass: HomeAssistant, freezer: FrozenDateTimeFactory) -> None:
    """The dialog goes on with it after the owner agreed."""
    assert await async_setup_component(hass, "repairs", {})
    reader = two_cars()
    entry = await watch(hass, reader)
    reader.troubles = {f"data {VIN}": ScopeMissing("scope")}
    await looks(hass, entry, freezer, 2)
    manager = hass.data["repairs"]["flow_manager"]
    flow = await manager.async_init(DOMAIN, data={"issue_id": f"scope_missing_{entry.entry_id}_{VIN}"})
    assert flow["step_id"] == "confirm"
    assert not hass.config_entries.flow.async_progress()
    flow = await manager.async_configure(flow["flow_id"], {})
    await hass.async_block_till_done()
    begun = hass.config_entries.flow.async_progress()
    assert [one["context"]["source"] for one in begun] == ["reauth"]
    assert flow["next_flow"] == ("config_flow", begun[0]["flow_id"])
