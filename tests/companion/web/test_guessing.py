"""Guessing: parallel tries, locked accounts, and what a stranger can learn. None of it may tell or give anything."""

import asyncio
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from typing import Any

import pyotp
import pytest
from sqlalchemy import select

from teslafi_companion.domain.accounts.account import find
from teslafi_companion.domain.accounts.totp import matching_step
from teslafi_companion.store.tables import audit, recovery_code
from teslafi_companion.work.housekeeping import keep_house

from .person import OLGA, PASSWORD, Companion, Page, Person
from .test_access import ERIK

pytestmark = pytest.mark.slow

PARALLEL = 50

RFC_6238_SECRET = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
RFC_6238 = {
    59: "94287082",
    1111111109: "07081804",
    1111111111: "14050471",
    1234567890: "89005924",
    2000000000: "69279037",
    20000000000: "65353130",
}
"""Seconds -> TOTP with SHA-1 (RFC 6238, appendix B); ours are the last six of its eight digits."""


@pytest.mark.parametrize(("seconds", "code"), RFC_6238.items())
def test_the_vectors_of_rfc_6238(seconds: int, code: str) -> None:
    moment = datetime.fromtimestamp(seconds, UTC)
    assert matching_step(RFC_6238_SECRET, code[2:], moment, 0) == seconds // 30
    assert matching_step(RFC_6238_SECRET, f"{(int(code[2:]) + 1) % 10**6:06}", moment, 0) is None


async def half_signed_in(companion: Companion, olga: Person, many: int) -> list[Person]:
    """Return as many browsers that have typed the password and wait for the second factor."""
    people = []
    for _ in range(many):
        person = companion.person()
        person.secret = olga.secret
        await person.signs_in()
        assert person.page.heading == "Your second factor"
        people.append(person)
    return people


@pytest.mark.parametrize("kind", ["code", "recovery_code"])
async def test_of_fifty_parallel_uses_exactly_one_wins(companion: Companion, olga: Person, kind: str) -> None:
    codes = await olga.is_protected()
    people = await half_signed_in(companion, olga, 4)
    proof = olga.code() if kind == "code" else codes[0]
    # More than five wrong ones lock: the same proof from fifty browsers at once counts forty-nine wrong ones
    tries = [people[number % 4].send("POST", "/sign-in/second-factor", {kind: proof}) for number in range(PARALLEL)]
    answers = await asyncio.gather(*tries)
    entered = [answer for answer in answers if answer.headers.get("Location") == "/account"]
    assert len(entered) == 1
    if kind == "recovery_code":
        async with olga.store.reading() as transaction:
            used = await transaction.rows(select(recovery_code.c.id).where(recovery_code.c.used_at.is_not(None)))
        assert len(used) == 1


async def test_a_hundred_parallel_guesses_get_five_tries(companion: Companion, olga: Person) -> None:
    """The right password among them is let in only if it came before the lock."""
    await olga.has_account()
    strangers = [companion.person() for _ in range(4)]
    guess = {"email": OLGA, "next": "/account"}
    tries = [
        strangers[number % 4].send("POST", "/sign-in", guess | {"password": f"guess number {number}"})
        for number in range(100)
    ]
    answers = await asyncio.gather(*tries)
    assert {answer.status for answer in answers} <= {400, 429}
    async with olga.store.reading() as transaction:
        events = [row.event for row in await transaction.rows(select(audit.c.event))]
    assert events.count("sign_in_failed") <= 5
    assert (await olga.signs_in()).status in {400, 429}  # locked, even for the right one


async def test_parallel_sign_ins_of_one_account_all_come_in(companion: Companion, olga: Person) -> None:
    """They wait for each other in one order; twenty sessions stay, and five mails were written in this hour."""
    await olga.has_account()
    people = [companion.person() for _ in range(32)]
    form = {"email": OLGA, "password": PASSWORD, "next": "/account"}
    for start in range(0, 32, 4):  # five at once would be as many as may be wrong
        four = people[start : start + 4]
        answers = await asyncio.gather(*(person.send("POST", "/sign-in", form) for person in four))
        assert [answer.status for answer in answers] == [303] * 4
    alive = [(await person.opens("/account")).heading == "Your account" for person in people]
    assert sum(alive) == 20
    assert [mail.subject for mail in await olga.mails()] == ["New sign-in"] * 5


async def test_a_locked_account_opens_again_and_looks_like_a_wrong_password(olga: Person) -> None:
    await olga.has_account()
    wrong = [await olga.signs_in(password="a wrong one, sadly so") for _ in range(5)]
    locked = await olga.signs_in()
    assert (locked.status, locked.text) == (wrong[0].status, wrong[0].text)
    olga.clock.advance(minutes=1, seconds=1)
    assert (await olga.signs_in()).heading == "Your account"


async def test_a_known_device_is_not_locked_out_by_strangers(companion: Companion, olga: Person) -> None:
    await olga.has_account()
    await olga.signs_in()
    await olga.opens("/account")
    await olga.fills("/sign-out")
    stranger = companion.person()
    for _ in range(6):
        await stranger.signs_in(password="a wrong one, sadly so")
    assert (await stranger.signs_in()).status == 400
    assert (await olga.signs_in()).heading == "Your account"


async def test_five_wrong_codes_lock_the_second_factor(companion: Companion, olga: Person) -> None:
    await olga.is_protected()
    (half,) = await half_signed_in(companion, olga, 1)
    for _ in range(5):
        await half.fills("/sign-in/second-factor", code="000000")
    assert half.page.error == "Too many wrong attempts. Wait one minute and try again."
    page = await half.fills("/sign-in/second-factor", code=half.code())
    assert page.status == 400
    half.clock.advance(seconds=31)
    await half.fills("/sign-in/second-factor", code="000000")
    assert half.page.error == "Too many wrong attempts. Wait 2 minutes and try again."
    olga.clock.advance(minutes=2)
    (half,) = await half_signed_in(companion, olga, 1)
    assert (await half.fills("/sign-in/second-factor", code=half.code())).heading == "Your account"


async def test_a_password_without_its_second_factor_is_told_once(companion: Companion, olga: Person) -> None:
    await olga.is_protected()
    await half_signed_in(companion, olga, 2)
    await keep_house(olga.store)
    assert "Sign-in without the second factor" not in [mail.subject for mail in await olga.mails()]
    olga.clock.advance(minutes=3)
    await keep_house(olga.store)
    await keep_house(olga.store)
    told = [mail for mail in await olga.mails() if mail.subject == "Sign-in without the second factor"]
    assert len(told) == 1


def visible(page: Page, email: str) -> tuple[int, str, dict[str, str]]:
    """Return all that an onlooker gets, his own typing left out."""
    headers = {name: value for name, value in page.headers.items() if name not in {"Date", "Content-Length"}}
    return page.status, page.text.replace(email, "EMAIL"), headers


async def _sign_in(person: Person, email: str) -> Page:
    return await person.signs_in(email, "a wrong one, sadly so")


async def _sign_up(person: Person, email: str) -> Page:
    await person.opens("/sign-up")
    return await person.fills("/sign-up", email=email)


async def _forgotten(person: Person, email: str) -> Page:
    await person.opens("/forgotten-password")
    return await person.fills("/forgotten-password", email=email)


@pytest.mark.parametrize("way", [_sign_in, _sign_up, _forgotten], ids=["sign in", "sign up", "forgotten password"])
async def test_nobody_learns_who_has_an_account(
    companion: Companion, olga: Person, way: Callable[[Person, str], Coroutine[Any, Any, Page]]
) -> None:
    """The same answer to the last header; the work that differs is done by the outbox, out of sight."""
    await olga.has_account()
    stranger = companion.person()
    known = visible(await way(stranger, OLGA), OLGA)
    unknown = visible(await way(companion.person(), ERIK), ERIK)
    assert known == unknown


async def test_signing_up_again_tells_the_owner_alone(olga: Person) -> None:
    await olga.has_account()
    await _sign_up(olga, OLGA.upper())
    (mail,) = await olga.mails()
    assert (mail.subject, "?token=" in mail.text) == ("You already have an account", False)
    async with olga.store.reading() as transaction:
        owner = await find(transaction, OLGA)
    assert owner is not None


async def test_mails_to_one_address_are_limited(olga: Person) -> None:
    """What is over the limit looks the same: nobody learns that somebody else has asked."""
    await olga.has_account()
    pages = [await _forgotten(olga, OLGA) for _ in range(4)]
    assert [page.heading for page in pages] == ["Check your email"] * 4
    assert len(await olga.mails()) == 3
    olga.clock.advance(minutes=30)
    await _forgotten(olga, OLGA)
    assert len(await olga.mails()) == 4


async def test_a_code_of_unicode_digits_is_no_second_spelling(companion: Companion, olga: Person) -> None:
    await olga.is_protected()
    (half,) = await half_signed_in(companion, olga, 1)
    code = pyotp.TOTP(olga.secret).at(olga.clock())
    wide = "".join(chr(ord(digit) - ord("0") + 0xFF10) for digit in code)
    assert (await half.fills("/sign-in/second-factor", code=wide)).status == 400
    assert PASSWORD not in half.page.text
