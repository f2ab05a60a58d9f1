"""The API of controls: permits with their key share, locking, and the owner's record of commands."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Final

from aiohttp import web

from teslafi_companion.audit import record
from teslafi_companion.domain.accounts import throttle
from teslafi_companion.domain.accounts.throttle import Attempt, Rule
from teslafi_companion.domain.accounts.visitor import Visitor
from teslafi_companion.domain.billing.access import Access
from teslafi_companion.domain.links import consent as consents
from teslafi_companion.domain.links.access import Caller
from teslafi_companion.domain.links.scopes import Scope
from teslafi_companion.domain.permits.judge import Refusal, judge
from teslafi_companion.domain.permits.permit import LIFETIME, issue, public_jwks
from teslafi_companion.http.received import Malformed, document
from teslafi_companion.http.services import services, visitor_of
from teslafi_companion.store.database import Store, Transaction

from .access import linked
from .problems import Problem, problem

MOST_COMMANDS: Final = 100
LONGEST_TEXT: Final = 200
_REFUSED: Final = Rule("permit-refused", 1, timedelta(days=1))
PERMITS: Final = Rule("permits-of-link", 60, timedelta(hours=1))
"""A Home Assistant asks twice a day, and when it starts; each is written down."""
REPORTED: Final = Rule("commands-of-link", 5_000, timedelta(days=1))
"""Rows that one Home Assistant writes into the audit log: one each half minute and more."""
_NOT_STORED: Final = {"Cache-Control": "no-store"}

PROBLEMS: Final[Mapping[Refusal, Problem]] = {
    Refusal.NOT_ALLOWED: Problem.CONTROLS_NOT_ALLOWED,
    Refusal.SECOND_FACTOR: Problem.SECOND_FACTOR_MISSING,
    Refusal.STEP_UP: Problem.PROOF_OUTDATED,
    Refusal.SUSPICIOUS: Problem.LINK_SUSPICIOUS,
    Refusal.SUBSCRIPTION: Problem.SUBSCRIPTION_NEEDED,
}


async def keys(request: web.Request) -> web.Response:
    """Publish the keys that permits are verified with (RFC 7517)."""
    return web.json_response(key_set(services(request).store))


def key_set(store: Store) -> dict[str, object]:
    """Return the keys that permits are verified with, as a JWK set."""
    return {"keys": public_jwks(store.cipher, store.clock())}


@linked(Scope.LINK)
async def permit(request: web.Request, caller: Caller) -> web.Response:
    """Give a permit and the key share, or say which condition is not met."""
    async with services(request).store.transaction() as transaction:
        decision = await decide(transaction, caller, visitor_of(request))
    if decision.problem is not None:
        return problem(decision.problem, decision.sentence)
    return web.json_response(decision.permit, headers=_NOT_STORED)


@dataclass(frozen=True, slots=True)
class Decision:
    """A permit with its key share as the contract has it, or the problem why there is none, with its sentence."""

    permit: dict[str, object] | None = field(default=None, repr=False)
    problem: Problem | None = None
    sentence: str | None = None


async def decide(transaction: Transaction, caller: Caller, visitor: Visitor) -> Decision:
    """Judge whether the link may have a permit now, record the outcome, and issue it."""
    consent = await consents.find(transaction, caller.link.id)
    refusal, access = await judge(transaction, caller, consent, visitor)
    detail: dict[str, object] = {"instance": caller.link.instance.name}
    if refusal is not None or consent is None:
        refusal = refusal or Refusal.NOT_ALLOWED
        await _record_refused(transaction, caller, detail | {"why": refusal.value})
        return Decision(problem=PROBLEMS[refusal], sentence=_sentence(refusal, access))
    await _admit(transaction, caller, PERMITS)
    record(transaction, "permit_issued", account_id=caller.link.account_id, actor="link", detail=detail)
    return Decision(
        {
            "permit": issue(transaction, caller.link, consent),
            "key_share": base64.b64encode(consent.share).decode(),
            "expires_in": int(LIFETIME.total_seconds()),
        }
    )


async def _admit(transaction: Transaction, caller: Caller, rule: Rule) -> None:
    """Count what a link has written down; raises HTTPTooManyRequests, and then nothing of the request is."""
    if not await throttle.is_first(transaction, Attempt(rule, caller.link.id.bytes)):
        raise web.HTTPTooManyRequests(headers={"Retry-After": "600"})


async def _record_refused(transaction: Transaction, caller: Caller, detail: dict[str, object]) -> None:
    """Note a refusal, once a day: a Home Assistant asks again and again."""
    if not await throttle.is_first(transaction, Attempt(_REFUSED, caller.link.id.bytes)):
        return
    record(
        transaction,
        "permit_refused",
        account_id=caller.link.account_id,
        actor="link",
        outcome="failure",
        detail=detail,
    )


def _sentence(refusal: Refusal, access: Access) -> str | None:
    return access.sentence if refusal is Refusal.SUBSCRIPTION else None


@linked(Scope.LINK)
async def lock(request: web.Request, caller: Caller) -> web.Response:
    """Withdraw the consent and wipe the key share, as the Home Assistant that has it."""
    async with services(request).store.transaction() as transaction:
        await consents.withdraw(transaction, caller.link, visitor_of(request), actor="link")
    return web.Response(status=204, headers=_NOT_STORED)


@linked(Scope.CONTROLS)
async def commands(request: web.Request, caller: Caller) -> web.Response:
    """Write commands that were sent into the owner's audit log."""
    try:
        said = _commands(await document(request))
    except (Malformed, ValueError) as fault:
        return problem(Problem.MALFORMED, str(fault))
    async with services(request).store.transaction() as transaction:
        for one in said:
            await _admit(transaction, caller, REPORTED)
            record(
                transaction,
                "command",
                account_id=caller.link.account_id,
                actor="link",
                outcome="success" if one["result"] == "succeeded" else "failure",
                detail={"instance": caller.link.instance.name, **one},
            )
    return web.Response(status=HTTPStatus.NO_CONTENT, headers=_NOT_STORED)


_FIELDS: Final = ("at", "command", "vehicle", "user", "result", "reason", "answer")


def _commands(said: object) -> list[dict[str, str]]:
    """Read the list; raise ValueError with what is wrong."""
    listed = said.get("commands") if isinstance(said, dict) else None
    if not isinstance(listed, list) or not 0 < len(listed) <= MOST_COMMANDS:
        raise ValueError("commands is a list of 1 to 100")
    found = []
    for one in listed:
        values = {name: one.get(name, "") if isinstance(one, dict) else None for name in _FIELDS}
        if not all(isinstance(value, str) and len(value) <= LONGEST_TEXT for value in values.values()):
            raise ValueError("a command is made of texts of at most 200 characters")
        datetime.fromisoformat(str(values["at"]))
        found.append({name: str(value) for name, value in values.items()})
    return found
