"""The mirror follows Chargebee, whatever happens to webhooks on their way."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
import json
import re

import aiohttp
from hypothesis import HealthCheck, given, settings as how, strategies as st
import pytest
from sqlalchemy import select, text

from teslafi_companion.adapters.chargebee.events import parse_event
from teslafi_companion.adapters.chargebee.subscriptions import parse_subscription
from teslafi_companion.domain.billing import mirror
from teslafi_companion.domain.billing.access import Use
from teslafi_companion.domain.billing.port import NotAnEvent
from teslafi_companion.domain.words import SubscriptionReason
from teslafi_companion.store.database import Store
from teslafi_companion.store.tables import billing_event, metadata
from teslafi_companion.work.billing import BillingWorker
from teslafi_simulators.chargebee import ChargebeeSimulator, Status
from teslafi_simulators.chargebee.site import MONTH

from ..clock import ManualClock
from ..web.person import OLGA, Companion, Person
from .conftest import FORMER_PASSWORD, PRICE, WEBHOOK_PASSWORD


async def customer_of(person: Person) -> str:
    """Make somebody a customer; return what Chargebee calls them."""
    async with person.store.transaction() as transaction:
        owner = await person.account(transaction)
        await mirror.note_customer(transaction, owner, OLGA)
    return mirror.customer_id(owner)


async def reason_of(person: Person, use: Use = Use.CONTROLS) -> SubscriptionReason:
    """Return why there is access or not."""
    async with person.store.reading() as transaction:
        return (await mirror.access_of(transaction, await person.account(transaction), use)).reason


async def settle(worker: BillingWorker) -> None:
    """Have the worker work until nothing is left."""
    while await worker.work_once():
        pass


@pytest.fixture
async def payer(olga: Person, chargebee: ChargebeeSimulator) -> str:
    """Return Olga as Chargebee knows her."""
    number = await customer_of(olga)
    chargebee.site.add_customer({"id": number, "email": OLGA})
    return number


async def test_a_webhook_makes_chargebee_be_asked(
    olga: Person, payer: str, chargebee: ChargebeeSimulator, worker: BillingWorker
) -> None:
    await settle(worker)
    chargebee.site.subscribe(payer, PRICE)
    assert await reason_of(olga) is SubscriptionReason.NONE
    await chargebee.sender.deliver()
    assert set(chargebee.sender.answers) == {200}
    await settle(worker)
    assert await reason_of(olga) is SubscriptionReason.ACTIVE


async def test_lost_webhooks_are_found_by_the_poll(
    olga: Person, payer: str, chargebee: ChargebeeSimulator, worker: BillingWorker, clock: ManualClock
) -> None:
    await settle(worker)
    chargebee.sender.copies = 0
    chargebee.site.subscribe(payer, PRICE)
    clock.advance(minutes=9)
    await settle(worker)
    assert await reason_of(olga) is SubscriptionReason.NONE
    clock.advance(minutes=1)
    await settle(worker)
    assert await reason_of(olga) is SubscriptionReason.ACTIVE


async def test_what_even_the_poll_misses_is_found_within_half_a_day(
    olga: Person, payer: str, chargebee: ChargebeeSimulator, worker: BillingWorker, clock: ManualClock
) -> None:
    number = chargebee.site.subscribe(payer, PRICE).id
    await settle(worker)
    assert await reason_of(olga) is SubscriptionReason.ACTIVE
    chargebee.sender.copies = 0
    chargebee.site.cancel(number)
    chargebee.site.events.clear()
    clock.advance(hours=12)
    await settle(worker)
    assert await reason_of(olga) is SubscriptionReason.CANCELLED


async def test_a_forged_webhook_changes_nothing_but_a_question(
    olga: Person, payer: str, chargebee: ChargebeeSimulator, worker: BillingWorker
) -> None:
    number = chargebee.site.subscribe(payer, PRICE).id
    chargebee.site.cancel(number)
    await chargebee.sender.deliver()
    await settle(worker)
    forged = {
        "id": "ev_forged",
        "event_type": "subscription_activated",
        "occurred_at": 1,
        "content": {"subscription": {"id": number, "customer_id": payer, "status": "active", "resource_version": 9e15}},
    }
    async with aiohttp.ClientSession() as session:
        assert await chargebee.sender.post(session, forged) == 200
    await settle(worker)
    assert await reason_of(olga) is SubscriptionReason.CANCELLED


@pytest.mark.parametrize(
    ("password", "status"), [(WEBHOOK_PASSWORD, 200), (FORMER_PASSWORD, 200), ("guess", 401), ("", 401)]
)
async def test_either_of_two_passwords(
    companion: Companion, chargebee: ChargebeeSimulator, password: str, status: int
) -> None:
    body = {"id": "ev_1", "event_type": "customer_changed", "occurred_at": 1, "content": {}}
    async with aiohttp.ClientSession() as session:
        assert await chargebee.sender.post(session, body, password=password) == status


async def test_guessing_the_password_is_slowed(companion: Companion, chargebee: ChargebeeSimulator) -> None:
    async with aiohttp.ClientSession() as session:
        answers = [await chargebee.sender.post(session, {}, password=f"guess {number}") for number in range(32)]
        assert (answers[0], answers[-1]) == (401, 429)
        body = {"id": "ev_1", "event_type": "x", "occurred_at": 1}
        assert await chargebee.sender.post(session, body) == 200, "the right password still works"


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"{", "application/json", 400),
        (b"[" * 5000, "application/json", 400),
        (b"[]", "application/json", 400),
        (b"{}", "application/json", 400),
        (json.dumps({"id": "x" * 61, "event_type": "x", "occurred_at": 1}).encode(), "application/json", 400),
        (b"a=b", "application/x-www-form-urlencoded", 415),
        (b" " * (1024 * 1024 + 1), "application/json", 413),
        (b'{"id":"e","event_type":"x","occurred_at":1}' + b" " * 500_000, "application/json", 200),
    ],
    ids=["broken", "deep", "a list", "empty", "a long id", "a form", "too large", "large"],
)
async def test_what_a_webhook_may_look_like(companion: Companion, body: bytes, kind: str, status: int) -> None:
    url = companion.server.make_url("/webhooks/chargebee")
    headers = {"Content-Type": kind, "Authorization": aiohttp.encode_basic_auth("chargebee", WEBHOOK_PASSWORD)}
    async with aiohttp.ClientSession() as session, session.post(url, data=body, headers=headers) as answer:
        assert answer.status == status


async def test_an_event_is_kept_once(companion: Companion, chargebee: ChargebeeSimulator, store: Store) -> None:
    body = {"id": "ev_1", "event_type": "subscription_renewed", "occurred_at": 1, "content": {}}
    async with aiohttp.ClientSession() as session:
        answers = await asyncio.gather(*(chargebee.sender.post(session, body) for _ in range(20)))
    assert set(answers) == {200}
    async with store.reading() as transaction:
        assert len(await transaction.rows(select(billing_event))) == 1


async def test_card_data_leaves_no_trace(
    olga: Person,
    payer: str,
    chargebee: ChargebeeSimulator,
    worker: BillingWorker,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    chargebee.sender.payment_details = True
    chargebee.site.subscribe(payer, PRICE)
    await chargebee.sender.deliver()
    await settle(worker)
    assert await reason_of(olga) is SubscriptionReason.ACTIVE
    kept: list[str] = []
    async with olga.store.reading() as transaction:
        for name in metadata.tables:
            for row in (await transaction.connection.execute(text(f'SELECT * FROM "{name}"'))).all():  # noqa: S608
                kept += (one.decode("latin-1") if isinstance(one, bytes) else str(one) for one in row)
    everything = "\n".join([*kept, caplog.text, capsys.readouterr().out])
    assert "Marker-" not in everything
    # Any four digits stand within something random, an identifier or a port, sooner or later
    assert re.findall(r"(?<![0-9a-z])(?:411111|9917|99317)(?![0-9a-z])", everything) == []


def test_no_column_is_for_payments() -> None:
    words = ("card", "iban", "cvv", "last4", "iin", "expiry", "address", "invoice_id", "amount", "price_cents", "vat")
    columns = [f"{table.name}.{column.name}" for table in metadata.tables.values() for column in table.columns]
    assert [name for name in columns if any(word in name for word in words)] == []


@pytest.mark.slow
async def test_an_outage_of_four_days(
    olga: Person, payer: str, chargebee: ChargebeeSimulator, worker: BillingWorker, clock: ManualClock
) -> None:
    """With the worker trying all the time: reads for 72 hours, controls for 24, and all is well afterwards."""
    chargebee.site.subscribe(payer, PRICE)
    await settle(worker)
    chargebee.gate.down = True
    passed = 0
    for hour in (*range(1, 4), *range(6, 22, 3), *range(22, 27), *range(29, 70, 5), *range(70, 75), *range(80, 97, 8)):
        clock.advance(hours=hour - passed)
        passed = hour
        await settle(worker)
        assert (await reason_of(olga, Use.READING) is SubscriptionReason.ACTIVE) == (hour < 72), hour
        assert (await reason_of(olga) is SubscriptionReason.ACTIVE) == (hour < 24), hour
    chargebee.gate.down = False
    clock.advance(minutes=15)
    await settle(worker)
    assert await reason_of(olga) is SubscriptionReason.ACTIVE


async def test_after_a_fault_chargebee_is_left_alone(
    payer: str, chargebee: ChargebeeSimulator, worker: BillingWorker, clock: ManualClock
) -> None:
    chargebee.gate.down = True
    await worker.work_once()
    asked = len(chargebee.gate.requests)
    for _ in range(5):
        await worker.work_once()
    assert len(chargebee.gate.requests) == asked
    clock.advance(minutes=10)
    chargebee.gate.down = False
    await settle(worker)
    assert len(chargebee.gate.requests) > asked


async def test_an_answer_that_was_overtaken_changes_nothing(
    olga: Person, payer: str, chargebee: ChargebeeSimulator, clock: ManualClock
) -> None:
    subscription = chargebee.site.subscribe(payer, PRICE)
    old, asked_first = parse_subscription(subscription.shown()), clock()
    clock.advance(seconds=1)
    chargebee.site.cancel(subscription.id)
    new, asked_then = parse_subscription(subscription.shown()), clock()
    clock.advance(seconds=1)
    async with olga.store.transaction() as transaction:
        owner = await olga.account(transaction)
        await mirror.keep(transaction, owner, [new], asked_then)
        await mirror.keep(transaction, owner, [old], asked_first)
        await mirror.keep(transaction, owner, [], asked_first)
    assert await reason_of(olga) is SubscriptionReason.CANCELLED


async def test_two_processes_share_the_work(
    olga: Person, payer: str, chargebee: ChargebeeSimulator, worker: BillingWorker, clock: ManualClock
) -> None:
    await settle(worker)
    chargebee.site.subscribe(payer, PRICE)
    await chargebee.sender.deliver()
    chargebee.gate.requests.clear()
    other = BillingWorker(olga.store, worker._billing)  # noqa: SLF001 - the same adapter in another process
    await asyncio.gather(settle(worker), settle(other))
    asked = [path for _, path in chargebee.gate.requests if path.endswith("/subscriptions")]
    assert len(asked) == 1
    assert await reason_of(olga) is SubscriptionReason.ACTIVE


async def test_a_changed_address_reaches_chargebee(
    olga: Person, payer: str, chargebee: ChargebeeSimulator, worker: BillingWorker
) -> None:
    async with olga.store.transaction() as transaction:
        await mirror.note_customer(transaction, await olga.account(transaction), "former@example.org")
        await mirror.want(transaction, [await olga.account(transaction)])
    await settle(worker)
    assert chargebee.site.customers[payer]["email"] == OLGA


@given(st.recursive(st.none() | st.integers() | st.text(), lambda inner: st.dictionaries(st.text(), inner)))
def test_no_body_breaks_the_parser(body: object) -> None:
    try:
        parse_event(body)
    except NotAnEvent:
        return


type Happening = Callable[[ChargebeeSimulator, str], None]

HAPPENINGS: dict[str, Happening] = {
    "cancel": lambda simulator, number: simulator.site.cancel(number),
    "cancel later": lambda simulator, number: simulator.site.cancel(number, at_term_end=True),
    "keep": lambda simulator, number: simulator.site.keep(number),
    "reactivate": lambda simulator, number: simulator.site.reactivate(number),
    "pause": lambda simulator, number: simulator.site.pause(number),
    "resume": lambda simulator, number: simulator.site.resume(number),
    "stop paying": lambda simulator, number: simulator.site.stop_paying(number),
    "pay": lambda simulator, number: simulator.site.pay_dues(number),
    "delete": lambda simulator, number: simulator.site.delete(number),
    "transfer": lambda simulator, number: simulator.site.transfer(number),
}
STEPS = st.lists(
    st.tuples(
        st.sampled_from([*HAPPENINGS, "subscribe", "a day", "a month", "work"]),
        st.sampled_from(["once", "twice", "lost", "newest first", "late"]),
    ),
    min_size=1,
    max_size=12,
)


@pytest.mark.slow
@how(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(steps=STEPS)
async def test_whatever_happens_the_mirror_ends_as_chargebee(
    olga: Person,
    payer: str,
    chargebee: ChargebeeSimulator,
    worker: BillingWorker,
    clock: ManualClock,
    steps: list[tuple[str, str]],
) -> None:
    """A subscription goes through its life while webhooks are doubled, lost, late and in the wrong order."""
    from teslafi_simulators.chargebee.site import Refused  # noqa: PLC0415 - of this one test

    number = chargebee.site.subscribe(payer, PRICE).id
    for step, delivery in steps:
        sender = chargebee.sender
        sender.copies = {"twice": 2, "lost": 0}.get(delivery, 1)
        sender.newest_first, sender.delay = delivery == "newest first", 3600.0 if delivery == "late" else 0.0
        clock.advance(seconds=1)
        if step in {"a day", "a month"}:
            clock.advance(seconds=MONTH if step == "a month" else 86_400)
            chargebee.site.live()
        elif step == "work":
            await sender.deliver()
            await settle(worker)
        elif step == "subscribe":
            number = chargebee.site.subscribe(payer, PRICE).id
        else:
            try:
                HAPPENINGS[step](chargebee, number)
            except Refused:
                continue
    clock.advance(hours=13)
    chargebee.site.live()
    await chargebee.sender.deliver()
    await settle(worker)
    async with olga.store.reading() as transaction:
        known = await mirror.known_of(transaction, await olga.account(transaction))
    kept = {
        one.id: (one.status, one.resource_version, one.due_invoices) for one in known.subscriptions if not one.deleted
    }
    truth = {one.id: one for one in chargebee.site.of_customer(payer)}
    assert kept == {
        number: (str(one.status), one.resource_version, 1 if one.due_since else 0) for number, one in truth.items()
    }


def test_every_status_of_the_simulator_is_chargebees() -> None:
    assert {status.value for status in Status} == {
        "future",
        "in_trial",
        "active",
        "non_renewing",
        "paused",
        "cancelled",
        "transferred",
    }


def test_the_overlap_covers_a_missed_poll(olga: Person) -> None:
    policy = olga.store.settings.policy
    assert policy.billing_poll_overlap > 2 * policy.billing_poll
    assert policy.billing_event_kept > timedelta(days=3, hours=7)
