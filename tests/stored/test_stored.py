"""What each released version stored is opened by today's code, and nothing of it is lost (CONTRIBUTING.md)."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import datetime, timedelta
import json
from pathlib import Path
import shutil
from typing import Any

import aiohttp
import asyncpg
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from homeassistant.config_entries import ConfigEntryState
from homeassistant.const import ATTR_RESTORED, STATE_UNAVAILABLE
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import device_registry as dr, entity_registry as er
from homeassistant.setup import async_setup_component
import pytest
from yarl import URL

from custom_components.teslafi.const import CONTROLS, DOMAIN, LINK, MONITORING
from custom_components.teslafi.storage.vault import async_get_vault
from teslafi_companion.audit import check_chain
from teslafi_companion.configuration import load_settings
from teslafi_companion.domain.accounts import account
from teslafi_companion.http.services import Services
from teslafi_companion.rotation import rotate_keys
from teslafi_companion.server import started
from teslafi_companion.service import migrate_database
from teslafi_companion.settings import Settings
from teslafi_simulators.tesla import TeslaSimulator
from teslafi_simulators.tesla.scenario import ANNAS_MODEL_3, ANNAS_MODEL_Y
from tests.companion.accounts.authenticator import Authenticator
from tests.companion.web.person import Person
from tests.integration.owner import ANNA
from tests.integration.test_link import stack  # noqa: F401 - fixtures
from tests.live.ports import free_port

from .conftest import Time
from .keep import CHEAP, question_of
from .place import HOME, KEY, POSTGRESQL, SETTINGS, SQLITE, STORED, Known, versions

REMOVED: Mapping[str, str] = {}
"""Entities that a later version removed on purpose: unique id -> why."""


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def kind(request: pytest.FixtureRequest) -> str:
    """Return which database the companion has."""
    return str(request.param)


@pytest.fixture(params=versions())
def stored(request: pytest.FixtureRequest, kind: str, tmp_path: Path, clock: Time) -> Path:
    """Return a copy of what a version stored, shortly after it was closed."""
    folder = tmp_path / "stored"
    shutil.copytree(STORED / request.param / kind, folder)
    clock.move_to(datetime.fromisoformat(Known.read(folder).closed_at) + timedelta(minutes=1))
    return folder


@pytest.fixture
def known(stored: Path) -> Known:
    """Return what the owner knows."""
    return Known.read(stored)


@pytest.fixture
def database(request: pytest.FixtureRequest, kind: str, stored: Path) -> str:
    """Return the address of the stored database, or of the empty one that it is to be read into."""
    if kind == "sqlite":
        return f"sqlite:///{stored / SQLITE}"
    address: str = request.getfixturevalue("postgresql_database")
    return address


@pytest.fixture
async def settings(kind: str, database: str, stored: Path, tmp_path: Path, socket_enabled: None) -> Settings:
    """Return the stored settings of the companion, which has moved to ports that are free here.

    Chargebee is out of reach: what the companion knew of the subscription has to do.
    """
    if kind == "postgresql":
        connection = await asyncpg.connect(database)
        await connection.execute((stored / POSTGRESQL).read_text())
        await connection.close()
    key = tmp_path / "keys" / KEY
    key.parent.mkdir()
    (stored / KEY).rename(key)
    key.chmod(0o600)
    # What git keeps of a mode is less than the companion asks of a file of passwords
    (stored / SETTINGS).chmod(0o600)
    port = free_port()
    before = load_settings({}, stored / SETTINGS)
    home = stored / HOME / ".storage" / "core.config_entries"
    home.write_text(home.read_text().replace(before.base_url, f"http://localhost:{port}"))
    environment = {
        "DATABASE": database,
        "KEY_FILE": str(key),
        "BASE_URL": f"http://localhost:{port}",
        "LISTEN_PORT": str(port),
        "CHARGEBEE_BASE_URL": f"http://127.0.0.1:{free_port()}",
    }
    prefixed = {f"TESLAFI_COMPANION_{name}": value for name, value in environment.items()}
    return replace(load_settings(prefixed, stored / SETTINGS), policy=CHEAP)


@pytest.fixture
async def companion(settings: Settings, stack: AsyncExitStack) -> Services:  # noqa: F811
    """Bring the database up to date and run the companion on it."""
    await migrate_database(settings)
    return await started(stack, settings)


@pytest.fixture
async def olga(companion: Services, settings: Settings, clock: Time, known: Known) -> AsyncIterator[Person]:
    """Return the owner of the account, in front of an empty browser."""
    jar = aiohttp.CookieJar(unsafe=True)
    async with aiohttp.ClientSession(settings.base_url, cookie_jar=jar) as browser:
        person = Person(browser, companion.store, clock)  # type: ignore[arg-type] # as a TestClient, as a ManualClock
        person.secret = known.totp_secret
        yield person


@pytest.fixture
def hass_config_dir(stored: Path, settings: Settings) -> str:
    """Start Home Assistant in the stored folder."""
    return str(stored / HOME)


@pytest.fixture
def its_tesla(tesla: TeslaSimulator, known: Known) -> TeslaSimulator:
    """Return the Tesla that issued the stored grants, and that knows the command key; one car sleeps since then."""
    for client_id, (refresh_token, scopes) in known.refresh_tokens.items():
        tesla.control.recall(ANNA, client_id, set(scopes), refresh_token)
    tesla.control.host_key("teslafi-controls", known.command_public_key)
    for vin in (ANNAS_MODEL_3, ANNAS_MODEL_Y):
        tesla.control.pair(vin, "teslafi-controls")
        tesla.control.sleep(vin)
    tesla.control.wake(ANNAS_MODEL_3)
    tesla.control.set_values(ANNAS_MODEL_Y, {"charge_state.battery_level": 1})
    return tesla


def contents(stored: Path, name: str) -> Any:  # noqa: ANN401 - JSON
    """Return what a store of Home Assistant held."""
    return json.loads((stored / HOME / ".storage" / name).read_text())["data"]


async def test_the_owner_comes_in_as_before(olga: Person, known: Known, settings: Settings) -> None:
    """By the session that was open, by password and app, by passkey, by recovery code; the subscription is known."""
    browser: aiohttp.ClientSession = olga.client  # type: ignore[assignment]
    browser.cookie_jar.update_cookies({"session": known.session}, URL(settings.base_url))
    assert (await olga.opens("/account")).heading == "Your account"
    assert "Your subscription is active." in olga.page.text
    browser.cookie_jar.clear()
    key = load_pem_private_key(known.passkey.key.encode(), None)
    assert isinstance(key, EllipticCurvePrivateKey)
    device = Authenticator(settings.host, settings.origin, key=key, credential=bytes.fromhex(known.passkey.credential))
    for proof in ("code", "passkey", "recovery_code"):
        assert (await olga.signs_in(known.email, known.password)).heading == "Your second factor"
        match proof:
            case "code":
                answer = olga.code()
            case "passkey":
                answer = json.dumps(device.proves(question_of(olga)))
            case _:
                answer = known.recovery_code
        page = await olga.fills("/sign-in/second-factor", **{proof: answer})
        assert page.heading == "Your account", proof
        browser.cookie_jar.clear()


async def test_every_row_opens(companion: Services, known: Known) -> None:
    """The audit log's chain holds, and whatever is sealed can be sealed anew."""
    report = await check_chain(companion.store)
    assert report.faults == ()
    assert report.rows > 20

    async def at_once(_span: timedelta) -> None:
        """Wait for nobody."""

    assert await rotate_keys(companion.store, settle=at_once) > report.rows
    assert (await check_chain(companion.store)).faults == ()
    async with companion.store.reading() as transaction:
        assert await account.find(transaction, known.email) is not None


@pytest.fixture
async def home(hass: HomeAssistant, its_tesla: TeslaSimulator, companion: Services) -> HomeAssistant:
    """Return the stored Home Assistant, started."""
    assert await async_setup_component(hass, DOMAIN, {})
    await hass.async_block_till_done(wait_background_tasks=True)
    return hass


async def test_home_assistant_goes_on(
    home: HomeAssistant, its_tesla: TeslaSimulator, stored: Path, known: Known
) -> None:
    """It watches with its grant, is linked with its tokens, commands with its sealed key, and asks for nothing."""
    entry = home.config_entries.async_get_entry(known.entry_id)
    assert entry is not None
    assert entry.state is ConfigEntryState.LOADED
    assert home.config_entries.flow.async_progress() == []
    vault = await async_get_vault(home)
    for name in (MONITORING, LINK, CONTROLS):
        assert vault.holds(known.entry_id, name), name
    await the_link_holds(home)
    await the_gate_opens(home, its_tesla, known)
    a_sleeping_car_shows_what_was_seen_last(home, stored, known)
    entities_are_as_the_user_left_them(home, stored, known)
    devices_are_as_the_user_left_them(home, stored, known)
    assert dict(entry.options) == contents(stored, "core.config_entries")["entries"][0]["options"]


async def the_link_holds(home: HomeAssistant) -> None:
    """See that the companion knows this Home Assistant."""
    link = home.states.get("sensor.teslafi_companion_link")
    assert link is not None
    assert link.state == "linked"


async def the_gate_opens(home: HomeAssistant, its_tesla: TeslaSimulator, known: Known) -> None:
    """See that the companion gives a permit, that its share opens the key, and that the code is asked for."""
    doors = home.states.get("lock.roadrunner_doors")
    assert doors is not None
    assert doors.state == "locked"
    code = {"entity_id": doors.entity_id, "code": known.command_code}
    with pytest.raises(HomeAssistantError):
        await home.services.async_call("lock", "unlock", code | {"code": "wrong"}, blocking=True)
    assert its_tesla.control.executed(ANNAS_MODEL_3) == []
    await home.services.async_call("lock", "unlock", code, blocking=True)
    assert its_tesla.control.executed(ANNAS_MODEL_3) == ["door_unlock"]


def a_sleeping_car_shows_what_was_seen_last(home: HomeAssistant, stored: Path, known: Known) -> None:
    """See that last values are read: the car itself has another value by now."""
    last = contents(stored, f"teslafi.last_values.{known.entry_id}")["vehicles"][ANNAS_MODEL_Y]
    level = home.states.get("sensor.snowball_battery_level")
    assert level is not None
    assert level.state == str(last["snapshot"]["charge_state"]["battery_level"])


def entities_are_as_the_user_left_them(home: HomeAssistant, stored: Path, known: Known) -> None:
    """See that all are there under their ids, and that the integration still provides those that it provided."""
    entities = er.async_entries_for_config_entry(er.async_get(home), known.entry_id)
    now = {(one.domain, one.unique_id): one for one in entities}
    before = {
        (one["entity_id"].partition(".")[0], one["unique_id"]): one
        for one in contents(stored, "core.entity_registry")["entities"]
        if one["unique_id"] not in REMOVED
    }
    assert before.keys() - now.keys() == set()
    for unique_id, entity in before.items():
        for name in ("entity_id", "disabled_by", "hidden_by", "name", "icon", "area_id", "options"):
            assert getattr(now[unique_id], name) == entity[name], (unique_id, name)
    provided = {entity["entity_id"] for entity in before.values()} & set(known.provided)
    states = {entity_id: home.states.get(entity_id) for entity_id in provided}
    assert {
        entity_id
        for entity_id, state in states.items()
        if state is None or state.state == STATE_UNAVAILABLE or ATTR_RESTORED in state.attributes
    } == set()


def devices_are_as_the_user_left_them(home: HomeAssistant, stored: Path, known: Known) -> None:
    """See that devices keep their ids, names and areas."""
    devices = {device.id: device for device in dr.async_entries_for_config_entry(dr.async_get(home), known.entry_id)}
    for device in contents(stored, "core.device_registry")["devices"]:
        found = devices[device["id"]]
        assert (found.name_by_user, found.area_id) == (device["name_by_user"], device["area_id"])
