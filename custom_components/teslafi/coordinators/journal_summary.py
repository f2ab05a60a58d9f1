"""What entities show of one car's journal: its last sessions, this month, the battery; new when a session ends."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Final, override

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import CALLBACK_TYPE, HomeAssistant, callback
from homeassistant.helpers.update_coordinator import DataUpdateCoordinator
from homeassistant.util import dt as dt_util

from ..const import LOGGER
from ..journal.battery import Health
from ..journal.file import JournalUnusable
from ..journal.sessions import Charge, Closed, Drive, Parking, SoftwareVersion
from ..journal.store import Recorded, Store
from ..journal.summary import costs_of, logged_share
from .journal import Journal

SHARE_DAYS: Final = 30
"""Days whose drives tell the share of the distance that was logged."""
NEWS: Final = timedelta(days=2)
"""What ended longer ago is no news: it was found out late."""

type Told = Callable[[Closed], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Month:
    """This calendar month, local time."""

    distance_km: float = 0.0
    energy_kwh: float = 0.0
    """Charged, into the battery."""
    costs: Mapping[str, float] = field(default_factory=dict)
    """Currency -> what charging cost. Amounts of two currencies are never added up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalData:
    """What is known of a car's journal. `parked` and `charging` go on; the rest is closed."""

    last_drive: Drive | None = None
    last_charge: Charge | None = None
    charging: Charge | None = None
    parked: Parking | None = None
    month: Month = Month()
    health: Health = field(default_factory=Health)
    logged_share: float | None = None
    """Share of the distance of the last 30 days that was seen, 0 to 1; the rest was told from the odometer."""

    @property
    def charge(self) -> Charge | None:
        """The charge that goes on, or the last one."""
        return self.charging or self.last_charge


class JournalCoordinator(DataUpdateCoordinator[JournalData]):
    """Follows the journal of one car. Nothing is asked by time: what is recorded brings the news."""

    config_entry: ConfigEntry

    def __init__(self, hass: HomeAssistant, entry: ConfigEntry, journal: Journal, vin: str) -> None:
        """Know nothing yet; `async_start` reads what there is."""
        super().__init__(hass, LOGGER, config_entry=entry, name=f"journal of car …{vin[-6:]}")
        self.vin = vin
        self.journal = journal
        self.data = JournalData()
        self.readable = True
        """Whether the journal could be read when it was asked last."""
        self.changed_since: int | None = None
        """From when on sessions were told anew, for whoever adds them up."""
        self._listeners_of_closed: list[Told] = []
        self._told: dict[type, int] = {}
        self._looked = False

    @callback
    def async_start(self) -> None:
        """Read what there is, and follow what comes until the entry is unloaded."""
        self.config_entry.async_on_unload(self.journal.listen(self.vin, self._recorded))
        self._read_soon()

    @callback
    def listen_to_closed(self, told: Told) -> CALLBACK_TYPE:
        """Have `told` called with each session that has ended, once; return how to stop."""
        self._listeners_of_closed.append(told)
        return lambda: self._listeners_of_closed.remove(told)

    @callback
    def _recorded(self, recorded: Recorded) -> None:
        for session in recorded.closed:
            self._announce(session)
        if recorded.closed:
            self.note_changed(min(_start(session) for session in recorded.closed))
        if any(not isinstance(session, SoftwareVersion) for session in recorded.closed) or not self.readable:
            self._read_soon()
        elif (data := self._with_current(self.data)) != self.data:
            self.async_set_updated_data(data)

    async def async_brought_in(self) -> None:
        """Read anew: the past was told anew."""
        self.note_changed(0)
        await self.async_refresh()

    def note_changed(self, since: int) -> None:
        """Note that sessions were told anew from a moment on."""
        self.changed_since = since if self.changed_since is None else min(since, self.changed_since)

    def take_changed_since(self) -> int | None:
        """Return from when on sessions were told anew, once."""
        since, self.changed_since = self.changed_since, None
        return since

    def _announce(self, session: Closed) -> None:
        """Tell of a session once, when it is news; one that is told again with a truer end is the same."""
        start = _start(session)
        end = session.since if isinstance(session, SoftwareVersion) else session.end
        first = isinstance(session, SoftwareVersion) and session.after is None
        if (
            start <= self._told.get(type(session), 0)
            or first
            or dt_util.utcnow().timestamp() - end > NEWS.total_seconds()
        ):
            return
        self._told[type(session)] = start
        for told in list(self._listeners_of_closed):
            told(session)

    def _read_soon(self) -> None:
        self.config_entry.async_create_background_task(self.hass, self.async_refresh(), f"teslafi {self.name}")

    @override
    async def _async_update_data(self) -> JournalData:
        now = dt_util.now()
        month = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0).timestamp()
        since = (now - timedelta(days=SHARE_DAYS)).timestamp()
        try:
            data = await self.journal.async_query(_read, self.journal.store, self.vin, int(month), int(since))
        except JournalUnusable:
            # The journal tells of it itself, once: its line in the log, its repair.
            self.readable = False
            return self.data
        self.readable = True
        if not self._looked:
            self._looked = True
            for last in (data.last_drive, data.last_charge):
                if last is not None:
                    # Of the run before this one: told then
                    self._told.setdefault(type(last), last.start)
        return self._with_current(data)

    def _with_current(self, data: JournalData) -> JournalData:
        session = self.journal.current(self.vin)
        parked = session if isinstance(session, Parking) else None
        return replace(data, charging=session if isinstance(session, Charge) else None, parked=parked)


def _start(session: Closed) -> int:
    return session.since if isinstance(session, SoftwareVersion) else session.start


def _read(store: Store, vin: str, month: int, since: int) -> JournalData:
    """Read the closed sessions, each kind once. Blocks."""
    with store.together():
        charges = store.charges(vin, addresses=False)
        drives = store.drives(vin, min(month, since))
        return JournalData(
            last_drive=store.last_drive(vin),
            last_charge=store.last_charge(vin) if charges else None,
            month=month_of(_since(month, drives), _since(month, charges)),
            health=store.health(vin, charges),
            logged_share=logged_share(_since(since, drives)),
        )


def _since[S: Drive | Charge](moment: int, sessions: Sequence[S]) -> list[S]:
    """Return the sessions that touch the time from a moment on."""
    return [session for session in sessions if session.end > moment]


def month_of(drives: Sequence[Drive], charges: Sequence[Charge]) -> Month:
    """Add up a month."""
    return Month(
        distance_km=sum(drive.distance_km for drive in drives),
        energy_kwh=sum(charge.added_kwh for charge in charges),
        costs=costs_of(charges),
    )
