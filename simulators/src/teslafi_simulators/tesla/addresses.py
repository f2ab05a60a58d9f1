"""Where each of Tesla's hosts is found on the simulator's one port: every host has its own path prefix."""

from dataclasses import dataclass
from typing import Final, Literal

type Region = Literal["na", "eu", "cn"]

REGIONS: Final[tuple[Region, ...]] = ("na", "eu", "cn")

AUTH: Final = "/auth"
"""Stands for auth.tesla.com."""
AUTH_CN: Final = "/auth-cn"
"""Stands for auth.tesla.cn."""
FLEET_AUTH: Final = "/fleet-auth"
"""Stands for fleet-auth.prd.vn.cloud.tesla.com."""
FLEET: Final = "/fleet"
"""Followed by the region: stands for fleet-api.prd.<region>.vn.cloud.tesla.com."""
OWNER_API: Final = "/owner-api"
"""Stands for owner-api.teslamotors.com."""
DOMAINS: Final = "/domains"
"""Followed by a domain: what developers host there, unless a test says that it is served elsewhere."""
CONTROL: Final = "/control"
"""Tesla has no such thing: what tests and the demo steer the simulator with."""


@dataclass(frozen=True, slots=True)
class Addresses:
    """Full addresses under `base_url` (no slash at its end), the names being those of Tesla's documents."""

    base_url: str

    def sso(self, region: Region) -> str:
        """Return the sign-in host that keeps the accounts of this region."""
        return self.base_url + (AUTH_CN if region == "cn" else AUTH)

    def authorize(self, region: Region) -> str:
        """Return the page to which the owner is sent to sign in."""
        return f"{self.sso(region)}/oauth2/v3/authorize"

    def token(self, region: Region) -> str:
        """Return the token endpoint for third-party applications."""
        host = AUTH_CN if region == "cn" else FLEET_AUTH
        return f"{self.base_url}{host}/oauth2/v3/token"

    def owner_token(self, region: Region) -> str:
        """Return the token endpoint for the `ownerapi` client."""
        return f"{self.sso(region)}/oauth2/v3/token"

    def consent(self, region: Region) -> str:
        """Return the page on which the owner reduces or withdraws an application's consent."""
        return f"{self.sso(region)}/user/revoke/consent"

    @property
    def discovery(self) -> str:
        """Return the OpenID configuration for third-party applications."""
        return f"{self.base_url}{FLEET_AUTH}/oauth2/v3/thirdparty/.well-known/openid-configuration"

    def fleet(self, region: Region) -> str:
        """Return the base address of the Fleet API in this region; it is the token's audience as well."""
        return f"{self.base_url}{FLEET}/{region}"

    @property
    def owner_api(self) -> str:
        """Return the base address of the Owner API."""
        return self.base_url + OWNER_API

    @property
    def domains(self) -> str:
        """Return the base address under which developers' domains are served."""
        return self.base_url + DOMAINS

    @property
    def control(self) -> str:
        """Return the base address of the test control."""
        return self.base_url + CONTROL


type Deployment = Literal["global", "cn"]
"""China has sign-in hosts, accounts and tokens of its own; the rest of the world shares one set."""


def deployment_of(region: Region) -> Deployment:
    """Return the deployment that keeps the accounts of this region."""
    return "cn" if region == "cn" else "global"


TESLA_FLEET: Final[dict[Region, str]] = {
    "na": "https://fleet-api.prd.na.vn.cloud.tesla.com",
    "eu": "https://fleet-api.prd.eu.vn.cloud.tesla.com",
    "cn": "https://fleet-api.prd.cn.vn.cloud.tesla.cn",
}
"""Tesla's own Fleet base addresses (developer.tesla.com, "Regional requirements"): tokens name them as audience."""
