"""What we use of `tesla-fleet-api` beyond its documents is still as `tesla/compat.py` and `tesla/exchange.py` say.

`script/compat` runs this on the oldest and on the newest version that the manifest allows.
"""

from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime
from functools import partial
import json
import logging
import os
from pathlib import Path
import re
from typing import Any, Final, cast

import aiohttp
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
import pytest
import tesla_fleet_api
from tesla_fleet_api import TeslaFleetApi, exceptions as library
from tesla_fleet_api.const import LOGGER as LIBRARY_LOG
from tesla_fleet_api.tesla.energysite import EnergySite
from tesla_fleet_api.tesla.vehicle.fleet import VehicleFleet
import tesla_protocol

from custom_components.teslafi.controls.commands import COMMANDS, SITE_COMMANDS
from custom_components.teslafi.controls.sealed import public_pem
from custom_components.teslafi.secret import Secret
from custom_components.teslafi.tesla import exchange, pairing
from custom_components.teslafi.tesla.commander import SECURITY_COMMANDS, SIGNED_ONLY, UNSIGNED, Commander
from custom_components.teslafi.tesla.compat import SAFE, WITHHELD, SignedCar
from custom_components.teslafi.tesla.errors import FAULTS, SECURITY_FAULTS, TeslaError
from custom_components.teslafi.tesla.grant import Grant
from custom_components.teslafi.tesla.reader import Reader
from custom_components.teslafi.tesla.servers import SERVERS
from custom_components.teslafi.tesla.session import GrantSession
from custom_components.teslafi.tesla.snapshot import CarState, Snapshot, VehicleRecord
from custom_components.teslafi.tesla.token import TokenEndpoint
from teslafi_simulators.tesla import TeslaSimulator
from teslafi_simulators.tesla.scenario import ANNAS_MODEL_3, ANNAS_SITE

from .test_session import NOW, Shelf, create_task

PIN: Final = "7391"
MOMENT: Final = datetime(2026, 11, 16, tzinfo=UTC)
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
LIBRARY: Final = Path(tesla_fleet_api.__file__).parent


def sources() -> str:
    """Return the library's source."""
    return "\n".join(path.read_text("utf-8") for path in sorted(LIBRARY.rglob("*.py")))


def test_the_version_that_was_asked_for_is_tried() -> None:
    """`script/compat` puts another one in front of the installed one."""
    if place := os.environ.get("TESLAFI_COMPAT"):
        assert LIBRARY.is_relative_to(place)
        assert Path(tesla_protocol.__file__ or "").is_relative_to(place) or place in str(tesla_protocol.__path__)


class Asker:
    """Asks and commands all that we ask and command, against the simulator."""

    def __init__(self, tesla: TeslaSimulator, http: aiohttp.ClientSession, session: GrantSession) -> None:
        """Have a key that Anna's car knows."""
        self.tesla, self.http, self.session = tesla, http, session
        self.reader = Reader(http, session)
        self.key = ec.generate_private_key(ec.SECP256R1())
        point = self.key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        tesla.control.car(ANNAS_MODEL_3).keys.add(point)
        self.commander = Commander(http, session, self.key, self.awake, self.no_sleep)

    async def awake(self, _vin: str, _count: object) -> Snapshot:
        """Find the car awake."""
        return Snapshot(vehicle=VehicleRecord(state=CarState.ONLINE))

    async def no_sleep(self, _seconds: float) -> None:
        """Let no time pass."""

    async def allowed(self) -> None:
        """Allow it."""

    def count(self, _category: object) -> None:
        """Count nothing."""

    async def command(self, name: str, *, signed: bool, **parameters: object) -> None:
        """Send a command."""
        self.tesla.control.car(ANNAS_MODEL_3).signing = "required" if signed else "off"
        await self.commander.send(
            ANNAS_MODEL_3, name, parameters, self.count, signed=signed, still_allowed=self.allowed
        )

    def everything(self) -> Iterator[tuple[str, Callable[[], Awaitable[object]]]]:
        """Yield each thing by its name."""
        reader, site = self.reader, ANNAS_SITE
        yield "products", reader.products
        yield "region", reader.region
        yield "state", lambda: reader.vehicle_state(ANNAS_MODEL_3, self.count)
        yield "data", lambda: reader.vehicle_data(ANNAS_MODEL_3, self.count)
        yield "site live", lambda: reader.site_live(site, self.count)
        yield "site info", lambda: reader.site_info(site, self.count)
        yield "site energy", lambda: reader.site_energy_today(site, self.count)
        yield "site charges", lambda: reader.site_wall_charges(site, MOMENT, MOMENT, self.count)
        for read in (reader.recent_alerts, reader.service_visit, reader.warranties, reader.options):
            yield read.__name__, partial(read, ANNAS_MODEL_3, self.count)
        yield "release notes", lambda: reader.release_notes(ANNAS_MODEL_3, self.count, staged=True)
        yield "chargers", lambda: reader.nearby_charging_sites(ANNAS_MODEL_3, self.count, most=1, radius=9)
        yield "charging history", lambda: reader.charging_history(ANNAS_MODEL_3, self.count, begin=MOMENT, end=MOMENT)
        yield "invoice", lambda: reader.charging_invoice("file-01000003", self.count)
        yield "wake", lambda: self.commander.wake(ANNAS_MODEL_3, self.count)
        yield "site command", lambda: self.commander.send_to_site(site, "storm_mode", {"enabled": True})
        yield "signed", lambda: self.command("set_pin_to_drive", signed=True, on=True, password=PIN)
        yield "signed, security", lambda: self.command("door_lock", signed=True)
        yield "unsigned", lambda: self.command("set_valet_mode", signed=False, on=False, password=PIN)
        yield "pairing", lambda: pairing.paired(self.http, self.session, [ANNAS_MODEL_3])
        yield "registration", self.register

    async def register(self) -> None:
        """Register a key that is not hosted."""
        endpoint = TokenEndpoint(self.http, lambda: NOW)
        application = pairing.Application("teslafi-controls", Secret("ts-secret.controls"))
        await pairing.register(self.http, endpoint, application, SERVERS["na"], "example.com", public_pem(self.key))


@pytest.fixture
async def asker(tesla: TeslaSimulator) -> Any:  # noqa: ANN401 - an async generator
    """Return who asks, with a grant of Anna's."""
    tesla.control.limit("developer@example.com", 1e9)
    tesla.control.wake(ANNAS_MODEL_3)
    tesla.control.car(ANNAS_MODEL_3).park()
    pair = tesla.control.mint("anna@example.com", "teslafi-controls", SCOPES)
    grant = Grant.from_answer(pair.answer(), client_id="teslafi-controls", now=NOW)
    async with aiohttp.ClientSession() as http:
        session = GrantSession(Shelf(grant), TokenEndpoint(http, lambda: NOW), lambda: NOW, create_task)
        await session.load()
        yield Asker(tesla, http, session)


FAILURES: Final = (
    None,
    {"status": 401},
    {"status": 403, "body": {"error": "something new"}},
    {"status": 418, "body": {"error": "something new"}},
    {"status": 429, "headers": {"Retry-After": "1"}},
    {"status": 503},
    {"status": 200, "body": "no JSON"},
)


async def test_the_library_uses_of_its_session_what_ours_has(
    asker: Asker, tesla: TeslaSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    missing: set[str] = set()

    def note(self: object, name: str) -> object:
        missing.add(f"{type(self).__name__}.{name}")
        raise AttributeError(name)

    monkeypatch.setattr(exchange.Transport, "__getattr__", note, raising=False)
    monkeypatch.setattr(exchange.Answer, "__getattr__", note, raising=False)
    for failure in FAILURES:
        for _, ask in asker.everything():
            tesla.state.recent.clear()
            if failure is not None:
                tesla.control.fault(path="*/api/1/*", kind="status", **cast("dict[str, Any]", failure))
            try:
                await ask()
            except pairing.RegistrationRefused:
                pass
            except TeslaError as error:
                unknown = [cause for cause in (error.__cause__, error.__context__) if isinstance(cause, TypeError)]
                assert not unknown, f"tesla-fleet-api calls exchange.Transport in another way: {unknown[0]}"
            tesla.control.clear_faults()
    assert not missing, f"tesla-fleet-api now uses {sorted(missing)}: exchange.py has to have it"


async def test_every_signed_message_goes_through_signed_command(
    asker: Asker, tesla: TeslaSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    ours = SignedCar.signed_command

    async def watched(self: SignedCar, routable_message: str) -> dict[str, Any]:
        seen.append(routable_message)
        return await ours(self, routable_message)

    monkeypatch.setattr(SignedCar, "signed_command", watched)
    await asker.command("honk_horn", signed=True)
    await asker.command("door_lock", signed=True)
    requests = tesla.control.counters()["anna@example.com"]["command"]
    assert len(seen) == requests == 4, (
        "tesla-fleet-api sends signed messages past VehicleSigned.signed_command: "
        "compat.SignedCar cannot look at them before the library believes them"
    )
    assert [name for name, *_ in tesla.control.car(ANNAS_MODEL_3).executed] == ["honk_horn", "door_lock"]


def test_the_command_key_is_taken_from_the_api() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    api = TeslaFleetApi(cast("aiohttp.ClientSession", object()), "token", server="https://tesla.example")
    api.private_key = key
    assert SignedCar(api, ANNAS_MODEL_3).private_key is key, "the library takes the command key from elsewhere now"


def test_the_librarys_faults_carry_the_numbers_of_the_protocol() -> None:
    for faults, table in (
        (library.MESSAGE_FAULTS, FAULTS),
        (library.SIGNED_MESSAGE_INFORMATION_FAULTS, SECURITY_FAULTS),
    ):
        for number, kind in enumerate(faults):
            if kind is not None:
                assert getattr(kind, "code", None) == number, f"{kind.__name__} has another number than its place"
                assert number in table


def test_the_librarys_errors_are_no_exceptions() -> None:
    assert not issubclass(library.TeslaFleetError, Exception), "errors.translated names TeslaFleetError for nothing now"


@pytest.mark.parametrize("text", sorted(SAFE))
def test_records_that_are_let_through_still_exist(text: str) -> None:
    assert f'"{text}"' in sources(), f"the library does not log {text!r} any more: take it out of compat.SAFE"


async def test_no_secret_is_logged_and_only_known_records_are(
    asker: Asker, tesla: TeslaSimulator, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.DEBUG, "tesla_fleet_api")
    for failure in FAILURES:
        for _, ask in asker.everything():
            tesla.state.recent.clear()
            if failure is not None:
                tesla.control.fault(path="*/api/1/*", kind="status", **cast("dict[str, Any]", failure))
            try:
                await ask()
            except (TeslaError, pairing.RegistrationRefused) as error:
                logging.getLogger("custom_components.teslafi").debug("It said %s", error)
            tesla.control.clear_faults()
    records = [record for record in caplog.records if record.name.startswith(("tesla_fleet_api", "custom_components"))]
    texts = {record.msg for record in records if record.name.startswith("tesla_fleet_api")}
    assert texts <= {*SAFE, WITHHELD}
    assert WITHHELD in texts
    assert len(texts) > 3
    # Tesla's identifiers and ports have digits of their own
    said = "\n".join(re.sub(r"TXID: [0-9a-f]{32}$|:\d+/", "", record.getMessage()) for record in records)
    car = tesla.control.car(ANNAS_MODEL_3).data["drive_state"]
    for secret in (PIN, asker.session.grant.access_token.reveal(), "routable_message", str(car["latitude"])):
        assert secret not in said


async def test_records_of_other_integrations_are_theirs(caplog: pytest.LogCaptureFixture) -> None:
    """The library's logger is one for all that use it."""
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.DEBUG, LIBRARY_LOG.name)
    LIBRARY_LOG.debug("Response JSON: %s", {"of": "teslemetry"})
    assert "teslemetry" in caplog.text


def test_every_command_is_one_of_the_librarys() -> None:
    missing = [name for name in COMMANDS if name not in SIGNED_ONLY and not hasattr(VehicleFleet, name)]
    missing += [name for name in COMMANDS if name not in UNSIGNED and not hasattr(SignedCar, name)]
    missing += [name for name in SITE_COMMANDS if not hasattr(EnergySite, name)]
    assert missing == []
    assert COMMANDS.keys() >= SECURITY_COMMANDS


def test_what_the_manifest_asks_for_is_what_is_locked() -> None:
    """Both lists of requirements say the same; neither pins what core pins."""
    root = Path(__file__).parents[2]
    asked = json.loads((root / "custom_components/teslafi/manifest.json").read_text("utf-8"))["requirements"]
    declared = (root / "pyproject.toml").read_text("utf-8")
    assert all(f'"{requirement}"' in declared for requirement in asked)
    assert not [requirement for requirement in asked if "==" in requirement]
