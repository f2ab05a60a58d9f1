"""Browser sessions and the transactions under way in them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
import secrets
from typing import Final

from aiohttp import web

from ..accounts import Account
from ..applications import Application
from ..clock import Clock

COOKIE: Final = "tesla-auth.sid"
SESSION_LIFE: Final = 86_400
"""Seconds for which a browser stays signed in; Tesla's figure is not known."""
TRANSACTION_LIFE: Final = 900
"""Seconds to get from the first page to the end; Tesla's figure is not known."""

SINGLE: Final = ("pwd",)
SECOND: Final = ("pwd", "mfa", "otp")
"""`amr` of a sign-in without and with passcode."""


@dataclass(slots=True, eq=False, kw_only=True)
class Transaction:
    """One walk through the pages. `path` and `query` are those of its first page, under the host's prefix."""

    path: str
    query: Mapping[str, str]
    began_at: float
    id: str = field(default_factory=lambda: secrets.token_urlsafe(6))
    csrf: str = field(default_factory=lambda: secrets.token_urlsafe(27), repr=False)
    email: str | None = None
    account: Account | None = None
    password_version: int = 0
    second_factor: bool = False
    auth_time: float = 0.0

    def name(self, email: str) -> None:
        """Take the e-mail; another one than before starts the walk again."""
        if email != self.email:
            self.email = email
            self.account = None
            self.second_factor = False

    def recognise(self, account: Account, now: float) -> None:
        """Take note that the account's password was given at `now`."""
        self.account = account
        self.password_version = account.password_version
        self.auth_time = now

    @property
    def amr(self) -> tuple[str, ...]:
        """Return how the owner proved who they are."""
        return SECOND if self.second_factor else SINGLE

    @property
    def known(self) -> Account | None:
        """Return the account once its password, which is still the same, was given."""
        account = self.account
        return account if account is not None and account.password_version == self.password_version else None

    @property
    def signed_in(self) -> Account | None:
        """Return the account once nothing more is to be proved."""
        account = self.known
        return account if account is not None and (self.second_factor or not account.devices) else None


@dataclass(slots=True, eq=False, kw_only=True)
class AuthorizationTransaction(Transaction):
    """What an application asks the owner for; `decided` once the owner has said yes on the consent page."""

    application: Application
    redirect_uri: str
    scopes: frozenset[str]
    state: str
    code_challenge: str | None
    nonce: str | None
    locale: str | None
    prompt_missing_scopes: bool
    require_requested_scopes: bool
    decided: bool = False

    def missing_scopes(self, account: Account) -> frozenset[str]:
        """Return the scopes asked for that the account never granted to this application."""
        return self.scopes - account.consents.get(self.application.client_id, frozenset())


@dataclass(slots=True, eq=False, kw_only=True)
class ConsentTransaction(Transaction):
    """The owner's wish to look at what an application may do."""

    application: Application
    back_url: str | None


@dataclass(slots=True, eq=False, kw_only=True)
class BrowserSession:
    """One browser, known by its cookie."""

    sid: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)
    account: Account | None = None
    password_version: int = 0
    second_factor: bool = False
    signed_in_at: float = 0.0
    transactions: dict[str, Transaction] = field(default_factory=dict)

    def remember(self, transaction: Transaction) -> None:
        """Stay signed in as the transaction's account."""
        self.account = transaction.signed_in
        self.password_version = transaction.password_version
        self.second_factor = transaction.second_factor
        self.signed_in_at = transaction.auth_time

    def recall(self, transaction: Transaction, now: float) -> None:
        """Spare the owner the sign-in when this browser is still signed in."""
        account = self.account
        if account is None or account.password_version != self.password_version:
            return
        if now >= self.signed_in_at + SESSION_LIFE:
            return
        transaction.name(account.email)
        transaction.recognise(account, self.signed_in_at)
        transaction.second_factor = self.second_factor


class Sessions:
    """Every browser that has been here."""

    def __init__(self, clock: Clock) -> None:
        """Begin with none."""
        self._clock = clock
        self._sessions: dict[str, BrowserSession] = {}

    def of(self, request: web.Request) -> BrowserSession:
        """Return the browser's session; a new one when it brings no cookie that is known."""
        session = self._sessions.get(request.cookies.get(COOKIE, ""))
        if session is None:
            session = BrowserSession()
            self._sessions[session.sid] = session
        return session

    def transaction[Kind: Transaction](
        self, session: BrowserSession, transaction_id: str, kind: type[Kind]
    ) -> Kind | None:
        """Find a transaction of this browser that is not over."""
        transaction = session.transactions.get(transaction_id)
        if not isinstance(transaction, kind) or self._clock() >= transaction.began_at + TRANSACTION_LIFE:
            return None
        return transaction

    @staticmethod
    def stamp(response: web.StreamResponse, session: BrowserSession) -> None:
        """Give the browser its cookie."""
        response.set_cookie(COOKIE, session.sid, httponly=True, samesite="Lax", path="/")
