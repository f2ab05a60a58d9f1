"""A companion for the demo and the browser tests, with a ready-made account that has two-factor authentication."""

from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, Self

import pyotp
import structlog

from teslafi_companion.adapters.chargebee.settings import ChargebeeSettings
from teslafi_companion.clock import Clock, system_clock
from teslafi_companion.domain.accounts import account, totp
from teslafi_companion.http.services import Services
from teslafi_companion.server import configure_logs, started
from teslafi_companion.settings import Settings
from teslafi_companion.store.database import Transaction
from teslafi_simulators.chargebee import ChargebeeSimulator
from teslafi_simulators.mail import MailCatcher

EMAIL: Final = "anna@example.com"
PASSWORD: Final = "nine purple teapots on a hill"
HOST: Final = "localhost"
"""Passkeys are bound to a name."""
WEBHOOK_PASSWORD: Final = "a password for the demo alone"
STEP: Final = timedelta(seconds=30)
"""How long a code lasts."""


def _sold_at(chargebee: ChargebeeSimulator) -> ChargebeeSettings:
    return ChargebeeSettings(
        site="acme-test",
        api_key=chargebee.gate.api_key,
        item_prices=("controls-USD-monthly=Controls, $3.00 a month",),
        webhook_credentials=(f"{chargebee.sender.user}:{WEBHOOK_PASSWORD}",),
        base_url=chargebee.url,
    )


@dataclass
class LiveCompanion:
    """A companion with SQLite in `folder`, and the mail catcher that its mails go to."""

    folder: Path
    settings: Settings
    mails: MailCatcher
    parts: Services
    _used: set[str] = field(default_factory=set)

    @classmethod
    async def start(
        cls,
        stack: AsyncExitStack,
        folder: Path,
        *,
        port: int,
        redirect_uri: str,
        mail_port: int = 0,
        clock: Clock = system_clock,
        chargebee: ChargebeeSimulator | None = None,
    ) -> Self:
        """Start both; they are stopped when the stack closes. With a Chargebee, controls need a subscription there."""
        mails = MailCatcher()
        await mails.start(port=mail_port)
        stack.push_async_callback(mails.stop)
        settings = Settings(
            base_url=f"http://{HOST}:{port}",
            listen_port=port,
            metrics_port=-1,
            database=f"sqlite:///{folder / 'data' / 'companion.sqlite3'}",
            key_file=folder / "keys" / "companion.key",
            smtp_host="127.0.0.1",
            smtp_port=mails.smtp_port,
            smtp_security="none",
            oauth_redirect_uris=(redirect_uri,),
            log_level="error",
        )
        if chargebee is not None:
            settings = replace(settings, billing="chargebee", keeper=_sold_at(chargebee))
            chargebee.sender.url = f"http://{HOST}:{port}/webhooks/chargebee"
            chargebee.sender.password = WEBHOOK_PASSWORD
        configure_logs(settings)
        stack.callback(structlog.reset_defaults)
        parts = await started(stack, settings, clock)
        companion = cls(folder, settings, mails, parts)
        await companion._make_account()
        return companion

    @property
    def url(self) -> str:
        """Address of its pages."""
        return self.settings.base_url

    @property
    def _secret_file(self) -> Path:
        return self.folder / "authenticator.txt"

    def code(self, now: datetime | None = None) -> str:
        """Read the ready-made account's authenticator app."""
        return pyotp.TOTP(self._secret_file.read_text()).at(now or datetime.now(UTC))

    def unused_code(self) -> str:
        """Return a code that works once more: the present one or, when that is used up, the next."""
        now = datetime.now(UTC)
        code = next(code for code in (self.code(now), self.code(now + STEP)) if code not in self._used)
        self._used.add(code)
        return code

    async def _make_account(self) -> None:
        """Make the account, unless this folder has it already."""
        if self._secret_file.exists():
            return
        phc = await self.parts.passwords.hash(PASSWORD)
        async with self.parts.store.transaction() as transaction:
            made = await account.create(transaction, EMAIL, phc)
            assert made is not None
            await self._give_app(transaction, EMAIL)

    async def _give_app(self, transaction: Transaction, email: str) -> None:
        owner = await account.find(transaction, email)
        assert owner is not None
        enrolment = await totp.begin(transaction, owner.id, email)
        # The code of the step before is spent by that, so that the present one is still good
        before = pyotp.TOTP(enrolment.secret).at(transaction.now - STEP)
        assert await totp.activate(transaction, owner.id, enrolment, before)
        self._secret_file.write_text(enrolment.secret)
        self._secret_file.chmod(0o600)
