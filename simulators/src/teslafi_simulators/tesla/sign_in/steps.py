"""The steps by which an owner proves who they are: e-mail, password, passcode."""

from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final
from urllib.parse import urlencode

from aiohttp import web
from multidict import MultiDict, MultiMapping

from ..accounts import Account, AccountStore
from ..addresses import Addresses, Deployment, deployment_of
from ..applications import ApplicationStore
from ..clock import Clock
from ..tokens import TokenStore
from . import pages
from .session import BrowserSession, Sessions, Transaction
from .throttle import ATTEMPTS, PAUSE, Window

type Fields = MultiMapping[str]

WRONG_PASSWORD: Final = "We could not sign you in. Check your email and password, then try again."  # noqa: S105
WRONG_CAPTCHA: Final = "The characters do not match. Try again."
WRONG_PASSCODE: Final = "Invalid passcode. Try again."
LOCKED: Final = "Your account is locked. Reset your password to unlock it."
THROTTLED: Final = "Too many attempts. Try again later."
SESSION_ENDED: Final = "Your session ended. Sign in again."

NOTHING_SAID: Final = frozenset({"_csrf", "_phase", "_process", "transaction_id"})
"""Fields that a post may consist of without wanting anything."""


@dataclass(slots=True, eq=False, kw_only=True)
class SignInContext:
    """What the sign-in pages of all hosts share."""

    clock: Clock
    accounts: AccountStore
    applications: ApplicationStore
    tokens: TokenStore
    addresses: Callable[[], Addresses]
    sessions: Sessions = field(init=False)
    passwords: Window = field(init=False)
    passcodes: Window = field(init=False)

    def __post_init__(self) -> None:
        """Begin without sessions and without wrong answers."""
        self.sessions = Sessions(self.clock)
        self.passwords = Window(self.clock, ATTEMPTS, PAUSE)
        self.passcodes = Window(self.clock, ATTEMPTS, PAUSE)


@dataclass(frozen=True, slots=True)
class Problem:
    """Why the same page is shown again."""

    text: str
    status: int = HTTPStatus.OK


class SignInSteps:
    """Takes what a form brings and finds the page that comes next."""

    def __init__(self, context: SignInContext, deployment: Deployment) -> None:
        """Sign in the accounts that this deployment keeps."""
        self._context = context
        self._deployment = deployment

    def begin(self, transaction: Transaction, session: BrowserSession, *, hint: str, force_login: bool) -> None:
        """Open the transaction; a browser that is signed in, as the hinted account if any, need not sign in again."""
        session.transactions[transaction.id] = transaction
        account = session.account
        if force_login or account is None or deployment_of(account.region) != self._deployment:
            return
        if not hint or self._context.accounts.by_email(hint) is account:
            session.recall(transaction, self._context.clock())

    def elsewhere(self, transaction: Transaction, email: str) -> web.Response | None:
        """Send an account of the other deployment to its own host: 303 with the same query."""
        account = self._context.accounts.by_email(email)
        if account is None or deployment_of(account.region) == self._deployment:
            return None
        host = self._context.addresses().sso(account.region)
        query = urlencode({**transaction.query, "login_hint": email})
        return web.Response(
            status=HTTPStatus.SEE_OTHER, headers={"Location": f"{host}{transaction.path}?{query}", **pages.HEADERS}
        )

    def forged(self, transaction: Transaction, fields: Fields) -> bool:
        """Tell whether a post that says something lacks the value which only the page itself knows."""
        says = any(value for name, value in fields.items() if name not in NOTHING_SAID)
        return says and fields.get("_csrf") != transaction.csrf

    @staticmethod
    def forged_page() -> web.Response:
        """Answer a forged post."""
        return pages.problem_page("Not Allowed", "This form was not sent from our page.", HTTPStatus.FORBIDDEN)

    def take(self, transaction: Transaction, fields: Fields) -> Problem | None:
        """Check what was typed; return why it does not do."""
        identity, credential = text_of(fields, "identity"), text_of(fields, "credential")
        passcode, backup_code = text_of(fields, "passcode"), text_of(fields, "backup_code")
        if identity:
            transaction.name(identity.strip())
        if credential and transaction.email is not None:
            return self._password(transaction, transaction.email, credential, text_of(fields, "captcha"))
        account = transaction.known
        if passcode and account is not None:
            return self.passcode(transaction, account, passcode.strip())
        if backup_code and account is not None:
            return self.backup_passcode(transaction, account, backup_code.strip())
        return None

    def _password(self, transaction: Transaction, email: str, credential: str, captcha: str) -> Problem | None:
        context = self._context
        key = email.casefold()
        if not context.passwords.remaining(key):
            return Problem(THROTTLED, HTTPStatus.TOO_MANY_REQUESTS)
        account = context.accounts.by_email(email)
        if account is not None and account.captcha is not None and captcha.strip() != account.captcha:
            return Problem(WRONG_CAPTCHA)
        if account is None or not account.has_password(credential):
            context.passwords.note(key)
            return Problem(WRONG_PASSWORD)
        context.passwords.forget(key)
        if account.locked:
            return Problem(LOCKED, HTTPStatus.FORBIDDEN)
        transaction.recognise(account, context.clock())
        return None

    def passcode(
        self, transaction: Transaction, account: Account, passcode: str, *, factor_id: str | None = None
    ) -> Problem | None:
        """Check a passcode, of one device if `factor_id` names one; return why it does not do."""
        now = self._context.clock()
        devices = [device for device in account.devices if factor_id in {None, device.id}]
        return self._second(transaction, account, lambda: any(device.accepts(passcode, now) for device in devices))

    def backup_passcode(self, transaction: Transaction, account: Account, passcode: str) -> Problem | None:
        """Spend a backup passcode; return why it does not do."""
        return self._second(transaction, account, lambda: account.spend_backup_passcode(passcode))

    def _second(self, transaction: Transaction, account: Account, right: Callable[[], bool]) -> Problem | None:
        attempts = self._context.passcodes
        if not attempts.remaining(account.sub):
            return Problem(THROTTLED, HTTPStatus.TOO_MANY_REQUESTS)
        if not right():
            attempts.note(account.sub)
            return Problem(WRONG_PASSCODE)
        attempts.forget(account.sub)
        transaction.second_factor = True
        transaction.auth_time = self._context.clock()
        return None

    def next_page(
        self, transaction: Transaction, *, hint: str = "", factor: str = "passcode", problem: Problem | None = None
    ) -> web.Response | None:
        """Return the page for what is still to be proved; None when nothing is."""
        form = form_of(transaction)
        text = problem.text if problem else None
        status = problem.status if problem else HTTPStatus.OK
        if transaction.email is None:
            return pages.identity_page(form, hint=hint, problem=text)
        if transaction.known is None:
            account = self._context.accounts.by_email(transaction.email)
            captcha = account.captcha if account else None
            return pages.password_page(form, email=transaction.email, captcha=captcha, problem=text, status=status)
        if transaction.signed_in is not None:
            return None
        shown = pages.backup_page if factor == "backup_code" else pages.passcode_page
        return shown(form, problem=text, status=status)


def form_of(transaction: Transaction) -> pages.Form:
    """Return what this transaction's forms carry."""
    return pages.Form(transaction.id, transaction.csrf, transaction.query)


async def fields_of(request: web.Request) -> Fields:
    """Return the texts of a posted form; uploaded files are no part of any."""
    try:
        form = await request.post()
    except (ValueError, LookupError) as error:
        raise web.HTTPBadRequest(text="The body is no form") from error
    return MultiDict((name, value) for name, value in form.items() if isinstance(value, str))


def text_of(fields: Fields, name: str) -> str:
    """Return the first value of a field that is not empty; "" when there is none."""
    return next((value for value in fields.getall(name, ()) if value), "")
