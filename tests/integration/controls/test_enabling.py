"""The way to controls through flows, pages and simulators, and each point at which it is refused."""

from collections.abc import Callable
import re
from typing import Any

from homeassistant.const import STATE_UNAVAILABLE
from homeassistant.core import HomeAssistant
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers.entity_platform import async_get_platforms
import pytest

from custom_components.teslafi import CONTROL_PLATFORMS
from custom_components.teslafi.const import CONTROLS, MONITORING
from custom_components.teslafi.storage.vault import async_get_vault
from teslafi_companion.settings import Settings
from teslafi_companion.store.tables import controls
from teslafi_simulators.tesla.scenario import ANNAS_MODEL_3, ANNAS_MODEL_Y
from tests.integration.owner import offered_key
from tests.integration.test_link import reconfigure

from .keeper import BOTH, EVERY_GROUP, Keeper

pytestmark = pytest.mark.slow


async def test_without_controls_nothing_commands(hass: HomeAssistant, linked: Keeper) -> None:
    assert linked.of_controls() == set()
    assert hass.states.async_entity_ids("lock") == []
    assert linked.sent == 0


async def test_the_whole_way(hass: HomeAssistant, keeper: Keeper) -> None:
    """Two applications: the controls grant is a second one, sealed; watching goes on with the first."""
    vault = await async_get_vault(hass)
    monitoring = vault.get(keeper.entry.entry_id, MONITORING)
    assert monitoring is not None
    assert monitoring.client_id == "teslafi-monitoring"
    assert not monitoring.can_command
    assert vault.holds(keeper.entry.entry_id, CONTROLS)
    assert keeper.controls.is_open
    state = hass.states.get("lock.roadrunner_door_lock")
    assert state is not None
    assert state.state == "locked"
    await keeper.unlock()
    assert keeper.car().data["vehicle_state"]["locked"] is False
    shown = hass.states.get("lock.roadrunner_door_lock")
    assert shown is not None
    assert shown.state == "unlocked"
    assert keeper.issues() == set()


async def test_the_scopes_that_are_asked_for_are_those_of_the_groups(linked: Keeper) -> None:
    flow = await linked.at_companion(await linked.choose(["charging"], BOTH))
    flow = await linked.owner.choose(flow, "controls_sign_in")
    flow = await linked.owner.answer(flow, {})
    scopes = re.search(r"scope=([^&]+)", flow["url"])
    assert scopes is not None
    assert set(scopes[1].split("+")) == {"openid", "offline_access", "vehicle_charging_cmds"}
    for parameter in ("prompt=login", "prompt_missing_scopes=true"):
        assert parameter in flow["url"]


async def test_one_application_replaces_the_monitoring_grant_by_a_wider_one(
    hass: HomeAssistant, linked: Keeper
) -> None:
    application = linked.tesla.applications.by_client_id("teslafi-monitoring")
    assert application is not None
    application.scopes = application.scopes | {"vehicle_cmds", "vehicle_charging_cmds", "energy_cmds"}
    assert (await linked.enable(application="teslafi-monitoring"))["reason"] == "controls_enabled"
    vault = await async_get_vault(hass)
    monitoring = vault.get(linked.entry.entry_id, MONITORING)
    assert monitoring is not None
    assert monitoring.can_command
    assert "vehicle_device_data" in monitoring.scopes
    assert linked.entry.data["controls"]["same_application"] is True
    await linked.unlock()
    assert linked.car().data["vehicle_state"]["locked"] is False
    flow = await reconfigure(hass, linked.owner, linked.entry, "disable_controls")
    flow = await linked.owner.answer(flow, {})
    assert flow["menu_options"] == ["sign_in", "keep_grant"]


async def test_one_flow_leads_from_nothing_to_controls(
    hass: HomeAssistant, keeper_without_link: Keeper, settings: Settings
) -> None:
    """Link, second factor that is missing at first, consent, Tesla, key, pairing: nothing is begun anew."""
    keeper = keeper_without_link
    flow = await reconfigure(hass, keeper.owner, keeper.entry, "enable_controls")
    steps = [flow["step_id"]]
    flow = await keeper.at_companion(await keeper.owner.answer(flow, {"address": settings.base_url}))
    steps.append(flow["step_id"])
    assert "companion" in keeper.entry.data
    flow = await keeper.at_companion(await keeper.owner.answer(flow, {"groups": EVERY_GROUP, "vehicles": BOTH}))
    steps.append(flow["step_id"])
    assert flow["description_placeholders"] == {"address": f"{settings.base_url}/account/security"}
    assert keeper.sent == 0
    await keeper.set_up_app()
    flow = await keeper.at_companion(await keeper.owner.answer(flow, {}))
    steps.append(flow["step_id"])
    flow = await keeper.paired(await keeper.at_tesla(flow, "teslafi-controls"), "teslafi-controls", BOTH)
    assert steps == ["controls_link", "enable_controls", "controls_second_factor", "controls_grant"]
    assert flow["reason"] == "controls_enabled"
    await hass.async_block_till_done(wait_background_tasks=True)
    assert keeper.controls.is_open
    assert len(hass.config_entries.flow.async_progress()) == 0


async def test_the_recommended_application_is_the_one_that_monitoring_does_not_use(linked: Keeper) -> None:
    flow = await linked.owner.choose(await linked.at_companion(await linked.choose()), "controls_sign_in")
    assert flow["step_id"] == "controls_sign_in"
    assert flow["description_placeholders"] == {"application": "teslafi-controls", "monitoring": "teslafi-monitoring"}
    flow = await linked.owner.answer(flow, {})
    assert "client_id=teslafi-controls" in flow["url"]


async def test_an_application_can_be_added_on_the_way(hass: HomeAssistant, linked: Keeper) -> None:
    """One alone is warned about; another is entered meanwhile, and is then the one that is recommended."""
    collection = hass.data["application_credentials"]
    await collection.async_delete_item("teslafi_teslafi_controls")
    flow = await linked.owner.choose(await linked.at_companion(await linked.choose()), "controls_sign_in")
    assert flow["step_id"] == "controls_sign_in_same"
    flow = await linked.owner.answer(flow, {"other": {"add_application": True}})
    assert flow["step_id"] == "controls_application"
    placeholders = flow["description_placeholders"]
    assert placeholders is not None
    assert "Vehicle Commands" in placeholders["scopes"]
    await linked.owner.bring_application("teslafi-controls")
    flow = await linked.owner.answer(flow, {})
    assert flow["step_id"] == "controls_sign_in"
    flow = await linked.owner.at_tesla(await linked.owner.answer(flow, {}))
    assert flow["step_id"] == "controls_key"


async def test_without_any_application_the_flow_waits_for_one(linked: Keeper, monkeypatch: pytest.MonkeyPatch) -> None:
    async def none(_hass: HomeAssistant, _domain: str) -> dict[str, Any]:
        return {}

    monkeypatch.setattr("homeassistant.helpers.config_entry_oauth2_flow.async_get_implementations", none)
    flow = await linked.owner.choose(await linked.at_companion(await linked.choose()), "controls_sign_in")
    assert flow["step_id"] == "controls_application"
    flow = await linked.owner.answer(flow, {})
    assert flow["errors"] == {"base": "missing_credentials"}
    monkeypatch.undo()
    assert (await linked.owner.answer(flow, {}))["step_id"] == "controls_sign_in"


async def test_the_owner_refuses(linked: Keeper) -> None:
    flow = await linked.at_companion(await linked.choose(), "deny")
    assert flow["reason"] == "companion_refused"
    assert "controls" not in linked.entry.data


@pytest.mark.parametrize(
    ("answer", "errors"),
    [({"groups": [], "vehicles": BOTH}, {"groups": "no_group"}),
     ({"groups": ["charging"], "vehicles": []}, {"vehicles": "no_vehicle"})],
    ids=["no group", "no car"],
)  # fmt: skip
async def test_something_must_be_chosen(
    hass: HomeAssistant, linked: Keeper, answer: dict[str, Any], errors: dict[str, str]
) -> None:
    flow = await reconfigure(hass, linked.owner, linked.entry, "enable_controls")
    assert (await linked.owner.answer(flow, answer))["errors"] == errors


async def test_sensitive_groups_are_off_at_first(hass: HomeAssistant, linked: Keeper) -> None:
    flow = await reconfigure(hass, linked.owner, linked.entry, "enable_controls")
    assert flow["data_schema"] is not None
    chosen = flow["data_schema"]({})
    assert {"openings", "security"}.isdisjoint(chosen["groups"])
    assert chosen["vehicles"] == BOTH


COMMANDS = {"openid", "offline_access", "vehicle_cmds", "vehicle_charging_cmds", "energy_cmds"}


async def test_a_pasted_token_works_too(linked: Keeper) -> None:
    flow = await linked.at_companion(await linked.choose())
    flow = await linked.owner.choose(flow, "controls_token")
    pair = linked.owner.token("anna@example.com", COMMANDS, client_id="teslafi-controls")
    flow = await linked.owner.answer(flow, pair)
    assert flow["step_id"] == "controls_key", flow
    flow = await linked.paired(flow, "teslafi-controls", BOTH)
    assert flow["reason"] == "controls_enabled"
    await linked.hass.async_block_till_done(wait_background_tasks=True)
    await linked.unlock()
    assert linked.car().data["vehicle_state"]["locked"] is False


def old_token(linked: Keeper) -> dict[str, str]:
    """Return a token from before the step-up, which a refresh would make look new."""
    return linked.owner.token("anna@example.com", COMMANDS, client_id="teslafi-controls")


def of_somebody_else(linked: Keeper) -> dict[str, str]:
    """Return Erik's token."""
    return linked.owner.token("erik@example.com", COMMANDS, client_id="teslafi-controls")


def too_narrow(linked: Keeper) -> dict[str, str]:
    """Return a token that may charge alone."""
    return linked.owner.token(
        "anna@example.com", {"offline_access", "vehicle_charging_cmds"}, client_id="teslafi-controls"
    )


def of_the_owner_app(linked: Keeper) -> dict[str, str]:
    """Return a token of Tesla's own app."""
    return linked.owner.token("anna@example.com", {"openid", "email", "offline_access"}, client_id="ownerapi")


@pytest.mark.parametrize(
    ("make", "error"),
    [(of_somebody_else, "wrong_account"), (too_narrow, "controls_scope_missing"),
     (of_the_owner_app, "controls_owner_token")],
    ids=["another account", "too narrow", "Tesla's own app"],
)  # fmt: skip
async def test_a_token_that_does_not_fit_is_refused_with_its_sentence(
    linked: Keeper, make: Callable[[Keeper], dict[str, str]], error: str
) -> None:
    flow = await linked.at_companion(await linked.choose())
    flow = await linked.owner.choose(flow, "controls_token")
    flow = await linked.owner.answer(flow, make(linked))
    assert flow["errors"] == {"base": error}
    assert linked.sent == 0


async def test_an_old_token_is_refused_even_when_a_refresh_makes_it_look_new(
    linked: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = linked.tesla.clock
    monkeypatch.setattr(linked.tesla.tokens, "_clock", lambda: clock() - 3600)
    pair = old_token(linked)
    monkeypatch.undo()
    flow = await linked.at_companion(await linked.choose())
    flow = await linked.owner.choose(flow, "controls_token")
    flow = await linked.owner.answer(flow, {"refresh_token": pair["refresh_token"], "client_id": "teslafi-controls"})
    assert flow["errors"] == {"base": "controls_old_token"}


async def test_the_monitoring_token_is_refused_before_it_is_spent(hass: HomeAssistant, linked: Keeper) -> None:
    grant = (await async_get_vault(hass)).get(linked.entry.entry_id, MONITORING)
    assert grant is not None
    assert grant.refresh_token is not None
    flow = await linked.at_companion(await linked.choose())
    flow = await linked.owner.choose(flow, "controls_token")
    flow = await linked.owner.answer(flow, {"refresh_token": grant.refresh_token.reveal()})
    assert flow["errors"] == {"refresh_token": "controls_same_token"}
    flow = await linked.owner.answer(flow, {"access_token": grant.access_token.reveal()})
    assert flow["errors"] == {"access_token": "controls_same_token"}
    await linked.entry.runtime_data.account.async_refresh()
    assert linked.entry.runtime_data.account.last_update_success


async def test_a_declined_scope_is_told(linked: Keeper) -> None:
    flow = await linked.at_companion(await linked.choose())
    flow = await linked.at_tesla(flow, "teslafi-controls", untick={"vehicle_cmds"})
    assert flow["reason"] == "controls_scope_missing"
    assert "controls" not in linked.entry.data


async def test_a_key_that_is_not_at_the_domain_and_cars_that_are_not_paired(linked: Keeper) -> None:
    flow = await linked.at_companion(await linked.choose())
    flow = await linked.at_tesla(flow, "teslafi-controls")
    key = offered_key(flow)
    assert "BEGIN PUBLIC KEY" in key
    assert (await linked.owner.answer(flow, {"domain": "no domain"}))["errors"] == {"domain": "no_domain"}
    flow = await linked.owner.answer(flow, {"domain": "controls.example"})
    assert flow["errors"] == {"domain": "key_not_found"}
    linked.tesla.control.host_key("teslafi-controls", key)
    flow = await linked.owner.answer(flow, {"domain": "https://controls.example/"})
    assert flow["step_id"] == "controls_pair"
    linked.tesla.control.pair(ANNAS_MODEL_3, "teslafi-controls")
    flow = await linked.owner.answer(flow, {"later": False})
    assert flow["errors"] == {"base": "not_paired"}
    assert flow["description_placeholders"] is not None
    assert flow["description_placeholders"]["vehicles"] == "Snowball"
    flow = await linked.owner.answer(flow, {"later": True})
    assert flow["reason"] == "controls_enabled_unpaired"
    assert flow["description_placeholders"] == {"vehicles": "Snowball"}
    await linked.hass.async_block_till_done(wait_background_tasks=True)
    flow = await reconfigure(linked.hass, linked.owner, linked.entry, "pair_cars")
    assert flow["description_placeholders"] == {
        "address": "https://tesla.com/_ak/controls.example",
        "vehicles": "Snowball",
    }
    assert (await linked.owner.answer(flow, {}))["errors"] == {"base": "not_paired"}
    linked.tesla.control.pair(ANNAS_MODEL_Y, "teslafi-controls")
    assert (await linked.owner.answer(flow, {}))["reason"] == "all_paired"


async def test_disabling_wipes_everything_and_watching_goes_on(hass: HomeAssistant, keeper: Keeper) -> None:
    assert keeper.of_controls()
    flow = await reconfigure(hass, keeper.owner, keeper.entry, "disable_controls")
    flow = await keeper.owner.answer(flow, {})
    assert flow["reason"] == "controls_disabled"
    await hass.async_block_till_done(wait_background_tasks=True)
    assert keeper.of_controls() == set()
    assert "controls" not in keeper.entry.data
    assert CONTROL_PLATFORMS.isdisjoint(one.domain for one in async_get_platforms(hass, "teslafi"))
    assert not (await async_get_vault(hass)).holds(keeper.entry.entry_id, CONTROLS)
    state = hass.states.get("sensor.roadrunner_battery_level")
    assert state is not None
    assert state.state != STATE_UNAVAILABLE
    async with keeper.companion.store.reading() as transaction:
        assert await transaction.first(controls.select()) is None


async def test_disabling_what_was_locked_meanwhile_is_done(hass: HomeAssistant, keeper: Keeper) -> None:
    """The form stayed open while an automation locked."""
    flow = await reconfigure(hass, keeper.owner, keeper.entry, "disable_controls")
    await keeper.controls.async_wipe(tell=True)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert (await keeper.owner.answer(flow, {}))["reason"] == "controls_disabled"


async def test_the_action_locks_at_once(hass: HomeAssistant, keeper: Keeper) -> None:
    device = dr.async_get(hass).async_get_device_by_identifier(("teslafi", ANNAS_MODEL_3), keeper.entry.entry_id)
    assert device is not None
    await hass.services.async_call("teslafi", "lock_controls", {"device_id": device.id}, blocking=True)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert keeper.of_controls() == set()
    assert not (await async_get_vault(hass)).holds(keeper.entry.entry_id, CONTROLS)


async def test_after_a_restart_they_come_back_by_themselves(hass: HomeAssistant, keeper: Keeper) -> None:
    await hass.config_entries.async_reload(keeper.entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert keeper.controls.is_open
    await keeper.unlock()
    assert keeper.car().data["vehicle_state"]["locked"] is False


async def test_the_vaults_key_is_renewed_with_controls_open_and_not_while_they_are_locked(
    hass: HomeAssistant, keeper: Keeper
) -> None:
    flow = await reconfigure(hass, keeper.owner, keeper.entry, "rotate_key")
    assert (await keeper.owner.answer(flow, {}))["reason"] == "key_rotated"
    await hass.config_entries.async_reload(keeper.entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert keeper.controls.is_open
    await keeper.controls.gate.close()
    flow = await reconfigure(hass, keeper.owner, keeper.entry, "rotate_key")
    assert (await keeper.owner.answer(flow, {}))["reason"] == "controls_are_locked"


async def test_enabling_again_keeps_the_key_that_is_paired(hass: HomeAssistant, keeper: Keeper) -> None:
    """Another choice of groups: no other file at the domain, no other pairing on the phone."""
    key = keeper.controls.gate.command_key
    assert key is not None
    flow = await keeper.at_companion(await keeper.choose(["charging"], [ANNAS_MODEL_3]))
    flow = await keeper.at_tesla(flow, "teslafi-controls")
    assert flow["reason"] == "controls_enabled"
    await hass.async_block_till_done(wait_background_tasks=True)
    again = keeper.controls.gate.command_key
    assert again is not None
    assert again.private_numbers() == key.private_numbers()
    assert hass.states.get("lock.roadrunner_door_lock") is None
    assert {entity for entity in keeper.of_controls() if entity.startswith("lock.")} == {
        "lock.roadrunner_charge_cable_lock"
    }
