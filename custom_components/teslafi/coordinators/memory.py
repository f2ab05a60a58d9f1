"""What is remembered of an account while Home Assistant runs: a reload is no reason to forget what Tesla asked for."""

from dataclasses import dataclass, field
from typing import Final

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant, callback
from homeassistant.util.hass_dict import HassKey

from ..const import DOMAIN
from ..polling.backoff import Backoff, Trouble
from .details import DetailsMemory
from .endpoint import Endpoint
from .troubles import Troubles

DISCOUNTS_INTERVAL: Final = 86_400.0


@dataclass(slots=True)
class AccountMemory:
    """The troubles of an account, the failures of its list of products, and what was asked seldom about its cars."""

    troubles: Troubles
    products: Backoff
    details: dict[str, DetailsMemory] = field(default_factory=dict)
    """By VIN."""
    discounts: Endpoint = field(
        default_factory=lambda: Endpoint("fleet_status", DISCOUNTS_INTERVAL, DISCOUNTS_INTERVAL)
    )
    """Which cars are discounted is asked once a day: Tesla bills it."""
    discounted: frozenset[str] = frozenset()

    @property
    def asked_to_wait(self) -> Backoff:
        """What a new load of the entry begins with: only what Tesla itself asked for still counts."""
        return self.products if self.products.trouble is Trouble.RATE_LIMITED else Backoff()


_MEMORIES: HassKey[dict[str, AccountMemory]] = HassKey(f"{DOMAIN}_memories")


@callback
def memory_of(hass: HomeAssistant, entry: ConfigEntry) -> AccountMemory:
    """Return the memory of an entry, a new one when there is none."""
    memories = hass.data.setdefault(_MEMORIES, {})
    if entry.entry_id not in memories:
        memories[entry.entry_id] = AccountMemory(Troubles(hass, entry), Backoff())
    return memories[entry.entry_id]


@callback
def forget_memory(hass: HomeAssistant, entry_id: str) -> None:
    """Forget an entry that is removed."""
    hass.data.get(_MEMORIES, {}).pop(entry_id, None)
