"""The mail catcher: SMTP on one port, a page with the mails on another.

Like mail stores that suppress duplicates (Cyrus, Exchange, Gmail), it files a Message-ID once; how often each was
handed over is counted, so that a test can tell the two apart.
"""

import asyncio
from collections import Counter
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage
from html import escape
from typing import Any, Final, Self

from aiohttp import web
from aiosmtpd.smtp import SMTP, Envelope, Session

TAKEN: Final = "250 2.0.0 filed"
BUSY: Final = "451 4.3.0 try again later"


@dataclass(frozen=True)
class CaughtMail:
    """One mail as it was handed over."""

    sender: str
    recipients: tuple[str, ...]
    message: EmailMessage

    @property
    def message_id(self) -> str:
        """The mail's own name."""
        return str(self.message["Message-ID"])

    @property
    def subject(self) -> str:
        """What it is about."""
        return str(self.message["Subject"])

    @property
    def text(self) -> str:
        """Its plain text."""
        part = self.message.get_body(("plain",))
        return "" if part is None else "\n".join(str(part.get_content()).splitlines())


class MailCatcher:
    """Start it, point a mail client at `smtp_port`, look at `mails` or at the page. Also an async context manager."""

    def __init__(self) -> None:
        """Begin with an empty mailbox."""
        self.mails: list[CaughtMail] = []
        self.handed_over: Counter[str] = Counter()
        """How often each Message-ID was handed over."""
        self.busy = False
        """Whether every mail is refused for now, as by a server in trouble."""
        self.refusal: str | None = None
        """What every recipient is refused with: `450 …` as by greylisting, `550 …` for good."""
        self.smtp_port = 0
        self.url = ""
        self._arrived = asyncio.Condition()
        self._server: asyncio.Server | None = None
        self._runner: web.AppRunner | None = None

    async def start(self, smtp_port: int = 0, port: int = 0, host: str = "127.0.0.1") -> None:
        """Listen on loopback; port 0 takes a free one."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: SMTP(self, hostname="mail.test"), host, smtp_port)
        self.smtp_port = self._server.sockets[0].getsockname()[1]
        app = web.Application()
        app.add_routes(
            [
                web.get("/", self._index),
                web.get("/mails/{number}", self._page),
                web.get("/api/mails", self._json),
            ]
        )
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, host, port).start()
        bound = self._runner.addresses[0]
        self.url = f"http://{bound[0]}:{bound[1]}"

    async def stop(self) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.close()
            self._server.close_clients()
            await self._server.wait_closed()
            self._server = None
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def __aenter__(self) -> Self:
        """Start on free ports."""
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop."""
        await self.stop()

    async def next_to(self, address: str, after: int = 0) -> CaughtMail:
        """Wait for the first mail to an address behind the first `after` ones to it; return it."""
        async with self._arrived:
            await self._arrived.wait_for(lambda: len(self.to(address)) > after)
        return self.to(address)[after]

    def to(self, address: str) -> list[CaughtMail]:
        """Return the mails to an address, oldest first."""
        return [mail for mail in self.mails if address in mail.recipients]

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        """Take a recipient, unless everybody is refused."""
        if self.refusal is not None:
            return self.refusal
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 ok"

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's name
        """Take a mail, as aiosmtpd asks its handler to."""
        if self.busy:
            return BUSY
        content = envelope.content
        raw = content if isinstance(content, bytes) else (content or "").encode()
        message = message_from_bytes(raw, policy=policy.default)
        mail = CaughtMail(envelope.mail_from or "", tuple(envelope.rcpt_tos), message)
        self.handed_over[mail.message_id] += 1
        if self.handed_over[mail.message_id] == 1:
            self.mails.append(mail)
        async with self._arrived:
            self._arrived.notify_all()
        return TAKEN

    async def _index(self, _request: web.Request) -> web.Response:
        rows = "".join(
            f'<tr><td><a href="/mails/{number}">{escape(mail.subject)}</a><td>{escape(", ".join(mail.recipients))}'
            for number, mail in reversed(list(enumerate(self.mails)))
        )
        return _page(
            "Caught mails",
            "<p>Nothing leaves this machine.</p>"
            + (f"<table><tr><th>Subject<th>To{rows}</table>" if rows else "<p>No mail yet.</p>"),
            refresh=True,
        )

    async def _page(self, request: web.Request) -> web.Response:
        number = request.match_info["number"]
        if not number.isdigit() or int(number) >= len(self.mails):
            raise web.HTTPNotFound
        mail = self.mails[int(number)]
        text = _with_links(mail.text)
        return _page(
            mail.subject, f"<p>To {escape(', '.join(mail.recipients))}</p><pre>{text}</pre><p><a href=/>All</a>"
        )

    async def _json(self, _request: web.Request) -> web.Response:
        said: list[dict[str, Any]] = [
            {
                "to": mail.recipients,
                "subject": mail.subject,
                "text": mail.text,
                "handed_over": self.handed_over[mail.message_id],
            }
            for mail in self.mails
        ]
        return web.json_response(said)


def _with_links(text: str) -> str:
    """Escape a text, its addresses as links."""
    words = [
        f'<a href="{escape(word)}">{escape(word)}</a>' if word.startswith(("http://", "https://")) else escape(word)
        for word in text.replace("\n", " \n ").split(" ")
    ]
    return " ".join(words)


def _page(title: str, body: str, *, refresh: bool = False) -> web.Response:
    again = "<meta http-equiv=refresh content=5>" if refresh else ""
    page = (
        f"<!doctype html><html lang=en><meta charset=utf-8>{again}<title>{escape(title)}</title>"
        "<style>body{font:16px system-ui;margin:2rem auto;max-width:48rem;padding:0 1rem}pre{white-space:pre-wrap}"
        "td,th{text-align:left;padding:.4rem .8rem;border-bottom:1px solid #ccc}</style>"
        f"<h1>{escape(title)}</h1>{body}"
    )
    return web.Response(text=page, content_type="text/html")
