"""`/oauth2/v3/authorize`: from an application's request to a code in the owner's browser."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Final
from urllib.parse import urlencode, urlsplit, urlunsplit

from aiohttp import web

from ..accounts import Account
from ..applications import ALWAYS_GRANTED, USER_SCOPES, Application, ApplicationStore
from ..tokens import Authorization
from . import pages
from .hosts import Host
from .session import AuthorizationTransaction, BrowserSession
from .steps import SESSION_ENDED, Problem, SignInContext, SignInSteps, fields_of, form_of, text_of

PATH: Final = "/oauth2/v3/authorize"

UNKNOWN_CLIENT: Final = "We don't recognize this 'client_id'."
UNKNOWN_REDIRECT: Final = "The 'redirect_uri' supplied is not registered for this 'client_id'."
NO_STATE: Final = "The 'state' parameter is required."


class RequestRefused(Exception):
    """The owner is shown that the request is wrong: there is no place to send it back to."""


class OAuthError(Exception):
    """The request goes back to the application with an OAuth error (RFC 6749, section 4.1.2.1)."""

    def __init__(self, redirect_uri: str, state: str, error: str, description: str) -> None:
        """Keep where to."""
        super().__init__(error)
        self.location = with_query(redirect_uri, {"error": error, "error_description": description, "state": state})


class Authorize:
    """The endpoint on one host."""

    def __init__(self, context: SignInContext, host: Host) -> None:
        """Serve `host`."""
        self._context = context
        self._host = host
        self._steps = SignInSteps(context, host.deployment)

    async def get(self, request: web.Request) -> web.Response:
        """Begin a transaction, or show the page of one that is under way (`transaction_id` in the query)."""
        session = self._context.sessions.of(request)
        transaction = self._find_transaction(session, request.query.get("transaction_id", ""))
        if transaction is None:
            return self._begin(request, session, None)
        return self._go_on(session, transaction, factor=request.query.get("factor", "passcode"))

    async def post(self, request: web.Request) -> web.Response:
        """Take one form; recorded clients post e-mail and password at once, or nothing but the transaction's id."""
        fields = await fields_of(request)
        session = self._context.sessions.of(request)
        transaction = self._find_transaction(session, text_of(fields, "transaction_id"))
        if transaction is None:
            return self._begin(request, session, Problem(SESSION_ENDED))
        if self._steps.forged(transaction, fields):
            return self._steps.forged_page()
        if text_of(fields, "cancel"):
            return redirect(
                OAuthError(transaction.redirect_uri, transaction.state, "access_denied", "The user denied access")
            )
        problem = self._steps.take(transaction, fields)
        elsewhere = self._steps.elsewhere(transaction, transaction.email or "")
        if elsewhere is not None:
            return elsewhere
        account = transaction.signed_in
        if account is not None and text_of(fields, "decision") == "allow":
            allow(transaction, account, frozenset(fields.getall("scope", ())))
        factor = "backup_code" if "backup_code" in fields else "passcode"
        return self._go_on(session, transaction, factor=factor, problem=problem)

    def _find_transaction(self, session: BrowserSession, transaction_id: str) -> AuthorizationTransaction | None:
        return self._context.sessions.transaction(session, transaction_id, AuthorizationTransaction)

    def _begin(self, request: web.Request, session: BrowserSession, problem: Problem | None) -> web.Response:
        query = {name: value for name, value in request.query.items() if name not in {"transaction_id", "factor"}}
        try:
            application, redirect_uri = _return_address(query, self._context.applications, self._host)
            transaction = _transaction(query, application, redirect_uri, self._context.clock())
        except RequestRefused as refused:
            return pages.problem_page("Something Went Wrong", str(refused), HTTPStatus.BAD_REQUEST)
        except OAuthError as error:
            return redirect(error)
        hint = query.get("login_hint", "")
        elsewhere = self._steps.elsewhere(transaction, hint)
        if elsewhere is not None:
            return elsewhere
        self._steps.begin(transaction, session, hint=hint, force_login="login" in query.get("prompt", "").split())
        return self._go_on(session, transaction, hint=hint, problem=problem)

    def _go_on(
        self,
        session: BrowserSession,
        transaction: AuthorizationTransaction,
        *,
        hint: str = "",
        factor: str = "passcode",
        problem: Problem | None = None,
    ) -> web.Response:
        response = self._steps.next_page(transaction, hint=hint, factor=factor, problem=problem)
        account = transaction.signed_in
        if response is None and account is not None:
            session.remember(transaction)
            asks = must_ask(transaction, account)
            response = _consent_page(transaction, account) if asks else self._finish(transaction, account)
        if response is None:
            raise RuntimeError("neither a page nor a signed-in account")
        self._context.sessions.stamp(response, session)
        return response

    def _finish(self, transaction: AuthorizationTransaction, account: Account) -> web.Response:
        """Send the browser back with a code; `issuer` tells which host redeems it."""
        code = self._context.tokens.issue_code(
            Authorization(
                account=account,
                client_id=transaction.application.client_id,
                redirect_uri=transaction.redirect_uri,
                scopes=transaction.scopes,
                state=transaction.state,
                amr=transaction.amr,
                auth_time=transaction.auth_time,
                code_challenge=transaction.code_challenge,
                nonce=transaction.nonce,
                locale=transaction.locale,
                audience_implied=self._host.audience_implied,
            )
        )
        parameters = {
            "code": code,
            "state": transaction.state,
            "issuer": f"{self._context.addresses().sso(account.region)}/oauth2/v3",
        }
        if transaction.locale is not None:
            parameters["locale"] = transaction.locale
        return _found(with_query(transaction.redirect_uri, parameters))


def must_ask(transaction: AuthorizationTransaction, account: Account) -> bool:
    """Tell whether the consent page is due: at the first time, later only for missing scopes and on demand."""
    application = transaction.application
    if application.is_owner_app or transaction.decided:
        return False
    if application.client_id not in account.consents:
        return True
    return transaction.prompt_missing_scopes and bool(transaction.missing_scopes(account))


def allow(transaction: AuthorizationTransaction, account: Account, ticked: frozenset[str]) -> None:
    """Add what the owner ticked to what the application may do; nothing that was not offered."""
    if not must_ask(transaction, account):
        return
    offered = transaction.missing_scopes(account)
    granted = offered if transaction.require_requested_scopes else offered & (ticked | ALWAYS_GRANTED)
    client_id = transaction.application.client_id
    account.consents[client_id] = account.consents.get(client_id, frozenset()) | granted
    transaction.decided = True


def redirect(error: OAuthError) -> web.Response:
    """Send the browser back to the application with an error."""
    return _found(error.location)


def with_query(url: str, parameters: Mapping[str, str]) -> str:
    """Return the URL with these parameters after those that it has."""
    parts = urlsplit(url)
    query = "&".join(part for part in (parts.query, urlencode(parameters)) if part)
    return urlunsplit(parts._replace(query=query))


def _return_address(query: Mapping[str, str], applications: ApplicationStore, host: Host) -> tuple[Application, str]:
    """Return who asks and where the answer may go; raise RequestRefused when either is not registered."""
    application = applications.by_client_id(query.get("client_id", ""))
    if application is None or (application.is_owner_app and not host.owner_app):
        raise RequestRefused(UNKNOWN_CLIENT)
    redirect_uri = query.get("redirect_uri", "")
    if redirect_uri not in application.redirect_uris:
        raise RequestRefused(UNKNOWN_REDIRECT)
    if not query.get("state"):
        raise RequestRefused(NO_STATE)
    return application, redirect_uri


def _transaction(
    query: Mapping[str, str], application: Application, redirect_uri: str, now: float
) -> AuthorizationTransaction:
    """Read the rest of the request; raise OAuthError when it does not do."""
    state = query["state"]
    scopes = frozenset(query.get("scope", "").split())
    challenge = query.get("code_challenge")
    if query.get("response_type") != "code":
        raise OAuthError(redirect_uri, state, "unsupported_response_type", "The response_type must be code")
    if not scopes:
        raise OAuthError(redirect_uri, state, "invalid_request", "The scope parameter is required")
    if not application.may_ask_user_for(scopes):
        raise OAuthError(redirect_uri, state, "invalid_scope", "The application is not registered for these scopes")
    if challenge is None and application.client_secret is None:
        raise OAuthError(redirect_uri, state, "invalid_request", "The code_challenge parameter is required")
    if challenge is not None and query.get("code_challenge_method") != "S256":
        raise OAuthError(redirect_uri, state, "invalid_request", "The code_challenge_method must be S256")
    return AuthorizationTransaction(
        path=PATH,
        query=query,
        began_at=now,
        application=application,
        redirect_uri=redirect_uri,
        scopes=scopes,
        state=state,
        code_challenge=challenge,
        nonce=query.get("nonce"),
        locale=query.get("locale"),
        prompt_missing_scopes=query.get("prompt_missing_scopes") == "true",
        require_requested_scopes=query.get("require_requested_scopes") == "true",
    )


def _consent_page(transaction: AuthorizationTransaction, account: Account) -> web.Response:
    client_id = transaction.application.client_id
    missing, granted = transaction.missing_scopes(account), account.consents.get(client_id, frozenset())
    return pages.consent_page(
        form_of(transaction),
        application=transaction.application.name,
        offered=[(scope, text) for scope, text in _offerable() if scope in missing],
        granted=[text for scope, text in _offerable() if scope in granted],
        locked=transaction.require_requested_scopes,
    )


def _offerable() -> list[tuple[str, str]]:
    return [(scope, text) for scope, text in USER_SCOPES.items() if scope not in ALWAYS_GRANTED]


def _found(location: str) -> web.Response:
    return web.Response(status=HTTPStatus.FOUND, headers={"Location": location, **pages.HEADERS})
