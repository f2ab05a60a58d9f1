"""A site's three endpoints: each read, remembered, left alone and shown on its own."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

from freezegun.api import FrozenDateTimeFactory
from homeassistant.core import HomeAssistant
from homeassistant.helpers import issue_registry as ir
import pytest

from custom_components.teslafi.const import DOMAIN
from custom_components.teslafi.coordinators.site import BLOCKS, CHARGES, INFO, LIVE, SHOWN_FOR, TODAY
from custom_components.teslafi.tesla.errors import (
    AccessTokenRefused,
    BillingLimitReached,
    NotFound,
    RateLimited,
    ScopeMissing,
    TeslaError,
    UnexpectedAnswer,
    Unreachable,
)
from custom_components.teslafi.tesla.grant import SCOPE_ENERGY
from teslafi_simulators.tesla.scenario import ANNAS_SITE
from tests.integration.owner import Owner
from tests.integration.recorded import SITE_ID, RecordedReader, begin, watch
from tests.integration.test_watching import pass_time

SHOWN: Final[Mapping[str, str]] = {
    LIVE: "sensor.home_solar_power",
    INFO: "sensor.home_backup_reserve",
    TODAY: "sensor.home_home_usage_today",
    CHARGES: "sensor.home_wall_connector_energy",
}
"""An entity of each block."""
FAILURES: Final = (
    NotFound("none"),
    ScopeMissing("scope"),
    AccessTokenRefused("token"),
    BillingLimitReached("limit"),
    RateLimited(None),
    RateLimited(3600),
    UnexpectedAnswer("odd"),
    Unreachable("down"),
)


@pytest.fixture(autouse=True)
def _clock(freezer: FrozenDateTimeFactory) -> None:
    """Stand in the middle of a month."""
    freezer.move_to("2026-11-16 12:00:00")


async def minutes(hass: HomeAssistant, entry: Any, freezer: FrozenDateTimeFactory, count: int) -> None:  # noqa: ANN401 - a mock entry
    """Let minutes pass, with the site's refresh in each."""
    for _ in range(count):
        freezer.tick(timedelta(seconds=60))
        await entry.runtime_data.sites[SITE_ID].async_refresh()
    await hass.async_block_till_done()


def available(hass: HomeAssistant) -> set[str]:
    """Return the blocks whose entity shows a value."""
    states = {block: hass.states.get(name) for block, name in SHOWN.items()}
    return {block for block, state in states.items() if state is not None and state.state != "unavailable"}


@pytest.mark.parametrize("failure", FAILURES, ids=lambda error: error.key)
@pytest.mark.parametrize("failing", BLOCKS)
@pytest.mark.parametrize("moment", ["from the beginning", "later"])
async def test_a_failing_endpoint_takes_nothing_but_its_own(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, failing: str, failure: TeslaError, moment: str
) -> None:
    """The others are asked as ever and shown; its own last values only for so long; it is asked ever more seldom."""
    reader = RecordedReader({}, {SITE_ID: "Home"})
    if moment == "later":
        entry = await watch(hass, reader)
        assert available(hass) == set(BLOCKS)
        reader.troubles[failing] = failure
    else:
        reader.troubles[failing] = failure
        entry = await watch(hass, reader)
        assert available(hass) == set(BLOCKS) - {failing}
    reader.asked.clear()
    await minutes(hass, entry, freezer, 60)
    others = set(BLOCKS) - {failing}
    kept = {failing} if moment == "later" and SHOWN_FOR[failing] > 3600 else set()
    assert available(hass) == others | kept
    assert reader.asked[LIVE] >= 58 or failing == LIVE
    assert reader.asked[TODAY] >= 11 or failing == TODAY
    assert reader.asked[failing] <= 8
    asked = reader.asked[failing]
    reader.troubles.clear()
    freezer.tick(timedelta(hours=2))
    await minutes(hass, entry, freezer, 3)
    assert reader.asked[failing] > asked
    assert available(hass) == set(BLOCKS)


async def test_an_info_that_was_read_is_kept_when_the_history_breaks(hass: HomeAssistant) -> None:
    """And live power comes all the same: on the very first look."""
    reader = RecordedReader({}, {SITE_ID: "Home"})
    reader.troubles = {TODAY: UnexpectedAnswer("''")}
    entry = await watch(hass, reader)
    data = entry.runtime_data.sites[SITE_ID].data
    assert data.info.backup_reserve_percent == 20
    assert data.live.solar_power == 16176


@pytest.mark.parametrize("endpoint", ["products", *BLOCKS])
async def test_pressing_refresh_does_not_override_what_tesla_asked_for(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, endpoint: str
) -> None:
    """A hundred presses, a reload and an hour later it was asked once."""
    reader = RecordedReader({}, {SITE_ID: "Home"})
    entry = await watch(hass, reader)
    reader.troubles[endpoint] = RateLimited(7200)
    reader.asked.clear()
    for press in range(100):
        freezer.tick(timedelta(seconds=36))
        account = entry.runtime_data.account
        coordinator = account if endpoint == "products" else account.sites[SITE_ID]
        if press % 10 == 0:
            await coordinator.async_request_refresh()
        if endpoint != "products":
            coordinator.want_look()
        await coordinator.async_refresh()
        if endpoint == "products" and press == 50:
            await hass.config_entries.async_unload(entry.entry_id)
            await begin(hass, entry, reader)
    assert reader.asked[endpoint] == 1
    freezer.tick(timedelta(seconds=3700))
    reader.troubles.clear()
    await entry.runtime_data.account.async_refresh()
    await entry.runtime_data.sites[SITE_ID].async_refresh()
    assert reader.asked[endpoint] == 2


RETRY_AFTER: Final[tuple[tuple[dict[str, str], str | None], ...]] = (
    ({"Retry-After": "3600"}, None),
    ({"Retry-After": "Mon, 16 Nov 2026 13:00:00 GMT"}, None),
    ({}, "Retry in 3600 seconds"),
    ({"RateLimit-Reset": "3600"}, None),
)


@pytest.mark.parametrize(("headers", "body"), RETRY_AFTER)
async def test_retry_after_in_every_shape_at_sites_and_the_list(
    hass: HomeAssistant, owner: Owner, freezer: FrozenDateTimeFactory, headers: dict[str, str], body: str | None
) -> None:
    """Against a real server: one request each in 50 minutes."""
    await owner.sign_in()
    for path in ("*/energy_sites/*", "*/products"):
        owner.tesla.control.fault(path=path, kind="status", status=429, headers=headers, body=body, times=None)
    owner.tesla.state.requests.clear()
    await pass_time(hass, freezer, 3000, step=60)
    asked = [path for _, path in owner.tesla.state.requests]
    for path in (f"/energy_sites/{ANNAS_SITE}/live_status", f"/energy_sites/{ANNAS_SITE}/calendar_history"):
        assert sum(path in one for one in asked) == 1
    assert sum("/products" in one for one in asked) == 1


@pytest.mark.parametrize("retry_after", [None, 0.0, 1.0, float("nan"), float("inf"), 1e300])
async def test_an_absurd_wait_neither_hammers_nor_waits_for_ever(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, retry_after: float | None
) -> None:
    """At most eight questions in the first hour, and one after a bit more than a day at the latest."""
    reader = RecordedReader({}, {SITE_ID: "Home"})
    entry = await watch(hass, reader)
    reader.troubles[LIVE] = RateLimited(retry_after)
    reader.asked.clear()
    await minutes(hass, entry, freezer, 60)
    assert 1 <= reader.asked[LIVE] <= 8
    reader.troubles.clear()
    freezer.tick(timedelta(days=1, minutes=5))
    await entry.runtime_data.sites[SITE_ID].async_refresh()
    assert LIVE in available(hass)


async def test_a_site_that_no_endpoint_answers_for_looks_up_again(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory
) -> None:
    """Old values go when they are old, though nothing was due at that moment."""
    reader = RecordedReader({}, {SITE_ID: "Home"})
    entry = await watch(hass, reader)
    site = entry.runtime_data.sites[SITE_ID]
    reader.trouble = RateLimited(50_000)
    freezer.tick(timedelta(seconds=300))
    await site.async_refresh()
    assert available(hass) == {INFO, TODAY, CHARGES}
    for _ in range(40):
        assert site.update_interval is not None
        assert timedelta(seconds=1) <= site.update_interval <= timedelta(hours=1)
        freezer.tick(site.update_interval)
        await site.async_refresh()
        assert (TODAY in available(hass)) is (site.endpoints[TODAY].shown() > 0)
    assert available(hass) == set()


@pytest.mark.parametrize("stored", [False, True])
async def test_declined_means_not_asked(hass: HomeAssistant, freezer: FrozenDateTimeFactory, stored: bool) -> None:
    """Tesla lists sites whatever the scopes: no request, no repair, also when one is known of before."""
    reader = RecordedReader({}, {SITE_ID: "Home"})
    without = replace(reader.grant, scopes=reader.grant.scopes - {SCOPE_ENERGY})
    if not stored:
        reader.grant = without
    entry = await watch(hass, reader)
    if stored:
        await hass.config_entries.async_unload(entry.entry_id)
        reader.grant = without
        reader.asked.clear()
        await begin(hass, entry, reader)
    for block in BLOCKS:
        reader.troubles[block] = ScopeMissing("Unauthorized missing scopes")
    for _ in range(10):
        freezer.tick(timedelta(seconds=600))
        await entry.runtime_data.account.async_refresh()
    assert not entry.runtime_data.sites
    assert not any(reader.asked[block] for block in BLOCKS)
    assert not [issue for domain, issue in ir.async_get(hass).issues if domain == DOMAIN]
