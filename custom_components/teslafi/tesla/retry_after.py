"""How long Tesla asks to wait: the shapes in which a 429 says it.

Recorded: header `Retry-After` or `RateLimit-Reset` with whole seconds, and a plain text body "Retry in 37829 seconds".
RFC 9110, 10.2.3 also allows a date.
"""

from datetime import UTC
from email.utils import parsedate_to_datetime
import re
from typing import Final

LONGEST: Final = 31 * 86_400.0
"""Seconds. A number above this is no wait that anybody means; it counts as this one."""
LONGEST_TEXT: Final = 200
_DIGITS: Final = re.compile(r"\+?[0-9]+(\.[0-9]*)?")
_TEXT: Final = re.compile(r"(?i)retry\s+(?:in|after)\s+([0-9]{1,20})\s*(?:s|sec|seconds?)?\b")


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
    if found := _TEXT.search(text):
        return min(float(found[1]), LONGEST)
    return _until(text, now)


def _until(text: str, now: float) -> float | None:
    try:
        moment = parsedate_to_datetime(text)
        at = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except ValueError, TypeError, OverflowError, IndexError:
        return None
    return min(max(at - now, 0.0), LONGEST)
