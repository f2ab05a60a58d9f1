"""The link of this Home Assistant to a companion: how it is, and how it is seen to end.

Watching cars never depends on it: whatever the companion does, nothing here reaches the coordinators of cars.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, override

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.aiohttp_client import async_get_clientsession
from homeassistant.helpers.update_coordinator import DataUpdateCoordinator
from homeassistant.util import dt as dt_util
from homeassistant.util.hass_dict import HassKey

from ..const import CONF_ADDRESS, CONF_COMPANION, DOMAIN, LOGGER
from ..issues import note_subscription, note_unlinked
from ..storage.vault import Vault
from .client import LAPSED, AccountStatus, Companion, CompanionError, Unlinked
from .session import LinkSession
from .words import SubscriptionReason

INTERVAL: Final = timedelta(minutes=10)
SOON: Final = tuple(timedelta(seconds=seconds) for seconds in (5, 15, 45, 135, 405))
"""How soon a companion is asked again that did not answer; after that at the usual times."""
WORTH_A_LINE: Final = 3
"""Answers missing in a row that are worth a line in the log; one lost answer is not."""

_TOLD: HassKey[set[str]] = HassKey(f"{DOMAIN}_companions_in_trouble")
"""Entries whose log already says that the companion does not answer. They outlast a reload."""


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
    subscription: SubscriptionReason | None = None
    subscription_until: datetime | None = None
    contact_at: datetime | None = None


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
        self._misses = 0

    @override
    async def _async_update_data(self) -> LinkStatus:
        try:
            account = await self.session.ask(self.companion.status)
        except Unlinked:
            self._misses, self.update_interval = 0, INTERVAL
            return self._ended()
        except CompanionError as error:
            # A renewal whose answer was lost has to be asked for again before anything makes it look like a copy's
            self.update_interval = SOON[self._misses] if self._misses < len(SOON) else INTERVAL
            self._misses += 1
            if self._misses >= WORTH_A_LINE:
                self._tell(error)
            return replace(self.data, state=LinkState.UNREACHABLE)
        self._misses, self.update_interval = 0, INTERVAL
        return self._linked(account)

    @callback
    def note_account(self, account: AccountStatus) -> None:
        """Take in what the companion told when controls asked, which saves a question of ours."""
        self.async_set_updated_data(self._linked(account))

    def _tell(self, trouble: CompanionError | None) -> None:
        """Write a line when trouble begins and one when it is over, whatever is reloaded between."""
        told, entry_id = self.hass.data.setdefault(_TOLD, set()), self.config_entry.entry_id
        if trouble is not None and entry_id not in told:
            told.add(entry_id)
            LOGGER.warning("The companion at %s does not answer as expected (%s)", self.origin, trouble)
        elif trouble is None and entry_id in told:
            told.discard(entry_id)
            LOGGER.info("The companion at %s answers again", self.origin)

    def _linked(self, account: AccountStatus) -> LinkStatus:
        self._tell(None)
        note_unlinked(self.hass, self.config_entry, None)
        lapsed = account.subscription in LAPSED
        note_subscription(self.hass, self.config_entry, f"{self.origin}/account#subscription", lapsed=lapsed)
        return LinkStatus(
            LinkState.LINKED, account.two_factor, account.subscription, account.until, contact_at=dt_util.utcnow()
        )

    def _ended(self) -> LinkStatus:
        if self.data.state is not LinkState.UNLINKED:
            LOGGER.warning("The companion at %s does not know this Home Assistant any more", self.origin)
        self.hass.data.setdefault(_TOLD, set()).discard(self.config_entry.entry_id)
        note_unlinked(self.hass, self.config_entry, self.origin)
        note_subscription(self.hass, self.config_entry, self.origin, lapsed=False)
        return LinkStatus(LinkState.UNLINKED, contact_at=self.data.contact_at)
