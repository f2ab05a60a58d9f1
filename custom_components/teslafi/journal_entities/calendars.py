"""Calendars of a car's journal: its drives, and its charges."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, override

from homeassistant.components.calendar import CalendarEntity, CalendarEntityDescription, CalendarEvent
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.util import dt as dt_util

from ..const import DOMAIN
from ..coordinators.journal_summary import JournalData
from ..journal.addresses import place_name
from ..journal.file import JournalUnusable
from ..journal.sessions import Charge, Drive
from ..journal.store import Store
from .entity import JournalDescription, JournalEntity
from .words import Words, charge_line, drive_line, words_of

LEAST_SECONDS: Final = 60
"""Length of an event at least: calendars do not show shorter ones."""
GOES_ON: Final = 3600
"""Seconds for which a session that goes on is shown ahead; each look shows it anew."""


@dataclass(frozen=True, kw_only=True)
class JournalCalendarDescription(CalendarEntityDescription, JournalDescription):
    """A calendar of the journal. `query` asks the store for the sessions of a span."""

    query: Callable[[Store, str, int, int], Sequence[Drive | Charge]]
    now: Callable[[JournalData], Drive | Charge | None]


CALENDARS: Final = (
    JournalCalendarDescription(
        key="journal_drives",
        query=lambda store, vin, start, end: store.drives(vin, start, end),
        now=lambda _: None,
    ),
    JournalCalendarDescription(
        key="journal_charges",
        value_fn=lambda data: None if data.charging is None else data.charging.start,
        query=lambda store, vin, start, end: store.charges(vin, start, end),
        now=lambda data: data.charging,
    ),
)


class JournalCalendar(JournalEntity, CalendarEntity):
    """Sessions as events. They cannot be changed: they happened."""

    entity_description: JournalCalendarDescription

    @property
    @override
    def event(self) -> CalendarEvent | None:
        """The session that goes on; it is not known when it ends."""
        session = self.entity_description.now(self.coordinator.data)
        if session is None:
            return None
        goes_on = replace(session, end=max(session.end, int(dt_util.utcnow().timestamp()) + GOES_ON))
        return event_of(words_of(self.hass), goes_on)

    @override
    async def async_get_events(
        self, hass: HomeAssistant, start_date: datetime, end_date: datetime
    ) -> list[CalendarEvent]:
        """Return the sessions that touch a span."""
        journal, words = self.coordinator.journal, words_of(hass)
        span = int(start_date.timestamp()), int(end_date.timestamp())

        def events() -> list[CalendarEvent]:
            sessions = self.entity_description.query(journal.store, self.coordinator.vin, *span)
            return [event_of(words, session) for session in sessions]

        try:
            return await journal.async_query(events)
        except JournalUnusable as error:
            raise HomeAssistantError(translation_domain=DOMAIN, translation_key="journal_unusable") from error


def event_of(words: Words, session: Drive | Charge) -> CalendarEvent:
    """Return a session as an event, told in words."""
    drive = isinstance(session, Drive)
    return CalendarEvent(
        start=dt_util.as_local(dt_util.utc_from_timestamp(session.start)),
        end=dt_util.as_local(dt_util.utc_from_timestamp(max(session.end, session.start + LEAST_SECONDS))),
        summary=drive_line(words, session) if isinstance(session, Drive) else charge_line(words, session),
        location=(
            place_name(session.end_place, session.end_position)
            if isinstance(session, Drive)
            else place_name(session.place, session.position)
        ),
        uid=f"{'drive' if drive else 'charge'}-{session.start}",
    )
