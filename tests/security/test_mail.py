"""No stranger's address, and no letter, ends the mails of the others."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from email import message_from_bytes
from email.policy import SMTP

from hypothesis import given, strategies as st
import pytest
from sqlalchemy import select

from teslafi_companion.adapters.smtp.server import compose
from teslafi_companion.domain.accounts.account import find
from teslafi_companion.domain.accounts.addresses import AddressRefused, parse_address
from teslafi_companion.mail import outbox
from teslafi_companion.mail.outbox import Mail
from teslafi_companion.settings import Settings
from teslafi_companion.store import tables
from teslafi_companion.store.database import Store, new_id
from teslafi_simulators.mail import MailCatcher

from ..companion.clock import ManualClock
from ..companion.letters import outbox_worker
from ..companion.web.person import OLGA, PASSWORD, Person

HOSTILE = (
    "=?utf-8?q?a=0d=0ab?=@example.org",
    "=?utf-8?b?DQo=?=@example.org",
    "=?x?q?a?=@example.org",
    "a@=?utf-8?q?b=0d=0a?=.example.org",
    "a\r\nBcc: everybody@example.org",
    "a\u2028b@example.org",
    "a\x00@example.org",
    "olga@exam\udcffple.org",
    '"quoted word"@example.org',
    "(comment)olga@example.org",
    "olga@[127.0.0.1]",
    "olga@127.0.0.1",
    "olga@xn--.example",
    "olga@xn--a\u200db.example",
    "olga@-a.example",
    "olga.@example.org",
    ".olga@example.org",
    "ol..ga@example.org",
    "olga@a..example",
    "olga@" + "a" * 64 + ".example",
    "a" * 65 + "@example.org",
    "jürgen@example.org",
    "olga@ex\u0130mple\u202e.org",
    "olga@\u2488com",
    "group:olga@example.org;",
    "olga@example.org,erik@example.org",
    "<olga@example.org>",
)


@pytest.fixture
async def catcher(store: Store, socket_enabled: None) -> AsyncIterator[MailCatcher]:
    """Be the mail server of the store."""
    async with MailCatcher() as catcher:
        store.settings = replace(
            store.settings, smtp_host="127.0.0.1", smtp_port=catcher.smtp_port, smtp_security="none"
        )
        yield catcher


async def events(store: Store) -> list[str]:
    """Return what the audit log tells."""
    async with store.reading() as transaction:
        return [
            row.event for row in await transaction.rows(select(tables.audit.c.event).order_by(tables.audit.c.number))
        ]


async def states(store: Store) -> list[str]:
    """Return how the rows of the outbox are, in the order in which they were written."""
    async with store.reading() as transaction:
        rows = await transaction.rows(select(tables.outbox.c.state).order_by(tables.outbox.c.id))
        return [row.state for row in rows]


async def write(store: Store, to: str, subject: str = "Hello") -> None:
    """Put a letter into the outbox as it is, unchecked."""
    async with store.transaction() as transaction:
        await outbox.send(transaction, Mail(to, subject, "Hello\n", "<p>Hello</p>"))


async def test_no_address_ends_the_mails_of_the_others(olga: Person, catcher: MailCatcher) -> None:
    for address in HOSTILE:
        for path in ("/sign-up", "/forgotten-password"):
            if "\udcff" in address:
                continue
            answer = await olga.send("POST", path, {"email": address, "password": "nine purple teapots on a hill"})
            assert answer.status == 400, (path, ascii(address))
    await write(olga.store, OLGA)
    await outbox_worker(olga.store).work_once()
    assert [mail.recipients for mail in catcher.mails] == [(OLGA,)]


async def test_a_letter_that_cannot_be_built_is_put_aside(store: Store, catcher: MailCatcher) -> None:
    """Such as those that an older version had taken: the others leave, and the audit log tells."""
    for address in HOSTILE:
        if address.isprintable():
            await write(store, address)
    await write(store, "olga@example.org", "broken\r\nBcc: everybody@example.org")
    await write(store, OLGA)
    worker = outbox_worker(store)
    for _ in range(4):
        await worker.work_once()
    assert [mail.recipients for mail in catcher.mails] == [(OLGA,)]
    given_up = await states(store)
    assert given_up[-1] == "done"
    assert set(given_up[:-1]) == {"given-up"}
    assert await events(store) == ["mail_given_up"] * (len(given_up) - 1)


@given(
    st.text(max_size=80),
    st.sampled_from(["", "=?utf-8?q?", "\r\n", "xn--", "\x00", "\ud800", "..", "@"]),
    st.text(max_size=80),
    st.sampled_from(["example.org", "b\xfccher.example", "localhost", "\u65e5\u672c.jp"]),
)
def test_whatever_is_taken_for_an_address_can_be_written_to(before: str, mark: str, after: str, host: str) -> None:
    """An address is one canonical form, and a letter to it can be built and read back."""
    for text in (before + mark + after, f"{before}{mark}@{host}", f"{before[:8]}{mark}{after[:8]}@{host}"):
        try:
            address = parse_address(text)
        except AddressRefused:
            continue
        assert parse_address(address) == address
        assert parse_address(address.upper()).lower() == address.lower()
        body = {"to": address, "subject": "Hello", "text": "Hello", "html": "<p>Hello</p>"}
        written = message_from_bytes(bytes(compose(Settings(), new_id(), None, body)), policy=SMTP)
        assert [one.addr_spec for one in written["To"].addresses] == [address]


def test_one_mailbox_has_one_form() -> None:
    assert parse_address(" Olga@B\xdcCHER.example ") == "Olga@xn--bcher-kva.example"
    assert parse_address("Olga@B\u0075\u0308cher.example") == "Olga@xn--bcher-kva.example"
    assert parse_address("olga@XN--BCHER-KVA.example") == "olga@xn--bcher-kva.example"


async def test_who_signed_up_under_an_older_rule_still_comes_in(olga: Person) -> None:
    """Version 0.1.0 kept hosts in Unicode, and took local parts beyond ASCII."""
    for address in ("olga@b\xfccher.example", "j\xfcrgen@example.org"):
        await olga.has_account(address)
        assert (await olga.signs_in(address)).heading == "Your account", address
        await olga.fills("/sign-out")
    assert (await olga.signs_in("Olga@xn--bcher-kva.example")).heading == "Your account"
    await olga.send("POST", "/sign-up", {"email": "olga@B\xdccher.example", "password": PASSWORD})
    assert [mail.subject for mail in await olga.mails()][-1] == "You already have an account"


async def test_two_hosts_with_one_old_index_are_two_mailboxes(olga: Person) -> None:
    await olga.has_account("olga@fass.example")
    async with olga.store.reading() as transaction:
        assert await find(transaction, parse_address("olga@fa\xdf.example")) is None


async def test_work_that_fails_is_put_aside(store: Store, catcher: MailCatcher) -> None:
    async def broken(*_: object) -> None:
        raise IndexError

    async with store.transaction() as transaction:
        await outbox.ask(transaction, "broken", {"email": "x"})
    await write(store, OLGA)
    worker = outbox_worker(store, {"broken": broken})
    await worker.work_once()
    assert await states(store) == ["given-up", "done"]
    assert await events(store) == ["mail_given_up"]


@pytest.mark.parametrize("code", [450, 421])
async def test_greylisting_is_tried_again_for_days(
    store: Store, catcher: MailCatcher, clock: ManualClock, code: int
) -> None:
    catcher.refusal = f"{code} 4.2.0 come back later"
    await write(store, OLGA)
    worker = outbox_worker(store)
    until = clock() + timedelta(days=3)
    while clock() < until:
        await worker.work_once()
        clock.advance(hours=6)
    assert await states(store) == ["waiting"]
    catcher.refusal = None
    await worker.work_once()
    assert await states(store) == ["done"]
    assert await events(store) == []


async def test_who_is_refused_for_good_is_put_aside(store: Store, catcher: MailCatcher) -> None:
    catcher.refusal = "550 5.1.1 nobody here"
    await write(store, OLGA)
    await outbox_worker(store).work_once()
    assert await states(store) == ["given-up"]
    assert await events(store) == ["mail_given_up"]
