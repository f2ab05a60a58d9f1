"""What the tests of linking share: an account, its approval, and what a Home Assistant does with it."""

from dataclasses import dataclass, replace
from uuid import UUID

import pyotp

from teslafi_companion.accounts import account, totp
from teslafi_companion.accounts.visitor import Visitor
from teslafi_companion.oauth import codes, devices, tokens
from teslafi_companion.oauth.clients import CLIENTS
from teslafi_companion.oauth.codes import Redemption
from teslafi_companion.oauth.faults import OAuthFault
from teslafi_companion.oauth.instance import Instance
from teslafi_companion.oauth.links import Approval, Link, Proof, links_of
from teslafi_companion.oauth.pkce import challenge_of
from teslafi_companion.oauth.scopes import STATUS, Acr, Scope
from teslafi_companion.oauth.tokens import Tokens
from teslafi_companion.settings import MY_HOME_ASSISTANT
from teslafi_companion.store.database import Store
from teslafi_companion.store.tables import audit, outbox

CLIENT = CLIENTS["home-assistant"]
VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
CHALLENGE = challenge_of(VERIFIER)
INSTANCE = Instance("Marker home Quetzal", "instance-0123456789")
HOME = Visitor("198.51.100.7", "HomeAssistant/2026.10.4")
BROWSER = Visitor("198.51.100.9", "Mozilla/5.0 (X11; Linux x86_64) Firefox/145.0")
ELSEWHERE = Visitor("203.0.113.50", "curl/8")
OWNER = "pia.marker@example.org"


@dataclass(frozen=True)
class Letter:
    """A mail in the outbox."""

    to: str
    subject: str
    text: str


async def make_account(store: Store, address: str = OWNER, *, second_factor: bool = False) -> UUID:
    async with store.transaction() as transaction:
        made = await account.create(transaction, address, "$argon2id$not-used")
        assert made is not None
        if second_factor:
            enrolment = await totp.begin(transaction, made, "label")
            code = pyotp.TOTP(enrolment.secret).at(transaction.now)
            assert await totp.activate(transaction, made, enrolment, code)
        return made


def approval_of(store: Store, owner: UUID, instance: Instance = INSTANCE, **changes: object) -> Approval:
    approval = Approval(
        owner,
        CLIENT.id,
        STATUS,
        instance,
        Proof(store.clock(), Acr.PASSWORD, 1),
        BROWSER.address,
        BROWSER.agent,
    )
    return replace(approval, **changes)  # type: ignore[arg-type]


async def make_code(store: Store, owner: UUID, instance: Instance = INSTANCE, **changes: object) -> str:
    async with store.transaction() as transaction:
        approval = approval_of(store, owner, instance, **changes)
        return await codes.issue_code(transaction, approval, MY_HOME_ASSISTANT, CHALLENGE)


async def redeem(
    store: Store,
    code: str,
    *,
    redirect_uri: str = MY_HOME_ASSISTANT,
    verifier: str = VERIFIER,
    visitor: Visitor = HOME,
) -> Tokens | OAuthFault:
    async with store.transaction() as transaction:
        return await codes.redeem(transaction, CLIENT, Redemption(code, redirect_uri, verifier), visitor)


async def link_up(store: Store, owner: UUID, instance: Instance = INSTANCE, **changes: object) -> Tokens:
    given = await redeem(store, await make_code(store, owner, instance, **changes))
    assert isinstance(given, Tokens)
    return given


async def refresh(
    store: Store, token: str, *, scopes: frozenset[Scope] | None = None, visitor: Visitor = HOME
) -> Tokens | OAuthFault:
    async with store.transaction() as transaction:
        return await tokens.refresh(transaction, CLIENT, token, scopes, visitor)


async def refreshed(store: Store, given: Tokens, *, visitor: Visitor = HOME) -> Tokens:
    successor = await refresh(store, given.refresh, visitor=visitor)
    assert isinstance(successor, Tokens)
    return successor


async def poll(store: Store, device_code: str) -> Tokens | OAuthFault:
    async with store.transaction() as transaction:
        return await devices.poll(transaction, CLIENT, device_code, HOME)


def error_of(answer: Tokens | OAuthFault) -> str | None:
    return answer.error if isinstance(answer, OAuthFault) else None


async def links(store: Store, owner: UUID) -> list[Link]:
    async with store.reading() as transaction:
        return await links_of(transaction, owner)


async def letters(store: Store) -> list[Letter]:
    """Return the mails of the outbox, in order."""
    async with store.reading() as transaction:
        rows = await transaction.rows(outbox.select().where(outbox.c.kind == "message").order_by(outbox.c.id))
        opened = [transaction.open(row.sealed, outbox, row.id, row.account_id or row.id) for row in rows]
    return [Letter(one["to"], one["subject"].partition(": ")[2], one["text"]) for one in opened]


async def subjects(store: Store) -> list[str]:
    return [letter.subject for letter in await letters(store)]


async def events(store: Store) -> list[str]:
    async with store.reading() as transaction:
        return [row.event for row in await transaction.rows(audit.select().order_by(audit.c.number))]
