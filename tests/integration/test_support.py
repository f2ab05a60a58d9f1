"""What helps when something is wrong: diagnostics, system health, texts for every case."""

import json
from pathlib import Path

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant
from homeassistant.helpers import device_registry as dr
from homeassistant.setup import async_setup_component
import pytest
from pytest_homeassistant_custom_component.common import get_system_health_info  # type: ignore[import-untyped]

import custom_components.teslafi
from custom_components.teslafi import async_remove_config_entry_device, issues
from custom_components.teslafi.application_credentials import async_get_description_placeholders
from custom_components.teslafi.const import DOMAIN
from custom_components.teslafi.diagnostics import async_get_config_entry_diagnostics
from custom_components.teslafi.flow import account
from custom_components.teslafi.tesla.errors import Reason, TeslaError
from teslafi_simulators.tesla.scenario import ANNAS_MODEL_3, ANNAS_MODEL_Y
from tests.translations import translations

from .owner import Owner
from .test_errors import every_error

COMPONENT = Path(custom_components.teslafi.__file__).parent
TEXTS = translations()


async def test_diagnostics_show_what_helps_and_nothing_personal(hass: HomeAssistant, owner: Owner) -> None:
    """Values by the list of what may be shown; no VIN, name, place, title or number that identifies."""
    entry = await owner.sign_in()
    shown = await async_get_config_entry_diagnostics(hass, entry)
    text = json.dumps(shown, default=str)
    car = owner.tesla.control.car(ANNAS_MODEL_3)
    personal = [ANNAS_MODEL_3, ANNAS_MODEL_Y, "Roadrunner", "Snowball", "Office", "anna", str(entry.unique_id)]
    personal += [str(car.data["drive_state"][name]) for name in ("latitude", "longitude")]
    personal += [str(car.data["vehicle_state"]["media_info"]["now_playing_title"]), str(car.number)]
    assert [word for word in personal if word in text] == []
    assert shown["vehicles"][0]["values"]["charge_state"]["battery_level"]
    assert shown["grant"]["has_refresh_token"] is True
    assert shown["vehicles"][0]["awake_because"] == "driving"


async def test_diagnostics_without_a_grant(hass: HomeAssistant, owner: Owner) -> None:
    """A dead grant is told by its reason."""
    entry = await owner.sign_in()
    owner.tesla.control.change_password("anna@example.com", "new-pass-word")
    await entry.runtime_data.account.async_request_refresh()
    await hass.async_block_till_done(wait_background_tasks=True)
    shown = await async_get_config_entry_diagnostics(hass, entry)
    assert shown["grant"] == {"missing": "login_required"}


async def test_system_health(hass: HomeAssistant, owner: Owner) -> None:
    """Counts, and whether Tesla can be reached."""
    await owner.sign_in()
    assert await async_setup_component(hass, "system_health", {})
    await hass.async_block_till_done()
    info = await get_system_health_info(hass, DOMAIN)
    info["reach_tesla"] = await info["reach_tesla"]
    assert info == {
        "accounts": 1,
        "vehicles": 2,
        "energy_sites": 1,
        "reachable": True,
        "cost": "0.00 USD",
        "reach_tesla": "ok",
    }


async def test_a_device_that_is_there_cannot_be_removed(hass: HomeAssistant, owner: Owner) -> None:
    """One that the account no longer holds can."""
    entry: ConfigEntry = await owner.sign_in()
    registry = dr.async_get(hass)
    for device in dr.async_entries_for_config_entry(registry, entry.entry_id):
        assert not await async_remove_config_entry_device(hass, entry, device)
    gone = registry.async_get_or_create(config_entry_id=entry.entry_id, identifiers={(DOMAIN, "5YJ3E1EA7KF777777")})
    assert await async_remove_config_entry_device(hass, entry, gone)


@pytest.mark.parametrize(
    ("component", "address"),
    [("my", "https://my.home-assistant.io/redirect/oauth"), (None, "https://home.example/auth/external/callback")],
)
async def test_the_redirect_address_is_told(hass: HomeAssistant, component: str | None, address: str) -> None:
    """The dialog for credentials names what to enter at Tesla."""
    hass.config.external_url = "https://home.example"
    if component:
        hass.config.components.add(component)
    assert (await async_get_description_placeholders(hass))["redirect_url"] == address


def test_every_error_has_its_sentence() -> None:
    """Under "exceptions", and under "issues" where the owner must act."""
    for error in every_error():
        assert error is TeslaError or error.key in TEXTS["exceptions"], error
    for reason in Reason:
        assert f"sign_in_{reason}" in TEXTS["exceptions"]
    for error in (*issues.ACCOUNT_ISSUES, *issues.SUBJECT_ISSUES):
        assert error.key in TEXTS["issues"]
    assert issues.BUDGET_REACHED in TEXTS["issues"]


def test_every_refusal_of_the_flow_has_its_sentence() -> None:
    """As an error of the form and as a reason to end."""
    sentences = {*account.SENTENCES.values(), *account.DEAD_GRANT_SENTENCES.values(), "cannot_connect"}
    assert sentences <= set(TEXTS["config"]["error"])
    assert sentences <= set(TEXTS["config"]["abort"])
    assert set(account.DECLINED_STEPS.values()) <= set(TEXTS["config"]["step"])
