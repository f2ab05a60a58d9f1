"""Whose answer counts when the link's tokens were replaced while the companion was asked."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from itertools import permutations
import time
from typing import Final

import aiohttp
from aiohttp import web
from homeassistant.core import HomeAssistant
import pytest

from custom_components.teslafi.const import LINK
from custom_components.teslafi.link.client import Companion, LinkTokens, Unlinked
from custom_components.teslafi.link.session import LinkSession
from custom_components.teslafi.secret import Secret
from custom_components.teslafi.storage.vault import Vault

from .scripted import ScriptedServer, scripted_server

ENTRY: Final = "entry-1"


@pytest.fixture
async def companion(socket_enabled: None) -> AsyncIterator[ScriptedServer]:
    """Be the companion."""
    async with scripted_server() as server:
        yield server


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    """Return a client session."""
    async with aiohttp.ClientSession() as session:
        yield session


def tokens(name: str, *, lifetime: float = 600.0) -> LinkTokens:
    """Return tokens of a generation."""
    return LinkTokens(Secret(f"access-{name}"), Secret(f"refresh-{name}"), time.time() + lifetime)


def renewed(name: str) -> web.Response:
    """Return the companion's answer to a renewal."""
    return web.json_response({"access_token": f"access-{name}", "refresh_token": f"refresh-{name}", "expires_in": 600})


def dead() -> web.Response:
    """Return the companion's refusal of a renewal."""
    return web.json_response({"error": "invalid_grant"}, status=400)


async def vault_of(hass: HomeAssistant, held: LinkTokens) -> Vault:
    """Return a vault that holds a link's tokens."""
    vault = Vault(hass)
    await vault.load()
    await vault.put_text(ENTRY, LINK, held.to_plaintext())
    return vault


def kept(vault: Vault) -> str | None:
    """Return the refresh token that a vault holds."""
    text = vault.get_text(ENTRY, LINK)
    return None if text is None else LinkTokens.from_plaintext(text).refresh_token.reveal()


type Meanwhile = Callable[[LinkSession, Vault], Awaitable[None]]


async def nothing(_session: LinkSession, _vault: Vault) -> None:
    """Let nothing happen meanwhile."""


async def linked_again(_session: LinkSession, vault: Vault) -> None:
    """Let the owner link again: the flow writes into the vault, and the entry is loaded anew afterwards."""
    await vault.put_text(ENTRY, LINK, tokens("newer").to_plaintext())


async def consented(session: LinkSession, _vault: Vault) -> None:
    """Let the owner consent to controls, which ends the tokens before."""
    await session.adopt(tokens("newer"))


async def unlinked(session: LinkSession, _vault: Vault) -> None:
    """Let the owner end the link."""
    await session.forget()


async def removed(_session: LinkSession, vault: Vault) -> None:
    """Let the owner remove the account."""
    await vault.wipe(ENTRY)


@pytest.mark.parametrize(
    ("meanwhile", "answer", "expected"),
    [
        (nothing, renewed, "refresh-2"),
        (nothing, dead, None),
        (linked_again, renewed, "refresh-newer"),
        (linked_again, dead, "refresh-newer"),
        (consented, renewed, "refresh-newer"),
        (consented, dead, "refresh-newer"),
        (unlinked, renewed, None),
        (unlinked, dead, None),
        (removed, renewed, None),
        (removed, dead, None),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
async def test_a_late_renewal_does_not_touch_what_came_after_it(
    hass: HomeAssistant,
    companion: ScriptedServer,
    http: aiohttp.ClientSession,
    meanwhile: Meanwhile,
    answer: Callable[..., web.Response],
    expected: str | None,
) -> None:
    """The session goes on with what the vault holds then; another run finds the same on disk."""
    vault = await vault_of(hass, tokens("1", lifetime=0))
    asked, go_on = asyncio.Event(), asyncio.Event()

    async def late(_request: web.Request) -> web.Response:
        asked.set()
        await go_on.wait()
        return renewed("2") if answer is renewed else dead()

    companion.answers = [late]
    session = LinkSession(hass, ENTRY, vault, Companion(http, companion.base))
    used: list[str] = []

    async def question(sent: LinkTokens) -> None:
        used.append(sent.refresh_token.reveal())

    asking = asyncio.create_task(session.ask(question))
    await asked.wait()
    await meanwhile(session, vault)
    go_on.set()
    if expected is None:
        with pytest.raises(Unlinked):
            await asking
    else:
        await asking
    assert used == ([expected] if expected else [])
    assert len(companion.requests) == 1
    again = Vault(hass)
    await again.load()
    assert kept(vault) == kept(again) == expected


@pytest.mark.parametrize("order", list(permutations(range(3))), ids=str)
async def test_one_dead_access_token_means_one_renewal_in_whatever_order_its_refusals_come(
    hass: HomeAssistant, companion: ScriptedServer, http: aiohttp.ClientSession, order: tuple[int, ...]
) -> None:
    """Three questions are under way with it. Each refusal comes when the question before has been settled."""
    vault = await vault_of(hass, tokens("1"))
    companion.answers = [renewed("2"), renewed("3"), renewed("4")]
    session = LinkSession(hass, ENTRY, vault, Companion(http, companion.base))
    arrived: asyncio.Queue[asyncio.Event] = asyncio.Queue()

    async def question(sent: LinkTokens) -> str:
        if sent.access_token == Secret("access-1"):
            await arrived.put(event := asyncio.Event())
            await event.wait()
            raise Unlinked
        return sent.access_token.reveal()

    asking = [asyncio.create_task(session.ask(question)) for _ in order]
    held = [await arrived.get() for _ in order]
    pending = set(asking)
    for position in order:
        held[position].set()
        _, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
    assert [await task for task in asking] == ["access-2"] * len(order)
    assert len(companion.requests) == 1


@pytest.mark.parametrize(("meanwhile", "expected"), [(nothing, None), (linked_again, "refresh-newer")])
async def test_tokens_that_are_refused_again_are_forgotten_and_no_newer_ones(
    hass: HomeAssistant,
    companion: ScriptedServer,
    http: aiohttp.ClientSession,
    meanwhile: Meanwhile,
    expected: str | None,
) -> None:
    """The link was ended at the companion; the owner may have made another since."""
    vault = await vault_of(hass, tokens("1"))
    companion.answers = [renewed("2")]
    session = LinkSession(hass, ENTRY, vault, Companion(http, companion.base))

    async def question(sent: LinkTokens) -> None:
        if sent.access_token == Secret("access-2"):
            await meanwhile(session, vault)
        raise Unlinked

    with pytest.raises(Unlinked):
        await session.ask(question)
    assert kept(vault) == expected
