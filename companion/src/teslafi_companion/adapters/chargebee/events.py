"""Reads Chargebee's events, which come by webhook and by the poll alike."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from teslafi_companion.domain.billing.port import BillingEvent, NotAnEvent


def parse_event(body: object) -> BillingEvent:
    """Read the few fields that are kept of an event; raises NotAnEvent. Its content is never kept, nor believed."""
    if not isinstance(body, Mapping):
        raise NotAnEvent
    number, kind, at = body.get("id"), body.get("event_type"), body.get("occurred_at")
    if not (_is_word(number, 60) and _is_word(kind, 80)) or isinstance(at, bool) or not isinstance(at, int):
        raise NotAnEvent
    try:
        moment = datetime.fromtimestamp(at, UTC)
    except OverflowError, OSError, ValueError:
        raise NotAnEvent from None
    content = _mapping(body.get("content"))
    subscription, customer = _mapping(content.get("subscription")), _mapping(content.get("customer"))
    return BillingEvent(
        id=str(number),
        type=str(kind),
        occurred_at=moment,
        subscription_id=_word(subscription.get("id")),
        customer_id=_word(subscription.get("customer_id")) or _word(customer.get("id")),
    )


def _is_word(value: object, longest: int) -> bool:
    return isinstance(value, str) and 0 < len(value) <= longest and value.isprintable() and "\0" not in value


def _word(value: object) -> str | None:
    return str(value) if _is_word(value, 50) else None


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
