"""One Chargebee site: customers, subscriptions and their life, hosted pages, portal sessions, events.

Facts: reference/chargebee.md; statuses and fields as apidocs.chargebee.com tells of "Subscriptions" and "Hosted pages".
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import count
import secrets
from typing import Any, Final

from .clock import TravellingClock

MINUTE: Final = 60
HOUR: Final = 3600
DAY: Final = 86_400
MONTH: Final = 30 * DAY
CHECKOUT_LIFE: Final = 3 * HOUR
PORTAL_LINK_LIFE: Final = HOUR
DUNNING: Final = 21 * DAY
"""How long Chargebee tries to collect before it does what the site is set to do."""


class Status(StrEnum):
    """The statuses of a subscription."""

    FUTURE = "future"
    IN_TRIAL = "in_trial"
    ACTIVE = "active"
    NON_RENEWING = "non_renewing"
    PAUSED = "paused"
    CANCELLED = "cancelled"
    TRANSFERRED = "transferred"


@dataclass(frozen=True)
class ItemPrice:
    """What can be subscribed to."""

    id: str
    name: str
    cents: int
    trial: int = 0
    """Seconds of trial."""


@dataclass
class Subscription:
    """One subscription; times in epoch seconds."""

    id: str
    customer_id: str
    price: ItemPrice
    status: Status
    created_at: int
    resource_version: int
    start_date: int
    trial_end: int | None = None
    term_start: int | None = None
    term_end: int | None = None
    cancelled_at: int | None = None
    cancel_reason: str | None = None
    pause_date: int | None = None
    resume_date: int | None = None
    due_since: int | None = None
    dues: int = 0
    pays: bool = True
    """Whether the customer's card works at the next renewal."""
    deleted: bool = False
    entitlements: dict[str, bool] = field(default_factory=dict)
    updated_at: int = 0

    def shown(self) -> dict[str, Any]:
        """Return it as the API does; fields without a value are left out."""
        renews = self.status in {Status.ACTIVE, Status.IN_TRIAL}
        said = {
            "id": self.id,
            "customer_id": self.customer_id,
            "status": self.status.value,
            "currency_code": "USD",
            "billing_period": 1,
            "billing_period_unit": "month",
            "start_date": self.start_date,
            "created_at": self.created_at,
            "started_at": self.created_at,
            "activated_at": self.term_start,
            "trial_end": self.trial_end,
            "current_term_start": self.term_start,
            "current_term_end": self.term_end,
            "next_billing_at": (self.trial_end or self.term_end) if renews else None,
            "cancelled_at": self.cancelled_at,
            "cancel_reason": self.cancel_reason,
            "pause_date": self.pause_date,
            "resume_date": self.resume_date,
            "due_invoices_count": 1 if self.due_since else 0,
            "due_since": self.due_since,
            "total_dues": self.dues or None,
            "auto_collection": "on",
            "mrr": self.price.cents,
            "deleted": self.deleted,
            "resource_version": self.resource_version,
            "updated_at": self.updated_at,
            "object": "subscription",
            "subscription_items": [
                {
                    "item_price_id": self.price.id,
                    "item_type": "plan",
                    "quantity": 1,
                    "unit_price": self.price.cents,
                    "amount": self.price.cents,
                    "free_quantity": 0,
                    "object": "subscription_item",
                }
            ],
        }
        return {name: value for name, value in said.items() if value is not None}


@dataclass
class HostedPage:
    """A checkout."""

    id: str
    type: str
    customer_id: str
    price: ItemPrice
    redirect_url: str
    cancel_url: str
    pass_thru_content: str
    created_at: int
    state: str = "requested"
    subscription_id: str | None = None
    reactivates: str | None = None


@dataclass
class PortalSession:
    """A way into the self-serve portal."""

    id: str
    token: str
    customer_id: str
    redirect_url: str
    created_at: int
    status: str = "created"


class Refused(Exception):
    """What Chargebee would not do; becomes an error body."""

    def __init__(self, status: int, code: str, message: str, kind: str = "invalid_request", param: str = "") -> None:
        """Say what and why."""
        super().__init__(message)
        self.status = status
        self.code = code
        self.kind = kind
        self.param = param


class Site:
    """A test site. Everything that happens on it makes an event, which `on_event` is told of."""

    def __init__(self, clock: TravellingClock) -> None:
        """Begin with two plans that let control cars, one of them with a trial, and with one of mugs."""
        self.clock = clock
        self.prices = {
            price.id: price
            for price in (
                ItemPrice("controls-USD-monthly", "Controls, monthly", 300),
                ItemPrice("controls-trial-USD-monthly", "Controls, monthly after 14 days of trial", 300, 14 * DAY),
                ItemPrice("mug-USD-monthly", "A mug each month", 900),
            )
        }
        self.customers: dict[str, dict[str, Any]] = {}
        self.subscriptions: dict[str, Subscription] = {}
        self.hosted_pages: dict[str, HostedPage] = {}
        self.portal_sessions: dict[str, PortalSession] = {}
        self.events: list[dict[str, Any]] = []
        self.on_event: Callable[[dict[str, Any]], None] = lambda _event: None
        self.cancels_after_dunning = True
        self._version = 0
        self._numbers = count()

    @property
    def now(self) -> int:
        """Epoch seconds."""
        return int(self.clock())

    def _next_version(self) -> int:
        self._version = max(self._version + 1, int(self.clock() * 1000))
        return self._version

    def start_afresh(self) -> None:
        """Forget everything, as the time machine does at its start."""
        for kept in (self.customers, self.subscriptions, self.hosted_pages, self.portal_sessions):
            kept.clear()
        self.events.clear()

    # Customers

    def add_customer(self, said: dict[str, str]) -> dict[str, Any]:
        """Make a customer; refuse an id that is taken or too long."""
        number = said.get("id") or f"cb_{secrets.token_hex(8)}"
        if len(number) > 50:  # noqa: PLR2004 - Chargebee's own bound
            raise Refused(400, "param_wrong_value", "id : cannot be longer than 50 characters", param="id")
        if number in self.customers:
            raise Refused(400, "duplicate_entry", f"The value {number} is already present.", param="id")
        known = {name: value for name, value in said.items() if name in {"email", "first_name", "last_name"}}
        self.customers[number] = {
            "id": number,
            "created_at": self.now,
            "updated_at": self.now,
            "resource_version": self._next_version(),
            "auto_collection": "on",
            "deleted": False,
            "object": "customer",
            **known,
        }
        self._event("customer_created", None, number)
        return self.customers[number]

    def change_customer(self, number: str, said: dict[str, str]) -> dict[str, Any]:
        """Change a customer's names and address."""
        customer = self.customer(number)
        customer |= {name: value for name, value in said.items() if name in {"email", "first_name", "last_name"}}
        customer |= {"updated_at": self.now, "resource_version": self._next_version()}
        self._event("customer_changed", None, number)
        return customer

    def customer(self, number: str) -> dict[str, Any]:
        """Return a customer; raise Refused."""
        if number not in self.customers:
            raise Refused(404, "resource_not_found", f"customer_id : {number} not found", param="customer_id")
        return self.customers[number]

    # Subscriptions

    def subscription(self, number: str) -> Subscription:
        """Return a subscription, lived up to now; raise Refused."""
        if number not in self.subscriptions:
            raise Refused(404, "resource_not_found", f"Sorry, we couldn't find {number}", param="subscription_id")
        return self.subscriptions[number]

    def of_customer(self, number: str) -> list[Subscription]:
        """Return a customer's subscriptions that were not deleted."""
        return [one for one in self.subscriptions.values() if one.customer_id == number and not one.deleted]

    def subscribe(self, customer_id: str, price_id: str, *, source: str = "api", starts_in: int = 0) -> Subscription:
        """Begin a subscription."""
        self.customer(customer_id)
        price = self.price(price_id)
        now = self.now
        subscription = Subscription(
            id=f"sub_{secrets.token_hex(7)}",
            customer_id=customer_id,
            price=price,
            status=Status.FUTURE if starts_in else (Status.IN_TRIAL if price.trial else Status.ACTIVE),
            created_at=now,
            resource_version=0,
            start_date=now + starts_in,
        )
        if not starts_in:
            self._begin(subscription)
        self.subscriptions[subscription.id] = subscription
        self.changed(subscription, "subscription_created", source)
        return subscription

    def price(self, number: str) -> ItemPrice:
        """Return an item price; raise Refused."""
        if number not in self.prices:
            raise Refused(
                404,
                "resource_not_found",
                f"item_price_id : {number} not found",
                param="subscription_items[item_price_id][0]",
            )
        return self.prices[number]

    def _begin(self, subscription: Subscription) -> None:
        if subscription.price.trial:
            subscription.status, subscription.trial_end = Status.IN_TRIAL, self.now + subscription.price.trial
        else:
            self._begin_term(subscription, self.now)

    @staticmethod
    def _begin_term(subscription: Subscription, at: int) -> None:
        subscription.status, subscription.trial_end = Status.ACTIVE, None
        subscription.term_start, subscription.term_end = at, at + MONTH

    def changed(self, subscription: Subscription, event_type: str, source: str = "api") -> None:
        """Note that a subscription changed, and tell it."""
        subscription.resource_version = self._next_version()
        subscription.updated_at = self.now
        self._event(event_type, subscription, subscription.customer_id, source)

    def cancel(self, number: str, *, at_term_end: bool = False, reason: str | None = None, source: str = "api") -> None:
        """Cancel now or with the term."""
        subscription = self.subscription(number)
        if subscription.status in {Status.CANCELLED, Status.TRANSFERRED}:
            raise Refused(400, "invalid_state_for_request", "The subscription is cancelled already.")
        if at_term_end and subscription.status in {Status.ACTIVE, Status.IN_TRIAL}:
            subscription.status = Status.NON_RENEWING
            subscription.term_end = subscription.term_end or subscription.trial_end
            subscription.cancelled_at = subscription.term_end
            self.changed(subscription, "subscription_cancellation_scheduled", source)
            return
        subscription.status, subscription.cancelled_at = Status.CANCELLED, self.now
        subscription.cancel_reason = reason
        self.changed(subscription, "subscription_cancelled", source)

    def keep(self, number: str, *, source: str = "portal") -> None:
        """Take a scheduled cancellation back."""
        subscription = self.subscription(number)
        if subscription.status is not Status.NON_RENEWING:
            raise Refused(400, "invalid_state_for_request", "No cancellation is scheduled.")
        subscription.status, subscription.cancelled_at = Status.ACTIVE, None
        self.changed(subscription, "subscription_scheduled_cancellation_removed", source)

    def reactivate(self, number: str, *, source: str = "portal") -> None:
        """Begin a cancelled subscription again."""
        subscription = self.subscription(number)
        if subscription.status is not Status.CANCELLED:
            raise Refused(400, "invalid_state_for_request", "Only cancelled subscriptions are reactivated.")
        subscription.cancelled_at = subscription.cancel_reason = subscription.due_since = None
        subscription.dues, subscription.pays = 0, True
        self._begin_term(subscription, self.now)
        self.changed(subscription, "subscription_reactivated", source)

    def pause(self, number: str, *, days: int = 10) -> None:
        """Pause now, for some days."""
        subscription = self.subscription(number)
        if subscription.status is not Status.ACTIVE:
            raise Refused(400, "invalid_state_for_request", "Only active subscriptions are paused.")
        subscription.status = Status.PAUSED
        subscription.pause_date, subscription.resume_date = self.now, self.now + days * DAY
        self.changed(subscription, "subscription_paused")

    def resume(self, number: str) -> None:
        """End a pause."""
        subscription = self.subscription(number)
        if subscription.status is not Status.PAUSED:
            raise Refused(400, "invalid_state_for_request", "The subscription is not paused.")
        subscription.pause_date = subscription.resume_date = None
        self._begin_term(subscription, self.now)
        self.changed(subscription, "subscription_resumed")

    def delete(self, number: str) -> None:
        """Delete a subscription for good."""
        subscription = self.subscription(number)
        subscription.deleted = True
        self.changed(subscription, "subscription_deleted")

    def transfer(self, number: str) -> None:
        """Move a subscription to another business entity."""
        subscription = self.subscription(number)
        subscription.status = Status.TRANSFERRED
        self.changed(subscription, "subscription_moved_out")

    def stop_paying(self, number: str) -> None:
        """Let the card fail from the next renewal on."""
        self.subscription(number).pays = False

    def pay_dues(self, number: str, *, source: str = "hosted_page") -> None:
        """Let the card work again, and pay what is due."""
        subscription = self.subscription(number)
        subscription.pays, subscription.due_since, subscription.dues = True, None, 0
        self.changed(subscription, "payment_succeeded", source)

    def entitle(self, number: str, feature: str, *, enabled: bool) -> None:
        """Give or take a feature."""
        subscription = self.subscription(number)
        subscription.entitlements[feature] = enabled
        self.changed(subscription, "subscription_entitlements_updated")

    def live(self) -> None:
        """Let everything happen that is due by now."""
        for subscription in list(self.subscriptions.values()):
            while not subscription.deleted and self._step(subscription):
                pass

    def _step(self, subscription: Subscription) -> bool:
        """Let the next due thing happen to one subscription; say whether there was one."""
        now, status = self.now, subscription.status
        if status is Status.FUTURE and subscription.start_date <= now:
            self._begin(subscription)
            self.changed(subscription, "subscription_started", "scheduled_job")
        elif status is Status.IN_TRIAL and (subscription.trial_end or 0) <= now:
            self._begin_term(subscription, subscription.trial_end or now)
            self._collect(subscription)
            self.changed(subscription, "subscription_activated", "scheduled_job")
        elif status is Status.NON_RENEWING and (subscription.term_end or 0) <= now:
            subscription.status = Status.CANCELLED
            self.changed(subscription, "subscription_cancelled", "scheduled_job")
        elif status is Status.PAUSED and subscription.resume_date is not None and subscription.resume_date <= now:
            self.resume(subscription.id)
        elif status is Status.ACTIVE:
            return self._step_active(subscription)
        else:
            return False
        return True

    def _step_active(self, subscription: Subscription) -> bool:
        now = self.now
        due_since = subscription.due_since
        if due_since is not None and self.cancels_after_dunning and due_since + DUNNING <= now:
            subscription.status, subscription.cancelled_at = Status.CANCELLED, due_since + DUNNING
            subscription.cancel_reason = "not_paid"
            self.changed(subscription, "subscription_cancelled", "scheduled_job")
        elif (subscription.term_end or now + 1) <= now:
            self._begin_term(subscription, subscription.term_end or now)
            self._collect(subscription)
            self.changed(subscription, "subscription_renewed", "scheduled_job")
        else:
            return False
        return True

    @staticmethod
    def _collect(subscription: Subscription) -> None:
        if not subscription.pays:
            # An unpaid renewal leaves the status active: only the dues tell
            subscription.due_since = subscription.due_since or subscription.term_start
            subscription.dues += subscription.price.cents

    # Hosted pages

    def checkout(
        self, page_type: str, said: dict[str, str], price_id: str, reactivates: str | None = None
    ) -> HostedPage:
        """Make a checkout page."""
        page = HostedPage(
            id=secrets.token_urlsafe(32),
            type=page_type,
            customer_id=said["customer_id"],
            price=self.price(price_id),
            redirect_url=said.get("redirect_url", ""),
            cancel_url=said.get("cancel_url", ""),
            pass_thru_content=said.get("pass_thru_content", ""),
            created_at=self.now,
            state="created",
            reactivates=reactivates,
        )
        self.hosted_pages[page.id] = page
        return page

    def hosted_page(self, number: str) -> HostedPage:
        """Return a hosted page; raise Refused."""
        if number not in self.hosted_pages:
            raise Refused(404, "resource_not_found", "Sorry, we couldn't find that hosted page", param="hosted_page_id")
        return self.hosted_pages[number]

    def is_over(self, page: HostedPage) -> bool:
        """Say whether a checkout page can no longer be used."""
        return page.state not in {"created", "requested"} or self.now >= page.created_at + CHECKOUT_LIFE

    def pay(self, page: HostedPage) -> None:
        """Let the customer pay on a checkout page."""
        if page.reactivates is not None:
            self.reactivate(page.reactivates, source="hosted_page")
            page.subscription_id = page.reactivates
        else:
            page.subscription_id = self.subscribe(page.customer_id, page.price.id, source="hosted_page").id
        page.state = "succeeded"

    # Portal

    def open_portal(self, customer_id: str, redirect_url: str) -> PortalSession:
        """Make a portal session."""
        self.customer(customer_id)
        session = PortalSession(
            id=f"portal_{secrets.token_hex(8)}",
            token=secrets.token_urlsafe(32),
            customer_id=customer_id,
            redirect_url=redirect_url,
            created_at=self.now,
        )
        self.portal_sessions[session.id] = session
        return session

    # Events

    def _event(self, event_type: str, subscription: Subscription | None, customer_id: str, source: str = "api") -> None:
        content: dict[str, Any] = {"customer": dict(self.customers[customer_id])}
        if subscription is not None:
            content["subscription"] = subscription.shown()
        event = {
            # Ordered like time: events of one second are listed in their order
            "id": f"ev_{next(self._numbers):08}{secrets.token_hex(4)}",
            "occurred_at": self.now,
            "source": source,
            "object": "event",
            "api_version": "v2",
            "event_type": event_type,
            "webhook_status": "scheduled",
            "content": content,
        }
        self.events.append(event)
        self.on_event(event)
