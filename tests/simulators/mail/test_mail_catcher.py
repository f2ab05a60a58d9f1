"""The mail catcher, held against aiosmtplib and Python's own smtplib."""

import asyncio
from collections.abc import AsyncIterator
from email.message import EmailMessage
import smtplib

import aiohttp
import aiosmtplib
import pytest

from teslafi_simulators.mail import MailCatcher


@pytest.fixture
async def catcher(socket_enabled: None) -> AsyncIterator[MailCatcher]:
    """Catch mails."""
    async with MailCatcher() as catcher:
        yield catcher


def mail(name: str) -> EmailMessage:
    """Write a mail with a link and with letters beyond ASCII."""
    message = EmailMessage()
    message["From"], message["To"] = "companion@example.org", "olga@example.org"
    message["Subject"], message["Message-ID"] = "Grüße <b>", f"<{name}@example.org>"
    message.set_content("Öffne https://companion.example.org/x?a=1&b=2\nund <drücke>.")
    return message


async def test_a_mail_is_taken_and_shown(catcher: MailCatcher) -> None:
    await aiosmtplib.send(mail("one"), hostname="127.0.0.1", port=catcher.smtp_port, start_tls=False)
    caught = await catcher.next_to("olga@example.org")
    assert (caught.sender, caught.recipients) == ("companion@example.org", ("olga@example.org",))
    assert caught.text.startswith("Öffne https://companion.example.org/x?a=1&b=2")
    async with aiohttp.ClientSession() as browser:
        index = await (await browser.get(f"{catcher.url}/")).text()
        page = await (await browser.get(f"{catcher.url}/mails/0")).text()
        said = await (await browser.get(f"{catcher.url}/api/mails")).json()
        assert (await browser.get(f"{catcher.url}/mails/1")).status == 404
    assert "Grüße &lt;b&gt;" in index
    assert '<a href="https://companion.example.org/x?a=1&amp;b=2">' in page
    assert "&lt;drücke&gt;" in page
    assert [entry["handed_over"] for entry in said] == [1]


async def test_a_repeated_mail_is_filed_once_and_counted_twice(catcher: MailCatcher) -> None:
    for name in ("one", "two", "one"):
        await aiosmtplib.send(mail(name), hostname="127.0.0.1", port=catcher.smtp_port, start_tls=False)
    assert [caught.message_id for caught in catcher.to("olga@example.org")] == [
        "<one@example.org>",
        "<two@example.org>",
    ]
    assert catcher.handed_over["<one@example.org>"] == 2


async def test_a_server_in_trouble_refuses_for_now(catcher: MailCatcher) -> None:
    catcher.busy = True

    def send() -> None:
        with smtplib.SMTP("127.0.0.1", catcher.smtp_port, local_hostname="here", timeout=120) as client:
            client.send_message(mail("one"))

    with pytest.raises(smtplib.SMTPDataError) as refused:
        await asyncio.to_thread(send)
    assert refused.value.smtp_code == 451
    assert catcher.mails == []
