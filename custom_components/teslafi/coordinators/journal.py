"""The journal in Home Assistant: what coordinators see goes in, batched and off the event loop; who listens is told.

One file serves all accounts. What cannot be written is kept in memory and tried again each minute; watching goes on.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
import time
from typing import Final

from homeassistant.components.zone import async_active_zone
from homeassistant.config_entries import ConfigEntry
from homeassistant.const import ATTR_LATITUDE, ATTR_LONGITUDE, EVENT_HOMEASSISTANT_FINAL_WRITE
from homeassistant.core import CALLBACK_TYPE, Event, HassJob, HomeAssistant, State as EntityState, callback
from homeassistant.helpers.event import async_call_later, async_track_time_interval
from homeassistant.util.hass_dict import HassKey

from ..const import CONF_JOURNAL_MONTHS, CONF_JOURNAL_POSITIONS, DOMAIN, LOGGER
from ..issues import JOURNAL_DAMAGED, JOURNAL_TOO_NEW, JOURNAL_UNUSABLE, note_journal, note_prices
from ..journal.addresses import address_of
from ..journal.file import JournalDamaged, JournalTooNew, JournalUnusable
from ..journal.privacy import Positions, veiled
from ..journal.rules import State, current
from ..journal.sample import Position, Sample
from ..journal.sessions import Charge, Drive, Parking
from ..journal.store import Recorded, Store, move_aside
from .costs import Repriced, async_with_prices, priced, pricing_of, reprice
from .samples import placed

FILE: Final = "teslafi.journal.db"
BATCH_SECONDS: Final = 2.0
"""What is seen within so many seconds is written at once."""
RETRY_SECONDS: Final = 60.0
PLACE_DIGITS: Final = 4
"""Digits of degrees to which places of addresses are told apart: eleven meters."""
MONTHS_KEPT: Final = 13
"""Months for which all samples are kept where the owner chose no other number; 0 means forever."""
DAYS_OF_MONTH: Final = 365.25 / 12
THIN_EACH: Final = timedelta(days=1)
QUEUE_MOST: Final = 20_000
"""Observations of a car that wait while the file cannot be opened; the oldest go first."""

type Listener = Callable[[Recorded], None]


class Journal:
    """The store, and the ways in and out."""

    def __init__(self, hass: HomeAssistant) -> None:
        """Name the file; nothing is opened yet. Use `async_get_journal`, so that there is one."""
        self.store: Final = Store(Path(hass.config.path(FILE)))
        self._hass = hass
        self._queues: dict[str, deque[Sample]] = {}
        self._states: dict[str, State] = {}
        self._addresses: dict[str, dict[Position, str]] = {}
        """What places are called where cars have stood since the last write."""
        self._listeners: dict[str, list[Listener]] = {}
        self._entries: dict[str, ConfigEntry] = {}
        """Car -> the account that saw it last, whose tariffs apply."""
        self._leaving: list[CALLBACK_TYPE] = []
        self._users: set[str] = set()
        self._open = False
        self._trouble: str | None = None
        self._hopeless = False
        self._writing = asyncio.Lock()
        self._later: CALLBACK_TYPE | None = None
        self._stops: list[CALLBACK_TYPE] = []

    # Coming and going

    async def async_join(self, entry: ConfigEntry) -> None:
        """Open the file for an account, and have it closed once no account needs it."""
        self._users.add(entry.entry_id)
        if not self._stops:
            self._stops = [
                self._hass.bus.async_listen_once(EVENT_HOMEASSISTANT_FINAL_WRITE, self._stopping),
                async_track_time_interval(self._hass, self._thin, THIN_EACH, cancel_on_shutdown=True),
            ]
        async with self._writing:
            await self._open_file()

    async def async_leave(self, entry: ConfigEntry) -> None:
        """Write out what waits; close the file when the last account leaves. Once is enough."""
        if entry.entry_id not in self._users:
            return
        self._users.discard(entry.entry_id)
        self.interrupt()
        await self.async_flush()
        if not self._users:
            await self._close()

    @callback
    def listen_to_leaving(self, stop: CALLBACK_TYPE) -> CALLBACK_TYPE:
        """Have `stop` called when an account leaves or Home Assistant ends; what takes long has to give way then."""
        self._leaving.append(stop)
        return lambda: self._leaving.remove(stop)

    @callback
    def interrupt(self) -> None:
        """Have what takes long end: somebody leaves."""
        for stop in list(self._leaving):
            stop()

    async def _stopping(self, _event: Event) -> None:
        del self._stops[:1]
        self.interrupt()
        await self.async_flush()
        await self._close()

    async def _close(self) -> None:
        for stop in self._stops:
            stop()
        self._stops.clear()
        self._cancel()
        async with self._writing:
            if self._open:
                self._open = False
                try:
                    await self._hass.async_add_executor_job(self.store.close)
                except JournalUnusable as error:
                    LOGGER.warning("The journal could not be closed properly (%s)", type(error).__name__)

    def _cancel(self) -> None:
        if self._later is not None:
            self._later()
            self._later = None

    @callback
    def _write_within(self, seconds: float) -> None:
        """Write what waits after so many seconds, or sooner if that was meant already."""
        if self._later is None and self._users:
            job = HassJob(self._write_then, "teslafi journal", cancel_on_shutdown=True)
            self._later = async_call_later(self._hass, seconds, job)

    async def _write_then(self, _now: datetime) -> None:
        self._later = None
        await self.async_flush()

    # In

    @callback
    def see(self, entry: ConfigEntry, vin: str, sample: Sample) -> None:
        """Take in an observation of a car of an account; it is written within seconds."""
        self._entries[vin] = entry
        queue = self._queues.setdefault(vin, deque(maxlen=QUEUE_MOST))
        sample = self._with_zone(entry, sample)
        queue.append(sample)
        if (address := address_of(sample)) is not None:
            (latitude, longitude), name = address
            # As it is kept: a parked car whose place is told anew each minute is one place
            self._addresses.setdefault(vin, {})[round(latitude, PLACE_DIGITS), round(longitude, PLACE_DIGITS)] = name
        self._write_within(BATCH_SECONDS)

    def _with_zone(self, entry: ConfigEntry, sample: Sample) -> Sample:
        zone = None if sample.position is None else async_active_zone(self._hass, *sample.position)
        positions = Positions(entry.options.get(CONF_JOURNAL_POSITIONS, Positions.EXACT))
        return veiled(placed(sample, None if zone is None else zone.name), positions, _center(zone))

    async def async_flush(self) -> None:
        """Write what waits, now; what cannot be written waits on."""
        async with self._writing:
            await self._write_out()

    async def _write_out(self) -> None:
        if self._hopeless or not await self._open_file():
            return
        try:
            await self._note_addresses()
            recorded = await self._record()
        except JournalUnusable as error:
            self._failed(error)
            return
        for vin, one in recorded.items():
            self._tell(vin, await self._named(vin, await self._priced(vin, one)))
        self._note(None)

    async def _note_addresses(self) -> None:
        """Write what places are called; what is not taken waits with the samples."""
        for vin in list(self._addresses):
            told = self._addresses.pop(vin)
            try:
                await self._hass.async_add_executor_job(self.store.note_addresses, vin, told.items())
            except JournalUnusable:
                self._addresses[vin] = told | self._addresses.get(vin, {})
                raise

    async def _record(self) -> Mapping[str, Recorded]:
        """Have what was seen of all cars written; after trouble, also what waits of those that nothing was seen of."""
        vins = set(self._queues) | (set(self._states) if self._trouble else set())
        if not vins:
            return {}
        seen = {vin: list(self._queues.pop(vin, ())) for vin in sorted(vins)}
        return await self._hass.async_add_executor_job(partial(self.store.record_all, seen, now=int(time.time())))

    async def _priced(self, vin: str, recorded: Recorded) -> Recorded:
        """Return what was recorded with the costs of the charges that have ended."""
        charges = [one for one in recorded.closed if isinstance(one, Charge)]
        entry = self._entries.get(vin)
        if not charges or entry is None or not (pricing := pricing_of(self._hass, entry)):
            return recorded
        pricing = await async_with_prices(self._hass, pricing, charges)
        closed = await self._hass.async_add_executor_job(
            lambda: [
                priced(self.store, vin, one, pricing) if isinstance(one, Charge) else one for one in recorded.closed
            ]
        )
        by_entity = [one for one in closed if isinstance(one, Charge) and one.place in pricing.entities]
        if by_entity:
            note_prices(self._hass, entry, sum(one.cost is None for one in by_entity))
        return replace(recorded, closed=closed)

    async def _named(self, vin: str, recorded: Recorded) -> Recorded:
        """Return what was recorded with addresses; after the costs, which go by zones."""
        if not recorded.closed:
            return recorded
        try:
            return replace(recorded, closed=await self.async_query(self.store.named, vin, recorded.closed))
        except JournalUnusable as error:
            # It is written and news: it is told without addresses
            LOGGER.debug("No addresses (%s)", error)
            return recorded

    def _tell(self, vin: str, recorded: Recorded) -> None:
        self._states[vin] = recorded.state
        for listener in list(self._listeners.get(vin, ())):
            listener(recorded)

    # Out

    @callback
    def listen(self, vin: str, listener: Listener) -> CALLBACK_TYPE:
        """Have `listener` called with what came of recording; return how to stop that."""
        listeners = self._listeners.setdefault(vin, [])
        listeners.append(listener)
        return lambda: listeners.remove(listener)

    def current(self, vin: str) -> Drive | Charge | Parking | None:
        """Return what goes on now, as far as it was seen; None before anything was."""
        state = self._states.get(vin)
        return None if state is None else current(state)

    async def async_load_states(self, vins: Iterable[str]) -> None:
        """Read the cars' states of the last run, so that `current` knows them."""
        unknown = [vin for vin in vins if vin not in self._states]
        if self._open and unknown:
            try:
                self._states |= await self.async_query(self.store.states, unknown)
            except JournalUnusable as error:
                self._failed(error)

    async def async_query[**P, T](self, ask: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Ask the store off the event loop; raise JournalUnusable when it cannot answer."""
        return await self._hass.async_add_executor_job(lambda: ask(*args, **kwargs))

    async def async_rewrite[T](self, vin: str, work: Callable[[], T]) -> T:
        """Do something that tells the past of a car anew; what is seen meanwhile waits.

        Raise what the work raises: JournalUnusable when nothing can be written.
        """
        await self.async_flush()
        async with self._writing:
            done = await self._hass.async_add_executor_job(work)
            self._states[vin] = await self._hass.async_add_executor_job(self.store.state, vin)
        self._write_within(BATCH_SECONDS)
        return done

    async def async_delete(self, vin: str) -> None:
        """Delete everything that is kept of a car; raise JournalUnusable when that is not done."""
        async with self._writing:
            self._queues.pop(vin, None)
            self._addresses.pop(vin, None)
            await self._hass.async_add_executor_job(self.store.delete, vin)
            self._states.pop(vin, None)

    async def async_reprice(self, entry: ConfigEntry, vin: str) -> Repriced:
        """Reckon the cost of all of a car's charges anew by an account's tariffs."""
        charges = await self.async_query(self.store.charges, vin, addresses=False)
        pricing = await async_with_prices(self._hass, pricing_of(self._hass, entry), charges)
        done = await self.async_rewrite(vin, lambda: reprice(self.store, vin, pricing))
        note_prices(self._hass, entry, len(done.without_price))
        return done

    # Trouble

    @property
    def trouble(self) -> str | None:
        """Why nothing can be written, if nothing can: the key of the repair."""
        return self._trouble

    async def _open_file(self) -> bool:
        if self._open or self._hopeless:
            return self._open
        try:
            await self._hass.async_add_executor_job(self.store.open)
        except JournalUnusable as error:
            self._failed(error)
            return False
        self._open = True
        self._note(None)
        return True

    def _failed(self, error: JournalUnusable) -> None:
        if isinstance(error, JournalDamaged | JournalTooNew):
            self._hopeless = True
            self._note(JOURNAL_DAMAGED if isinstance(error, JournalDamaged) else JOURNAL_TOO_NEW)
            return
        self._note(JOURNAL_UNUSABLE)
        self._write_within(RETRY_SECONDS)

    def _note(self, trouble: str | None) -> None:
        if trouble == self._trouble:
            return
        self._trouble = trouble
        note_journal(self._hass, trouble)
        if trouble is None:
            LOGGER.info("The journal can be written again")
        else:
            LOGGER.warning("The journal cannot be written (%s); watching goes on", trouble)

    async def async_start_anew(self) -> Path:
        """Move a damaged file aside and begin a new one, at the owner's word; return where the old one lies."""
        async with self._writing:
            if self._open:
                self._open = False
                await self._hass.async_add_executor_job(self.store.abandon)
            aside = await self._hass.async_add_executor_job(move_aside, self.store.path)
            self._hopeless = False
            self._states.clear()
            await self._open_file()
        return aside

    # Keeping house

    async def _thin(self, _now: datetime) -> None:
        async with self._writing:
            if self._open and self._trouble is None:
                try:
                    kept = {vin: _days_kept(entry) for vin, entry in self._entries.items()}
                    await self._hass.async_add_executor_job(partial(self.store.thin, int(time.time()), of=kept))
                except JournalUnusable as error:
                    self._failed(error)

    async def async_pause(self) -> None:
        """Bring all into the one file, and write nothing until `resume`: a backup is being made."""
        await self.async_flush()
        await self._writing.acquire()
        if self._open and self._trouble is None:
            try:
                await self._hass.async_add_executor_job(self.store.checkpoint)
            except JournalUnusable as error:
                self._failed(error)

    @callback
    def resume(self) -> None:
        """Write again what was seen meanwhile."""
        self._writing.release()
        self._write_within(BATCH_SECONDS)


def _days_kept(entry: ConfigEntry) -> int | None:
    """Return for how many days an account keeps all samples of its cars, None forever."""
    months = int(entry.options.get(CONF_JOURNAL_MONTHS, MONTHS_KEPT))
    return round(months * DAYS_OF_MONTH) if months else None


def _center(zone: EntityState | None) -> Position | None:
    if zone is None:
        return None
    attributes: Mapping[str, float] = zone.attributes
    return attributes[ATTR_LATITUDE], attributes[ATTR_LONGITUDE]


_JOURNAL: HassKey[Journal] = HassKey(f"{DOMAIN}_journal")


@callback
def get_journal(hass: HomeAssistant) -> Journal:
    """Return the journal of this Home Assistant."""
    if (journal := hass.data.get(_JOURNAL)) is None:
        journal = hass.data[_JOURNAL] = Journal(hass)
    return journal
