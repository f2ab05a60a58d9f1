"""Reading what clients send, without trusting it."""

import json
from typing import Any, Final, NoReturn

MOST_DIGITS: Final = 18


class NotJson(ValueError):
    """The body is no JSON."""


def whole_number(text: str) -> int | None:
    """Return a number that is written in a path or query; None for anything else, and for what no identifier has."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= MOST_DIGITS else None


def json_body(body: bytes) -> Any:  # noqa: ANN401 - JSON
    """Read a body as JSON (RFC 8259, which has neither NaN nor Infinity); raise NotJson."""
    try:
        return json.loads(body, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise NotJson(str(error)) from error


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")
