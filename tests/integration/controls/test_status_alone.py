"""The gate's coordinator and the reporter to the audit log by themselves: gate and companion do what a test wants."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final, cast

from homeassistant.core import HomeAssistant
from homeassistant.helpers import issue_registry as ir
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry  # type: ignore[import-untyped]

from custom_components.teslafi.const import CONF_REPORT_COMMANDS, DOMAIN
from custom_components.teslafi.controls.audit import REPORT_MOST, AuditReporter
from custom_components.teslafi.controls.coordinator import CompanionOverLink, ControlsCoordinator, ControlsStatus
from custom_components.teslafi.controls.gate import Gate, Lock
from custom_components.teslafi.controls.permit import Moment, Permit
from custom_components.teslafi.controls.record import CommandRecord
from custom_components.teslafi.link.client import CompanionError, Unreachable
from custom_components.teslafi.link.coordinator import LinkCoordinator

COMPANION: Final = "https://companion.example"
UNTIL: Final = datetime(2026, 11, 26, 12, 5, tzinfo=UTC)
PERMIT: Final = Permit("a", frozenset(), frozenset(), UNTIL.timestamp() - 600, UNTIL.timestamp(), 0.0, Moment(0.0, 0.0))


@pytest.fixture
def entry(hass: HomeAssistant) -> MockConfigEntry:
    """Return the entry of an account."""
    entry = MockConfigEntry(domain=DOMAIN, title="Anna")
    entry.add_to_hass(hass)
    return entry


@dataclass
class _Gate:
    lock: Lock | None = Lock.STARTING
    permit: Permit | None = None
    renewed: int = 0

    async def renew(self) -> None:
        self.renewed += 1


@dataclass
class _Link:
    """A link whose companion notes what it is told; `away` is what it fails with, `slow` what an answer waits for."""

    away: CompanionError | None = None
    slow: asyncio.Event | None = None
    told: list[dict[str, str]] = field(default_factory=list)
    asked: list[tuple[str, bool]] = field(default_factory=list)
    accounts: list[str] = field(default_factory=list)

    @property
    def session(self) -> _Link:
        return self

    @property
    def companion(self) -> _Link:
        return self

    async def ask(self, question: Callable[[str], Awaitable[Any]]) -> Any:  # noqa: ANN401 - as the session's
        slow, self.slow = self.slow, None
        if slow is not None:
            await slow.wait()
        if self.away is not None:
            raise self.away
        return await question("tokens")

    async def record_commands(self, tokens: str, said: list[dict[str, str]]) -> None:
        assert tokens == "tokens"
        self.told += said

    async def check_in(self, tokens: str, *, permit: bool) -> _Checked:
        self.asked.append((tokens, permit))
        return _Checked("how the account is")

    def note_account(self, status: str) -> None:
        self.accounts.append(status)


@dataclass
class _Checked:
    status: str


@pytest.fixture
def gate() -> _Gate:
    """Return a gate that has just been built."""
    return _Gate()


@pytest.fixture
def coordinator(hass: HomeAssistant, entry: MockConfigEntry, gate: _Gate) -> ControlsCoordinator:
    """Return what shows how the gate is."""
    return ControlsCoordinator(hass, entry, cast(Gate, gate), COMPANION)


def repair(hass: HomeAssistant, entry: MockConfigEntry) -> ir.IssueEntry | None:
    """Return the repair that tells of locked controls."""
    return ir.async_get(hass).async_get_issue(DOMAIN, f"controls_locked_{entry.entry_id}")


async def test_it_begins_shut_and_asks_each_minute(coordinator: ControlsCoordinator, gate: _Gate) -> None:
    assert (coordinator.data, coordinator.is_open) == (ControlsStatus(Lock.STARTING, None), False)
    assert coordinator.name == "controls"
    assert coordinator.update_interval == timedelta(minutes=1)
    assert coordinator.always_update is False
    assert coordinator.config_entry.title == "Anna"
    await coordinator.async_refresh()
    assert gate.renewed == 1


async def test_a_gate_that_is_starting_troubles_nobody(
    hass: HomeAssistant, entry: MockConfigEntry, coordinator: ControlsCoordinator
) -> None:
    await coordinator.async_refresh()
    assert coordinator.data == ControlsStatus(Lock.STARTING, None)
    assert repair(hass, entry) is None


async def test_how_the_gate_is_shows_as_repair_and_in_the_log(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    coordinator: ControlsCoordinator,
    gate: _Gate,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO", "custom_components.teslafi")
    gate.lock = Lock.NOT_ALLOWED
    await coordinator.async_refresh()
    await coordinator.async_refresh()
    issue = repair(hass, entry)
    assert issue is not None
    assert issue.translation_key == f"controls_locked_{Lock.NOT_ALLOWED}"
    assert issue.translation_placeholders == {"account": "Anna", "address": COMPANION}
    assert issue.learn_more_url == f"{COMPANION}/links"
    gate.lock, gate.permit = None, PERMIT
    await coordinator.async_refresh()
    assert (coordinator.data, coordinator.is_open) == (ControlsStatus(None, UNTIL), True)
    assert repair(hass, entry) is None
    assert [record.getMessage() for record in caplog.records if "Controls of" in record.getMessage()] == [
        f"Controls of Anna are locked ({Lock.NOT_ALLOWED})",
        "Controls of Anna are open",
    ]


async def test_what_a_command_finds_shows_at_once_and_only_when_it_is_new(
    coordinator: ControlsCoordinator, gate: _Gate
) -> None:
    shown: list[ControlsStatus] = []
    coordinator.async_add_listener(lambda: shown.append(coordinator.data))
    coordinator.look_at_gate()
    assert shown == []
    gate.lock, gate.permit = None, PERMIT
    coordinator.look_at_gate()
    coordinator.look_at_gate()
    assert shown == [ControlsStatus(None, UNTIL)]
    await coordinator.async_shutdown()


@pytest.mark.parametrize("permit", [True, False])
async def test_the_link_learns_from_the_gates_question(*, permit: bool) -> None:
    link = _Link()
    checked = await CompanionOverLink(cast(LinkCoordinator, link)).check_in(permit=permit)
    assert str(checked.status) == "how the account is"
    assert link.asked == [("tokens", permit)]
    assert link.accounts == ["how the account is"]


def command(number: int) -> CommandRecord:
    """Return a command, told from others by its name."""
    return CommandRecord(UNTIL, "Pia", "5YJ3E1EA7KF000001", f"command {number}")


async def told(hass: HomeAssistant, link: _Link, reporter: AuditReporter) -> list[str]:
    """Report, and return what the companion has heard so far."""
    reporter.report_soon()
    await hass.async_block_till_done(wait_background_tasks=True)
    return [said["command"] for said in link.told]


async def test_commands_reach_the_audit_log_once_and_in_their_order(
    hass: HomeAssistant, entry: MockConfigEntry, caplog: pytest.LogCaptureFixture
) -> None:
    """Also those that ended while the companion was away; newer ones come after them, and 100 wait at most."""
    link = _Link()
    reporter = AuditReporter(hass, entry, cast(LinkCoordinator, link))
    assert await told(hass, link, reporter) == []
    reporter.add(command(1))
    assert await told(hass, link, reporter) == ["command 1"]
    assert link.told == [command(1).for_audit()]
    assert await told(hass, link, reporter) == ["command 1"]
    link.away = Unreachable()
    reporter.add(command(2))
    assert await told(hass, link, reporter) == ["command 1"]
    assert [record.levelname for record in caplog.records if "could not be told" in record.getMessage()] == ["DEBUG"]
    reporter.add(command(3))
    link.away = None
    assert await told(hass, link, reporter) == ["command 1", "command 2", "command 3"]
    link.told.clear()
    link.away = Unreachable()
    for number in range(REPORT_MOST + 1):
        reporter.add(command(number))
    await told(hass, link, reporter)
    reporter.add(command(REPORT_MOST + 1))
    link.away = None
    assert await told(hass, link, reporter) == [f"command {number}" for number in range(2, REPORT_MOST + 2)]


async def test_what_ends_while_the_companion_is_being_told_comes_after_it(
    hass: HomeAssistant, entry: MockConfigEntry
) -> None:
    link = _Link(away=Unreachable())
    reporter = AuditReporter(hass, entry, cast(LinkCoordinator, link))
    for number in range(REPORT_MOST):
        reporter.add(command(number))
    reporter.report_soon()
    reporter.add(command(REPORT_MOST))
    await hass.async_block_till_done(wait_background_tasks=True)
    link.away = None
    assert await told(hass, link, reporter) == [f"command {number}" for number in range(1, REPORT_MOST + 1)]


@pytest.mark.parametrize("away", [None, Unreachable()], ids=["told at last", "away at last"])
async def test_a_report_waits_for_the_one_before(
    hass: HomeAssistant, entry: MockConfigEntry, away: CompanionError | None
) -> None:
    """A command that follows at once does not come before it into the audit log, whichever request is faster."""
    link = _Link(slow=(answered := asyncio.Event()))
    reporter = AuditReporter(hass, entry, cast(LinkCoordinator, link))
    for number in (1, 2, 3):
        reporter.add(command(number))
        reporter.report_soon()
    await asyncio.sleep(0)
    assert link.told == []
    link.away = away
    answered.set()
    await hass.async_block_till_done(wait_background_tasks=True)
    link.away = None
    assert await told(hass, link, reporter) == ["command 1", "command 2", "command 3"]


async def test_an_owner_may_keep_commands_from_the_companion(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    link = _Link()
    reporter = AuditReporter(hass, entry, cast(LinkCoordinator, link))
    hass.config_entries.async_update_entry(entry, options={CONF_REPORT_COMMANDS: False})
    reporter.add(command(1))
    assert await told(hass, link, reporter) == []
    hass.config_entries.async_update_entry(entry, options={CONF_REPORT_COMMANDS: True})
    reporter.add(command(2))
    assert await told(hass, link, reporter) == ["command 2"]
