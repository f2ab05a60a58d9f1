"""Which config entry watches a car or site that several accounts of this Home Assistant list.

Unique ids are those of VINs and site numbers, so one entry has a car. The others wait, and the first to notice takes
over when it is given up.
"""

from collections import Counter

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import CALLBACK_TYPE, HomeAssistant, callback
from homeassistant.helpers import entity_registry as er
from homeassistant.util.hass_dict import HassKey

from ..const import DOMAIN


class Holders:
    """Who holds what, by VIN or site number, and who waits for it."""

    def __init__(self, hass: HomeAssistant) -> None:
        """Begin with nothing held."""
        self._hass = hass
        self._held: dict[str, str] = {}
        self._waiting: dict[str, dict[str, CALLBACK_TYPE]] = {}
        self._left: set[str] = set()

    @callback
    def claim(self, key: str, entry: ConfigEntry, when_free: CALLBACK_TYPE) -> ConfigEntry | None:
        """Take a car or site; when another entry has it, return that one, and wait: `when_free` is called once."""
        self._left.discard(entry.entry_id)
        holder = self._holder(key, entry)
        if holder is not None and holder.entry_id != entry.entry_id:
            self._waiting.setdefault(key, {})[entry.entry_id] = when_free
            return holder
        self._held[key] = entry.entry_id
        self._waiting.get(key, {}).pop(entry.entry_id, None)
        return None

    @callback
    def awaited(self, key: str) -> bool:
        """Say whether another entry waits for it."""
        return bool(self._waiting.get(key))

    @callback
    def release(self, key: str, entry_id: str) -> None:
        """Give up what the entry holds, and tell who waits."""
        if self._held.get(key) == entry_id:
            del self._held[key]
            for when_free in self._waiting.pop(key, {}).values():
                when_free()

    @callback
    def leave(self, entry_id: str) -> None:
        """Give up all that an entry holds or waits for: it is removed or disabled."""
        self._left.add(entry_id)
        self.stop_waiting(entry_id)
        self.release_others(entry_id, set())

    @callback
    def release_others(self, entry_id: str, kept: set[str]) -> None:
        """Give up all that an entry was taken to hold except what it has."""
        for key in [key for key, holder in self._held.items() if holder == entry_id and key not in kept]:
            self.release(key, entry_id)

    @callback
    def stop_waiting(self, entry_id: str, key: str | None = None) -> None:
        """Forget that an entry waits for one car or site, or for any."""
        for name, waiting in self._waiting.items():
            if key in (None, name):
                waiting.pop(entry_id, None)

    def _holder(self, key: str, claimant: ConfigEntry) -> ConfigEntry | None:
        """Return the entry that has it; before that one is loaded, the one whose entities the registry has."""
        entries = {
            entry.entry_id: entry
            for entry in self._hass.config_entries.async_entries(DOMAIN, include_disabled=False)
            if entry.entry_id not in self._left
        }
        if (holder := entries.get(self._held.get(key, ""))) is not None:
            return holder
        registry = er.async_get(self._hass)
        counts = Counter(
            {
                entry_id: sum(
                    known.unique_id.startswith(f"{key}-")
                    for known in er.async_entries_for_config_entry(registry, entry_id)
                )
                for entry_id in sorted(entries, key=lambda entry_id: entry_id != claimant.entry_id)
            }
        )
        entry_id, count = max(counts.items(), key=lambda item: item[1])
        if count:
            self._held[key] = entry_id
            return entries[entry_id]
        return None


_HOLDERS: HassKey[Holders] = HassKey(f"{DOMAIN}_holders")


@callback
def holders(hass: HomeAssistant) -> Holders:
    """Return the one table of this Home Assistant."""
    return hass.data.setdefault(_HOLDERS, Holders(hass))
