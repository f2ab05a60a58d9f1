"""The sender by itself: a gate that answers what a test wants, a car and a site that note what is asked of them."""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from datetime import timedelta
import logging
from typing import Any, Final, cast

from freezegun.api import FrozenDateTimeFactory
from homeassistant.core import CALLBACK_TYPE, Context, Event, HomeAssistant, callback
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.helpers import device_registry as dr
from homeassistant.util import dt as dt_util
import pytest
from pytest_homeassistant_custom_component.common import (  # type: ignore[import-untyped]
    MockConfigEntry,
    MockUser,
    async_capture_events,
    async_fire_time_changed,
)

from custom_components.teslafi.const import CONF_COMMAND_CODE, CONF_MONTHLY_BUDGET, DOMAIN, EVENT_COMMAND
from custom_components.teslafi.controls.code import hashed
from custom_components.teslafi.controls.code_check import CodeCheck
from custom_components.teslafi.controls.gate import Forbidden, GateShut, Lock
from custom_components.teslafi.controls.record import CommandRecord, Result
from custom_components.teslafi.controls.sender import GIVEN_UP, LOOK_AFTER, CommandSender
from custom_components.teslafi.coordinators.budget import Budget
from custom_components.teslafi.tesla.errors import (
    CommandRefused,
    CommandUncertain,
    KeyNotPaired,
    Reason,
    SignInRequired,
    TeslaError,
    Unreachable,
)
from custom_components.teslafi.tesla.requests import PRICES_USD, Category
from custom_components.teslafi.tesla.snapshot import CarState

VIN: Final = "5YJ3E1EA7KF000001"
SITE: Final = 2252012345678
COMMAND, WAKE = PRICES_USD[Category.COMMAND], PRICES_USD[Category.WAKE]
PIA: Final = Context(user_id="pia")


@dataclass
class _State:
    state: CarState | None = CarState.ONLINE


@dataclass
class _Car:
    """What a sender asks of a car's coordinator."""

    budget: Budget
    data: _State = field(default_factory=_State)
    vin: str = VIN
    vehicle_name: str = "Roadrunner"
    signs: bool = True
    commands: int = 0
    expected: list[Mapping[str, object]] = field(default_factory=list)
    done: list[object] = field(default_factory=list)

    @contextmanager
    def commanding(self) -> Iterator[None]:
        self.commands += 1
        try:
            yield
        finally:
            self.commands -= 1

    @contextmanager
    def expecting(self, values: Mapping[str, object]) -> Iterator[None]:
        self.expected.append(values)
        yield
        self.expected.remove(values)

    def count(self, category: Category) -> None:
        self.budget.count(VIN, category)

    def assume(self, values: Mapping[str, object]) -> None:
        self.done.append(values)

    def note_answered(self) -> None:
        self.done.append("answered")

    async def async_request_refresh(self) -> None:
        self.done.append("looked")


@dataclass
class _Site:
    """What a sender asks of a site's coordinator."""

    site_name: str = "Anna's home"
    looked: int = 0

    async def async_look_at_settings(self) -> None:
        self.looked += 1


@dataclass
class _Gate:
    """Lets through, or raises what it was told to."""

    car: _Car
    sent: list[tuple[Any, ...]] = field(default_factory=list)
    raises: BaseException | None = None
    wakes: bool = False
    open: asyncio.Event | None = None

    async def command(
        self,
        vin: str,
        name: str,
        parameters: Mapping[str, Any],
        count: Callable[[Category], None],
        *,
        signed: bool,
        waking: Callable[[], Any] = nullcontext,
    ) -> Mapping[str, Any]:
        self.sent.append((vin, name, parameters, signed))
        assert self.car.commands == 1
        if self.wakes:
            with waking():
                count(Category.WAKE)
        count(Category.COMMAND)
        if self.open is not None:
            await self.open.wait()
        if self.raises is not None:
            raise self.raises
        return {"result": True}

    async def command_site(self, site_id: int, name: str, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
        self.sent.append((site_id, name, parameters))
        if self.open is not None:
            await self.open.wait()
        if self.raises is not None:
            raise self.raises
        return {"code": 201}


@dataclass
class _Coordinator:
    gate: _Gate
    is_open: bool = True
    looked: int = 0

    def look_at_gate(self) -> None:
        self.looked += 1


@dataclass
class _Audit:
    records: list[CommandRecord] = field(default_factory=list)
    reported: int = 0

    def add(self, record: CommandRecord) -> None:
        self.records.append(record)

    def report_soon(self) -> None:
        self.reported += 1


@dataclass
class _Account:
    budget: Budget
    vehicles: dict[str, _Car]
    sites: dict[int, _Site]


@dataclass
class _Desk:
    """A sender and all around it."""

    hass: HomeAssistant
    entry: MockConfigEntry
    account: _Account
    coordinator: _Coordinator
    audit: _Audit
    sender: CommandSender
    events: list[Event]

    @property
    def car(self) -> _Car:
        return self.account.vehicles[VIN]

    @property
    def site(self) -> _Site:
        return self.account.sites[SITE]

    @property
    def gate(self) -> _Gate:
        return self.coordinator.gate

    async def send(self, name: str = "honk_horn", **more: Any) -> Mapping[str, Any]:  # noqa: ANN401 - as the sender's
        parameters = more.pop("parameters", {"which": 1})
        return await self.sender.async_command(VIN, name, parameters, **({"context": PIA} | more))

    async def send_to_site(self) -> Mapping[str, Any]:
        return await self.sender.async_command_site(SITE, "backup", {"backup_reserve_percent": 20}, context=PIA)

    def listen(self, target: str) -> tuple[list[CommandRecord], CALLBACK_TYPE]:
        told: list[CommandRecord] = []

        @callback
        def tell(record: CommandRecord) -> None:
            told.append(record)

        return told, self.sender.async_on_command(target, tell)

    async def pass_time(self, seconds: float) -> None:
        async_fire_time_changed(self.hass, dt_util.utcnow() + timedelta(seconds=seconds))
        await self.hass.async_block_till_done()


@pytest.fixture
async def desk(hass: HomeAssistant) -> _Desk:
    """Return a sender for an awake car and a site."""
    entry = MockConfigEntry(domain=DOMAIN, options={})
    entry.add_to_hass(hass)
    registry = dr.async_get(hass)
    for target in (VIN, str(SITE)):
        registry.async_get_or_create(config_entry_id=entry.entry_id, identifiers={(DOMAIN, target)})
    MockUser(id="pia", name="Pia").add_to_hass(hass)
    MockUser(id="nameless", name=None).add_to_hass(hass)
    budget = Budget(entry)
    account = _Account(budget, {VIN: _Car(budget)}, {SITE: _Site()})
    coordinator = _Coordinator(_Gate(account.vehicles[VIN]))
    audit = _Audit()
    around: dict[str, Any] = {"account": account, "coordinator": coordinator, "audit": audit}
    sender = CommandSender(hass, entry, code=CodeCheck(hass, entry), companion="https://companion.example", **around)
    return _Desk(hass, entry, account, coordinator, audit, sender, async_capture_events(hass, EVENT_COMMAND))


async def refused(sent: Any) -> HomeAssistantError:  # noqa: ANN401 - what is awaited
    """Await something that fails; return how."""
    with pytest.raises(HomeAssistantError) as error:
        await sent
    assert error.value.translation_domain == DOMAIN
    return error.value


async def test_a_command_is_sent_shown_and_told(desk: _Desk, freezer: FrozenDateTimeFactory) -> None:
    """To the gate as it came; to the audit log, the activity and whoever listens; the car is asked what came of it."""
    told, stop = desk.listen(VIN)
    assert await desk.send(assumed={"locked": True}) == {"result": True}
    assert desk.gate.sent == [(VIN, "honk_horn", {"which": 1}, True)]
    (record,) = told
    assert desk.audit.records == told
    assert desk.audit.reported == 1
    assert record == CommandRecord(dt_util.utcnow(), "Pia", VIN, "honk_horn", {"which": 1}, cost_usd=COMMAND)
    device = dr.async_get(desk.hass).async_get_device_by_identifier((DOMAIN, VIN), desk.entry.entry_id)
    assert device is not None
    (event,) = desk.events
    assert event.data == {
        "command": "honk_horn",
        "result": "succeeded",
        "reason": "",
        "user": "Pia",
        "device_id": device.id,
    }
    assert event.context is PIA
    assert desk.car.done == [{"locked": True}, "answered"]
    assert desk.car.commands == 0
    assert desk.car.expected == []
    await desk.pass_time(LOOK_AFTER - 1)
    assert "looked" not in desk.car.done
    await desk.pass_time(LOOK_AFTER + 1)
    assert desk.car.done.count("looked") == 1
    await desk.pass_time(LOOK_AFTER + 100)
    assert desk.car.done.count("looked") == 1
    stop()
    await desk.send()
    assert len(told) == 1
    assert desk.account.budget.ledger(VIN).counts(dt_util.utcnow().timestamp()) == {Category.COMMAND: 2}


async def test_who_sent_it(desk: _Desk) -> None:
    """A user by name, one without a name or an automation of nobody by what there is."""
    for context, name in ((PIA, "Pia"), (Context(user_id="nameless"), "nameless"), (None, "Home Assistant")):
        await desk.send(context=context)
        assert desk.audit.records[-1].user == name
    await desk.send(context=Context(user_id="gone"))
    assert desk.audit.records[-1].user == "Home Assistant"


@pytest.mark.parametrize("shown_before", [True, False])
async def test_what_it_will_set_is_shown_from_the_press_on(desk: _Desk, shown_before: bool) -> None:
    desk.gate.open = asyncio.Event()
    press = desk.hass.async_create_task(desk.send(assumed={"locked": True}, shown_before=shown_before))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert desk.car.expected == [{"locked": True} if shown_before else {}]
    desk.gate.open.set()
    await press
    assert desk.car.done == [{"locked": True}, "answered"]


async def test_what_teslas_server_works_off_says_nothing_of_the_car(desk: _Desk) -> None:
    """It sleeps on with a destination."""
    desk.car.signs = False
    await desk.send("navigation_request", parameters={})
    assert desk.gate.sent == [(VIN, "navigation_request", {}, False)]
    assert "answered" not in desk.car.done
    await desk.send("flash_lights")
    assert "answered" in desk.car.done


REFUSALS: Final = {
    "refused": (CommandRefused("not_near"), "command_refused_not_near", Result.REFUSED, True),
    "uncertain": (CommandUncertain("lost"), "command_uncertain", Result.UNCERTAIN, True),
    "key": (KeyNotPaired("no key"), "key_not_paired", Result.REFUSED, False),
    "not sent": (Unreachable("away"), "command_not_sent", Result.FAILED, False),
    "shut": (GateShut(Lock.STARTING), "controls_starting", Result.LOCKED, False),
    "forbidden": (Forbidden("vehicle_not_allowed"), "vehicle_not_allowed", Result.LOCKED, False),
}


@pytest.mark.parametrize("name", REFUSALS)
async def test_a_command_that_fails_is_told_with_its_reason(desk: _Desk, name: str) -> None:
    """The car is asked what came of it when it may have done something; nothing is assumed of it."""
    desk.gate.raises, key, result, looked = REFUSALS[name]
    error = await refused(desk.send(assumed={"locked": True}))
    assert error.translation_key == key
    assert error.__cause__ is desk.gate.raises
    if isinstance(desk.gate.raises, TeslaError):
        assert error.translation_placeholders == {"name": "Roadrunner"}
    (record,) = desk.audit.records
    assert (record.result, record.reason, record.cost_usd) == (result, key, COMMAND)
    words = desk.gate.raises.reason if isinstance(desk.gate.raises, CommandRefused) else str(desk.gate.raises)
    assert record.answer == words
    assert desk.events[0].data["result"] == result.value
    assert desk.events[0].context is PIA
    assert desk.car.done == []
    assert desk.coordinator.looked == (name == "shut")
    await desk.pass_time(LOOK_AFTER + 1)
    assert desk.car.done == (["looked"] if looked else [])


async def test_an_address_stands_in_the_sentence_of_a_shut_gate(desk: _Desk) -> None:
    desk.gate.raises = GateShut(Lock.STARTING)
    assert (await refused(desk.send())).translation_placeholders == {"address": "https://companion.example"}


async def test_a_refusal_is_logged_in_the_cars_own_words(desk: _Desk, caplog: pytest.LogCaptureFixture) -> None:
    """Those alone: the others are sentences already."""
    for error in (CommandUncertain("lost"), CommandRefused("in its words")):
        desk.gate.raises = error
        await refused(desk.send())
    lines = [one.getMessage() for one in caplog.records if one.levelno >= logging.WARNING and DOMAIN in one.name]
    assert len(lines) == 1
    assert lines[0].startswith("honk_horn was refused")
    assert lines[0].endswith("in its words")


async def test_a_code_is_asked_for(desk: _Desk) -> None:
    """Before anything is sent; right once, it counts for that person."""
    desk.hass.config_entries.async_update_entry(desk.entry, options={CONF_COMMAND_CODE: hashed("tiger-7")})
    assert (await refused(desk.send("door_unlock", parameters={}))).translation_key == "code_needed"
    assert (await refused(desk.send("door_unlock", parameters={}, code="x"))).translation_key == "code_wrong"
    assert desk.gate.sent == []
    assert [record.result for record in desk.audit.records] == [Result.LOCKED, Result.LOCKED]
    assert [record.cost_usd for record in desk.audit.records] == [0.0, 0.0]
    assert [record.answer for record in desk.audit.records] == ["code_needed", "code_wrong"]
    await desk.send("door_unlock", parameters={}, code="tiger-7")
    await desk.send("door_unlock", parameters={})
    erik = Context(user_id="erik")
    await desk.send("window_control", parameters={"command": "close"}, context=erik)
    vent = {"command": "vent"}
    assert (await refused(desk.send("window_control", parameters=vent, context=erik))).translation_key == "code_needed"
    assert (await refused(desk.send("door_unlock", parameters={}, context=erik))).translation_key == "code_needed"
    await desk.pass_time(LOOK_AFTER + 1)


@pytest.mark.parametrize(
    ("state", "wakes", "room", "sent", "goes"),
    [
        (CarState.ONLINE, False, 2 * COMMAND, 1, True),
        (CarState.ONLINE, False, 1.9 * COMMAND, 0, False),
        (None, False, 2 * COMMAND, 1, True),
        (CarState.ASLEEP, True, 2 * COMMAND + WAKE, 1, True),
        (CarState.ASLEEP, True, 1.9 * COMMAND + WAKE, 0, False),
        (CarState.OFFLINE, True, 1.9 * COMMAND + WAKE, 0, False),
        (CarState.ONLINE, True, 2 * COMMAND + WAKE, 1, True),
        (CarState.ONLINE, True, 1.9 * COMMAND + WAKE, 1, False),
    ],
)
async def test_the_money_is_held_before_it_is_spent(
    desk: _Desk, state: CarState | None, wakes: bool, room: float, sent: int, goes: bool
) -> None:
    """For waking too, from the press on or from when the car turns out to sleep; given back afterwards."""
    desk.car.data = _State(state)
    desk.gate.wakes = wakes
    options = {CONF_MONTHLY_BUDGET: desk.account.budget.cost + room + 1e-9}
    desk.hass.config_entries.async_update_entry(desk.entry, options=options)
    if goes:
        await desk.send()
    else:
        assert (await refused(desk.send())).translation_key == "budget_reached"
    assert len(desk.gate.sent) == sent
    assert desk.account.budget.cost <= options[CONF_MONTHLY_BUDGET]
    left = options[CONF_MONTHLY_BUDGET] - desk.account.budget.cost
    assert desk.account.budget.may_spend_on(left - 1e-10)
    await desk.pass_time(LOOK_AFTER + 1)


async def test_a_press_holds_its_money_while_it_is_under_way(desk: _Desk) -> None:
    options = {CONF_MONTHLY_BUDGET: 10 * COMMAND}
    desk.hass.config_entries.async_update_entry(desk.entry, options=options)
    desk.gate.open = asyncio.Event()
    press = desk.hass.async_create_task(desk.send())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    # Counted once already, and held until it has ended
    assert desk.account.budget.may_spend_on(6.9 * COMMAND)
    assert not desk.account.budget.may_spend_on(7.1 * COMMAND)
    desk.gate.open.set()
    await press
    assert desk.account.budget.may_spend_on(8.9 * COMMAND)


async def test_who_gives_up_leaves_an_uncertain_command(desk: _Desk) -> None:
    """Once it was on its way; a press that is given up before that was nothing."""
    desk.gate.open = asyncio.Event()
    press = desk.hass.async_create_task(desk.send(assumed={"locked": True}))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    press.cancel()
    with pytest.raises(asyncio.CancelledError):
        await press
    (record,) = desk.audit.records
    assert (record.result, record.answer, record.cost_usd) == (Result.UNCERTAIN, GIVEN_UP, COMMAND)
    assert record.reason == "command_uncertain"
    assert desk.events[0].context is PIA
    assert desk.car.done == []
    await desk.pass_time(LOOK_AFTER + 1)
    assert desk.car.done == ["looked"]


async def test_who_gives_up_while_the_code_is_judged_has_sent_nothing(desk: _Desk) -> None:
    desk.hass.config_entries.async_update_entry(desk.entry, options={CONF_COMMAND_CODE: hashed("tiger-7")})
    press = desk.hass.async_create_task(desk.send("door_unlock", parameters={}, code="tiger-7"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    press.cancel()
    with pytest.raises(asyncio.CancelledError):
        await press
    assert desk.gate.sent == []
    assert desk.audit.records == []
    await desk.pass_time(LOOK_AFTER + 1)
    assert desk.car.done == []


async def test_one_look_for_several_commands(desk: _Desk) -> None:
    """The last one is what it waits for."""
    for _ in range(3):
        await desk.send()
    await desk.pass_time(LOOK_AFTER + 1)
    assert desk.car.done.count("looked") == 1


async def test_a_closed_sender_begins_no_look_and_ends_those_to_come(desk: _Desk) -> None:
    await desk.send()
    desk.sender.close()
    await desk.send()
    await desk.pass_time(LOOK_AFTER + 1)
    assert "looked" not in desk.car.done
    desk.sender.close()


async def test_a_shut_gate_tells_the_companion_later(desk: _Desk) -> None:
    desk.coordinator.is_open = False
    await desk.send()
    assert (len(desk.audit.records), desk.audit.reported) == (1, 0)
    await desk.pass_time(LOOK_AFTER + 1)


async def test_a_target_without_a_device_is_told_all_the_same(desk: _Desk) -> None:
    dr.async_get(desk.hass).async_clear_config_entry(desk.entry.entry_id)
    await desk.send()
    assert "device_id" not in desk.events[0].data
    await desk.pass_time(LOOK_AFTER + 1)


async def test_a_command_to_a_site(desk: _Desk) -> None:
    """Sent as it came, told, and the site is asked what it is set to."""
    told, _ = desk.listen(str(SITE))
    assert await desk.send_to_site() == {"code": 201}
    assert desk.gate.sent == [(SITE, "backup", {"backup_reserve_percent": 20})]
    assert desk.audit.records == told
    assert replace(told[0], at=cast("Any", None)) == CommandRecord(
        cast("Any", None), "Pia", str(SITE), "backup", {"backup_reserve_percent": 20}
    )
    assert desk.events[0].context is PIA
    assert "device_id" in desk.events[0].data
    assert desk.site.looked == 1


@pytest.mark.parametrize("name", REFUSALS)
async def test_a_command_to_a_site_that_fails(desk: _Desk, name: str) -> None:
    desk.gate.raises, key, result, looked = REFUSALS[name]
    error = await refused(desk.send_to_site())
    assert error.translation_key == key
    assert error.__cause__ is desk.gate.raises
    if isinstance(desk.gate.raises, TeslaError):
        assert error.translation_placeholders == {"name": "Anna's home"}
    (record,) = desk.audit.records
    assert (record.result, record.reason) == (result, key)
    assert desk.events[0].context is PIA
    assert desk.site.looked == looked


async def test_who_gives_up_on_a_site(desk: _Desk) -> None:
    desk.gate.open = asyncio.Event()
    press = desk.hass.async_create_task(desk.send_to_site())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    press.cancel()
    with pytest.raises(asyncio.CancelledError):
        await press
    (record,) = desk.audit.records
    assert (record.result, record.answer, record.reason) == (Result.UNCERTAIN, GIVEN_UP, "command_uncertain")
    assert desk.events[0].context is PIA


@pytest.mark.parametrize("odd", [float("nan"), float("inf"), {"deep": [1.0, (float("-inf"),)]}])
async def test_what_is_no_number_goes_nowhere(desk: _Desk, odd: object) -> None:
    assert (await refused(desk.send(parameters={"percent": odd}))).translation_key == "not_a_number"
    site = desk.sender.async_command_site(SITE, "backup", {"backup_reserve_percent": odd}, context=PIA)
    assert (await refused(site)).translation_key == "not_a_number"
    assert desk.gate.sent == []
    assert desk.audit.records == []


async def test_a_foreign_refusal_passes_as_it_is(desk: _Desk) -> None:
    """Home Assistant's own words are not written anew."""
    desk.gate.raises = ServiceValidationError(translation_domain=DOMAIN, translation_key="code_wait")
    assert await refused(desk.send()) is desk.gate.raises
    assert desk.audit.records[0].result is Result.LOCKED


async def test_no_record_holds_a_secret(desk: _Desk) -> None:
    """Neither PINs and passwords nor what was not told; the companion hears no more of a car than its VIN's end."""
    secret = {"on": True, "pin": "1234", "password": "5678", "nothing": None}
    await desk.send("set_valet_mode", parameters=secret)
    (record,) = desk.audit.records
    assert record.attributes() == {
        "command": "set_valet_mode",
        "parameters": {"on": True},
        "user": "Pia",
        "answer": "",
        "cost_usd": COMMAND,
    }
    long = replace(record, user="u" * 300, reason="r" * 300, answer="a" * 300, cost_usd=0.00123456)
    assert long.attributes()["cost_usd"] == 0.0012
    assert long.for_audit() == {
        "at": record.at.isoformat(),
        "command": "set_valet_mode",
        "vehicle": VIN[-6:],
        "user": "u" * 200,
        "result": "succeeded",
        "reason": "r" * 200,
        "answer": "a" * 200,
    }


async def test_a_dead_grant_has_its_sentence(desk: _Desk) -> None:
    desk.gate.raises = SignInRequired(Reason.EXPIRED)
    assert (await refused(desk.send())).translation_key == "controls_grant_ended"
