"""`signed_command`: the transport of the Vehicle Command Protocol. 200 says only that the car answered."""

import base64
import binascii
from typing import Any, Final

from google.protobuf.message import DecodeError
from tesla_protocol.command.car_server_pb2 import Action, ActionStatus, OperationStatus_E, Response, ResultReason
from tesla_protocol.command.errors_pb2 import GenericError_E, NominalError
from tesla_protocol.command.signatures_pb2 import (
    HMAC_Signature_Data,
    Session_Info_Status,
    SessionInfo,
    SignatureData,
)
from tesla_protocol.command.universal_message_pb2 import (
    Destination,
    Domain,
    MessageFault_E,
    MessageStatus,
    OperationStatus_E as Operation,
    RoutableMessage,
)
from tesla_protocol.command.vcsec_pb2 import FromVCSECMessage, UnsignedMessage

from ..cars.car import Car
from ..commands.actions import DecodedCommand, UnknownAction, decode_infotainment, decode_vehicle_security
from ..commands.computers import Computer, ProtocolFault, computer_of, session_info_tag, shared_key
from ..commands.outcome import DONE, Outcome, refused
from ..commands.parameters import BadParameter, Parameters
from ..commands.table import COMMANDS, execute
from .access import Call
from .answers import Refused
from .reading import json_body

UUID_BYTES: Final = 16
DOMAINS: Final = (Domain.DOMAIN_VEHICLE_SECURITY, Domain.DOMAIN_INFOTAINMENT)
SECURITY_COMMANDS: Final = frozenset({"actuate_trunk", "door_lock", "door_unlock", "remote_start_drive"})
EITHER_COMPUTER: Final = frozenset({"charge_port_door_close", "charge_port_door_open"})
NOMINAL: Final = {
    "vehicle_not_in_park": GenericError_E.GENERICERROR_VEHICLE_NOT_IN_PARK,
    "not_supported": GenericError_E.GENERICERROR_NOT_SUPPORTED,
    "cable connected": GenericError_E.GENERICERROR_CLOSURES_OPEN,
}
"""How the security computer, which has no words, says a reason; anything else is unknown."""


def signed_command(call: Call) -> Any:  # noqa: ANN401 - JSON
    """Hand a message to the car's computer, and its answer back."""
    call.needs("vehicle_cmds", "vehicle_charging_cmds")
    car = call.live_car()
    if call.request.match_info["vehicle"] != car.vin:
        raise Refused(404, "not_found")
    if car.signing == "off":
        raise Refused(422, "invalid_resource")
    message = _message(call)
    answer = _answer(call, car, message)
    return base64.b64encode(answer.SerializeToString()).decode()


def _message(call: Call) -> RoutableMessage:
    try:
        body = json_body(call.body)
        return RoutableMessage.FromString(base64.b64decode(body["routable_message"], validate=True))
    except ValueError, KeyError, TypeError, binascii.Error, DecodeError:
        raise Refused(400, "invalid_request") from None


def _answer(call: Call, car: Car, message: RoutableMessage) -> RoutableMessage:
    domain = message.to_destination.domain
    answer = RoutableMessage(
        to_destination=Destination(routing_address=message.from_destination.routing_address),
        from_destination=Destination(domain=domain),
    )
    if domain != Domain.DOMAIN_VEHICLE_SECURITY:
        answer.request_uuid = message.uuid
    if len(message.uuid) > UUID_BYTES:
        return _with_fault(answer, MessageFault_E.MESSAGEFAULT_ERROR_BAD_PARAMETER)
    if car.signed_faults:
        return _injected_fault(answer, car.signed_faults.pop(0))
    if domain not in DOMAINS:
        return _with_fault(answer, MessageFault_E.MESSAGEFAULT_ERROR_INVALID_DOMAINS)
    computer = computer_of(car, domain)
    if message.HasField("session_info_request"):
        return _handshake(car, computer, message, answer)
    return _execute_signed(call, car, computer, message, answer)


def _injected_fault(answer: RoutableMessage, fault: int) -> RoutableMessage:
    """Answer with a fault that waited, or "wait" for a negative one."""
    if fault > 0:
        return _with_fault(answer, fault)
    answer.signedMessageStatus.operation_status = Operation.OPERATIONSTATUS_WAIT
    return answer


def _execute_signed(
    call: Call, car: Car, computer: Computer, message: RoutableMessage, answer: RoutableMessage
) -> RoutableMessage:
    client = message.signature_data.signer_identity.public_key
    if client not in car.keys:
        return _with_fault(answer, MessageFault_E.MESSAGEFAULT_ERROR_UNKNOWN_KEY_ID)
    try:
        payload = computer.verify(message, car.now)
    except ProtocolFault as faulty:
        if faulty.resync:
            _add_session_info(computer, client, message.uuid, car.now, answer)
        return _with_fault(answer, faulty.fault)
    return _execute_payload(call, car, computer.domain, payload, answer)


def _with_fault(answer: RoutableMessage, fault: int) -> RoutableMessage:
    answer.signedMessageStatus.CopyFrom(
        MessageStatus(operation_status=Operation.OPERATIONSTATUS_ERROR, signed_message_fault=MessageFault_E.Name(fault))
    )
    return answer


def _handshake(car: Car, computer: Computer, message: RoutableMessage, answer: RoutableMessage) -> RoutableMessage:
    client = message.session_info_request.public_key
    if client not in car.keys:
        # There is no session with a key that the car does not know, and nothing to authenticate it by
        info = SessionInfo(status=Session_Info_Status.SESSION_INFO_STATUS_KEY_NOT_ON_WHITELIST)
        answer.session_info = info.SerializeToString()
        return answer
    _add_session_info(computer, client, message.uuid, car.now, answer)
    return answer


def _add_session_info(computer: Computer, client: bytes, challenge: bytes, now: float, answer: RoutableMessage) -> None:
    info = computer.session_info(client, now).SerializeToString()
    tag = session_info_tag(shared_key(computer.key, client), computer.vin, challenge, info)
    answer.session_info = info
    answer.signature_data.CopyFrom(SignatureData(session_info_tag=HMAC_Signature_Data(tag=tag)))


def _execute_payload(call: Call, car: Car, domain: int, payload: bytes, answer: RoutableMessage) -> RoutableMessage:
    try:
        commands = _decoded(domain, payload)
    except DecodeError:
        return _with_fault(answer, MessageFault_E.MESSAGEFAULT_ERROR_DECODING)
    except UnknownAction:
        return _command_result(answer, domain, refused("not_supported"))
    except BadParameter:
        return _with_fault(answer, MessageFault_E.MESSAGEFAULT_ERROR_BAD_PARAMETER)
    if any(_is_for_the_other(name, domain) for name, _ in commands):
        return _with_fault(answer, MessageFault_E.MESSAGEFAULT_ERROR_INVALID_COMMAND)
    # Signed commands are readable on the way, so that Tesla can hold them against the token's scopes
    for name, _ in commands:
        call.needs(*COMMANDS[name].scopes)
    try:
        outcomes = [execute(car, name, Parameters(values), signed=True) for name, values in commands]
    except BadParameter:
        return _with_fault(answer, MessageFault_E.MESSAGEFAULT_ERROR_BAD_PARAMETER)
    # What a car answers to a message that repeats nothing was not recorded: here there is nothing to refuse
    first_refusal = next((outcome for outcome in outcomes if not outcome.result), DONE)
    return _command_result(answer, domain, first_refusal)


def _is_for_the_other(name: str, domain: int) -> bool:
    """Tell whether the other of the two computers works this command off."""
    if name in EITHER_COMPUTER:
        return False
    return (name in SECURITY_COMMANDS) != (domain == Domain.DOMAIN_VEHICLE_SECURITY)


def _decoded(domain: int, payload: bytes) -> list[DecodedCommand]:
    if domain == Domain.DOMAIN_VEHICLE_SECURITY:
        return decode_vehicle_security(UnsignedMessage.FromString(payload))
    return decode_infotainment(Action.FromString(payload).vehicleAction)


def _command_result(answer: RoutableMessage, domain: int, outcome: Outcome) -> RoutableMessage:
    if domain == Domain.DOMAIN_INFOTAINMENT:
        result = OperationStatus_E.OPERATIONSTATUS_OK if outcome.result else OperationStatus_E.OPERATIONSTATUS_ERROR
        status = ActionStatus(result=result, result_reason=ResultReason(plain_text=outcome.reason))
        answer.protobuf_message_as_bytes = Response(actionStatus=status).SerializeToString()
    elif outcome.result:
        answer.protobuf_message_as_bytes = b""
    else:
        error = NominalError(genericError=NOMINAL.get(outcome.reason, GenericError_E.GENERICERROR_UNKNOWN))
        answer.protobuf_message_as_bytes = FromVCSECMessage(nominalError=error).SerializeToString()
    return answer
