"""A private JSON file among Home Assistant's stores whose writes are known to have succeeded, or not to.

Home Assistant's own store logs a write that failed and lets nobody know. The format is the store's, and it reads.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
import json
from pathlib import Path
from typing import Any, Final

from atomicwrites import AtomicWriter  # type: ignore[import-untyped] # it ships no types
from homeassistant.const import EVENT_HOMEASSISTANT_FINAL_WRITE
from homeassistant.core import CALLBACK_TYPE, Event, HassJob, HomeAssistant, callback
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers.event import async_call_later
from homeassistant.helpers.storage import STORAGE_DIR, Store
from homeassistant.util.hass_dict import HassKey

from ..const import DOMAIN, LOGGER
from ..issues import note_storage

VERSION: Final = 1
_FAILING: HassKey[set[str]] = HassKey(f"{DOMAIN}_storage_failing")
"""Names of the files that the disk did not take."""

type Contents = dict[str, Any]


class StorageFailed(Exception):
    """The disk did not take a file or did not let go of one: full, read-only, broken."""


class PrivateFile:
    """One file, for the user of Home Assistant alone (0600). What was written is read back and compared."""

    def __init__(self, hass: HomeAssistant, key: str) -> None:
        """Name the file; nothing is read yet."""
        self.key: Final = key
        self._hass = hass
        self._store = Store[Contents](hass, VERSION, key, private=True)
        self._lock = asyncio.Lock()

    async def load(self) -> Contents | None:
        """Read it; {} when it is JSON but no store, which Home Assistant's own recovery does not expect.

        Raise StorageFailed when the disk does not give it.
        """
        try:
            stored: object = await self._store.async_load()
        except HomeAssistantError as error:
            raise StorageFailed(f"{self.key} cannot be read") from error
        except (KeyError, TypeError, AttributeError) as error:
            LOGGER.warning("The file %s is damaged (%s)", self.key, type(error).__name__)
            return {}
        return stored if isinstance(stored, dict) or stored is None else {}

    async def write(self, data: Contents) -> None:
        """Write it, in place of what it held, whole or not at all; raise StorageFailed when it is not on disk then."""
        text = json.dumps({"version": VERSION, "minor_version": 1, "key": self.key, "data": data}, indent=2)
        await self._on_disk(lambda path: _write(path, text))

    async def remove(self) -> None:
        """Delete it, if it is there; raise StorageFailed when it is there still."""
        await self._on_disk(lambda path: path.unlink(missing_ok=True))

    async def _on_disk(self, act: Callable[[Path], None]) -> None:
        async with self._lock:
            try:
                await self._hass.async_add_executor_job(act, Path(self._store.path))
            except (OSError, ValueError) as error:
                self._note(error)
                raise StorageFailed(f"{self.key}: {error}") from error
            self._note(None)

    def _note(self, error: Exception | None) -> None:
        """Tell the owner when the first of our files cannot be written, and when all can be again."""
        failing = self._hass.data.setdefault(_FAILING, set())
        had_failed = bool(failing)
        if error is None:
            failing.discard(self.key)
        else:
            failing.add(self.key)
        if bool(failing) == had_failed:
            return
        note_storage(self._hass, failed=bool(failing))
        if error is None:
            LOGGER.info("The disk takes TeslaFi's files again")
        else:
            LOGGER.warning("The disk does not take TeslaFi's file %s (%s); it is tried again", self.key, error)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(exist_ok=True)
    with AtomicWriter(str(path), mode="w", overwrite=True, encoding="utf-8").open() as file:
        file.write(text)
    if path.read_text("utf-8") != text:
        raise OSError("what was read back is not what was written")


class Later:
    """Something that is done after a while, or when Home Assistant stops, whichever comes first."""

    def __init__(self, hass: HomeAssistant, seconds: float, act: Callable[[], Awaitable[None]]) -> None:
        """Do nothing yet."""
        self._hass = hass
        self._seconds = seconds
        self._act = act
        self._calls: list[CALLBACK_TYPE] = []

    @property
    def is_due(self) -> bool:
        """Whether it is going to be done."""
        return bool(self._calls)

    @callback
    def begin(self) -> None:
        """Do it later; a wait that has begun does not begin anew."""
        if not self._calls:
            at_the_end = self._hass.bus.async_listen_once(EVENT_HOMEASSISTANT_FINAL_WRITE, self._stopping)
            timer = HassJob(self._waited, cancel_on_shutdown=True)
            self._calls = [at_the_end, async_call_later(self._hass, self._seconds, timer)]

    @callback
    def cancel(self) -> None:
        """Do it not."""
        calls, self._calls = self._calls, []
        for cancel in calls:
            cancel()

    async def _waited(self, _now: datetime) -> None:
        del self._calls[1:]
        self.cancel()
        await self._act()

    async def _stopping(self, _event: Event) -> None:
        del self._calls[:1]
        self.cancel()
        await self._act()


TEMPORARY: Final = "tmp*"
"""How the names of files begin that a write in progress makes beside its target."""
HEAD_BYTES: Final = 512


def clean_up(folder: Path, key_file: str) -> int:
    """Delete what interrupted writes of ours left behind, those of `key_file` first; return how many.

    A temporary file tells in its first lines whose it is. Nothing of ours is being written yet.
    """
    left = [(head, path) for path in folder.glob(TEMPORARY) if f'"key": "{DOMAIN}.' in (head := _head(path))]
    for _, path in sorted(left, key=lambda found: f'"{key_file}"' not in found[0]):
        path.unlink(missing_ok=True)
    return len(left)


def _head(path: Path) -> str:
    with path.open("rb") as file:
        return file.read(HEAD_BYTES).decode(errors="replace")


async def async_clean_up(hass: HomeAssistant, key_file: str) -> None:
    """Delete what interrupted writes of ours left behind."""
    try:
        left = await hass.async_add_executor_job(clean_up, Path(hass.config.path(STORAGE_DIR)), key_file)
    except OSError as error:
        LOGGER.warning("Files that interrupted writes left behind cannot be deleted (%s)", error)
        return
    if left:
        LOGGER.info("Deleted %s files that interrupted writes had left behind", left)
