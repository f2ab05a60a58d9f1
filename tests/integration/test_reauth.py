"""When Tesla ends a grant: it is wiped, the owner is asked once, monitoring of others goes on, history stays."""

from datetime import timedelta
import logging
from pathlib import Path

from freezegun.api import FrozenDateTimeFactory
from homeassistant.config_entries import ConfigEntry, ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.helpers import entity_registry as er
import pytest
from pytest_homeassistant_custom_component.common import async_fire_time_changed  # type: ignore[import-untyped]

from custom_components.teslafi.const import DOMAIN, MONITORING
from custom_components.teslafi.storage.vault import async_get_vault
from teslafi_simulators.tesla.scenario import ANNAS_MODEL_3

from .owner import ANNA, Owner
from .test_watching import pass_time


def asked_to_sign_in(hass: HomeAssistant) -> list[str]:
    """Return the flows in progress by their source."""
    return [flow["context"]["source"] for flow in hass.config_entries.flow.async_progress_by_handler(DOMAIN)]


async def grant_is_there(hass: HomeAssistant, entry: ConfigEntry) -> bool:
    """Tell whether the vault holds a grant."""
    return (await async_get_vault(hass)).get(entry.entry_id, MONITORING) is not None


async def test_a_changed_password_asks_once(hass: HomeAssistant, owner: Owner, freezer: FrozenDateTimeFactory) -> None:
    """Several cars and the account notice it at the same time: one flow, one dead grant, no further request."""
    entry = await owner.sign_in()
    registry = er.async_get(hass)
    entities = {one.entity_id for one in er.async_entries_for_config_entry(registry, entry.entry_id)}
    owner.tesla.control.change_password(ANNA, "another-horse-anna")
    await pass_time(hass, freezer, 700, step=60)
    assert asked_to_sign_in(hass) == ["reauth"]
    assert not await grant_is_there(hass, entry)
    owner.tesla.state.requests.clear()
    await pass_time(hass, freezer, 1800, step=60)
    assert owner.tesla.state.requests == []
    assert asked_to_sign_in(hass) == ["reauth"]
    (flow,) = hass.config_entries.flow.async_progress_by_handler(DOMAIN)
    step = await owner.choose(flow, "sign_in_again")
    step = await owner.at_tesla(step)
    assert step["reason"] == "reauth_successful"
    await hass.async_block_till_done(wait_background_tasks=True)
    assert entry.state is ConfigEntryState.LOADED
    assert entities <= {one.entity_id for one in er.async_entries_for_config_entry(registry, entry.entry_id)}
    state = hass.states.get("sensor.roadrunner_battery_level")
    assert state is not None
    assert state.state.isdigit()


async def test_a_withdrawn_consent_asks_once(hass: HomeAssistant, owner: Owner, freezer: FrozenDateTimeFactory) -> None:
    """The same, by the owner's own doing at Tesla."""
    entry = await owner.sign_in()
    owner.tesla.control.withdraw_consent(ANNA, "teslafi-monitoring")
    await pass_time(hass, freezer, 700, step=60)
    assert asked_to_sign_in(hass) == ["reauth"]
    assert not await grant_is_there(hass, entry)


async def test_after_a_restart_the_owner_is_still_asked(hass: HomeAssistant, owner: Owner) -> None:
    """With the grant gone, setting up asks again, without a request to Tesla."""
    entry = await owner.sign_in()
    await (await async_get_vault(hass)).wipe(entry.entry_id)
    await hass.config_entries.async_unload(entry.entry_id)
    owner.tesla.state.requests.clear()
    await hass.config_entries.async_setup(entry.entry_id)
    assert entry.state is ConfigEntryState.SETUP_ERROR
    assert asked_to_sign_in(hass) == ["reauth"]
    assert owner.tesla.state.requests == []


async def test_a_lost_key_asks_and_does_not_crash(hass: HomeAssistant, owner: Owner, storage: Path) -> None:
    """A vault whose key is gone is as good as empty."""
    entry = await owner.sign_in()
    await hass.config_entries.async_unload(entry.entry_id)
    (storage / "teslafi.vault_key").unlink()
    hass.data.pop("teslafi_vault")
    await hass.config_entries.async_setup(entry.entry_id)
    assert entry.state is ConfigEntryState.SETUP_ERROR
    assert asked_to_sign_in(hass) == ["reauth"]


async def test_access_tokens_are_renewed_without_a_word(
    hass: HomeAssistant, owner: Owner, freezer: FrozenDateTimeFactory
) -> None:
    """Three days of eight-hour tokens: no flow, and values at the end."""
    entry = await owner.sign_in(energy_device_data=False)
    owner.tesla.control.sleep(ANNAS_MODEL_3)
    await pass_time(hass, freezer, 3 * 86400, step=1800)
    assert asked_to_sign_in(hass) == []
    assert await grant_is_there(hass, entry)
    owner.tesla.control.drive(ANNAS_MODEL_3)
    await pass_time(hass, freezer, 620, step=60)
    state = hass.states.get("sensor.roadrunner_car_state")
    assert state is not None
    assert state.state == "online"


@pytest.mark.parametrize(
    "trouble",
    [
        {
            "kind": "status",
            "status": 400,
            "body": {"error": "server_error", "error_description": "Internal server error"},
        },
        {"kind": "status", "status": 503},
        {"kind": "drop"},
    ],
)
async def test_trouble_at_the_token_endpoint_never_asks(
    hass: HomeAssistant, owner: Owner, freezer: FrozenDateTimeFactory, trouble: dict[str, object]
) -> None:
    """Tesla's server_error is a 400: still no reason to sign in again. The grant survives a day of it."""
    entry = await owner.sign_in(energy_device_data=False)
    owner.tesla.control.fault(path="*/oauth2/v3/token", times=None, **trouble)
    await pass_time(hass, freezer, 86400, step=1800)
    assert asked_to_sign_in(hass) == []
    assert await grant_is_there(hass, entry)
    owner.tesla.control.clear_faults()
    await pass_time(hass, freezer, 3600, step=300)
    state = hass.states.get("sensor.roadrunner_car_state")
    assert state is not None
    assert state.state in ("online", "asleep")


async def test_the_log_says_it_once(
    hass: HomeAssistant, owner: Owner, freezer: FrozenDateTimeFactory, caplog: pytest.LogCaptureFixture
) -> None:
    """Two hours without Tesla are one line, however many cars and sites it is about."""
    await owner.sign_in()
    caplog.clear()
    owner.tesla.control.fault(path="*", kind="drop", times=None)
    freezer.tick(timedelta(seconds=61))
    async_fire_time_changed(hass)
    await pass_time(hass, freezer, 7200, step=300)
    lines = [
        record for record in caplog.records if record.levelno >= logging.WARNING and record.name.endswith("teslafi")
    ]
    assert len(lines) == 1
    owner.tesla.control.clear_faults()
