"""The way of the owner's history: files from TeslaFi.com, brought into the journal while Home Assistant goes on."""

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
import shutil
import threading
from typing import Any, Final, override
from zoneinfo import ZoneInfo

from homeassistant.components.file_upload import process_uploaded_file
from homeassistant.components.zone import async_active_zone
from homeassistant.config_entries import ConfigEntryState, ConfigFlowResult
from homeassistant.const import ATTR_LATITUDE, ATTR_LONGITUDE
from homeassistant.core import HomeAssistant
from homeassistant.helpers.selector import (
    FileSelector,
    FileSelectorConfig,
    SelectOptionDict,
    SelectSelector,
    SelectSelectorConfig,
    TextSelector,
)
from homeassistant.util import dt as dt_util
import probatio

from ..const import CONF_JOURNAL_POSITIONS
from ..history.errors import HistoryUnreadable
from ..history.teslafi_import import Import, check, prepare, samples
from ..journal.addresses import address_of
from ..journal.file import JournalUnusable
from ..journal.privacy import Positions, veiled
from ..journal.replay import Cancelled, Replayed
from ..journal.sample import Position, Sample
from ..runtime import TeslaFiConfigEntry
from ..storage.uploads import new_upload_folder
from .account import AccountFlow

FILE: Final = "file"
TIME_ZONE: Final = "time_zone"
CAR: Final = "car"
UPLOAD: Final = FileSelector(FileSelectorConfig(accept=".csv,.zip,text/csv,application/zip"))
PLACES_DIGITS: Final = 3
"""Zones are looked up in cells of about a hundred meters."""


class ImportHistoryFlow(AccountFlow):
    """Brings in files. They lie in a folder of the flow's own until it ends."""

    _folder: Path | None = None
    _import: tuple[Import, str, str | None] | None = None
    """What is brought in, the car that is meant, and the car of files that name none."""
    _importing: asyncio.Task[Replayed] | None = None
    _stop: threading.Event
    """Set when the owner closes the dialog, or the account is unloaded."""
    _error: HistoryUnreadable | JournalUnusable | None = None
    _done: Replayed | None = None
    _looking: bool = False
    """A file is being looked at; whoever does it deletes it, should the dialog be closed meanwhile."""

    def __init__(self) -> None:
        """Begin with nothing brought."""
        super().__init__()
        self._stop = threading.Event()

    async def async_step_import_history(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask for a file, whose times it has, and whose it is where it does not say."""
        if self._entry.state is not ConfigEntryState.LOADED:
            return self.async_abort(reason="not_loaded")
        errors: dict[str, str] = {}
        placeholders: Mapping[str, str] = {}
        if self._error is not None:
            errors, placeholders = _told(self._error)
            self._error = None
        if user_input is not None:
            try:
                return await self._prepare_import(user_input)
            except HistoryUnreadable as error:
                errors, placeholders = _told(error)
        return self.async_show_form(
            step_id="import_history",
            data_schema=self._schema(user_input or {}),
            errors=errors,
            description_placeholders={"file": "", "line": "", "column": "", "found": "", **placeholders},
        )

    def _schema(self, typed: Mapping[str, Any]) -> probatio.Schema:
        names = {vin: vehicle.vehicle_name for vin, vehicle in self._entry.runtime_data.vehicles.items()}
        options = [SelectOptionDict(value=vin, label=name) for vin, name in names.items()]
        zone = typed.get(TIME_ZONE) or self.hass.config.time_zone
        car = typed.get(CAR) or next(iter(names), "")
        return probatio.Schema(
            {
                probatio.Required(FILE): UPLOAD,
                probatio.Required(TIME_ZONE, default=zone): TextSelector(),
                probatio.Required(CAR, default=car): SelectSelector(SelectSelectorConfig(options=options)),
            }
        )

    @property
    def _entry(self) -> TeslaFiConfigEntry:
        entry: TeslaFiConfigEntry = self._get_reconfigure_entry()
        return entry

    async def _prepare_import(self, typed: Mapping[str, Any]) -> ConfigFlowResult:
        """Look at the file; raise HistoryUnreadable when nothing can come of it."""
        zone = await _time_zone(typed[TIME_ZONE])
        self._looking = True
        try:
            uploaded = await self.hass.async_add_executor_job(self._uploaded, typed[FILE])
            prepared = await self.hass.async_add_executor_job(prepare, [(uploaded.name, uploaded)], zone)
        finally:
            self._looking = False
            if self._stop.is_set() and self._folder is not None:
                # The dialog was closed meanwhile
                await _deleted(self.hass, self._folder, None)
        if self._stop.is_set():
            return self.async_abort(reason="import_cancelled")
        if self._entry.state is not ConfigEntryState.LOADED:
            return self.async_abort(reason="not_loaded")
        car = typed[CAR]
        if prepared.vins and car not in prepared.vins:
            raise HistoryUnreadable("history_other_car", uploaded.name, found=f"…{prepared.vins[0][-6:]}")
        unnamed = car if prepared.unnamed else None
        self._import = prepared, car, unnamed
        return await self.async_step_import_progress()

    def _uploaded(self, file_id: str) -> Path:
        """Take the uploaded file into the flow's folder. Blocks."""
        try:
            self._folder = self._folder or new_upload_folder(self.hass)
            with process_uploaded_file(self.hass, file_id) as path:
                return Path(shutil.move(path, self._folder / path.name))
        except ValueError:
            raise HistoryUnreadable("history_upload_gone", "") from None
        except OSError as error:
            raise HistoryUnreadable("history_disk", "", found=error.strerror or "") from error

    async def async_step_import_progress(self, _user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Show how far it has come; who closes the dialog cancels it."""
        if self._import is None:
            return self.async_abort(reason="import_cancelled")
        if self._importing is None:
            self._importing = self.hass.async_create_task(self._bring_in(*self._import), "teslafi import")
        if not self._importing.done():
            return self.async_show_progress(
                step_id="import_progress", progress_action="import_history", progress_task=self._importing
            )
        task, self._importing = self._importing, None
        try:
            self._done = task.result()
        except (HistoryUnreadable, JournalUnusable) as error:
            self._error = error
            return self.async_show_progress_done(next_step_id="import_history")
        except Cancelled:
            return self.async_show_progress_done(next_step_id="import_cancelled")
        return self.async_show_progress_done(next_step_id="import_done")

    async def _bring_in(self, prepared: Import, car: str, unnamed: str | None) -> Replayed:
        entry = self._entry
        data = entry.runtime_data
        zones = _Zones(self.hass)
        positions = Positions(entry.options.get(CONF_JOURNAL_POSITIONS, Positions.EXACT))
        stop = self._stop

        def progress(done: Replayed) -> None:
            share = min(done.read / max(prepared.rows, 1), 1.0)
            self.hass.loop.call_soon_threadsafe(self.async_update_progress, share)

        def work() -> Replayed:
            if len(prepared.vins) > 1:
                check(prepared, unnamed=unnamed)
            incoming = samples(prepared, car, unnamed=unnamed, zone_of=zones.name_at)
            places: dict[Position, str] = {}
            kept = _noting(zones.veiled(incoming, positions), places)
            replayed = data.journal.store.bring_in(car, kept, progress=progress, cancelled=stop.is_set)
            data.journal.store.note_addresses(car, places.items())
            return replayed

        stop_listening = data.journal.listen_to_leaving(stop.set)
        try:
            replayed = await data.journal.async_rewrite(car, work)
        finally:
            stop_listening()
        await data.journal_of(car).async_brought_in()
        return replayed

    async def async_step_import_done(self, _user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Say what came of it, and offer to bring in another file."""
        done = self._done or Replayed()
        return self.async_show_menu(
            step_id="import_done",
            menu_options=["import_history", "import_finish"],
            description_placeholders={
                "first": _day(done.first),
                "last": _day(done.last),
                "taken": str(done.taken),
                "covered": str(done.covered),
                "sessions": str(done.sessions),
            },
        )

    async def async_step_import_finish(self, _user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """End."""
        return self.async_abort(reason="history_imported")

    async def async_step_import_cancelled(self, _user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """End without a change."""
        return self.async_abort(reason="import_cancelled")

    @override
    def async_remove(self) -> None:
        """Stop what runs when the owner closes the dialog, and delete the files."""
        self._stop.set()
        if self._folder is not None and not self._looking:
            folder, task = self._folder, self._importing
            self.hass.async_create_task(_deleted(self.hass, folder, task), "teslafi import files")
        super().async_remove()


class _Zones:
    """Names the owner's zones for places, from another thread: the zones of the moment the import began."""

    def __init__(self, hass: HomeAssistant) -> None:
        self._hass = hass
        self._known: dict[Position, tuple[str, Position] | None] = {}

    def name_at(self, latitude: float, longitude: float) -> str | None:
        zone = self._at((latitude, longitude))
        return None if zone is None else zone[0]

    def veiled(self, samples: Iterable[Sample], positions: Positions) -> Iterator[Sample]:
        """Yield samples with as much of their positions as the owner wants kept."""
        for sample in samples:
            zone = None if sample.position is None else self._at(sample.position)
            yield veiled(sample, positions, None if zone is None else zone[1])

    def _at(self, position: Position) -> tuple[str, Position] | None:
        place = (round(position[0], PLACES_DIGITS), round(position[1], PLACES_DIGITS))
        if place not in self._known:
            self._known[place] = asyncio.run_coroutine_threadsafe(self._ask(*place), self._hass.loop).result()
        return self._known[place]

    async def _ask(self, latitude: float, longitude: float) -> tuple[str, Position] | None:
        zone = async_active_zone(self._hass, latitude, longitude)
        if zone is None:
            return None
        return zone.name, (zone.attributes[ATTR_LATITUDE], zone.attributes[ATTR_LONGITUDE])


def _noting(samples: Iterable[Sample], places: dict[Position, str]) -> Iterator[Sample]:
    """Yield the samples, and note what the file calls the places where the car stood."""
    for sample in samples:
        if (told := address_of(sample)) is not None:
            (latitude, longitude), address = told
            places[round(latitude, PLACES_DIGITS), round(longitude, PLACES_DIGITS)] = address
        yield sample


async def _time_zone(name: str) -> ZoneInfo:
    """Return a time zone by its name; raise HistoryUnreadable for what is none."""
    try:
        zone = await dt_util.async_get_time_zone(name.strip())
    except ValueError, OSError:
        zone = None
    if not isinstance(zone, ZoneInfo):
        raise HistoryUnreadable("history_time_zone", "")
    return zone


async def _deleted(hass: HomeAssistant, folder: Path, task: asyncio.Task[Replayed] | None) -> None:
    """Delete the files once nobody reads them any more."""
    if task is not None:
        await asyncio.wait([task])
    await hass.async_add_executor_job(partial(shutil.rmtree, folder, ignore_errors=True))


def _told(error: HistoryUnreadable | JournalUnusable) -> tuple[dict[str, str], Mapping[str, str]]:
    if isinstance(error, HistoryUnreadable):
        return {"base": error.key}, error.placeholders
    return {"base": "journal_unusable"}, {}


def _day(at: int | None) -> str:
    return "-" if at is None else dt_util.as_local(dt_util.utc_from_timestamp(at)).date().isoformat()
