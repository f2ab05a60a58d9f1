"""Who may call: bearer tokens (RFC 6750), scopes, and the demand for a fresh proof of the owner (RFC 9470)."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
import re
from typing import Final

from aiohttp import web

from teslafi_companion.domain.links.access import Caller, find_caller
from teslafi_companion.domain.links.links import note_contact, wants_contact
from teslafi_companion.domain.links.scopes import Acr, Scope, written
from teslafi_companion.http.received import header
from teslafi_companion.http.services import services

from .problems import Problem, problem

type Handler = Callable[[web.Request, Caller], Awaitable[web.StreamResponse]]
type Guarded = Callable[[web.Request], Awaitable[web.StreamResponse]]

_REALM: Final = "teslafi-companion"
_BEARER: Final = re.compile(r"Bearer +([A-Za-z0-9._~+/-]+=*)", re.ASCII | re.IGNORECASE)


def _challenge(**parameters: str) -> dict[str, str]:
    said = ", ".join(f'{name}="{value}"' for name, value in {"realm": _REALM, **parameters}.items())
    return {"WWW-Authenticate": f"Bearer {said}"}


def linked(*scopes: Scope, acr: Acr | None = None, max_age: timedelta | None = None) -> Callable[[Handler], Guarded]:
    """Let a handler be called by a link that has all `scopes`.

    With `acr` the owner must have allowed the link by so strong a proof, which still counts, and not longer ago than
    `max_age`. Without, any link that was allowed will do.
    """

    def guard(handler: Handler) -> Guarded:
        async def guarded(request: web.Request) -> web.StreamResponse:
            found = _BEARER.fullmatch(header(request, "Authorization") or "")
            if found is None:
                return problem(Problem.TOKEN_MISSING, headers=_challenge())
            store = services(request).store
            async with store.reading() as transaction:
                caller = await find_caller(transaction, found[1])
                now = transaction.now
            if caller is None:
                return problem(Problem.TOKEN_REFUSED, headers=_challenge(error="invalid_token"))
            if not caller.scopes.issuperset(scopes):
                wanted = written(scopes)
                challenge = _challenge(error="insufficient_scope", scope=wanted)
                return problem(Problem.SCOPE_MISSING, f"This needs {wanted}.", challenge)
            if acr is not None and not caller.has_proved(acr, max_age, now):
                return problem(Problem.STEP_UP_NEEDED, headers=_step_up(acr, max_age))
            if wants_contact(caller.link, caller.generation, now):
                async with store.transaction() as transaction:
                    await note_contact(transaction, caller.link, caller.generation)
            return await handler(request, caller)

        return guarded

    return guard


def _step_up(acr: Acr, max_age: timedelta | None) -> dict[str, str]:
    age = {} if max_age is None else {"max_age": str(int(max_age.total_seconds()))}
    return _challenge(error="insufficient_user_authentication", acr_values=acr, **age)
