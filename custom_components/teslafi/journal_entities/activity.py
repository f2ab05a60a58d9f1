"""Lines for Home Assistant's activity page: what a car did, in words."""

from typing import Any, Final

from homeassistant.core import callback

from ..const import EVENT_JOURNAL
from ..coordinators.journal_summary import JournalCoordinator
from ..journal.sessions import Charge, Closed, Drive, SoftwareVersion
from ..subject import subject_of
from .figures import Figures, charge_figures, drive_figures, software_figures
from .words import Words, charge_line, drive_line, words_of

DRIVE_ENDED: Final = "drive_ended"
CHARGE_ENDED: Final = "charge_ended"
SOFTWARE_INSTALLED: Final = "software_installed"
MESSAGE: Final = "message"


def told(session: Closed) -> tuple[str, Figures] | None:
    """Return which event a session is, with its figures; None for parking, which ends with each drive."""
    if isinstance(session, Drive):
        return DRIVE_ENDED, drive_figures(session)
    if isinstance(session, Charge):
        return CHARGE_ENDED, charge_figures(session)
    return (SOFTWARE_INSTALLED, software_figures(session)) if isinstance(session, SoftwareVersion) else None


def line_of(words: Words, session: Closed) -> str:
    """Return a session in words."""
    if isinstance(session, Drive):
        return drive_line(words, session)
    if isinstance(session, Charge):
        return charge_line(words, session)
    return words.of("installed", version=session.version) if isinstance(session, SoftwareVersion) else ""


@callback
def fire_for_activity(coordinator: JournalCoordinator, session: Closed) -> None:
    """Put what has ended on Home Assistant's bus, where its activity page reads it (`logbook.py`)."""
    hass = coordinator.hass
    subject = subject_of(hass, coordinator.config_entry.entry_id, coordinator.vin)
    if not subject or (event := told(session)) is None:
        return
    line = line_of(words_of(hass), session)
    data: dict[str, Any] = {**subject, "type": event[0], MESSAGE: line, **event[1]}
    hass.bus.async_fire(EVENT_JOURNAL, data)
