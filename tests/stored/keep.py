"""Lives through what a version's owner does, by its real flows and pages, and keeps what is stored then.

`python -m tests.stored.make` runs it; pytest does not collect it.
"""

from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import replace
from html import unescape
import json
from pathlib import Path
import re
import shutil
from typing import Any

import aiohttp
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from homeassistant.config_entries import ConfigEntry
from homeassistant.const import EVENT_HOMEASSISTANT_FINAL_WRITE, STATE_UNAVAILABLE
from homeassistant.core import HomeAssistant
from homeassistant.helpers import area_registry as ar, device_registry as dr, entity_registry as er
import pytest
from sqlalchemy import func, select

from custom_components.teslafi.const import CONTROLS, DOMAIN, MONITORING
from custom_components.teslafi.controls.sealed import public_pem, unseal
from custom_components.teslafi.storage.vault import async_get_vault
from teslafi_companion.adapters.chargebee.settings import ChargebeeSettings
from teslafi_companion.configuration import load_settings
from teslafi_companion.domain.accounts import account, factors
from teslafi_companion.http.services import Services
from teslafi_companion.server import started
from teslafi_companion.service import migrate_database
from teslafi_companion.settings import Policy, Settings
from teslafi_companion.store.database import Store
from teslafi_companion.store.tables import metadata
from teslafi_companion.work.outbox import RESOLVERS
from teslafi_simulators.chargebee import ChargebeeSimulator
from teslafi_simulators.mail import MailCatcher
from teslafi_simulators.tesla import TeslaSimulator
from teslafi_simulators.tesla.scenario import ANNAS_MODEL_3, ANNAS_MODEL_Y
from tests.companion.accounts.authenticator import Authenticator
from tests.companion.billing.test_pages import goes_to_checkout, presses
from tests.companion.letters import outbox_worker
from tests.companion.oauth.test_endpoints import DEVICE
from tests.companion.web.person import OLGA, PASSWORD, Person
from tests.integration.controls.keeper import Keeper
from tests.integration.owner import Owner
from tests.integration.test_link import Link, link, stack  # noqa: F401 - fixtures
from tests.live.ports import free_port

from .conftest import Time
from .place import HOME, KEY, KINDS, SETTINGS, STORES, Known, Passkey, keep_postgresql, keep_sqlite

WEBHOOK_PASSWORD = "a password of this fixture alone"
COMMAND_CODE = "tiger-7"
OTHERS = "erik.marker@example.org", "bo.marker@example.org"
CHEAP = Policy(argon2_memory_kib=64, argon2_passes=1)


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    """Return which database the companion has."""
    return str(request.param)


@pytest.fixture
def hass_config_dir(tmp_path: Path) -> str:
    """Begin with an empty folder."""
    folder = tmp_path / HOME
    folder.mkdir()
    return str(folder)


@pytest.fixture
async def chargebee(clock: Time, socket_enabled: None) -> ChargebeeSimulator:
    """Be Chargebee, with a port for good: it is written into the companion's settings."""
    return ChargebeeSimulator(clock=lambda: clock().timestamp())


@pytest.fixture
def settings(
    request: pytest.FixtureRequest, kind: str, chargebee: ChargebeeSimulator, tmp_path: Path, into: Path
) -> Settings:
    """Return the settings of a companion, by the file that an operator writes."""
    folder = into / kind
    folder.mkdir(parents=True)
    (folder / SETTINGS).write_text(
        f"""\
base_url = "http://localhost:{free_port()}"
metrics_port = -1
billing = "chargebee"
chargebee_site = "acme-test"
chargebee_api_key = "{chargebee.gate.api_key}"
chargebee_item_prices = ["controls-USD-monthly=Controls, monthly"]
chargebee_webhook_credentials = ["{chargebee.sender.user}:{WEBHOOK_PASSWORD}"]
chargebee_base_url = "http://127.0.0.1:{free_port()}"
oauth_redirect_uris = ["{Owner.REDIRECT}"]
"""
    )
    if kind == "sqlite":
        database = f"sqlite:///{tmp_path / 'companion.sqlite3'}"
    else:
        database = request.getfixturevalue("postgresql_database")
    environment = {"TESLAFI_COMPANION_DATABASE": database, "TESLAFI_COMPANION_KEY_FILE": str(folder / KEY)}
    read = load_settings(environment, folder / SETTINGS)
    return replace(read, listen_port=int(read.base_url.rpartition(":")[2]), policy=CHEAP)


@pytest.fixture
async def companion(settings: Settings, chargebee: ChargebeeSimulator, stack: AsyncExitStack) -> Services:  # noqa: F811
    """Run a companion, and the Chargebee that it lives on."""
    assert isinstance(settings.keeper, ChargebeeSettings)
    await chargebee.start(port=int(settings.keeper.base_url.rpartition(":")[2]))
    stack.push_async_callback(chargebee.stop)
    chargebee.sender.url = f"{settings.base_url}/webhooks/chargebee"
    chargebee.sender.password = WEBHOOK_PASSWORD
    await migrate_database(settings)
    return await started(stack, settings)


@pytest.fixture
async def olga(companion: Services, settings: Settings, clock: Time, stack: AsyncExitStack) -> Person:  # noqa: F811
    """Return somebody who signed up at the companion and confirmed the address."""
    olga = await browser(companion, settings, clock, stack)
    await signs_up(olga, OLGA)
    await olga.opens(await olga.link_in("Confirm your address"))
    assert (await olga.fills("/sign-up/confirm")).heading == "Your account is ready"
    return olga


@pytest.fixture
async def entry(owner: Owner, tesla: TeslaSimulator) -> ConfigEntry:
    """Return Anna's account, whose cars stand awake."""
    for vin in (ANNAS_MODEL_3, ANNAS_MODEL_Y):
        tesla.control.car(vin).park()
        tesla.control.car(vin).unplug()
        tesla.control.wake(vin)
    found = await owner.sign_in()
    await owner.bring_application("teslafi-controls")
    return found


async def browser(companion: Services, settings: Settings, clock: Time, stack: AsyncExitStack) -> Person:  # noqa: F811
    """Return somebody with an empty browser."""
    jar = aiohttp.CookieJar(unsafe=True)
    session = await stack.enter_async_context(aiohttp.ClientSession(settings.base_url, cookie_jar=jar))
    return Person(session, companion.store, clock)  # type: ignore[arg-type] # as a TestClient, as a ManualClock


async def signs_up(person: Person, email: str) -> None:
    """Sign up; the address waits to be confirmed."""
    await person.opens("/sign-up")
    page = await person.fills("/sign-up", email=email, password=PASSWORD)
    assert page.heading == "Check your email"


async def sets_up_factors(olga: Person, settings: Settings) -> tuple[list[str], Authenticator]:
    """Set up an app, recovery codes and a passkey; return the codes and the passkey."""
    await olga.signs_in()
    await olga.sets_up_app()
    codes = await olga.makes_recovery_codes()
    await olga.fills("/account/security/recovery-codes/kept", code=codes[0])
    await olga.opens("/account/security/passkeys/new")
    if olga.page.heading.startswith("Confirm"):
        await olga.confirms()
    device = Authenticator(settings.host, settings.origin)
    answer = json.dumps(device.registers(question_of(olga)))
    await olga.fills("/account/security/passkeys/new", passkey=answer, name="Blue key")
    assert "Blue key" in olga.page.text
    return codes, device


def question_of(person: Person) -> Mapping[str, Any]:
    """Return what the shown page would ask a passkey."""
    found = re.search(r'data-question="([^"]*)"', person.page.text)
    assert found is not None
    said: dict[str, Any] = json.loads(unescape(found[1]))
    return said


async def subscribes(olga: Person, chargebee: ChargebeeSimulator) -> None:
    """Go through the hosted checkout, have it told by webhook, and look into the portal."""
    await olga.opens(await presses(await goes_to_checkout(olga, "controls-USD-monthly"), "pay"))
    assert "Your subscription is active." in olga.page.text
    await chargebee.sender.deliver()
    await olga.opens("/account/subscription/portal")
    if olga.page.heading.startswith("Confirm"):
        await olga.confirms()
    form = olga.page.form("/account/subscription/portal")
    assert (await olga.send("POST", form.action, form.values)).status == 303


async def half_done(companion: Services, settings: Settings, clock: Time, stack: AsyncExitStack, olga: Person) -> None:  # noqa: F811
    """Leave behind what is under way: a sign-up, a sign-in, a guess, a device's request, an operator's order."""
    other = await browser(companion, settings, clock, stack)
    await signs_up(other, OTHERS[0])
    await letters_are_written(companion.store)
    await other.signs_in(OLGA, "not the password at all")
    await other.signs_in()
    assert other.page.heading == "Your second factor"  # asks the passkey as well
    await other.client.post("/oauth/device_authorization", data=DEVICE)
    await other.has_account(OTHERS[1])
    async with companion.store.transaction() as transaction:
        bo = await account.find(transaction, OTHERS[1])
        assert bo is not None
        await factors.ask_removal(transaction, bo)
    # Leaves a letter behind that nobody has handed over
    third = await browser(companion, settings, clock, stack)
    await third.opens("/forgotten-password")
    await third.fills("/forgotten-password", email=OLGA)
    await letters_are_written(companion.store)


async def letters_are_written(store: Store) -> None:
    """Do the work that ends in letters; nobody hands these over."""
    worker = outbox_worker(store, RESOLVERS)
    while await worker.work_once():
        pass


async def mails_leave(store: Store, settings: Settings) -> None:
    """Hand over the mails that wait."""
    async with MailCatcher() as mails:
        served = replace(settings, smtp_host="127.0.0.1", smtp_port=mails.smtp_port, smtp_security="none")
        worker = outbox_worker(Store(store.engine, served, store.cipher, store.clock), RESOLVERS)
        while await worker.work_once():
            pass
        assert mails.mails


async def empty_tables(store: Store) -> list[str]:
    """Return the tables that hold nothing."""
    async with store.reading() as transaction:
        counts = {
            table.name: (await transaction.execute(select(func.count()).select_from(table))).scalar_one()
            for table in metadata.sorted_tables
        }
    return [name for name, rows in counts.items() if not rows]


async def makes_it_ones_own(hass: HomeAssistant, keeper: Keeper) -> None:
    """Do in Home Assistant what users do: rename, enable, disable, hide, set options."""
    entities, devices = er.async_get(hass), dr.async_get(hass)
    area = ar.async_get(hass).async_create("Garage")
    car = devices.async_get_device_by_identifier((DOMAIN, ANNAS_MODEL_3), keeper.entry.entry_id)
    assert car is not None
    devices.async_update_device(car.id, name_by_user="Family car", area_id=area.id)
    known = er.async_entries_for_config_entry(entities, keeper.entry.entry_id)
    for entity in sorted(known, key=lambda one: one.entity_id):
        if entity.disabled_by is er.RegistryEntryDisabler.INTEGRATION and entity.device_id == car.id:
            entities.async_update_entity(entity.entity_id, disabled_by=None)
    user = er.RegistryEntryDisabler.USER
    entities.async_update_entity("sensor.roadrunner_odometer", disabled_by=user)
    entities.async_update_entity("button.roadrunner_flash_lights", disabled_by=user)
    entities.async_update_entity("sensor.roadrunner_inside_temperature", hidden_by=er.RegistryEntryHider.USER)
    entities.async_update_entity_options("sensor.roadrunner_outside_temperature", "sensor", {"display_precision": 0})
    entities.async_update_entity(
        "sensor.roadrunner_battery_level",
        new_entity_id="sensor.family_car_battery",
        name="Battery of the family car",
        icon="mdi:car-battery",
    )
    entities.async_update_entity("climate.roadrunner_climate", new_entity_id="climate.family_car")
    flow = await hass.config_entries.options.async_init(keeper.entry.entry_id)
    await hass.config_entries.options.async_configure(
        flow["flow_id"],
        {"monthly_budget": 25, "show_tokens": True, "report_commands": True, "new_code": COMMAND_CODE},
    )
    await hass.config_entries.async_reload(keeper.entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)


async def test_keep(
    hass: HomeAssistant,
    tesla: TeslaSimulator,
    owner: Owner,
    olga: Person,
    entry: ConfigEntry,
    companion: Services,
    settings: Settings,
    chargebee: ChargebeeSimulator,
    link: Link,  # noqa: F811
    stack: AsyncExitStack,  # noqa: F811
    clock: Time,
    kind: str,
    into: Path,
    commit: str,
    request: pytest.FixtureRequest,
) -> None:
    """Live through it all and keep what is stored then."""
    keeper = Keeper(hass, owner, olga, entry, companion, settings)
    codes, device = await sets_up_factors(olga, settings)
    await subscribes(olga, chargebee)
    assert (await link())["reason"] == "companion_linked"
    assert (await keeper.enable())["reason"] == "controls_enabled"
    await mails_leave(companion.store, settings)
    await makes_it_ones_own(hass, keeper)
    code = {"entity_id": "lock.roadrunner_doors", "code": COMMAND_CODE}
    await hass.services.async_call("lock", "unlock", code, blocking=True)
    await keeper.ask_again()
    await half_done(companion, settings, clock, stack, olga)
    assert await empty_tables(companion.store) == []

    vault = await async_get_vault(hass)
    share = keeper.controls.gate.share
    monitoring = vault.get(entry.entry_id, MONITORING)
    assert monitoring is not None
    assert share is not None
    assert vault.holds(entry.entry_id, CONTROLS)
    sealed = unseal(vault, entry.entry_id, share)
    assert sealed is not None
    assert sealed.grant is not None
    known = Known(
        version=into.name,
        commit=commit,
        closed_at=clock().isoformat(),
        email=OLGA,
        password=PASSWORD,
        totp_secret=olga.secret,
        recovery_code=codes[1],
        passkey=Passkey(
            key=device.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(),
            credential=device.credential.hex(),
        ),
        session=next(cookie.value for cookie in olga.client.cookie_jar if cookie.key == "session"),  # type: ignore[attr-defined] # a ClientSession
        entry_id=entry.entry_id,
        instance_id=entry.data["companion"]["instance_id"],
        refresh_tokens={
            grant.client_id: (grant.refresh_token.reveal(), tuple(sorted(grant.scopes)))
            for grant in (monitoring, sealed.grant)
            if grant.refresh_token is not None
        },
        command_public_key=public_pem(sealed.key),
        command_code=COMMAND_CODE,
        provided=tuple(
            sorted(
                one.entity_id
                for one in er.async_entries_for_config_entry(er.async_get(hass), entry.entry_id)
                if (state := hass.states.get(one.entity_id)) and state.state != STATE_UNAVAILABLE
            )
        ),
    )
    hass.bus.async_fire(EVENT_HOMEASSISTANT_FINAL_WRITE)
    await hass.async_block_till_done(wait_background_tasks=True)
    stored = Path(hass.config.config_dir) / ".storage"
    home = into / kind / HOME / ".storage"
    home.mkdir(parents=True)
    for pattern in STORES:
        for file in stored.glob(pattern):
            shutil.copyfile(file, home / file.name)
    await stack.aclose()
    known.write(into / kind)
    if settings.sqlite_path is not None:
        keep_sqlite(settings.sqlite_path, into / kind)
    else:
        url = settings.database_url
        assert url.port is not None
        keep_postgresql(url.port, url.database or "", into / kind)
