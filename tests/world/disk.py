"""A disk that fails: full, read-only, broken, lying, or cut off from power between any two steps of a write.

Faults are put where Home Assistant's process meets the system: making a temporary file, writing, flushing it to the
disk, renaming, reading back, deleting.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
import errno
from pathlib import Path
from random import Random
from typing import Any, Final, Self
from unittest.mock import patch

import atomicwrites  # type: ignore[import-untyped]

from custom_components.teslafi.const import DOMAIN
from custom_components.teslafi.storage import file

STEPS: Final = ("create", "write", "flush", "rename", "read", "delete")
"""Where a fault can strike."""


class Killed(BaseException):
    """The process is gone, in the middle of what it did: nobody tidies up."""


def _no_space() -> OSError:
    return OSError(errno.ENOSPC, "No space left on device")


def _read_only() -> OSError:
    return OSError(errno.EROFS, "Read-only file system")


def _broken() -> OSError:
    return OSError(errno.EIO, "Input/output error")


FAULTS: Final[dict[str, tuple[tuple[str, ...], Callable[[], BaseException]]]] = {
    "full": (("write",), _no_space),
    "full from the first": (("create", "write"), _no_space),
    "read-only": (("create", "rename", "delete"), _read_only),
    "broken at fsync": (("flush",), _broken),
    "broken at rename": (("rename",), _broken),
    "broken at reading back": (("read",), _broken),
    "broken all over": (STEPS, _broken),
}
"""Name -> the steps that fail, and how. A disk that takes no deletion is never cleaner than one that takes it."""


class Disk:
    """The disk as our own files meet it."""

    def __init__(self) -> None:
        """Be whole."""
        self._ours: ContextVar[bool] = ContextVar("ours", default=False)
        self.steps: tuple[str, ...] = ()
        self.error: Callable[[], BaseException] = _broken
        self.lies = False
        self.left: int | None = None
        self.dead = False

    def fail(self, fault: str) -> None:
        """Begin to fail."""
        self.steps, self.error = FAULTS[fault]

    def heal(self) -> None:
        """Be whole again."""
        self.steps, self.lies, self.left, self.dead = (), False, None, False

    def kill_after(self, steps: int) -> None:
        """End the process at the step after so many."""
        self.left = steps

    def step(self, name: str, path: object) -> None:
        """Let a step of a write happen, or fail."""
        if not (self._ours.get() or Path(str(path)).name.startswith(f"{DOMAIN}.")):
            # Home Assistant writes here as well
            return
        if self.left is not None:
            if self.left == 0:
                self.dead = True
                raise Killed
            self.left -= 1
        if name in self.steps:
            raise self.error()

    @contextmanager
    def mounted(self) -> Iterator[None]:
        """Put the faults where the steps are."""
        with ExitStack() as patches:
            for place, name, watch in (
                (file, "_write", self._mark),
                (file, "clean_up", self._mark),
                (atomicwrites.tempfile, "mkstemp", self._create),
                (atomicwrites.io, "open", self._open),
                (atomicwrites, "_proper_fsync", self._flush),
                (atomicwrites, "replace_atomic", self._rename),
                (atomicwrites.AtomicWriter, "rollback", self._tidy),
                (Path, "read_text", self._read),
                (Path, "unlink", self._delete),
            ):
                patches.enter_context(patch.object(place, name, watch(getattr(place, name))))
            yield

    def _mark(self, work: Any) -> Any:  # noqa: ANN401 - as ours
        def marked(*arguments: Any) -> Any:  # noqa: ANN401
            mark = self._ours.set(True)
            try:
                return work(*arguments)
            finally:
                self._ours.reset(mark)

        return marked

    def _create(self, mkstemp: Any) -> Any:  # noqa: ANN401 - as tempfile's
        def create(*arguments: Any, **options: Any) -> Any:  # noqa: ANN401
            self.step("create", options.get("dir", ""))
            return mkstemp(*arguments, **options)

        return create

    def _open(self, plain: Any) -> Any:  # noqa: ANN401 - as io's
        def opened(*arguments: Any, **options: Any) -> Any:  # noqa: ANN401
            return _Written(self, plain(*arguments, **options))

        return opened

    def _flush(self, fsync: Any) -> Any:  # noqa: ANN401 - as atomicwrites'
        def flush(descriptor: int) -> None:
            self.step("flush", Path(f"/proc/self/fd/{descriptor}").readlink())
            fsync(descriptor)

        return flush

    def _rename(self, replace: Any) -> Any:  # noqa: ANN401 - as atomicwrites'
        def rename(source: str, target: str) -> None:
            self.step("rename", target)
            replace(source, target)

        return rename

    def _tidy(self, rollback: Any) -> Any:  # noqa: ANN401 - as atomicwrites'
        def tidy(writer: object, file: object) -> None:
            if not self.dead:
                rollback(writer, file)

        return tidy

    def _read(self, read_text: Any) -> Any:  # noqa: ANN401 - as pathlib's
        def read(path: Path, *arguments: Any, **options: Any) -> str:  # noqa: ANN401
            self.step("read", path)
            return str(read_text(path, *arguments, **options))

        return read

    def _delete(self, unlink: Any) -> Any:  # noqa: ANN401 - as pathlib's
        def delete(path: Path, *, missing_ok: bool = False) -> None:
            self.step("delete", path)
            unlink(path, missing_ok=missing_ok)

        return delete


class _Written:
    """A file whose `write` is watched: a full disk takes half of it."""

    def __init__(self, disk: Disk, file: Any) -> None:  # noqa: ANN401 - as io's
        self._disk = disk
        self._file = file

    def write(self, text: str) -> int:
        if self._disk.lies:
            return len(text)
        half = len(text) // 2
        written = int(self._file.write(text[:half]))
        self._disk.step("write", self._file.name)
        return written + int(self._file.write(text[half:]))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - as io's
        return getattr(self._file, name)


def any_fault(random: Random) -> str:
    """Return the name of a fault."""
    return random.choice(list(FAULTS))
