"""The adapter `chargebee`: the official SDK, with our own time limit, retries and errors (reference/chargebee.md).

The SDK's own retry stays off: it repeats a 429 without bound and drops the TLS context after the first try.
"""

import asyncio
from collections.abc import Awaitable, Callable
from copy import copy
from datetime import datetime, timedelta
from hashlib import sha256
from http import HTTPStatus
from importlib import import_module
import logging
from random import SystemRandom
from typing import Any, Final, override

from yarl import URL

from teslafi_companion.domain.billing.port import (
    BillingEvent,
    BillingMisconfigured,
    BillingPort,
    BillingUnavailable,
    Checkout,
    HostedPage,
    NotAnEvent,
    Portal,
)
from teslafi_companion.domain.billing.subscription import Subscription
from teslafi_companion.settings import Settings

from .events import parse_event
from .settings import ChargebeeSettings
from .subscriptions import Unreadable, parse_subscription
from .webhooks import ChargebeeWebhooks

CONNECT_SECONDS: Final = 5
READ_SECONDS: Final = 10
CALL_SECONDS: Final = 10
TRIES: Final = 3
FIRST_PAUSE: Final = 0.5
AT_ONCE: Final = 4
PAGE: Final = 100
RATE_LIMITED_PAUSE: Final = timedelta(seconds=75)
MISCONFIGURED_PAUSE: Final = timedelta(minutes=5)
_IDEMPOTENCY: Final = "chargebee-idempotency-key"
_LEAKY_LOGGERS: Final = ("httpx", "chargebee", "chargebee.http_request")
"""They print addresses with customers' details, and bodies with portal sessions."""

type Pause = Callable[[float], Awaitable[None]]


class ChargebeeBilling(BillingPort):
    """Talks to one Chargebee site of Product Catalog 2.0."""

    def __init__(
        self,
        sdk: Any,  # noqa: ANN401 - the SDK is without types
        settings: ChargebeeSettings,
        api_error: type[Exception],
        pause: Pause = asyncio.sleep,
    ) -> None:
        """Take the SDK's client; `open_chargebee` makes it."""
        self._sdk = sdk
        self._feature = settings.feature
        self._api_error = api_error
        self._pause = pause
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._random = SystemRandom()
        base = settings.base_url or f"https://{settings.site}.chargebee.com"
        self._webhooks = ChargebeeWebhooks(settings) if settings.webhook_credentials else None
        self._origin = str(URL(base).origin())

    @property
    @override
    def required(self) -> bool:
        return True

    @property
    @override
    def keeper(self) -> str:
        return "Chargebee"

    @property
    @override
    def webhooks(self) -> ChargebeeWebhooks | None:
        return self._webhooks

    @property
    @override
    def pages_origin(self) -> str:
        return self._origin

    @override
    def beside(self) -> ChargebeeBilling:
        """Return an adapter with its own slots over the same client."""
        other = copy(self)
        vars(other)["_turns"] = asyncio.Semaphore(AT_ONCE)
        return other

    @override
    async def ensure_customer(self, customer_id: str, email: str) -> None:
        """Make the payer, or give it its present address."""
        said = {"id": customer_id, "email": email}
        try:
            # Repeated without a key: the second time it is refused as a duplicate, and a key would replay old addresses
            await self._repeated(self._sdk.Customer.create, said)
        except self._api_error as refusal:
            if getattr(refusal, "api_error_code", "") != "duplicate_entry":
                raise _fault(refusal) from None
            await self._asked(self._post(self._sdk.Customer.update, customer_id, {"email": email}, key=None))

    @override
    async def checkout_url(self, customer_id: str, checkout: Checkout) -> str:
        """Return the address of a hosted checkout, which lives for three hours."""
        asked = {
            "subscription_items": [{"item_price_id": checkout.item_price, "quantity": 1}],
            "customer": {"id": customer_id},
            "redirect_url": checkout.back,
            "cancel_url": checkout.back_unpaid,
            "pass_thru_content": checkout.pass_thru,
        }
        key = ("checkout", customer_id, checkout.pass_thru)
        answer = await self._asked(self._post(self._sdk.HostedPage.checkout_new_for_items, asked, key=key))
        url: str = answer.hosted_page.url
        return url

    @override
    async def hosted_page(self, page_id: str) -> HostedPage | None:
        """Ask how a checkout went; the redirect's own word counts for nothing."""
        try:
            page = (await self._repeated(self._sdk.HostedPage.retrieve, page_id)).hosted_page
        except self._api_error as refusal:
            if getattr(refusal, "http_status_code", 0) == HTTPStatus.NOT_FOUND:
                return None
            raise _fault(refusal) from None
        customer = (page.content or {}).get("customer") or {}
        return HostedPage(str(page.state), customer.get("id"), page.pass_thru_content or "")

    @override
    async def acknowledge(self, page_id: str) -> None:
        """Tell Chargebee that the payment was seen."""
        await self._asked(self._post(self._sdk.HostedPage.acknowledge, page_id, key=("acknowledge", page_id)))

    @override
    async def open_portal(self, customer_id: str, back: str) -> Portal:
        """Open the self-serve portal: the address works once, within an hour."""
        asked = {"customer": {"id": customer_id}, "redirect_url": back}
        session = (await self._asked(self._post(self._sdk.PortalSession.create, asked, key=None))).portal_session
        return Portal(session.id, session.access_url)

    @override
    async def close_portal(self, portal_id: str) -> None:
        """Sign the customer out of the portal."""
        try:
            await self._post(self._sdk.PortalSession.logout, portal_id, key=("logout", portal_id))
        except self._api_error as refusal:
            if getattr(refusal, "http_status_code", 0) not in {HTTPStatus.NOT_FOUND, HTTPStatus.BAD_REQUEST}:
                raise _fault(refusal) from None

    @override
    async def fetch_subscriptions(self, customer_id: str) -> tuple[Subscription, ...]:
        """Return the customer's subscriptions, each with whether it carries the configured feature."""
        asked = {"customer_id": {"IS": customer_id}, "limit": PAGE}
        listed = await self._pages(self._sdk.Subscription.list, asked)
        return tuple([await self._subscription(entry.subscription.raw_data) for entry in listed])

    async def _subscription(self, raw: dict[str, Any]) -> Subscription:
        entitled = await self._entitled(str(raw.get("id"))) if self._feature else None
        try:
            return parse_subscription(raw, entitled=entitled)
        except Unreadable:
            raise BillingUnavailable("a subscription that cannot be read") from None

    async def _entitled(self, subscription_id: str) -> bool:
        operation = self._sdk.SubscriptionEntitlement.subscription_entitlements_for_subscription
        answer = await self._asked(self._repeated(operation, subscription_id))
        held = (entry.subscription_entitlement for entry in answer.list)
        return any(one.feature_id == self._feature and one.is_enabled for one in held)

    @override
    async def events_since(self, moment: datetime) -> list[BillingEvent]:
        """Return the site's events after a moment."""
        asked = {"occurred_at": {"AFTER": int(moment.timestamp())}, "sort_by": {"ASC": "occurred_at"}, "limit": PAGE}
        try:
            return [parse_event(entry.event.raw_data) for entry in await self._pages(self._sdk.Event.list, asked)]
        except NotAnEvent:
            raise BillingUnavailable("an event that cannot be read") from None

    async def _pages(self, operation: Callable[..., Awaitable[Any]], asked: dict[str, Any]) -> list[Any]:
        found: list[Any] = []
        answer = await self._asked(self._repeated(operation, asked))
        found += answer.list
        while answer.next_offset:
            answer = await self._asked(self._repeated(operation, asked | {"offset": answer.next_offset}))
            found += answer.list
        return found

    async def _asked(self, call: Awaitable[Any]) -> Any:  # noqa: ANN401 - the same
        """Await a call whose every refusal means that there is no answer."""
        try:
            return await call
        except self._api_error as refusal:
            raise _fault(refusal) from None

    async def _repeated(self, operation: Callable[..., Awaitable[Any]], *arguments: object) -> Any:  # noqa: ANN401 - the same
        """Call what may be repeated."""
        return await self._tried(lambda: operation(*arguments), tries=TRIES)

    async def _post(
        self,
        operation: Callable[..., Awaitable[Any]],
        *arguments: object,
        key: tuple[str, ...] | None,
    ) -> Any:  # noqa: ANN401 - the same
        """Post; repeated only under an idempotency key, by which Chargebee does a thing once."""
        if key is None:
            return await self._tried(lambda: operation(*arguments), tries=1)
        digest = sha256("\0".join(key).encode()).hexdigest()
        # The SDK writes into the headers it is given: a fresh dictionary for each try
        return await self._tried(lambda: operation(*arguments, {_IDEMPOTENCY: digest}), tries=TRIES)

    async def _tried(self, call: Callable[[], Awaitable[Any]], *, tries: int) -> Any:  # noqa: ANN401 - the same
        for left in reversed(range(tries)):
            try:
                return await self._once(call)
            except BillingUnavailable:
                if not left:
                    raise
            await self._pause(self._random.uniform(0, FIRST_PAUSE * 2 ** (tries - left)))
        raise BillingUnavailable("no tries")

    async def _once(self, call: Callable[[], Awaitable[Any]]) -> Any:  # noqa: ANN401 - the same
        """Call once. Raises the SDK's APIError for a refusal that means something, else BillingUnavailable."""
        try:
            # Waiting for a slot counts: behind calls that hang nobody waits longer than they do
            async with asyncio.timeout(CALL_SECONDS), self._turns:
                return await call()
        except self._api_error as refusal:
            if getattr(refusal, "http_status_code", 0) >= HTTPStatus.INTERNAL_SERVER_ERROR:
                raise BillingUnavailable("server trouble") from None
            raise
        except Exception as fault:  # noqa: BLE001 - what the SDK raises for lost connections and answers it cannot read
            # httpx's own errors, TimeoutError, a bare Exception for what is no JSON, and whatever its parser trips over
            raise BillingUnavailable(type(fault).__name__) from None


def _fault(refusal: Exception) -> BillingUnavailable:
    status, code = getattr(refusal, "http_status_code", 0), getattr(refusal, "api_error_code", None)
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return BillingUnavailable("too many requests", RATE_LIMITED_PAUSE)
    return BillingMisconfigured(f"{status} {code}", MISCONFIGURED_PAUSE)


async def open_chargebee(settings: Settings, pause: Pause = asyncio.sleep) -> ChargebeeBilling:
    """Make the adapter. The SDK takes a second and 46 MB to import: only who uses it pays, and in a thread."""
    module = await asyncio.to_thread(import_module, "chargebee")
    for name in _LEAKY_LOGGERS:
        logging.getLogger(name).setLevel(logging.WARNING)
    own = settings.keeper
    if not isinstance(own, ChargebeeSettings):
        raise TypeError("not Chargebee's settings")
    client = module.Chargebee(
        api_key=own.api_key,
        site=own.site,
        connection_time_out=CONNECT_SECONDS,
        read_time_out=READ_SECONDS,
        use_async_client=True,
    )
    if own.base_url:
        _point_elsewhere(module.Chargebee, client, own.base_url)
    return ChargebeeBilling(client, own, module.APIError, pause)


def _point_elsewhere(sdk: Any, client: Any, base_url: str) -> None:  # noqa: ANN401 - the same
    """Use a stand-in. Plain http works only with this class attribute, and only this machine is ever named here."""
    client.env.protocol = URL(base_url).scheme
    client.env.api_endpoint = f"{base_url.rstrip('/')}/api/v2"
    if client.env.protocol == "http":
        sdk.verify_ca_certs = False
