"""The access decision: every status, dues, several subscriptions, the unknown, and the outage table to the hour."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given, strategies as st
import pytest

from teslafi_companion.adapters.chargebee.subscriptions import Unreadable, parse_subscription
from teslafi_companion.domain.billing.access import GRANTING, SENTENCES, Access, Known, Rules, Use, decide
from teslafi_companion.domain.billing.subscription import Subscription
from teslafi_companion.domain.words import SubscriptionReason

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
RULES = Rules(item_prices=frozenset({"controls"}), outage={Use.READING: 72 * HOUR, Use.CONTROLS: 24 * HOUR})


def held(status: str, **fields: object) -> Subscription:
    """Return a subscription with the configured price."""
    base = Subscription(id="s", customer_id="c", status=status, resource_version=1, item_prices=("controls",))
    return replace(base, **fields)  # type: ignore[arg-type]


def decided(*subscriptions: Subscription, rules: Rules = RULES, age: timedelta = timedelta(0)) -> Access:
    """Decide about controls by an answer of this age."""
    return decide(Known(subscriptions, NOW - age), NOW, rules, Use.CONTROLS)


@pytest.mark.parametrize(
    ("subscription", "reason"),
    [
        (held("active", term_end=NOW + DAY), SubscriptionReason.ACTIVE),
        (held("active", term_end=NOW - DAY), SubscriptionReason.ACTIVE),
        (held("in_trial", trial_end=NOW + DAY), SubscriptionReason.TRIAL),
        (held("in_trial", trial_end=NOW - HOUR / 2), SubscriptionReason.TRIAL),
        (held("in_trial", trial_end=NOW - HOUR), SubscriptionReason.EXPIRED),
        (held("in_trial"), SubscriptionReason.EXPIRED),
        (held("non_renewing", term_end=NOW + HOUR), SubscriptionReason.ENDING),
        (held("non_renewing", term_end=NOW), SubscriptionReason.EXPIRED),
        (held("non_renewing"), SubscriptionReason.EXPIRED),
        (held("future", start_at=NOW + DAY), SubscriptionReason.FUTURE),
        (held("future", start_at=NOW - DAY), SubscriptionReason.FUTURE),
        (held("paused", pause_at=NOW - HOUR), SubscriptionReason.PAUSED),
        (held("paused"), SubscriptionReason.PAUSED),
        (held("paused", pause_at=NOW + HOUR), SubscriptionReason.ACTIVE),
        (held("cancelled"), SubscriptionReason.CANCELLED),
        (held("cancelled", cancel_reason="not_paid"), SubscriptionReason.UNPAID),
        (held("transferred"), SubscriptionReason.CANCELLED),
        (held("decommissioned"), SubscriptionReason.UNKNOWN),
        (held("something new"), SubscriptionReason.UNKNOWN),
        (held("active", due_invoices=1, due_since=NOW - 13 * DAY), SubscriptionReason.PAST_DUE),
        (held("active", due_invoices=1, due_since=NOW - 14 * DAY), SubscriptionReason.UNPAID),
        (held("active", due_invoices=1), SubscriptionReason.UNPAID),
        (held("active", item_prices=("mug",)), SubscriptionReason.OTHER_PLAN),
        (held("active", deleted=True), SubscriptionReason.NONE),
    ],
)
def test_each_status(subscription: Subscription, reason: SubscriptionReason) -> None:
    assert decided(subscription).reason is reason


def test_the_best_of_several_counts() -> None:
    ended, other = held("cancelled"), held("active", item_prices=("mug",))
    assert decided(ended, other).reason is SubscriptionReason.OTHER_PLAN
    assert decided(ended, held("active"), other).reason is SubscriptionReason.ACTIVE
    short, long = held("non_renewing", term_end=NOW + DAY), held("non_renewing", term_end=NOW + 2 * DAY)
    assert decided(short, long).until == NOW + 2 * DAY


def test_a_feature_is_asked_for_only_where_one_is_configured() -> None:
    rules = replace(RULES, needs_feature=True)
    assert decided(held("active"), rules=rules).reason is SubscriptionReason.NOT_ENTITLED
    assert decided(held("active", entitled=False), rules=rules).reason is SubscriptionReason.NOT_ENTITLED
    assert decided(held("active", entitled=True), rules=rules).granted
    assert decided(held("active", entitled=False)).granted


def test_nothing_known_grants_nothing() -> None:
    assert decide(Known(), NOW, RULES, Use.READING) == Access(SubscriptionReason.NONE)
    assert decide(Known((held("active"),)), NOW, RULES, Use.READING).reason is SubscriptionReason.UNCERTAIN


@pytest.mark.parametrize("hours", range(97))
def test_an_outage_of_four_days_hour_by_hour(hours: int) -> None:
    """Reads outlast it for 72 hours, controls for 24 (reference/chargebee.md, section 4)."""
    known = Known((held("active"),), NOW - timedelta(hours=hours))
    assert decide(known, NOW, RULES, Use.READING).granted == (hours < 72)
    assert decide(known, NOW, RULES, Use.CONTROLS).granted == (hours < 24)


def test_what_ended_is_not_made_uncertain_by_an_outage() -> None:
    assert decided(held("cancelled"), age=100 * HOUR).reason is SubscriptionReason.CANCELLED


def test_every_reason_has_its_own_sentence() -> None:
    assert set(SENTENCES) == set(SubscriptionReason)
    assert len(set(SENTENCES.values())) == len(SubscriptionReason)


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
NAMES = (
    "id",
    "customer_id",
    "status",
    "resource_version",
    "subscription_items",
    "trial_end",
    "current_term_end",
    "pause_date",
    "due_since",
    "due_invoices_count",
    "cancel_reason",
    "deleted",
    "decommissioned",
)
FIELDS = st.fixed_dictionaries({}, optional=dict.fromkeys(NAMES, ANYTHING))


@given(FIELDS)
def test_whatever_the_api_sends_is_a_decision_or_unreadable(raw: dict[str, object]) -> None:
    try:
        found = parse_subscription(raw)
    except Unreadable:
        return
    access = decided(found)
    assert access.granted == (access.reason in GRANTING)


@given(FIELDS.map(lambda raw: raw | {"id": "s", "customer_id": "c", "resource_version": 1}), st.text(min_size=1))
def test_an_unknown_status_is_always_denied(raw: dict[str, object], status: str) -> None:
    known = {"active", "in_trial", "non_renewing", "paused"}
    if status in known or len(status) > 50:
        return
    priced = raw | {"status": status, "subscription_items": [{"item_price_id": "controls"}]}
    assert not decided(parse_subscription(priced)).granted
