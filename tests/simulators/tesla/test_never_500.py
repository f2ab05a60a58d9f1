"""Whatever a client sends, by any route: the simulator answers as Tesla's interface does, and never falls over."""

import asyncio
import base64
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
import hmac
import json
from typing import Any, Final
from urllib.parse import quote

import aiohttp
from cryptography.hazmat.primitives.asymmetric import ec
from google.protobuf.message import DecodeError, Message
from hypothesis import HealthCheck, given, settings, strategies as st
import pytest
from tesla_protocol.command.car_server_pb2 import Action, Response, VehicleAction
from tesla_protocol.command.signatures_pb2 import SignatureType, Tag
from tesla_protocol.command.universal_message_pb2 import Domain, RoutableMessage
from tesla_protocol.command.vcsec_pb2 import UnsignedMessage

from teslafi_simulators.tesla import ManualClock, TeslaSimulator
from teslafi_simulators.tesla.cars.car import Car
from teslafi_simulators.tesla.cars.garage import Garage
from teslafi_simulators.tesla.commands.actions import (
    INFOTAINMENT,
    UnknownAction,
    decode_infotainment,
    decode_vehicle_security,
)
from teslafi_simulators.tesla.commands.computers import computer_of, derived, public_point, serialized, shared_key
from teslafi_simulators.tesla.commands.outcome import Outcome
from teslafi_simulators.tesla.commands.parameters import BadParameter, Parameters
from teslafi_simulators.tesla.commands.table import COMMANDS, execute
from teslafi_simulators.tesla.fleet_api.routes import ROWS
from teslafi_simulators.tesla.scenario import ANNAS_MODEL_3, ANNAS_SITE

pytestmark = pytest.mark.slow

NOON: Final = 1_795_435_200.0
SCOPES: Final = {
    "openid", "offline_access", "user_data", "vehicle_device_data", "vehicle_location", "vehicle_cmds",
    "vehicle_charging_cmds", "energy_device_data", "energy_cmds",
}  # fmt: skip

PARAMETERS: Final = (
    "auto_climate_on", "auto_seat_position", "backup_reserve_percent", "calendar_data", "charging_amps",
    "climate_keeper_mode", "command", "cop_temp", "customer_preferred_export_rule", "days_of_week",
    "default_real_mode", "departure_time", "destination", "disallow_charge_from_grid_with_solar_installed",
    "driver_temp", "enable", "enabled", "end_enabled", "end_off_peak_time", "end_time", "fan_only", "heater",
    "home", "id", "lat", "level", "limit_mph", "locale", "lon", "manual_override", "name", "note",
    "off_grid_vehicle_charging_reserve_percent", "off_peak_charging_enabled", "off_peak_charging_weekdays_only",
    "offset_sec", "on", "one_time", "order", "other", "passenger_temp", "password", "percent", "pin",
    "precondition_time", "preconditioning_enabled", "preconditioning_weekdays_only", "seat_cooler_level",
    "seat_position", "sound", "start_enabled", "start_time", "state", "time", "timestamp_ms", "token",
    "tou_settings", "type", "value", "vehicle_name", "vins", "volume", "waypoints", "which_trunk", "work",
)  # fmt: skip
WORDS: Final = ("front", "rear", "vent", "close", "stop", "ALL", "1234", "²²²²", "refId:1", "0", "", "\ud800")
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-1, 12)
    | st.floats()
    | st.sampled_from([1e308, -1e308, 2**63, -(2**63), 10**400, 1440, 1439])
    | st.sampled_from(WORDS)
    | st.text(max_size=20)
)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
BODIES = st.dictionaries(st.sampled_from(PARAMETERS), JSON, max_size=8)


def standing_car() -> Car:
    """Return a car on a clock that stands still."""
    return Garage(ManualClock(NOON)).add("5YJ3E1EA7KF000009", "somebody", "na")


def lives_on(car: Car) -> None:
    """Let two days' schedules come due and the car tell of itself: what a command left must not break it later."""
    car.now += 2 * 86_400
    for behave in car.behaviors:
        behave(car, car.now - 2 * 86_400)
    car.advance(car.now + 60)
    json.dumps(car.answer(car.owner, set(car.data), location=True))


@settings(max_examples=25, deadline=None)
@given(sent=BODIES, signed=st.booleans())
@pytest.mark.parametrize("name", COMMANDS)
def test_any_command_with_any_parameters(name: str, sent: dict[str, Any], signed: bool) -> None:
    car = standing_car()
    with suppress(BadParameter):
        assert isinstance(execute(car, name, Parameters(sent), signed=signed), Outcome)
        lives_on(car)


@settings(max_examples=25, deadline=None)
@given(data=st.data())
@pytest.mark.parametrize("kind", sorted(INFOTAINMENT))
def test_any_signed_action_with_any_fields(kind: str, data: st.DataObject) -> None:
    """Fields are set one by one from the message's own description, repeated ones none, one or several times."""
    action = VehicleAction()
    getattr(action, kind).SetInParent()
    _fill(getattr(action, kind), data, depth=0)
    car = standing_car()
    with suppress(BadParameter):
        for name, values in decode_infotainment(action):
            execute(car, name, Parameters(values), signed=True)
        lives_on(car)


def _fill(message: Message, data: st.DataObject, *, depth: int) -> None:
    for field in message.DESCRIPTOR.fields:
        if not data.draw(st.booleans(), label=field.name):
            continue
        if field.message_type is not None:
            if depth > 3:
                continue
            if field.is_repeated:
                for _ in range(data.draw(st.integers(0, 3))):
                    _fill(getattr(message, field.name).add(), data, depth=depth + 1)
            else:
                getattr(message, field.name).SetInParent()
                _fill(getattr(message, field.name), data, depth=depth + 1)
            continue
        value = data.draw(_values(field))
        if field.is_repeated:
            getattr(message, field.name).append(value)
        else:
            setattr(message, field.name, value)


def _values(field: Any) -> st.SearchStrategy[Any]:  # noqa: ANN401 - of either implementation of protobuf
    if field.enum_type is not None:
        return st.sampled_from([value.number for value in field.enum_type.values])
    unsigned, signed64 = st.integers(0, 2**32 - 1), st.integers(-(2**31), 2**31 - 1)
    return {
        field.CPPTYPE_BOOL: st.booleans(),
        field.CPPTYPE_INT32: st.integers(-1, 1500) | signed64,
        field.CPPTYPE_INT64: st.integers(-(2**63), 2**63 - 1),
        field.CPPTYPE_UINT32: st.integers(0, 130) | unsigned,
        field.CPPTYPE_UINT64: st.integers(0, 2**64 - 1),
        field.CPPTYPE_FLOAT: st.floats(width=32),
        field.CPPTYPE_DOUBLE: st.floats(),
        field.CPPTYPE_STRING: st.text(st.characters(codec="utf-8"), max_size=12),
    }.get(field.cpp_type, st.binary(max_size=8))


@settings(max_examples=200, deadline=None)
@given(payload=st.binary(max_size=60))
def test_any_bytes_as_signed_payload(payload: bytes) -> None:
    with suppress(DecodeError, UnknownAction, BadParameter):
        decode_infotainment(VehicleAction.FromString(payload))
    with suppress(DecodeError, UnknownAction, BadParameter):
        decode_vehicle_security(UnsignedMessage.FromString(payload))


# Over HTTP: every route, any query, any body


@pytest.fixture
def loop_of_its_own() -> Iterator[asyncio.Runner]:
    """Run the simulator in a loop that all examples of a test share."""
    with asyncio.Runner() as runner:
        yield runner


TEXTS = st.text(max_size=12) | st.sampled_from(
    ["0", "-1", "²", "9" * 30, "9" * 5000, "day", "energy", "2026-13-45", "2026-11-26T00:00:00Z", "UTC", "../.."]
)
QUERIES = st.dictionaries(
    st.sampled_from(
        ["endpoints", "page", "per_page", "kind", "period", "start_date", "end_date", "time_zone", "vin", "startTime",
         "endTime", "pageNo", "pageSize", "sortBy", "sortOrder", "count", "radius", "detail", "domain", "staged"]
    ),
    TEXTS,
    max_size=5,
)  # fmt: skip
NAMES = st.sampled_from([ANNAS_MODEL_3, str(ANNAS_SITE), "1490000000000001", "0", "²", "%00", "9" * 40, "ø" * 8, "x"])
RAW_BODIES = st.binary(max_size=40) | BODIES.map(lambda body: json.dumps(body).encode()) | st.just(b"")
TYPES = st.sampled_from(["application/json", "application/x-www-form-urlencoded", "text/plain", ""])


def _route(method: str, path: str) -> str:
    return f"{method} {path}"


@pytest.mark.parametrize(("method", "path"), [(row[0], row[1]) for row in ROWS], ids=[_route(*row[:2]) for row in ROWS])
def test_any_request_to_any_route(
    socket_enabled: None, loop_of_its_own: asyncio.Runner, method: str, path: str
) -> None:
    tesla = TeslaSimulator(clock=ManualClock(NOON))
    loop_of_its_own.run(tesla.start())
    token = tesla.control.mint("anna@example.com", "core-tesla-fleet", SCOPES).access_token
    car = tesla.control.car(ANNAS_MODEL_3)
    car.signing = "allowed"
    car.park()

    @settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(name=NAMES, command=st.sampled_from([*COMMANDS, "no_such"]), query=QUERIES, body=RAW_BODIES, kind=TYPES)
    def check(name: str, command: str, query: dict[str, str], body: bytes, kind: str) -> None:
        named = path.replace("{vehicle}", name if "%" in name else quote(name)).replace("{site}", quote(name))
        url = f"{tesla.addresses.fleet('na')}{named.replace('{name}', command).replace('{content}', quote(name))}"
        status, _ = loop_of_its_own.run(_answer(method, url, token, query, body, kind))
        assert status < 500, (method, url, query, body)
        tesla.state.recent.clear()

    try:
        check()
    finally:
        loop_of_its_own.run(tesla.stop())


async def _answer(method: str, url: str, token: str, query: dict[str, str], body: bytes, kind: str) -> tuple[int, str]:
    headers = {"Authorization": f"Bearer {token}", "Content-Type": kind}
    data = None if method == "GET" else body
    async with (
        aiohttp.ClientSession() as http,
        http.request(method, url, headers=headers, params=query, data=data) as response,
    ):
        return response.status, (await response.read()).decode(errors="replace")


# Signed messages


@dataclass(frozen=True)
class Paired:
    """A car, a key that is paired with it, and how to send it a message: status and answer."""

    car: Car
    key: ec.EllipticCurvePrivateKey
    send: Callable[[RoutableMessage], tuple[int, RoutableMessage | None]]


def signed_message(
    car: Car, key: ec.EllipticCurvePrivateKey, domain: Domain, payload: bytes, uuid: bytes
) -> RoutableMessage:
    """Sign a payload as a client does whose key is paired, so that the computer reads it."""
    computer, client = computer_of(car, domain), public_point(key.public_key())
    counter = max(computer.counters.get(client, [0])) + 1
    expires_at = computer.clock(car.now) + 10
    metadata: dict[int, bytes | int] = {
        Tag.TAG_SIGNATURE_TYPE: bytes((SignatureType.SIGNATURE_TYPE_HMAC_PERSONALIZED,)),
        Tag.TAG_DOMAIN: bytes((domain,)),
        Tag.TAG_PERSONALIZATION: car.vin.encode(),
        Tag.TAG_EPOCH: computer.epoch,
        Tag.TAG_EXPIRES_AT: expires_at,
        Tag.TAG_COUNTER: counter,
    }
    command_key = derived(shared_key(key, public_point(computer.key.public_key())), "authenticated command")
    message = RoutableMessage(protobuf_message_as_bytes=payload, uuid=uuid)
    message.to_destination.domain = domain
    message.signature_data.signer_identity.public_key = client
    proof = message.signature_data.HMAC_Personalized_data
    proof.epoch, proof.counter, proof.expires_at = computer.epoch, counter, expires_at
    proof.tag = hmac.digest(command_key, serialized(metadata) + payload, "sha256")
    return message


def handshake(
    car: Car, key: ec.EllipticCurvePrivateKey, domain: Domain, payload: bytes, uuid: bytes
) -> RoutableMessage:
    """Ask for a session."""
    message = RoutableMessage(uuid=uuid)
    message.to_destination.domain = domain
    message.session_info_request.public_key = public_point(key.public_key()) if len(payload) % 2 else payload
    return message


def seat_heaters(seats: int) -> bytes:
    """Return an action for so many seats at once."""
    action = Action()
    action.vehicleAction.hvacSeatHeaterActions.SetInParent()
    for place in range(seats):
        one = action.vehicleAction.hvacSeatHeaterActions.hvacSeatHeaterAction.add()
        getattr(one, ("SEAT_HEATER_HIGH", "SEAT_HEATER_LOW", "SEAT_HEATER_OFF")[place]).SetInParent()
        getattr(one, ("CAR_SEAT_FRONT_LEFT", "CAR_SEAT_FRONT_RIGHT", "CAR_SEAT_REAR_LEFT")[place]).SetInParent()
    return action.SerializeToString()


DOMAINS: Final = (Domain.DOMAIN_VEHICLE_SECURITY, Domain.DOMAIN_INFOTAINMENT)
PAYLOADS = (
    st.binary(max_size=60)
    | st.binary(max_size=60).map(lambda raw: b"\x12" + bytes((len(raw),)) + raw)
    | st.integers(0, 3).map(seat_heaters)
)


@pytest.fixture
def paired(socket_enabled: None, loop_of_its_own: asyncio.Runner) -> Iterator[Paired]:
    """Give a car with a paired key, and a way to send it messages over HTTP."""
    tesla = TeslaSimulator(clock=ManualClock(NOON))
    loop_of_its_own.run(tesla.start())
    token = tesla.control.mint("anna@example.com", "core-tesla-fleet", SCOPES).access_token
    car = tesla.control.car(ANNAS_MODEL_3)
    key = ec.generate_private_key(ec.SECP256R1())
    car.keys.add(public_point(key.public_key()))
    url = f"{tesla.addresses.fleet('na')}/api/1/vehicles/{ANNAS_MODEL_3}/signed_command"

    def send(message: RoutableMessage) -> tuple[int, RoutableMessage | None]:
        tesla.state.recent.clear()
        body = json.dumps({"routable_message": base64.b64encode(message.SerializeToString()).decode()}).encode()
        status, text = loop_of_its_own.run(_answer("POST", url, token, {}, body, "application/json"))
        if status != 200:
            return status, None
        return status, RoutableMessage.FromString(base64.b64decode(json.loads(text)["response"]))

    yield Paired(car, key, send)
    loop_of_its_own.run(tesla.stop())


def test_any_signed_message_by_a_paired_key(paired: Paired) -> None:
    @settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(
        make=st.sampled_from([signed_message, handshake]),
        domain=st.sampled_from(DOMAINS),
        payload=PAYLOADS,
        uuid=st.binary(max_size=20) | st.sampled_from([b"u" * 16, b"u" * 300]),
    )
    def check(
        make: Callable[[Car, ec.EllipticCurvePrivateKey, Domain, bytes, bytes], RoutableMessage],
        domain: Domain,
        payload: bytes,
        uuid: bytes,
    ) -> None:
        assert paired.send(make(paired.car, paired.key, domain, payload, uuid))[0] == 200

    check()


@pytest.mark.parametrize("seats", [0, 1, 2, 3])
def test_seat_heaters_of_any_number_of_seats_at_once(paired: Paired, seats: int) -> None:
    """The message repeats its seats, none included; each is set."""
    climate = paired.car.data["climate_state"]
    climate |= {"seat_heater_left": 1, "seat_heater_right": 3, "seat_heater_rear_left": 2}
    status, answer = paired.send(
        signed_message(paired.car, paired.key, Domain.DOMAIN_INFOTAINMENT, seat_heaters(seats), b"u" * 16)
    )
    assert status == 200
    assert answer is not None
    assert Response.FromString(answer.protobuf_message_as_bytes).actionStatus.result == 0
    levels = [climate[name] for name in ("seat_heater_left", "seat_heater_right", "seat_heater_rear_left")]
    assert levels == [3, 1, 0][:seats] + [1, 3, 2][seats:]


@pytest.mark.parametrize("action", ["chargePortDoorOpen", "chargePortDoorClose"])
def test_the_charge_port_moves_as_teslas_own_sdk_says_it(paired: Paired, action: str) -> None:
    """vehicle-command sends an action to the infotainment computer; tesla-fleet-api moves a closure of the other."""
    paired.car.unplug()
    paired.car.data["charge_state"]["charge_port_door_open"] = action == "chargePortDoorClose"
    payload = Action()
    getattr(payload.vehicleAction, action).SetInParent()
    message = signed_message(paired.car, paired.key, Domain.DOMAIN_INFOTAINMENT, payload.SerializeToString(), b"u" * 16)
    status, answer = paired.send(message)
    assert status == 200
    assert answer is not None
    assert Response.FromString(answer.protobuf_message_as_bytes).actionStatus.result == 0
    assert paired.car.data["charge_state"]["charge_port_door_open"] is (action == "chargePortDoorOpen")
