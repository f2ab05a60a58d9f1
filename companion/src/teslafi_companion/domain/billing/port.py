"""What the companion asks of whoever keeps the subscriptions."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from teslafi_companion.settings import KeeperSettings, Settings

from .subscription import Subscription


class BillingUnavailable(Exception):
    """The subscriptions' keeper did not answer, or not usefully: what was known before still counts for a while."""

    def __init__(self, fault: str, pause: timedelta = timedelta(seconds=15)) -> None:
        """Name the kind of fault, and how long not to ask again."""
        super().__init__(fault)
        self.pause = pause


class BillingMisconfigured(BillingUnavailable):
    """The subscriptions' keeper refuses our key or a configured price: the operator has to act."""


class BillingNotOffered(Exception):
    """There is nothing to buy here."""


@dataclass(frozen=True)
class HostedPage:
    """How a checkout went."""

    state: str
    customer_id: str | None
    pass_thru: str

    @property
    def succeeded(self) -> bool:
        """Say whether the customer has paid."""
        return self.state in {"succeeded", "acknowledged"}


@dataclass(frozen=True)
class Portal:
    """A way into the self-serve portal, which works once: whoever holds the address is signed in there."""

    id: str
    url: str = field(repr=False)


@dataclass(frozen=True)
class Checkout:
    """What a checkout is for and where it leads back to."""

    item_price: str
    back: str
    back_unpaid: str
    pass_thru: str = field(repr=False)


@dataclass(frozen=True)
class BillingEvent:
    """Something happened: a hint to ask again, never the truth itself."""

    id: str
    type: str
    occurred_at: datetime
    subscription_id: str | None
    customer_id: str | None


class NotAnEvent(Exception):
    """A body is none of the keeper's events."""


class Webhooks(Protocol):
    """How a keeper sends its events to us."""

    def may_come_from(self, address: str) -> bool:
        """Say whether an IP address may send events."""

    def knows_password(self, authorization: str) -> bool:
        """Say whether a request's `Authorization` is the keeper's, in constant time."""

    def parse(self, body: object) -> BillingEvent:
        """Read an event from a JSON body; raises NotAnEvent."""


class BillingPort(Protocol):
    """A keeper of subscriptions. Every method raises BillingUnavailable when it cannot answer."""

    @property
    def required(self) -> bool:
        """Say whether access needs a subscription at all."""

    @property
    def keeper(self) -> str:
        """Return the keeper's name for people."""

    @property
    def webhooks(self) -> Webhooks | None:
        """Return how the keeper sends events; None when it sends none."""

    @property
    def pages_origin(self) -> str | None:
        """Return the origin of the hosted pages, for the forms that lead there."""

    def beside(self) -> BillingPort:
        """Return the same keeper with slots of its own, if it has any: pages that wait hold up no worker."""
        return self

    async def ensure_customer(self, customer_id: str, email: str) -> None:
        """Make a customer, or give it its present address."""

    async def checkout_url(self, customer_id: str, checkout: Checkout) -> str:
        """Return the address of a new hosted checkout; raises BillingNotOffered."""

    async def hosted_page(self, page_id: str) -> HostedPage | None:
        """Return how a checkout went, None when there is no such page."""

    async def acknowledge(self, page_id: str) -> None:
        """Say that a paid checkout was seen."""

    async def open_portal(self, customer_id: str, back: str) -> Portal:
        """Open the self-serve portal; raises BillingNotOffered."""

    async def close_portal(self, portal_id: str) -> None:
        """End a portal session, whether or not it still runs."""

    async def fetch_subscriptions(self, customer_id: str) -> tuple[Subscription, ...]:
        """Return all of a customer's subscriptions; none for a customer that is not known."""

    async def events_since(self, moment: datetime) -> list[BillingEvent]:
        """Return what happened after a moment, oldest first."""


@dataclass(frozen=True)
class BillingProvider:
    """A provider, as its folder in adapters/ declares it: `BILLING` of the package."""

    name: str
    """The value of the setting `billing`, and what the provider's own settings begin with."""
    settings: type[KeeperSettings]
    open: Callable[[Settings], Awaitable[BillingPort]]
