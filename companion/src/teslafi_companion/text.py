"""Text that comes from outside: made valid, and read as JSON, in one way for everything.

Python keeps bytes that are no UTF-8 as lone surrogates (in headers and addresses), and JSON can spell them; neither
they nor NUL can be written to a page, a letter, a log or PostgreSQL.
"""

import json
import math
import re
from typing import Any, Final, NoReturn

_UNWRITABLE: Final = re.compile("[\ud800-\udfff\0]")
_REPLACEMENT: Final = "\N{REPLACEMENT CHARACTER}"
_DEEPEST: Final = 50


def valid(text: str, longest: int | None = None) -> str:
    """Return a text that can be written anywhere, at most `longest` characters of it."""
    return _UNWRITABLE.sub(_REPLACEMENT, text[:longest])


def is_valid(text: str) -> bool:
    """Say whether a text can be written anywhere."""
    return _UNWRITABLE.search(text) is None


def parse_json(text: str | bytes) -> Any:  # noqa: ANN401 - whatever it holds
    """Read JSON of a bounded depth whose texts are valid and whose numbers are numbers; raises ValueError."""
    try:
        said = json.loads(
            text.decode() if isinstance(text, bytes) else text, parse_constant=_no_number, parse_float=_finite
        )
    except RecursionError:
        raise ValueError("the JSON is too deep") from None
    _check(said, _DEEPEST)
    return said


def _no_number(word: str) -> NoReturn:
    raise ValueError(f"{word} is no number in JSON")


def _finite(word: str) -> float:
    """Return a number that floats have room for: of `1e999` they would make infinity, which JSON has no word for."""
    number = float(word)
    return number if math.isfinite(number) else _no_number(word)


def _check(said: object, depth: int) -> None:
    if depth == 0:
        raise ValueError("the JSON is too deep")
    match said:
        case str() if not is_valid(said):
            raise ValueError("a text in the JSON holds what is no character")
        case list():
            for one in said:
                _check(one, depth - 1)
        case dict():
            for name, one in said.items():
                _check(name, depth - 1)
                _check(one, depth - 1)


def json_bytes(value: object, *, sort_keys: bool = False) -> bytes:
    """Return a value as compact JSON in UTF-8. Nothing is too strange for it: the audit log must not fail."""
    try:
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=sort_keys, default=str)
    except TypeError, ValueError, RecursionError:
        # Keys that are no texts, circles, an abyss
        text = json.dumps("(cannot be written)")
    return valid(text).encode()
