"""What a Home Assistant asks controls for: a Tesla account, its cars, and groups of commands (RFC 9396).

It comes as `authorization_details` of the authorization request: one object of the type `teslafi_controls`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
import re
from typing import Any, Final

from teslafi_companion.domain.words import Group
from teslafi_companion.language import N_
from teslafi_companion.text import parse_json

from .faults import OAuthFault

INVALID_DETAILS: Final = "invalid_authorization_details"
TYPE: Final = "teslafi_controls"
LONGEST: Final = 4000
"""Characters: the whole request has to fit into one address."""
MOST_VEHICLES: Final = 30
_LONGEST_NAME: Final = 64
_ACCOUNT: Final = re.compile(r"[A-Za-z0-9-]{1,64}", re.ASCII)
_VIN: Final = re.compile(r"[A-HJ-NPR-Z0-9]{17}", re.ASCII)


WORDS: Final[Mapping[Group, str]] = {
    Group.CHARGING: N_("Charging: start and stop charging, set the limit and current, open and close the charge port"),
    Group.CLIMATE: N_("Climate: cabin, seats, steering wheel, defrost, and overheat protection"),
    Group.OPENINGS: N_("Locks and openings: lock and unlock the doors, open and close trunks, windows, and sunroof"),
    Group.SECURITY: N_("Security: keyless start, sentry mode, valet mode, PINs, speed limit, and garage door"),
    Group.MEDIA: N_("Media and navigation: music, volume, destinations, horn, and lights"),
    Group.SOFTWARE: N_("Software: install updates"),
    Group.SCHEDULES: N_("Schedules: charging, preconditioning, and departure"),
    Group.ENERGY: N_("Energy sites: reserve, mode, grid, and storm watch"),
}
"""How the consent page puts a group."""

RISKY: Final[Mapping[Group, str]] = {
    Group.OPENINGS: N_("Whoever controls your Home Assistant can open the car."),
    Group.SECURITY: N_("Whoever controls your Home Assistant can drive the car away."),
}
"""Groups that the consent page warns of, and what of."""


@dataclass(frozen=True)
class Vehicle:
    """A car, by its VIN and the name its owner gave it."""

    vin: str
    name: str


@dataclass(frozen=True)
class ControlsRequest:
    """What is asked for; `account` is Tesla's own identifier of the account, `account_name` what its owner reads."""

    account: str
    account_name: str
    groups: tuple[Group, ...]
    vehicles: tuple[Vehicle, ...]

    def to_json(self) -> dict[str, Any]:
        """Return what is sealed and written down."""
        return {
            "type": TYPE,
            "account": self.account,
            "account_name": self.account_name,
            "groups": [group.value for group in self.groups],
            "vehicles": [{"vin": vehicle.vin, "name": vehicle.name} for vehicle in self.vehicles],
        }

    @property
    def words(self) -> list[str]:
        """Return the groups for a person."""
        return [WORDS[group] for group in self.groups]

    @property
    def warned(self) -> list[tuple[str, str | None]]:
        """Return the groups for the page that asks, each with what it has to warn of."""
        return [(WORDS[group], RISKY.get(group)) for group in self.groups]


def parse_details(text: str | None) -> ControlsRequest:
    """Read `authorization_details`; raises OAuthFault."""
    if text is None or len(text) > LONGEST:
        raise _fault("is needed for controls, in at most 4000 characters")
    try:
        said = parse_json(text)
    except ValueError:
        raise _fault("is JSON") from None
    if not isinstance(said, list) or len(said) != 1 or not isinstance(said[0], dict):
        raise _fault("is an array of one object")
    return _parse(said[0])


def of_json(said: Mapping[str, Any]) -> ControlsRequest:
    """Undo `to_json` of what was checked before."""
    return ControlsRequest(
        said["account"],
        said["account_name"],
        tuple(Group(group) for group in said["groups"]),
        tuple(Vehicle(vehicle["vin"], vehicle["name"]) for vehicle in said["vehicles"]),
    )


def _parse(said: Mapping[str, Any]) -> ControlsRequest:
    if said.get("type") != TYPE:
        raise _fault(f"has the type {TYPE}")
    account = said.get("account")
    if not isinstance(account, str) or not _ACCOUNT.fullmatch(account):
        raise _fault("names a Tesla account")
    groups = said.get("groups")
    if (
        not isinstance(groups, list)
        or not groups
        or not all(isinstance(group, str) and group in set(Group) for group in groups)
    ):
        raise _fault(f"has groups out of {', '.join(Group)}")
    return ControlsRequest(
        account,
        _name(said.get("account_name")),
        tuple(group for group in Group if group in groups),
        _vehicles(said.get("vehicles")),
    )


def _vehicles(said: object) -> tuple[Vehicle, ...]:
    if not isinstance(said, list) or len(said) > MOST_VEHICLES:
        raise _fault("has a list of at most 30 vehicles")
    found = []
    for one in said:
        vin = one.get("vin") if isinstance(one, dict) else None
        if not isinstance(vin, str) or not _VIN.fullmatch(vin):
            raise _fault("names each vehicle by its VIN")
        found.append(Vehicle(vin, _name(one.get("name"))))
    return tuple(found)


def _name(said: object) -> str:
    if not isinstance(said, str) or not said.isprintable():
        raise _fault("has names of printable characters")
    return said.strip()[:_LONGEST_NAME]


def _fault(what: str) -> OAuthFault:
    return OAuthFault(INVALID_DETAILS, f"authorization_details {what}")
