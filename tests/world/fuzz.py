"""Changed answers by the thousand: what comes of them is a value or one of our errors, and nothing else.

`script/fuzz` runs all of it; the tests run a share. Payloads go through reader, decoder, storage and every entity's
reading; answers to commands come from the simulated car, which has carried the command out by then.
"""

import argparse
import asyncio
from base64 import b64encode
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
import importlib
import json
import logging
from pathlib import Path
from types import MappingProxyType, SimpleNamespace
from typing import Any, Final, cast
from unittest.mock import patch

import aiohttp
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

import custom_components.teslafi
from custom_components.teslafi.coordinators.site import SiteData
from custom_components.teslafi.coordinators.vehicle import VehicleData
from custom_components.teslafi.detail_entity import DetailDescription
from custom_components.teslafi.entity import PartDescription
from custom_components.teslafi.storage.last_values import LastValues
from custom_components.teslafi.tesla.commander import SECURITY_COMMANDS, Commander
from custom_components.teslafi.tesla.energy_site import decode_info, decode_live, decode_today, decode_wall_charges
from custom_components.teslafi.tesla.errors import TeslaError, Unreachable
from custom_components.teslafi.tesla.grant import Grant
from custom_components.teslafi.tesla.reader import Reader
from custom_components.teslafi.tesla.requests import Category
from custom_components.teslafi.tesla.servers import OWNER_API, SERVERS
from custom_components.teslafi.tesla.session import GrantSession
from custom_components.teslafi.tesla.snapshot import CarState, Snapshot, VehicleRecord
from custom_components.teslafi.tesla.token import TokenEndpoint
from custom_components.teslafi.update import as_markdown
from teslafi_simulators.tesla import TeslaSimulator
from teslafi_simulators.tesla.cars.car import Car
from teslafi_simulators.tesla.scenario import ANNAS_MODEL_3, ANNAS_SITE
from tests.live.simulated_tesla import use_simulator

from .mangled import MangledSession, MangledTesla, Mangler

SAMPLES: Final = Path(__file__).parents[1] / "samples"
SCOPES: Final = {
    "openid",
    "offline_access",
    "vehicle_device_data",
    "vehicle_location",
    "vehicle_cmds",
    "vehicle_charging_cmds",
    "energy_device_data",
    "energy_cmds",
}


@dataclass
class Tally:
    """What came of it all."""

    outcomes: Counter[str] = field(default_factory=Counter)
    escaped: list[str] = field(default_factory=list)

    def escape(self, what: str, error: BaseException | str) -> None:
        """Note what should not have happened."""
        said = error if isinstance(error, str) else f"{type(error).__name__}: {str(error)[:200]}"
        self.escaped.append(f"{what}: {said}")

    def __str__(self) -> str:
        """Return a table."""
        rows = [f"{name:<32}{times:>8}" for name, times in self.outcomes.most_common()]
        return "\n".join([*rows, f"{'all':<32}{self.outcomes.total():>8}", f"{'escaped':<32}{len(self.escaped):>8}"])


def _create_task(coroutine: Any, name: str) -> asyncio.Task[Grant]:  # noqa: ANN401 - as asyncio's own
    return asyncio.get_running_loop().create_task(coroutine, name=name)


class _Memory:
    """Keeps a grant, whatever is wanted of it."""

    def __init__(self, grant: Grant) -> None:
        self._grant = grant

    async def load(self) -> Grant:
        return self._grant

    async def replace(self, _before: Grant, after: Grant | None) -> Grant:
        self._grant = after or self._grant
        return self._grant


def _samples(name: str) -> list[bytes]:
    """Return recordings in Tesla's envelope."""
    found = [json.loads(path.read_bytes()) for path in sorted(SAMPLES.glob(name))]
    return [
        json.dumps(said if isinstance(said, dict) and "response" in said else {"response": said}).encode()
        for said in found
    ]


def readings() -> Iterator[tuple[str, Any]]:
    """Yield the row of each entity, which reads its value out of what is known of a car or a site."""
    for platform in custom_components.teslafi.PLATFORMS:
        module = importlib.import_module(f"custom_components.teslafi.{platform.value}")
        for table in vars(module).values():
            for row in table if isinstance(table, tuple) else ():
                if callable(getattr(row, "value_fn", None)):
                    yield f"{platform.value}.{row.key}", row


async def _session(http: aiohttp.ClientSession, grant: Grant) -> GrantSession:
    session = GrantSession(_Memory(grant), TokenEndpoint(http, lambda: 1.0), lambda: 1.0, _create_task)
    await session.load()
    return session


def _grant(access_token: str) -> Grant:
    answer = {"access_token": access_token, "refresh_token": "NA_REFRESH", "expires_in": 28_800}
    return Grant.from_answer(answer, client_id="teslafi-controls", now=1.0)


@asynccontextmanager
async def _tesla() -> AsyncIterator[tuple[TeslaSimulator, Grant]]:
    """Be Tesla, with a grant of Anna's."""
    kept = dict(SERVERS), dict(OWNER_API)
    try:
        async with TeslaSimulator() as tesla:
            use_simulator(tesla.url)
            tesla.control.limit("developer@example.com", 1e9)
            for vin in (ANNAS_MODEL_3,):
                tesla.control.wake(vin)
                tesla.control.car(vin).park()
            yield tesla, _grant(tesla.control.mint("anna@example.com", "teslafi-controls", SCOPES).access_token)
    finally:
        SERVERS.update(kept[0])
        OWNER_API.update(kept[1])


async def payloads(count: int, seed: int) -> Tally:
    """Change recorded payloads, and let everything that reads them do so."""
    mangler = Mangler(seed)
    tally = Tally()
    async with _tesla() as (_, grant):
        bodies = await _bodies(grant)
        chosen = b""
        http = cast("aiohttp.ClientSession", MangledSession(mangler, lambda _: chosen))
        rows = list(readings())
        for number in range(count):
            name = mangler.random.choice(list(bodies))
            chosen = mangler.random.choice(bodies[name])
            try:
                tally.outcomes[await _read(name, http, grant, rows, tally)] += 1
            except TeslaError as error:
                tally.outcomes[type(error).__name__] += 1
            except Exception as error:  # noqa: BLE001 - what escapes is what is looked for
                tally.escape(f"payload {number} of seed {seed} ({name})", error)
    return tally


SITE: Final = f"energy_sites/{ANNAS_SITE}"
CAR: Final = f"vehicles/{ANNAS_MODEL_3}"
QUESTIONS: Final = {
    "site_info": f"{SITE}/site_info",
    "site_energy": f"{SITE}/calendar_history?kind=energy&period=day",
    "wall_charges": f"{SITE}/telemetry_history?kind=charge&period=month",
    "recent_alerts": f"{CAR}/recent_alerts",
    "service_data": f"{CAR}/service_data",
    "release_notes": f"{CAR}/release_notes",
    "nearby_charging_sites": f"{CAR}/nearby_charging_sites",
    "warranties": f"dx/warranty/details?vin={ANNAS_MODEL_3}",
    "options": f"dx/vehicles/options?vin={ANNAS_MODEL_3}",
    "history": f"dx/charging/history?vin={ANNAS_MODEL_3}",
}
"""What the simulator is asked of which there is no recording."""


async def _bodies(grant: Grant) -> Mapping[str, list[bytes]]:
    """Return what is changed: recordings, and answers of the simulator that no recording is at hand of."""
    token = {"access_token": grant.access_token.reveal(), "refresh_token": "NA_2", "expires_in": 28_800}
    asked: dict[str, bytes] = {}
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {grant.access_token.reveal()}"}) as http:
        for name, question in QUESTIONS.items():
            async with http.get(f"{grant.server.api}/api/1/{question}") as answer:
                asked[name] = await answer.read()
    return {
        "vehicle_data": _samples("*vehicle_data*"),
        "vehicle_state": _samples("*vehicle_data*"),
        "products": _samples("*products*"),
        "site_live": _samples("*live_status*"),
        **{name: [answer] for name, answer in asked.items()},
        "token": [json.dumps(token).encode()],
    }


async def _read(
    name: str,
    http: aiohttp.ClientSession,
    grant: Grant,
    rows: list[tuple[str, Any]],
    tally: Tally,
) -> str:
    """Ask one question as the integration does, and use the answer as it does."""
    reader = Reader(http, await _session(http, grant))
    snapshot: Snapshot | None = None
    site = SiteData(decode_live({}).snapshot, decode_info({}).snapshot, decode_today({}).snapshot)
    details = SimpleNamespace(alerts=None, service=None)
    if name == "token":
        await TokenEndpoint(http, lambda: 1.0).refresh(grant)
    elif name in DETAILS:
        site = await DETAILS[name](reader, details, site)
    elif name.startswith("site_"):
        site = await _read_site(name, reader, site)
    else:
        snapshot = await _read_car(name, reader)
    if snapshot is not None:
        kept = json.dumps(LastValues(snapshot=snapshot).to_json())
        LastValues.from_json(json.loads(kept))
    car = VehicleData(CarState.ONLINE, snapshot or Snapshot(), None, None, {}, 0.0)
    for key, row in rows:
        _try_reading(key, row.value_fn, _sources(row, car, site, details), tally)
    return f"{name} read"


async def _read_car(name: str, reader: Reader) -> Snapshot | None:
    if name == "products":
        return next(iter((await reader.products()).vehicles.values()), None)
    if name == "vehicle_state":
        return await reader.vehicle_state(ANNAS_MODEL_3, _uncounted)
    return (await reader.vehicle_data(ANNAS_MODEL_3, _uncounted)).snapshot


async def _read_site(name: str, reader: Reader, site: SiteData) -> SiteData:
    if name == "site_live":
        return replace(site, live=decode_live(await reader.site_live(1, _uncounted)).snapshot)
    if name == "site_info":
        return replace(site, info=decode_info(await reader.site_info(1, _uncounted)).snapshot)
    return replace(site, today=decode_today(await reader.site_energy_today(1, _uncounted)).snapshot)


_EARLY: Final = datetime(2026, 11, 1, tzinfo=UTC)


async def _alerts(reader: Reader, details: SimpleNamespace, site: SiteData) -> SiteData:
    details.alerts = await reader.recent_alerts(ANNAS_MODEL_3, _uncounted)
    return site


async def _service(reader: Reader, details: SimpleNamespace, site: SiteData) -> SiteData:
    details.service = await reader.service_visit(ANNAS_MODEL_3, _uncounted)
    return site


async def _release_notes(reader: Reader, _details: SimpleNamespace, site: SiteData) -> SiteData:
    as_markdown(await reader.release_notes(ANNAS_MODEL_3, _uncounted, staged=False))
    return site


async def _history(reader: Reader, _details: SimpleNamespace, site: SiteData) -> SiteData:
    for paid in (await reader.charging_history(ANNAS_MODEL_3, _uncounted)).sessions:
        hash((paid.energy, paid.cost, paid.currency))
    return site


async def _others(reader: Reader, _details: SimpleNamespace, site: SiteData) -> SiteData:
    for read in (reader.nearby_charging_sites, reader.warranties, reader.options):
        await read(ANNAS_MODEL_3, _uncounted)
    return site


async def _wall_charges(reader: Reader, _details: SimpleNamespace, site: SiteData) -> SiteData:
    charges = decode_wall_charges(await reader.site_wall_charges(1, _EARLY, _EARLY, _uncounted)).snapshot
    return replace(site, charges=charges, charges_at=_EARLY)


DETAILS: Final[Mapping[str, Callable[[Reader, SimpleNamespace, SiteData], Awaitable[SiteData]]]] = {
    "recent_alerts": _alerts,
    "service_data": _service,
    "release_notes": _release_notes,
    "history": _history,
    "nearby_charging_sites": _others,
    "warranties": _others,
    "options": _others,
    "wall_charges": _wall_charges,
}
"""What is asked seldom, and how the integration uses it."""


def _sources(row: object, car: VehicleData, site: SiteData, details: SimpleNamespace) -> tuple[object, ...]:
    """Return what a row may read."""
    if isinstance(row, PartDescription):
        return row.parts(site)
    if isinstance(row, DetailDescription):
        known = row.detail(cast("Any", details))
        return () if known is None else (known,)
    return car, site


def _try_reading(key: str, read: Callable[[Any], object], sources: tuple[object, ...], tally: Tally) -> None:
    """Read a value; a row is for cars or for sites, which shows when it is given the other."""
    for source in sources:
        try:
            read(source)
        except AttributeError as error:
            if type(source).__name__ not in str(error):
                tally.escape(key, error)
        except Exception as error:  # noqa: BLE001 - what escapes is what is looked for
            tally.escape(key, error)


def _uncounted(_category: Category) -> None:
    """Count nothing."""


COMMANDS: Final[Mapping[str, Mapping[str, Any]]] = MappingProxyType(
    {
        "honk_horn": {},
        "door_lock": {},
        "door_unlock": {},
        "flash_lights": {},
        "auto_conditioning_start": {},
        "set_charge_limit": {"percent": 80},
        "set_temps": {"driver_temp": 20, "passenger_temp": 21},
        "remote_start_drive": {},
    }
)


async def answers(count: int, seed: int) -> Tally:
    """Change the answers to commands that a simulated car has carried out."""
    mangler = Mangler(seed)
    tally = Tally()
    key = ec.generate_private_key(ec.SECP256R1())
    point = key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    async with _tesla() as (tesla, grant), aiohttp.ClientSession() as real:
        tesla.control.car(ANNAS_MODEL_3).keys.add(point)
        http = MangledTesla(real, mangler)
        for number in range(count):
            tesla.state.recent.clear()
            http.billed, http.bodies = 0, []
            how = mangler.random.choice(("signed", "signed", "handshake too", "unsigned", "site"))
            try:
                with patch("tesla_fleet_api.tesla.vehicle.commands.sleep", _no_sleep):
                    said = await _command(how, tesla, http, grant, key, mangler)
            except Exception as error:  # noqa: BLE001 - what escapes is what is looked for
                said = f"{type(error).__name__}: {error}"
                bodies = [b64encode(body[:200]) for body in http.bodies]
                tally.escape(f"answer {number} of seed {seed} ({how}, {bodies})", error)
            tally.outcomes[said] += 1
    return tally


async def _no_sleep(_seconds: float) -> None:
    """Let no time pass."""


type Send = Callable[[], Awaitable[object]]


async def _awake(_vin: str, _count: object) -> Snapshot:
    return Snapshot(vehicle=VehicleRecord(state=CarState.ONLINE))


async def _allowed() -> None:
    """Allow it."""


async def _command(
    how: str,
    tesla: TeslaSimulator,
    http: MangledTesla,
    grant: Grant,
    key: ec.EllipticCurvePrivateKey,
    mangler: Mangler,
) -> str:
    """Send one command; return what its sender learns. Raise what must not happen."""
    client = cast("aiohttp.ClientSession", http)
    commander = Commander(client, await _session(client, grant), key, _awake, _no_sleep)
    counted: list[Category] = []
    name = mangler.random.choice(list(COMMANDS))

    async def send(name: str = name) -> object:
        return await commander.send(
            ANNAS_MODEL_3, name, COMMANDS[name], counted.append, signed=how != "unsigned", still_allowed=_allowed
        )

    async def send_to_site() -> object:
        return await commander.send_to_site(ANNAS_SITE, "storm_mode", {"enabled": True})

    car = tesla.control.car(ANNAS_MODEL_3)
    car.signing = "off" if how == "unsigned" else "required"
    if how == "signed":
        # The handshake is left alone: it is the command's own answer that is changed
        http.mangles = False
        await send("door_lock" if name in SECURITY_COMMANDS else "honk_horn")
    http.mangles, http.billed = True, 0
    counted.clear()
    outcome = await _outcome(send_to_site if how == "site" else send, car)
    if how != "site" and len(counted) != http.billed:
        raise AssertionError(f"{http.billed} answers are billed and {len(counted)} were counted")
    if how != "site" and outcome == "done" and any(body in _SAYING_NOTHING for body in http.bodies[-1:]):
        raise AssertionError(f"{name} is told as done by an answer that says nothing")
    return f"{how}: {outcome}"


async def _outcome(send: Send, car: Car) -> str:
    """Return how a command ends for its sender; what was carried out must not be told as never sent."""
    executed = len(car.executed)
    try:
        await send()
    except TeslaError as error:
        if isinstance(error, Unreachable) and len(car.executed) > executed:
            raise AssertionError("it was carried out and is told as not sent") from error
        return type(error).__name__
    return "done"


_SAYING_NOTHING: Final = frozenset({b"", b"null", b"{}", b"[]", b'{"response": ""}', b'{"response": null}'})


def main() -> None:
    """Run as a program."""
    parser = argparse.ArgumentParser(prog="script/fuzz", description=__doc__)
    parser.add_argument("--payloads", type=int, default=24_000)
    parser.add_argument("--answers", type=int, default=3_000)
    parser.add_argument("--seed", type=int, default=1)
    wanted = parser.parse_args()
    logging.disable(logging.CRITICAL)
    for name, run, count in (("payloads", payloads, wanted.payloads), ("answers", answers, wanted.answers)):
        tally = asyncio.run(_run(run, count, wanted.seed))
        print(f"{count} changed {name}, seed {wanted.seed}\n{tally}\n")
        for escape in tally.escaped[:20]:
            print(f"  {escape}")
        if tally.escaped:
            raise SystemExit(1)


async def _run(run: Callable[[int, int], Awaitable[Tally]], count: int, seed: int) -> Tally:
    return await run(count, seed)


if __name__ == "__main__":
    main()
