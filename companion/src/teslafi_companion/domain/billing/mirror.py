"""What is known of the accounts' subscriptions: kept from Chargebee's own answers, never from a webhook's content."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import Row, TextClause, or_, select, update

from teslafi_companion.audit import record
from teslafi_companion.domain.accounts.addresses import address_index
from teslafi_companion.settings import KeeperSettings, Settings
from teslafi_companion.store.database import Transaction, as_text, upsert
from teslafi_companion.store.tables import account, billing_customer, subscription

from .access import NOT_REQUIRED, Access, Known, Rules, Use, decide
from .subscription import Subscription


def customer_id(account_id: UUID) -> str:
    """Return what Chargebee calls an account: never its address, which several customers may share there."""
    return str(account_id)


def account_of(customer: str | None) -> UUID | None:
    """Return the account that a customer's identifier names, None for one that was not made here."""
    try:
        return UUID(customer or "")
    except ValueError:
        return None


def rules_of(settings: Settings) -> Rules:
    """Return the operator's rules."""
    policy, keeper = settings.policy, settings.keeper or KeeperSettings()
    return Rules(
        item_prices=frozenset(item_prices(settings)),
        needs_feature=bool(keeper.feature),
        past_due_grace=timedelta(days=keeper.past_due_grace_days),
        outage={Use.READING: policy.billing_outage_reading, Use.CONTROLS: policy.billing_outage_controls},
    )


def item_prices(settings: Settings) -> dict[str, str]:
    """Return the item prices that give access, each with its name for people."""
    pairs = (text.partition("=") for text in (settings.keeper or KeeperSettings()).item_prices)
    return {number.strip(): name.strip() or number.strip() for number, _, name in pairs}


async def access_of(transaction: Transaction, account_id: UUID, use: Use) -> Access:
    """Decide an account's access by what is known now; asks nobody."""
    if transaction.settings.keeper is None:
        return NOT_REQUIRED
    return decide(await known_of(transaction, account_id), transaction.now, rules_of(transaction.settings), use)


async def known_of(transaction: Transaction, account_id: UUID) -> Known:
    """Return what is known of an account."""
    rows = await transaction.rows(
        select(billing_customer.c.checked_at, subscription)
        .join_from(
            billing_customer, subscription, subscription.c.account_id == billing_customer.c.account_id, isouter=True
        )
        .where(billing_customer.c.account_id == account_id)
    )
    if not rows:
        return Known()
    return Known(tuple(_subscription(row) for row in rows if row.id is not None), rows[0].checked_at)


def _subscription(row: Row[Any]) -> Subscription:
    return Subscription(
        id=row.id,
        customer_id=customer_id(row.account_id),
        status=row.status,
        resource_version=row.resource_version,
        item_prices=tuple(row.item_prices.split()),
        start_at=row.start_at,
        trial_end=row.trial_end,
        term_end=row.term_end,
        pause_at=row.pause_at,
        resume_at=row.resume_at,
        due_since=row.due_since,
        due_invoices=row.due_invoices,
        cancel_reason=row.cancel_reason,
        deleted=row.deleted,
        entitled=row.entitled,
    )


async def is_customer(transaction: Transaction, account_id: UUID) -> bool:
    """Say whether an account was ever made a customer."""
    found = select(billing_customer.c.account_id).where(billing_customer.c.account_id == account_id)
    return await transaction.first(found) is not None


async def note_customer(transaction: Transaction, account_id: UUID, email: str) -> None:
    """Note that Chargebee knows an account under an address."""
    index = address_index(transaction.cipher, email)
    values = {"account_id": account_id, "created_at": transaction.now, "email_index": index}
    await transaction.insert_or_change(billing_customer, "account_id", values, "email_index")


async def want(transaction: Transaction, account_ids: Sequence[UUID]) -> None:
    """Have accounts asked about again, as soon as the worker comes to it; those that are no customers are left out."""
    if account_ids:
        await transaction.execute(
            update(billing_customer)
            .where(billing_customer.c.account_id.in_(account_ids))
            .values(wanted_at=transaction.now)
        )


async def want_soon(transaction: Transaction, account_id: UUID, returned_page: str | None = None) -> None:
    """Have an account asked about again that came back from a hosted page, but not so soon after the last answer.

    However often somebody reloads, one question waits.
    """
    soonest = transaction.now - transaction.policy.billing_gap
    values: dict[str, Any] = {"wanted_at": transaction.now}
    if returned_page is not None:
        values["returned_page"] = returned_page
    row = await transaction.first(
        select(billing_customer.c.checked_at).where(
            billing_customer.c.account_id == account_id, billing_customer.c.wanted_at.is_(None)
        )
    )
    if row is None:
        return
    if row.checked_at is not None and row.checked_at > soonest:
        values["wanted_at"] = row.checked_at + transaction.policy.billing_gap
    await transaction.execute(
        update(billing_customer)
        .where(billing_customer.c.account_id == account_id, billing_customer.c.wanted_at.is_(None))
        .values(values)
    )


async def want_if_old(transaction: Transaction, account_id: UUID) -> None:
    """Have an account asked about again if the last answer is not fresh, and nobody wants it yet."""
    old = transaction.now - transaction.policy.billing_fresh
    await transaction.execute(
        update(billing_customer)
        .where(
            billing_customer.c.account_id == account_id,
            billing_customer.c.wanted_at.is_(None),
            or_(billing_customer.c.checked_at.is_(None), billing_customer.c.checked_at <= old),
        )
        .values(wanted_at=transaction.now)
    )


def is_old(known: Known, transaction: Transaction) -> bool:
    """Say whether the last answer is no longer fresh."""
    return known.checked_at is None or known.checked_at <= transaction.now - transaction.policy.billing_fresh


async def keep(
    transaction: Transaction, account_id: UUID, fetched: Sequence[Subscription], asked_at: datetime
) -> Access | None:
    """Keep Chargebee's answer to a question asked at `asked_at`; returns the decision, None for a deleted account.

    An answer that was overtaken by a newer one changes nothing: each subscription is kept by its `resource_version`,
    and what an answer does not list is gone only if nothing newer has listed it.
    """
    alive = await transaction.first(select(account.c.id).where(account.c.id == account_id))
    if alive is None:
        return None
    before = await access_of(transaction, account_id, Use.CONTROLS)
    for one in fetched:
        if account_of(one.customer_id) == account_id:
            await _keep_one(transaction, account_id, one, asked_at)
    await transaction.execute(
        update(subscription)
        .where(
            subscription.c.account_id == account_id,
            subscription.c.id.not_in([one.id for one in fetched]),
            subscription.c.seen_at < asked_at,
        )
        .values(deleted=True)
    )
    checked = billing_customer.c.checked_at
    await transaction.execute(
        update(billing_customer)
        # A question from later than now was asked by a clock that was ahead
        .where(
            billing_customer.c.account_id == account_id,
            or_(checked.is_(None), checked < asked_at, checked > transaction.now),
        )
        .values(checked_at=asked_at)
    )
    after = await access_of(transaction, account_id, Use.CONTROLS)
    if after.granted != before.granted:
        event = "subscription_began" if after.granted else "subscription_lapsed"
        record(transaction, event, account_id=account_id, actor="service", detail={"reason": after.reason.value})
    return after


async def _keep_one(transaction: Transaction, account_id: UUID, one: Subscription, asked_at: datetime) -> None:
    values = {
        "id": one.id,
        "account_id": account_id,
        "status": one.status,
        "resource_version": one.resource_version,
        "item_prices": " ".join(one.item_prices)[:500],
        "start_at": one.start_at,
        "trial_end": one.trial_end,
        "term_end": one.term_end,
        "pause_at": one.pause_at,
        "resume_at": one.resume_at,
        "due_since": one.due_since,
        "due_invoices": one.due_invoices,
        "cancel_reason": one.cancel_reason,
        "deleted": one.deleted,
        "entitled": one.entitled,
        "seen_at": asked_at,
    }
    await transaction.execute(_keeping(transaction.connection.dialect.name), values)


@cache
def _keeping(dialect: str) -> TextClause:
    insertion = upsert(dialect, subscription)
    kept, answer = subscription.c, insertion.excluded
    newer = kept.resource_version < answer.resource_version
    no_older = (kept.resource_version == answer.resource_version) & (kept.seen_at <= answer.seen_at)
    columns = [column.name for column in kept]
    return as_text(
        dialect,
        insertion.on_conflict_do_update(
            index_elements=["id"],
            set_={name: answer[name] for name in columns if name != "id"},
            where=newer | no_older,
        ),
        columns,
    )
