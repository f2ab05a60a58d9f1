"""The gate by itself: a companion that says what a test wants, permits signed by the test, and clocks that it moves."""

import asyncio
from base64 import b64encode, urlsafe_b64encode
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
import json
from typing import Any, Final

import aiohttp
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from homeassistant.core import HomeAssistant
import jwt
import pytest

from custom_components.teslafi.const import CONTROLS, MONITORING
from custom_components.teslafi.controls.commands import WAKE
from custom_components.teslafi.controls.gate import (
    FAULTS,
    PER_MINUTE,
    REFUSALS,
    Forbidden,
    Gate,
    GateContext,
    GateShut,
    Lock,
)
from custom_components.teslafi.controls.groups import ControlGroup
from custom_components.teslafi.controls.permit import (
    LONGEST,
    SKEW,
    TYPE,
    Expected,
    Fault,
    Moment,
    PermitFaulty,
    verified,
)
from custom_components.teslafi.controls.sealed import (
    SealedControls,
    SealedKeeper,
    new_command_key,
    public_pem,
    seal,
    unseal,
)
from custom_components.teslafi.link.client import (
    AccountStatus,
    CheckedIn,
    CompanionError,
    PermitRefused,
    SignedPermit,
    Unlinked,
)
from custom_components.teslafi.secret import Secret
from custom_components.teslafi.storage.vault import SealBroken, Vault
from custom_components.teslafi.tesla.errors import CommandRefused, SignInRequired
from custom_components.teslafi.tesla.requests import Category
from custom_components.teslafi.tesla.snapshot import CarState, Snapshot, VehicleRecord
from custom_components.teslafi.tesla.token import TokenEndpoint
from tests.integration.scripted import ScriptedServer, scripted_server
from tests.integration.test_blame import newer, valid
from tests.integration.test_session import NOW, Shelf, session_of

ENTRY: Final = "entry-1"
VIN: Final = "5YJ3E1EA7KF000001"
EXPECTED: Final = Expected("https://companion.example", "instance-1", "account-1")
KEY: Final = Ed25519PrivateKey.generate()
SHARE: Final = Secret(b64encode(b"s" * 32).decode())
OTHER_SHARE: Final = Secret(b64encode(b"o" * 32).decode())
DAY: Final = 86_400.0
JWKS: Final = {
    "keys": [
        {
            "kty": "OKP",
            "crv": "Ed25519",
            "kid": "k1",
            "x": urlsafe_b64encode(KEY.public_key().public_bytes_raw()).decode().rstrip("="),
        }
    ]
}


def permit(
    now: float = NOW,
    *,
    key: Ed25519PrivateKey = KEY,
    header: dict[str, Any] | None = None,
    **changed: Any,  # noqa: ANN401 - JSON
) -> str:
    """Return a permit of a day, with some claims changed, or left out when they are None."""
    claims = {
        "iss": EXPECTED.issuer,
        "aud": EXPECTED.instance_id,
        "tesla_account": EXPECTED.account,
        "iat": now,
        "exp": now + DAY,
        "auth_time": now - 60,
        "groups": [group.value for group in ControlGroup],
        "vehicles": [VIN],
    } | changed
    kept = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode(kept, key, algorithm="EdDSA", headers={"typ": TYPE, "kid": "k1"} | (header or {}))


def test_a_permit_says_whom_what_and_until_when() -> None:
    held = verified(permit(), JWKS, EXPECTED, Moment(NOW, 5.0))
    assert (held.account, held.vehicles, held.groups) == ("account-1", frozenset({VIN}), frozenset(ControlGroup))
    assert (held.issued_at, held.expires_at, held.step_up_at, held.lifetime) == (NOW, NOW + DAY, NOW - 60, DAY)
    assert held.received == Moment(NOW, 5.0)
    assert not held.is_due(Moment(NOW, 5.0 + DAY / 2 - 1))
    assert held.is_due(Moment(NOW, 5.0 + DAY / 2))
    assert held.is_due(Moment(NOW + DAY, 5.0))
    assert not held.holds(Moment(NOW, 4.0))


@pytest.mark.parametrize(
    ("wall", "steady", "holds"),
    [
        (-SKEW, 0.0, True),
        (-SKEW - 1, 0.0, False),
        (DAY - 1, 0.0, True),
        (DAY, 0.0, False),
        (0.0, 0.0, True),
        (0.0, -0.5, False),
        (0.0, DAY - 1, True),
        (0.0, DAY, False),
    ],
)
def test_a_permit_ends_by_either_clock(wall: float, steady: float, holds: bool) -> None:
    held = verified(permit(), JWKS, EXPECTED, Moment(NOW, 5.0))
    assert held.holds(Moment(NOW + wall, 5.0 + steady)) is holds


@pytest.mark.parametrize("vin", [VIN.lower(), f" {VIN}\n"])
def test_vins_of_a_permit_have_the_one_form(vin: str) -> None:
    assert verified(permit(vehicles=[vin]), JWKS, EXPECTED, Moment(NOW, 0.0)).vehicles == {VIN}


def test_a_group_of_a_newer_companion_is_left_out() -> None:
    assert verified(permit(groups=["charging", "flying"]), JWKS, EXPECTED, Moment(NOW, 0.0)).groups == {
        ControlGroup.CHARGING
    }


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (permit(iss="https://other.example"), Fault.INVALID),
        (permit(aud="instance-2"), Fault.OTHER_INSTANCE),
        (permit(tesla_account="account-2"), Fault.OTHER_ACCOUNT),
        (permit(key=Ed25519PrivateKey.generate()), Fault.INVALID),
        (permit(header={"typ": "JWT"}), Fault.INVALID),
        (permit(header={"kid": "k2"}), Fault.INVALID),
        (permit(header={"kid": ""}), Fault.INVALID),
        (permit(exp=NOW), Fault.INVALID),
        (permit(exp=NOW - 1), Fault.INVALID),
        (permit(exp=NOW + LONGEST + 1), Fault.INVALID),
        (permit(NOW + SKEW + 1), Fault.CLOCK),
        (permit(NOW - DAY), Fault.EXPIRED),
        (permit(groups=None), Fault.INVALID),
        (permit(vehicles=None), Fault.INVALID),
        (permit(tesla_account=None), Fault.INVALID),
        (permit(auth_time="soon"), Fault.INVALID),
        (permit(groups=7), Fault.INVALID),
        (permit(exp=None), Fault.INVALID),
        (permit(iat=None), Fault.INVALID),
        (permit(iss=None), Fault.INVALID),
        (permit(auth_time=None), Fault.INVALID),
        (permit(aud=None), Fault.OTHER_INSTANCE),
        ("", Fault.INVALID),
        ("a.b.c", Fault.INVALID),
        (
            jwt.encode({"iss": EXPECTED.issuer}, "x" * 32, algorithm="HS256", headers={"typ": TYPE, "kid": "k1"}),
            Fault.INVALID,
        ),
    ],
    # Each run has a key of its own: a name made of the permit would differ from process to process
    ids=lambda value: value.name if isinstance(value, Fault) else "permit",
)
def test_a_permit_that_is_not_as_it_has_to_be(text: str, fault: Fault) -> None:
    with pytest.raises(PermitFaulty) as caught:
        verified(text, JWKS, EXPECTED, Moment(NOW, 0.0))
    assert caught.value.fault is fault or (caught.value.fault, fault) == (Fault.INVALID, Fault.OTHER_INSTANCE)


@pytest.mark.parametrize("issued", [NOW + SKEW, NOW - DAY + 1])
def test_the_edges_of_a_permit_hold(issued: float) -> None:
    assert verified(permit(issued, exp=issued + LONGEST), JWKS, EXPECTED, Moment(NOW, 0.0)).lifetime == LONGEST
    assert verified(permit(issued), JWKS, EXPECTED, Moment(NOW, 0.0)).lifetime == DAY


def status(*, controls: bool = True) -> AccountStatus:
    """Return what the companion tells of the account."""
    return AccountStatus("Home", None, two_factor=True, subscription=None, until=None, controls=controls)


@dataclass
class World:
    """A gate, and all around it."""

    vault: Vault
    server: ScriptedServer
    gate: Gate = field(init=False)
    says: CheckedIn | Exception = field(default_factory=CompanionError)
    asked: list[bool] = field(default_factory=list)
    wall: float = NOW
    steady: float = 1000.0
    waking: list[tuple[object, ...]] = field(default_factory=list)

    def now(self) -> Moment:
        """Return the present."""
        return Moment(self.wall, self.steady)

    async def check_in(self, *, permit: bool) -> CheckedIn:
        """Be the companion."""
        self.asked.append(permit)
        if isinstance(self.says, Exception):
            raise self.says
        return self.says

    def give_permit(self, share: Secret = SHARE, **changed: Any) -> None:  # noqa: ANN401
        """Let the companion give a permit."""
        self.says = CheckedIn(status(), SignedPermit(permit(self.wall, **changed), share, JWKS))

    async def lock(self) -> Lock | None:
        """Have the companion asked; return why the gate is shut then."""
        await self.gate.renew()
        return self.gate.lock

    async def press(self, name: str = "honk_horn", vin: str = VIN) -> object:
        """Send a command unsigned."""
        return await self.gate.command(vin, name, {}, lambda _: None, signed=False)

    async def refused(self, name: str = "honk_horn", vin: str = VIN) -> str:
        """Return why a command does not go."""
        before = len(self.server.requests)
        with pytest.raises((Forbidden, GateShut)) as caught:
            await self.press(name, vin)
        assert len(self.server.requests) == before
        return str(caught.value)


@pytest.fixture
async def world(hass: HomeAssistant, socket_enabled: None) -> AsyncIterator[World]:
    """Return a gate with one application: the monitoring grant commands, and a key is sealed."""
    vault = Vault(hass)
    await vault.load()
    await seal(vault, ENTRY, SealedControls(None, new_command_key()), SHARE)
    async with scripted_server() as server, aiohttp.ClientSession() as http:
        server.answers = [web.json_response({"response": {"result": True, "reason": ""}})]
        made = World(vault, server)
        made.gate = await gate_of(made, http)
        yield made


async def gate_of(world: World, http: aiohttp.ClientSession) -> Gate:
    """Return a gate of this world."""

    async def sleep(_seconds: float) -> None:
        """Let no time pass."""

    async def look(_vin: str, _count: object) -> Snapshot:
        """Find the car awake."""
        return Snapshot(vehicle=VehicleRecord(state=CarState.ONLINE))

    context = GateContext(
        http=http,
        endpoint=TokenEndpoint(http, lambda: NOW),
        vault=world.vault,
        entry_id=ENTRY,
        monitoring=await session_of(Shelf(valid()), http),
        look=look,
        waking_told=lambda *told: world.waking.append(told),
        now=world.now,
        create_task=lambda coroutine, name: asyncio.create_task(coroutine, name=name),
        sleep=sleep,
    )
    return Gate(world, EXPECTED, context)


async def test_a_gate_begins_shut(world: World) -> None:
    assert world.gate.lock is Lock.STARTING
    assert await world.refused() == "starting"
    assert (world.gate.permit, world.gate.share, world.gate.command_key) == (None, None, None)


async def test_a_permit_opens_it(world: World) -> None:
    world.give_permit()
    assert await world.lock() is None
    assert world.gate.permit is not None
    assert world.gate.share == SHARE
    assert world.gate.command_key is not None
    assert await world.press() == {"result": True, "reason": ""}
    assert world.server.requests[-1].path.endswith(f"/vehicles/{VIN}/command/honk_horn")


async def test_what_a_permit_does_not_name_does_not_go(world: World) -> None:
    world.give_permit(groups=["charging"], vehicles=[VIN])
    assert await world.lock() is None
    assert await world.refused("charge_start", "5YJ3E1EA7KF000002") == "vehicle_not_allowed"
    assert await world.refused("door_unlock") == "group_not_allowed"
    assert await world.refused("no_such_command") == "command_unknown"
    await world.press("charge_start")
    with pytest.raises(Forbidden, match="group_not_allowed") as caught:
        await world.gate.command_site(1, "backup", {"backup_reserve_percent": 20})
    assert caught.value.key == "group_not_allowed"
    with pytest.raises(Forbidden, match="command_unknown"):
        await world.gate.command_site(1, "charge_start", {})


async def test_a_site_is_commanded_with_its_group(world: World) -> None:
    world.give_permit(groups=["energy"])
    assert await world.lock() is None
    await world.gate.command_site(1, "storm_mode", {"enabled": True})
    assert world.server.requests[-1].path.endswith("/energy_sites/1/storm_mode")


async def test_it_is_asked_for_a_permit_when_half_is_over(world: World) -> None:
    world.give_permit()
    assert await world.lock() is None
    world.says = CheckedIn(status())
    world.steady += DAY / 2 - 1
    assert await world.lock() is None
    world.steady += 1
    world.give_permit()
    assert await world.lock() is None
    assert world.asked == [True, False, True]
    world.steady += DAY / 2 - 1
    world.says = CheckedIn(status())
    await world.lock()
    assert world.asked[-1] is False


async def test_a_companion_out_of_reach_ends_nothing_before_the_permit_does(world: World) -> None:
    world.give_permit()
    await world.lock()
    world.says = CompanionError()
    assert await world.lock() is None
    await world.press()
    world.wall -= SKEW + 1
    assert world.gate.lock is Lock.CLOCK
    assert await world.refused() == "clock"
    world.wall += SKEW + 1
    world.steady += DAY
    world.wall += DAY
    assert str(world.gate.lock) == "unreachable"
    assert await world.refused() == "unreachable"
    assert (world.gate.permit, world.gate.command_key) == (None, None)
    assert await world.lock() is Lock.UNREACHABLE
    assert world.gate.share is None
    world.give_permit()
    assert await world.lock() is None


async def test_after_one_silence_no_command_waits_until_the_companion_answered(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("custom_components.teslafi.controls.gate.PATIENCE", 3600.0)
    world.give_permit()
    await world.lock()
    world.says = CompanionError()
    await world.lock()
    silent = asyncio.Event()

    async def check_in(*, permit: bool) -> CheckedIn:
        await silent.wait()
        return CheckedIn(status(controls=permit))

    with monkeypatch.context() as hanging:
        hanging.setattr(world, "check_in", check_in)
        async with asyncio.timeout(60):
            await world.press()
    world.give_permit()
    silent.set()
    await world.gate.renew()
    await world.gate.renew()
    world.says = CheckedIn(status(controls=False))
    assert await world.refused() == "not_allowed"


async def test_a_companion_that_never_answered_is_told(world: World) -> None:
    assert await world.lock() is Lock.UNREACHABLE


@pytest.mark.parametrize(
    ("says", "lock"),
    [
        (Unlinked(), Lock.UNLINKED),
        (CheckedIn(status()), None),
        (CheckedIn(status(controls=False)), Lock.NOT_ALLOWED),
        *(
            (CheckedIn(status(), refused=PermitRefused(reason, "why")), lock)
            for reason, lock in [*REFUSALS.items(), ("something-new", Lock.PERMIT_INVALID)]
        ),
    ],
)
async def test_what_the_companion_says_of_an_open_gate(
    world: World, says: CheckedIn | Exception, lock: Lock | None
) -> None:
    """Shut, it forgets permit, share and key."""
    world.give_permit()
    await world.lock()
    world.says = says
    assert await world.lock() is lock
    assert (world.gate.share is None) is (lock is not None)
    if isinstance(says, CheckedIn) and says.refused:
        assert world.gate.sentence == "why"
    if lock is not None:
        assert await world.refused() == lock.value


async def test_no_permit_where_one_was_wanted_is_no_consent(world: World) -> None:
    world.says = CheckedIn(status())
    assert await world.lock() is Lock.NOT_ALLOWED


@pytest.mark.parametrize(
    ("changed", "fault"),
    [
        ({"aud": "instance-2"}, Fault.OTHER_INSTANCE),
        ({"tesla_account": "account-2"}, Fault.OTHER_ACCOUNT),
        ({"iss": "x"}, Fault.INVALID),
        ({"iat": NOW + DAY, "exp": NOW + 2 * DAY}, Fault.CLOCK),
        ({"iat": NOW - DAY, "exp": NOW - 1}, Fault.EXPIRED),
    ],
)
async def test_a_faulty_permit_shuts(world: World, changed: dict[str, Any], fault: Fault) -> None:
    world.give_permit()
    await world.lock()
    world.steady += DAY / 2
    world.give_permit(**changed)
    assert await world.lock() is FAULTS[fault]
    assert world.gate.share is None


async def test_a_share_that_does_not_open_what_is_sealed(world: World) -> None:
    world.give_permit(OTHER_SHARE)
    assert await world.lock() is Lock.SEAL_BROKEN
    world.give_permit()
    assert await world.lock() is None
    world.steady += DAY / 2
    world.give_permit(OTHER_SHARE)
    assert await world.lock() is Lock.SEAL_BROKEN
    assert world.gate.share is None


async def test_nothing_sealed_is_a_grant_that_ended(world: World) -> None:
    await world.vault.wipe(ENTRY, CONTROLS)
    world.give_permit()
    assert await world.lock() is Lock.GRANT_ENDED


async def test_closing_forgets_memory_and_wiping_the_disk_as_well(world: World) -> None:
    world.give_permit()
    await world.lock()
    await world.gate.close()
    assert (world.gate.lock, world.gate.share) == (Lock.STARTING, None)
    assert world.vault.holds(ENTRY, CONTROLS)
    await world.vault.put(ENTRY, MONITORING, valid())
    await world.lock()
    await world.gate.wipe()
    assert (world.gate.lock, world.gate.share) == (Lock.NOT_ALLOWED, None)
    assert not world.vault.holds(ENTRY, CONTROLS)
    assert world.vault.get(ENTRY, MONITORING) == valid()


async def test_the_pace_is_each_cars_own(world: World) -> None:
    """Thirty in any sixty seconds, by the clock that nobody sets."""
    other = "5YJ3E1EA7KF000002"
    world.give_permit(vehicles=[VIN, other])
    await world.lock()
    for _ in range(PER_MINUTE):
        await world.press()
        world.steady += 1
    world.wall += 3600
    assert await world.refused() == "too_many_commands"
    await world.press(vin=other)
    world.steady += 60 - PER_MINUTE
    await world.press()
    assert await world.refused() == "too_many_commands"


async def test_the_pace_is_each_sites_own_as_well(world: World) -> None:
    world.give_permit()
    await world.lock()
    for _ in range(PER_MINUTE):
        await world.gate.command_site(1, "storm_mode", {"enabled": True})
    with pytest.raises(Forbidden, match="too_many_commands"):
        await world.gate.command_site(1, "storm_mode", {"enabled": True})
    await world.gate.command_site(2, "storm_mode", {"enabled": True})


async def test_waking_is_counted_and_told(world: World) -> None:
    """For its own sake, by whoever may do anything with the car."""
    world.give_permit(groups=["charging"])
    await world.lock()
    counted: list[Category] = []
    assert await world.gate.command(VIN, WAKE, {}, counted.append, signed=False) == {"result": True}
    assert world.server.requests[-1].path.endswith("/wake_up")
    assert counted == [Category.WAKE]
    assert [told[0] for told in world.waking] == [VIN, VIN]
    assert [told[1] for told in world.waking] == [True, False]


async def test_a_car_that_has_done_it_already_has_done_it(world: World) -> None:
    world.give_permit()
    await world.lock()
    world.server.answers = [web.json_response({"response": {"result": False, "reason": "is_charging"}})]
    assert await world.press("charge_start") == {"result": True, "reason": "is_charging"}
    with pytest.raises(CommandRefused):
        await world.press("honk_horn")


@pytest.mark.parametrize("site", [True, False])
@pytest.mark.parametrize("own", [True, False])
async def test_a_grant_that_tesla_ended_shuts_when_it_is_the_controls_own(
    hass: HomeAssistant, world: World, own: bool, site: bool
) -> None:
    """The monitoring grant sees to itself."""
    if own:
        await seal(world.vault, ENTRY, SealedControls(valid(), new_command_key()), SHARE)
    world.give_permit()
    assert await world.lock() is None
    dead = web.json_response({"error": "login_required"}, status=401)
    world.server.answers = [web.Response(status=401), dead]
    with pytest.raises(SignInRequired):
        await (world.gate.command_site(1, "storm_mode", {"enabled": True}) if site else world.press())
    assert world.gate.lock is (Lock.GRANT_ENDED if own else None)
    assert world.vault.holds(ENTRY, CONTROLS) is not own


async def test_sealed_controls_go_through_text_and_back() -> None:
    key = new_command_key()
    for grant in (None, valid()):
        back = SealedControls.from_plaintext(SealedControls(grant, key).to_plaintext())
        assert (back.grant, public_pem(back.key)) == (grant, public_pem(key))
    assert "PRIVATE" not in repr(SealedControls(None, key))


@pytest.mark.parametrize("text", ["", "{}", "[]", "7", '{"key": 7, "grant": null}', '{"key": "x", "grant": null}'])
def test_what_is_not_sealed_controls(text: str) -> None:
    with pytest.raises(SealBroken):
        SealedControls.from_plaintext(text)


def test_a_key_of_another_kind_is_no_command_key() -> None:
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat  # noqa: PLC0415

    pem = KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    with pytest.raises(SealBroken, match="not a command key"):
        SealedControls.from_plaintext(json.dumps({"key": pem, "grant": None}))


async def test_the_controls_grant_changes_by_compare_and_swap(world: World) -> None:
    """A late successor does not replace what was sealed meanwhile; a dead grant takes the key with it."""
    first = SealedControls(valid(), new_command_key())
    await seal(world.vault, ENTRY, first, SHARE)
    keeper = SealedKeeper(world.vault, ENTRY, first, SHARE)
    assert await keeper.load() == valid()
    assert await keeper.replace(valid(), newer()) == newer()
    assert await keeper.load() == newer()
    assert await keeper.replace(valid(), valid()) == newer(), "another is there"
    kept = unseal(world.vault, ENTRY, SHARE)
    assert kept is not None
    assert (kept.grant, public_pem(kept.key)) == (newer(), public_pem(first.key))
    assert await keeper.replace(newer(), None) is None
    assert unseal(world.vault, ENTRY, SHARE) is None
    assert await keeper.replace(newer(), valid()) is None
    assert not world.vault.holds(ENTRY, CONTROLS)
