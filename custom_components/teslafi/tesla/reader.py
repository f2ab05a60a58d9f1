"""Reads cars and energy sites from Tesla. It cannot command: it has no method that does.

Endpoints and envelopes: Tesla's developer documents, "Vehicle endpoints" and "Energy endpoints".
"""

from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
import re
from typing import Any, Final
from urllib.parse import quote

import aiohttp
from tesla_fleet_api import TeslaFleetApi
from tesla_fleet_api.tesla import EnergySite, VehicleFleet

from . import compat  # noqa: F401 - keeps secrets out of the library's log by being there
from .charging_history import ChargingHistory, ChargingSession, HistoryPage, decode_page, newest_first
from .decode import Decoded, Memory, decode_vehicle
from .errors import NotFound, UnexpectedAnswer
from .exchange import Caller
from .grant import Grant, Kind
from .requests import Category
from .session import GrantSession
from .snapshot import Snapshot
from .vehicle_details import (
    Alert,
    NearbySites,
    ReleaseNote,
    ServiceVisit,
    VehicleOption,
    Warranties,
    decode_alerts,
    decode_nearby,
    decode_options,
    decode_release_notes,
    decode_service,
    decode_warranties,
)
from .vin import vin_of

CLASSIC_ENDPOINTS: Final = (
    "charge_state",
    "climate_state",
    "drive_state",
    "gui_settings",
    "vehicle_config",
    "vehicle_state",
)
SCHEDULE_ENDPOINTS: Final = ("charge_schedule_data", "preconditioning_schedule_data")
LOCATION_ENDPOINT: Final = "location_data"
HISTORY_PAGE: Final = 50
"""Sessions that are asked for at once."""
MOST_PAGES: Final = 20
"""Pages of charging history that one question fetches at most; each is billed."""

type Count = Callable[[Category], None]
type Ask = Callable[[], Awaitable[Mapping[str, Any]]]


@dataclass(frozen=True, slots=True)
class Products:
    """What the account holds: cars by VIN (state and names, no live data), energy sites by id with their names."""

    vehicles: Mapping[str, Snapshot]
    sites: Mapping[int, str]


class Reader:
    """Asks Tesla with one grant. Every method raises a TeslaError of `errors` when there is no usable answer."""

    def __init__(self, http: aiohttp.ClientSession, session: GrantSession) -> None:
        """Read with the grant that `session` keeps valid."""
        self._session = session
        self._caller = Caller(http, session)
        self._api = self._caller.api
        self._ids: dict[str, str] = {}
        self._vehicles: dict[str, VehicleFleet[TeslaFleetApi]] = {}
        self._memories: dict[tuple[str, Category], Memory] = {}
        """What each car answered last to each question."""

    @property
    def grant(self) -> Grant:
        """The grant that is read with; raise SignInRequired when it is dead."""
        return self._session.grant

    async def products(self) -> Products:
        """List cars and energy sites. Free of charge."""
        answer = _list(await self._ask(self._api.products))
        vehicles: dict[str, Snapshot] = {}
        sites: dict[int, str] = {}
        for product in answer:
            if not isinstance(product, dict):
                continue
            snapshot = decode_vehicle(product).snapshot
            site_id = product.get("energy_site_id")
            if vin := vin_of(snapshot.vehicle.vin or ""):
                vehicles[vin] = snapshot
                self._ids[vin] = str(product.get("id_s") or product.get("id") or vin)
            elif type(site_id) is int and 0 < site_id < _SITE_IDS and product.get("resource_type") in _SITES:
                name = product.get("site_name")
                sites[site_id] = name if isinstance(name, str) and name else str(site_id)
        return Products(vehicles, sites)

    async def region(self) -> str | None:
        """Return the address of the Fleet API that Tesla names for this account; None when it names none."""
        answer = await self._ask(self._api.user.region)
        base = answer.get("fleet_api_base_url") if isinstance(answer, dict) else None
        return base if isinstance(base, str) else None

    async def discounted(self, vins: Collection[str], count: Count) -> frozenset[str]:
        """Return the cars whose data Tesla sells at a tenth (`discounted_device_data`). Billable."""
        if not vins or self.grant.kind is not Kind.FLEET:
            return frozenset()
        status = partial(VehicleFleet(self._api, next(iter(vins))).fleet_status, list(vins))
        answer = _object(await self._ask(status, count, Category.DETAILS))
        told = answer.get("vehicle_info")
        cars = {vin_of(vin): car for vin, car in told.items()} if isinstance(told, Mapping) else {}
        return frozenset(
            vin
            for vin in vins
            if isinstance(car := cars.get(vin), Mapping) and car.get("discounted_device_data") is True
        )

    async def vehicle_state(self, vin: str, count: Count) -> Snapshot:
        """Read whether the car is online. Free of charge; never wakes it."""
        answer = await self._ask(self._vehicle(vin).vehicle, count, Category.STATE)
        return decode_vehicle(_object(answer), self._memory(vin, Category.STATE)).snapshot

    async def vehicle_data(self, vin: str, count: Count) -> Decoded[Snapshot]:
        """Read everything the car tells. Billable; keeps an awake car awake; never wakes one."""
        look = partial(self._vehicle(vin).vehicle_data, self._endpoints())
        return decode_vehicle(_object(await self._ask(look, count, Category.DATA)), self._memory(vin, Category.DATA))

    def _memory(self, vin: str, question: Category) -> Memory:
        return self._memories.setdefault((vin, question), {})

    async def site_live(self, site_id: int, count: Count) -> Mapping[str, Any]:
        """Read the powers and the state of an energy site."""
        return _object(await self._ask(self._site(site_id).live_status, count, Category.ENERGY))

    async def site_info(self, site_id: int, count: Count) -> Mapping[str, Any]:
        """Read what an energy site consists of and how it is set."""
        return _object(await self._ask(self._site(site_id).site_info, count, Category.ENERGY))

    async def site_energy_today(self, site_id: int, count: Count) -> Mapping[str, Any]:
        """Read the energy of the day so far, in pieces of five minutes or of the day."""
        return _object(await self._ask(partial(self._site(site_id).energy_history, "day"), count, Category.ENERGY))

    async def site_wall_charges(self, site_id: int, begin: datetime, end: datetime, count: Count) -> Mapping[str, Any]:
        """Read the charges at a site's wall connectors that began in a span."""
        first, last = begin.isoformat(timespec="seconds"), end.isoformat(timespec="seconds")
        answer = await self._ask(partial(self._site(site_id).charge_history, first, last), count, Category.ENERGY)
        return _object(answer)

    async def recent_alerts(self, vin: str, count: Count) -> tuple[Alert, ...]:
        """Read the car's recent alerts. Billable; does not reach the car."""
        return decode_alerts(await self._details(VehicleFleet(self._api, vin).recent_alerts, count)).snapshot

    async def service_visit(self, vin: str, count: Count) -> ServiceVisit:
        """Read about a visit to a service center. Billable; does not reach the car."""
        return decode_service(await self._details(VehicleFleet(self._api, vin).service_data, count)).snapshot

    async def release_notes(self, vin: str, count: Count, *, staged: bool) -> tuple[ReleaseNote, ...]:
        """Read the release notes of the car's software, or (`staged`) of what it offers. Billable; needs it awake."""
        answer = await self._details(partial(VehicleFleet(self._api, vin).release_notes, staged=staged), count)
        return decode_release_notes(answer).snapshot

    async def nearby_charging_sites(
        self, vin: str, count: Count, *, most: int | None = None, radius: int | None = None
    ) -> NearbySites:
        """Read the chargers around the car, `most` of each kind within `radius` miles. Billable; needs it awake."""
        answer = await self._details(partial(VehicleFleet(self._api, vin).nearby_charging_sites, most, radius), count)
        return decode_nearby(answer).snapshot

    async def warranties(self, vin: str, count: Count) -> Warranties:
        """Read the car's warranties. Billable; does not reach the car."""
        answer = await self._details(partial(VehicleFleet(self._api, vin).warranty_details, vin), count)
        return decode_warranties(answer).snapshot

    async def options(self, vin: str, count: Count) -> tuple[VehicleOption, ...]:
        """Read what the car was ordered with. Billable; does not reach the car."""
        return decode_options(await self._details(partial(VehicleFleet(self._api, vin).options, vin), count)).snapshot

    async def charging_history(
        self, vin: str, count: Count, *, begin: datetime | None = None, end: datetime | None = None
    ) -> ChargingHistory:
        """Read the paid sessions of a car that began in a span, the newest first. Billable, a page at a time.

        Needs `Grant.reads_charging_history`. Whether Tesla counts pages from 0 or from 1 is not documented: the first
        page is asked for without a number, and page 1 may be the same one again.
        """
        found: dict[tuple[object, ...], ChargingSession] = {}
        for number in (None, *range(1, MOST_PAGES)):
            page = await self._history_page(vin, count, begin, end, number)
            new = {session.identity: session for session in page.sessions if session.identity not in found}
            found |= new
            whole = not page.sessions if page.total is None else len(found) >= page.total
            if whole or (not new and number != 1):
                return ChargingHistory(newest_first(found.values()), complete=True)
        return ChargingHistory(newest_first(found.values()), complete=False)

    async def _history_page(
        self, vin: str, count: Count, begin: datetime | None, end: datetime | None, number: int | None
    ) -> HistoryPage:
        answer = await self._details(
            lambda: self._api.charging.history(
                vin, _utc(begin), _utc(end), number, HISTORY_PAGE, "chargeStartDateTime", "DESC"
            ),
            count,
        )
        return decode_page(answer).snapshot

    async def charging_invoice(self, content_id: str, count: Count) -> bytes:
        """Fetch an invoice, a PDF. Billable. Raise NotFound for what can be no invoice's id, unasked."""
        if not _CONTENT_ID.fullmatch(content_id):
            raise NotFound("That is no id of an invoice")
        path = f"api/1/dx/charging/invoice/{quote(content_id, safe='')}"
        document = await self._caller.download(path, partial(count, Category.DETAILS))
        if not document.startswith(PDF):
            raise UnexpectedAnswer("Tesla's answer is no PDF")
        return document

    async def _details(self, ask: Ask, count: Count) -> Mapping[str, Any]:
        """Ask for what is billed like data; some of these answers come without an envelope."""
        answer = await self._caller.ask(ask, partial(count, Category.DETAILS))
        return _object(answer.get("response", answer) if isinstance(answer, dict) else answer)

    def _vehicle(self, vin: str) -> VehicleFleet[TeslaFleetApi]:
        """Return the library's car. The interface of Tesla's own app knows cars by their number alone."""
        known_as = self._ids.get(vin, vin) if self.grant.kind is Kind.OWNER else vin
        if (vehicle := self._vehicles.get(known_as)) is None:
            vehicle = self._vehicles[known_as] = VehicleFleet(self._api, known_as)
        return vehicle

    def _site(self, site_id: int) -> EnergySite:
        return EnergySite(self._api, site_id)

    def _endpoints(self) -> list[str]:
        location = (LOCATION_ENDPOINT,) if self.grant.reads_location else ()
        return [*CLASSIC_ENDPOINTS, *SCHEDULE_ENDPOINTS, *location]

    async def _ask(self, ask: Ask, count: Count | None = None, category: Category = Category.STATE) -> object:
        """Return what stands in the answer's `response`."""
        answer = await self._caller.ask(ask, partial(count, category) if count else None)
        if not isinstance(answer, dict) or "response" not in answer:
            raise UnexpectedAnswer("Tesla's answer has no response")
        return answer["response"]


PDF: Final = b"%PDF-"
"""What every PDF begins with."""
_CONTENT_ID: Final = re.compile(r"(?!\.+$)[A-Za-z0-9._~:=-]{1,200}", re.ASCII)
"""What an invoice's id may look like: it becomes a part of an address."""
_SITES: Final = ("battery", "solar", "wall_connector")
_SITE_IDS: Final = 2**63
"""Numbers from here on are no site's."""


def _utc(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(UTC).isoformat(timespec="seconds")


def _object(answer: object) -> Mapping[str, Any]:
    if not isinstance(answer, dict):
        raise UnexpectedAnswer("Tesla's answer is no object")
    return answer


def _list(answer: object) -> list[Any]:
    if not isinstance(answer, list):
        raise UnexpectedAnswer("Tesla's answer is no list")
    return answer
