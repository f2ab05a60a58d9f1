"""One subscription as it is kept: an allow-list of what a keeper tells, in Chargebee's words."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, kw_only=True)
class Subscription:
    """A subscription's state; `status` and `cancel_reason` are Chargebee's own words, also ones not known here."""

    id: str
    customer_id: str
    status: str
    resource_version: int
    item_prices: tuple[str, ...] = ()
    start_at: datetime | None = None
    trial_end: datetime | None = None
    term_end: datetime | None = None
    pause_at: datetime | None = None
    resume_at: datetime | None = None
    due_since: datetime | None = None
    due_invoices: int = 0
    cancel_reason: str | None = None
    deleted: bool = False
    entitled: bool | None = None
    """Whether it carries the configured feature; None when none is configured."""
