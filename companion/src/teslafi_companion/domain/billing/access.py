"""Who has access: one pure function over what is known, the moment and the rules. What is not understood is denied."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from teslafi_companion.domain.words import SubscriptionReason as Reason
from teslafi_companion.language import N_

from .subscription import Subscription

SKEW: Final = timedelta(hours=1)
"""How long after its announced end a trial or term still counts: Chargebee's jobs take their time."""


class Use(StrEnum):
    """What access is wanted for; each outlasts an outage of Chargebee's for another time."""

    READING = "reading"
    CONTROLS = "controls"


SENTENCES: Final[Mapping[Reason, str]] = {
    Reason.NOT_REQUIRED: N_("This companion doesn't require a subscription. Your account can use everything."),
    Reason.ACTIVE: N_("Your subscription is active."),
    Reason.TRIAL: N_("Your trial is active."),
    Reason.ENDING: N_("Your subscription was canceled and ends with its current term."),
    Reason.PAST_DUE: N_("The last payment failed. Update your payment method, or access ends soon."),
    Reason.UNCERTAIN: N_(
        "The status of your subscription couldn't be checked for too long. Access returns automatically."
    ),
    Reason.UNPAID: N_("The last payment failed and the grace period is over. Pay to get access again."),
    Reason.PAUSED: N_("Your subscription is paused. Resume it to get access."),
    Reason.FUTURE: N_("Your subscription hasn't started yet."),
    Reason.NOT_ENTITLED: N_("Your subscription doesn't include controls."),
    Reason.OTHER_PLAN: N_("Your subscription is for a different plan."),
    Reason.UNKNOWN: N_("Your subscription has an unknown status. Ask the operator of this companion."),
    Reason.EXPIRED: N_("Your subscription has expired."),
    Reason.CANCELLED: N_("Your subscription has ended."),
    Reason.NONE: N_("You have no subscription."),
}
"""What a person reads."""

GRANTING: Final = frozenset(
    {
        Reason.NOT_REQUIRED,
        Reason.ACTIVE,
        Reason.TRIAL,
        Reason.ENDING,
        Reason.PAST_DUE,
    }
)


@dataclass(frozen=True, kw_only=True)
class Rules:
    """What grants access: one of these item prices, and the feature if one is configured."""

    item_prices: frozenset[str]
    needs_feature: bool = False
    past_due_grace: timedelta = timedelta(days=14)
    outage: Mapping[Use, timedelta]
    """How long the last good answer counts."""


@dataclass(frozen=True)
class Known:
    """What was last learned of an account's subscriptions, and when; never asked is None."""

    subscriptions: tuple[Subscription, ...] = ()
    checked_at: datetime | None = None


@dataclass(frozen=True)
class Access:
    """The decision, its reason, and the subscription that decided."""

    reason: Reason
    subscription: Subscription | None = None
    until: datetime | None = None
    """When the term or trial ends, or when payment must have worked."""
    renews: bool = False
    """Whether the subscription goes on by itself at `until`."""

    @property
    def granted(self) -> bool:
        """Say whether there is access."""
        return self.reason in GRANTING

    @property
    def sentence(self) -> str:
        """Return the reason for a person."""
        return SENTENCES[self.reason]


NOT_REQUIRED: Final = Access(Reason.NOT_REQUIRED)


def decide(known: Known, now: datetime, rules: Rules, use: Use) -> Access:
    """Decide by the best of an account's subscriptions; an answer that is too old grants nothing."""
    judged = [_judge(subscription, now, rules) for subscription in known.subscriptions if not subscription.deleted]
    best = min(judged, key=_rank, default=Access(Reason.NONE))
    too_old = known.checked_at is None or now - known.checked_at >= rules.outage[use]
    if best.granted and too_old:
        return Access(Reason.UNCERTAIN, best.subscription, best.until, best.renews)
    return best


_ORDER: Final = {reason: place for place, reason in enumerate(Reason)}


def _rank(access: Access) -> tuple[int, float]:
    """Return what puts the best first: the reason, then the longest."""
    return _ORDER[access.reason], -(access.until.timestamp() if access.until else 0.0)


def _judge(subscription: Subscription, now: datetime, rules: Rules) -> Access:
    if rules.item_prices.isdisjoint(subscription.item_prices):
        return Access(Reason.OTHER_PLAN, subscription)
    judge = _BY_STATUS.get(subscription.status)
    access = Access(Reason.UNKNOWN, subscription) if judge is None else judge(subscription, now, rules)
    if access.granted and rules.needs_feature and not subscription.entitled:
        return Access(Reason.NOT_ENTITLED, subscription)
    return access


def _active(subscription: Subscription, now: datetime, rules: Rules) -> Access:
    if not subscription.due_invoices:
        return Access(Reason.ACTIVE, subscription, subscription.term_end, renews=True)
    # Chargebee says “active” as long as it tries to collect: only the dues tell that nothing was paid
    if subscription.due_since is not None and now < subscription.due_since + rules.past_due_grace:
        return Access(Reason.PAST_DUE, subscription, subscription.due_since + rules.past_due_grace)
    return Access(Reason.UNPAID, subscription)


def _in_trial(subscription: Subscription, now: datetime, _rules: Rules) -> Access:
    if subscription.trial_end is None or now >= subscription.trial_end + SKEW:
        return Access(Reason.EXPIRED, subscription, subscription.trial_end)
    return Access(Reason.TRIAL, subscription, subscription.trial_end, renews=True)


def _non_renewing(subscription: Subscription, now: datetime, _rules: Rules) -> Access:
    if subscription.term_end is None or now >= subscription.term_end:
        return Access(Reason.EXPIRED, subscription, subscription.term_end)
    return Access(Reason.ENDING, subscription, subscription.term_end)


def _paused(subscription: Subscription, now: datetime, rules: Rules) -> Access:
    if subscription.pause_at is not None and now < subscription.pause_at:
        return _active(subscription, now, rules)
    return Access(Reason.PAUSED, subscription, subscription.resume_at)


def _future(subscription: Subscription, _now: datetime, _rules: Rules) -> Access:
    return Access(Reason.FUTURE, subscription, subscription.start_at)


def _cancelled(subscription: Subscription, _now: datetime, _rules: Rules) -> Access:
    reason = Reason.UNPAID if subscription.cancel_reason == "not_paid" else Reason.CANCELLED
    return Access(reason, subscription, subscription.term_end)


_BY_STATUS: Final[Mapping[str, Callable[[Subscription, datetime, Rules], Access]]] = {
    "active": _active,
    "in_trial": _in_trial,
    "non_renewing": _non_renewing,
    "paused": _paused,
    "future": _future,
    "cancelled": _cancelled,
    "transferred": _cancelled,
}
"""Chargebee's statuses -> what they mean here."""
