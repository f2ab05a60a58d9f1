"""What each refusal costs: requests and dollars in its first hour and in its first day, by endpoint and status.

One account has a car for each refusal of a car's endpoints: one world shows all of them, and none disturbs another.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from .troubles import BODIES, HEADERS
from .world import Report, World

OWNER: Final = "fleet@example.com"
HOURS: Final = 24

REFUSALS: Final[Mapping[str, Mapping[str, Any]]] = {
    "400": {"status": 400, "body": {"error": "invalid_request"}},
    "401 mobile access off": {"status": 401, "body": BODIES["mobile access"]},
    "402": {"status": 402},
    "403 scopes": {"status": 403, "body": BODIES["scopes"]},
    "403 other": {"status": 403, "body": {"error": "unsupported vehicle"}},
    "404": {"status": 404, "body": BODIES["not_found"]},
    "405": {"status": 405, "body": BODIES["in service"]},
    "408 awake": {"status": 408, "body": BODIES["time-out"]},
    "412": {"status": 412, "body": BODIES["unregistered"]},
    "423": {"status": 423},
    "429": {"status": 429, "body": "Retry in 45 seconds", "headers": HEADERS["seconds"]},
    "429 long": {"status": 429, "body": BODIES["retry in"], "headers": HEADERS["long"]},
    "429 zero": {"status": 429, "headers": HEADERS["zero"]},
    "429 nothing": {"status": 429},
    "429 absurd": {"status": 429, "headers": HEADERS["absurd"]},
    "451": {"status": 451},
}
"""By name: how an endpoint refuses, for ever. An empty 401 and the spending limit concern a whole account."""

OF_AN_ACCOUNT: Final = {
    **{name: REFUSALS[name] for name in ("402", "403 scopes", "404", "412", "429", "429 long", "429 nothing", "451")},
    "401 empty": {"status": 401},
    "403 limit": {"status": 403, "body": BODIES["limit"]},
    "500": {"status": 500, "body": BODIES["upstream"]},
    "503": {"status": 503},
}
"""What sites and the account's list are refused with."""

SITES: Final = ("live_status", "site_info", "calendar_history")


@dataclass(frozen=True, slots=True)
class Cost:
    """What one refusal of one endpoint came to: requests and dollars, in the first hour and in the first day."""

    endpoint: str
    refusal: str
    first_hour: int
    first_hour_usd: float
    day: int
    day_usd: float

    def row(self) -> str:
        """Return the row of a table in Markdown."""
        return (
            f"| `{self.endpoint}` | {self.refusal} | {self.first_hour} | {self.first_hour_usd:.3f} "
            f"| {self.day} | {self.day_usd:.3f} |"
        )


HEAD: Final = (
    "| Endpoint | Refusal | Requests in the first hour | USD | Requests in the first day | USD |\n"
    "| --- | --- | ---: | ---: | ---: | ---: |"
)


def _asked(report: Report, endpoint: str, vin: str = "") -> tuple[int, float]:
    found = [
        exchange
        for exchange in report.exchanges
        if exchange.path.endswith(f"/{endpoint}") and (not vin or exchange.vin == vin)
    ]
    return len(found), sum(exchange.usd for exchange in found)


def _cost(endpoint: str, refusal: str, first: tuple[int, float], later: tuple[int, float]) -> Cost:
    return Cost(endpoint, refusal, *first, first[0] + later[0], first[1] + later[1])


async def of_cars(world: World, endpoint: str, hours: float = HOURS) -> list[Cost]:
    """Refuse `vehicle_data` or the state of one car after another, beside a car that answers; that one comes last."""
    tesla = world.tesla
    tesla.control.add_account(OWNER, cars=len(REFUSALS) + 1)
    account = tesla.accounts.by_email(OWNER)
    assert account is not None
    cars = tesla.garage.of(account.sub)
    for car in cars:
        car.set_value("vehicle_state.is_user_present", value=True)
    await world.sign_in(OWNER)
    named = dict(zip([*REFUSALS, "none"], cars, strict=True))
    for name, how in REFUSALS.items():
        vin = named[name].vin
        path = f"*/{endpoint}" if endpoint == "vehicle_data" else f"*/vehicles/{vin}"
        tesla.control.fault(path=path, vin=vin, kind="status", times=None, **how)
    await world.pass_time(hours=1, step=60)
    first = world.report()
    await world.pass_time(hours=hours - 1, step=300)
    later = world.report()
    assert first.exceptions == later.exceptions == []
    assert not later.reauthenticating
    last = {name: endpoint if endpoint == "vehicle_data" else car.vin for name, car in named.items()}
    return [
        _cost(endpoint, name, _asked(first, last[name], car.vin), _asked(later, last[name], car.vin))
        for name, car in named.items()
    ]


async def of_account(world: World, refusal: str, hours: float = HOURS) -> list[Cost]:
    """Refuse the list of products and a site's three endpoints, all in the same way."""
    await world.sign_in()
    for endpoint in ("products", *SITES):
        world.tesla.control.fault(path=f"*/{endpoint}", kind="status", times=None, **OF_AN_ACCOUNT[refusal])
    await world.pass_time(hours=1, step=60)
    first = world.report()
    await world.pass_time(hours=hours - 1, step=300)
    later = world.report()
    assert first.exceptions == later.exceptions == []
    return [
        _cost(endpoint, refusal, _asked(first, endpoint), _asked(later, endpoint)) for endpoint in ("products", *SITES)
    ]
