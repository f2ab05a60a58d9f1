"""The adapter `none`: nothing is sold, every account qualifies."""

from datetime import datetime
from typing import override

from teslafi_companion.domain.billing.port import (
    BillingEvent,
    BillingNotOffered,
    BillingPort,
    Checkout,
    HostedPage,
    Portal,
)
from teslafi_companion.domain.billing.subscription import Subscription


class FreeOfCharge(BillingPort):
    """Asks nobody and keeps nothing."""

    @property
    @override
    def required(self) -> bool:
        return False

    @property
    @override
    def keeper(self) -> str:
        return ""

    @property
    @override
    def webhooks(self) -> None:
        return None

    @property
    @override
    def pages_origin(self) -> None:
        return None

    @override
    async def ensure_customer(self, customer_id: str, email: str) -> None:
        """Do nothing: there are no customers."""

    @override
    async def checkout_url(self, customer_id: str, checkout: Checkout) -> str:
        """Refuse: there is nothing to buy."""
        raise BillingNotOffered

    @override
    async def hosted_page(self, page_id: str) -> HostedPage | None:
        """Return None: there are no pages."""
        return None

    @override
    async def acknowledge(self, page_id: str) -> None:
        """Do nothing."""

    @override
    async def open_portal(self, customer_id: str, back: str) -> Portal:
        """Refuse: there is nothing to manage."""
        raise BillingNotOffered

    @override
    async def close_portal(self, portal_id: str) -> None:
        """Do nothing."""

    @override
    async def fetch_subscriptions(self, customer_id: str) -> tuple[Subscription, ...]:
        """Return nothing."""
        return ()

    @override
    async def events_since(self, moment: datetime) -> list[BillingEvent]:
        """Return nothing."""
        return []
