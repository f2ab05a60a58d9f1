"""Commands over REST, as cars without the signed protocol take them."""

from typing import Any, Final

from ..cars.car import Car
from ..commands.parameters import BadParameter, Parameters
from ..commands.table import COMMANDS, execute
from .access import SIGNING_REQUIRED, Call
from .answers import Refused

UNSIGNED_EVERYWHERE: Final = frozenset({"navigation_request", "take_drivenote", "upcoming_calendar_entries"})
"""Commands that go out as REST to every car: not the car but Tesla's server works them off."""


def sent_parameters(call: Call) -> Parameters:
    """Read the JSON body; an empty one has no parameters."""
    if not call.body:
        return Parameters({})
    body = call.json()
    if not isinstance(body, dict):
        raise Refused(400, "invalid_request")
    return Parameters(body)


def command(call: Call) -> Any:  # noqa: ANN401 - JSON
    """Carry a command out: known, allowed by a scope, to a car that is awake and takes it unsigned."""
    name = call.request.match_info["name"]
    known = COMMANDS.get(name)
    if known is None or not known.rest:
        raise Refused(400, "invalid_command")
    call.needs(*known.scopes)
    sent = sent_parameters(call)
    car = call.live_car()
    if _must_be_signed(car, name):
        raise Refused(403, SIGNING_REQUIRED)
    try:
        return execute(car, name, sent, signed=False).answer()
    except BadParameter:
        raise Refused(400, "invalid_field") from None


def _must_be_signed(car: Car, name: str) -> bool:
    return car.signing == "required" and name not in UNSIGNED_EVERYWHERE
