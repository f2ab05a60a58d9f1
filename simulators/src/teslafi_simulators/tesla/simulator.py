"""One simulator: Tesla's sign-in, Fleet API and control on one port of loopback."""

from random import Random
from typing import Final, Self

from aiohttp import web
from aiohttp.typedefs import Handler

from .accounts import AccountStore
from .addresses import AUTH, AUTH_CN, FLEET_AUTH, Addresses
from .applications import ApplicationStore
from .billing import Exchange
from .cars.garage import Garage
from .cars.routine import Routine
from .clock import Clock, real_clock
from .control import Control, control_routes
from .faults import ELSEWHERE, Asked, apply_fault
from .fleet_api import fleet_routes
from .scenario import SCENARIOS
from .showroom import OtherAccount, showroom_routes
from .sign_in import sign_in_routes
from .state import STATE, SimulatorState, Stray
from .tokens import TokenStore

LARGEST_REQUEST: Final = 1024**2


class TeslaSimulator:
    """Start it, use `url` and `addresses`, steer it with `control`, stop it. Also an async context manager."""

    def __init__(
        self,
        *,
        clock: Clock = real_clock,
        scenario: str = "demo",
        redirect_uris: tuple[str, ...] = (),
        before_july_2026: bool = False,
        seed: int | None = None,
    ) -> None:
        """Begin with the named scenario; `redirect_uris` are allowed for its applications besides Home Assistant's.

        Without a seed, cars do what they are told and nothing else. With one they live by themselves, to work, home
        and asleep; the same seed, clock and questions give the same days.
        """
        self._addresses: Addresses | None = None
        self._runner: web.AppRunner | None = None
        self.clock = clock
        self.accounts = AccountStore(clock)
        self.applications = ApplicationStore(before_july_2026=before_july_2026)
        self.tokens = TokenStore(clock, self.accounts, self.applications, lambda: self.addresses)
        self.garage = Garage(clock)
        self.other_accounts: list[OtherAccount] = []
        """Of other services, shown on the page for people."""
        self.state = SimulatorState(
            clock=clock,
            addresses=lambda: self.addresses,
            accounts=self.accounts,
            applications=self.applications,
            tokens=self.tokens,
            garage=self.garage,
        )
        self.control = Control(self.state)
        SCENARIOS[scenario](self.state, redirect_uris)
        if seed is not None:
            for car in self.garage:
                car.behaviors.insert(0, Routine(Random(f"{seed}:{car.vin}"), car))  # noqa: S311 - a day's plan is no secret

    @property
    def addresses(self) -> Addresses:
        """Where everything is; raise RuntimeError before the start."""
        if self._addresses is None:
            raise RuntimeError("the simulator has not been started")
        return self._addresses

    @property
    def url(self) -> str:
        """Base address, without a slash at its end."""
        return self.addresses.base_url

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> None:
        """Serve; port 0 takes a free one."""
        app = web.Application(middlewares=[_broken_sign_in], client_max_size=LARGEST_REQUEST)
        app[STATE] = self.state
        app.add_routes([web.route("*", f"{ELSEWHERE}/{{rest:.*}}", _stray)])
        app.add_routes(showroom_routes(self.state, self.control, self.other_accounts))
        app.add_routes(
            sign_in_routes(
                clock=self.clock,
                accounts=self.accounts,
                applications=self.applications,
                tokens=self.tokens,
                addresses=lambda: self.addresses,
            )
        )
        app.add_routes(fleet_routes())
        app.add_routes(control_routes(self.control))
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, host, port)
        await site.start()
        bound = self._runner.addresses[0]
        self._addresses = Addresses(f"http://{bound[0]}:{bound[1]}")

    async def stop(self) -> None:
        """End all connections."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def __aenter__(self) -> Self:
        """Start on a free port."""
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop."""
        await self.stop()


@web.middleware
async def _broken_sign_in(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Strike the sign-in side with the faults that wait for it, and note its exchanges; the Fleet API does its own."""
    if not request.path.startswith((AUTH, AUTH_CN, FLEET_AUTH)):
        return await handler(request)
    state = request.app[STATE]
    asked = Asked(path=request.path, method=request.method, at=state.clock())
    fault = state.faults.take(asked)
    executes = fault is None or fault.executes
    response = await handler(request) if executes else web.Response()
    if fault is not None and isinstance(response, web.Response):
        response = await apply_fault(fault, request, response)
    state.billing.exchanges.append(Exchange(at=asked.at, method=asked.method, path=asked.path, status=response.status))
    return response


async def _stray(request: web.Request) -> web.Response:
    """Keep what followed a redirect, which no client should."""
    stray = Stray(
        method=request.method,
        path=request.path,
        authorized="Authorization" in request.headers,
        body=await request.read(),
    )
    request.app[STATE].strays.append(stray)
    return web.json_response({"response": {}})
