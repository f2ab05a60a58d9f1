"""Keeping a grant alive: one refresh at a time, saved before used, wiped only when Tesla says it is dead."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
import gc
from itertools import pairwise
import json
import logging
from typing import Any

import aiohttp
from aiohttp import web
import pytest

from custom_components.teslafi.secret import Secret
from custom_components.teslafi.tesla.errors import (
    RateLimited,
    Reason,
    SignInRequired,
    TokenRequestRefused,
    UnexpectedAnswer,
    Unreachable,
)
from custom_components.teslafi.tesla.grant import Grant, Kind
from custom_components.teslafi.tesla.session import YOUNG, GrantKeeper, GrantSession
from custom_components.teslafi.tesla.token import TokenEndpoint

from .scripted import Answer, ScriptedServer, scripted_server
from .test_grant import access_token

NOW = 1_790_000_000.0


def grant(*, expires_at: float = NOW - 1, refresh: str | None = "EU_FIRST-MARKER", client: str = "client-1") -> Grant:
    """Return a grant whose access token is over."""
    return Grant(
        kind=Kind.FLEET,
        client_id=client,
        account="account-1",
        region="eu",
        scopes=frozenset({"vehicle_device_data"}),
        access_token=Secret(access_token(jti="first")),
        refresh_token=Secret(refresh) if refresh else None,
        expires_at=expires_at,
        issued_at=NOW - 1000,
    )


@dataclass
class Shelf:
    """A keeper in memory that writes down what happens to it."""

    kept: Grant | None
    events: list[str] = field(default_factory=list)

    async def load(self) -> Grant | None:
        """Return what is kept."""
        return self.kept

    async def replace(self, before: Grant, after: Grant | None) -> Grant | None:
        """Keep it, after a moment as a disk needs it, unless another came meanwhile."""
        await asyncio.sleep(0)
        if self.kept == before:
            self.kept = after
            self.events.append("saved" if after else "wiped")
        return self.kept


def good(number: int = 2) -> web.Response:
    """Return a token answer."""
    return web.json_response(
        {
            "access_token": access_token(jti=str(number)),
            "refresh_token": f"EU_REFRESH-{number}-MARKER",
            "expires_in": 28800,
            "token_type": "Bearer",
        }
    )


@pytest.fixture
async def tesla(socket_enabled: None) -> AsyncIterator[ScriptedServer]:
    """Be Tesla's token endpoint."""
    async with scripted_server() as server:
        yield server


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    """Return a client session."""
    async with aiohttp.ClientSession() as session:
        yield session


def create_task(coroutine: Any, name: str) -> asyncio.Task[Grant]:  # noqa: ANN401 - as asyncio's own
    """Create a task as Home Assistant does."""
    return asyncio.get_running_loop().create_task(coroutine, name=name)


@dataclass
class Steady:
    """A monotonic clock that a test moves."""

    now: float = 1000.0

    def __call__(self) -> float:
        """Return the seconds."""
        return self.now


async def session_of(shelf: GrantKeeper, http: aiohttp.ClientSession, steady: Steady | None = None) -> GrantSession:
    """Return a loaded session."""
    session = GrantSession(shelf, TokenEndpoint(http, lambda: NOW), lambda: NOW, create_task, steady or Steady())
    await session.load()
    return session


async def test_a_good_access_token_is_used_as_it_is(tesla: ScriptedServer, http: aiohttp.ClientSession) -> None:
    """Nothing is asked while it lasts for more than a minute."""
    shelf = Shelf(grant(expires_at=NOW + 61))
    assert await (await session_of(shelf, http)).access_token() == access_token(jti="first")
    assert tesla.requests == []


async def test_a_refresh_is_a_form_without_secret_or_audience(
    tesla: ScriptedServer, http: aiohttp.ClientSession
) -> None:
    """Grant type, client id and refresh token, to the token endpoint of the grant's region."""
    tesla.answers = [good()]
    assert await (await session_of(Shelf(grant()), http)).access_token() == access_token(jti="2")
    assert tesla.requests[0].path == "/token"
    assert tesla.requests[0].content_type == "application/x-www-form-urlencoded"
    assert tesla.forms == [{"grant_type": "refresh_token", "client_id": "client-1", "refresh_token": "EU_FIRST-MARKER"}]


async def test_the_successor_is_saved_before_it_is_used(tesla: ScriptedServer, http: aiohttp.ClientSession) -> None:
    """When an access token is given out, the keeper has its refresh token."""
    tesla.answers = [good()]
    shelf = Shelf(grant())
    await (await session_of(shelf, http)).access_token()
    assert shelf.events == ["saved"]
    assert shelf.kept is not None
    assert shelf.kept.refresh_token == Secret("EU_REFRESH-2-MARKER")


async def test_fifty_callers_cause_one_refresh(tesla: ScriptedServer, http: aiohttp.ClientSession) -> None:
    """All of them get the same new access token."""
    tesla.answers = [good()]
    session = await session_of(Shelf(grant()), http)
    tokens = await asyncio.gather(*(session.access_token() for _ in range(50)))
    assert set(tokens) == {access_token(jti="2")}
    assert len(tesla.requests) == 1


async def test_a_caller_who_gives_up_does_not_lose_the_token(
    tesla: ScriptedServer, http: aiohttp.ClientSession
) -> None:
    """Tesla has spent the old refresh token by then: the refresh ends and is saved, with nobody waiting."""
    asked, go_on = asyncio.Event(), asyncio.Event()

    async def slow(_request: web.Request) -> web.Response:
        asked.set()
        await go_on.wait()
        return good()

    tesla.answers = [slow]
    shelf = Shelf(grant())
    session = await session_of(shelf, http)
    caller = asyncio.create_task(session.access_token())
    await asked.wait()
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    closing = asyncio.create_task(session.close())
    go_on.set()
    await closing
    assert shelf.events == ["saved"]
    assert await session.access_token() == access_token(jti="2")


async def test_a_refused_access_token_is_refreshed_once(tesla: ScriptedServer, http: aiohttp.ClientSession) -> None:
    """After 401 the next caller refreshes although the token's time is not over; the new one is trusted again."""
    tesla.answers = [good()]
    session = await session_of(Shelf(grant(expires_at=NOW + 5000)), http)
    session.refuse(session.grant.access_token)
    assert await session.access_token() == access_token(jti="2")
    assert await session.access_token() == access_token(jti="2")
    assert len(tesla.requests) == 1


REFUSED = {"error_description": "The provided authorization grant is invalid, expired, revoked."}


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        (401, {"error": "login_required", "error_description": "Login required"}, Reason.LOGIN_REQUIRED),
        (401, {"error": "invalid_grant", **REFUSED}, Reason.LOGIN_REQUIRED),
        (400, {"error": "invalid_grant", **REFUSED}, Reason.LOGIN_REQUIRED),
        (401, {"error": "access_denied", "error_description": "User revoked consent"}, Reason.CONSENT_WITHDRAWN),
        (401, {"error": "User revoked consent"}, Reason.CONSENT_WITHDRAWN),
        (401, {"response": None, "error": "unknown user", "error_description": ""}, Reason.UNKNOWN_USER),
    ],
)
async def test_a_dead_grant_is_wiped_and_not_tried_again(
    tesla: ScriptedServer, http: aiohttp.ClientSession, status: int, body: dict[str, Any], reason: Reason
) -> None:
    """The first caller learns why; the next ones too, without another request."""
    tesla.answers = [web.json_response(body, status=status)]
    shelf = Shelf(grant())
    session = await session_of(shelf, http)
    for _ in range(3):
        with pytest.raises(SignInRequired) as refused:
            await session.access_token()
        assert refused.value.reason is reason
    assert shelf.events == ["wiped"]
    assert len(tesla.requests) == 1


async def drop(request: web.Request) -> web.Response:
    """Close the connection instead of answering."""
    assert request.transport is not None
    request.transport.close()
    return web.Response()


SERVER_ERROR = {
    "error": "server_error",
    "error_description": "Internal server error",
    "error_uri": "https://auth.tesla.com/error/reference/1",
}


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (web.json_response(SERVER_ERROR, status=400), Unreachable),
        (web.Response(text="<html>Access denied</html>", content_type="text/html", status=403), Unreachable),
        (web.Response(status=500), Unreachable),
        (web.Response(status=503, text="upstream"), Unreachable),
        (web.Response(status=200, text="<html>"), Unreachable),
        (web.Response(status=302, headers={"Location": "http://127.0.0.1:1/"}), Unreachable),
        (web.json_response([1, 2]), Unreachable),
        (web.json_response({"error": 7}, status=400), Unreachable),
        (drop, Unreachable),
        (web.json_response({"access_token": "no JWT"}), UnexpectedAnswer),
        (web.json_response({"expires_in": 5}), UnexpectedAnswer),
        (web.Response(status=429, headers={"Retry-After": "7"}), RateLimited),
        (web.Response(status=429), RateLimited),
        (web.Response(body=b"[" * 100_000, content_type="application/json"), Unreachable),
        (web.Response(body=b"x" * 3_000_000), UnexpectedAnswer),
        (web.Response(body=b"\xff\xfe", headers={"Content-Type": "application/json; charset=punycode"}), Unreachable),
        (web.json_response({"access_token": access_token(sub="another account")}), UnexpectedAnswer),
        (web.json_response({"error": "unauthorized_client"}, status=400), TokenRequestRefused),
        (web.json_response({"error": "invalid_request"}, status=400), TokenRequestRefused),
    ],
)
async def test_trouble_never_wipes_a_grant(
    tesla: ScriptedServer, http: aiohttp.ClientSession, answer: Answer, error: type[Exception]
) -> None:
    """Server trouble, no network, an application set up wrongly: the grant stays, and the next try can succeed."""
    tesla.answers = [answer, good()]
    shelf = Shelf(grant())
    steady = Steady()
    session = await session_of(shelf, http, steady)
    with pytest.raises(error):
        await session.access_token()
    assert shelf.events == []
    steady.now += 60
    assert await session.access_token() == access_token(jti="2")


async def test_an_access_token_alone_ends_with_its_time(http: aiohttp.ClientSession) -> None:
    """Without a refresh token the owner has to bring a new one."""
    shelf = Shelf(grant(refresh=None))
    session = await session_of(shelf, http)
    with pytest.raises(SignInRequired) as refused:
        await session.access_token()
    assert refused.value.reason is Reason.EXPIRED
    assert shelf.events == ["wiped"]


async def test_no_grant_at_all(http: aiohttp.ClientSession) -> None:
    """Loading says so at once."""
    with pytest.raises(SignInRequired) as refused:
        await session_of(Shelf(None), http)
    assert refused.value.reason is Reason.MISSING


async def test_teslas_own_app_names_its_scope(tesla: ScriptedServer, http: aiohttp.ClientSession) -> None:
    """The client `ownerapi` refreshes with its scope."""
    tesla.answers = [good()]
    await (await session_of(Shelf(grant(client="ownerapi")), http)).access_token()
    assert tesla.forms[0]["scope"] == "openid email offline_access"


async def test_no_log_line_carries_a_token(
    tesla: ScriptedServer, http: aiohttp.ClientSession, caplog: pytest.LogCaptureFixture
) -> None:
    """Not even at DEBUG, not even when it fails."""
    caplog.set_level(logging.DEBUG)
    tesla.answers = [web.json_response(SERVER_ERROR, status=400), good()]
    session = await session_of(Shelf(grant()), http)
    with pytest.raises(Unreachable) as error:
        await session.access_token()
    await session.access_token()
    assert "MARKER" not in caplog.text + repr(error.value)
    assert access_token(jti="2") not in caplog.text


async def test_the_token_endpoint_is_not_asked_while_it_asks_to_wait(
    tesla: ScriptedServer, http: aiohttp.ClientSession
) -> None:
    """Whoever needs a token meanwhile learns how long; nothing is sent."""
    tesla.answers = [web.Response(status=429, text="Retry in 100 seconds"), good()]
    steady = Steady()
    session = await session_of(Shelf(grant()), http, steady)
    waits: list[float | None] = []
    for _ in range(3):
        with pytest.raises(RateLimited) as limited:
            await session.access_token()
        waits.append(limited.value.retry_after)
        steady.now += 33
    assert waits == [100, 67, 34]
    steady.now += 0.5
    with pytest.raises(RateLimited):
        await session.access_token()
    assert len(tesla.requests) == 1
    steady.now += 0.5
    assert await session.access_token() == access_token(jti="2")


@pytest.mark.parametrize(
    ("said", "first", "longest"),
    [
        (None, 60, 900),
        ("0", 60, 900),
        ("1", 1, 900),
        ("200", 200, 900),
        ("3600", 3600, 3600),
        ("9" * 30, 86_400, 86_400),
        ("Wed, 21 Oct 2099 07:28:00 GMT", 86_400, 86_400),
    ],
)
async def test_a_wait_that_the_token_endpoint_names_is_no_weapon(
    tesla: ScriptedServer, http: aiohttp.ClientSession, said: str | None, first: float, longest: float
) -> None:
    """Neither is nothing asked for a month, nor something each second."""
    tesla.answers = [web.Response(status=429, headers={"Retry-After": said} if said else {})]
    steady = Steady()
    session = await session_of(Shelf(grant()), http, steady)
    asked: list[float] = []
    for _ in range(12):
        for wait in (0.0, 1.0, 60.0, 200.0, 900.0, 3600.0, 86_400.0):
            before = len(tesla.requests)
            steady.now = (asked[-1] if asked else steady.now) + wait
            with pytest.raises(RateLimited):
                await session.access_token()
            if len(tesla.requests) > before:
                asked.append(steady.now)
                break
    waits = [after - before for before, after in pairwise(asked)]
    assert len(waits) == 11
    assert waits[0] == first
    assert waits[-1] == longest
    assert max(waits) == longest


@pytest.mark.parametrize(
    "failure",
    [
        web.Response(status=500),
        web.Response(text='{"access_token": "x'),
        web.json_response({"error": "unauthorized_client"}, status=400),
        drop,
    ],
)
async def test_a_token_endpoint_in_trouble_is_asked_less_and_less(
    tesla: ScriptedServer, http: aiohttp.ClientSession, failure: Answer
) -> None:
    """Again at once, then after a minute, two, four … up to fifteen. What it answered is what everybody is told."""
    tesla.answers = [failure]
    steady = Steady()
    session = await session_of(Shelf(grant()), http, steady)
    asked: list[float] = []
    for second in range(2 * 3600):
        before = len(tesla.requests)
        if second % 10 == 0:
            with pytest.raises((Unreachable, TokenRequestRefused)):
                await session.access_token()
        asked += [steady.now] * (len(tesla.requests) - before)
        steady.now += 1
    waits = [after - before for before, after in pairwise(asked)]
    assert waits == [10, 60, 120, 240, 480, *[900] * (len(waits) - 5)]
    tesla.answers = [good(), good(3)]
    steady.now += 900
    assert await session.access_token() == access_token(jti="2")
    # A success ends the count
    tesla.answers = [failure, good(3)]
    steady.now += YOUNG
    session.refuse(session.grant.access_token)
    with pytest.raises((Unreachable, TokenRequestRefused)):
        await session.access_token()
    assert await session.access_token() == access_token(jti="3")


@pytest.mark.parametrize("expires_in", [0, 1, -5, 10**400, 1e308, "soon", None, float("nan"), [], True])
async def test_a_new_token_lasts_for_some_minutes_whatever_is_said(
    tesla: ScriptedServer, http: aiohttp.ClientSession, expires_in: object
) -> None:
    """An absurd lifetime does not make a refresh of every request."""
    body = {"access_token": access_token(jti="2"), "refresh_token": "EU_2", "expires_in": expires_in}
    tesla.answers = [web.Response(text=json.dumps(body), content_type="application/json")]
    session = await session_of(Shelf(grant()), http)
    for _ in range(3):
        await session.access_token()
    assert len(tesla.requests) == 1
    assert session.grant.expires_at >= NOW + 300


async def test_before_it_is_loaded_a_session_has_no_grant(http: aiohttp.ClientSession) -> None:
    """Nor after it was loaded from a keeper that has none."""
    session = GrantSession(Shelf(None), TokenEndpoint(http, lambda: NOW), lambda: NOW, create_task)
    for act in (session.access_token, session.load, session.access_token):
        with pytest.raises(SignInRequired) as refused:
            await act()
        assert refused.value.reason is Reason.MISSING


@pytest.mark.parametrize(("left", "asked"), [(59, 1), (60, 1), (61, 0)])
async def test_a_token_is_replaced_a_minute_before_its_end(
    tesla: ScriptedServer, http: aiohttp.ClientSession, left: int, asked: int
) -> None:
    tesla.answers = [good()]
    await (await session_of(Shelf(grant(expires_at=NOW + left)), http, Steady(0.0))).access_token()
    assert len(tesla.requests) == asked


async def test_a_move_to_another_region_is_remembered_unless_the_grant_is_another_by_then(
    http: aiohttp.ClientSession,
) -> None:
    """Whatever the keeper has is gone on with."""
    shelf = Shelf(grant())
    session = await session_of(shelf, http)
    await session.move("na")
    assert shelf.kept is not None
    assert shelf.kept.region == session.grant.region == "na"
    shelf.kept = grant(refresh="EU_NEWER")
    await session.move("cn")
    assert session.grant == shelf.kept == grant(refresh="EU_NEWER")
    shelf.kept = None
    await session.move("cn")
    with pytest.raises(SignInRequired):
        await session.access_token()


async def test_a_refresh_that_fails_with_nobody_waiting_is_quiet(
    tesla: ScriptedServer, http: aiohttp.ClientSession, caplog: pytest.LogCaptureFixture
) -> None:
    """Its task is looked at; the next caller begins another."""
    asked, go_on = asyncio.Event(), asyncio.Event()

    async def failing(_request: web.Request) -> web.Response:
        asked.set()
        await go_on.wait()
        return web.Response(status=500)

    tesla.answers = [failing, good()]
    session = await session_of(Shelf(grant()), http)
    caller = asyncio.create_task(session.access_token())
    await asked.wait()
    caller.cancel()
    await asyncio.wait([caller])
    closing = asyncio.create_task(session.close())
    go_on.set()
    await closing
    assert await session.access_token() == access_token(jti="2")
    del closing, caller
    gc.collect()
    assert "never retrieved" not in caplog.text
