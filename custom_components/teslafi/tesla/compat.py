"""What we use of `tesla-fleet-api` beyond its documents, in one place; `tests/integration/test_compat.py` watches it.

- `SignedCar` looks at each signed message before the library does. It overrides `signed_command`, a documented method;
  that the library sends every signed message through it is not documented.
- The library's HTTP session is `exchange.Transport`: the constructor takes a session, but which of its methods and of
  an answer's attributes are used is not documented.
- Records of the library's log are known by their texts. Looked for and not found: a logger of its own for bodies and
  answers, or a switch that leaves them out.
"""

from base64 import b64decode
import binascii
from contextlib import nullcontext
import logging
from typing import Any, Final, override

from google.protobuf.message import DecodeError
from tesla_fleet_api import TeslaFleetApi
from tesla_fleet_api.const import LOGGER as LIBRARY
from tesla_fleet_api.exceptions import MESSAGE_FAULTS
from tesla_fleet_api.tesla.vehicle.signed import VehicleSigned
from tesla_protocol.command.car_server_pb2 import Response
from tesla_protocol.command.signatures_pb2 import SessionInfo
from tesla_protocol.command.universal_message_pb2 import Domain, OperationStatus_E, RoutableMessage
from tesla_protocol.command.vcsec_pb2 import FromVCSECMessage, OperationStatus_E as SecurityStatus

from .errors import FAULTS, SESSION_STATUSES, CommandRefused, CommandUncertain, UnexpectedAnswer, VehicleBusy
from .exchange import changing_nothing, under_way

type Json = dict[str, Any]


class SignedCar(VehicleSigned[TeslaFleetApi]):
    """The library's signed car, which believes no answer that says nothing, and repeats nothing when told to wait."""

    def __init__(self, api: TeslaFleetApi, vin: str) -> None:
        """Begin without a session; `api` holds the command key."""
        super().__init__(api, vin)
        self._met: set[int] = set()

    def has_met(self, *, security: bool) -> bool:
        """Say whether there is a session with the security computer, or with the infotainment computer."""
        return _domain(security=security) in self._met

    async def meet(self, *, security: bool) -> None:
        """Make a session with one of the computers; changes nothing, so it may be repeated."""
        await (self.handshakeVehicleSecurity() if security else self.handshakeInfotainment())
        self._met.add(_domain(security=security))

    @override
    async def signed_command(self, routable_message: str) -> Json:
        said = RoutableMessage.FromString(b64decode(routable_message))
        handshake = said.HasField("session_info_request")
        with changing_nothing() if handshake else nullcontext():
            answer = await super().signed_command(routable_message)
        heard = _message(answer)
        _check_fault(heard)
        if handshake:
            _check_handshake(heard)
        elif not heard.signedMessageStatus.signed_message_fault:
            _check_answer(said, heard)
        return answer


def _domain(*, security: bool) -> int:
    return Domain.DOMAIN_VEHICLE_SECURITY if security else Domain.DOMAIN_INFOTAINMENT


def _message(answer: object) -> RoutableMessage:
    """Take the car's message out of Tesla's answer."""
    packed = answer.get("response") if isinstance(answer, dict) else None
    if not isinstance(packed, str):
        raise UnexpectedAnswer("Tesla's answer holds no message of the car's")
    try:
        return RoutableMessage.FromString(b64decode(packed, validate=True))
    except (binascii.Error, ValueError, DecodeError) as error:
        raise UnexpectedAnswer("Tesla's answer is no message of a car's") from error


def _check_fault(heard: RoutableMessage) -> None:
    """Raise ours for a fault that the library does not know; the others it raises itself, having learned from them."""
    fault = heard.signedMessageStatus.signed_message_fault
    if fault >= len(MESSAGE_FAULTS):
        raise FAULTS[fault]() if fault in FAULTS else CommandRefused(f"fault {fault}")


def _check_handshake(heard: RoutableMessage) -> None:
    if heard.signedMessageStatus.operation_status == OperationStatus_E.OPERATIONSTATUS_WAIT:
        raise VehicleBusy("The car asks to wait")
    if heard.signedMessageStatus.signed_message_fault:
        return
    if not heard.session_info:
        raise UnexpectedAnswer("The car's computer begins no session")
    status = SessionInfo.FromString(heard.session_info).status
    if status in SESSION_STATUSES:
        refused = SESSION_STATUSES[status]
        raise refused()


def _check_answer(said: RoutableMessage, heard: RoutableMessage) -> None:
    """Refuse what the library would take for success: an empty answer, another's, or one that says "wait"."""
    status = heard.signedMessageStatus.operation_status
    if status == OperationStatus_E.OPERATIONSTATUS_WAIT:
        raise CommandUncertain("The car asks to wait")
    if status != OperationStatus_E.OPERATIONSTATUS_OK:
        raise CommandRefused(OperationStatus_E.Name(status) if status in OperationStatus_E.values() else str(status))
    domain = heard.from_destination.domain
    if domain != said.to_destination.domain or (heard.request_uuid and heard.request_uuid != said.uuid):
        raise UnexpectedAnswer("An answer that is not the addressed computer's")
    if heard.WhichOneof("payload") is None and _is_for(said, heard) and domain == Domain.DOMAIN_VEHICLE_SECURITY:
        # The security computer saves words ("Vehicle Command Protocol"), but addresses its answer
        return
    if not heard.HasField("protobuf_message_as_bytes"):
        raise UnexpectedAnswer("An answer that says nothing")
    if heard.signature_data.HasField("AES_GCM_Response_data"):
        return
    if domain == Domain.DOMAIN_VEHICLE_SECURITY:
        command = FromVCSECMessage.FromString(heard.protobuf_message_as_bytes).commandStatus
        if command.operationStatus == SecurityStatus.OPERATIONSTATUS_WAIT:
            raise CommandUncertain("The car asks to wait")
    else:
        response = Response.FromString(heard.protobuf_message_as_bytes)
        if not response.HasField("actionStatus") and response.WhichOneof("response_msg") is None:
            raise UnexpectedAnswer("An answer that says nothing")


def _is_for(said: RoutableMessage, heard: RoutableMessage) -> bool:
    """Say whether an answer goes back to the address that asked."""
    return heard.to_destination.routing_address == said.from_destination.routing_address


SAFE: Final = frozenset(
    {
        "Status %s from %s",
        "Response TXID: %s",
        "Rate limit reset: %s",
        "Retry after: %s",
        "Response type is: %s",
        "Using server %s",
        "command=%s transport=%s result=success",
        "command=%s transport=%s result=%s reason=%s",
    }
)
"""The library's records that are known to hold no secret: addresses, statuses, Tesla's words."""
WITHHELD: Final = "Left out by TeslaFi: it may hold a secret"


class _KnownRecordsOnly(logging.Filter):
    """Withholds what our own calls make the library log, but for the records that are known.

    Request bodies (PINs), answers (places, tokens of older cars), parameters and texts of exceptions are among them.
    Calls of other integrations are theirs.
    """

    @override
    def filter(self, record: logging.LogRecord) -> bool:
        if under_way() is not None and record.msg not in SAFE:
            record.msg, record.args, record.exc_info = WITHHELD, (), None
        return True


LIBRARY.addFilter(_KnownRecordsOnly())
