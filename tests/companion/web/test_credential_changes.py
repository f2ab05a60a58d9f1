"""What a change of password or factors ends: proofs given before it, the other sessions; and what outlasts it."""

import asyncio
import html
import json
import re

import pyotp
import pytest

from teslafi_companion.domain.accounts import account, factors, passkeys, sessions, totp
from teslafi_companion.domain.accounts.account import Account
from teslafi_companion.domain.accounts.factors import CredentialsChanged
from teslafi_companion.domain.links.access import find_caller
from teslafi_companion.domain.links.links import Proof
from teslafi_companion.domain.links.scopes import Acr, Scope
from teslafi_companion.store.database import Store

from ..accounts.authenticator import Authenticator
from ..oauth.linking import BROWSER, link_up, make_account
from .person import OLGA, PASSWORD, Companion, Person

CHANGES = ("app", "passkey", "remove-app", "remove-passkey", "codes")


async def owner_of(person: Person) -> Account:
    """Return the account as it is now."""
    async with person.store.reading() as transaction:
        owner = await account.find(transaction, OLGA)
    assert owner is not None
    return owner


async def adds_passkey(person: Person) -> Authenticator:
    """Register a passkey on the page."""
    device = Authenticator(person.store.settings.host, person.store.settings.origin)
    await person.opens("/account/security/passkeys/new")
    if person.page.heading.startswith("Confirm"):
        await person.confirms()
    question = json.loads(html.unescape(re.findall(r'data-question="(.*?)"', person.page.text)[0]))
    await person.fills("/account/security/passkeys/new", passkey=json.dumps(device.registers(question)), name="Key")
    return device


async def changes(person: Person, what: str) -> None:
    """Change a factor on the page, freshly proved."""
    match what:
        case "app":
            await person.sets_up_app()
        case "passkey":
            await adds_passkey(person)
        case "remove-app":
            await person.opens("/account/security/app/remove")
            if person.page.heading.startswith("Confirm"):
                await person.confirms()
            await person.fills("/account/security/app/remove")
        case "remove-passkey":
            async with person.store.reading() as transaction:
                (known,) = await passkeys.passkeys_of(transaction, (await owner_of(person)).id)
            path = f"/account/security/passkeys/{known.id}/remove"
            await person.opens(path)
            if person.page.heading.startswith("Confirm"):
                await person.confirms()
            await person.fills(path)
        case "codes":
            assert await person.makes_recovery_codes()


@pytest.mark.parametrize("what", CHANGES)
async def test_a_change_of_factors_signs_the_others_out(olga: Person, companion: Companion, what: str) -> None:
    await olga.has_account()
    await olga.signs_in()
    if what not in {"app", "passkey"}:
        await olga.sets_up_app()
    if what == "remove-passkey":
        await adds_passkey(olga)
    other = companion.person()
    other.secret = olga.secret
    await other.signs_in()
    if olga.secret:
        await other.fills("/sign-in/second-factor", code=other.code())
    half = companion.person()
    await half.signs_in()
    assert (await other.opens("/account")).heading == "Your account"
    await changes(olga, what)
    assert (await other.opens("/account")).heading == "Sign in"
    assert (await half.opens("/sign-in/second-factor")).heading == "Sign in"
    assert (await olga.opens("/account")).heading == "Your account"


async def test_a_password_typed_before_there_was_a_second_factor_does_not_remove_it(
    olga: Person, companion: Companion, store: Store
) -> None:
    """The thief's session is put back by force: the proof alone must not be enough."""
    await olga.has_account()
    thief = companion.person()
    await thief.signs_in()
    await thief.opens("/account/security/app")
    await thief.confirms()
    assert thief.page.heading != "Confirm that it's you"
    owner = await owner_of(olga)
    async with store.transaction() as transaction:
        enrolment = await totp.begin(transaction, owner.id, "label")
        (thiefs,) = await sessions.sessions_of(transaction, owner.id)
        code = pyotp.TOTP(enrolment.secret).at(transaction.now)
        assert await factors.enrol_totp(transaction, owner, enrolment, code, BROWSER, keep=thiefs.id)
    for path in ("/account/security/app/remove", "/account/security/recovery-codes", "/account/security/passkeys/new"):
        assert (await thief.opens(path)).heading == "Confirm that it's you"
        form = {"csrf": thief.page.form("/step-up").values["csrf"]}
        sent = await thief.send("POST", path, form)
        assert sent.headers["Location"].startswith("/step-up?purpose=change-factors")
    assert (await owner_of(olga)).has_totp


async def test_the_first_code_of_an_app_is_a_proof_for_the_codes_that_follow(olga: Person) -> None:
    await olga.has_account()
    await olga.signs_in()
    await olga.sets_up_app()
    assert olga.page.heading != "Confirm that it's you"
    assert len(await olga.makes_recovery_codes()) == 8


async def test_two_pages_that_change_factors_at_once_make_one_change(store: Store) -> None:
    """Of changes that were opened by the same proof the second finds its proof outdated."""
    owner_id = await make_account(store, second_factor=True)
    async with store.transaction() as transaction:
        owner = await account.load(transaction, owner_id)
        assert owner is not None
        _, keep = await sessions.open_session(transaction, owner_id, {"pwd"}, BROWSER)

    async def remove() -> bool:
        async with store.transaction() as transaction:
            return await factors.remove_totp(transaction, owner, BROWSER, keep=keep)

    async def renew() -> list[str]:
        async with store.transaction() as transaction:
            enrolment = await totp.begin(transaction, owner_id, "label")
            code = pyotp.TOTP(enrolment.secret).at(transaction.now)
            assert await factors.enrol_totp(transaction, owner, enrolment, code, BROWSER, keep=keep)
            return [enrolment.secret]

    done = await asyncio.gather(remove(), renew(), return_exceptions=True)
    assert sum(isinstance(one, CredentialsChanged) for one in done) == 1, done


@pytest.mark.parametrize(("what", "still"), [("passkey", True), ("app", False), ("remove-passkey", False)])
async def test_an_added_passkey_does_not_end_controls(olga: Person, store: Store, what: str, *, still: bool) -> None:
    """Added, it leaves what was proved true; another app in place of the first, or one factor less, does not."""
    await olga.has_account()
    await olga.signs_in()
    await olga.sets_up_app()
    if what == "remove-passkey":
        await adds_passkey(olga)
    owner = await owner_of(olga)
    proof = Proof(store.clock(), Acr.SECOND_FACTOR, owner.credential_version)
    await link_up(store, owner.id, proof=proof)
    given = await link_up(store, owner.id, scopes=frozenset({Scope.CONTROLS}), proof=proof)
    await changes(olga, what)
    async with store.reading() as transaction:
        caller = await find_caller(transaction, given.access)
        assert caller is not None
        assert caller.has_proved(Acr.SECOND_FACTOR, None, transaction.now) is still


@pytest.mark.parametrize("second_factor", [False, True])
async def test_signing_in_again_ends_the_session_that_it_replaces(
    olga: Person, store: Store, *, second_factor: bool
) -> None:
    await olga.has_account()
    await olga.signs_in()
    if second_factor:
        await olga.sets_up_app()
    owner = await owner_of(olga)
    async with store.reading() as transaction:
        (before,) = await sessions.sessions_of(transaction, owner.id)
    olga.page = await olga.send("POST", "/sign-in", {"email": OLGA, "password": PASSWORD, "next": "/account"})
    await olga.follows()
    if second_factor:
        await olga.fills("/sign-in/second-factor", code=olga.code())
    assert olga.page.heading == "Your account"
    async with store.reading() as transaction:
        (after,) = await sessions.sessions_of(transaction, owner.id)
    assert after.id != before.id
