"""Whether a link may have a permit, condition by condition, where subscriptions decide as well."""

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest

from teslafi_companion.adapters.chargebee.settings import ChargebeeSettings
from teslafi_companion.domain.billing import mirror
from teslafi_companion.domain.billing.access import Access
from teslafi_companion.domain.billing.subscription import Subscription
from teslafi_companion.domain.links.access import Caller, find_caller
from teslafi_companion.domain.links.consent import Consent, find
from teslafi_companion.domain.links.scopes import Acr, Scope
from teslafi_companion.domain.permits.judge import Refusal, judge
from teslafi_companion.settings import Settings
from teslafi_companion.store.database import Store

from ..clock import ManualClock
from ..conftest import CHEAP
from ..oauth.linking import HOME, make_account
from .holder import Holder

PRICE = "controls-USD-monthly"


@pytest.fixture
def settings(tmp_path: Path, database: str) -> Settings:
    """Give settings of a companion that lives on subscriptions; nobody is asked about them here."""
    keeper = ChargebeeSettings(
        site="acme-test", api_key="test_simulated", item_prices=(f"{PRICE}=Controls",), base_url="http://127.0.0.1:1"
    )
    return Settings(
        database=database,
        key_file=tmp_path / "keys" / "companion.key",
        policy=CHEAP,
        metrics_port=-1,
        billing="chargebee",
        keeper=keeper,
    )


def active(owner: UUID, now: datetime) -> Subscription:
    return Subscription(
        id="subscription",
        customer_id=mirror.customer_id(owner),
        status="active",
        resource_version=1,
        item_prices=(PRICE,),
        start_at=now,
        term_end=now + timedelta(days=400),
    )


async def pays(store: Store, owner: UUID) -> None:
    async with store.transaction() as transaction:
        await mirror.note_customer(transaction, owner, "pia.marker@example.org")
        await mirror.keep(transaction, owner, [active(owner, transaction.now)], transaction.now)


async def asked(store: Store, holder: Holder) -> tuple[Caller, Consent | None]:
    async with store.reading() as transaction:
        caller = await find_caller(transaction, holder.access)
        assert caller is not None
        return caller, await find(transaction, caller.link.id)


async def judged(store: Store, caller: Caller, consent: Consent | None) -> tuple[Refusal | None, Access]:
    async with store.transaction() as transaction:
        return await judge(transaction, caller, consent, HOME)


async def test_who_pays_gets_a_permit_for_as_long_as_the_answer_counts(
    store: Store, holder: Holder, clock: ManualClock
) -> None:
    """A day for controls; for reading it would be three."""
    caller, consent = await asked(store, holder)
    refusal, access = await judged(store, caller, consent)
    assert (refusal, access.granted) == (Refusal.SUBSCRIPTION, False)
    other = await make_account(store, "other@example.org")
    await pays(store, other)
    assert (await judged(store, caller, consent))[0] is Refusal.SUBSCRIPTION
    await pays(store, holder.owner)
    refusal, access = await judged(store, caller, consent)
    assert (refusal, access.granted) == (None, True)
    clock.advance(hours=23)
    assert (await judged(store, caller, consent))[0] is None
    clock.advance(hours=2)
    assert (await judged(store, caller, consent))[0] is Refusal.SUBSCRIPTION


async def test_each_condition_alone_refuses(store: Store, holder: Holder) -> None:
    await pays(store, holder.owner)
    caller, consent = await asked(store, holder)
    assert consent is not None
    link = caller.link
    cases: list[tuple[Refusal, Caller, Consent | None]] = [
        (Refusal.NOT_ALLOWED, caller, None),
        (Refusal.NOT_ALLOWED, replace(caller, link=replace(link, scopes=frozenset({Scope.LINK}))), consent),
        (Refusal.SECOND_FACTOR, replace(caller, has_totp=False, passkeys=0), consent),
        (Refusal.STEP_UP, replace(caller, credential_version=2), consent),
        (Refusal.STEP_UP, replace(caller, link=replace(link, proof=replace(link.proof, acr=Acr.PASSWORD))), consent),
        (Refusal.NOT_ALLOWED, replace(caller, link=replace(link, id=UUID(int=1))), consent),
    ]
    for expected, who, allowed in cases:
        assert (await judged(store, who, allowed))[0] is expected
    assert (await judged(store, caller, consent))[0] is None
    assert (await judged(store, replace(caller, has_totp=False, passkeys=1), consent))[0] is None


async def test_the_first_condition_that_fails_is_told(store: Store, holder: Holder) -> None:
    """In the order in which an owner mends them; that nothing was paid comes last."""
    caller, consent = await asked(store, holder)
    weak = replace(caller, has_totp=False, credential_version=2)
    assert (await judged(store, weak, None))[0] is Refusal.NOT_ALLOWED
    assert (await judged(store, weak, consent))[0] is Refusal.SECOND_FACTOR
    assert (await judged(store, replace(caller, credential_version=2), consent))[0] is Refusal.STEP_UP
    assert (await judged(store, caller, consent))[0] is Refusal.SUBSCRIPTION
