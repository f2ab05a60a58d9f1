"""How long Tesla asks to wait: the shapes in which a 429 says it.

Recorded: header `Retry-After` or `RateLimit-Reset` with whole seconds, and a plain text body "Retry in 37829 seconds".
RFC 9110, 10.2.3 also allows a date.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
import re
from typing import Final

LONGEST: Final = 31 * 86_400.0
"""Seconds. A number above this is no wait that anybody means; it counts as this one."""
LONGEST_TEXT: Final = 200
_DIGITS: Final = re.compile(r"\+?[0-9]+(\.[0-9]*)?")
_AMOUNT: Final = r"([0-9][0-9,]{0,26}(?:\.[0-9]*)?)\s*([a-z]*)"
_ALONE: Final = re.compile(f"(?i){_AMOUNT}")
_TEXT: Final = re.compile(rf"(?i)retry\s+(?:in|after)\s+{_AMOUNT}(?![\w:-])")
_UNITS: Final[Mapping[str, float]] = {
    "": 1.0,
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), 1.0),
    **dict.fromkeys(("m", "min", "mins", "minute", "minutes"), 60.0),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), 3600.0),
    **dict.fromkeys(("d", "day", "days"), 86_400.0),
}
"""Seconds of a unit. A number of anything else says nothing: one hour taken for a second is asked for an hour long."""


def seconds_to_wait(value: object, now: float) -> float | None:
    """Read seconds, a date or Tesla's sentence; None when it says nothing usable. `now`: epoch seconds, for dates.

    A date that has passed means that there is nothing to wait for: 0.
    """
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return float(min(value, LONGEST)) if value >= 0 else None
    if not isinstance(value, str) or len(value) > LONGEST_TEXT:
        return None
    text = value.strip()
    if _DIGITS.fullmatch(text):
        return min(float(text), LONGEST)
    found = _ALONE.fullmatch(text) or _TEXT.search(text)
    if found and (unit := _UNITS.get(found[2].lower())) is not None:
        return min(float(found[1].replace(",", "")) * unit, LONGEST)
    at = epoch_of(text)
    return None if at is None else min(max(at - now, 0.0), LONGEST)


def epoch_of(text: str | None) -> float | None:
    """Return the epoch seconds of a date as HTTP or ISO 8601 write it; None for anything else."""
    for read in (parsedate_to_datetime, datetime.fromisoformat):
        try:
            moment = read(text or "")
            return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
        except ValueError, TypeError, OverflowError, IndexError:
            continue
    return None
