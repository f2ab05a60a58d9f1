"""The code that sensitive commands can ask for, stored as a salted hash (scrypt, RFC 7914)."""

from base64 import b64decode, b64encode
import hashlib
import hmac
import secrets
from typing import Final

CONFIRMED_SECONDS: Final = 60.0
"""How long a code that somebody entered counts for that person."""
TRIES: Final = 5
"""Wrong codes of one person after which that person has to wait."""
WAIT_SECONDS: Final = 300.0
_SALT_BYTES: Final = 16


def _hash(code: str, salt: bytes) -> bytes:
    return hashlib.scrypt(code.encode(), salt=salt, n=2**14, r=8, p=1, dklen=32)


def hashed(code: str) -> str:
    """Return what is stored of a code. Takes a moment of CPU: not for the event loop."""
    salt = secrets.token_bytes(_SALT_BYTES)
    return f"{b64encode(salt).decode()}${b64encode(_hash(code, salt)).decode()}"


def matches(code: str, stored: str) -> bool:
    """Say whether a code is the one that was stored. Takes a moment of CPU: not for the event loop."""
    salt, _, wanted = stored.partition("$")
    return hmac.compare_digest(_hash(code, b64decode(salt)), b64decode(wanted))


class Confirmations:
    """Who entered the code lately, and who guesses. A try is counted before it is judged, so that many at once are."""

    def __init__(self) -> None:
        """Begin with nobody."""
        self._until: dict[str | None, float] = {}
        self._tries: dict[str | None, tuple[int, float]] = {}

    def reserve(self, user: str | None, now: float) -> bool:
        """Count a try of this person; say whether it may be judged, or the person tried too often."""
        count, last = self._tries.get(user, (0, now))
        if now - last >= WAIT_SECONDS:
            count = 0
        if count >= TRIES:
            return False
        self._tries[user] = (count + 1, now)
        return True

    def confirm(self, user: str | None, now: float) -> None:
        """Note the right code, which ends the count."""
        self._until[user] = now + CONFIRMED_SECONDS
        self._tries.pop(user, None)

    def confirmed(self, user: str | None, now: float) -> bool:
        """Say whether the code of this person still counts."""
        return self._until.get(user, 0.0) > now

    def forget(self) -> None:
        """Let no code count any more that was entered before: the owner changed it."""
        self._until.clear()
