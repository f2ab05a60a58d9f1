"""The link's tokens: kept in the vault, refreshed one at a time, forgotten when the link ends.

The owner may link again at any time. What the companion says of tokens touches those alone that were sent: a late
answer neither overwrites nor wipes newer ones.
"""

import asyncio
from collections.abc import Awaitable, Callable
import time

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers.aiohttp_client import async_get_clientsession

from ..const import CONF_ADDRESS, CONF_COMPANION, DOMAIN, LINK, LOGGER
from ..issues import note_subscription, note_unlinked
from ..storage.vault import SealBroken, Vault
from .client import Companion, CompanionError, LinkTokens, Unlinked


class LinkSession:
    """Keeps the link's tokens: one refresh at a time, the successors sealed before they are used."""

    def __init__(self, hass: HomeAssistant, entry_id: str, vault: Vault, companion: Companion) -> None:
        """Use the tokens that the vault holds for this entry."""
        self._hass = hass
        self._entry_id = entry_id
        self._vault = vault
        self._companion = companion
        self._lock = asyncio.Lock()
        self._tokens = self._stored()

    def _stored(self) -> LinkTokens | None:
        try:
            return _tokens(self._vault.get_text(self._entry_id, LINK))
        except (SealBroken, ValueError) as error:
            LOGGER.warning("The link to the companion cannot be opened (%s); link it again", error)
            return None

    async def ask[T](self, question: Callable[[LinkTokens], Awaitable[T]]) -> T:
        """Ask with a valid access token, after a refusal once more with a new one; raise CompanionError."""
        sent = await self._valid()
        try:
            return await question(sent)
        except Unlinked:
            self._refuse(sent)
        sent = await self._valid()
        try:
            return await question(sent)
        except Unlinked:
            await self._replace(sent, None)
            raise

    async def adopt(self, tokens: LinkTokens) -> None:
        """Go on with tokens of a new consent, which ended the ones before."""
        await self._vault.put_text(self._entry_id, LINK, tokens.to_plaintext())
        self._tokens = tokens

    async def forget(self) -> None:
        """Wipe the tokens."""
        self._tokens = None
        await self._vault.wipe(self._entry_id, LINK)

    async def _valid(self) -> LinkTokens:
        # A task of its own: whoever asked may be gone before the spent token's successor is sealed
        return await asyncio.shield(self._hass.async_create_task(self._refreshed(), "teslafi link refresh"))

    async def _refreshed(self) -> LinkTokens:
        async with self._lock:
            before = self._tokens
            if before is None:
                raise Unlinked
            if not before.is_stale(time.time()):
                return before
            try:
                successor: LinkTokens | None = await self._companion.refresh(before, time.time())
            except Unlinked:
                successor = None
            await self._replace(before, successor)
            if self._tokens is None:
                raise Unlinked
            return self._tokens

    def _refuse(self, sent: LinkTokens) -> None:
        """Note that the companion did not take an access token, unless another is at hand by now."""
        if self._tokens is not None and self._tokens.access_token == sent.access_token:
            self._tokens = self._tokens.spent()

    async def _replace(self, before: LinkTokens, after: LinkTokens | None) -> None:
        """Seal `after` in the place of `before` (None: nothing), if that is still there; go on with what is there."""

        def change(text: str | None) -> str | None:
            there = _tokens(text)
            if there is None or there.refresh_token != before.refresh_token:
                return text
            return after.to_plaintext() if after else None

        self._tokens = _tokens(await self._vault.change_text(self._entry_id, LINK, change))


def _tokens(text: str | None) -> LinkTokens | None:
    return None if text is None else LinkTokens.from_plaintext(text)


async def end_link(hass: HomeAssistant, entry: ConfigEntry, vault: Vault) -> bool:
    """Forget the link, its device and its issue; returns whether the companion knows that it ended."""
    companion = Companion(async_get_clientsession(hass), entry.data[CONF_COMPANION][CONF_ADDRESS])
    session = LinkSession(hass, entry.entry_id, vault, companion)
    try:
        await session.ask(companion.unlink)
        told = True
    except Unlinked:
        told = True
    except CompanionError as error:
        LOGGER.warning("The companion at %s could not be told that the link ended (%s)", companion.origin, error)
        told = False
    await session.forget()
    note_unlinked(hass, entry, None)
    note_subscription(hass, entry, companion.origin, lapsed=False)
    registry = dr.async_get(hass)
    device = registry.async_get_device_by_identifier((DOMAIN, companion_identifier(entry)), entry.entry_id)
    if device is not None:
        registry.async_remove_device(device.id)
    return told


def companion_identifier(entry: ConfigEntry) -> str:
    """Return what the companion's device is known by."""
    return f"companion-{entry.entry_id}"
