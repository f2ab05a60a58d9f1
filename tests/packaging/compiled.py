"""What these tests' Python has compiled, given to another one, which would compile the same sources anew."""

from collections.abc import Iterator
from importlib.util import MAGIC_NUMBER
from pathlib import Path
import shutil
import struct
import sys
import sysconfig
from typing import Final

BEGINNING: Final = struct.Struct("<4sIII")
"""Of a compiled module (PEP 552): magic number, flags; without flags the time and the size of its source."""
STANDARD_LIBRARY: Final = Path(sysconfig.get_path("stdlib"))
SITE_PACKAGES: Final = Path(sysconfig.get_path("purelib"))


def give_compiled(own: Path, other: Path) -> None:
    """Give what is compiled of a folder to another one, which has the same sources, whatever their time."""
    for source, compiled in _compiled(own):
        theirs = other / source.relative_to(own)
        target = theirs.parent / "__pycache__" / compiled.name
        if theirs.is_file() and not target.exists() and theirs.read_bytes() == source.read_bytes():
            target.parent.mkdir(exist_ok=True)
            target.write_bytes(_beginning(theirs) + compiled.read_bytes()[BEGINNING.size :])


def keep_compiled(own: Path, kept: Path) -> None:
    """Keep what is compiled of a folder for a Python that looks there (PYTHONPYCACHEPREFIX).

    It takes what was compiled of a source of the same time and size, and compiles the rest.
    """
    for source, compiled in _compiled(own):
        folder = (kept / source.relative_to(own)).parent
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(compiled, folder / compiled.name)


def _compiled(folder: Path) -> Iterator[tuple[Path, Path]]:
    """Yield the sources of a folder that have a compiled form, and that."""
    ending = f".{sys.implementation.cache_tag}.pyc"
    for compiled in folder.rglob(f"__pycache__/*{ending}"):
        source = compiled.parents[1] / f"{compiled.name.removesuffix(ending)}.py"
        with compiled.open("rb") as file:
            if source.is_file() and file.read(BEGINNING.size) == _beginning(source):
                yield source, compiled


def _beginning(source: Path) -> bytes:
    """Return how the compiled form of a source begins as long as that does not change."""
    status = source.stat()
    return BEGINNING.pack(MAGIC_NUMBER, 0, int(status.st_mtime) & 0xFFFFFFFF, status.st_size & 0xFFFFFFFF)
