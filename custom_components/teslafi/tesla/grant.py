"""A grant: the token pair that Tesla issued, with what it allows, for whom, and through which application.

Claims and lifetimes: Tesla's developer documents, "Third-party tokens", and recorded tokens.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final, Self

import jwt

from ..secret import Secret
from .servers import OWNER_API, SERVERS, Region, Server

type Json = Mapping[str, Any]

OWNER_CLIENT: Final = "ownerapi"
FEED_CLIENT: Final = "teslafi.com"

LEAST_SECONDS: Final = 300.0
"""Lifetime that a new access token has at least, whatever is said of it: nothing is renewed in a loop."""
_MOST_SECONDS: Final = 1e11
"""Seconds from here on are no moment: the year 5138."""

SCOPE_DATA: Final = "vehicle_device_data"
SCOPE_LOCATION: Final = "vehicle_location"
SCOPE_ENERGY: Final = "energy_device_data"
SCOPE_CHARGING: Final = "vehicle_charging_cmds"
"""The scope of charging history and invoices. It also allows commands for charging: asked only on the owner's wish."""
REQUIRED_SCOPES: Final = ("openid", "offline_access", SCOPE_DATA)
OPTIONAL_SCOPES: Final = (SCOPE_LOCATION, SCOPE_ENERGY)
SHAREABLE_SCOPES: Final = (*OPTIONAL_SCOPES, SCOPE_CHARGING)
"""What an owner can share beyond the car's data; the last only by a step of its own."""
COMMAND_SCOPES: Final = frozenset({"vehicle_cmds", SCOPE_CHARGING, "energy_cmds"})


class Kind(StrEnum):
    """Which of Tesla's interfaces takes the grant."""

    FLEET = "fleet"
    OWNER = "owner"
    FEED = "feed"
    """None of Tesla's: an API token of TeslaFi.com's, which reads what TeslaFi has seen."""


class TokenMalformed(ValueError):
    """The text is not an access token of Tesla's: no JWT, or without the claims that name account and client."""


@dataclass(frozen=True, slots=True)
class Claims:
    """What an access token says about itself. Not verified: Tesla verifies it with each request."""

    account: str
    client_id: str
    region: Region
    scopes: frozenset[str]
    expires_at: float
    kind: Kind
    issued_at: float | None = None
    authenticated_at: float | None = None
    """When the owner last typed the password; a refresh does not change it."""

    @classmethod
    def of(cls, access_token: str) -> Self:
        """Read the claims of a JWT; raise TokenMalformed when it is none of Tesla's."""
        try:
            said = jwt.decode(access_token, options={"verify_signature": False})
            expires_at = _seconds(said["exp"])
            account = said["sub"]
        except (jwt.InvalidTokenError, KeyError, ValueError, RecursionError) as error:
            raise TokenMalformed("not an access token") from error
        if expires_at is None:
            raise TokenMalformed("the token has no end")
        if not isinstance(account, str) or not account:
            raise TokenMalformed("the token names no account")
        client_id = said.get("azp")
        client_id = client_id if isinstance(client_id, str) else ""
        issuer = str(said.get("iss", ""))
        scopes = said.get("scp")
        return cls(
            account=account,
            client_id=client_id,
            region=_region(said.get("ou_code"), issuer),
            scopes=frozenset(scope for scope in scopes if isinstance(scope, str))
            if isinstance(scopes, list)
            else frozenset(),
            expires_at=expires_at,
            kind=Kind.OWNER if client_id == OWNER_CLIENT else Kind.FLEET,
            issued_at=_seconds(said.get("iat")),
            authenticated_at=_seconds(said.get("auth_time")),
        )


def _seconds(value: object) -> float | None:
    """Read a moment or a span in seconds; None when it is none that could be meant."""
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < _MOST_SECONDS:
        return float(value)
    return None


def _region(ou_code: object, issuer: str) -> Region:
    """Read the home region; China's tokens also tell by their issuer. North America is Tesla's default."""
    code = ou_code.lower() if isinstance(ou_code, str) else ""
    if code == "cn" or "auth.tesla.cn" in issuer:
        return "cn"
    return code if code in SERVERS else "na"


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """One grant; times in epoch seconds. `scopes` are those granted (`scp`), not those asked for."""

    kind: Kind
    client_id: str
    account: str
    region: Region
    scopes: frozenset[str]
    access_token: Secret
    refresh_token: Secret | None
    expires_at: float
    issued_at: float

    @classmethod
    def from_answer(
        cls, answer: Json, *, client_id: str, now: float, before: Grant | None = None, region: Region | None = None
    ) -> Grant:
        """Make the grant out of a token answer; raise TokenMalformed when the answer is none.

        `before` is the grant that was refreshed: it lends its refresh token when Tesla sends no new one, and its
        region, which requests may have corrected.
        """
        access_token = answer.get("access_token")
        if not isinstance(access_token, str):
            raise TokenMalformed("the answer holds no access token")
        claims = Claims.of(access_token)
        refresh_token = answer.get("refresh_token")
        return cls(
            kind=claims.kind,
            client_id=claims.client_id or client_id,
            account=claims.account,
            region=region or (before.region if before else claims.region),
            scopes=claims.scopes,
            access_token=Secret(access_token),
            refresh_token=Secret(refresh_token)
            if isinstance(refresh_token, str) and refresh_token
            else (before.refresh_token if before else None),
            expires_at=_expiry(answer.get("expires_in"), claims, now),
            issued_at=before.issued_at if before else now,
        )

    @property
    def server(self) -> Server:
        """Where this grant's requests go."""
        if self.kind is Kind.OWNER:
            return OWNER_API["cn" if self.region == "cn" else "global"]
        return SERVERS[self.region]

    @classmethod
    def of_feed(cls, token: Secret, vin: str, now: float) -> Self:
        """Make the grant of a TeslaFi.com token for its one car. It has no end and no successor."""
        return cls(
            kind=Kind.FEED,
            client_id=FEED_CLIENT,
            account=f"{FEED_CLIENT}:{vin}",
            region="na",
            scopes=frozenset({SCOPE_DATA, SCOPE_LOCATION}),
            access_token=token,
            refresh_token=None,
            expires_at=_MOST_SECONDS - 1,
            issued_at=now,
        )

    @property
    def is_feed(self) -> bool:
        """Whether it is an API token of TeslaFi.com's."""
        return self.kind is Kind.FEED

    @property
    def feed_vin(self) -> str:
        """The car of a TeslaFi.com token."""
        return self.account.removeprefix(f"{FEED_CLIENT}:")

    @property
    def can_command(self) -> bool:
        """Whether Tesla would take commands with it; tokens of Tesla's own app always can."""
        return self.kind is Kind.OWNER or bool(self.scopes & COMMAND_SCOPES)

    def commands_beyond(self, scopes: frozenset[str]) -> bool:
        """Whether Tesla would take commands with it that these scopes do not allow."""
        return self.kind is Kind.OWNER or bool(self.scopes & COMMAND_SCOPES - scopes)

    @property
    def reads_location(self) -> bool:
        """Whether it may read where the car is."""
        return self.kind is Kind.OWNER or SCOPE_LOCATION in self.scopes

    @property
    def reads_energy(self) -> bool:
        """Whether it may read energy sites."""
        return self.kind is Kind.OWNER or SCOPE_ENERGY in self.scopes

    @property
    def reads_charging_history(self) -> bool:
        """Whether it may read paid sessions and invoices; the interface of Tesla's own app does not have them."""
        return self.kind is Kind.FLEET and SCOPE_CHARGING in self.scopes

    def moved_to(self, region: Region) -> Grant:
        """Return the same grant, for another region's server."""
        return replace(self, region=region)

    def to_plaintext(self) -> dict[str, Any]:
        """Return what the vault seals. Clear text: it goes into the cipher and nowhere else."""
        return {
            "kind": self.kind.value,
            "client_id": self.client_id,
            "account": self.account,
            "region": self.region,
            "scopes": sorted(self.scopes),
            "access_token": self.access_token.reveal(),
            "refresh_token": self.refresh_token.reveal() if self.refresh_token else None,
            "expires_at": self.expires_at,
            "issued_at": self.issued_at,
        }

    @classmethod
    def from_plaintext(cls, data: Json) -> Self:
        """Undo `to_plaintext`; raise KeyError or ValueError when it is not such a record."""
        return cls(
            kind=Kind(data["kind"]),
            client_id=data["client_id"],
            account=data["account"],
            region=data["region"],
            scopes=frozenset(data["scopes"]),
            access_token=Secret(data["access_token"]),
            refresh_token=Secret(data["refresh_token"]) if data["refresh_token"] else None,
            expires_at=data["expires_at"],
            issued_at=data["issued_at"],
        )


def _expiry(expires_in: object, claims: Claims, now: float) -> float:
    """Rely on `expires_in`, in seconds, and on the token's own `exp` when the answer lacks it."""
    lasts = _seconds(expires_in)
    return max(claims.expires_at if lasts is None else now + lasts, now + LEAST_SECONDS)
