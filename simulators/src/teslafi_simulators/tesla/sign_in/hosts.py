"""Tesla's sign-in hosts and what each of them is willing to do."""

from dataclasses import dataclass
from typing import Final

from ..addresses import AUTH, AUTH_CN, FLEET_AUTH, Deployment


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """One host, found under `prefix`.

    `third_party_tokens`: since July 2025 third parties get tokens from fleet-auth alone, except in China.
    `audience_implied`: what begins here may leave out the audience at the exchange, as core's tesla_fleet does.
    """

    prefix: str
    deployment: Deployment
    owner_app: bool
    third_party_tokens: bool
    audience_implied: bool


HOSTS: Final = (
    Host(prefix=AUTH, deployment="global", owner_app=True, third_party_tokens=False, audience_implied=False),
    Host(prefix=AUTH_CN, deployment="cn", owner_app=True, third_party_tokens=True, audience_implied=False),
    Host(prefix=FLEET_AUTH, deployment="global", owner_app=False, third_party_tokens=True, audience_implied=True),
)
