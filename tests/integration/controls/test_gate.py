"""No command leaves this machine unless everything is as it has to be: by state, platform and action, counted at Tesla.

Each state is brought about for real: at the companion, in the vault, at Tesla, by the clock. The sentence is what a
person reads.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import replace
import time
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from homeassistant.const import STATE_UNAVAILABLE
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.helpers import device_registry as dr
from homeassistant.setup import async_setup_component
import jwt
import pytest

from custom_components.teslafi import services as actions
from custom_components.teslafi.const import CONTROLS, DOMAIN
from custom_components.teslafi.controls.gate import Lock
from custom_components.teslafi.controls.permit import Moment
from custom_components.teslafi.issues import RECONFIGURED
from custom_components.teslafi.link.client import CheckedIn
from custom_components.teslafi.storage.vault import async_get_vault
from teslafi_companion.domain.accounts import account, factors
from teslafi_companion.domain.accounts.visitor import Visitor
from teslafi_companion.domain.links.links import links_of
from teslafi_companion.domain.permits.permit import signing_key
from teslafi_companion.store.tables import controls, link
from teslafi_simulators.tesla import TeslaSimulator
from teslafi_simulators.tesla.scenario import ANNAS_MODEL_3, ANNAS_SITE
from tests.companion.web.person import Person
from tests.translations import translations

from .keeper import Keeper

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _firmware_with_schedules(tesla: TeslaSimulator) -> None:
    """Let the car have the schedules that its calendars show."""
    tesla.control.set_values(ANNAS_MODEL_3, {"vehicle_state.car_version": "2026.2.9 0a1b2c3d"})


TEXTS: Final = translations()

ENTITIES: Final[dict[str, tuple[str, str, dict[str, Any]]]] = {
    "lock": ("lock", "lock.roadrunner_door_lock", {}),
    "unlock": ("unlock", "lock.roadrunner_door_lock", {}),
    "cover": ("open_cover", "cover.roadrunner_frunk", {}),
    "climate": ("turn_on", "climate.roadrunner_climate", {}),
    "switch": ("turn_on", "switch.roadrunner_sentry_mode", {}),
    "number": ("set_value", "number.roadrunner_charge_limit", {"value": 70}),
    "select": ("select_option", "select.roadrunner_seat_heater_front_left", {"option": "high"}),
    "button": ("press", "button.roadrunner_honk_horn", {}),
    "wake": ("press", "button.roadrunner_wake", {}),
    "media_player": ("media_next_track", "media_player.roadrunner_media", {}),
    "text": ("set_value", "text.roadrunner_destination", {"value": "Harbour"}),
    "update": ("install", "update.roadrunner_software", {}),
    "calendar": ("delete_event", "calendar.roadrunner_charge_schedules", {}),
    "site": ("set_value", "number.anna_s_home_backup_reserve", {"value": 30}),
}
"""One entity of each platform: service, entity, data."""

DATA: Final[dict[str, dict[str, Any]]] = {
    "add_charge_schedule": {"start_time": "01:00:00"},
    "add_precondition_schedule": {"time": "07:00:00"},
    "remove_charge_schedule": {"id": 1},
    "remove_precondition_schedule": {"id": 1},
    "set_scheduled_charging": {"enable": True, "time": "01:00:00"},
    "set_scheduled_departure": {"enable": True, "departure_time": "07:00:00"},
    "set_temperatures": {"driver": 20, "passenger": 21},
    "navigate": {"destination": "Harbour"},
    "navigate_to_supercharger": {},
    "navigate_waypoints": {"waypoints": "refId:a"},
    "speed_limit": {"enable": False, "pin": "1234"},
    "clear_speed_limit_pin": {"pin": "1234"},
    "valet_mode": {"enable": True, "pin": "1234"},
    "reset_valet_pin": {},
    "pin_to_drive": {"enable": False, "pin": "1234"},
    "reset_pin_to_drive": {},
    "set_vehicle_name": {"name": "Bolt"},
    "schedule_update": {},
    "set_time_of_use": {"tariff": {"code": "t"}},
}


def test_the_tables_name_every_action() -> None:
    assert DATA.keys() == actions.ACTIONS.keys()


def device(hass: HomeAssistant, keeper: Keeper, name: str) -> str:
    found = dr.async_get(hass).async_get_device_by_identifier(("teslafi", name), keeper.entry.entry_id)
    assert found is not None
    return found.id


async def press_everything(hass: HomeAssistant, keeper: Keeper) -> set[str]:
    """Use each platform and each action; return the translation keys of the sentences."""
    said: set[str] = set()
    for service, entity_id, data in ENTITIES.values():
        domain = entity_id.partition(".")[0]
        platform = hass.data["entity_components"].get(domain)
        entity = None if platform is None else platform.get_entity(entity_id)
        if entity is None or "controls" not in keeper.entry.data:
            assert "controls" not in keeper.entry.data, entity_id
            continue
        # Home Assistant itself leaves unavailable entities alone: the method is called as if it did not
        said.add(await refusal(_call(entity, service, data)))
    for name, data in DATA.items():
        target = device(hass, keeper, str(ANNAS_SITE) if actions.ACTIONS[name].site else ANNAS_MODEL_3)
        said.add(await refusal(hass.services.async_call("teslafi", name, {"device_id": target, **data}, blocking=True)))
    return said


METHODS: Final[dict[str, Callable[[Any, dict[str, Any]], Awaitable[None]]]] = {
    "lock": lambda entity, _: entity.async_lock(),
    "unlock": lambda entity, _: entity.async_unlock(),
    "open_cover": lambda entity, _: entity.async_open_cover(),
    "turn_on": lambda entity, _: entity.async_turn_on(),
    "select_option": lambda entity, data: entity.async_select_option(data["option"]),
    "press": lambda entity, _: entity.async_press(),
    "media_next_track": lambda entity, _: entity.async_media_next_track(),
    "delete_event": lambda entity, _: entity.async_delete_event("charge-1"),
    "install": lambda entity, _: entity.async_install(version=None, backup=False),
}


def _call(entity: Any, service: str, data: dict[str, Any]) -> Awaitable[None]:  # noqa: ANN401 - any entity
    if service == "set_value":
        method = getattr(entity, "async_set_native_value", None) or entity.async_set_value
        found: Awaitable[None] = method(data["value"])
        return found
    return METHODS[service](entity, data)


async def refusal(call: Awaitable[Any]) -> str:
    """Return the translation key of the refusal."""
    with pytest.raises((ServiceValidationError, HomeAssistantError)) as caught:
        await call
    key = caught.value.translation_key or ""
    assert key in TEXTS["exceptions"], caught.value
    return key


# How each state comes about.


async def lose_second_factor(keeper: Keeper) -> None:
    async with keeper.companion.store.transaction() as transaction:
        owner = await account.load(transaction, await Person.account(transaction))
        assert owner is not None
        await factors.remove_totp(transaction, owner, VISITOR)


VISITOR: Final = Visitor("127.0.0.1", "test")


async def change_companions_password(keeper: Keeper) -> None:
    async with keeper.companion.store.transaction() as transaction:
        owner = await Person.account(transaction)
        await account.set_password(transaction, owner, "$argon2id$new", VISITOR, how="in a test")


async def end_the_link(keeper: Keeper) -> None:
    async with keeper.companion.store.transaction() as transaction:
        await transaction.execute(link.delete())


async def look_suspicious(keeper: Keeper) -> None:
    async with keeper.companion.store.transaction() as transaction:
        await transaction.execute(link.update().values(suspicious_since=transaction.now))


async def take_the_share_away(keeper: Keeper) -> None:
    """Somebody put an older database of the companion back: another share, or none of this one."""
    async with keeper.companion.store.transaction() as transaction:
        owner = await Person.account(transaction)
        (known,) = await links_of(transaction, owner)
        row = await transaction.first(controls.select())
        assert row is not None
        content = transaction.open(row.sealed, controls, row.link_id, row.account_id)
        content["share"] = "A" * 43 + "="
        sealed = transaction.seal(content, controls, row.link_id, row.account_id)
        await transaction.execute(controls.update().values(sealed=sealed))
        assert known.id == row.link_id


def forged(**changed: Any) -> Callable[[Keeper, pytest.MonkeyPatch], Awaitable[None]]:  # noqa: ANN401
    """Return a state in which the companion's permit says something else; signed by it, but for `tampered`."""

    async def arrange(keeper: Keeper, monkeypatch: pytest.MonkeyPatch) -> None:
        original = keeper.controls.gate._companion.check_in  # noqa: SLF001 - what comes over the wire

        async def check_in(*, permit: bool) -> CheckedIn:
            checked = await original(permit=permit)
            given = checked.permit
            if given is None:
                return checked
            claims = jwt.decode(given.jwt, options={"verify_signature": False}) | changed
            ours = signing_key(keeper.companion.store.cipher)
            key = Ed25519PrivateKey.generate() if "tampered" in changed else ours
            header = jwt.get_unverified_header(given.jwt)
            signed = jwt.encode(claims, key, algorithm="EdDSA", headers={"typ": header["typ"], "kid": header["kid"]})
            return replace(checked, permit=replace(given, jwt=signed))

        monkeypatch.setattr(keeper.controls.gate._companion, "check_in", check_in)  # noqa: SLF001

    return arrange


async def shift_clock(keeper: Keeper, monkeypatch: pytest.MonkeyPatch, *, wall: float, steady: float) -> None:
    """Move the gate's clocks."""
    around = keeper.controls.gate._context  # noqa: SLF001
    moved = lambda: Moment(time.time() + wall, time.monotonic() + steady)  # noqa: E731
    object.__setattr__(around, "now", moved)


async def reload(keeper: Keeper) -> None:
    await keeper.hass.config_entries.async_reload(keeper.entry.entry_id)
    await keeper.hass.async_block_till_done(wait_background_tasks=True)


type Arrange = Callable[[Keeper, pytest.MonkeyPatch, AsyncExitStack], Awaitable[None]]


def _by(change: Callable[[Keeper], Awaitable[None]]) -> Arrange:
    """Return a state that a change at the companion brings about once it is asked for a new permit."""

    async def arrange(keeper: Keeper, _: pytest.MonkeyPatch, __: AsyncExitStack) -> None:
        await change(keeper)
        await reload(keeper)

    return arrange


def _clock(wall: float, steady: float) -> Arrange:
    async def arrange(keeper: Keeper, monkeypatch: pytest.MonkeyPatch, stack: AsyncExitStack) -> None:
        await stack.aclose()  # the companion is gone
        await shift_clock(keeper, monkeypatch, wall=wall, steady=steady)

    return arrange


async def _companion_gone(keeper: Keeper, _: pytest.MonkeyPatch, stack: AsyncExitStack) -> None:
    await stack.aclose()
    await reload(keeper)


async def _restored(keeper: Keeper, _: pytest.MonkeyPatch, stack: AsyncExitStack) -> None:
    """A backup was put back on another machine, and its companion cannot be reached from there."""
    await _companion_gone(keeper, _, stack)


async def _tesla_ended(keeper: Keeper, _: pytest.MonkeyPatch, __: AsyncExitStack) -> None:
    await (await async_get_vault(keeper.hass)).wipe(keeper.entry.entry_id, CONTROLS)
    await reload(keeper)


STATES: Final[dict[str, tuple[Arrange, Lock]]] = {
    "the second factor was removed": (_by(lose_second_factor), Lock.SECOND_FACTOR),
    "the companion's password changed": (_by(change_companions_password), Lock.PROOF_OUTDATED),
    "the link was revoked": (_by(end_the_link), Lock.UNLINKED),
    "the link looks suspicious": (_by(look_suspicious), Lock.SUSPICIOUS),
    "another key share": (_by(take_the_share_away), Lock.SEAL_BROKEN),
    "the companion is out of reach after a restart": (_companion_gone, Lock.UNREACHABLE),
    "a restored backup without companion": (_restored, Lock.UNREACHABLE),
    "the permit is over": (_clock(25 * 3600, 25 * 3600), Lock.UNREACHABLE),
    "the permit is over and the clock was set back": (_clock(0, 25 * 3600), Lock.UNREACHABLE),
    "the clock was set back before the permit": (_clock(-7200, 10), Lock.CLOCK),
    "Tesla ended the grant": (_tesla_ended, Lock.GRANT_ENDED),
}
FORGERIES: Final[dict[str, tuple[dict[str, Any], Lock]]] = {
    "a tampered permit": ({"tampered": True}, Lock.PERMIT_INVALID),
    "a permit of another instance": ({"aud": "another-instance-0123"}, Lock.OTHER_INSTANCE),
    "a permit of another companion": ({"iss": "https://elsewhere.example"}, Lock.PERMIT_INVALID),
    "a permit for another account": ({"tesla_account": "somebody"}, Lock.OTHER_ACCOUNT),
    "a permit that is over": ({"iat": int(time.time()) - 90000, "exp": int(time.time()) - 10}, Lock.CLOCK),
    "a permit from the future": ({"iat": int(time.time()) + 7200, "exp": int(time.time()) + 90000}, Lock.CLOCK),
    "a permit without end": ({"exp": int(time.time()) + 10**8}, Lock.PERMIT_INVALID),
}


@pytest.mark.parametrize(("arrange", "lock"), STATES.values(), ids=STATES)
async def test_no_command_leaves(
    hass: HomeAssistant,
    keeper: Keeper,
    stack: AsyncExitStack,
    monkeypatch: pytest.MonkeyPatch,
    arrange: Arrange,
    lock: Lock,
) -> None:
    await arrange(keeper, monkeypatch, stack)
    await nothing_leaves(hass, keeper, lock)


async def test_no_command_leaves_by_a_forged_permit(
    hass: HomeAssistant, keeper: Keeper, monkeypatch: pytest.MonkeyPatch, subtests: pytest.Subtests
) -> None:
    """The true one opens again each time."""
    for name, (claims, lock) in FORGERIES.items():
        with subtests.test(name):
            with monkeypatch.context() as patched:
                await keeper.controls.gate.close()
                await forged(**claims)(keeper, patched)
                await keeper.ask_again()
                await nothing_leaves(hass, keeper, lock)
            await keeper.controls.gate.close()
            await keeper.ask_again()
            assert keeper.controls.is_open
            assert keeper.issues() == set()


async def nothing_leaves(hass: HomeAssistant, keeper: Keeper, lock: Lock) -> None:
    """Use everything; each is refused by its sentence, which a repair tells as well, and watching goes on."""
    before = keeper.sent
    said = await press_everything(hass, keeper)
    assert said == {f"controls_{lock.value}"}
    assert keeper.sent == before
    await keeper.ask_again()
    state = hass.states.get("lock.roadrunner_door_lock")
    assert state is not None
    assert state.state == STATE_UNAVAILABLE
    assert keeper.issues() == {f"controls_locked_{lock.value}"}
    assert f"controls_locked_{lock.value}" in TEXTS["issues"]
    watched = hass.states.get("sensor.roadrunner_battery_level")
    assert watched is not None
    assert watched.state != STATE_UNAVAILABLE, "watching never notices"


async def test_without_link_no_action_does_anything(hass: HomeAssistant, keeper_without_link: Keeper) -> None:
    assert await press_everything(hass, keeper_without_link) == {"controls_not_enabled"}
    assert keeper_without_link.sent == 0


async def test_linked_without_controls_no_action_does_anything(hass: HomeAssistant, linked: Keeper) -> None:
    assert await press_everything(hass, linked) == {"controls_not_enabled"}
    assert linked.sent == 0


async def test_a_wider_monitoring_token_commands_nothing(hass: HomeAssistant, owner: Any) -> None:  # noqa: ANN401
    """A token that can do more was pasted for watching: it is used for reading alone."""
    from .test_enabling import COMMANDS  # noqa: PLC0415

    flow = await owner.answer(
        await owner.begin("token"),
        owner.token(
            "anna@example.com", COMMANDS | {"vehicle_device_data", "energy_device_data"}, client_id="teslafi-controls"
        ),
    )
    flow = await owner.answer(flow, {})
    await hass.async_block_till_done(wait_background_tasks=True)
    keeper = Keeper(hass, owner, None, flow["result"], None, None)  # type: ignore[arg-type] # nothing is linked
    assert await press_everything(hass, keeper) == {"controls_not_enabled"}
    assert keeper.of_controls() == set()
    assert keeper.sent == 0


async def test_a_lock_at_the_companion_holds_for_the_next_command(hass: HomeAssistant, keeper: Keeper) -> None:
    """Nobody has told Home Assistant yet: it asks before it sends."""
    async with keeper.companion.store.transaction() as transaction:
        await transaction.execute(controls.delete())
    before = keeper.sent
    assert await refusal(keeper.unlock()) == "controls_not_allowed"
    assert keeper.sent == before
    await keeper.ask_again()
    assert keeper.of_controls() == set()
    assert not (await async_get_vault(hass)).holds(keeper.entry.entry_id, CONTROLS)


async def test_a_lock_that_several_look_at_reloads_once(
    hass: HomeAssistant, keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A command and the watch over the status find it at the same time."""
    reloads: list[str] = []
    monkeypatch.setattr(hass.config_entries, "async_schedule_reload", reloads.append)
    async with keeper.companion.store.transaction() as transaction:
        await transaction.execute(controls.delete())
    assert await refusal(keeper.unlock()) == "controls_not_allowed"
    await keeper.ask_again()
    assert reloads == [keeper.entry.entry_id]


async def test_the_companion_out_of_reach_locks_nothing_before_the_permit_ends(
    keeper: Keeper, stack: AsyncExitStack
) -> None:
    await stack.aclose()
    await keeper.unlock()
    assert keeper.car().data["vehicle_state"]["locked"] is False


async def test_no_command_waits_behind_a_companion_that_does_not_answer(
    keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first may wait for an answer as long as the gate's patience lasts, the others not at all."""
    asked = 0
    nothing = asyncio.Event()
    original = keeper.controls.gate._companion.check_in  # noqa: SLF001 - what comes over the wire

    async def check_in(*, permit: bool) -> CheckedIn:
        nonlocal asked
        asked += 1
        await nothing.wait()
        return await original(permit=permit)

    monkeypatch.setattr(keeper.controls.gate._companion, "check_in", check_in)  # noqa: SLF001
    monkeypatch.setattr("custom_components.teslafi.controls.gate.PATIENCE", 0.01)
    before = keeper.sent
    await keeper.unlock()
    monkeypatch.setattr("custom_components.teslafi.controls.gate.PATIENCE", 24 * 3600)
    async with asyncio.timeout(300):
        for _ in range(5):
            await keeper.unlock()
    assert keeper.sent - before >= 6  # the first shakes hands as well
    assert asked == 1
    assert keeper.controls.is_open
    nothing.set()
    await keeper.ask_again()
    assert keeper.controls.is_open


async def test_presses_at_one_time_ask_the_companion_once(keeper: Keeper, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = 0
    original = keeper.controls.gate._companion.check_in  # noqa: SLF001 - what comes over the wire

    async def check_in(*, permit: bool) -> CheckedIn:
        nonlocal asked
        asked += 1
        return await original(permit=permit)

    monkeypatch.setattr(keeper.controls.gate._companion, "check_in", check_in)  # noqa: SLF001
    before = keeper.sent
    await asyncio.gather(*(keeper.unlock() for _ in range(5)))
    assert keeper.sent - before >= 5  # and their handshakes
    assert asked == 1


async def test_an_answer_that_comes_after_the_end_opens_nothing(
    keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The entry is unloaded while the companion is asked: the gate stays shut, whatever is answered."""
    asked, answer = asyncio.Event(), asyncio.Event()
    gate = keeper.controls.gate
    original = gate._companion.check_in  # noqa: SLF001 - what comes over the wire

    async def check_in(*, permit: bool) -> CheckedIn:
        asked.set()
        await answer.wait()
        return await original(permit=True)

    monkeypatch.setattr(gate._companion, "check_in", check_in)  # noqa: SLF001
    waiting = asyncio.create_task(gate.renew())
    await asked.wait()
    await gate.close()
    answer.set()
    await asyncio.gather(waiting, return_exceptions=True)
    assert gate.lock is Lock.STARTING
    assert gate.share is None


async def test_controls_come_back_by_themselves(hass: HomeAssistant, keeper: Keeper) -> None:
    """What was lapsed is mended at the companion; nobody signs in anew."""
    await look_suspicious(keeper)
    await reload(keeper)
    assert keeper.controls.gate.lock is Lock.SUSPICIOUS
    async with keeper.companion.store.transaction() as transaction:
        await transaction.execute(link.update().values(suspicious_since=None))
    await keeper.ask_again()
    assert keeper.controls.is_open
    assert keeper.issues() == set()
    state = hass.states.get("lock.roadrunner_door_lock")
    assert state is not None
    assert state.state == "locked"


async def test_the_permit_is_renewed_at_half_its_life(keeper: Keeper, monkeypatch: pytest.MonkeyPatch) -> None:
    first = keeper.controls.gate.permit
    assert first is not None
    await keeper.ask_again()
    assert keeper.controls.gate.permit is first
    await shift_clock(keeper, monkeypatch, wall=0, steady=12 * 3600 + 1)
    await keeper.ask_again()
    assert keeper.controls.gate.permit is not first
    assert keeper.controls.is_open


async def test_other_groups_and_cars_are_not_allowed(hass: HomeAssistant, linked: Keeper) -> None:
    assert (await linked.enable(groups=["charging"], vehicles=[ANNAS_MODEL_3]))["reason"] == "controls_enabled"
    assert hass.states.get("lock.roadrunner_door_lock") is None
    assert hass.states.get("number.snowball_charge_limit") is None
    before = linked.sent
    target = device(hass, linked, ANNAS_MODEL_3)
    for name, data in DATA.items():
        if actions.ACTIONS[name].site:
            continue
        call = hass.services.async_call("teslafi", name, {"device_id": target, **data}, blocking=True)
        assert await refusal(call) == "group_not_allowed", name
    assert linked.sent == before
    other = device(hass, linked, "7SAYGDEE8NF000002")
    call = hass.services.async_call(
        "teslafi", "set_temperatures", {"device_id": other, "driver": 20, "passenger": 20}, blocking=True
    )
    assert await refusal(call) == "vehicle_not_allowed"


async def test_a_changed_tesla_password_ends_both_grants(hass: HomeAssistant, keeper: Keeper) -> None:
    keeper.tesla.control.change_password("anna@example.com", "another-password")
    assert await refusal(keeper.unlock()) == "controls_grant_ended"
    assert keeper.controls.gate.lock is Lock.GRANT_ENDED
    await keeper.ask_again()
    assert keeper.issues() == {"controls_locked_grant_ended"}
    await keeper.entry.runtime_data.account.async_refresh()
    await hass.async_block_till_done(wait_background_tasks=True)
    assert [flow["context"]["source"] for flow in hass.config_entries.flow.async_progress()] == ["reauth"]


async def test_the_repair_of_locked_controls_goes_on_to_turning_them_on(hass: HomeAssistant, keeper: Keeper) -> None:
    """It opens *Reconfigure*, and stays until controls are open."""
    assert await async_setup_component(hass, "repairs", {})
    keeper.tesla.control.change_password("anna@example.com", "another-password")
    assert await refusal(keeper.unlock()) == "controls_grant_ended"
    await keeper.ask_again()
    manager = hass.data["repairs"]["flow_manager"]
    flow = await manager.async_init(DOMAIN, data={"issue_id": f"controls_locked_{keeper.entry.entry_id}"})
    assert flow["step_id"] == "confirm"
    assert flow["description_placeholders"]["account"] == keeper.entry.title
    flow = await manager.async_configure(flow["flow_id"], {})
    kind, menu = flow["next_flow"]
    assert kind == "config_flow"
    assert keeper.issues() == {"controls_locked_grant_ended"}
    flow = await hass.config_entries.flow.async_configure(menu, {"next_step_id": "enable_controls"})
    assert flow["step_id"] == "enable_controls"


def test_every_lock_has_its_sentences() -> None:
    for lock in Lock:
        assert f"controls_{lock}" in TEXTS["exceptions"]
        if lock is not Lock.STARTING:
            assert ("fix_flow" in TEXTS["issues"][f"controls_locked_{lock}"]) is (lock in RECONFIGURED)
            assert f"controls_{lock}" in TEXTS["config"]["abort"]
