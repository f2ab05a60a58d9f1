"""Linking a real companion from the reconfigure menu, and how its end is seen on either side."""

from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack
from datetime import timedelta
import logging
from pathlib import Path
from typing import Any

import aiohttp
from homeassistant.config_entries import ConfigEntry, ConfigFlowResult
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.helpers import device_registry as dr, issue_registry as ir
from homeassistant.setup import async_setup_component
from homeassistant.util import dt as dt_util
import pyotp
import pytest
from pytest_homeassistant_custom_component.common import async_fire_time_changed  # type: ignore[import-untyped]
from sqlalchemy import delete, update
from yarl import URL

from custom_components.teslafi.const import DOMAIN, LINK
from custom_components.teslafi.link.coordinator import INTERVAL
from custom_components.teslafi.storage.vault import async_get_vault
from teslafi_companion.clock import system_clock
from teslafi_companion.domain.accounts import totp
from teslafi_companion.domain.links.links import links_of
from teslafi_companion.http.services import Services
from teslafi_companion.server import started
from teslafi_companion.settings import Policy, Settings
from teslafi_companion.store.tables import access_token, authorization_code
from tests.companion.prepared import prepare_sqlite
from tests.companion.web.person import OLGA, PASSWORD, Person
from tests.live.ports import free_port

from .owner import Owner

MENU = ["sign_in", "token", "charging_history", "link_companion", "enable_controls", "import_history", "rotate_key"]
LINKED_MENU = [
    "sign_in",
    "token",
    "charging_history",
    "link_companion",
    "unlink_companion",
    "enable_controls",
    "import_history",
    "rotate_key",
]


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    """Give a place for what is stopped in the end, or before."""
    async with AsyncExitStack() as stack:
        yield stack


@pytest.fixture
def settings(tmp_path: Path, socket_enabled: None) -> Settings:
    """Return the settings of a companion on this machine."""
    return companion_at(free_port(), tmp_path)


def companion_at(port: int, folder: Path) -> Settings:
    """Return the settings of a companion that keeps its files in a folder."""
    return Settings(
        base_url=f"http://127.0.0.1:{port}",
        listen_port=port,
        metrics_port=-1,
        database=f"sqlite:///{folder / 'companion' / 'companion.sqlite3'}",
        key_file=folder / "companion-key" / "key",
        oauth_redirect_uris=(Owner.REDIRECT,),
        # Real time goes on between reading a code and typing it in; how long it may be late is tested elsewhere
        policy=Policy(argon2_memory_kib=64, argon2_passes=1, totp_drift_steps=20),
    )


@pytest.fixture
async def companion(settings: Settings, stack: AsyncExitStack) -> Services:
    """Run a companion."""
    prepare_sqlite(settings)
    return await started(stack, settings)


@pytest.fixture
async def olga(companion: Services, settings: Settings, stack: AsyncExitStack) -> Person:
    """Return the owner of an account there, in front of a browser."""
    jar = aiohttp.CookieJar(unsafe=True)
    browser = await stack.enter_async_context(aiohttp.ClientSession(settings.base_url, cookie_jar=jar))
    return await Person(browser, companion.store, system_clock).has_account()  # type: ignore[arg-type] # as a TestClient


@pytest.fixture
async def entry(owner: Owner) -> ConfigEntry:
    """Return an account of Tesla's that is watched."""
    return await owner.sign_in()


type Link = Callable[..., Coroutine[Any, Any, ConfigFlowResult]]


@pytest.fixture
def link(hass: HomeAssistant, owner: Owner, olga: Person, entry: ConfigEntry, settings: Settings) -> Link:
    """Go from the reconfigure menu through the companion's pages and back."""

    async def go(answer: str = "allow") -> ConfigFlowResult:
        return await link_companion(hass, owner, olga, entry, settings, answer)

    return go


async def link_companion(
    hass: HomeAssistant, owner: Owner, olga: Person, entry: ConfigEntry, settings: Settings, answer: str = "allow"
) -> ConfigFlowResult:
    """Link, and wait until that is done."""
    flow = await reconfigure(hass, owner, entry, "link_companion")
    flow = await owner.answer(flow, {"address": settings.base_url.removeprefix("http://")})
    assert flow["type"] is FlowResultType.EXTERNAL_STEP
    back = await through_pages(olga, URL(flow["url"]), answer)
    await owner.come_back({name: back.query[name] for name in ("code", "state", "error") if name in back.query})
    flow = await hass.config_entries.flow.async_configure(flow["flow_id"])
    await hass.async_block_till_done(wait_background_tasks=True)
    return flow


async def reconfigure(hass: HomeAssistant, owner: Owner, entry: ConfigEntry, option: str) -> ConfigFlowResult:
    """Open the reconfigure menu and choose."""
    flow = await hass.config_entries.flow.async_init(
        DOMAIN, context={"source": "reconfigure", "entry_id": entry.entry_id}
    )
    return await owner.choose(flow, option)


async def through_pages(olga: Person, url: URL, answer: str) -> URL:
    """Sign in at the companion, confirm, and answer the consent page; returns where the browser is sent."""
    await olga.opens(url.raw_path_qs)
    if olga.page.heading == "Sign in":
        await olga.fills("/sign-in", email=OLGA, password=PASSWORD)
    if olga.page.heading == "Confirm that it's you":
        await olga.confirms()
    assert "test home" in olga.page.text, olga.page.text
    action = next(line.split('"')[3] for line in olga.page.text.splitlines() if 'action="/oauth/authorize' in line)
    action = action.replace("&amp;", "&")
    form = olga.page.form(action)
    sent = await olga.send("POST", action, form.values | {"answer": answer})
    assert sent.status == 303, sent.text
    return URL(sent.headers["Location"])


def shown(hass: HomeAssistant) -> tuple[str, str, bool]:
    """Return link state, two-factor state, and whether a contact is known, whose sensor is not enabled by default."""
    state = hass.states.get("sensor.teslafi_companion_link")
    factor = hass.states.get("binary_sensor.teslafi_companion_two_factor_authentication")
    (entry,) = hass.config_entries.async_loaded_entries(DOMAIN)
    assert state is not None
    assert factor is not None
    return state.state, factor.state, entry.runtime_data.link.data.contact_at is not None


async def later(hass: HomeAssistant) -> None:
    """Let the time come when the companion is asked again."""
    async_fire_time_changed(hass, dt_util.utcnow() + INTERVAL + timedelta(seconds=5))
    await hass.async_block_till_done(wait_background_tasks=True)


def lines(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    """Return what the log tells of the companion, from INFO upwards."""
    ours = [record for record in caplog.records if DOMAIN in record.name and record.levelno >= logging.INFO]
    return [(record.levelname, text) for record in ours if "companion" in (text := record.getMessage()).lower()]


def issues(hass: HomeAssistant) -> set[str]:
    """Return the issues about the link."""
    return {
        issue.translation_key or ""
        for (domain, _), issue in ir.async_get(hass).issues.items()
        if domain == DOMAIN and issue.translation_key in {"companion_unlinked", "subscription_lapsed"}
    }


async def test_linking_shows_the_account_and_keeps_no_token_in_clear(
    hass: HomeAssistant, link: Link, entry: ConfigEntry, companion: Services, settings: Settings, tmp_path: Path
) -> None:
    assert (await link())["reason"] == "companion_linked"
    assert shown(hass) == ("linked", "off", True)
    assert set(entry.data["companion"]) == {"address", "instance_id"}
    stored = (await async_get_vault(hass)).get_text(entry.entry_id, LINK)
    assert stored is not None
    for word in stored.split('"'):
        if len(word) > 30:
            for file in tmp_path.rglob("*"):
                assert not file.is_file() or word.encode() not in file.read_bytes(), file
    assert hass.states.get("sensor.roadrunner_battery_level") is not None
    device = dr.async_get(hass).async_get_device_by_identifier((DOMAIN, f"companion-{entry.entry_id}"), entry.entry_id)
    assert device is not None
    assert device.configuration_url == f"{settings.base_url}/links"
    async with companion.store.reading() as transaction:
        owner = await Person.account(transaction)
        (known,) = await links_of(transaction, owner)
    assert known.instance.name == "test home"


async def test_two_factor_of_the_account_is_seen(hass: HomeAssistant, link: Link, olga: Person) -> None:
    await link()
    await set_up_app(olga)
    await later(hass)
    assert shown(hass) == ("linked", "on", True)


async def set_up_app(olga: Person) -> None:
    """Switch an authenticator app on, by rule: the clock of this companion is the machine's."""
    async with olga.store.transaction() as transaction:
        owner = await Person.account(transaction)
        enrolment = await totp.begin(transaction, owner, OLGA)
        assert await totp.activate(transaction, owner, enrolment, pyotp.TOTP(enrolment.secret).at(transaction.now))


async def test_access_tokens_that_ended_are_replaced_unseen(
    hass: HomeAssistant, link: Link, companion: Services, entry: ConfigEntry
) -> None:
    await link()
    vault = await async_get_vault(hass)
    before = vault.get_text(entry.entry_id, LINK)
    async with companion.store.transaction() as transaction:
        await transaction.execute(delete(access_token))
    await later(hass)
    assert shown(hass)[0] == "linked"
    assert vault.get_text(entry.entry_id, LINK) != before


async def test_a_link_that_is_refused_changes_nothing(hass: HomeAssistant, link: Link, entry: ConfigEntry) -> None:
    assert (await link("deny"))["reason"] == "companion_refused"
    assert "companion" not in entry.data
    assert hass.states.get("sensor.teslafi_companion_link") is None


async def test_unlinking_at_the_companion_is_seen_here(
    hass: HomeAssistant, owner: Owner, link: Link, olga: Person, entry: ConfigEntry
) -> None:
    await link()
    page = await olga.opens("/links")
    action = next(line.split('"')[3] for line in page.text.splitlines() if 'action="/links/' in line)
    await olga.fills(action)
    await later(hass)
    assert shown(hass)[0] == "unlinked"
    assert issues(hass) == {"companion_unlinked"}
    assert (await async_get_vault(hass)).get_text(entry.entry_id, LINK) is None
    assert hass.states.get("sensor.roadrunner_battery_level") is not None
    assert (await link())["reason"] == "companion_linked"
    assert issues(hass) == set()
    assert shown(hass)[0] == "linked"


async def test_a_link_that_the_companion_ended_is_removed_by_its_repair(
    hass: HomeAssistant, owner: Owner, link: Link, olga: Person, entry: ConfigEntry
) -> None:
    """Ignored, it stays so however often it is raised; settled, link and entities are gone, and the address is kept."""
    await link()
    address = entry.data["companion"]["address"]
    page = await olga.opens("/links")
    await olga.fills(next(line.split('"')[3] for line in page.text.splitlines() if 'action="/links/' in line))
    await later(hass)
    issue_id = f"companion_unlinked_{entry.entry_id}"
    ir.async_ignore_issue(hass, DOMAIN, issue_id, ignore=True)
    await later(hass)
    issue = ir.async_get(hass).async_get_issue(DOMAIN, issue_id)
    assert issue is not None
    assert issue.dismissed_version is not None
    assert await async_setup_component(hass, "repairs", {})
    manager = hass.data["repairs"]["flow_manager"]
    flow = await manager.async_init(DOMAIN, data={"issue_id": issue_id})
    assert flow["step_id"] == "confirm"
    assert flow["description_placeholders"] == {"account": entry.title, "address": address}
    await manager.async_configure(flow["flow_id"], {})
    await hass.async_block_till_done(wait_background_tasks=True)
    assert issues(hass) == set()
    assert "companion" not in entry.data
    assert entry.data["last_companion"] == address
    assert hass.states.get("sensor.teslafi_companion_link") is None
    assert hass.states.get("sensor.roadrunner_battery_level") is not None


async def test_unlinking_here_is_seen_at_the_companion(
    hass: HomeAssistant, owner: Owner, link: Link, olga: Person, entry: ConfigEntry
) -> None:
    await link()
    flow = await reconfigure(hass, owner, entry, "unlink_companion")
    assert flow["description_placeholders"] == {"address": entry.data["companion"]["address"]}
    flow = await owner.answer(flow, {})
    await hass.async_block_till_done(wait_background_tasks=True)
    assert flow["reason"] == "companion_unlinked"
    assert "companion" not in entry.data
    assert hass.states.get("sensor.teslafi_companion_link") is None
    assert "No Home Assistant is linked" in (await olga.opens("/links")).text


async def test_removing_the_account_ends_its_link(
    hass: HomeAssistant, link: Link, olga: Person, entry: ConfigEntry
) -> None:
    await link()
    await hass.config_entries.async_remove(entry.entry_id)
    assert "No Home Assistant is linked" in (await olga.opens("/links")).text


async def test_linking_again_leaves_one_link(hass: HomeAssistant, link: Link, olga: Person) -> None:
    await link()
    assert (await link())["reason"] == "companion_linked"
    assert (await olga.opens("/links")).text.count('class="card"') == 1
    await later(hass)
    assert shown(hass)[0] == "linked"


async def test_a_companion_out_of_reach_is_a_state_and_nothing_more(
    hass: HomeAssistant,
    owner: Owner,
    link: Link,
    stack: AsyncExitStack,
    entry: ConfigEntry,
    settings: Settings,
    caplog: pytest.LogCaptureFixture,
) -> None:
    await link()
    caplog.clear()
    await stack.aclose()
    await later(hass)
    assert lines(caplog) == []
    assert shown(hass) == ("unreachable", "off", True)
    assert issues(hass) == set()
    level = hass.states.get("sensor.roadrunner_battery_level")
    assert level is not None
    assert level.state not in {"unavailable", "unknown"}

    for _ in range(3):
        assert await hass.config_entries.async_reload(entry.entry_id)
        for _ in range(5):
            await later(hass)
        assert shown(hass)[0] == "unreachable"

    async with AsyncExitStack() as again:
        await started(again, settings)
        await later(hass)
        assert shown(hass)[0] == "linked"
    # A line when the trouble begins, one when it is over, however often the entry is loaded between
    assert [level for level, _ in lines(caplog)] == ["WARNING", "INFO"]
    flow = await reconfigure(hass, owner, entry, "unlink_companion")
    assert (await owner.answer(flow, {}))["reason"] == "companion_unlinked_here"
    await hass.async_block_till_done(wait_background_tasks=True)


async def test_a_code_that_came_too_late_is_told(
    hass: HomeAssistant, owner: Owner, olga: Person, entry: ConfigEntry, settings: Settings, companion: Services
) -> None:
    flow = await reconfigure(hass, owner, entry, "link_companion")
    flow = await owner.answer(flow, {"address": settings.base_url})
    back = await through_pages(olga, URL(flow["url"]), "allow")
    async with companion.store.transaction() as transaction:
        gone = transaction.now - timedelta(hours=1)
        await transaction.execute(update(authorization_code).values(expires_at=gone))
    await owner.come_back({"code": back.query["code"], "state": back.query["state"]})
    flow = await hass.config_entries.flow.async_configure(flow["flow_id"])
    assert flow["reason"] == "companion_link_lost"


async def test_the_menu_offers_what_there_is(hass: HomeAssistant, owner: Owner, link: Link, entry: ConfigEntry) -> None:
    async def menu() -> object:
        flow = await hass.config_entries.flow.async_init(
            DOMAIN, context={"source": "reconfigure", "entry_id": entry.entry_id}
        )
        hass.config_entries.flow.async_abort(flow["flow_id"])
        return flow["menu_options"]

    assert await menu() == MENU
    await link()
    assert await menu() == LINKED_MENU
