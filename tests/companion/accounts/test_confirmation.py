"""Proving to be the owner of an open account: what counts, what it gives, what the log says."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any
from uuid import UUID

import pyotp
import pytest
from sqlalchemy import select

from teslafi_companion.domain.accounts import account, passkeys, sessions, totp
from teslafi_companion.domain.accounts.confirmation import confirm
from teslafi_companion.domain.accounts.passwords import Passwords, PasswordsBusy
from teslafi_companion.domain.accounts.sessions import Session
from teslafi_companion.domain.accounts.step_up import Method, Purpose
from teslafi_companion.domain.accounts.visitor import Visitor
from teslafi_companion.store.database import Store, StoreUnreachable
from teslafi_companion.store.tables import throttle

from ..clock import ManualClock
from ..conftest import CHEAP
from .authenticator import Authenticator
from .noted import Event, count_of, events_of
from .test_factors import adds_passkey, enrols, owner_of

HERE = Visitor("192.0.2.7", "Mozilla/5.0 (X11; Linux x86_64) Firefox/150.0")
PASSWORD = "seven green kettles"
PAGE = "a-session-token"


@pytest.fixture
async def passwords() -> AsyncIterator[Passwords]:
    """Give the threads."""
    threads = Passwords(CHEAP)
    yield threads
    threads.close()


@pytest.fixture
async def olga(store: Store, passwords: Passwords) -> UUID:
    """Return an account with a password."""
    phc = await passwords.hash(PASSWORD)
    async with store.transaction() as transaction:
        owner = await account.create(transaction, "olga@example.org", phc)
    assert owner is not None
    return owner


class Confirming:
    """An owner in one session."""

    def __init__(self, store: Store, passwords: Passwords, owner: UUID, token: str) -> None:
        """Take her session's token."""
        self.store, self.passwords, self.owner, self.token = store, passwords, owner, token

    async def session(self) -> Session:
        """Return the session as it is now."""
        async with self.store.reading() as transaction:
            found = await sessions.find_session(transaction, self.token)
        assert found is not None
        return found

    async def proves(
        self, proof: str | dict[str, Any], *, purpose: Purpose = Purpose.EXPORT, method: Method = Method.PASSWORD
    ) -> str | None:
        """Confirm; a new token becomes the session's."""
        owner, session = await owner_of(self.store, self.owner), await self.session()
        token = await confirm(self.store, self.passwords, owner, session, purpose, method, proof, HERE, bound_to=PAGE)
        self.token = token or self.token
        return token

    async def counted(self) -> dict[str, int]:
        """Return the attempts that count, by rule."""
        async with self.store.reading() as transaction:
            return {row.scope: row.attempts for row in await transaction.rows(select(throttle))}


@pytest.fixture
async def her(store: Store, passwords: Passwords, olga: UUID) -> Confirming:
    """Return Olga, signed in."""
    async with store.transaction() as transaction:
        token, _ = await sessions.open_session(transaction, olga, ("pwd",), HERE)
    return Confirming(store, passwords, olga, token)


async def test_the_password_opens_what_it_was_asked_for(her: Confirming, clock: ManualClock) -> None:
    before, old = await her.session(), her.token
    clock.advance(minutes=7)
    events = await count_of(her.store)
    token = await her.proves(PASSWORD)
    assert token not in {None, old}
    assert await her.session() == replace(
        before,
        seen_at=clock.now,
        authenticated_at=clock.now,
        step_up_at=clock.now,
        step_up_purpose=Purpose.EXPORT,
        step_up_version=(await owner_of(her.store, her.owner)).credential_version,
    )
    async with her.store.reading() as transaction:
        assert await sessions.find_session(transaction, old) is None
    detail = HERE.detail() | {"purpose": "export", "method": "pwd"}
    assert await events_of(her.store, events) == [Event("step_up", her.owner, "account", "success", detail)]
    assert await her.counted() == {}


async def test_a_wrong_password_counts_and_is_noted(her: Confirming) -> None:
    events = await count_of(her.store)
    assert await her.proves("a wrong one") is None
    assert (await her.session()).step_up_at is None
    assert await events_of(her.store, events) == [
        Event("step_up_failed", her.owner, "account", "failure", HERE.detail())
    ]
    assert await her.counted() == {"step-up": 1}


async def test_after_five_wrong_ones_the_right_one_waits(her: Confirming, clock: ManualClock) -> None:
    for _ in range(5):
        await her.proves("a wrong one")
    assert await her.proves(PASSWORD) is None
    clock.advance(minutes=1)
    assert await her.proves(PASSWORD) is not None
    for _ in range(4):
        await her.proves("a wrong one")
    assert await her.proves(PASSWORD) is not None, "a right one forgives those before it"


async def test_the_second_factor_in_place_of_the_password(her: Confirming, clock: ManualClock) -> None:
    secret = await enrols(her.store, her.owner, (await her.session()).id)
    clock.advance(minutes=1)
    events = await count_of(her.store)
    assert await her.proves(PASSWORD) is None, "no longer one of the ways"
    assert (await events_of(her.store, events), await her.counted()) == ([], {})
    assert await her.proves("000000", method=Method.CODE) is None
    assert await her.counted() == {"step-up": 1}
    code = pyotp.TOTP(secret).at(clock.now)
    assert await her.proves(code, method=Method.CODE) is not None
    assert (await her.session()).methods == {"pwd", "otp"}
    wrong, right = await events_of(her.store, events)
    assert wrong == Event(
        "second_factor_failed", her.owner, "account", "failure", HERE.detail() | {"method": Method.CODE}
    )
    assert right.detail["method"] == "otp"
    assert await her.counted() == {}
    assert await her.proves(code, method=Method.CODE) is None, "a code is good once"


async def test_a_passkey_answers_the_page_that_asked_for_it(her: Confirming) -> None:
    device = Authenticator(her.store.settings.host, her.store.settings.origin)
    await adds_passkey(her.store, her.owner, (await her.session()).id, device)
    owner = await owner_of(her.store, her.owner)
    for page, good in (("another-page", False), (PAGE, True)):
        async with her.store.transaction() as transaction:
            options = await passkeys.begin_proof(transaction, owner.id, page)
        assert (await her.proves(device.proves(options), method=Method.PASSKEY) is not None) is good


async def test_a_session_that_ended_meanwhile_opens_nothing(her: Confirming) -> None:
    owner, session = await owner_of(her.store, her.owner), await her.session()
    async with her.store.transaction() as transaction:
        await sessions.end_all(transaction, her.owner)
    how = (Purpose.EXPORT, Method.PASSWORD, PASSWORD, HERE)
    assert await confirm(her.store, her.passwords, owner, session, *how, bound_to=PAGE) is None


@pytest.mark.parametrize("trouble", [PasswordsBusy, StoreUnreachable])
@pytest.mark.parametrize("where", ["verify", "password_of", "renew_token", "use_code"])
async def test_trouble_of_ours_is_no_attempt(
    her: Confirming, clock: ManualClock, monkeypatch: pytest.MonkeyPatch, trouble: type[Exception], where: str
) -> None:
    method, proof = Method.PASSWORD, PASSWORD
    if where == "use_code":
        secret = await enrols(her.store, her.owner, (await her.session()).id)
        clock.advance(minutes=1)
        method, proof = Method.CODE, pyotp.TOTP(secret).at(clock.now)

    async def fails(*_: object, **__: object) -> None:
        raise trouble

    places = {"verify": Passwords, "password_of": account, "renew_token": sessions, "use_code": totp}
    with monkeypatch.context() as patch:
        patch.setattr(places[where], where, fails)
        for _ in range(7):
            with pytest.raises(trouble):
                await her.proves(proof, method=method)
    assert set((await her.counted()).values()) == {0}
    assert await her.proves(proof, method=method) is not None


async def test_she_waits_for_no_stranger(her: Confirming, monkeypatch: pytest.MonkeyPatch) -> None:
    verify = Passwords.verify

    async def full_of_strangers(passwords: Passwords, phc: str | None, password: str, *, known: bool = False) -> bool:
        if not known:
            raise PasswordsBusy
        return await verify(passwords, phc, password, known=known)

    monkeypatch.setattr(Passwords, "verify", full_of_strangers)
    assert await her.proves(PASSWORD) is not None
