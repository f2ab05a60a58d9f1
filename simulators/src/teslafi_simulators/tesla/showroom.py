"""The simulator's page for people: who can sign in with which code, and every car with buttons that do things to it.

Nothing here is part of Tesla's service. The page works without JavaScript; each button is a form.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from html import escape
from typing import Final

from aiohttp import web

from .cars.car import Car, State
from .control import Control
from .state import SimulatorState

REFRESH_SECONDS: Final = 10
PAGE: Final = "/"
KEY: Final = "/showroom/key"
ACTION: Final = "/showroom/{action}"
LOW_PRESSURE: Final = 2.0
"""bar."""
UPDATE: Final = {
    "status": "available",
    "version": "2026.44.3",
    "download_perc": 100,
    "expected_duration_sec": 1500,
    "install_perc": 1,
}


@dataclass(frozen=True, slots=True)
class OtherAccount:
    """An account of another service, shown beside Tesla's. `code` returns its two-factor code of the moment."""

    service: str
    name: str
    password: str
    code: Callable[[], str]


def _open_doors(car: Car) -> None:
    car.wake()
    car.data["vehicle_state"] |= {"df": 1, "rt": 1, "locked": False}


def _close_doors(car: Car) -> None:
    car.data["vehicle_state"] |= dict.fromkeys(("df", "pf", "dr", "pr", "ft", "rt"), 0)
    car.data["vehicle_state"]["locked"] = True


def _lose_pressure(car: Car) -> None:
    car.wake()
    car.data["vehicle_state"] |= {"tpms_pressure_fl": LOW_PRESSURE, "tpms_soft_warning_fl": True}


def _offer_update(car: Car) -> None:
    car.wake()
    car.data["vehicle_state"]["software_update"] = dict(UPDATE)


BUTTONS: Final[Mapping[str, tuple[str, Callable[[Control, str], None]]]] = {
    "drive": ("Drive", lambda control, vin: control.drive(vin)),
    "park": ("Park", lambda control, vin: control.park(vin)),
    "charge": ("Plug in", lambda control, vin: control.charge(vin)),
    "unplug": ("Unplug", lambda control, vin: control.unplug(vin)),
    "open": ("Open a door and the trunk", lambda control, vin: _open_doors(control.car(vin))),
    "close": ("Close and lock", lambda control, vin: _close_doors(control.car(vin))),
    "pressure": ("Lose tire pressure", lambda control, vin: _lose_pressure(control.car(vin))),
    "update": ("Offer an update", lambda control, vin: _offer_update(control.car(vin))),
    "sleep": ("Sleep", lambda control, vin: control.sleep(vin)),
    "wake": ("Wake", lambda control, vin: control.wake(vin)),
}


def showroom_routes(state: SimulatorState, control: Control, others: list[OtherAccount]) -> list[web.RouteDef]:
    """Return the page and what its buttons do; `others` are shown beside Tesla's accounts."""

    async def page(_request: web.Request) -> web.Response:
        cars = "".join(_car(state, car) for car in state.garage)
        table = (
            f"<table><tr><th>Service<th>Account<th>Password<th>Two-factor code now{_accounts(state, others)}</table>"
        )
        text = f"{_INTRODUCTION}{table}{cars}<p><a href={KEY}>Host a command key</a>"
        return _html(text, refresh=f"<meta http-equiv=refresh content={REFRESH_SECONDS}>")

    async def key(_request: web.Request) -> web.Response:
        return _html(f"<h1>Command key</h1>{_key_form(state)}")

    async def act(request: web.Request) -> web.Response:
        if not _of_this_page(request):
            return web.Response(status=403, text="Another site's page does not press these buttons")
        try:
            form = await request.post()
            action, vin = request.match_info["action"], str(form.get("vin", ""))
            if action == "pair":
                control.pair(vin, str(form.get("client_id", "")))
            elif action == "key":
                control.host_key(str(form.get("client_id", "")), str(form.get("pem", "")))
            else:
                BUTTONS[action][1](control, vin)
        except (LookupError, ValueError) as error:
            return web.Response(status=400, text=f"That does not work: {error!r}")
        raise web.HTTPSeeOther(PAGE)

    return [web.get(PAGE, page), web.get(KEY, key), web.post(ACTION, act)]


def _of_this_page(request: web.Request) -> bool:
    """Say whether a form was sent by the page itself, or by a client that is no browser."""
    origin = request.headers.get("Origin")
    return origin is None or origin.partition("://")[2] == request.host


def _accounts(state: SimulatorState, others: list[OtherAccount]) -> str:
    tesla = [
        ("Tesla", account.email, account.password, state.accounts.current_passcode(account.email) or "none")
        for account in state.accounts
    ]
    rows = [*tesla, *((one.service, one.name, one.password, one.code()) for one in others)]
    return "".join(
        f"<tr><td>{escape(service)}<td>{escape(name)}<td><code>{escape(password)}</code><td><code>{escape(code)}</code>"
        for service, name, password, code in rows
    )


def _car(state: SimulatorState, car: Car) -> str:
    car.advance(state.clock())
    vehicle = car.data["vehicle_state"]
    owner = next((account.email for account in state.accounts if account.sub == car.owner), "somebody else")
    buttons = "".join(_button(action, label, car.vin) for action, (label, _) in BUTTONS.items())
    pairing = "".join(
        _button("pair", f"Pair the key of {application.client_id}", car.vin, client_id=application.client_id)
        for application in state.applications
        if application.public_key and bytes.fromhex(application.public_key) not in car.keys
    )
    return (
        f"<section><h2>{escape(str(vehicle.get('vehicle_name')))}</h2><p>{escape(car.vin)} of {escape(owner)}: "
        f"{escape(_doing(car))}, {car.soc:.0f}%</p>{buttons}{pairing}</section>"
    )


def _doing(car: Car) -> str:
    if car.state is not State.ONLINE:
        return str(car.state)
    if car.drive is not None:
        return f"driving to {car.drive.destination}"
    return "charging" if car.charge is not None else "parked"


def _button(action: str, label: str, vin: str, **hidden: str) -> str:
    fields = "".join(
        f'<input type=hidden name={name} value="{escape(value, quote=True)}">'
        for name, value in {"vin": vin, **hidden}.items()
    )
    return f"<form method=post action=/showroom/{action}>{fields}<button>{escape(label)}</button></form>"


def _key_form(state: SimulatorState) -> str:
    options = "".join(f"<option>{escape(application.client_id)}" for application in state.applications)
    return (
        "<form class=key method=post action=/showroom/key><p>Host a public key at the domain of "
        f"<select name=client_id>{options}</select> and register it:</p>"
        "<textarea name=pem rows=4 placeholder='-----BEGIN PUBLIC KEY-----'></textarea><button>Host it</button></form>"
    )


_INTRODUCTION: Final = (
    "<h1>Simulated Tesla</h1><p>Nothing here belongs to Tesla. Two-factor codes change every 30 seconds."
)
_STYLE: Final = (
    ":root{color-scheme:light dark}body{font:16px system-ui;margin:2rem auto;max-width:60rem;padding:0 1rem}"
    "td,th{text-align:left;padding:.4rem .8rem;border-bottom:1px solid #8888}"
    "form{display:inline-block;margin:.15rem}.key,.key textarea{display:block;width:100%}button{padding:.4rem .8rem}"
)


def _html(body: str, *, refresh: str = "") -> web.Response:
    text = (
        f"<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>{refresh}"
        f"<title>Simulated Tesla</title><style>{_STYLE}</style>{body}"
    )
    return web.Response(text=text, content_type="text/html")
