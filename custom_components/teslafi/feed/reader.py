"""Reads a car from TeslaFi.com's feed in the place of Tesla's interface, and with the same answers."""

from collections.abc import Mapping
import time
from typing import Any, Final, override

import aiohttp
from homeassistant.util import dt as dt_util

from ..tesla.decode import Decoded, decode_vehicle
from ..tesla.errors import NotFound, VehicleAsleep
from ..tesla.grant import Grant
from ..tesla.reader import Ask, Count, Products, Reader
from ..tesla.requests import Category
from ..tesla.session import GrantSession
from ..tesla.snapshot import Snapshot
from .client import FeedClient, Record
from .record import age_of, answer_of, vin_of

STALE: Final = 900.0
"""Seconds after which a record that stays the same tells nothing of the car any more: TeslaFi looks each minute."""


class FeedReader(Reader):
    """Reads the one car of a TeslaFi.com token. Nothing is billed; nothing reaches the car."""

    def __init__(self, http: aiohttp.ClientSession, session: GrantSession) -> None:
        """Read with the token in the grant of `session`."""
        super().__init__(http, session)
        self._feed = FeedClient(http, lambda: session.grant.access_token, time.monotonic, _age_of)

    @override
    async def products(self) -> Products:
        """Return the car; it is named even while it sleeps."""
        record = await self._feed.newest()
        vin = vin_of(record) or self.grant.feed_vin
        return Products({vin: decode_vehicle(self._told(record) | {"vin": vin}).snapshot}, {})

    @override
    async def region(self) -> str | None:
        """Return None: TeslaFi does not tell."""
        return None

    @override
    async def vehicle_state(self, vin: str, count: Count) -> Snapshot:
        """Return whether the car was online when TeslaFi looked."""
        answer = await self._answer(vin, count)
        return decode_vehicle({key: answer[key] for key in ("vin", "state", "display_name")}).snapshot

    @override
    async def vehicle_data(self, vin: str, count: Count) -> Decoded[Snapshot]:
        """Return what the car told TeslaFi; raise VehicleAsleep when it slept."""
        answer = await self._answer(vin, count)
        if answer["state"] != "online":
            raise VehicleAsleep("The car slept when TeslaFi looked")
        return decode_vehicle(answer)

    @override
    async def charging_invoice(self, content_id: str, count: Count) -> bytes:
        """Raise NotFound, as everything does that TeslaFi does not tell: its token is never sent to Tesla."""
        raise NotFound("TeslaFi.com does not tell this")

    @override
    async def _details(self, ask: Ask, count: Count) -> Mapping[str, Any]:
        raise NotFound("TeslaFi.com does not tell this")

    @override
    async def _ask(self, ask: Ask, count: Count | None = None, category: Category | None = None) -> Any:
        raise NotFound("TeslaFi.com does not tell this")

    async def _answer(self, vin: str, count: Count) -> dict[str, object]:
        count(Category.FEED)
        record = await self._feed.newest()
        if (vin_of(record) or self.grant.feed_vin) != vin:
            raise VehicleAsleep("TeslaFi tells of another car now")
        return self._told(record) | {"vin": vin}

    def _told(self, record: Record) -> dict[str, Any]:
        """Return what a record tells; an old one tells that the car can't be seen."""
        answer = answer_of(record)
        return answer if self._feed.unchanged_for < STALE else answer | {"state": "offline"}


def _age_of(record: Record) -> float:
    """Return a record's age, its date taken as one of Home Assistant's time zone."""
    return age_of(record, time.time(), dt_util.get_default_time_zone())


def reader_of(grant: Grant, http: aiohttp.ClientSession, session: GrantSession) -> Reader:
    """Return what reads with such a grant."""
    return FeedReader(http, session) if grant.is_feed else Reader(http, session)
