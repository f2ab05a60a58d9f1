"""The languages of pages and letters: one catalogue each in `locale/`, read at start.

English is the language of the source, in which every text stands where it is used. Texts in Python are marked by `N_`,
or by `Phrase` when they hold values, and are translated where they are shown.
"""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Final, Self

from babel import Locale
from babel.dates import format_date
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import Translations

SOURCE: Final = "en"
CATALOGUES: Final = Path(__file__).parent / "locale"
_FILE: Final = "companion.po"


def N_(text: str) -> str:  # noqa: N802 - gettext's own name, which extraction looks for
    """Mark a text for translation and return it as it is."""
    return text


class Phrase(str):
    """A text with values in it: English as it stands, and translated by `translate`.

    `Phrase("%(left)s are left.", left=3)`
    """

    __slots__ = ("text", "values")
    text: str
    values: Mapping[str, object]

    def __new__(cls, text: str, **values: object) -> Self:
        """Take the text to look up and its values."""
        phrase = super().__new__(cls, text % values)
        phrase.text, phrase.values = text, values
        return phrase

    def __str__(self) -> str:
        """Return it with its parts, so that an exception that was raised with one gives it back."""
        return self


@cache
def languages() -> dict[str, str]:
    """Return every language by its tag, each with its own name for itself."""
    tags = sorted({SOURCE, *(folder.name for folder in CATALOGUES.iterdir() if (folder / _FILE).exists())})
    return {tag: (Locale.parse(tag).display_name or tag).capitalize() for tag in tags}


@cache
def catalogue(language: str) -> Translations:
    """Return the texts of a language; those of the source are the texts themselves."""
    if language == SOURCE or language not in languages():
        return Translations()
    compiled = BytesIO()
    with (CATALOGUES / language / _FILE).open("rb") as file:
        write_mo(compiled, read_po(file, locale=language))
    compiled.seek(0)
    return Translations(compiled)


def translate(language: str, text: str) -> str:
    """Return a marked text, or a phrase, in a language; what no catalogue has is returned as it is."""
    if not text:
        return text
    if isinstance(text, Phrase):
        return str(catalogue(language).ugettext(text.text)) % text.values
    return str(catalogue(language).ugettext(text))


def moment(language: str, at: datetime) -> str:
    """Return a moment as a language writes it, in UTC."""
    at = at.astimezone(UTC)
    return f"{format_date(at.date(), 'long', locale=language)}, {at:%H:%M} UTC"


def day(language: str, at: date) -> str:
    """Return a day as a language writes it."""
    return str(format_date(at, "full", locale=language))


def hour(at: datetime) -> str:
    """Return the time of a moment, in UTC."""
    return f"{at.astimezone(UTC):%H:%M} UTC"


def negotiate(accepted: str) -> str:
    """Return the language that suits a browser's `Accept-Language` best (RFC 9110, 12.5.4)."""
    best, weight = SOURCE, 0.0
    for part in accepted.split(","):
        tag, _, parameter = part.partition(";")
        name = tag.strip().lower().partition("-")[0]
        quality = _quality(parameter)
        if name in languages() and quality > weight:
            best, weight = name, quality
    return best


def _quality(parameter: str) -> float:
    name, _, value = parameter.strip().partition("=")
    if name.strip() != "q":
        return 1.0
    try:
        return min(max(float(value), 0.0), 1.0)
    except ValueError:
        return 0.0
