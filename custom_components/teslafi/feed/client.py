"""Asks TeslaFi.com's feed for the newest record. The token travels in a header, never in the address."""

import asyncio
from collections.abc import Callable, Mapping
from http import HTTPStatus
import json
import math
from typing import Any, Final

import aiohttp

from ..secret import Secret
from ..tesla.body import body_of, limited
from ..tesla.errors import Reason, SignInRequired, TeslaError, UnexpectedAnswer, Unreachable, translated
from .record import identity_of, vin_of

SERVER: dict[str, str] = {"feed": "https://www.teslafi.com/feed.php"}
"""The only address that a token of TeslaFi.com's is sent to."""
TIMEOUT: Final = aiohttp.ClientTimeout(total=30)
NEWEST: Final = ""
LAST_GOOD: Final = "lastGood"
"""The last record with data of the car, however old."""
HOLD: Final = 20.0
"""Seconds for which one answer serves every question: TeslaFi allows fifteen a minute, and sees the car once in it."""

type Record = Mapping[str, Any]


class FeedClient:
    """Reads the feed of one token; asks once for questions that come together."""

    def __init__(
        self,
        http: aiohttp.ClientSession,
        token: Callable[[], Secret],
        clock: Callable[[], float],
        age_of: Callable[[Record], float] = lambda _: math.inf,
    ) -> None:
        """Ask with the token of the moment; `clock` is monotonic, `age_of` a record's age by its date, in seconds."""
        self._http = http
        self._token = token
        self._clock = clock
        self._age_of = age_of
        self._newest: tuple[float, Record] | None = None
        self._asking = asyncio.Lock()
        self._failure: TeslaError | None = None
        """The last one, for questions that waited for it."""
        self._failed = 0
        """How often there was one."""
        self._changed: tuple[tuple[str | None, str | None], float] | None = None

    async def newest(self) -> Record:
        """Return the newest record, at most `HOLD` seconds old; raise a TeslaError when there is none.

        Questions that come while one is under way take its answer, or its failure.
        """
        failed = self._failed
        async with self._asking:
            if self._newest is not None and self._clock() - self._newest[0] <= HOLD:
                return self._newest[1]
            if self._failure is not None and failed != self._failed:
                raise self._failure
            try:
                return await self._ask_newest()
            except TeslaError as error:
                self._failure = error
                self._failed += 1
                raise

    async def _ask_newest(self) -> Record:
        asked = self._clock()
        record = await self.ask(NEWEST)
        self._newest = asked, record
        if self._changed is None:
            self._changed = identity_of(record), asked - self._age_of(record)
        elif self._changed[0] != identity_of(record):
            self._changed = identity_of(record), asked
        return record

    @property
    def unchanged_for(self) -> float:
        """Seconds for which the newest record has been the same one: TeslaFi has not looked at the car since.

        The first record is as old as its date says. Where that can't be told, it is forever, until another comes.
        """
        return 0.0 if self._changed is None else self._clock() - self._changed[1]

    async def ask(self, command: str) -> Record:
        """Return a record; of a car that sleeps, it may name none.

        Raise SignInRequired when TeslaFi refuses the token, or a TeslaError.
        """
        headers = {"Authorization": f"Bearer {self._token().reveal()}"}
        with translated():
            async with self._http.get(
                SERVER["feed"], params={"command": command}, headers=headers, timeout=TIMEOUT, allow_redirects=False
            ) as response:
                raw = await body_of(response)
        if response.status == HTTPStatus.TOO_MANY_REQUESTS:
            raise limited(response.headers, raw)
        if response.status == HTTPStatus.UNAUTHORIZED:
            raise SignInRequired(Reason.FEED_TOKEN)
        if response.status != HTTPStatus.OK:
            raise Unreachable(f"TeslaFi.com has trouble ({response.status})")
        return _record(raw)


def _record(raw: bytes) -> Record:
    """Read a record. Refusals come with status 200 as well."""
    try:
        record = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise UnexpectedAnswer("TeslaFi.com's answer is not JSON") from error
    if not isinstance(record, dict):
        raise UnexpectedAnswer("TeslaFi.com's answer is no record")
    refusal = record.get("response")
    if isinstance(refusal, dict) and refusal.get("result") == "unauthorized":
        raise SignInRequired(Reason.FEED_TOKEN)
    if vin_of(record) is None and None in identity_of(record):
        raise UnexpectedAnswer("TeslaFi.com's answer is no record")
    return record
