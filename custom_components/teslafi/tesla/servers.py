"""Where Tesla answers, per region (Tesla developer documents, "Regional requirements" and "Third-party tokens").

The tables are the only addresses that a token is ever sent to: an address out of an answer is looked up here first.
"""

from dataclasses import dataclass
from typing import Literal

type Region = Literal["na", "eu", "cn"]


@dataclass(frozen=True, slots=True)
class Server:
    """One deployment of Tesla's: base address of the API, and the two OAuth endpoints that serve it."""

    api: str
    authorize: str
    token: str


SERVERS: dict[Region, Server] = {
    "na": Server(
        api="https://fleet-api.prd.na.vn.cloud.tesla.com",
        authorize="https://auth.tesla.com/oauth2/v3/authorize",
        token="https://fleet-auth.prd.vn.cloud.tesla.com/oauth2/v3/token",  # noqa: S106 - an address, no secret
    ),
    "eu": Server(
        api="https://fleet-api.prd.eu.vn.cloud.tesla.com",
        authorize="https://auth.tesla.com/oauth2/v3/authorize",
        token="https://fleet-auth.prd.vn.cloud.tesla.com/oauth2/v3/token",  # noqa: S106 - an address, no secret
    ),
    "cn": Server(
        api="https://fleet-api.prd.cn.vn.cloud.tesla.cn",
        authorize="https://auth.tesla.cn/oauth2/v3/authorize",
        token="https://auth.tesla.cn/oauth2/v3/token",  # noqa: S106 - an address, no secret
    ),
}
"""Fleet API. North America serves Asia-Pacific as well, except China."""

OWNER_API: dict[Literal["global", "cn"], Server] = {
    "global": Server(
        api="https://owner-api.teslamotors.com",
        authorize="https://auth.tesla.com/oauth2/v3/authorize",
        token="https://auth.tesla.com/oauth2/v3/token",  # noqa: S106 - an address, no secret
    ),
    "cn": Server(
        api="https://owner-api.vn.cloud.tesla.cn",
        authorize="https://auth.tesla.cn/oauth2/v3/authorize",
        token="https://auth.tesla.cn/oauth2/v3/token",  # noqa: S106 - an address, no secret
    ),
}
"""The interface of Tesla's own app, which Tesla is closing to others (developer.tesla.com, 2024 to 2026)."""


def region_at(api: str) -> Region | None:
    """Return the region whose Fleet API has this base address; None when the address is not Tesla's."""
    return next((region for region, server in SERVERS.items() if server.api == api.rstrip("/")), None)
