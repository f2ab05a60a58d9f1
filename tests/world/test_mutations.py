"""A share of `script/fuzz`, and the answers that say nothing, one by one."""

import base64
import json
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric import ec
import pytest
from tesla_fleet_api.exceptions import MESSAGE_FAULTS
from tesla_protocol.command.car_server_pb2 import ActionStatus, Response
from tesla_protocol.command.signatures_pb2 import SessionInfo
from tesla_protocol.command.universal_message_pb2 import (
    Destination,
    Domain,
    MessageStatus,
    OperationStatus_E,
    RoutableMessage,
)
from tesla_protocol.command.vcsec_pb2 import CommandStatus, FromVCSECMessage, OperationStatus_E as SecurityStatus

from custom_components.teslafi.tesla import errors
from custom_components.teslafi.tesla.compat import SignedCar
from custom_components.teslafi.tesla.exchange import connected

from . import fuzz
from .mangled import Response as HttpResponse, Sent

SECURITY: Final = Domain.DOMAIN_VEHICLE_SECURITY
INFOTAINMENT: Final = Domain.DOMAIN_INFOTAINMENT


async def test_a_share_of_changed_payloads(socket_enabled: None) -> None:
    tally = await fuzz.payloads(400, seed=7)
    assert tally.escaped == []
    read = sum(times for name, times in tally.outcomes.items() if name.endswith(" read"))
    assert read > 100, "hardly a payload was read: the changes are too coarse to find anything"


async def test_a_share_of_changed_answers_to_commands(socket_enabled: None) -> None:
    tally = await fuzz.answers(120, seed=7)
    assert tally.escaped == []
    assert tally.outcomes["signed: CommandUncertain"] > 10


class Car:
    """A session whose every answer is one the test made; the address and number of the question are put in."""

    def __init__(self, body: bytes | RoutableMessage, *, addressed: bool = True) -> None:
        """Answer with a body, or with a message of the car's."""
        self._body = body
        self._addressed = addressed

    def request(self, _method: str, url: str, *, json: dict[str, str], **_options: object) -> Any:  # noqa: ANN401 - as aiohttp's
        """Answer."""

        async def answer() -> HttpResponse:
            return HttpResponse(url, 200, "application/json", self._answer(json["routable_message"]))

        return Sent(answer)

    def _answer(self, packed: str) -> bytes:
        if isinstance(self._body, bytes):
            return self._body
        said = RoutableMessage.FromString(base64.b64decode(packed))
        heard = RoutableMessage()
        heard.CopyFrom(self._body)
        if self._addressed:
            heard.to_destination.routing_address = said.from_destination.routing_address
        return json.dumps({"response": base64.b64encode(heard.SerializeToString()).decode()}).encode()


def question(domain: int) -> str:
    """Return a command's message, as the library sends it."""
    said = RoutableMessage(
        to_destination=Destination(domain=Domain.Name(domain)),
        from_destination=Destination(routing_address=b"0123456789abcdef"),
        protobuf_message_as_bytes=b"command",
        uuid=b"the question    ",
    )
    return base64.b64encode(said.SerializeToString()).decode()


def message(domain: int, **more: Any) -> RoutableMessage:  # noqa: ANN401 - as protobuf's
    """Return an answer of a computer's."""
    return RoutableMessage(from_destination=Destination(domain=Domain.Name(domain)), **more)


def infotainment(**more: Any) -> bytes:  # noqa: ANN401 - as protobuf's
    """Return what the infotainment computer says of a command."""
    return Response(**more).SerializeToString()


SAYS_NOTHING: Final[tuple[object, ...]] = (
    {"response": None, "error": "upstream"},
    {"error": "upstream internal error"},
    {},
    {"response": {"result": False, "reason": "car could not execute command: already closed"}},
    {"response": {"result": True}},
    {"response": ["x"]},
    {"response": "bm9wZQ=="},
    {"response": ""},
    {"response": "not base64!"},
    {"response": 1},
    [],
    None,
)
"""Bodies with status 200 that were seen, or could be."""

WAIT: Final = FromVCSECMessage(
    commandStatus=CommandStatus(operationStatus=SecurityStatus.OPERATIONSTATUS_WAIT)
).SerializeToString()


async def outcome(answer: bytes | RoutableMessage, domain: int, *, addressed: bool = True) -> str:
    """Return what the library is told of an answer to a command."""
    api = connected(Car(answer, addressed=addressed), "token", "https://tesla.example")  # type: ignore[arg-type]
    api.private_key = ec.generate_private_key(ec.SECP256R1())
    with errors.translated():
        await SignedCar(api, "5YJ3E1EA7KF000001").signed_command(question(domain))
    return "believed"


@pytest.mark.parametrize(
    ("answer", "domain"),
    [
        *((json.dumps(body).encode(), INFOTAINMENT) for body in SAYS_NOTHING),
        (RoutableMessage(), INFOTAINMENT),
        (RoutableMessage(), SECURITY),
        (message(SECURITY, protobuf_message_as_bytes=b""), INFOTAINMENT),
        (message(INFOTAINMENT, protobuf_message_as_bytes=infotainment()), INFOTAINMENT),
        (message(INFOTAINMENT, protobuf_message_as_bytes=b"\xff\xff"), INFOTAINMENT),
        (message(INFOTAINMENT), INFOTAINMENT),
        (message(INFOTAINMENT, session_info=SessionInfo().SerializeToString()), INFOTAINMENT),
        (message(SECURITY, session_info=SessionInfo(counter=1).SerializeToString()), SECURITY),
        (message(SECURITY, protobuf_message_as_bytes=b"\xff\xff"), SECURITY),
        (message(SECURITY, request_uuid=b"another question"), SECURITY),
    ],
    ids=lambda value: str(value)[:60].replace("\n", " "),
)
async def test_an_answer_that_says_nothing_is_not_believed(answer: bytes | RoutableMessage, domain: int) -> None:
    """With a command under way each of these is an uncertain outcome (`Commander`)."""
    with pytest.raises(errors.UnexpectedAnswer):
        await outcome(answer, domain)


async def test_an_empty_answer_counts_when_it_is_the_security_computers_to_us() -> None:
    """Tesla's own SDK takes it for success; one that is addressed to nobody could be anybody's."""
    assert await outcome(message(SECURITY), SECURITY) == "believed"
    with pytest.raises(errors.UnexpectedAnswer):
        await outcome(message(SECURITY), SECURITY, addressed=False)


@pytest.mark.parametrize(
    ("answer", "domain", "error"),
    [
        (
            message(
                INFOTAINMENT,
                signedMessageStatus=MessageStatus(operation_status=OperationStatus_E.OPERATIONSTATUS_WAIT),
            ),
            INFOTAINMENT,
            errors.CommandUncertain,
        ),
        (message(SECURITY, protobuf_message_as_bytes=WAIT), SECURITY, errors.CommandUncertain),
        (
            message(
                INFOTAINMENT,
                signedMessageStatus=MessageStatus(operation_status=OperationStatus_E.OPERATIONSTATUS_ERROR),
            ),
            INFOTAINMENT,
            errors.CommandRefused,
        ),
    ],
)
async def test_wait_and_error_are_taken_at_their_word(
    answer: RoutableMessage, domain: int, error: type[errors.TeslaError]
) -> None:
    with pytest.raises(error):
        await outcome(answer, domain)


async def test_a_good_answer_is_believed() -> None:
    done = infotainment(actionStatus=ActionStatus())
    assert await outcome(message(INFOTAINMENT, protobuf_message_as_bytes=done), INFOTAINMENT) == "believed"
    assert await outcome(message(SECURITY, protobuf_message_as_bytes=b""), SECURITY) == "believed"


@pytest.mark.parametrize("fault", sorted(errors.FAULTS))
async def test_a_fault_that_the_library_has_no_class_for_is_known_to_us(fault: int) -> None:
    """Those that it has a class for it raises itself, after it has learned the session that came with them."""
    heard = message(INFOTAINMENT)
    heard.signedMessageStatus.signed_message_fault = fault  # type: ignore[assignment]
    if fault < len(MESSAGE_FAULTS):
        assert await outcome(heard, INFOTAINMENT) == "believed"
    else:
        with pytest.raises(type(errors.FAULTS[fault]())):
            await outcome(heard, INFOTAINMENT)


def test_the_script_is_there() -> None:
    assert (Path(__file__).parents[2] / "script" / "fuzz").stat().st_mode & 0o111


async def test_the_harness_finds_what_escapes(socket_enabled: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A check that cannot fail finds nothing: with the table of yesterday, odd answers come through."""

    def no_table(error: BaseException) -> errors.TeslaError:
        raise KeyError("response") from error

    monkeypatch.setattr(errors, "UnexpectedAnswer", no_table)
    assert (await fuzz.payloads(60, seed=7)).escaped
    assert (await fuzz.answers(30, seed=7)).escaped
