"""The Vehicle Command Protocol: Tesla's worked example, and what a car refuses."""

import base64

import aiohttp
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key
import pytest
from tesla_fleet_api import TeslaFleetApi, exceptions
from tesla_fleet_api.tesla.vehicle.fleet import VehicleFleet
from tesla_fleet_api.tesla.vehicle.signed import VehicleSigned
from tesla_protocol.command.signatures_pb2 import SessionInfo, SignatureType, Tag
from tesla_protocol.command.universal_message_pb2 import Domain, RoutableMessage

from teslafi_simulators.tesla import TeslaSimulator
from teslafi_simulators.tesla.commands.computers import (
    Computer,
    computer_of,
    derived,
    public_point,
    serialized,
    session_info_tag,
    shared_key,
)
from teslafi_simulators.tesla.scenario import ANNAS_MODEL_3, ERIKS_MODEL_S

from .conftest import SCOPES, Driven

# Keys and values that Tesla published to test implementations by (vehicle-command, pkg/protocol/protocol.md)
VEHICLE_KEY = b"""-----BEGIN EC PRIVATE KEY-----
MHcCAQEEIDRO5bRmp88e6xK29QMx2y5exYNO9fS+/P2MvlXCUo1woAoGCCqGSM49
AwEHoUQDQgAEx6H0cThIaqRymXFJSHjTOxok45Vx90im4WxZVbPYd9OmqqDpVRZk
dK9dMsQQ9DmiI0E3rRuwhf1OiBPJWPEdlw==
-----END EC PRIVATE KEY-----
"""
CLIENT_POINT = bytes.fromhex(
    "04b2b6bc68c2da0665ce656815594996c62394edd8bea905fe781a754fe6a845a7"
    "14330902f225e9269d466e05b349981fda9d85cc23c6fb444aa73b629105dc6e"
)
VIN = "5YJ30123456789ABC"
SESSION_INFO = bytes.fromhex(
    "0806124104c7a1f47138486aa4729971494878d33b1a24e39571f748a6e16c5955b3d877d3a6aaa0e955166474af5d32c410f439a2"
    "234137ad1bb085fd4e8813c958f11d971a104c463f9cc0d3d26906e982ed224adde6255a0a0000"
)
CHALLENGE = bytes.fromhex("1588d5a30eabc6f8fc9a951b11f6fd11")


def vehicle_key() -> ec.EllipticCurvePrivateKey:
    key = load_pem_private_key(VEHICLE_KEY, None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return key


def test_the_worked_example_gives_the_published_keys() -> None:
    key = shared_key(vehicle_key(), CLIENT_POINT)
    assert key.hex() == "1b2fce19967b79db696f909cff89ea9a"
    assert derived(key, "session info").hex() == "fceb679ee7bca756fcd441bf238bf2f338629b41d9eb9c67be1b32c9672ce300"


def test_the_worked_example_gives_the_published_tag() -> None:
    tag = session_info_tag(shared_key(vehicle_key(), CLIENT_POINT), VIN, CHALLENGE, SESSION_INFO)
    assert tag.hex() == "996c1fe38331be138f8039c194b14db2198846ed7d8251e6749284d7b32ea002"


def test_the_worked_example_gives_the_published_metadata() -> None:
    metadata: dict[int, bytes | int] = {
        Tag.TAG_FLAGS: 2,
        Tag.TAG_COUNTER: 7,
        Tag.TAG_EXPIRES_AT: 2655,
        Tag.TAG_EPOCH: bytes.fromhex("4c463f9cc0d3d26906e982ed224adde6"),
        Tag.TAG_PERSONALIZATION: VIN.encode(),
        Tag.TAG_DOMAIN: bytes((Domain.DOMAIN_INFOTAINMENT,)),
        Tag.TAG_SIGNATURE_TYPE: bytes((SignatureType.SIGNATURE_TYPE_AES_GCM_PERSONALIZED,)),
    }
    assert serialized(metadata).hex() == (
        "000105010103021135594a333031323334353637383941424303104c463f9cc0d3d26906e982ed224adde6040400000a5f"
        "050400000007070400000002ff"
    )


def test_a_computer_tells_the_published_session() -> None:
    computer = Computer(Domain.DOMAIN_INFOTAINMENT, VIN, 0.0, key=vehicle_key())
    computer.epoch = bytes.fromhex("4c463f9cc0d3d26906e982ed224adde6")
    computer.counters[CLIENT_POINT] = [6]
    assert computer.session_info(CLIENT_POINT, 2650.0) == SessionInfo.FromString(SESSION_INFO)
    assert public_point(computer.key.public_key())[:4].hex() == "04c7a1f4"


async def test_a_key_that_is_not_paired_is_refused(signed: Driven) -> None:
    signed.car.keys.clear()
    with pytest.raises(exceptions.NotOnWhitelistFault):
        await signed.vehicle.door_unlock()
    assert signed.car.executed == []


async def test_a_key_that_was_removed_is_refused(signed: Driven) -> None:
    await signed.vehicle.flash_lights()
    signed.car.keys.clear()
    with pytest.raises(exceptions.TeslaFleetMessageFaultUnknownKeyId):
        await signed.vehicle.flash_lights()
    assert len(signed.car.executed) == 1


async def test_a_reboot_begins_a_new_epoch_which_the_client_learns(signed: Driven) -> None:
    await signed.vehicle.door_lock()
    computer_of(signed.car, Domain.DOMAIN_VEHICLE_SECURITY).reboot(signed.car.now)
    await signed.vehicle.door_unlock()
    assert [name for name, _, _ in signed.car.executed] == ["door_lock", "door_unlock"]


async def test_a_message_is_taken_once(signed: Driven, tesla: TeslaSimulator) -> None:
    """Somebody on the way sends a recorded message again."""
    sent: list[str] = []
    send = signed.vehicle.signed_command

    async def recorded(routable_message: str) -> dict[str, object]:
        sent.append(routable_message)
        return await send(routable_message)

    signed.vehicle.signed_command = recorded  # type: ignore[method-assign] # a tap on the wire
    await signed.vehicle.door_unlock()
    answer = await send(sent[-1])
    status = RoutableMessage.FromString(base64.b64decode(answer["response"])).signedMessageStatus
    assert status.signed_message_fault == 6
    assert len(signed.car.executed) == 1


@pytest.mark.parametrize("part", ["payload", "vin", "too_long"])
async def test_a_changed_message_is_refused(signed: Driven, part: str) -> None:
    assert isinstance(signed.vehicle, VehicleSigned)
    await signed.vehicle.handshakeVehicleSecurity()
    send = signed.vehicle.signed_command

    async def changed(routable_message: str) -> dict[str, object]:
        message = RoutableMessage.FromString(base64.b64decode(routable_message))
        if part == "payload":
            message.protobuf_message_as_bytes = b"\x10\x01"
        if part == "too_long":
            message.signature_data.HMAC_Personalized_data.expires_at += 100_000
        return await send(base64.b64encode(message.SerializeToString()).decode())

    signed.vehicle.signed_command = changed  # type: ignore[method-assign] # somebody in the middle
    if part == "vin":
        computer_of(signed.car, Domain.DOMAIN_VEHICLE_SECURITY).vin = "5YJ3E1EA7KF999999"
    with pytest.raises(exceptions.TeslaFleetMessageFaultInvalidSignature):
        await signed.vehicle.door_unlock()
    assert signed.car.executed == []


async def test_an_expired_message_is_refused(signed: Driven) -> None:
    """The client's clock is an hour late after the handshake; the session told along with the fault mends it."""
    await signed.vehicle.flash_lights()
    computer_of(signed.car, Domain.DOMAIN_INFOTAINMENT).booted_at -= 3600
    with pytest.raises(exceptions.TeslaFleetMessageFaultTimeExpired):
        await signed.vehicle.flash_lights()
    assert len(signed.car.executed) == 1
    await signed.vehicle.flash_lights()
    assert len(signed.car.executed) == 2


async def test_the_scope_is_asked_of_signed_commands_as_well(
    tesla: TeslaSimulator, http: aiohttp.ClientSession, signed: Driven, key: ec.EllipticCurvePrivateKey
) -> None:
    token = tesla.control.mint("anna@example.com", "core-tesla-fleet", {"vehicle_charging_cmds"}).access_token
    api = TeslaFleetApi(http, access_token=token, server=tesla.addresses.fleet("na"))
    api.private_key = key
    vehicle = VehicleSigned(api, ANNAS_MODEL_3)
    assert (await vehicle.set_charge_limit(70))["response"]["result"] is True
    with pytest.raises(exceptions.Forbidden):
        await vehicle.door_unlock()
    assert [name for name, _, _ in signed.car.executed] == ["set_charge_limit"]


async def test_an_old_car_does_not_speak_the_protocol(
    tesla: TeslaSimulator, http: aiohttp.ClientSession, key: ec.EllipticCurvePrivateKey
) -> None:
    token = tesla.control.mint("erik@example.com", "core-tesla-fleet", SCOPES).access_token
    api = TeslaFleetApi(http, access_token=token, server=tesla.addresses.fleet("eu"))
    api.private_key = key
    with pytest.raises(exceptions.InvalidResource):
        await VehicleSigned(api, ERIKS_MODEL_S).door_unlock()


async def test_a_new_car_takes_no_unsigned_command(
    tesla: TeslaSimulator, http: aiohttp.ClientSession, signed: Driven
) -> None:
    token = tesla.control.mint("anna@example.com", "core-tesla-fleet", SCOPES).access_token
    api = TeslaFleetApi(http, access_token=token, server=tesla.addresses.fleet("na"))
    with pytest.raises(exceptions.Forbidden) as caught:
        await VehicleFleet(api, ANNAS_MODEL_3).door_unlock()
    assert "Tesla Vehicle Command Protocol required" in str(caught.value.data)
    assert signed.car.executed == []


async def test_the_car_tells_why_it_refuses(signed: Driven) -> None:
    answer = await signed.vehicle.charge_start()
    assert answer["response"] == {"result": False, "reason": "disconnected"}
    signed.car.start_drive()
    answer = await signed.vehicle.actuate_trunk("front")
    assert answer["response"] == {"result": False, "reason": "GENERICERROR_VEHICLE_NOT_IN_PARK"}


async def test_a_fault_that_waits_is_answered_once(signed: Driven) -> None:
    await signed.vehicle.flash_lights()
    signed.car.signed_faults.append(1)
    with pytest.raises(exceptions.TeslaFleetMessageFaultBusy):
        await signed.vehicle.flash_lights()
    await signed.vehicle.flash_lights()
    assert len(signed.car.executed) == 2
