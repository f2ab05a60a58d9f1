"""Asks a range service (Have I Been Pwned's API, v3) about new passwords: five digits of a SHA-1 leave, never more.

The answer holds some hundred hashes that begin like that, padded so that its length tells nothing; the comparison is
made here. Whoever runs the companion has to allow it: by default nobody is asked. A service that does not answer
refuses nobody; the audit log tells once an hour.
"""

import hashlib
import hmac
from http import HTTPStatus
from typing import Final

import aiohttp
from yarl import URL

from teslafi_companion.audit import record
from teslafi_companion.domain.accounts import throttle
from teslafi_companion.domain.accounts.throttle import LOCK_NOTED, Attempt
from teslafi_companion.store.database import Store

_SECONDS: Final = 2
_LARGEST: Final = 1024 * 1024
_PREFIX: Final = 5
_HEADERS: Final = {"Add-Padding": "true", "User-Agent": "teslafi-companion"}


def range_service(store: Store) -> RangeService | None:
    """Return the service of the settings, or None where nobody is to be asked."""
    url = store.settings.breached_passwords_url
    return RangeService(store, url) if url else None


class RangeService:
    """The service at `breached_passwords_url`."""

    def __init__(self, store: Store, url: str) -> None:
        """Take where it is, and where to write down that it does not answer."""
        self._store = store
        self._url = URL(url)

    async def holds(self, password: str) -> bool:
        """Say whether a password is among the breached ones; False as well when the service does not say."""
        digest = hashlib.sha1(password.encode(), usedforsecurity=False).hexdigest().upper()
        try:
            lines = await self._range(digest[:_PREFIX])
        except (aiohttp.ClientError, TimeoutError, ValueError) as fault:
            await self._note(type(fault).__name__)
            return False
        rest = digest[_PREFIX:]
        counts = [line.partition(":")[2] for line in lines if hmac.compare_digest(line.partition(":")[0], rest)]
        # Padding comes with a count of zero
        return any(count.strip() != "0" for count in counts)

    async def _range(self, prefix: str) -> list[str]:
        timeout = aiohttp.ClientTimeout(total=_SECONDS)
        async with (
            aiohttp.ClientSession(timeout=timeout, headers=_HEADERS) as session,
            session.get(self._url / prefix, allow_redirects=False) as answer,
        ):
            if answer.status != HTTPStatus.OK:
                raise ValueError("no answer")
            received = bytearray()
            # As it comes: one read returns what is there, and a range is longer than that
            async for part in answer.content.iter_any():
                received += part
                if len(received) > _LARGEST:
                    raise ValueError("too long an answer")
            return received.decode("ascii").upper().splitlines()

    async def _note(self, fault: str) -> None:
        async with self._store.transaction() as transaction:
            if await throttle.is_first(transaction, Attempt(LOCK_NOTED, b"breached-passwords")):
                record(
                    transaction,
                    "breach_check_failed",
                    actor="service",
                    outcome="failure",
                    detail={"fault": fault},
                )
