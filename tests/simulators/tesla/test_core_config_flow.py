"""Core's own `tesla_fleet` config flow, from its first step to a car's entities, against the simulator."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import aiohttp
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from homeassistant.components.application_credentials import ClientCredential, async_import_client_credential
from homeassistant.components.tesla_fleet import const as core_constants, oauth as core_oauth
from homeassistant.config_entries import ConfigEntryState, ConfigFlowResult
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.helpers import config_entry_oauth2_flow
from homeassistant.setup import async_setup_component
import pytest
import tesla_fleet_api.const
from tesla_fleet_api.const import Region

from teslafi_simulators.tesla import TeslaSimulator
from teslafi_simulators.tesla.applications import Application
from teslafi_simulators.tesla.scenario import ANNAS_MODEL_3
from tests.live.tesla_pages import sign_in

CREDENTIAL = ClientCredential("core-tesla-fleet", "ts-secret.core")
EMAIL = "anna@example.com"
PASSWORD = "correct-horse-anna"
DOMAIN = "anna.example.com"


@pytest.fixture
async def tesla(socket_enabled: None) -> AsyncIterator[TeslaSimulator]:
    """Be Tesla by the machine's clock, by which core reads the end of a token."""
    async with TeslaSimulator() as simulator:
        yield simulator


@pytest.fixture
def application(tesla: TeslaSimulator) -> Application:
    """Return core's application, registered nowhere yet and without a key on its domain."""
    found = tesla.state.applications.by_client_id(CREDENTIAL.client_id)
    assert found is not None
    found.regions.clear()
    found.public_key = None
    found.domain = DOMAIN
    return found


@pytest.fixture
async def core(
    hass: HomeAssistant, tesla: TeslaSimulator, application: Application, monkeypatch: pytest.MonkeyPatch
) -> HomeAssistant:
    """Return Home Assistant whose `tesla_fleet` takes the simulator for Tesla."""
    for region in cast("tuple[Region, ...]", tuple(tesla_fleet_api.const.SERVERS)):
        monkeypatch.setitem(tesla_fleet_api.const.SERVERS, region, tesla.addresses.fleet(region))
        monkeypatch.setitem(tesla_fleet_api.const.TOKEN_URLS, region, tesla.addresses.token(region))
    for region in ("na", "eu"):
        monkeypatch.setitem(core_constants.REGION_SERVERS, region, tesla.addresses.fleet(region))
    monkeypatch.setattr(core_oauth, "AUTHORIZE_URL", tesla.addresses.token("na").replace("/token", "/authorize"))
    monkeypatch.setattr(core_oauth, "TOKEN_URL", tesla.addresses.token("na"))
    hass.config.components.add("my")
    assert await async_setup_component(hass, "application_credentials", {})
    await async_import_client_credential(hass, "tesla_fleet", CREDENTIAL, "core")
    return hass


@pytest.fixture
def hass_config_dir(tmp_path: Path) -> str:
    """Give core's integration a folder for its key."""
    return str(tmp_path)


async def to_domain(core: HomeAssistant, tesla: TeslaSimulator) -> ConfigFlowResult:
    """Sign in on the pages and choose the region that core suggests; returns the step that asks for a domain."""
    flows = core.config_entries.flow
    result = await flows.async_init("tesla_fleet", context={"source": "user"})
    if result["step_id"] == "pick_implementation":
        result = await flows.async_configure(result["flow_id"], {"implementation": "core"})
    assert result["type"] is FlowResultType.EXTERNAL_STEP
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as browser:
        passcode = tesla.accounts.current_passcode(EMAIL)
        back = await sign_in(browser, result["url"], email=EMAIL, password=PASSWORD, passcode=passcode)
    state = core_oauth_state(core, back.query["state"])
    await flows.async_configure(result["flow_id"], {"state": state, "code": back.query["code"]})
    result = await flows.async_configure(result["flow_id"])
    assert result["step_id"] == "region"
    return await flows.async_configure(result["flow_id"], {"region": "na"})


def core_oauth_state(core: HomeAssistant, state: str) -> dict[str, Any]:
    """Read the state that came back, as Home Assistant's callback view does."""
    decoded = config_entry_oauth2_flow._decode_jwt(core, state)  # noqa: SLF001 - as its view does
    assert decoded is not None
    return decoded


async def publish_key(core: HomeAssistant, tesla: TeslaSimulator, application: Application, flow_id: str) -> None:
    """Put the key that core made on the owner's domain, from where Tesla takes it."""
    flow = cast("Any", core.config_entries.flow)._progress[flow_id]  # noqa: SLF001 - the key is shown on a page alone
    tesla.control.host_key(application.client_id, flow.api.public_pem)


async def test_core_signs_in_registers_its_domain_and_shows_the_car(
    core: HomeAssistant, tesla: TeslaSimulator, application: Application
) -> None:
    result = await to_domain(core, tesla)
    assert result["step_id"] == "domain_input"
    flow_id = result["flow_id"]

    # nothing is published yet: Tesla cannot fetch the key
    result = await core.config_entries.flow.async_configure(flow_id, {"domain": DOMAIN})
    assert (result["step_id"], result["errors"]) == ("domain_registration", {"base": "invalid_response"})
    assert "na" not in application.regions

    await publish_key(core, tesla, application, flow_id)
    result = await core.config_entries.flow.async_configure(flow_id, {})
    assert result["step_id"] == "registration_complete"
    assert "na" in application.regions

    result = await core.config_entries.flow.async_configure(flow_id, {})
    assert result["type"] is FlowResultType.CREATE_ENTRY
    await core.async_block_till_done()
    owner = tesla.accounts.by_email(EMAIL)
    assert owner is not None
    (entry,) = core.config_entries.async_entries("tesla_fleet")
    assert entry.state is ConfigEntryState.LOADED, (entry.reason, entry.error_reason_translation_key)
    assert entry.unique_id == owner.sub
    levels = {state.state for state in core.states.async_all("sensor") if state.entity_id.endswith("_battery_level")}
    assert str(tesla.control.car(ANNAS_MODEL_3).data["charge_state"]["battery_level"]) in levels
    assert await core.config_entries.async_unload(entry.entry_id)


async def test_core_is_told_that_another_key_stands_on_the_domain(
    core: HomeAssistant, tesla: TeslaSimulator, application: Application
) -> None:
    result = await to_domain(core, tesla)
    other = ec.generate_private_key(ec.SECP256R1()).public_key()
    pem = other.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    tesla.control.host_key(application.client_id, pem)
    result = await core.config_entries.flow.async_configure(result["flow_id"], {"domain": DOMAIN})
    assert (result["step_id"], result["errors"]) == ("domain_registration", {"base": "public_key_mismatch"})
