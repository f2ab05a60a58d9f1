"""The demo: simulated Tesla and Chargebee, a companion, a mail catcher here, a real Home Assistant beside them.

`--check` signs in to Tesla and links the companion by itself.
"""

import argparse
import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
import shutil
import signal
import socket
import sys
import tempfile
from typing import Any, Final

import aiohttp
from homeassistant.const import RESTART_EXIT_CODE

from teslafi_simulators.chargebee import ChargebeeSimulator
from teslafi_simulators.tesla import TeslaSimulator
from teslafi_simulators.tesla.scenario import ANNAS_MODEL_3
from teslafi_simulators.tesla.showroom import OtherAccount

from . import companion as live_companion
from .check import CheckFailed, check
from .companion import LiveCompanion
from .home_assistant import PASSWORD, ROOT, USER, Credential, LiveHomeAssistant
from .ports import free_port

STATE: Final = ROOT / ".demo"
CHECK_LOG: Final = STATE / "check.log"
PORTS: Final = 65536
APPLICATION: Final = "teslafi-monitoring"
CONTROLS: Final = "teslafi-controls"
CONTROLS_DOMAIN: Final = "controls.example"
SEED: Final = 1
"""Of the simulated cars' everyday life."""
YEAR: Final = 365
MONTH: Final = 30
"""Days of a car's life in the journal: a person looks at a year, the check at nothing that a month would not show."""
SERVED: Final = (
    "Home Assistant",
    "the simulated Tesla",
    "the companion",
    "the mail catcher",
    "the simulated Chargebee",
)
"""What takes the ports, one after the other."""


def main() -> int:
    """Run the demo or the check; return the exit code."""
    arguments = _arguments()
    try:
        if arguments.check:
            return asyncio.run(_until_told_to_stop(_check(arguments), stopped=1))
        return asyncio.run(_until_told_to_stop(_demo(arguments), stopped=0))
    except (OSError, RuntimeError) as error:
        print(f"demo: {getattr(error, 'strerror', None) or error}", file=sys.stderr)
        return 1


async def _until_told_to_stop(work: Coroutine[Any, Any, int], *, stopped: int) -> int:
    """Do the work and return its exit code; a signal ends it in order, whatever it is at, with the code `stopped`."""
    task = asyncio.create_task(work)

    def stop() -> None:
        if not task.cancelling():
            print("Stopping …", file=sys.stderr)
            task.cancel()

    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(name, stop)
    try:
        return await task
    except asyncio.CancelledError:
        return stopped


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="script/demo", description="A real Home Assistant with TeslaFi, in front of a simulated Tesla."
    )
    parser.add_argument(
        "--check", action="store_true", help="sign in and list the entities, without a browser; then end"
    )
    parser.add_argument("--reset", action="store_true", help="forget the state of earlier runs (.demo)")
    parser.add_argument("--port", type=int, default=8123, help="of Home Assistant; the others take the next four")
    parser.add_argument("--ha", metavar="VERSION", help="another version of Home Assistant than the tests run on")
    arguments = parser.parse_args()
    most = PORTS - len(SERVED)
    if not 0 < arguments.port <= most:
        parser.error(f"--port is between 1 and {most}: the others take the next four")
    return arguments


def _interpreter(version: str | None) -> dict[str, Any]:
    """Return which Python runs Home Assistant. A version of its own installs what it needs by itself."""
    if version is None:
        return {}
    return {"python": ROOT / f".venv-ha-{version}" / "bin" / "python", "skip_pip": False}


def _ensure_free(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise OSError(f"port {port} is taken: end what uses it, or choose another with --port") from error


def credential(simulator: TeslaSimulator) -> Credential:
    """Return the developer application with read scopes alone, as an owner enters it."""
    application = simulator.applications.by_client_id(APPLICATION)
    assert application is not None
    assert application.client_secret is not None
    return Credential(
        client_id=application.client_id, client_secret=application.client_secret, name="Monitoring (read only)"
    )


async def _started(
    stack: AsyncExitStack, folder: Path, ports: Sequence[int], version: str | None, *, days: int
) -> tuple[TeslaSimulator, LiveCompanion, LiveHomeAssistant]:
    """Start all; what was started is stopped when the stack closes. A port of 0 is any free one."""
    home_port, tesla_port, companion_port, mail_port, chargebee_port = ports
    redirect = f"http://127.0.0.1:{home_port}/auth/external/callback"
    simulator = TeslaSimulator(scenario="showroom", redirect_uris=(redirect,), seed=SEED)
    await simulator.start(port=tesla_port)
    stack.push_async_callback(simulator.stop)
    chargebee = ChargebeeSimulator()
    await chargebee.start(port=chargebee_port, sends=True)
    stack.push_async_callback(chargebee.stop)
    companion = await LiveCompanion.start(
        stack,
        folder.parent / "companion",
        port=companion_port,
        mail_port=mail_port,
        redirect_uri=redirect,
        chargebee=chargebee,
    )
    home = LiveHomeAssistant(folder=folder, port=home_port, simulator_url=simulator.url, **_interpreter(version))
    home.prepare(credential(simulator))
    home.load_dashboard_early()
    simulator.control.serve_domain(CONTROLS_DOMAIN, home.url)
    home.launcher += _lived(simulator, folder, days)
    stack.push_async_callback(home.stop)
    print("Starting Home Assistant …", file=sys.stderr)
    await home.start()
    return simulator, companion, home


def _lived(simulator: TeslaSimulator, folder: Path, days: int) -> tuple[str, ...]:
    """Return what has the journal of the first car begin with so many days before now.

    Home Assistant's own process writes them: it imports in any case what that takes.
    """
    miles = simulator.control.car(ANNAS_MODEL_3).data["vehicle_state"]["odometer"]
    return ("--lived", str(folder / "teslafi.journal.db"), ANNAS_MODEL_3, str(miles), str(days))


async def _demo(arguments: argparse.Namespace) -> int:
    ports = range(arguments.port, arguments.port + len(SERVED))
    for port in ports:
        _ensure_free(port)
    if arguments.reset and STATE.exists():
        shutil.rmtree(STATE)
    folder = STATE / (f"config-{arguments.ha}" if arguments.ha else "config")
    async with AsyncExitStack() as stack:
        simulator, companion, home = await _started(stack, folder, ports, arguments.ha, days=YEAR)
        simulator.other_accounts.append(
            OtherAccount("Companion", live_companion.EMAIL, live_companion.PASSWORD, companion.code)
        )
        await home.add_map()
        await home.add_energy_month()
        await home.add_energy()
        await home.add_dashboard()
        print(_table(simulator, companion, home), flush=True)
        while await home.ended() == RESTART_EXIT_CODE:
            print("Restarting Home Assistant …", file=sys.stderr)
            await home.start()
    print(f"demo: Home Assistant ended by itself; see {home.log}", file=sys.stderr)
    return 1


def _secret(simulator: TeslaSimulator) -> str:
    application = simulator.applications.by_client_id(CONTROLS)
    assert application is not None
    return application.client_secret or ""


def _table(simulator: TeslaSimulator, companion: LiveCompanion, home: LiveHomeAssistant) -> str:
    accounts = [
        f"  {account.email:<20} {account.password:<22} {simulator.accounts.current_passcode(account.email) or 'none'}"
        for account in simulator.accounts
    ]
    return "\n".join(
        (
            "",
            f"  Open      {home.url}",
            f"  Log in    {USER} / {PASSWORD}",
            "  Then      Add your Tesla account > Sign in with Tesla",
            "",
            "  Tesla account        password               two-factor code now",
            *accounts,
            "",
            "  Companion account    password                          two-factor code now",
            f"  {live_companion.EMAIL:<20} {live_companion.PASSWORD:<33} {companion.code()}",
            f"  Link it: TeslaFi > Reconfigure > Link a companion > {companion.url}",
            f"  Subscribe (no money moves): {companion.url}/account#subscription",
            "",
            f"  Controls: TeslaFi > Reconfigure > Turn on controls, with the application {CONTROLS} /",
            f"  {_secret(simulator)}, domain {CONTROLS_DOMAIN}: Home Assistant serves its key there. Pair it on the",
            "  page below.",
            "",
            f"  Cars, fresh codes, keys: {simulator.url}/    Mails: {companion.mails.url}/",
            "  Ctrl-C stops everything.",
            "",
        )
    )


async def _check(arguments: argparse.Namespace) -> int:
    with tempfile.TemporaryDirectory(prefix="teslafi-check-") as name:
        folder = Path(name) / "config"
        async with AsyncExitStack() as stack:
            try:
                ports = (free_port(), 0, free_port(), 0, 0)
                simulator, companion, home = await _started(stack, folder, ports, arguments.ha, days=MONTH)
                rows = await check(simulator, companion, home)
            except (CheckFailed, RuntimeError, TimeoutError, aiohttp.ClientError) as error:
                print(f"demo --check failed: {error or type(error).__name__}{_kept_log(folder)}", file=sys.stderr)
                return 1
            print(_entities(rows))
            version = (await home.api("GET", "config"))["version"]
            print(f"\n{len(rows)} entities of TeslaFi in Home Assistant {version}.")
    return 0


def _kept_log(folder: Path) -> str:
    """Keep the log of a failed check, whose folder goes away; return where it is, to be added to a sentence."""
    log = folder / "home-assistant.log"
    if not log.exists():
        return ""
    CHECK_LOG.parent.mkdir(exist_ok=True)
    shutil.copyfile(log, CHECK_LOG)
    return f" (log: {CHECK_LOG})"


def _entities(states: list[Mapping[str, Any]]) -> str:
    """Return a table: entity id, name, state, unit."""
    rows = [("entity", "name", "state", "unit")]
    for state in states:
        attributes = state["attributes"]
        unit = attributes.get("unit_of_measurement") or ""
        rows.append((state["entity_id"], attributes.get("friendly_name") or "", state["state"], unit))
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    return "\n".join(
        "  ".join([*(f"{text:<{width}}" for text, width in zip(row[:3], widths, strict=True)), row[3]]).rstrip()
        for row in rows
    )


if __name__ == "__main__":
    sys.exit(main())
