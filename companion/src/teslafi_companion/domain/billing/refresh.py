"""Asks the keeper of subscriptions about one account, and keeps the answer in the mirror."""

from uuid import UUID

from sqlalchemy import select

from teslafi_companion.domain.accounts.account import load
from teslafi_companion.domain.accounts.addresses import EMAIL_INDEX, indexed_form
from teslafi_companion.store.database import Store
from teslafi_companion.store.tables import billing_customer

from . import mirror
from .access import Access
from .port import BillingPort


async def refresh(store: Store, billing: BillingPort, account_id: UUID) -> Access | None:
    """Ask about one account now, and keep the answer; returns the decision. Raises BillingUnavailable."""
    asked_at = store.clock()
    await _tell_address(store, billing, account_id)
    fetched = await billing.fetch_subscriptions(mirror.customer_id(account_id))
    async with store.transaction() as transaction:
        return await mirror.keep(transaction, account_id, fetched, asked_at)


async def _tell_address(store: Store, billing: BillingPort, account_id: UUID) -> None:
    """Give the keeper an account's new address, so that invoices go where the owner reads them."""
    async with store.reading() as transaction:
        owner = await load(transaction, account_id)
        told = await transaction.first(
            select(billing_customer.c.email_index).where(billing_customer.c.account_id == account_id)
        )
    if owner is None or told is None:
        return
    present, *earlier = store.cipher.macs(EMAIL_INDEX, indexed_form(owner.email))
    if told.email_index == present:
        return
    if told.email_index not in earlier:
        await billing.ensure_customer(mirror.customer_id(account_id), owner.email)
    # After a rotation the same address has another index
    async with store.transaction() as transaction:
        await mirror.note_customer(transaction, account_id, owner.email)
