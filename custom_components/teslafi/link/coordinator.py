"""The link of this Home Assistant to a companion: made by the owner in a browser, kept alive, seen to end.

Watching cars never depends on it: whatever the companion does, nothing here reaches the coordinators of cars.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
import json
import time
from typing import Any, Final, override

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers.aiohttp_client import async_get_clientsession
from homeassistant.helpers.config_entry_oauth2_flow import LocalOAuth2ImplementationWithPkce
from homeassistant.helpers.update_coordinator import DataUpdateCoordinator
from homeassistant.util import dt as dt_util

from ..const import CONF_ADDRESS, CONF_COMPANION, DOMAIN, LINK, LOGGER
from ..repairs import clear_link_issue, note_subscription, raise_link_issue
from ..storage.vault import SealBroken, Vault
from .client import (
    CLIENT_ID,
    CONTROLS_SCOPE,
    LAPSED,
    SCOPES,
    SECOND_FACTOR,
    Companion,
    CompanionError,
    LinkTokens,
    SubscriptionState,
    Unlinked,
)

INTERVAL: Final = timedelta(minutes=10)
FRESH_SECONDS: Final = 300
"""How old the proof of a second factor may be for controls."""


class CompanionImplementation(LocalOAuth2ImplementationWithPkce):
    """The companion's authorization server, as Home Assistant's OAuth helpers want it; made anew for each flow."""

    def __init__(self, hass: HomeAssistant, origin: str, instance_id: str) -> None:
        """Link to the companion at this origin, by the random name of this entry."""
        super().__init__(hass, DOMAIN, CLIENT_ID, f"{origin}/oauth/authorize", f"{origin}/oauth/token")
        self._companion = Companion(async_get_clientsession(hass), origin)
        self._instance_id = instance_id

    @property
    @override
    def name(self) -> str:
        """Never shown: there is nothing to choose from."""
        return "TeslaFi companion"

    @property
    @override
    def extra_authorize_data(self) -> dict[str, Any]:
        """Ask for the status of link and account; say which Home Assistant asks."""
        return {
            **super().extra_authorize_data,
            "scope": " ".join(SCOPES),
            "instance_name": self.hass.config.location_name,
            "instance_id": self._instance_id,
        }

    async def async_redeem(self, external_data: Any) -> LinkTokens:  # noqa: ANN401 - as Home Assistant types it
        """Exchange the code that the browser brought back; raise CompanionError."""
        form = {
            "grant_type": "authorization_code",
            "code": str(external_data["code"]),
            "redirect_uri": external_data["state"]["redirect_uri"],
            **self.extra_token_resolve_data,
        }
        return await self._companion.redeem(form, time.time())


class ControlsImplementation(CompanionImplementation):
    """The same server, asked to let this Home Assistant control cars: a fresh second factor, and consent to it."""

    def __init__(self, hass: HomeAssistant, origin: str, instance_id: str, details: Mapping[str, Any]) -> None:
        """Ask for what `details` say (docs/companion-api.yaml, authorization_details)."""
        super().__init__(hass, origin, instance_id)
        self._details = details

    @property
    @override
    def extra_authorize_data(self) -> dict[str, Any]:
        """Ask for controls, and for a proof not older than a few minutes."""
        return {
            **super().extra_authorize_data,
            "scope": CONTROLS_SCOPE,
            "acr_values": SECOND_FACTOR,
            "max_age": str(FRESH_SECONDS),
            "authorization_details": json.dumps([self._details], separators=(",", ":")),
        }


class LinkState(StrEnum):
    """How the link is, as far as this side knows."""

    LINKED = "linked"
    UNREACHABLE = "unreachable"
    UNLINKED = "unlinked"


@dataclass(frozen=True, slots=True)
class LinkStatus:
    """What is known of the link; `contact_at` is UTC. Before the first answer nothing is."""

    state: LinkState | None = None
    two_factor: bool | None = None
    subscription: SubscriptionState | None = None
    subscription_until: datetime | None = None
    contact_at: datetime | None = None


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
            text = self._vault.get_text(self._entry_id, LINK)
            return None if text is None else LinkTokens.from_plaintext(text)
        except (SealBroken, ValueError) as error:
            LOGGER.warning("The link to the companion cannot be opened (%s); link it again", error)
            return None

    async def ask[T](self, question: Callable[[LinkTokens], Awaitable[T]]) -> T:
        """Ask with a valid access token, after a refusal once more with a new one; raise CompanionError."""
        try:
            return await question(await self._valid())
        except Unlinked:
            if self._tokens is None:
                raise
            self._tokens = self._tokens.spent()
        try:
            return await question(await self._valid())
        except Unlinked:
            await self.forget()
            raise

    async def adopt(self, tokens: LinkTokens) -> None:
        """Go on with tokens of a new consent, which ended the ones before."""
        async with self._lock:
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
            if self._tokens is None:
                raise Unlinked
            if not self._tokens.is_stale(time.time()):
                return self._tokens
            successor = await self._companion.refresh(self._tokens, time.time())
            await self._vault.put_text(self._entry_id, LINK, successor.to_plaintext())
            self._tokens = successor
            return successor


class LinkCoordinator(DataUpdateCoordinator[LinkStatus]):
    """Asks the companion now and then how link and account are. A companion out of reach is a state, no failure."""

    config_entry: ConfigEntry
    reachable: Final = True

    def __init__(self, hass: HomeAssistant, entry: ConfigEntry, vault: Vault) -> None:
        """Begin with nothing known; `entry` holds the companion's address."""
        super().__init__(hass, LOGGER, config_entry=entry, name="companion", update_interval=INTERVAL)
        self.origin: str = entry.data[CONF_COMPANION][CONF_ADDRESS]
        self.companion = Companion(async_get_clientsession(hass), self.origin)
        self.session = LinkSession(hass, entry.entry_id, vault, self.companion)
        self.data = LinkStatus()

    @override
    async def _async_update_data(self) -> LinkStatus:
        try:
            account = await self.session.ask(self.companion.status)
        except Unlinked:
            return self._ended()
        except CompanionError as error:
            if self.data.state is not LinkState.UNREACHABLE:
                LOGGER.warning("The companion at %s does not answer as expected (%s)", self.origin, error)
            return replace(self.data, state=LinkState.UNREACHABLE)
        if self.data.state is LinkState.UNREACHABLE:
            LOGGER.info("The companion at %s answers again", self.origin)
        clear_link_issue(self.hass, self.config_entry)
        lapsed = account.subscription in LAPSED
        note_subscription(self.hass, self.config_entry, f"{self.origin}/account#subscription", lapsed=lapsed)
        return LinkStatus(
            LinkState.LINKED, account.two_factor, account.subscription, account.until, contact_at=dt_util.utcnow()
        )

    def _ended(self) -> LinkStatus:
        if self.data.state is not LinkState.UNLINKED:
            LOGGER.warning("The companion at %s does not know this Home Assistant any more", self.origin)
        raise_link_issue(self.hass, self.config_entry, self.origin)
        note_subscription(self.hass, self.config_entry, self.origin, lapsed=False)
        return LinkStatus(LinkState.UNLINKED, contact_at=self.data.contact_at)


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
    clear_link_issue(hass, entry)
    note_subscription(hass, entry, companion.origin, lapsed=False)
    registry = dr.async_get(hass)
    device = registry.async_get_device_by_identifier((DOMAIN, companion_identifier(entry)), entry.entry_id)
    if device is not None:
        registry.async_remove_device(device.id)
    return told


def companion_identifier(entry: ConfigEntry) -> str:
    """Return what the companion's device is known by."""
    return f"companion-{entry.entry_id}"
