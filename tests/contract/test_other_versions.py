"""Either side may be upgraded first: today's integration meets companions that are older and newer than itself."""

from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

from aiohttp import ClientSession, web
from aiohttp.test_utils import TestServer
import pytest

from custom_components.teslafi.link.client import Companion, CompanionError, LinkTokens, PermitRefused
from custom_components.teslafi.link.words import SubscriptionReason
from custom_components.teslafi.secret import Secret

TOKENS: Final = LinkTokens(Secret("access"), Secret("refresh"), 4e9)
STATUS: Final[Mapping[str, Any]] = {
    "link": {"id": "1", "instance_name": "Home", "linked_at": "2026-11-23T12:00:00+00:00", "scopes": []},
    "account": {"email": "p…@example.org", "two_factor": True, "two_factor_methods": ["totp"]},
    "subscription": {"reason": "active", "access": True, "until": None},
    "controls": {"groups": ["charging"], "since": "2026-11-23T12:00:00+00:00"},
}
KEYS: Final = {"keys": [{"kty": "OKP", "crv": "Ed25519", "x": "x", "kid": "k", "alg": "EdDSA", "use": "sig"}]}
PERMIT: Final = {"permit": "a.b.c", "key_share": "c2hhcmU=", "expires_in": 86400}


class OtherCompanion:
    """A companion that answers from a table; what is not in it is answered as aiohttp does, by 404 or 405."""

    def __init__(self, answers: Mapping[tuple[str, str], Any]) -> None:
        """Answer by (method, path): a body, or a status with a body."""
        self.asked: list[str] = []
        self._answers = answers
        app = web.Application()
        for method, path in answers:
            app.router.add_route(method, path, self._answer)
        self.server = TestServer(app)

    async def _answer(self, request: web.Request) -> web.Response:
        self.asked.append(f"{request.method} {request.path}")
        answer = self._answers[request.method, request.path]
        status, body = answer if isinstance(answer, tuple) else (200, answer)
        return web.json_response(body, status=status)


@pytest.fixture
async def http(socket_enabled: None) -> AsyncIterator[ClientSession]:
    async with ClientSession() as session:
        yield session


async def _asked(http: ClientSession, answers: Mapping[tuple[str, str], Any]) -> tuple[Companion, OtherCompanion]:
    other = OtherCompanion(answers)
    await other.server.start_server()
    return Companion(http, str(other.server.make_url("")).rstrip("/")), other


OLD: Final = {
    ("GET", "/api/v1/status"): STATUS,
    ("POST", "/api/v1/permit"): PERMIT,
    ("GET", "/api/v1/permit-keys"): KEYS,
}
"""What a companion of 0.1.0 knows of this (contract/released/0.1.0.yaml)."""


async def test_a_companion_of_the_previous_contract_is_asked_by_parts(http: ClientSession) -> None:
    companion, other = await _asked(http, OLD)
    checked = await companion.check_in(TOKENS, permit=True)
    await other.server.close()
    assert checked.permit is not None
    assert (checked.permit.jwt, checked.permit.key_share.reveal()) == ("a.b.c", "c2hhcmU=")
    assert checked.permit.keys == KEYS
    assert checked.status.controls
    assert other.asked == ["GET /api/v1/status", "POST /api/v1/permit", "GET /api/v1/permit-keys"]


async def test_a_refusal_of_the_previous_contract_keeps_its_reason(http: ClientSession) -> None:
    refusal = {"type": "urn:teslafi:problem:subscription-needed", "title": "t", "status": 403, "detail": "Pay."}
    companion, other = await _asked(http, {**OLD, ("POST", "/api/v1/permit"): (403, refusal)})
    checked = await companion.check_in(TOKENS, permit=True)
    await other.server.close()
    assert isinstance(checked.refused, PermitRefused)
    assert (checked.refused.reason, checked.refused.sentence) == ("subscription-needed", "Pay.")


async def test_without_a_permit_one_question_is_enough(http: ClientSession) -> None:
    companion, other = await _asked(http, {("POST", "/api/v1/status"): {**STATUS, "permit": None, "refusal": None}})
    assert (await companion.check_in(TOKENS, permit=False)).permit is None
    await other.server.close()
    assert other.asked == ["POST /api/v1/status"]


NEWER: Final[Mapping[str, tuple[Mapping[str, Any], SubscriptionReason | None, bool]]] = {
    "unknown reason": ({"subscription": {"reason": "gifted", "access": True}}, None, True),
    "unknown field": ({"weather": {"sunny": True}}, SubscriptionReason.ACTIVE, True),
    "unknown group": ({"controls": {"groups": ["flying"]}}, SubscriptionReason.ACTIVE, True),
    "no subscription": ({"subscription": None}, None, True),
    "controls are gone": ({"controls": None}, SubscriptionReason.ACTIVE, False),
    "another type": ({"subscription": ["active"], "controls": "yes"}, None, False),
}


@pytest.mark.parametrize("name", NEWER)
async def test_what_a_newer_companion_adds_is_ignored_and_what_is_missing_has_its_default(
    http: ClientSession, name: str
) -> None:
    changed, reason, controls = NEWER[name]
    answer = {**STATUS, **changed, "permit": None, "refusal": None}
    companion, other = await _asked(http, {("POST", "/api/v1/status"): answer})
    status = (await companion.check_in(TOKENS, permit=False)).status
    await other.server.close()
    assert (status.subscription, status.controls) == (reason, controls)


@pytest.mark.parametrize(
    "answer",
    [
        [],
        {},
        {**STATUS},
        {**STATUS, "permit": {}, "refusal": None},
        {**STATUS, "permit": {**PERMIT, "key_share": 7}},
        {**STATUS, "permit": None, "refusal": "no"},
    ],
)
async def test_half_an_answer_is_trouble_and_never_a_permit(http: ClientSession, answer: Any) -> None:  # noqa: ANN401
    companion, other = await _asked(http, {("POST", "/api/v1/status"): answer})
    with pytest.raises(CompanionError) as raised:
        await companion.check_in(TOKENS, permit=True)
    await other.server.close()
    assert not isinstance(raised.value, PermitRefused)


async def test_a_refusal_that_nobody_knows_yet_locks(http: ClientSession) -> None:
    refusal = {"type": "urn:teslafi:problem:moon-is-full", "detail": None}
    companion, other = await _asked(http, {("POST", "/api/v1/status"): {**STATUS, "permit": None, "refusal": refusal}})
    checked = await companion.check_in(TOKENS, permit=True)
    await other.server.close()
    assert checked.permit is None
    assert checked.refused is not None
    assert checked.refused.reason == "moon-is-full"


async def test_an_answer_in_pieces_is_read_whole_and_one_without_end_is_not(http: ClientSession) -> None:
    async def in_pieces(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        for piece in (b'{"product": "teslafi-', b'companion", "version": "9", ', b'"api": 1}'):
            await response.write(piece)
        return response

    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in range(40):
            await response.write(b" " * 4096)
        return response

    app = web.Application()
    app.router.add_get("/api/v1/permit-keys", in_pieces)
    app.router.add_get("/api/v1/status", endless)
    server = TestServer(app)
    await server.start_server()
    companion = Companion(http, str(server.make_url("")).rstrip("/"))
    assert (await companion._json("GET", "/api/v1/permit-keys"))["version"] == "9"  # noqa: SLF001 - any answer will do
    with pytest.raises(CompanionError):
        await companion.status(TOKENS)
    await server.close()
