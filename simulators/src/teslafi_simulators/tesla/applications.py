"""Developer applications registered at Tesla, and `ownerapi`, the client of Tesla's own app."""

from collections.abc import Iterator
from dataclasses import dataclass, field
import hmac
from typing import Final

from .addresses import REGIONS, Region

OWNER_CLIENT: Final = "ownerapi"
OWNER_REDIRECT: Final = "tesla://auth/callback"
OWNER_REDIRECT_BEFORE_JULY_2026: Final = "https://auth.tesla.com/void/callback"
OWNER_SCOPES: Final = frozenset({"openid", "email", "offline_access"})

ALWAYS_GRANTED: Final = frozenset({"openid", "offline_access"})
"""Scopes that every application may ask for and that the consent page does not offer to untick."""

USER_SCOPES: Final[dict[str, str]] = {
    "openid": "Sign in with Tesla",
    "offline_access": "Stay connected while you are away",
    "user_data": "Profile, contact information, home address and referral information",
    "vehicle_device_data": "Vehicle information: live data, service history, eligible upgrades, nearby Superchargers",
    "vehicle_location": "Vehicle location",
    "vehicle_cmds": "Vehicle commands: lock, unlock, drive, climate and more",
    "vehicle_charging_cmds": "Vehicle charging management: history, billing, location, start and stop",
    "energy_device_data": "Energy product information: live status and history",
    "energy_cmds": "Energy product commands: operating mode, backup reserve and more",
    "enterprise_management": "Management of a business fleet",
}
"""What each scope that an owner can grant lets an application do (developer.tesla.com, "Authorization scopes")."""

PARTNER_SCOPES: Final = frozenset({"vehicle_specs", "vehicle_pricing_info"})
"""Scopes for partner tokens alone."""

MONITORING_SCOPES: Final = frozenset(
    {"openid", "offline_access", "vehicle_device_data", "vehicle_location", "energy_device_data"}
)

HOME_ASSISTANT_REDIRECTS: Final = (
    "https://my.home-assistant.io/redirect/oauth",
    "http://127.0.0.1:8123/auth/external/callback",
    "http://localhost:8123/auth/external/callback",
)


@dataclass(slots=True, eq=False, kw_only=True)
class Application:
    """One application as its developer registered it.

    Without `client_secret` it is an open-source application: PKCE stands in for the secret, and there are no partner
    tokens. `regions` are those in which its partner account is registered; elsewhere the Fleet API answers 412.
    `domain` is the allowed origin; `public_key` the uncompressed point in hex, 04…. `developer` is the e-mail address
    of the developer account that is billed.
    """

    client_id: str
    name: str
    redirect_uris: tuple[str, ...]
    scopes: frozenset[str]
    client_secret: str | None = field(default=None, repr=False)
    regions: set[Region] = field(default_factory=lambda: set(REGIONS))
    domain: str | None = None
    public_key: str | None = None
    developer: str = "developer@example.com"

    @property
    def is_owner_app(self) -> bool:
        """Tell Tesla's own app from third parties."""
        return self.client_id == OWNER_CLIENT

    def may_ask_user_for(self, scopes: frozenset[str]) -> bool:
        """Tell whether the application is registered for all these scopes and an owner can grant them."""
        if self.is_owner_app:
            return scopes <= self.scopes
        return scopes <= (self.scopes | ALWAYS_GRANTED) & USER_SCOPES.keys()

    def may_ask_as_partner_for(self, scopes: frozenset[str]) -> bool:
        """Tell whether a partner token may carry these scopes."""
        return scopes <= self.scopes | ALWAYS_GRANTED

    def has_secret(self, candidate: str | None) -> bool:
        """Tell whether the request proves to come from this application; nothing is asked of one without secret."""
        if self.client_secret is None:
            return True
        if candidate is None:
            return False
        return hmac.compare_digest(self.client_secret.encode(), candidate.encode(errors="surrogatepass"))


class ApplicationStore:
    """All applications of this simulator; `ownerapi` is among them from the start."""

    def __init__(self, *, before_july_2026: bool = False) -> None:
        """Begin with `ownerapi`; before July 2026 Tesla took `void/callback` from it as well."""
        redirects = (OWNER_REDIRECT, OWNER_REDIRECT_BEFORE_JULY_2026) if before_july_2026 else (OWNER_REDIRECT,)
        self._applications: dict[str, Application] = {}
        self.add(Application(client_id=OWNER_CLIENT, name="Tesla", redirect_uris=redirects, scopes=OWNER_SCOPES))

    def __iter__(self) -> Iterator[Application]:
        """Go through the applications in the order they were added."""
        return iter(self._applications.values())

    def add(self, application: Application) -> Application:
        """Register an application; raise ValueError when its client id is taken."""
        if application.client_id in self._applications:
            raise ValueError(f"{application.client_id} is there already")
        self._applications[application.client_id] = application
        return application

    def by_client_id(self, client_id: str) -> Application | None:
        """Find an application."""
        return self._applications.get(client_id)


def monitoring_application(
    *,
    client_id: str = "teslafi-monitoring",
    client_secret: str | None = "ts-secret.monitoring",  # noqa: S107 - of a simulated application
    redirect_uris: tuple[str, ...] = HOME_ASSISTANT_REDIRECTS,
) -> Application:
    """Return an application registered with read scopes alone: Tesla would refuse it any other."""
    return Application(
        client_id=client_id,
        client_secret=client_secret,
        name="TeslaFi monitoring",
        redirect_uris=redirect_uris,
        scopes=MONITORING_SCOPES,
        domain="monitoring.example",
    )


def full_application(
    *,
    client_id: str = "teslafi-full",
    client_secret: str | None = "ts-secret.full",  # noqa: S107 - of a simulated application
    redirect_uris: tuple[str, ...] = HOME_ASSISTANT_REDIRECTS,
) -> Application:
    """Return an application registered with every scope that an owner can grant, commands included."""
    return Application(
        client_id=client_id,
        client_secret=client_secret,
        name="TeslaFi with controls",
        redirect_uris=redirect_uris,
        scopes=frozenset(USER_SCOPES) - {"enterprise_management"},
        domain="controls.example",
    )
