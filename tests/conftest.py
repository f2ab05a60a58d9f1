"""What all tests share: nothing costs CPU that finds no fault."""

import asyncio
import calendar
from collections.abc import AsyncIterator, Generator, Iterator
from datetime import datetime
from fcntl import LOCK_EX, flock
from functools import cache
import gc
import logging
import os
from pathlib import Path
import sys
import threading
import time
from types import FrameType, ModuleType
from typing import Any, Final
from unittest.mock import Mock, patch

from aiohttp import TCPConnector
from aiohttp.web_protocol import RequestHandler
from freezegun import api
from homeassistant import config_entries, runner
from homeassistant.components.http.server import HomeAssistantHTTP
from homeassistant.core import HomeAssistant
from homeassistant.helpers import event, script
from homeassistant.util import executor
from homeassistant.util.async_ import get_scheduled_timer_handles
from httpx import create_ssl_context
from httpx._transports import default as httpx_transport
from hypothesis import HealthCheck, settings
from jinja2 import Environment
import pytest
import pytest_asyncio
from pytest_homeassistant_custom_component import common, patch_time  # type: ignore[import-untyped]

from teslafi_companion.store import database, probe

# Python compiled every module anew at each start where the environment says so
sys.dont_write_bytecode = False

# PHACC looks for MySQL's client before each test; Python remembers what it has found, not what it has not
sys.modules["MySQLdb"] = None  # type: ignore[assignment] # as documented: an import of it fails at once

DEBUGGED: Final = frozenset({"test_lapse", "test_whole_way", "test_fleet_api"})
"""Modules whose event loop runs in debug mode, between them all of the integration, the companion and the simulators.

Debug mode keeps the stack of whoever makes a task, a future or a handle, which takes as long as all the rest of a test.
"""

PATIENCE: Final = 60
"""Seconds after which a thread was left behind, on the slowest machine."""

GARBAGE: Final = 1_000_000
"""Objects after which Python looks for garbage within a module; some 100 MB."""

for chatty in (
    "aiohttp.access",
    "aiosqlite",
    "alembic",
    "homeassistant.helpers.entity_registry",
    "sqlalchemy",
    "sqlalchemy.engine",
    "sqlalchemy.pool",
):
    # PHACC has every logger write at INFO, which costs more than the statements and entities written about
    logging.getLogger(chatty).setLevel(logging.WARNING)
for second in [handler for handler in logging.root.handlers if type(handler) is logging.StreamHandler]:
    # PHACC's, to standard error, which pytest captures beside what its own handler has captured already
    logging.root.removeHandler(second)

# How long an example takes is the machine's business. The same examples each time, so a commit that was green stays so;
# `script/fuzz properties` looks for new ones
settings.register_profile(
    "any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True, database=None
)
settings.register_profile("search", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "any machine"))

# So is how long it needs to wake and end 64 idle workers one by one; PHACC finds threads that are left in any case
executor.EXECUTOR_SHUTDOWN_TIMEOUT = 60

# And how long it needs to connect to PostgreSQL, and to write a row: tests of these bounds set their own
database.CONNECT_SECONDS = 120.0  # type: ignore[misc] # of a running companion
probe.SECONDS = 120.0  # type: ignore[misc] # the same

# httpcore looks for it some ten times a request, as for MySQL's client above
sys.modules["sniffio"] = None  # type: ignore[assignment] # as documented: an import of it fails at once

# Chargebee's library makes a client for each request, and each reads all certificates of the system
httpx_transport.create_ssl_context = cache(create_ssl_context)  # type: ignore[attr-defined] # imported there

# A server of a test drops no connection that is idle: clocks of tests go on by hours, or back to 1970
IDLE_FOR_EVER: Final = 1e12
(RequestHandler.__init__.__kwdefaults__ or {})["keepalive_timeout"] = IDLE_FOR_EVER

# A test that enables an entity reloads the entry. Home Assistant would reload it again half a minute later: between
# what the test asks once its clock has gone on. Ten years later there is no test
config_entries.RELOAD_AFTER_UPDATE_DELAY = 10 * 365 * 86_400

_compile = Environment.compile
_compiled: dict[object, object] = {}


def _compile_once(self: Environment, source: str, *how: object, **more: object) -> object:
    """Compile the pages of the companion once, not for each companion that a test starts."""
    if type(self) is not Environment:
        return _compile(self, source, *how, **more)  # type: ignore[call-overload] # handed on
    key = (source, how, *more.items(), self.autoescape, self.trim_blocks, self.undefined, *sorted(self.extensions))
    if key not in _compiled:
        _compiled[key] = _compile(self, source, *how, **more)  # type: ignore[call-overload] # handed on
    return _compiled[key]


Environment.compile = _compile_once  # type: ignore[assignment, method-assign] # the same, remembered


def _fire_time_changed(hass: HomeAssistant, moment: datetime, fire_all: bool) -> None:
    """Run what is due by then, as PHACC does; its two mocks for each timer took longer than what the timers do."""
    by_stamp = moment.timestamp()
    kept = event.time_tracker_utcnow, event.time_tracker_timestamp
    for task in list(get_scheduled_timer_handles(hass.loop)):
        if task.cancelled():
            continue
        if fire_all or by_stamp - time.time() >= task.when() - hass.loop.time() - _TICK:
            event.time_tracker_utcnow = lambda: moment  # type: ignore[assignment] # PHACC has a function there already
            event.time_tracker_timestamp = lambda: by_stamp
            try:
                task._run()  # noqa: SLF001 - as PHACC
                task.cancel()
            finally:
                event.time_tracker_utcnow, event.time_tracker_timestamp = kept


_TICK: Final = time.get_clock_info("monotonic").resolution
common._async_fire_time_changed = _fire_time_changed  # noqa: SLF001 - the same, cheaper


def _shape(module: ModuleType) -> str:
    """Say when a module has to be looked through for clocks again: PHACC compares all names, at each freezing."""
    return f"{id(module)}-{len(getattr(module, '__dict__', ()))}"


patch_time.ha_get_module_attributes_hash = _shape


class _Ignored(dict[str, bool]):
    """Which modules have the real time in spite of a frozen clock: their names begin with one of these."""

    def __init__(self, beginnings: tuple[str, ...]) -> None:
        super().__init__()
        self.beginnings = beginnings

    def __missing__(self, module: str) -> bool:
        found = self[module] = module.startswith(self.beginnings)
        return found


_ignored = _Ignored(())


def _has_real_time() -> bool:
    """Tell whether whoever asks a frozen clock is told the real time, as PHACC does; remember it of each module."""
    global _ignored  # noqa: PLW0603 - most tests freeze with the same list
    try:
        beginnings: tuple[str, ...] = api.ignore_lists[-1]
    except IndexError:  # the clock goes again by now
        return True
    known = _ignored
    if known.beginnings != beginnings:
        _ignored = known = _Ignored(beginnings)
    frame: FrameType | None = sys._getframe(2)  # noqa: SLF001 - as PHACC: who called the clock
    for _ in range(api.call_stack_inspection_limit):
        if frame is None:
            break
        if known[frame.f_globals.get("__name__") or ""]:
            return True
        frame = frame.f_back
    return False


_stamped: tuple[datetime | None, float] = (None, 0.0)


def _frozen_stamp() -> float:
    """Return the frozen time in seconds; while time stands, the frozen moment is the same object."""
    global _stamped  # noqa: PLW0603 - of one moment at a time
    now = api.get_current_time()
    moment, stamp = _stamped
    if moment is not now:
        stamp = calendar.timegm(now.timetuple()) + now.microsecond / 1e6
        _stamped = (now, stamp)
    return stamp


def _frozen_time() -> float:
    return api.real_time() if _has_real_time() else _frozen_stamp()


# All that runs asks these, several times for each timer
patch_time.ha_should_use_real_time = _has_real_time  # PHACC sets its own before each test
api._get_fake_monotonic = _frozen_stamp  # noqa: SLF001 - the same
api.fake_time = _frozen_time


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None]:
    """Look for no garbage among what is imported: it stays, and is many times what a test makes."""
    gc.disable()
    try:
        with Path(__file__).open("rb") as one:
            # In a fresh clone each worker would compile what the other compiles at the same time
            flock(one, LOCK_EX)
            return (yield)
    finally:
        gc.freeze()
        # PHACC looks for garbage between modules. A test drops little, and to look through all that it has made, some
        # ten times a test, took a tenth of the suite's time
        gc.set_threshold(GARBAGE)
        gc.enable()


def pytest_unconfigure() -> None:
    """Look once for garbage that warns of itself; pytest does so five times, Python again, among all that is left."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True, scope="session")
def disable_http_server() -> Generator[None]:
    """Bind no port for a Home Assistant within a test, as PHACC, which makes these mocks anew for each test."""
    with patch.object(HomeAssistantHTTP, "async_bind"), patch.object(HomeAssistantHTTP, "start"):
        yield


@pytest.fixture(autouse=True, scope="session")
def skip_stop_scripts() -> Generator[None]:
    """Leave no timer for scripts behind, as PHACC, which makes this mock anew for each test."""
    with patch.object(script, "_schedule_stop_scripts_after_shutdown", Mock()):
        yield


@pytest.fixture
def _connections_rest(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep connections to the simulator while a test's clock goes on by minutes: new ones were a sixth of its CPU.

    Not where there is a companion, which ends those that rest.
    """
    if "companion" not in request.fixturenames:
        monkeypatch.setitem(TCPConnector.__init__.__kwdefaults__ or {}, "keepalive_timeout", None)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Let what a failed test logged cross to xdist's other process, whatever bytes it sent; nobody reads the rest."""
    report = yield
    if report.passed and hasattr(item.config, "workerinput"):
        report.sections = []
    report.sections = [(name, text.encode(errors="backslashreplace").decode()) for name, text in report.sections]
    return report


@pytest.fixture(autouse=True)
def configure_event_loop() -> None:
    """Do without PHACC's: `loop_of_test` does the same."""


@pytest.fixture(autouse=True)
def enable_event_loop_debug(request: pytest.FixtureRequest) -> None:
    """Leave the event loop alone where nothing runs on it: its executor takes two threads to end."""
    if pytest_asyncio.is_async_test(request.node) or "hass" in request.fixturenames:
        request.getfixturevalue("loop_of_test")


@pytest.fixture
async def loop_of_test(request: pytest.FixtureRequest) -> None:
    """Set up the loop as Home Assistant does, in debug mode where that is worth it; PHACC would do so everywhere.

    And let a timer for now be due now: a frozen clock stands at some 1.8e9 s, where a float has no nanoseconds, and
    asyncio takes what is due within its clock's resolution. The loop would turn without rest as long as time stands:
    each timer is set a microsecond earlier.
    """
    loop = asyncio.get_running_loop()
    runner.configure_event_loop(loop)
    loop.set_debug(request.path.stem in DEBUGGED)
    call_at = loop.call_at

    def call_at_or_before(when: float, *call: Any, **how: Any) -> asyncio.TimerHandle:  # noqa: ANN401 - handed on
        return call_at(when - 1e-6, *call, **how)

    loop.call_at = call_at_or_before  # type: ignore[assignment, method-assign] # as a subclass of the loop would


@pytest.fixture(autouse=True)
def verify_cleanup(verify_cleanup: None) -> Iterator[None]:
    """Let SQLite's workers end: they say that they have closed before they do, and PHACC looks for threads at once.

    Not those of earlier tests: PHACC does not look for them, and one that was never closed does not end.
    """
    earlier = set(threading.enumerate())
    yield
    for thread in set(threading.enumerate()) - earlier:
        if "_connection_worker_thread" in thread.name:
            thread.join(PATIENCE)


@pytest.fixture
async def hass(hass: HomeAssistant) -> AsyncIterator[HomeAssistant]:
    """Let Home Assistant end what it has begun before it stops: it would cancel a reload half done."""
    yield hass
    await hass.async_block_till_done()
