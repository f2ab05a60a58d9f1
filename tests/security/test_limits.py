"""Limits hold whatever a stranger sends along, lock nobody out for good, and tell nothing."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
import json
from types import SimpleNamespace
from typing import Any

from hypothesis import HealthCheck, given, settings as hypothesis_settings, strategies as st
import pytest
from sqlalchemy import delete, func, insert, select

from teslafi_companion.audit import check_chain, entries_of, record
from teslafi_companion.domain.accounts.account import find
from teslafi_companion.domain.accounts.factors import ask_removal
from teslafi_companion.domain.accounts.passwords import Passwords, PasswordsBusy
from teslafi_companion.domain.accounts.throttle import LINK_TRIES
from teslafi_companion.http.guard import CHANGES
from teslafi_companion.store.database import Store, StoreUnreachable
from teslafi_companion.store.tables import audit, throttle
from teslafi_companion.work.housekeeping import keep_house

from ..companion.web.person import OLGA, OTHER_PASSWORD, PASSWORD, Companion, Page, Person
from .raw import post

pytestmark = pytest.mark.slow

HOSTILE_HEADERS = (
    b"User-Agent: \xff\xfe",
    b"User-Agent: \xed\xa0\x80",
    b"User-Agent: " + b"\xf0\x9f" * 2000,
    b"User-Agent: a\tb\xc2",
    b"X-Forwarded-For: \xff",
)
WRONG = "a wrong one, sadly so"


async def count(store: Store, *events: str) -> int:
    """Return how many rows the audit log has of these events."""
    async with store.reading() as transaction:
        found = await transaction.execute(select(func.count()).select_from(audit).where(audit.c.event.in_(events)))
        return int(found.scalar_one())


@pytest.mark.parametrize("header", HOSTILE_HEADERS, ids=lambda header: ascii(header[:24]))
async def test_no_header_takes_an_attempt_back(companion: Companion, olga: Person, header: bytes) -> None:
    """Each wrong code counts, however its audit entry has to be written."""
    await olga.is_protected()
    half = companion.person()
    half.secret = olga.secret
    await half.signs_in()
    for _ in range(6):
        answer = await post(half, "/sign-in/second-factor", {"code": "000000", "next": "/"}, header)
        assert answer.status == 400
    right = await half.fills("/sign-in/second-factor", code=half.code())
    assert right.status == 400
    assert await count(olga.store, "second_factor_failed") == 5


async def test_no_header_takes_a_password_attempt_back(companion: Companion, olga: Person) -> None:
    await olga.has_account()
    for number in range(7):
        form = {"email": OLGA, "password": WRONG, "next": "/"}
        answer = await post(companion.person(), "/sign-in", form, HOSTILE_HEADERS[number % len(HOSTILE_HEADERS)])
        assert answer.status == 400
    assert (await companion.person().signs_in()).status == 400


async def test_an_attempt_counts_although_judging_it_failed(
    companion: Companion, olga: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever breaks while a code is judged: the reservation is there before."""

    async def broken(*_: object) -> bool:
        raise RuntimeError

    await olga.is_protected()
    half = companion.person()
    half.secret = olga.secret
    await half.signs_in()
    with monkeypatch.context() as patch:
        patch.setattr("teslafi_companion.domain.accounts.totp.use_code", broken)
        for _ in range(6):
            await half.send("POST", "/sign-in/second-factor", {"code": "000000", "next": "/"})
    assert (await half.fills("/sign-in/second-factor", code=half.code())).status == 400


TEXTS = st.text(st.characters(), max_size=60)
CONTENT = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS | st.binary(max_size=20) | st.just({1, 2}),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
async def test_nothing_is_too_strange_for_the_audit_log(store: Store) -> None:
    details: list[Mapping[str, Any]] = []

    @given(st.dictionaries(TEXTS, CONTENT, max_size=4))
    @hypothesis_settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
    def collect(detail: Mapping[str, Any]) -> None:
        details.append(detail)

    collect()
    details += [{"agent": "\udcff\ud800\x00"}, {"agent": "x" * 100_000}, {"deep": json.loads("[" * 500 + "]" * 500)}]
    async with store.transaction() as transaction:
        for detail in details:
            record(transaction, "strange", detail=detail)
    report = await check_chain(store)
    assert (report.rows, report.faults) == (len(details), ())
    async with store.reading() as transaction:
        for entry in (await transaction.rows(select(audit.c.account_id)))[:1]:
            assert entry.account_id is None


# Lockouts


async def attack(companion: Companion) -> None:
    """Guess from ever new networks, as often as it is let, for days."""
    companion.store.settings = replace(companion.store.settings, trusted_proxies=("127.0.0.0/8",))
    stranger = companion.person()
    for number in range(130):
        await stranger.send(
            "POST",
            "/sign-in",
            {"email": OLGA, "password": WRONG, "next": "/"},
            **{"X-Forwarded-For": f"203.0.{number // 250}.{number % 250}"},
        )
        companion.clock.advance(hours=1, seconds=1)


async def test_no_stranger_locks_an_account_for_good(companion: Companion, olga: Person) -> None:
    """Under attack a reset gets through, and when strangers rest for a day, so does the password."""
    await olga.has_account()
    await attack(companion)
    async with olga.store.reading() as transaction:
        locked = [row._asdict() for row in await transaction.rows(select(throttle))]
    assert (await olga.signs_in()).status == 400
    await olga.opens("/forgotten-password")
    await olga.fills("/forgotten-password", email=OLGA)
    await olga.opens(await olga.link_in("Choose a new password"))
    await olga.fills("/forgotten-password/new", password=OTHER_PASSWORD)
    # A completed reset forgives: any browser comes in with the new password, until strangers begin again
    assert (await companion.person().signs_in(password=OTHER_PASSWORD)).heading == "Your account"
    # The browser that did it comes in by its own counter: strangers go on locking theirs
    for _ in range(12):
        await companion.person().signs_in(password=WRONG)
    assert (await companion.person().signs_in(password=OTHER_PASSWORD)).status == 400
    assert (await olga.signs_in(password=OTHER_PASSWORD)).heading == "Your account"
    # As if there had been no reset
    async with olga.store.transaction() as transaction:
        await transaction.execute(delete(throttle))
        for row in locked:
            await transaction.execute(insert(throttle).values(row))
    assert (await companion.person().signs_in(password=OTHER_PASSWORD)).status == 400
    companion.clock.advance(hours=24)
    assert (await companion.person().signs_in(password=OTHER_PASSWORD)).heading == "Your account"


async def test_a_known_device_gets_in_whatever_its_network_does(companion: Companion, olga: Person) -> None:
    await olga.has_account()
    await olga.signs_in()
    await olga.fills("/sign-out")
    neighbour = companion.person()
    for number in range(25):
        await neighbour.signs_in(f"nobody{number}@example.org", WRONG)
    assert (await neighbour.signs_in()).status == 429
    assert (await olga.signs_in()).heading == "Your account"


async def test_who_knows_the_password_does_not_lock_the_owners_step_up(companion: Companion, olga: Person) -> None:
    """The second factor's counters of strangers, of known devices and of step-ups are apart."""
    await olga.is_protected()
    stranger = companion.person()
    olga.clock.advance(minutes=6)
    await stranger.signs_in()
    for _ in range(6):
        await stranger.fills("/sign-in/second-factor", code="000000")
    await olga.opens("/account/export")
    assert (await olga.confirms()).heading != "Confirm that it's you"
    await olga.fills("/sign-out")
    for _ in range(3):
        await stranger.signs_in()
        await stranger.fills("/sign-in/second-factor", code="000000")
    await olga.signs_in()
    assert (await olga.fills("/sign-in/second-factor", code=olga.code())).heading == "Your account"


async def test_an_operators_removal_ends_the_locks_of_the_second_factor(companion: Companion, olga: Person) -> None:
    await olga.is_protected()
    stranger = companion.person()
    await stranger.signs_in()
    for _ in range(12):
        await stranger.fills("/sign-in/second-factor", code="000000")
    async with olga.store.transaction() as transaction:
        owner = await find(transaction, OLGA)
        assert owner is not None
        await ask_removal(transaction, owner)
    olga.clock.advance(hours=72)
    await keep_house(olga.store)
    olga.secret = ""
    await companion.person().signs_in()
    browser = companion.person()
    await browser.signs_in()
    await browser.sets_up_app()
    other = companion.person()
    other.secret = browser.secret
    await other.signs_in()
    assert (await other.fills("/sign-in/second-factor", code=other.code())).heading == "Your account"


# What limits tell and what they cost others


async def test_unknown_addresses_count_like_known_ones(companion: Companion, olga: Person) -> None:
    await olga.has_account()
    admitted: list[int] = []
    for address in (OLGA, "nobody@example.org"):
        companion.store.settings = replace(companion.store.settings, trusted_proxies=("127.0.0.0/8",))
        stranger = companion.person()
        made = 0
        while made < 60:
            answer = await stranger.send(
                "POST",
                "/sign-in",
                {"email": address, "password": WRONG, "next": "/"},
                **{"X-Forwarded-For": f"198.51.100.{len(admitted)}"},
            )
            if answer.status == 429:
                break
            made += 1
        admitted.append(made)
    assert admitted[0] == admitted[1] == 20


async def test_mail_budgets_are_one_for_each_purpose(companion: Companion, olga: Person) -> None:
    """Whoever asks for sign-ups with her address does not take her reset away."""
    await olga.has_account()
    stranger = companion.person()
    for _ in range(8):
        await stranger.send("POST", "/sign-up", {"email": OLGA, "password": PASSWORD})
    await olga.opens("/forgotten-password")
    assert (await olga.fills("/forgotten-password", email=OLGA)).heading == "Check your email"
    assert "Choose a new password" in [mail.subject for mail in await olga.mails()]


async def test_strangers_who_ask_for_resets_do_not_take_hers_away(companion: Companion, olga: Person) -> None:
    """What is over the budget looks the same, and the links in the mails that she has got go on working."""
    await olga.has_account()
    await olga.opens("/forgotten-password")
    await olga.fills("/forgotten-password", email=OLGA)
    link = await olga.link_in("Choose a new password")
    stranger = companion.person()
    answers = [await stranger.send("POST", "/forgotten-password", {"email": OLGA}) for _ in range(6)]
    assert {answer.status for answer in answers} == {200}
    mails = [mail for mail in await olga.mails() if mail.subject == "Choose a new password"]
    assert len(mails) == 3
    await olga.opens(link)
    page = await olga.fills("/forgotten-password/new", password=OTHER_PASSWORD)
    assert page.heading == "Your password was changed"


async def test_a_request_that_took_too_long_costs_its_owner_no_attempt(
    companion: Companion, olga: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The deadline of requests is trouble of ours as well. Her network has had the work, and that stays counted.

    It comes when her password is being verified, however long this machine took so far.
    """
    deadlines: list[asyncio.Timeout] = []

    def deadline(_seconds: float) -> asyncio.Timeout:
        deadlines.append(asyncio.timeout(None))
        return deadlines[-1]

    async def hangs(*_: object, **__: object) -> bool:
        deadlines[-1].reschedule(asyncio.get_running_loop().time())
        await asyncio.Event().wait()
        raise AssertionError

    await olga.has_account()
    with monkeypatch.context() as patch:
        patch.setattr("teslafi_companion.domain.accounts.passwords.Passwords.verify", hangs)
        patch.setattr("teslafi_companion.http.door.asyncio", SimpleNamespace(**vars(asyncio) | {"timeout": deadline}))
        for _ in range(7):
            page = await olga.signs_in()
            assert (page.status, page.headers["Retry-After"]) == (503, "30")
    async with olga.store.reading() as transaction:
        rows = await transaction.rows(select(throttle.c.scope, throttle.c.attempts))
    assert {row.scope: row.attempts for row in rows}["sign-in-stranger"] == 0
    assert {row.scope: row.attempts for row in rows}["sign-in-network"] > 0
    assert (await olga.signs_in()).heading == "Your account"


async def test_an_owner_who_is_signed_in_waits_for_no_stranger(
    companion: Companion, olga: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Confirming who she is has the threads of known devices, however many strangers guess."""
    await olga.has_account()
    await olga.signs_in()
    await olga.opens("/account/export")
    verify = Passwords.verify

    async def full_of_strangers(passwords: Passwords, phc: str | None, password: str, *, known: bool = False) -> bool:
        if not known:
            raise PasswordsBusy
        return await verify(passwords, phc, password, known=known)

    monkeypatch.setattr(Passwords, "verify", full_of_strangers)
    assert (await companion.person().signs_in()).status == 503
    assert (await olga.confirms()).status == 200


async def test_our_own_trouble_costs_nobody_a_mail(
    companion: Companion, olga: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over the budget it would look as if a mail were sent."""

    async def gone(*_: object) -> None:
        raise StoreUnreachable

    await olga.has_account()
    with monkeypatch.context() as patch:
        patch.setattr("teslafi_companion.domain.accounts.account.ask_reset", gone)
        for _ in range(12):
            assert (await olga.send("POST", "/forgotten-password", {"email": OLGA})).status == 503
    await olga.send("POST", "/forgotten-password", {"email": OLGA})
    assert "Choose a new password" in [mail.subject for mail in await olga.mails()]


async def test_our_own_trouble_uses_up_no_link(
    companion: Companion, olga: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever presses the button of a mail's page again and again while we are busy gets through when we are not."""

    async def busy(*_: object, **__: object) -> None:
        raise PasswordsBusy

    async def gone(*_: object, **__: object) -> None:
        raise StoreUnreachable

    await olga.opens("/sign-up")
    await olga.fills("/sign-up", email=OLGA)
    for page, subject, purpose in (
        ("/sign-up/confirm", "Confirm your address", "confirm_sign_up"),
        ("/forgotten-password/new", "Choose a new password", "reset_password"),
    ):
        await olga.opens(await olga.link_in(subject))
        form = olga.page.form(page).values | {"password": PASSWORD}
        for name, trouble in (
            ("passwords.Passwords.judge", busy),
            ("passwords.Passwords.hash", busy),
            (f"account.{purpose}", gone),
        ):
            with monkeypatch.context() as patch:
                patch.setattr(f"teslafi_companion.domain.accounts.{name}", trouble)
                for _ in range(LINK_TRIES.attempts):
                    assert (await olga.send("POST", page, form)).status == 503
        assert (await olga.send("POST", page, form)).status == 200
        await olga.opens("/forgotten-password")
        await olga.fills("/forgotten-password", email=OLGA)


async def test_our_own_trouble_costs_nobody_an_attempt(
    companion: Companion, olga: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def busy(*_: object, **__: object) -> bool:
        raise PasswordsBusy

    await olga.has_account()
    with monkeypatch.context() as patch:
        patch.setattr("teslafi_companion.domain.accounts.passwords.Passwords.verify", busy)
        for _ in range(30):
            page: Page = await olga.signs_in()
            assert (page.status, page.headers["Retry-After"]) == (503, "5")
    assert (await olga.signs_in()).heading == "Your account"
    await olga.opens("/account/export")
    with monkeypatch.context() as patch:
        patch.setattr("teslafi_companion.domain.accounts.passwords.Passwords.verify", busy)
        csrf = olga.page.form("/step-up").values
        for _ in range(10):
            answer = await olga.send("POST", "/step-up", csrf | {"password": PASSWORD})
            assert answer.status == 503
    assert (await olga.confirms()).heading != "Confirm that it's you"


async def test_trouble_with_the_database_costs_nobody_an_attempt(
    companion: Companion, olga: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def gone(*_: object, **__: object) -> None:
        raise StoreUnreachable

    await olga.is_protected()
    half = companion.person()
    half.secret = olga.secret
    with monkeypatch.context() as patch:
        patch.setattr("teslafi_companion.domain.accounts.account.password_of", gone)
        for _ in range(30):
            assert (await half.signs_in()).status == 503
    await half.signs_in()
    with monkeypatch.context() as patch:
        patch.setattr("teslafi_companion.domain.accounts.totp.use_code", gone)
        for _ in range(10):
            assert (await half.send("POST", "/sign-in/second-factor", {"code": "000000"})).status == 503
    await half.opens("/sign-in/second-factor")
    assert (await half.fills("/sign-in/second-factor", code=half.code())).heading == "Your account"


async def test_who_is_over_a_limit_fills_no_log(companion: Companion, olga: Person) -> None:
    await olga.has_account()
    stranger = companion.person()
    form = {"email": OLGA, "password": WRONG, "next": "/"}
    for _ in range(4):
        await asyncio.gather(*[stranger.send("POST", "/sign-in", form) for _ in range(25)])
    assert await count(olga.store, "sign_in_network_locked") == 1
    assert await count(olga.store, "sign_in_locked") == 1
    assert await count(olga.store, "sign_in_failed") == 5


async def test_notices_are_not_toggled_for_ever(olga: Person) -> None:
    await olga.has_account()
    await olga.signs_in()
    before = len(await olga.mails())
    await olga.opens("/account/security")
    form = olga.page.form("/account/security/notices").values
    answers = []
    for number in range(30):
        wanted = {"login_notices": "on"} if number % 2 else {"login_notices": ""}
        answers.append(await olga.send("POST", "/account/security/notices", form | wanted))
    assert {answer.status for answer in answers} == {303, 429}
    assert len(await olga.mails()) - before <= 5
    assert await count(olga.store, "login_notices_set") <= 10


async def test_who_is_signed_in_fills_neither_log_nor_mail(companion: Companion, olga: Person) -> None:
    """Anybody may have an account. What one network does in it is bounded, whatever page it is sent to."""
    await olga.is_protected()
    await olga.opens("/account/security/recovery-codes")
    await olga.confirms()
    form = olga.page.form("/account/security/recovery-codes").values
    mails = len(await olga.mails())
    sent = [await olga.send("POST", "/account/security/recovery-codes", form) for _ in range(CHANGES.attempts + 30)]
    answers = [answer.status for answer in sent]
    assert set(answers) == {200, 429}
    assert answers.count(200) <= CHANGES.attempts
    assert await count(olga.store, "recovery_codes_made") <= CHANGES.attempts
    assert len(await olga.mails()) - mails <= CHANGES.attempts
    assert (await olga.send("POST", "/account/language", form)).status == 429, "any page's"
    assert (await olga.opens("/account")).heading == "Your account"
    # Whoever stole a session takes her nothing: elsewhere she goes on, and here in ten minutes
    companion.store.settings = replace(companion.store.settings, trusted_proxies=("127.0.0.0/8",))
    elsewhere = {"X-Forwarded-For": "203.0.113.7"}
    assert (await olga.send("POST", "/account/language", form, **elsewhere)).status == 303
    companion.clock.advance(minutes=10)
    assert (await olga.send("POST", "/account/language", form)).status == 303


async def test_the_activity_page_reads_a_page_of_rows(olga: Person) -> None:
    await olga.has_account()
    await olga.signs_in()
    async with olga.store.transaction() as transaction:
        owner = await find(transaction, OLGA)
        assert owner is not None
        for number in range(450):
            record(transaction, "sign_in_failed", account_id=owner.id, detail={"address": f"192.0.2.{number}"})
    page = await olga.opens("/account/activity")
    seen = page.text.count("192.0.2.")
    assert 90 < seen <= 100
    while "Older" in page.text:
        page = await olga.opens(
            page.text.split('href="/account/activity?before=')[1].split('"')[0].join(["/account/activity?before=", ""])
        )
        seen += page.text.count("192.0.2.")
    assert seen == 450
    for strange in ("-1", "%C2%B2", "x", "9" * 400, "%ff"):
        assert (await olga.opens(f"/account/activity?before={strange}")).status == 200
    async with olga.store.reading() as transaction:
        assert len(await entries_of(transaction, owner.id, timedelta(days=1))) > 450
