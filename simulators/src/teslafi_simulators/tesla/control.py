"""Steers a running simulator: as methods for tests in the same process, as JSON under /control for others."""

from collections.abc import Callable
from dataclasses import asdict
from typing import Any, Final

from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from .accounts import Account
from .addresses import CONTROL, DOMAINS, Region
from .billing import Exchange
from .cars.car import Car, State, Supply
from .clock import ManualClock
from .commands.computers import computer_of, public_point
from .faults import Fault
from .state import STATE, SimulatorState, Stray
from .tokens import TokenPair

POSITIONS: Final = "0123456789ABCDEFGHJKLMNPRSTUVWXYZ"


class Control:
    """What a test or the demo does to cars, accounts and the network."""

    def __init__(self, state: SimulatorState) -> None:
        """Steer this state."""
        self._state = state

    def car(self, vin: str) -> Car:
        """Return a car, lived up to now; raise KeyError when there is none."""
        car = self._state.garage.find(vin)
        if car is None:
            raise KeyError(vin)
        return car

    def sleep(self, vin: str) -> None:
        """Let the car sleep, whatever it did."""
        car = self.car(vin)
        car.park()
        car.unplug()
        car.state = State.ASLEEP

    def offline(self, vin: str) -> None:
        """Take the car out of reach."""
        self.car(vin).state = State.OFFLINE

    def wake(self, vin: str) -> None:
        """Wake the car at once."""
        self.car(vin).wake()

    def drive(self, vin: str, **how: Any) -> None:  # noqa: ANN401 - as Car.start_drive
        """Begin a drive."""
        self.car(vin).start_drive(**how)

    def charge(self, vin: str, supply: str = "single_phase") -> None:
        """Begin a charge."""
        self.car(vin).plug_in(Supply(supply))

    def lose_power(self, vin: str) -> None:
        """Let the supply of a plugged-in car fail."""
        self.car(vin).lose_power()

    def park(self, vin: str) -> None:
        """End a drive."""
        self.car(vin).park()

    def add_car(self, vin: str, email: str, *, name: str | None = None) -> None:
        """Add a car to an account; raise KeyError for an unknown account."""
        account = self._state.accounts.by_email(email)
        if account is None:
            raise KeyError(email)
        self._state.garage.add(vin, account.sub, account.region, name=name)

    def remove_car(self, vin: str) -> None:
        """Sell a car."""
        self._state.garage.remove(vin)

    def share_car(self, vin: str, email: str) -> None:
        """Let another account drive a car; raise KeyError for an unknown one."""
        account = self._state.accounts.by_email(email)
        if account is None:
            raise KeyError(email)
        self.car(vin).drivers.add(account.sub)

    def unplug(self, vin: str) -> None:
        """End a charge."""
        self.car(vin).unplug()

    def set_values(self, vin: str, values: dict[str, Any]) -> None:
        """Set `block.field`s to anything."""
        car = self.car(vin)
        for path, value in values.items():
            car.set_value(path, value)

    def add_account(self, email: str, *, region: Region = "na", cars: int = 0) -> Account:
        """Add an account with so many cars, for measurements; its password is its e-mail address."""
        account = self._state.accounts.add(
            Account(email=email, password=email, region=region, full_name=email.partition("@")[0])
        )
        for place in range(cars):
            vin = f"5YJ3E1EA{POSITIONS[place % 10]}KF{place:06d}"
            self._state.garage.add(vin, account.sub, region, name=f"Car {place}")
        return account

    def mint(self, email: str, client_id: str, scopes: set[str], **how: bool) -> TokenPair:
        """Return tokens as a sign-in would; raise KeyError for an unknown account."""
        account = self._state.accounts.by_email(email)
        if account is None:
            raise KeyError(email)
        return self._state.tokens.mint(account, client_id, frozenset(scopes), **how)

    def recall(self, email: str, client_id: str, scopes: set[str], refresh_token: str) -> None:
        """Take a refresh token that an earlier run issued; raise KeyError for an unknown account."""
        account = self._state.accounts.by_email(email)
        if account is None:
            raise KeyError(email)
        self._state.tokens.recall(account, client_id, frozenset(scopes), refresh_token)

    def host_key(self, client_id: str, pem: str) -> None:
        """Put a public key at an application's domain, as its owner does by hand, and have Tesla know it.

        Raise KeyError or ValueError. That registration reads it again is `partner_accounts`.
        """
        application = self._state.applications.by_client_id(client_id)
        if application is None:
            raise KeyError(client_id)
        key = load_pem_public_key(pem.encode())
        if not isinstance(key, EllipticCurvePublicKey):
            raise ValueError("not a key on a curve")  # noqa: TRY004 - bad data, not a bad call
        application.public_key = public_point(key).hex()
        if application.domain is not None:
            self._state.hosted_keys[application.domain] = pem

    def serve_domain(self, domain: str, origin: str) -> None:
        """Say where a developer's domain is served (`http://127.0.0.1:8123`): Tesla reads its public key from there."""
        self._state.domains[domain] = origin

    def pair(self, vin: str, client_id: str) -> None:
        """Confirm an application's key on the owner's phone; raise KeyError when it has none."""
        application = self._state.applications.by_client_id(client_id)
        if application is None or application.public_key is None:
            raise KeyError(client_id)
        self.car(vin).keys.add(bytes.fromhex(application.public_key))

    def unpair(self, vin: str) -> None:
        """Remove every paired key in the car."""
        self.car(vin).keys.clear()

    def signed_fault(self, vin: str, fault: int) -> None:
        """Let a fault of the protocol (a number, or -1 for "wait") answer the next signed message of a car."""
        self.car(vin).signed_faults.append(fault)

    def reboot(self, vin: str) -> None:
        """Restart the car's computers: all signed sessions are over."""
        car = self.car(vin)
        for domain in car.computers:
            computer_of(car, domain).reboot(car.now)

    def executed(self, vin: str) -> list[str]:
        """Return the names of the commands that a car carried out or refused, oldest first."""
        return [name for name, _, _ in self.car(vin).executed]

    def change_password(self, email: str, new: str) -> None:
        """Set another password: all tokens end."""
        self._state.accounts.change_password(email, new)

    def expire_access_tokens(self, email: str) -> int:
        """Let an account's access tokens be over now, before their time; return how many. Raise KeyError."""
        account = self._state.accounts.by_email(email)
        if account is None:
            raise KeyError(email)
        return self._state.tokens.expire_all(account)

    def withdraw_consent(self, email: str, client_id: str) -> None:
        """Withdraw the consent to an application."""
        account = self._state.accounts.by_email(email)
        if account is None:
            raise KeyError(email)
        self._state.tokens.revoke_consent(account, client_id)

    def fault(self, **fault: Any) -> None:  # noqa: ANN401 - as Fault
        """Let a fault wait for its request."""
        self._state.faults.add(Fault(**fault))

    def clear_faults(self) -> None:
        """Call all faults off."""
        self._state.faults.clear()

    def limit(self, email: str, usd: float) -> None:
        """Set a developer account's spending limit.

        An owner's address stands for the developers whose applications that owner has let in. Raise KeyError for one
        who has let none in, and for an unknown address.
        """
        applications = list(self._state.applications)
        developers = {application.developer for application in applications if application.developer == email}
        if not developers:
            account = self._state.accounts.by_email(email)
            let_in = account.consents if account is not None else {}
            developers = {application.developer for application in applications if application.client_id in let_in}
        if not developers:
            raise KeyError(email)
        self._state.billing.limits.update(dict.fromkeys(developers, usd))

    def counters(self) -> dict[str, dict[str, int]]:
        """Return answered requests by the owner's e-mail address and category."""
        named = {account.sub: account.email for account in self._state.accounts}
        return {
            named.get(sub, sub): {str(name): count for name, count in counts.items()}
            for sub, counts in self._state.billing.by_owner.items()
        }

    def exchanges(self) -> list[Exchange]:
        """Return every request since the counters began, as it was answered."""
        return list(self._state.billing.exchanges)

    def strays(self) -> list[Stray]:
        """Return the requests that followed a redirect to nowhere."""
        return list(self._state.strays)

    def bills(self) -> dict[str, dict[str, float]]:
        """Return what each developer account is billed for: answered requests by category, and `usd`."""
        billing = self._state.billing
        return {
            developer: {**{str(name): count for name, count in counts.items()}, "usd": billing.cost(developer)}
            for developer, counts in billing.by_developer.items()
        }

    def commands_received(self) -> int:
        """Return how many commands arrived since the counters began, carried out or not, wake-ups among them."""
        posted = [path for method, path in self._state.requests if method == "POST"]
        return sum(any(mark in path for mark in COMMAND_PATHS) for path in posted)

    def reset_counters(self) -> None:
        """Begin to count anew."""
        self._state.billing.reset()
        self._state.requests.clear()
        self._state.strays.clear()

    def advance(self, seconds: float) -> None:
        """Move a manual clock; raise TypeError when the clock is a real one."""
        if not isinstance(self._state.clock, ManualClock):
            raise TypeError("this simulator's clock moves by itself")
        self._state.clock.advance(seconds)


COMMAND_PATHS: Final = (
    "/command/",
    "/signed_command",
    "/wake_up",
    "/backup",
    "/off_grid_vehicle_charging_reserve",
    "/operation",
    "/storm_mode",
    "/grid_import_export",
    "/time_of_use_settings",
)
"""Parts of paths by which cars and energy sites are told something."""

ACTIONS: Final = frozenset(
    {
        "add_car",
        "advance",
        "change_password",
        "charge",
        "clear_faults",
        "drive",
        "expire_access_tokens",
        "fault",
        "host_key",
        "limit",
        "lose_power",
        "offline",
        "pair",
        "park",
        "reboot",
        "remove_car",
        "reset_counters",
        "serve_domain",
        "set_values",
        "share_car",
        "signed_fault",
        "sleep",
        "unpair",
        "unplug",
        "wake",
        "withdraw_consent",
    }
)


def control_routes(control: Control) -> list[web.RouteDef]:
    """Return `POST /control/{action}` with the method's arguments as JSON, and what can be read."""

    async def act(request: web.Request) -> web.Response:
        name = request.match_info["action"]
        if name not in ACTIONS:
            return web.json_response({"error": "no such action"}, status=404)
        method: Callable[..., object] = getattr(control, name)
        try:
            method(**(await request.json()))
        except (KeyError, TypeError, ValueError) as error:
            return web.json_response({"error": repr(error)}, status=400)
        return web.json_response({})

    async def mint(request: web.Request) -> web.Response:
        """Answer as Tesla's token endpoint would after a sign-in with full consent."""
        asked = await request.json()
        try:
            pair = control.mint(asked["email"], asked["client_id"], set(asked["scopes"]))
        except (KeyError, TypeError) as error:
            return web.json_response({"error": repr(error)}, status=400)
        return web.json_response(pair.answer())

    async def counters(_request: web.Request) -> web.Response:
        return web.json_response(control.counters())

    async def exchanges(_request: web.Request) -> web.Response:
        return web.json_response([asdict(exchange) for exchange in control.exchanges()])

    async def strays(_request: web.Request) -> web.Response:
        followed = [(stray.method, stray.path, stray.authorized) for stray in control.strays()]
        names = ("method", "path", "authorized")
        return web.json_response([dict(zip(names, stray, strict=True)) for stray in followed])

    async def bills(_request: web.Request) -> web.Response:
        return web.json_response(control.bills())

    return [
        web.get(f"{CONTROL}/cars", _cars),
        web.get(f"{CONTROL}/accounts", _accounts),
        web.get(f"{CONTROL}/clock", _clock),
        web.get(f"{CONTROL}/counters", counters),
        web.get(f"{CONTROL}/bills", bills),
        web.get(f"{CONTROL}/exchanges", exchanges),
        web.get(f"{CONTROL}/strays", strays),
        web.get(f"{DOMAINS}/{{domain}}/.well-known/appspecific/com.tesla.3p.public-key.pem", _hosted_key),
        web.post(f"{CONTROL}/mint", mint),
        web.post(f"{CONTROL}/{{action}}", act),
    ]


async def _cars(request: web.Request) -> web.Response:
    state = request.app[STATE]
    found = [state.garage.find(car.vin) for car in state.garage]
    return web.json_response({car.vin: _car_state(car) for car in found if car is not None})


def _car_state(car: Car) -> dict[str, Any]:
    return {**car.data, "state": car.state, "executed": [name for name, _, _ in car.executed]}


async def _accounts(request: web.Request) -> web.Response:
    accounts = request.app[STATE].accounts
    return web.json_response(
        {
            account.email: {
                "password": account.password,
                "passcode": accounts.current_passcode(account.email),
                "region": account.region,
            }
            for account in accounts
        }
    )


async def _clock(request: web.Request) -> web.Response:
    return web.json_response({"now": request.app[STATE].clock()})


async def _hosted_key(request: web.Request) -> web.Response:
    """Be a developer's own web server."""
    pem = request.app[STATE].hosted_keys.get(request.match_info["domain"])
    if pem is None:
        return web.Response(status=404)
    return web.Response(text=pem, content_type="application/x-pem-file")
