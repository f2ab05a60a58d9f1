"""How many guesses a password withstands, estimated in bounded time.

zxcvbn splits a password into what attackers try: words, names, keyboard rows, dates. Three things are done around it.
It tries every reading of ambiguous signs (`1` for i or l), which takes seconds for a hostile choice of them: beyond a
few readings the signs are read as letters. It adds 10,000 guesses to the power of the parts, so that *password
password* looks strong: the product of the parts is counted instead. And blanks and dashes between words count as
parts: the password is looked at without them as well.
"""

from collections.abc import Sequence
import math
import re
from typing import Final

from zxcvbn import zxcvbn
from zxcvbn.frequency_lists import FREQUENCY_LISTS

JUDGED: Final = 40
"""Characters that are looked at: the rest can only make it stronger."""
MOST_READINGS: Final = 16

# The sign and the letters that it is read as, as zxcvbn does
_SIGNS: Final = {
    "4": "a",
    "@": "a",
    "8": "b",
    "(": "c",
    "{": "c",
    "[": "c",
    "<": "c",
    "3": "e",
    "6": "g",
    "9": "g",
    "1": "il",
    "!": "i",
    "|": "il",
    "7": "lt",
    "0": "o",
    "$": "s",
    "5": "s",
    "+": "t",
    "%": "x",
    "2": "z",
}
_AS_LETTERS: Final = str.maketrans({sign: letters[0] for sign, letters in _SIGNS.items()})
_SYMBOLS_AS_LETTERS: Final = str.maketrans({sign: letters[0] for sign, letters in _SIGNS.items() if not sign.isdigit()})
_BETWEEN: Final = re.compile(r"[\W_]+")
_NO_LETTERS: Final = re.compile(r"[\W\d_]+")

COMMON: Final = frozenset(FREQUENCY_LISTS["passwords"])
"""The 30,000 most common passwords, in lower case; they come with zxcvbn, so that nobody has to be asked."""


def core(text: str) -> str:
    """Return the letters of a text alone, in lower case."""
    return _NO_LETTERS.sub("", text.casefold())


def is_common(password: str) -> bool:
    """Say whether a password is one of the most common ones, or one of them in other clothes.

    Other clothes are case, digits and signs around or instead of letters, and repetition.
    """
    looks = _looks(password) | {core(password.casefold().translate(_AS_LETTERS))}
    return not (looks | {_unit(look) for look in looks}).isdisjoint(COMMON)


def is_repeated(password: str) -> bool:
    """Say whether a password is one shorter text over and over, whatever stands between."""
    return any(_unit(look) != look for look in _looks(password))


def _looks(password: str) -> set[str]:
    """Return a password as it is and without what stands between; its letters alone if they are most of it."""
    folded = password.casefold()
    letters = core(folded)
    return {folded, _BETWEEN.sub("", folded)} | ({letters} if 2 * len(letters) >= len(folded) else set())


def _unit(text: str) -> str:
    """Return the shortest text that makes the given one by repetition: itself, if nothing shorter does."""
    start = (text + text).find(text, 1)
    return text[:start] if 0 < start < len(text) else text


def guesses(password: str, context: Sequence[str]) -> float:
    """Return how many guesses it takes at least, by the weakest of the ways to look at it."""
    whole = password[:JUDGED]
    together = _BETWEEN.sub("", password.translate(_SYMBOLS_AS_LETTERS))[:JUDGED]
    return min(_estimate(look, context) for look in {whole, together} if look)


def _estimate(text: str, context: Sequence[str]) -> float:
    for readable in (text, text.translate(_SYMBOLS_AS_LETTERS), text.translate(_AS_LETTERS)):
        if readings(readable) <= MOST_READINGS:
            text = readable
            break
    parts = zxcvbn(text, list(context))["sequence"]
    return float(math.factorial(len(parts)) * math.prod(int(part["guesses"]) for part in parts))


def readings(text: str) -> int:
    """Return in how many ways the ambiguous signs of a text can be read, at most."""
    signs: dict[str, int] = {}
    for sign in set(text) & _SIGNS.keys():
        for letter in _SIGNS[sign]:
            signs[letter] = signs.get(letter, 0) + 1
    return math.prod(signs.values())
