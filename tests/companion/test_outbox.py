"""The outbox against a real SMTP receiver: dead servers, restarts, several workers; nothing lost, nothing twice."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select, update
import structlog

from teslafi_companion.mail import outbox
from teslafi_companion.mail.outbox import Mail
from teslafi_companion.store import tables
from teslafi_companion.store.database import Store
from teslafi_simulators.mail import MailCatcher
from tests.live.ports import free_port

from .clock import ManualClock
from .letters import outbox_worker

TO = "olga.marker@example.org"


@pytest.fixture
async def catcher(socket_enabled: None) -> AsyncIterator[MailCatcher]:
    """Be the mail server."""
    async with MailCatcher() as catcher:
        yield catcher


def towards(store: Store, port: int) -> Store:
    """Point the store's mails at a port of this machine."""
    store.settings = replace(store.settings, smtp_host="127.0.0.1", smtp_port=port, smtp_security="none")
    return store


async def write(store: Store, subject: str = "Hello") -> None:
    """Put a mail into the outbox."""
    async with store.transaction() as transaction:
        await outbox.send(transaction, Mail(TO, subject, f"{subject}, Olga\n", f"<p>{subject}, Olga</p>"))


async def states(store: Store) -> list[str]:
    """Return the states of all rows."""
    async with store.reading() as transaction:
        return [row.state for row in await transaction.rows(select(tables.outbox.c.state))]


async def test_a_mail_is_handed_over_as_machines_should(store: Store, catcher: MailCatcher) -> None:
    await write(towards(store, catcher.smtp_port))
    assert await outbox_worker(store).work_once() == 1
    (mail,) = catcher.mails
    assert mail.recipients == (TO,)
    assert mail.text == "Hello, Olga"
    assert mail.message["Auto-Submitted"] == "auto-generated"
    assert mail.message.get_content_type() == "multipart/alternative"
    assert [part.get_content_type() for part in mail.message.iter_parts()] == ["text/plain", "text/html"]
    assert mail.message["Date"].datetime == store.clock()
    assert await states(store) == ["done"]
    async with store.reading() as transaction:
        row = await transaction.first(select(tables.outbox.c.sealed))
    assert row is not None
    assert row.sealed is None  # what was sent is not kept


async def test_a_mail_of_a_failed_transaction_is_never_sent(store: Store, catcher: MailCatcher) -> None:
    towards(store, catcher.smtp_port)

    async def fail() -> None:
        async with store.transaction() as transaction:
            await outbox.send(transaction, Mail(TO, "Hello", "", ""))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await fail()
    assert await outbox_worker(store).work_once() == 0
    assert catcher.mails == []


async def test_a_dead_server_is_tried_again_later_and_later(
    store: Store, catcher: MailCatcher, clock: ManualClock
) -> None:
    towards(store, free_port())
    await write(store)
    worker = outbox_worker(store)
    waits = []
    with structlog.testing.capture_logs() as lines:
        for _ in range(5):
            await worker.work_once()
            async with store.reading() as transaction:
                row = await transaction.first(select(tables.outbox.c.due_at))
            assert row is not None
            waits.append((row.due_at - clock()).total_seconds())
            assert await worker.work_once() == 0  # not before its time
            clock.now = row.due_at
    assert waits == [5, 10, 20, 40, 80]
    assert [line["event"] for line in lines] == ["mail_server_unreachable"]  # told once, without an address
    assert TO not in repr(lines)
    towards(store, catcher.smtp_port)
    assert await outbox_worker(store).work_once() == 1
    assert [mail.subject for mail in catcher.mails] == ["Hello"]


async def test_after_five_days_it_is_given_up_and_written_down(
    store: Store, catcher: MailCatcher, clock: ManualClock
) -> None:
    catcher.busy = True
    await write(towards(store, catcher.smtp_port))
    worker = outbox_worker(store)
    for _ in range(42):
        await worker.work_once()
        clock.advance(hours=3)
    assert await states(store) == ["given-up"]
    async with store.reading() as transaction:
        events = [row.event for row in await transaction.rows(select(tables.audit.c.event))]
    assert events == ["mail_given_up"]
    assert catcher.mails == []


async def test_several_workers_hand_each_mail_over_once(store: Store, catcher: MailCatcher) -> None:
    towards(store, catcher.smtp_port)
    for number in range(30):
        await write(store, f"Mail {number}")
    workers = [outbox_worker(store) for _ in range(4)]
    while "waiting" in await states(store):
        await asyncio.gather(*(worker.work_once() for worker in workers))
    assert sorted(mail.subject for mail in catcher.mails) == sorted(f"Mail {number}" for number in range(30))
    assert set(catcher.handed_over.values()) == {1}


async def test_a_worker_that_died_is_followed_after_its_lease(
    store: Store, catcher: MailCatcher, clock: ManualClock
) -> None:
    """What it held is held for a minute; whether it was handed over nobody knows, so the Message-ID stays the same."""
    await write(towards(store, catcher.smtp_port))
    first = outbox_worker(store)
    assert await first.work_once() == 1
    (mail,) = catcher.mails
    async with store.transaction() as transaction:  # as if it had died between the server's 250 and its own commit
        body = {"to": TO, "subject": "Hello", "text": "", "html": ""}
        row = await transaction.first(select(tables.outbox.c.id))
        assert row is not None
        sealed = transaction.seal(body, tables.outbox, row.id, row.id)
        await transaction.execute(
            update(tables.outbox).values(
                state="waiting", sealed=sealed, leased_until=transaction.now + timedelta(seconds=60)
            )
        )
    second = outbox_worker(store)
    assert await second.work_once() == 0
    clock.advance(seconds=60)
    assert await second.work_once() == 1
    assert catcher.handed_over == {mail.message_id: 2}
    assert len(catcher.to(TO)) == 1  # a mail store files a Message-ID once


async def test_tls_is_asked_for_unless_it_is_switched_off(store: Store, catcher: MailCatcher) -> None:
    """A server without STARTTLS gets no mail by default: its text would travel in clear."""
    towards(store, catcher.smtp_port)
    store.settings = replace(store.settings, smtp_security="starttls")
    await write(store)
    assert await outbox_worker(store).work_once() == 0
    assert catcher.mails == []
