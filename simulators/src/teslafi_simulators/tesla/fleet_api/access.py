"""Who asks, whether they may, and what it costs: the same for every endpoint."""

from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus
from inspect import isawaitable
from typing import Any, Final

from aiohttp import web

from ..addresses import Region
from ..billing import PRICES_USD, Category, Exchange
from ..cars.car import Car, State
from ..faults import Asked, apply_fault, with_values
from ..state import STATE, SimulatorState
from ..tokens import Bearer, BearerRefused
from .answers import Refused, answered, asleep, missing_scopes, not_found, out_of_region, too_many, unregistered
from .reading import NotJson, json_body

PER_MINUTE: Final[dict[Category, int]] = {"data": 60, "command": 30, "wake": 3}
"""Requests about one car (developer.tesla.com, "Billing and limits")."""

SIGNING_REQUIRED: Final = (
    "Tesla Vehicle Command Protocol required, please refer to the documentation here: "
    "https://developer.tesla.com/docs/fleet-api/announcements#2023-10-09-rest-api-vehicle-commands-endpoint-deprecation-warning"
)


@dataclass(slots=True)
class Call:
    """A request that was let in: by whom, where, and with which state of the simulator. No region: the Owner API."""

    request: web.Request
    state: SimulatorState
    bearer: Bearer
    region: Region | None
    body: bytes = b""

    @property
    def account(self) -> str:
        """The account's `sub`."""
        return self.bearer.account_sub

    @property
    def developer(self) -> str | None:
        """The developer account that is billed for this call."""
        return _developer(self.state, self.bearer)

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

    def live_car(self) -> Car:
        """Return the car for a call that reaches it: refused when it does not answer."""
        car = self.car()
        if not car.mobile_access:
            raise Refused(401, "mobile_access_disabled")
        if car.in_service:
            raise Refused(405, "vehicle is currently in service")
        if car.state is not State.ONLINE:
            raise asleep()
        return car

    def json(self) -> Any:  # noqa: ANN401 - JSON
        """Return the body, which has to be JSON and to say so."""
        if self.request.content_type != "application/json":
            raise Refused(406, "not_a_JSON_request")
        try:
            return json_body(self.body)
        except NotJson:
            raise Refused(406, "not_a_JSON_request") from None

    def meter(self, category: Category) -> None:
        """Refuse what goes beyond the developer's spending limit, or beyond this account's requests of a minute.

        Reads, commands and wake-ups of a car are counted apart. Whether a refused one counts as well is not known:
        here it does not.
        """
        limit = PER_MINUTE.get(category)
        if limit is None:
            return
        if self.state.billing.exceeded(self.developer):
            raise Refused(403, "account disabled: EXCEEDED_LIMIT")
        now = self.state.clock()
        recent = self.state.recent.setdefault((self.account, _asked_car(self.request, self.state), category), deque())
        while recent and recent[0] <= now - 60:
            recent.popleft()
        if len(recent) >= limit:
            raise too_many(max(1, round(60 - (now - recent[0]))), limit)
        recent.append(now)


type Answer = Any
"""What an endpoint answers: whatever JSON can hold."""
type Handler = Callable[[Call], Awaitable[web.Response] | web.Response]


def endpoint(
    handler: Callable[[Call], object], category: Category, region: Region | None, *, any_region: bool = False
) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """Make an aiohttp handler: let the request in, answer in the envelope, count what Tesla bills, strike faults.

    `any_region`: accounts of other regions are answered as well.
    """

    async def handle(request: web.Request) -> web.StreamResponse:
        state = request.app[STATE]
        state.requests.append((request.method, request.path))
        vin = _asked_car(request, state)
        asked = Asked(path=request.path, method=request.method, vin=vin, at=state.clock())
        fault = state.faults.take(asked)
        body = await request.read()
        bearer: Bearer | None = None
        try:
            bearer = _authenticate(request, state)
            if fault is not None and not fault.executes:
                response = web.Response()
            else:
                call = Call(request, state, bearer, region, body)
                _check_host(call, any_region=any_region)
                call.meter(category)
                answer = handler(call)
                if isawaitable(answer):
                    answer = await answer
                response = answer if isinstance(answer, web.Response) else answered(with_values(fault, answer))
        except BearerRefused as refused:
            bearer = refused.bearer
            response = Refused(401).response()
        except Refused as refused:
            response = refused.response()
        outcome = response if fault is None else await apply_fault(fault, request, response)
        billed = bearer is not None and outcome.status < HTTPStatus.INTERNAL_SERVER_ERROR
        if bearer is not None and billed:
            state.billing.count(bearer.account_sub, _developer(state, bearer), category)
        state.billing.exchanges.append(
            Exchange(
                at=asked.at,
                method=asked.method,
                path=asked.path,
                status=outcome.status,
                category=category,
                vin=vin,
                usd=PRICES_USD[category] if billed else 0.0,
            )
        )
        return outcome

    return handle


def _asked_car(request: web.Request, state: SimulatorState) -> str:
    """Return the VIN of the car that the request is about, "" when it is about none in particular."""
    car = state.garage.find(request.match_info.get("vehicle") or request.query.get("vin", ""))
    return car.vin if car is not None else ""


def _developer(state: SimulatorState, bearer: Bearer) -> str | None:
    application = state.applications.by_client_id(bearer.client_id)
    return None if application is None or application.is_owner_app else application.developer


def _authenticate(request: web.Request, state: SimulatorState) -> Bearer:
    """Return whose token the request carries; raise BearerRefused or Refused."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme != "Bearer" or not token:
        raise Refused(401)
    return state.tokens.verify(token)


def _check_host(call: Call, *, any_region: bool) -> None:
    """Refuse tokens of the other interface, accounts that live elsewhere, applications that are not registered here."""
    if (call.bearer.kind == "owner") != (call.region is None):
        raise Refused(401, "invalid bearer token")
    if call.region is None:
        if not call.bearer.fingerprint_ok:
            raise Refused(403, "forbidden, see https://developer.tesla.com/docs/fleet-api")
        return
    if call.bearer.region != call.region and not any_region:
        raise out_of_region(call.state.addresses().fleet(call.bearer.region))
    application = call.state.applications.by_client_id(call.bearer.client_id)
    registering = call.bearer.kind == "partner" and call.request.path.endswith("/partner_accounts")
    if application is not None and call.region not in application.regions and not registering:
        raise unregistered(call.bearer.client_id)
