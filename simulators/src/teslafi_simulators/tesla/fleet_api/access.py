"""Who asks, whether they may, and what it costs: the same for every endpoint."""

from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from aiohttp import web

from ..addresses import Region
from ..billing import Category
from ..cars.car import Car, State
from ..faults import apply_fault, with_values
from ..state import STATE, SimulatorState
from ..tokens import Bearer, BearerRefused
from .answers import Refused, answered, asleep, missing_scopes, not_found, out_of_region, too_many, unregistered

PER_MINUTE: Final[dict[Category, int]] = {"data": 60, "command": 30, "wake": 3}
"""Requests about one car (developer.tesla.com, "Billing and limits")."""

SIGNING_REQUIRED: Final = (
    "Tesla Vehicle Command Protocol required, please refer to the documentation here: "
    "https://developer.tesla.com/docs/fleet-api/announcements#2023-10-09-rest-api-vehicle-commands-endpoint-deprecation-warning"
)


@dataclass(slots=True)
class Call:
    """A request that was let in: by whom, where, and with which state of the simulator."""

    request: web.Request
    state: SimulatorState
    bearer: Bearer
    region: Region | None
    body: bytes = b""

    @property
    def account(self) -> str:
        """The account's `sub`."""
        return self.bearer.account_sub

    def needs(self, *scopes: str) -> None:
        """Refuse a token that has none of these scopes; tokens of Tesla's own app have them all."""
        if self.bearer.kind != "owner" and self.bearer.scopes.isdisjoint(scopes):
            raise missing_scopes()

    def car(self) -> Car:
        """Return the car that the path names, if it is the account's; by VIN or number."""
        car = self.state.garage.find(self.request.match_info["vehicle"])
        if car is None or (self.account != car.owner and self.account not in car.drivers):
            raise not_found()
        return car

    def live_car(self, category: Category) -> Car:
        """Return the car for a call that reaches it: counted against its limit, refused when it does not answer."""
        car = self.car()
        self.limited(car.vin, category)
        if self.state.billing.exceeded(self.account):
            raise Refused(403, "account disabled: EXCEEDED_LIMIT")
        if not car.mobile_access:
            raise Refused(401, "mobile_access_disabled")
        if car.in_service:
            raise Refused(405, "vehicle is currently in service")
        if car.state is not State.ONLINE:
            raise asleep()
        return car

    def limited(self, vin: str, category: Category) -> None:
        """Count this account's request about a car; refuse the one too many of a minute."""
        limit = PER_MINUTE[category]
        now = self.state.clock()
        recent = self.state.recent.setdefault((self.account, vin, category), deque())
        while recent and recent[0] <= now - 60:
            recent.popleft()
        if len(recent) >= limit:
            raise too_many(max(1, round(60 - (now - recent[0]))), limit)
        recent.append(now)


type Handler = Callable[[Call], Awaitable[web.Response] | web.Response]


def endpoint(
    handler: Callable[[Call], object], category: Category, region: Region | None
) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """Make an aiohttp handler: let the request in, answer in the envelope, count what Tesla bills, strike faults."""

    async def handle(request: web.Request) -> web.StreamResponse:
        state = request.app[STATE]
        state.requests.append((request.method, request.path))
        fault = state.faults.take(request.path)
        body = await request.read()
        account: str | None = None
        try:
            call = _authenticate(request, state, region)
            call.body = body
            account = call.account
            answer = handler(call)
            response = answer if isinstance(answer, web.Response) else answered(with_values(fault, answer))
        except Refused as refused:
            response = refused.response()
        outcome = response if fault is None or fault.kind == "values" else await apply_fault(fault, request, response)
        if account is not None and outcome.status < HTTPStatus.INTERNAL_SERVER_ERROR:
            state.billing.count(account, category)
        return outcome

    return handle


def _authenticate(request: web.Request, state: SimulatorState, region: Region | None) -> Call:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme != "Bearer" or not token:
        raise Refused(401)
    try:
        bearer = state.tokens.verify(token)
    except BearerRefused:
        raise Refused(401) from None
    if region is None:
        return _authenticate_owner(request, state, bearer)
    if bearer.kind == "owner":
        raise Refused(401, "invalid bearer token")
    application = state.applications.by_client_id(bearer.client_id)
    if bearer.region != region:
        raise out_of_region(state.addresses().fleet(bearer.region))
    registering = bearer.kind == "partner" and request.path.endswith("/partner_accounts")
    if application is not None and region not in application.regions and not registering:
        raise unregistered(bearer.client_id)
    return Call(request, state, bearer, region)


def _authenticate_owner(request: web.Request, state: SimulatorState, bearer: Bearer) -> Call:
    if bearer.kind != "owner":
        raise Refused(401, "invalid bearer token")
    if not bearer.fingerprint_ok:
        raise Refused(403, "forbidden, see https://developer.tesla.com/docs/fleet-api")
    return Call(request, state, bearer, None)
