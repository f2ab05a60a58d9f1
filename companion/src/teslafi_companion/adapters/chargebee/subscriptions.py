"""Reads Chargebee's subscriptions: an allow-list of the fields that its API shows."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from teslafi_companion.domain.billing.subscription import Subscription

_LONGEST_ID: Final = 50
_LONGEST_WORD: Final = 40


class Unreadable(Exception):
    """What should be a subscription has no identifier, customer, status or version."""


def parse_subscription(raw: Mapping[str, Any], *, entitled: bool | None = None) -> Subscription:
    """Read a subscription as the API shows it; raises Unreadable."""
    number, customer, status = (_word(raw.get(name), _LONGEST_ID) for name in ("id", "customer_id", "status"))
    version = raw.get("resource_version")
    if number is None or customer is None or status is None or not isinstance(version, int):
        raise Unreadable
    dues = raw.get("due_invoices_count")
    return Subscription(
        id=number,
        customer_id=customer,
        status=status,
        resource_version=version,
        item_prices=_item_prices(raw.get("subscription_items")),
        start_at=_moment(raw.get("start_date")),
        trial_end=_moment(raw.get("trial_end")),
        term_end=_moment(raw.get("current_term_end")),
        pause_at=_moment(raw.get("pause_date")),
        resume_at=_moment(raw.get("resume_date")),
        due_since=_moment(raw.get("due_since")),
        due_invoices=dues if isinstance(dues, int) else 0,
        cancel_reason=_word(raw.get("cancel_reason"), _LONGEST_WORD),
        deleted=bool(raw.get("deleted") or raw.get("decommissioned")),
        entitled=entitled,
    )


def _word(value: object, longest: int) -> str | None:
    return value if isinstance(value, str) and 0 < len(value) <= longest else None


def _moment(value: object) -> datetime | None:
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    try:
        return datetime.fromtimestamp(value, UTC)
    except OverflowError, OSError, ValueError:
        return None


def _item_prices(value: object) -> tuple[str, ...]:
    items = value if isinstance(value, list) else []
    found = (_word(item.get("item_price_id"), 100) for item in items if isinstance(item, dict))
    return tuple(price for price in found if price is not None)
