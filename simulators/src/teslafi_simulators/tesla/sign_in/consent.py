"""`/user/revoke/consent`: the page on which an owner reduces or withdraws what an application may do."""

from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

from aiohttp import web

from ..accounts import Account
from ..applications import ALWAYS_GRANTED, USER_SCOPES
from . import pages
from .authorize import UNKNOWN_CLIENT
from .hosts import Host
from .session import BrowserSession, ConsentTransaction
from .steps import SESSION_ENDED, Problem, SignInContext, SignInSteps, fields_of, form_of, text_of

PATH: Final = "/user/revoke/consent"

SAVED: Final = "Saved. The change applies to the next access token."
REVOKED: Final = "Access removed."


class Consent:
    """The page on one host."""

    def __init__(self, context: SignInContext, host: Host) -> None:
        """Serve `host`."""
        self._context = context
        self._steps = SignInSteps(context, host.deployment)

    async def get(self, request: web.Request) -> web.Response:
        """Begin, or show the page of a transaction that is under way."""
        session = self._context.sessions.of(request)
        transaction = self._find_transaction(session, request.query.get("transaction_id", ""))
        if transaction is None:
            return self._begin(request, session, None)
        return self._go_on(session, transaction, factor=request.query.get("factor", "passcode"))

    async def post(self, request: web.Request) -> web.Response:
        """Take one form."""
        fields = await fields_of(request)
        session = self._context.sessions.of(request)
        transaction = self._find_transaction(session, text_of(fields, "transaction_id"))
        if transaction is None:
            return self._begin(request, session, Problem(SESSION_ENDED))
        if self._steps.forged(transaction, fields):
            return self._steps.forged_page()
        problem = self._steps.take(transaction, fields)
        elsewhere = self._steps.elsewhere(transaction, transaction.email or "")
        if elsewhere is not None:
            return elsewhere
        note = None
        if (account := transaction.signed_in) is not None:
            kept = frozenset(fields.getall("scope", ()))
            note = self._decide(transaction, account, text_of(fields, "decision"), kept)
        factor = "backup_code" if "backup_code" in fields else "passcode"
        return self._go_on(session, transaction, factor=factor, problem=problem, note=note)

    def _find_transaction(self, session: BrowserSession, transaction_id: str) -> ConsentTransaction | None:
        return self._context.sessions.transaction(session, transaction_id, ConsentTransaction)

    def _begin(self, request: web.Request, session: BrowserSession, problem: Problem | None) -> web.Response:
        query = {name: value for name, value in request.query.items() if name not in {"transaction_id", "factor"}}
        application = self._context.applications.by_client_id(query.get("revoke_client_id", ""))
        if application is None or application.is_owner_app:
            return pages.problem_page("Something Went Wrong", UNKNOWN_CLIENT, HTTPStatus.BAD_REQUEST)
        transaction = ConsentTransaction(
            path=PATH,
            query=query,
            began_at=self._context.clock(),
            application=application,
            back_url=_web_address(query.get("back_url")),
        )
        hint = query.get("login_hint", "")
        elsewhere = self._steps.elsewhere(transaction, hint)
        if elsewhere is not None:
            return elsewhere
        self._steps.begin(transaction, session, hint=hint, force_login=False)
        return self._go_on(session, transaction, hint=hint, problem=problem)

    def _decide(
        self, transaction: ConsentTransaction, account: Account, decision: str, kept: frozenset[str]
    ) -> str | None:
        """Do what the owner chose; return the sentence that says so."""
        client_id = transaction.application.client_id
        granted = account.consents.get(client_id)
        if granted is None:
            return None
        if decision == "save":
            account.consents[client_id] = granted & (kept | ALWAYS_GRANTED)
            return SAVED
        if decision == "revoke":
            self._context.tokens.revoke_consent(account, client_id)
            return REVOKED
        return None

    def _go_on(
        self,
        session: BrowserSession,
        transaction: ConsentTransaction,
        *,
        hint: str = "",
        factor: str = "passcode",
        problem: Problem | None = None,
        note: str | None = None,
    ) -> web.Response:
        response = self._steps.next_page(transaction, hint=hint, factor=factor, problem=problem)
        account = transaction.signed_in
        if response is None and account is not None:
            session.remember(transaction)
            response = _state_page(transaction, account, note)
        if response is None:
            raise RuntimeError("neither a page nor a signed-in account")
        self._context.sessions.stamp(response, session)
        return response


def _state_page(transaction: ConsentTransaction, account: Account, note: str | None) -> web.Response:
    application = transaction.application
    granted = account.consents.get(application.client_id)
    if granted is None:
        return pages.no_consent_page(application=application.name, back_url=transaction.back_url, note=note)
    shown = [(name, text) for name, text in USER_SCOPES.items() if name in granted - ALWAYS_GRANTED]
    return pages.revoke_page(
        form_of(transaction), application=application.name, granted=shown, back_url=transaction.back_url, note=note
    )


def _web_address(url: str | None) -> str | None:
    """Return the address if it can be linked to without harm."""
    return url if url is not None and urlsplit(url).scheme in {"http", "https"} else None
