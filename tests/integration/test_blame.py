"""Who is to blame for a 401, and whose answer counts when a grant was replaced meanwhile."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from itertools import permutations
from typing import Final

import aiohttp
from aiohttp import web
from homeassistant.core import HomeAssistant
import pytest

from custom_components.teslafi.secret import Secret
from custom_components.teslafi.storage.vault import Vault, VaultKeeper
from custom_components.teslafi.tesla.errors import AccessTokenRefused, SignInRequired, TeslaError
from custom_components.teslafi.tesla.grant import Grant
from custom_components.teslafi.tesla.reader import Reader
from custom_components.teslafi.tesla.session import BLAMED_FOR, YOUNG, GrantSession

from .scripted import ScriptedServer, scripted_server
from .test_grant import access_token
from .test_session import NOW, Shelf, Steady, good, grant, session_of

VIN: Final = "5YJ3E1EA7KF000001"
PLACE: Final = ("entry-1", "monitoring")


@pytest.fixture
async def tesla(socket_enabled: None) -> AsyncIterator[ScriptedServer]:
    """Be all of Tesla."""
    async with scripted_server() as server:
        yield server


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    """Return a client session."""
    async with aiohttp.ClientSession() as session:
        yield session


def valid() -> Grant:
    """Return a grant whose access token lasts."""
    return grant(expires_at=NOW + 5000)


class Tesla:
    """Takes some tokens at some paths, and counts refreshes."""

    def __init__(self, scripted: ScriptedServer) -> None:
        """Refuse nothing but the first token."""
        self.refreshes = 0
        self.dead = {access_token(jti="first")}
        self.refused_paths: frozenset[str] = frozenset()
        self.hold: Callable[[web.Request], Awaitable[None]] | None = None
        scripted.answers = [self.answer]

    async def answer(self, request: web.Request) -> web.Response:
        """Answer a request."""
        if request.path == "/token":
            self.refreshes += 1
            return good(self.refreshes + 1)
        token = request.headers["Authorization"].removeprefix("Bearer ")
        if self.hold is not None and token in self.dead:
            await self.hold(request)
        if token in self.dead or any(path in request.path for path in self.refused_paths):
            return web.Response(status=401)
        return web.json_response({"response": {"vin": VIN, "state": "online"}})


@pytest.mark.parametrize("order", list(permutations(range(4))), ids=str)
async def test_one_dead_token_means_one_refresh_in_whatever_order_its_refusals_come(
    tesla: ScriptedServer, http: aiohttp.ClientSession, order: tuple[int, ...]
) -> None:
    """Four requests are under way with it. Each refusal comes when the request before has been settled."""
    simulated = Tesla(tesla)
    arrived: asyncio.Queue[asyncio.Event] = asyncio.Queue()

    async def hold(_request: web.Request) -> None:
        await arrived.put(event := asyncio.Event())
        await event.wait()

    simulated.hold = hold
    reader = Reader(http, await session_of(Shelf(valid()), http))
    asking = [asyncio.create_task(reader.vehicle_state(VIN, lambda _: None)) for _ in order]
    held = [await arrived.get() for _ in order]
    pending = set(asking)
    for position in order:
        held[position].set()
        _, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
    assert [task.exception() for task in asking] == [None] * len(order)
    assert simulated.refreshes == 1


async def refused(ask: Awaitable[object]) -> type[TeslaError] | None:
    """Return the error that a question ends with."""
    try:
        await ask
    except TeslaError as error:
        return type(error)
    return None


async def test_an_endpoint_that_refuses_every_token_is_to_blame_itself(
    tesla: ScriptedServer, http: aiohttp.ClientSession
) -> None:
    """Asked each minute for half a day: the other endpoints answer all the while, and hardly a token is spent."""
    simulated = Tesla(tesla)
    simulated.dead = set()
    simulated.refused_paths = frozenset({"/energy_sites/"})
    steady = Steady()
    session = await session_of(Shelf(valid()), http, steady)
    reader = Reader(http, session)
    after: dict[int, int] = {}
    asked: dict[int, int] = {}
    for minute in range(12 * 60):
        # Three questions about the site, each refused
        for ask in (reader.site_live, reader.site_info, reader.site_energy_today):
            assert await refused(ask(12, lambda _: None)) is AccessTokenRefused
        assert await refused(reader.vehicle_state(VIN, lambda _: None)) is None
        after[minute] = simulated.refreshes
        asked[minute] = len(tesla.requests)
        steady.now += 60
    assert after[0] == 1
    assert after[29] == 1
    assert [minute for minute in range(1, 720) if after[minute] > after[minute - 1]] == [60, 300]
    # Each question once: asking again with the same token would be billed and answered alike
    assert asked[29] - asked[0] == 29 * 4
    simulated.refused_paths = frozenset()
    assert await refused(reader.site_live(12, lambda _: None)) is None


@pytest.mark.parametrize(("age", "renewed"), [(YOUNG - 1, 1), (YOUNG, 2)])
async def test_how_old_a_token_is_that_is_blamed_again(
    tesla: ScriptedServer, http: aiohttp.ClientSession, age: float, renewed: int
) -> None:
    """A fresh one is not; from five minutes on it is."""
    simulated = Tesla(tesla)
    steady = Steady()
    session = await session_of(Shelf(valid()), http, steady)
    reader = Reader(http, session)
    await reader.vehicle_state(VIN, lambda _: None)
    steady.now += age
    simulated.dead.add(session.grant.access_token.reveal())
    assert (await refused(reader.vehicle_state(VIN, lambda _: None)) is None) is (renewed == 2)
    assert simulated.refreshes == renewed


async def test_an_endpoint_that_took_a_token_again_is_not_blamed_any_more(
    tesla: ScriptedServer, http: aiohttp.ClientSession
) -> None:
    """Its next 401 is the token's: a few minutes after it was blamed itself."""
    simulated = Tesla(tesla)
    simulated.refused_paths = frozenset({"/vehicles/"})
    steady = Steady()
    session = await session_of(Shelf(valid()), http, steady)
    reader = Reader(http, session)
    assert await refused(reader.vehicle_state(VIN, lambda _: None)) is AccessTokenRefused
    simulated.refused_paths = frozenset()
    assert await refused(reader.vehicle_state(VIN, lambda _: None)) is None
    steady.now += YOUNG
    simulated.dead.add(session.grant.access_token.reveal())
    assert await refused(reader.vehicle_state(VIN, lambda _: None)) is None
    assert simulated.refreshes == 2


async def test_a_token_that_dies_young_is_replaced_before_long(
    tesla: ScriptedServer, http: aiohttp.ClientSession
) -> None:
    """The endpoint is blamed at first; then it is the token's turn."""
    simulated = Tesla(tesla)
    steady = Steady()
    session = await session_of(Shelf(valid()), http, steady)
    reader = Reader(http, session)
    await reader.vehicle_state(VIN, lambda _: None)
    steady.now += 600
    simulated.dead.add(session.grant.access_token.reveal())
    assert await refused(reader.vehicle_state(VIN, lambda _: None)) is None
    simulated.dead.add(session.grant.access_token.reveal())
    assert await refused(reader.vehicle_state(VIN, lambda _: None)) is AccessTokenRefused
    steady.now += BLAMED_FOR
    assert await refused(reader.vehicle_state(VIN, lambda _: None)) is None
    assert simulated.refreshes == 3


def newer() -> Grant:
    """Return the grant of another sign-in of the owner's."""
    return replace(valid(), access_token=Secret(access_token(jti="newer")), refresh_token=Secret("EU_NEWER"))


async def nothing(_vault: Vault) -> None:
    """Let nothing happen meanwhile."""


async def signed_in_again(vault: Vault) -> None:
    """Let the owner sign in while the refresh is under way."""
    await vault.put(*PLACE, newer())


async def wiped(vault: Vault) -> None:
    """Let somebody forget this grant."""
    await vault.wipe(*PLACE)


async def removed(vault: Vault) -> None:
    """Let the owner remove the account."""
    await vault.wipe(PLACE[0])


DEAD: Final = web.json_response({"error": "login_required"}, status=401)


@pytest.mark.parametrize(
    ("meanwhile", "answer", "kept"),
    [
        (nothing, good(), "2"),
        (nothing, DEAD, None),
        (signed_in_again, good(), "newer"),
        (signed_in_again, DEAD, "newer"),
        (wiped, good(), None),
        (wiped, DEAD, None),
        (removed, good(), None),
        (removed, DEAD, None),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
async def test_a_late_answer_does_not_touch_what_came_after_the_question(
    hass: HomeAssistant,
    tesla: ScriptedServer,
    http: aiohttp.ClientSession,
    meanwhile: Callable[[Vault], Awaitable[None]],
    answer: web.Response,
    kept: str | None,
) -> None:
    """The session goes on with what the vault holds then; another run finds the same on disk."""
    vault = Vault(hass)
    await vault.load()
    await vault.put(*PLACE, grant())
    asked, go_on = asyncio.Event(), asyncio.Event()

    async def late(_request: web.Request) -> web.Response:
        asked.set()
        await go_on.wait()
        return web.Response(body=answer.body, status=answer.status, headers=answer.headers)

    tesla.answers = [late]
    session: GrantSession = await session_of(VaultKeeper(vault, *PLACE), http)
    asking = asyncio.create_task(session.access_token())
    await asked.wait()
    await meanwhile(vault)
    go_on.set()
    expected = access_token(jti=kept) if kept else None
    if expected:
        assert await asking == expected
    else:
        with pytest.raises(SignInRequired):
            await asking
    again = Vault(hass)
    await again.load()
    for held in (vault.get(*PLACE), again.get(*PLACE)):
        assert (held.access_token.reveal() if held else None) == expected


async def test_nothing_is_kept_of_an_account_that_was_removed(hass: HomeAssistant) -> None:
    """Whoever comes late, by whatever door, writes nothing."""
    vault = Vault(hass)
    await vault.load()
    await vault.put(*PLACE, grant())
    await vault.put("entry-2", "monitoring", grant())
    await vault.wipe(PLACE[0])
    await vault.put(*PLACE, newer())
    await vault.put_text(PLACE[0], "link", "late tokens")
    assert await VaultKeeper(vault, *PLACE).replace(grant(), newer()) is None
    again = Vault(hass)
    await again.load()
    assert not again.holds(*PLACE)
    assert not again.holds(PLACE[0], "link")
    assert again.get("entry-2", "monitoring") == grant()
