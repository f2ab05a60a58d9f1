"""The event of a car's journal: a drive or charge has ended, software was installed; with the figures."""

from dataclasses import dataclass
from typing import Final, override

from homeassistant.components.event import EventEntity, EventEntityDescription
from homeassistant.core import callback

from ..journal.sessions import Closed
from .activity import CHARGE_ENDED, DRIVE_ENDED, SOFTWARE_INSTALLED, told
from .entity import JournalDescription, JournalEntity


@dataclass(frozen=True, kw_only=True)
class JournalEventDescription(EventEntityDescription, JournalDescription):
    """An event of the journal."""

    entity_registry_enabled_default: bool = False


EVENTS: Final = (JournalEventDescription(key="journal", event_types=[DRIVE_ENDED, CHARGE_ENDED, SOFTWARE_INSTALLED]),)


class JournalEvent(JournalEntity, EventEntity):
    """What has ended."""

    @override
    async def async_added_to_hass(self) -> None:
        """Hear of each session that ends."""
        await super().async_added_to_hass()
        self.async_on_remove(self.coordinator.listen_to_closed(self._closed))

    @callback
    def _closed(self, session: Closed) -> None:
        if (event := told(session)) is not None:
            self._trigger_event(event[0], event[1])
            self.async_write_ha_state()
