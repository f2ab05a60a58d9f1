"""The companion's permit: an EdDSA JWT, taken only when every claim is as it has to be (contract/companion-api.yaml).

Its end is held against two clocks: the wall's, and one that only runs forward, so that a clock set back lengthens
nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import jwt

from ..tesla.vin import vin_of
from .groups import ControlGroup

TYPE: Final = "teslafi-permit+jwt"
SKEW: Final = 300.0
"""Seconds by which the companion's clock may be ahead of ours before ours counts as wrong."""
LONGEST: Final = 48 * 3600.0
"""Seconds that no permit lives, whatever it says."""


class Fault(StrEnum):
    """What is wrong with a permit."""

    INVALID = "permit_invalid"
    OTHER_INSTANCE = "other_instance"
    OTHER_ACCOUNT = "other_account"
    CLOCK = "clock"
    EXPIRED = "expired"


class PermitFaulty(Exception):
    """The permit is not taken; `fault` tells why."""

    def __init__(self, fault: Fault) -> None:
        """Keep the fault."""
        super().__init__(fault.value)
        self.fault = fault


@dataclass(frozen=True, slots=True)
class Moment:
    """The present by both clocks: epoch seconds, and seconds of a clock that nobody sets."""

    wall: float
    steady: float


@dataclass(frozen=True, slots=True)
class Permit:
    """A verified permit. Times in epoch seconds; `received` is when it came, by both clocks."""

    account: str
    groups: frozenset[ControlGroup]
    vehicles: frozenset[str]
    issued_at: float
    expires_at: float
    step_up_at: float
    received: Moment

    @property
    def lifetime(self) -> float:
        """Seconds from issue to end."""
        return self.expires_at - self.issued_at

    def holds(self, now: Moment) -> bool:
        """Say whether it is still good by both clocks; a wall clock before its issue is none to go by."""
        return (
            self.issued_at - SKEW <= now.wall < self.expires_at
            and 0 <= now.steady - self.received.steady < self.lifetime
        )

    def is_due(self, now: Moment) -> bool:
        """Say whether half of it is over, so that it is time to renew it."""
        return now.steady - self.received.steady >= self.lifetime / 2 or not self.holds(now)


@dataclass(frozen=True, slots=True)
class Expected:
    """Whose permit it has to be: the companion's origin, this instance, the Tesla account of this entry."""

    issuer: str
    instance_id: str
    account: str


def verified(text: str, keys: Mapping[str, Any], expected: Expected, now: Moment) -> Permit:
    """Return the permit; raise PermitFaulty."""
    claims = _claims(text, keys, expected)
    try:
        issued_at, expires_at, step_up_at = (float(claims[name]) for name in ("iat", "exp", "auth_time"))
        groups = frozenset(ControlGroup(group) for group in claims["groups"] if group in set(ControlGroup))
        vehicles = frozenset(vin_of(str(vin)) for vin in claims["vehicles"])
        account = str(claims["tesla_account"])
    except (KeyError, TypeError, ValueError) as error:
        raise PermitFaulty(Fault.INVALID) from error
    if account != expected.account:
        raise PermitFaulty(Fault.OTHER_ACCOUNT)
    if not 0 < expires_at - issued_at <= LONGEST:
        raise PermitFaulty(Fault.INVALID)
    if issued_at > now.wall + SKEW:
        raise PermitFaulty(Fault.CLOCK)
    if expires_at <= now.wall:
        raise PermitFaulty(Fault.EXPIRED)
    return Permit(account, groups, vehicles, issued_at, expires_at, step_up_at, now)


def _claims(text: str, keys: Mapping[str, Any], expected: Expected) -> Mapping[str, Any]:
    try:
        header = jwt.get_unverified_header(text)
        key = jwt.PyJWKSet.from_dict(dict(keys))[str(header.get("kid"))]
        if header.get("typ") != TYPE:
            raise PermitFaulty(Fault.INVALID)
        claims: Mapping[str, Any] = jwt.decode(
            text,
            key,
            algorithms=["EdDSA"],
            issuer=expected.issuer,
            audience=expected.instance_id,
            options={"require": ["exp", "iat", "aud", "iss"], "verify_exp": False, "verify_iat": False},
        )
    except jwt.InvalidAudienceError as error:
        raise PermitFaulty(Fault.OTHER_INSTANCE) from error
    except (jwt.PyJWTError, KeyError) as error:
        raise PermitFaulty(Fault.INVALID) from error
    return claims
