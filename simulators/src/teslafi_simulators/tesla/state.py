"""Everything that one simulator holds."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from aiohttp import web

from .accounts import AccountStore
from .addresses import Addresses
from .applications import ApplicationStore
from .billing import Billing
from .cars.garage import Garage
from .clock import Clock
from .energy.site import Site
from .faults import Faults
from .tokens import TokenStore


@dataclass(frozen=True, slots=True, kw_only=True)
class Stray:
    """A request that followed a redirect: whether it carried the token along, and which body."""

    method: str
    path: str
    authorized: bool
    body: bytes = field(repr=False)


@dataclass(slots=True, kw_only=True)
class SimulatorState:
    """Clock, accounts, applications, tokens, cars, sites, and what is counted and broken.

    `recent`: times of requests by account, car and category. `requests`: method and path of each. `strays`: what
    followed a redirect. `domains`: where a developer's domain is served, if not here; `hosted_keys`: public keys (PEM)
    that are served here.
    """

    clock: Clock
    addresses: Callable[[], Addresses]
    accounts: AccountStore
    applications: ApplicationStore
    tokens: TokenStore
    garage: Garage
    sites: dict[int, Site] = field(default_factory=dict)
    billing: Billing = field(default_factory=Billing)
    faults: Faults = field(default_factory=Faults)
    recent: dict[tuple[str, str, str], deque[float]] = field(default_factory=dict)
    requests: list[tuple[str, str]] = field(default_factory=list)
    strays: list[Stray] = field(default_factory=list)
    domains: dict[str, str] = field(default_factory=dict)
    hosted_keys: dict[str, str] = field(default_factory=dict)


STATE: web.AppKey[SimulatorState] = web.AppKey("state", SimulatorState)
