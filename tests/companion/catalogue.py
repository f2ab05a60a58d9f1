"""The catalogues of the companion's texts: what is marked in the source, and what each language makes of it.

`script/catalogues` writes what is marked into every catalogue: new texts come without a translation, texts that are
gone leave. What is missing then is red in test_catalogue.py.
"""

from io import BytesIO
from pathlib import Path
import sys
from typing import Final

from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po, write_po

import teslafi_companion
from teslafi_companion.language import CATALOGUES

SOURCE: Final = Path(teslafi_companion.__file__).parent
KEYWORDS: Final = {"N_": None, "Phrase": None, "_": None, "gettext": None, "ngettext": (1, 2)}
METHODS: Final = [("**.py", "python"), ("**/templates/**.html", "jinja2"), ("**/templates/**.txt", "jinja2")]
AS_SERVED: Final = {
    pattern: {"trimmed": "true", "newstyle_gettext": "true", "encoding": "utf-8"} for pattern, _ in METHODS[1:]
}
_NOISE: Final = tuple(
    f'"{name}' for name in ("Project-", "Report-", "POT-", "PO-", "Last-", "Language-Team", "MIME-", "Generated-")
)
"""Headers that say nothing or change by themselves."""
FILES: Final = sorted(CATALOGUES.glob("*/companion.po"))


def marked() -> Catalog:
    """Return every text that is marked in the source."""
    found = Catalog()
    for _, _, text, _, _ in extract_from_dir(SOURCE, METHODS, AS_SERVED, KEYWORDS):
        found.add(text)
    return found


def read(file: Path) -> Catalog:
    """Return a catalogue."""
    with file.open("rb") as stream:
        return read_po(stream, locale=file.parent.name)


def texts(catalogue: Catalog) -> dict[tuple[str, ...], Message]:
    """Return a catalogue's messages by their texts; two for those that have a plural."""
    return {_forms(message.id): message for message in catalogue if message.id}


def _forms(text: object) -> tuple[str, ...]:
    return tuple(text) if isinstance(text, list | tuple) else (str(text or ""),)


def updated(file: Path) -> Catalog:
    """Return a catalogue as it should be: all that is marked, with the translations that it has."""
    known, fresh = texts(read(file)), Catalog(locale=file.parent.name, charset="utf-8")
    for forms, message in texts(marked()).items():
        fresh.add(message.id, known[forms].string if forms in known else None)
    return fresh


def write(catalogue: Catalog, file: Path) -> None:
    """Write a catalogue, sorted and without dates, so that two changes seldom meet."""
    content = BytesIO()
    write_po(content, catalogue, width=120, no_location=True, sort_output=True)
    lines = content.getvalue().decode().removeprefix("\n#, fuzzy\n").splitlines(keepends=True)
    file.write_text("".join(line for line in lines if not line.startswith(_NOISE)), "utf-8")


def main() -> int:
    """Bring every catalogue up to date; returns 1 when a translation is missing."""
    missing = 0
    for file in FILES:
        catalogue = updated(file)
        catalogue.header_comment = ""
        write(catalogue, file)
        missing += sum(not all(_forms(message.string)) for message in texts(catalogue).values())
    print(f"{missing} translations are missing.")
    return int(missing > 0)


if __name__ == "__main__":
    sys.exit(main())
