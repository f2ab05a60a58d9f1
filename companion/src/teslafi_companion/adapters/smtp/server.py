"""Hands letters over to the configured mail server."""

import asyncio
from collections.abc import Mapping
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
import ssl
from typing import Any, Final, override
from uuid import UUID

import aiosmtplib

from teslafi_companion.domain.accounts.addresses import AddressRefused, parse_address
from teslafi_companion.mail.port import Envelope, MailPostponed, MailRefused, MailServer, MailServerUnreachable
from teslafi_companion.settings import Settings

_SECONDS: Final = 30
_FOR_GOOD: Final = 500
"""Codes from here on are permanent (RFC 5321, 4.2.1); below, as by greylisting, the server wants to be asked again."""
_UNBUILDABLE: Final = (
    AddressRefused,
    ArithmeticError,
    AttributeError,
    LookupError,
    MessageError,
    TypeError,
    ValueError,
)
"""What Python's email package raises for what it cannot write, much of it by accident."""


def open_mail_server(settings: Settings) -> MailServer | None:
    """Return the configured mail server, None when no mail is sent."""
    return SmtpServer(settings) if settings.smtp_host else None


class SmtpServer(MailServer):
    """One mail server, asked anew for each letter."""

    def __init__(self, settings: Settings) -> None:
        """Take the server's address and who is let in."""
        self._settings = settings

    @override
    async def deliver(self, envelope: Envelope) -> None:
        message = compose(self._settings, envelope.row, envelope.account_id, envelope.content)
        message["Date"] = format_datetime(envelope.written_at)
        try:
            async with asyncio.timeout(_SECONDS):
                await aiosmtplib.send(message, **self._server())
        except (aiosmtplib.SMTPException, OSError) as fault:
            # The server's own words may repeat the address: the kind of fault is enough
            kind, code = type(fault).__name__, _refusal(fault)
            if code is None:
                raise MailServerUnreachable(kind) from None
            raise (MailRefused if code >= _FOR_GOOD else MailPostponed)(f"{kind} {code}") from None

    def _server(self) -> dict[str, Any]:
        settings = self._settings
        tls = ssl.create_default_context(cafile=settings.smtp_ca_file) if settings.smtp_security != "none" else None
        return {
            "hostname": settings.smtp_host,
            "port": settings.smtp_port,
            "use_tls": settings.smtp_security == "tls",
            "start_tls": settings.smtp_security == "starttls",
            "tls_context": tls,
            "username": settings.smtp_username or None,
            "password": settings.smtp_password or None,
            "timeout": _SECONDS,
        }


def _refusal(fault: Exception) -> int | None:
    """Return the code by which a mail server refused this one letter; None for trouble that concerns all of them."""
    match fault:
        case aiosmtplib.SMTPRecipientsRefused(recipients=refused):
            return min(one.code for one in refused)
        case aiosmtplib.SMTPDataError(code=code):
            return code
    return None


def compose(settings: Settings, row: UUID, account_id: UUID | None, content: Mapping[str, str]) -> EmailMessage:
    """Build the message; its Message-ID is the row's, however often it is handed over. Raises MailRefused."""
    host = settings.host
    message = EmailMessage(policy=SMTP)
    try:
        message["Subject"] = content["subject"]
        message["From"] = _mailbox(settings.mail_sender, settings.service_name)
        message["To"] = _mailbox(parse_address(content["to"]))
        message["Message-ID"] = f"<{row}@{host}>"
        if account_id is not None:
            message["References"] = f"<account-{account_id}@{host}>"
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(content["text"])
        message.add_alternative(content["html"], subtype="html")
        message.as_bytes()
    except _UNBUILDABLE as fault:
        raise MailRefused(f"Unbuildable: {type(fault).__name__}") from fault
    return message


def _mailbox(address: str, name: str = "") -> Address:
    local, _, domain = address.rpartition("@")
    return Address(name, local, domain)
