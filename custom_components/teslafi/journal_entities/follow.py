"""What follows from a car's journal without any entity: lines of activity, and long-term statistics."""

from homeassistant.core import HomeAssistant, callback

from ..const import LOGGER
from ..coordinators.billed_charges import BillFollower
from ..coordinators.journal_summary import JournalCoordinator
from ..journal.file import JournalUnusable
from ..runtime import TeslaFiConfigEntry
from .activity import fire_for_activity
from .statistics import HOUR, async_fill, async_first_untold, sessions_of


@callback
def follow_journals(hass: HomeAssistant, entry: TeslaFiConfigEntry) -> None:
    """Follow the journal of every car of an account, also of cars that come later."""
    followed: set[str] = set()

    @callback
    def look() -> None:
        for vin in entry.runtime_data.vehicles.keys() - followed:
            followed.add(vin)
            _Follower(hass, entry, vin).start()

    look()
    entry.async_on_unload(entry.runtime_data.account.async_add_listener(look))


class _Follower:
    """Follows one car's journal."""

    def __init__(self, hass: HomeAssistant, entry: TeslaFiConfigEntry, vin: str) -> None:
        self._hass = hass
        self._entry = entry
        self._vin = vin
        self._car: JournalCoordinator = entry.runtime_data.journal_of(vin)
        self._filling = False

    def start(self) -> None:
        stop_telling = self._car.listen_to_closed(lambda session: fire_for_activity(self._car, session))
        self._entry.async_on_unload(stop_telling)
        details = self._entry.runtime_data.vehicles[self._vin].details
        if details.offered:
            BillFollower(self._hass, self._car, details).start()
        if "recorder" in self._hass.config.components:
            self._entry.async_on_unload(self._car.async_add_listener(self._changed))
            self._entry.async_create_background_task(self._hass, self._catch_up(), "teslafi statistics")

    async def _catch_up(self) -> None:
        """Fill in what was told while nobody added it up, and what a fill did not come to."""
        journal = self._car.journal
        try:
            sessions = await journal.async_query(sessions_of, journal.store, self._vin)
            untold = await async_first_untold(self._hass, self._vin, sessions)
        except JournalUnusable:
            untold = 0  # nobody knows, until it can be read
        if untold is not None:
            self._car.note_changed(untold)
        self._changed()

    @callback
    def _changed(self) -> None:
        """Fill in the statistics from the first hour that is told anew; one at a time."""
        if self._car.changed_since is None or self._filling:
            return
        self._filling = True
        self._entry.async_create_background_task(self._hass, self._fill(), "teslafi statistics")

    async def _fill(self) -> None:
        since: int | None = None
        try:
            while (since := self._car.take_changed_since()) is not None:
                await self._fill_from(since - HOUR)
        except JournalUnusable as error:
            # The journal's own repair tells of it; the hours are filled in with the next session.
            LOGGER.debug("No statistics: %s", error)
        finally:
            if since is not None:
                self._car.note_changed(since)
            self._filling = False

    async def _fill_from(self, since: int) -> None:
        journal = self._car.journal
        sessions = await journal.async_query(sessions_of, journal.store, self._vin)
        vehicle = self._entry.runtime_data.vehicles.get(self._vin)
        name = vehicle.vehicle_name if vehicle is not None else self._vin[-6:]
        await async_fill(self._hass, self._vin, name, sessions, since)
