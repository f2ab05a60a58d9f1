"""The faulty world: simulator and integration in one Home Assistant, troubles on a timetable, and a report.

A test asks for the fixture `world`, signs in, orders troubles (`troubles.py`) at the simulator, lets time pass and
reads the report of that stretch: what was asked, what it cost, what was logged, what is shown. Time is frozen; hours of
the world take as long as what happens in them.
"""

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
import logging
import re
import time
from typing import Any, Final, Self

from freezegun.api import FrozenDateTimeFactory
from homeassistant.components.homeassistant import SERVICE_UPDATE_ENTITY
from homeassistant.config_entries import ConfigEntry
from homeassistant.const import STATE_UNAVAILABLE, STATE_UNKNOWN
from homeassistant.core import DOMAIN as HOME_ASSISTANT, HomeAssistant
from homeassistant.helpers import entity_registry as er, issue_registry as ir
from homeassistant.setup import async_setup_component
from pytest_homeassistant_custom_component.common import async_fire_time_changed  # type: ignore[import-untyped]  # it ships no types

from custom_components.teslafi.const import DOMAIN
from teslafi_simulators.tesla import TeslaSimulator
from teslafi_simulators.tesla.billing import Exchange
from tests.integration.owner import ANNA, Owner

from .troubles import Trouble

STEP: Final = 30.0
"""Seconds by which time moves on, unless a test says otherwise: half of the shortest interval of the polling rule."""

ENDPOINTS: Final = (
    ("token", re.compile(r"/oauth2/v3/token$")),
    ("sign_in", re.compile(r"/oauth2/v3/")),
    ("state", re.compile(r"/api/1/vehicles/[^/]+$")),
    ("command", re.compile(r"/command/|/signed_command$")),
)
"""Names of endpoints by path; any other is called by its last part."""


def endpoint_of(path: str) -> str:
    """Return what an endpoint is called in reports: `products`, `state`, `vehicle_data`, `live_status`, `token` …."""
    return next((name for name, pattern in ENDPOINTS if pattern.search(path)), path.rsplit("/", 1)[-1])


@dataclass(frozen=True, slots=True)
class Logged:
    """One line of the log from INFO upwards; `traceback` says whether an exception came with it."""

    level: int
    logger: str
    message: str
    traceback: bool


@dataclass(frozen=True, slots=True)
class Report:
    """What happened between two moments.

    `exchanges` are the simulator's own notes; `states` are those at the end, of the integration's entities.
    """

    hours: float
    exchanges: tuple[Exchange, ...]
    log: tuple[Logged, ...]
    states: dict[str, str]
    issues: frozenset[str]
    strays: int
    reauthenticating: bool

    @property
    def requests(self) -> Counter[str]:
        """Requests by endpoint."""
        return Counter(endpoint_of(exchange.path) for exchange in self.exchanges)

    def about(self, vin: str) -> Counter[str]:
        """Requests about one car by endpoint."""
        return Counter(endpoint_of(exchange.path) for exchange in self.exchanges if exchange.vin == vin)

    @property
    def usd_per_hour(self) -> float:
        """What Tesla bills."""
        return sum(exchange.usd for exchange in self.exchanges) / self.hours

    @property
    def refreshes(self) -> int:
        """Requests to the token endpoint."""
        return self.requests["token"]

    @property
    def warnings(self) -> list[str]:
        """What the integration logs for its owner, from WARNING upwards."""
        return [line.message for line in self.log if line.level >= logging.WARNING and DOMAIN in line.logger]

    @property
    def exceptions(self) -> list[str]:
        """What escaped: lines that carry a traceback, and whatever is logged as an error about jobs and tasks."""
        return [
            f"{line.logger}: {line.message}"
            for line in self.log
            if line.traceback or (line.level >= logging.ERROR and not line.logger.startswith("custom_components."))
        ]

    @property
    def shown(self) -> Counter[str]:
        """How many entities show a value, how many are unknown and how many unavailable."""
        kinds = {STATE_UNAVAILABLE, STATE_UNKNOWN}
        return Counter(state if state in kinds else "value" for state in self.states.values())

    def row(self) -> str:
        """Return the report in one line, for tables of long runs."""
        asked = " ".join(f"{name}={count / self.hours:.1f}" for name, count in sorted(self.requests.items()))
        return (
            f"{self.usd_per_hour:.4f} USD/h · {asked or 'nothing asked'} per hour · {len(self.warnings)} warnings · "
            f"{len(self.exceptions)} exceptions · {dict(self.shown)} · {sorted(self.issues)}"
        )


class _Listener(logging.Handler):
    """Keeps what is logged."""

    def __init__(self) -> None:
        """Begin with nothing heard."""
        super().__init__(logging.INFO)
        self.lines: list[Logged] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a line."""
        self.lines.append(Logged(record.levelno, record.name, record.getMessage(), bool(record.exc_info)))


@dataclass
class Clocks:
    """Home Assistant's wall clock, and the true time beside it, which Tesla's servers and monotonic clocks go by."""

    freezer: FrozenDateTimeFactory
    error: float = 0.0
    """Seconds by which the wall clock is ahead of true time."""

    def true(self) -> float:
        """Return epoch seconds as Tesla has them."""
        return time.time() - self.error

    def monotonic(self) -> float:
        """Return seconds that never jump: what freezegun answers `time.monotonic` with, less the wall's steps."""
        return self.true()

    def pass_time(self, seconds: float) -> None:
        """Let both go on."""
        self.freezer.tick(timedelta(seconds=seconds))

    def step(self, seconds: float) -> None:
        """Put the wall clock forward or back, as a person, a time server or an empty battery does."""
        self.error += seconds
        self.freezer.tick(timedelta(seconds=seconds))


@dataclass
class World:
    """Home Assistant, an owner in front of it, Tesla behind it, and time."""

    hass: HomeAssistant
    owner: Owner
    clocks: Clocks
    entries: list[ConfigEntry] = field(default_factory=list)
    background: asyncio.Task[None] | None = None
    """Something that a test has begun and does not wait for."""
    _listener: _Listener = field(default_factory=_Listener)
    _heard: int = 0
    _noted: int = 0
    _strayed: int = 0
    _seconds: float = 0.0

    def __enter__(self) -> Self:
        """Listen to the log."""
        logging.getLogger().addHandler(self._listener)
        # asyncio's debug mode takes a stack at each step: half of the time of a long round
        self.hass.loop.set_debug(False)
        return self

    def __exit__(self, *_: object) -> None:
        """Stop listening."""
        logging.getLogger().removeHandler(self._listener)

    @property
    def tesla(self) -> TeslaSimulator:
        """The simulated Tesla."""
        return self.owner.tesla

    async def sign_in(self, email: str = ANNA, **answer: Any) -> ConfigEntry:  # noqa: ANN401 - a form's values
        """Add an account; what is reported begins after it."""
        entry = await self.owner.sign_in(email, **answer)
        self.entries.append(entry)
        self.report()
        return entry

    async def restart(self) -> None:
        """Reload every entry, as a restart of Home Assistant does with what is kept on disk."""
        for entry in self.entries:
            await self.hass.config_entries.async_reload(entry.entry_id)
        await self.settle()

    def strike(self, *troubles: Trouble) -> None:
        """Let troubles begin now; those of earlier stay until `calm`."""
        for trouble in troubles:
            trouble.order(self.tesla.control)

    def calm(self) -> None:
        """End all troubles."""
        self.tesla.control.clear_faults()

    async def pass_time(self, *, hours: float = 0.0, seconds: float = 0.0, step: float = STEP) -> None:
        """Let time go by in steps, with everything that is due."""
        left = hours * 3600 + seconds
        while left > 0:
            moved = min(step, left)
            self.clocks.pass_time(moved)
            self._seconds += moved
            async_fire_time_changed(self.hass)
            await self.settle()
            left -= moved

    async def look(self, entity_id: str, vin: str) -> None:
        """Wake a car and have it asked now, as an owner does with *Update entity*."""
        self.tesla.control.wake(vin)
        await async_setup_component(self.hass, HOME_ASSISTANT, {})
        await self.hass.services.async_call(
            HOME_ASSISTANT, SERVICE_UPDATE_ENTITY, {"entity_id": [entity_id]}, blocking=True
        )
        await self.settle()

    async def settle(self) -> None:
        """Wait until nothing is under way any more."""
        await self.hass.async_block_till_done(wait_background_tasks=True)

    def report(self) -> Report:
        """Return what happened since the last report."""
        exchanges, strays = self.tesla.control.exchanges(), self.tesla.control.strays()
        made = Report(
            hours=self._seconds / 3600 or 1.0,
            exchanges=tuple(exchanges[self._noted :]),
            log=tuple(self._listener.lines[self._heard :]),
            states=self._states(),
            issues=frozenset(issue for domain, issue in ir.async_get(self.hass).issues if domain == DOMAIN),
            strays=len(strays) - self._strayed,
            reauthenticating=bool(self.hass.config_entries.flow.async_progress_by_handler(DOMAIN)),
        )
        self._noted, self._heard, self._strayed = len(exchanges), len(self._listener.lines), len(strays)
        self._seconds = 0.0
        return made

    def _states(self) -> dict[str, str]:
        registry = er.async_get(self.hass)
        ours = [
            one.entity_id
            for entry in self.entries
            for one in er.async_entries_for_config_entry(registry, entry.entry_id)
        ]
        found = {name: self.hass.states.get(name) for name in ours}
        return {name: state.state for name, state in found.items() if state is not None}
