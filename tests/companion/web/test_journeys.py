"""What people do with their account, from signing up to deleting it."""

from dataclasses import replace
import json
import re

import pytest

from teslafi_companion.audit import check_chain, entries_of
from teslafi_companion.domain.accounts.account import Account, find
from teslafi_companion.domain.accounts.factors import ask_removal
from teslafi_companion.domain.links.links import Proof
from teslafi_companion.domain.links.scopes import Acr
from teslafi_companion.http.pages.words import EVENTS, KINDS
from teslafi_companion.work.housekeeping import keep_house

from ..oauth.linking import INSTANCE, link_up
from .person import OLGA, OTHER_PASSWORD, PASSWORD, Companion, Person

pytestmark = pytest.mark.slow


async def account_of(person: Person, email: str = OLGA) -> Account:
    """Return an account as it is stored."""
    async with person.store.reading() as transaction:
        found = await find(transaction, email)
    assert found is not None
    return found


async def subjects(person: Person) -> list[str]:
    """Return what the mails are about."""
    return [mail.subject for mail in await person.mails()]


async def test_signing_up_and_in(olga: Person) -> None:
    await olga.opens("/")
    await olga.opens("/sign-up")
    page = await olga.fills("/sign-up", email="no address")
    assert "name@example.org" in page.error
    page = await olga.fills("/sign-up", email=OLGA)
    assert page.heading == "Check your email"

    page = await olga.signs_in()
    assert page.status == 400  # nothing is confirmed yet
    link = await olga.link_in("Confirm your address")
    assert (await olga.opens(link)).heading == "Choose your password"
    page = await olga.fills("/sign-up/confirm", password="short")
    assert (page.status, page.error[:28]) == (400, "Use at least 15 characters. ")
    page = await olga.fills("/sign-up/confirm", password=PASSWORD)
    assert page.heading == "Your account is ready"
    assert (await olga.opens(link)).heading == "This link no longer works"

    page = await olga.signs_in()
    assert page.heading == "Your account"
    assert "Set up an authenticator app" in page.text
    assert await subjects(olga) == ["Confirm your address", "New sign-in"]
    notice = (await olga.mails())[-1]
    for words in ("Firefox (Linux)", "127.0.0.1", "new, not used", "o…@example.org", "November 23, 2026, 12:00 UTC"):
        assert words in notice.text
    assert "token" not in notice.text


async def test_a_link_confirms_nothing_by_being_opened(olga: Person) -> None:
    """Mail scanners open links."""
    await olga.opens("/sign-up")
    await olga.fills("/sign-up", email=OLGA)
    link = await olga.link_in("Confirm your address")
    for _ in range(3):
        await olga.opens(link)
    async with olga.store.reading() as transaction:
        assert await find(transaction, OLGA) is None


async def test_links_expire(olga: Person) -> None:
    await olga.opens("/sign-up")
    await olga.fills("/sign-up", email=OLGA)
    await olga.opens(await olga.link_in("Confirm your address"))
    olga.clock.advance(hours=24)
    page = await olga.fills("/sign-up/confirm", password=PASSWORD)
    assert page.heading == "This link no longer works"


async def test_two_factor_from_set_up_to_signing_in(olga: Person, companion: Companion) -> None:
    await olga.has_account()
    await olga.signs_in()
    await olga.sets_up_app()
    first = olga.shown_codes()
    assert len(first) == 8, "right after the app was set up"
    assert (await subjects(olga))[-2:] == ["Your two-factor authentication was changed", "New recovery codes"]
    codes = await olga.makes_recovery_codes()
    assert len(codes) == 8
    assert set(codes).isdisjoint(first)
    page = await olga.fills("/account/security/recovery-codes/kept", code=first[0])
    assert page.status == 400
    page = await olga.fills("/account/security/recovery-codes/kept", code="wrong")
    assert page.status == 400
    page = await olga.fills("/account/security/recovery-codes/kept", code=codes[0].lower().replace("-", " "))
    assert "Your authenticator app is set up." in page.text
    assert (await account_of(olga)).has_totp
    assert (await subjects(olga))[-2:] == ["New recovery codes", "New recovery codes"]

    other = companion.person()
    other.secret = olga.secret
    page = await other.signs_in()
    assert page.heading == "Your second factor"
    assert (await other.opens("/account")).heading == "Sign in"  # half signed in is not signed in
    await other.opens("/sign-in/second-factor")
    page = await other.fills("/sign-in/second-factor", code="000000")
    assert (page.status, page.error[:18]) == (400, "This is not correc")
    code = other.code()
    assert (await other.fills("/sign-in/second-factor", code=f"{code[:3]} {code[3:]}")).heading == "Your account"

    third = companion.person()
    await third.signs_in()
    assert (await third.fills("/sign-in/second-factor", code=code)).status == 400  # spent
    page = await third.fills("/sign-in/second-factor", recovery_code=codes[1])
    assert page.heading == "Your account"
    assert "A recovery code was used" in await subjects(olga)
    fourth = companion.person()
    await fourth.signs_in()
    assert (await fourth.fills("/sign-in/second-factor", recovery_code=codes[1])).status == 400  # spent


async def test_removing_the_only_factor_voids_the_codes(olga: Person) -> None:
    await olga.has_account()
    await olga.signs_in()
    await olga.sets_up_app()
    await olga.makes_recovery_codes()
    await olga.opens("/account/security/app/remove")
    assert "your recovery codes stop working" in " ".join(olga.page.text.split())
    await olga.fills("/account/security/app/remove")
    assert not (await account_of(olga)).has_second_factor
    page = await olga.opens("/account/security")
    assert "Recovery codes" not in page.text


async def test_a_forgotten_password(olga: Person, companion: Companion) -> None:
    await olga.has_account()
    await olga.signs_in()
    await olga.sets_up_app()
    lost = companion.person()
    lost.secret = olga.secret
    await lost.opens("/forgotten-password")
    assert (await lost.fills("/forgotten-password", email=OLGA.upper())).heading == "Check your email"
    await lost.opens(await lost.link_in("Choose a new password"))
    assert lost.page.heading == "Choose a new password"
    page = await lost.fills("/forgotten-password/new", password=OTHER_PASSWORD, code="000000")
    assert page.error.startswith("This is not correc")
    page = await lost.fills("/forgotten-password/new", password="password1234", code=lost.code())
    assert "too easy to guess" in page.error
    page = await lost.fills("/forgotten-password/new", password=OTHER_PASSWORD, code=lost.code())
    assert page.heading == "Your password was changed"
    assert (await olga.opens("/account")).heading == "Sign in"  # every session has ended
    assert (await lost.signs_in(password=OTHER_PASSWORD)).heading == "Your second factor"


@pytest.mark.parametrize("minutes", [29, 30])
async def test_a_reset_link_lasts_half_an_hour(olga: Person, minutes: int) -> None:
    await olga.has_account()
    await olga.opens("/forgotten-password")
    await olga.fills("/forgotten-password", email=OLGA)
    link = await olga.link_in("Choose a new password")
    olga.clock.advance(minutes=minutes)
    works = (await olga.opens(link)).heading == "Choose a new password"
    assert works is (minutes < 30)


async def test_a_changed_password_signs_the_others_out(olga: Person, companion: Companion) -> None:
    await olga.has_account()
    other = companion.person()
    await other.signs_in()
    await olga.signs_in()
    await olga.opens("/account/password")
    await olga.confirms()
    before = olga.client.session.cookie_jar.filter_cookies(olga.client.make_url("/"))["session"].value
    page = await olga.fills("/account/password", password=OTHER_PASSWORD)
    assert "all other sessions were signed out" in page.text
    after = olga.client.session.cookie_jar.filter_cookies(olga.client.make_url("/"))["session"].value
    assert after != before
    assert (await other.opens("/account")).heading == "Sign in"
    assert "Your password was changed" in await subjects(olga)


async def test_a_changed_address(olga: Person) -> None:
    new = "olga.new@example.org"
    await olga.has_account()
    await olga.signs_in()
    await olga.opens("/account/email")
    await olga.confirms()
    page = await olga.fills("/account/email", email=new)
    assert "We sent an email to the new address" in page.text
    assert (await account_of(olga)).email == OLGA
    link = await olga.link_in("Confirm your new address")
    await olga.opens(link)
    assert (await olga.fills("/account/email/confirm")).heading == "Your address was changed"
    assert (await account_of(olga, new)).email == new
    told = [(mail.to, mail.subject) for mail in await olga.mails()]
    assert (OLGA, "Your address is about to change") in told
    assert {(OLGA, "Your address was changed"), (new, "Your address was changed")} <= set(told)


async def test_login_notices_can_be_switched_off_and_security_notices_cannot(olga: Person) -> None:
    await olga.has_account()
    await olga.signs_in()
    assert await subjects(olga) == ["New sign-in"]
    await olga.opens("/account/security")
    form = olga.page.form("/account/security/notices")
    del form.values["login_notices"]
    olga.page = await olga.send("POST", "/account/security/notices", form.values)
    await olga.opens("/account")
    await olga.fills("/sign-out")
    await olga.signs_in()
    assert await subjects(olga) == ["New sign-in", "Sign-in emails are off"]
    await olga.opens("/account/password")
    await olga.confirms()
    await olga.fills("/account/password", password=OTHER_PASSWORD)
    assert (await subjects(olga))[-1] == "Your password was changed"
    await olga.opens("/account/security")
    await olga.fills("/account/security/notices", login_notices="on")
    assert (await account_of(olga)).login_notices


async def test_sessions_are_listed_and_ended(olga: Person, companion: Companion) -> None:
    await olga.has_account()
    others = [companion.person() for _ in range(3)]
    for other in others:
        olga.clock.advance(minutes=1)
        await other.signs_in()
    await olga.signs_in()
    page = await olga.opens("/account/sessions")
    assert page.text.count("Firefox (Linux)") >= 4
    action = next(
        line.split('action="')[1].split('"')[0] for line in page.text.splitlines() if "/account/sessions/0" in line
    )
    await olga.fills(action)
    assert sum([(await other.opens("/account")).heading == "Your account" for other in others]) == 2
    await olga.opens("/account/sessions")
    await olga.fills("/account/sessions/others/end")
    assert [(await other.opens("/account")).heading for other in others] == ["Sign in"] * 3
    assert (await olga.opens("/account")).heading == "Your account"


@pytest.mark.parametrize(("minutes", "alive"), [(59, True), (60, False)])
async def test_a_session_ends_after_an_hour_without_use(olga: Person, minutes: int, *, alive: bool) -> None:
    await olga.has_account()
    await olga.signs_in()
    olga.clock.advance(minutes=minutes)
    assert ((await olga.opens("/account")).heading == "Your account") is alive


async def test_a_session_ends_after_a_day_in_any_case(olga: Person) -> None:
    await olga.has_account()
    await olga.signs_in()
    for _ in range(47):
        olga.clock.advance(minutes=30)
        assert (await olga.opens("/account")).heading == "Your account"
    olga.clock.advance(minutes=30)
    assert (await olga.opens("/account")).heading == "Sign in"


async def test_a_proof_is_fresh_for_five_minutes_and_one_purpose(olga: Person) -> None:
    await olga.has_account()
    await olga.signs_in()
    await olga.opens("/account/export")
    await olga.confirms()
    assert olga.page.heading.startswith("Download")
    assert (await olga.opens("/account/delete")).heading == "Confirm that it's you"
    olga.clock.advance(minutes=5)
    assert (await olga.opens("/account/export")).heading.startswith("Download")
    olga.clock.advance(seconds=1)
    assert (await olga.opens("/account/export")).heading == "Confirm that it's you"
    page = await olga.fills("/step-up", password="wrong")
    assert page.error.startswith("The password is not correct")


async def test_the_export_holds_everything_but_secrets(olga: Person) -> None:
    await olga.has_account()
    await olga.signs_in()
    await olga.sets_up_app()
    owner = await account_of(olga)
    proof = Proof(olga.clock(), Acr.PASSWORD, owner.credential_version)
    await link_up(olga.store, owner.id, proof=proof)
    await olga.opens("/account/export")
    await olga.confirms()
    page = await olga.fills("/account/export")
    content = json.loads(page.text)
    assert page.headers["Content-Disposition"].startswith("attachment")
    assert content["account"]["email"] == OLGA
    assert content["second_factor"]["authenticator_app"] is True
    assert [link["name"] for link in content["links"]] == [INSTANCE.name]
    assert {"sign_in_success", "totp_enrolled"} <= {event["event"] for event in content["events"]}
    assert olga.secret not in page.text
    assert "argon2" not in page.text


async def test_a_deleted_account_leaves_only_the_fact(olga: Person) -> None:
    await olga.has_account()
    await olga.signs_in()
    owner = await account_of(olga)
    await olga.opens("/account/delete")
    await olga.confirms()
    assert (await olga.fills("/account/delete")).heading == "Your account was deleted"
    assert (await olga.opens("/account")).heading == "Sign in"
    async with olga.store.reading() as transaction:
        assert await find(transaction, OLGA) is None
        entries = await entries_of(transaction, owner.id, transaction.policy.audit_retention)
    assert entries[0].event == "account_deleted"
    assert all(not entry.detail for entry in entries)
    assert (await check_chain(olga.store)).faults == ()
    assert (await subjects(olga))[-1] == "Your account was deleted"


async def test_the_activity_page_tells_in_words(olga: Person) -> None:
    await olga.has_account()
    await olga.signs_in(password="a wrong one, sadly so")
    await olga.signs_in()
    page = await olga.opens("/account/activity")
    for words in ("Wrong password", "Signed in", "127.0.0.1", "Firefox (Linux)"):
        assert words in page.text
    assert page.text.count("<h2>") == 1
    olga.clock.advance(hours=25)
    await olga.signs_in()
    page = await olga.opens("/account/activity")
    assert re.findall(r"<h2>(.*?)</h2>", page.text) == ["Tuesday, November 24, 2026", "Monday, November 23, 2026"]
    assert "Account created" in page.text
    page = await olga.opens("/account/activity?kind=sign-ins")
    assert "Account created" not in page.text
    assert "Wrong password" in page.text
    assert "Nothing happened." in (await olga.opens("/account/activity?kind=commands")).text
    assert "Account created" in (await olga.opens("/account/activity?kind=none-of-ours")).text


def test_every_event_that_an_owner_reads_is_of_one_kind() -> None:
    kinds = [event for _, events in KINDS.values() for event in events]
    assert sorted(kinds) == sorted(EVENTS)


@pytest.mark.parametrize(
    ("path", "marked"),
    [
        ("/account", 'href="/account" aria-current="page"'),
        ("/account/email", 'href="/account" aria-current="true"'),
        ("/account/security", 'href="/account/security" aria-current="page"'),
        ("/account/security/app", 'href="/account/security" aria-current="true"'),
        ("/links", 'href="/links" aria-current="page"'),
        ("/account/sessions", 'href="/account/sessions" aria-current="page"'),
        ("/account/activity", 'href="/account/activity" aria-current="page"'),
    ],
)
async def test_the_menu_marks_where_one_is(olga: Person, path: str, marked: str) -> None:
    await olga.has_account()
    await olga.signs_in()
    await olga.opens(path)
    if olga.page.heading.startswith("Confirm"):
        await olga.confirms()
    assert marked in olga.page.text
    assert olga.page.text.split("<main")[0].count("aria-current") == 1


@pytest.mark.parametrize(
    ("path", "subject"), [("/sign-up", "Confirm your address"), ("/forgotten-password", "Choose a new password")]
)
async def test_a_mail_is_sent_again_by_a_button_and_not_without_end(olga: Person, path: str, subject: str) -> None:
    if path != "/sign-up":
        await olga.has_account()
    await olga.opens(path)
    await olga.fills(path, email=OLGA)
    for _ in range(4):
        assert olga.page.heading == "Check your email"
        await olga.fills(path)
    assert (await subjects(olga)).count(subject) == 3


async def test_after_signing_in_one_is_where_one_wanted_to_be(olga: Person) -> None:
    await olga.has_account()
    page = await olga.opens("/account/sessions")
    assert page.heading == "Sign in"
    page = await olga.fills("/sign-in", email=OLGA, password=PASSWORD)
    assert page.heading == "Where you're signed in"


@pytest.mark.parametrize(
    "elsewhere", ["https://evil.example", "//evil.example", "/\\evil.example", "javascript:alert(1)", "/x\r\ny", ""]
)
async def test_nobody_is_sent_elsewhere_after_signing_in(olga: Person, elsewhere: str) -> None:
    await olga.has_account()
    await olga.opens("/sign-in")
    form = olga.page.form("/sign-in")
    answer = await olga.send("POST", "/sign-in", form.values | {"email": OLGA, "password": PASSWORD, "next": elsewhere})
    assert (answer.status, answer.headers["Location"]) == (303, "/account")


async def test_an_operators_removal_happens_after_its_delay(olga: Person) -> None:
    """Announced by mail, seen on the account's pages, carried out after three days, told again."""
    await olga.has_account()
    await olga.signs_in()
    await olga.sets_up_app()
    await olga.makes_recovery_codes()
    async with olga.store.transaction() as transaction:
        owner = await find(transaction, OLGA)
        assert owner is not None
        await ask_removal(transaction, owner)
    assert "will be removed on <time datetime=" in (await olga.opens("/account")).text
    assert ">November 26, 2026, " in olga.page.text
    olga.clock.advance(hours=72, seconds=-1)
    await keep_house(olga.store)
    assert (await account_of(olga)).has_totp
    olga.clock.advance(seconds=1)
    await keep_house(olga.store)
    assert not (await account_of(olga)).has_second_factor
    assert (await subjects(olga))[-1] == "Your two-factor authentication was removed"
    assert (await olga.signs_in()).heading == "Your account"


async def test_the_owner_keeps_the_second_factor(olga: Person) -> None:
    await olga.has_account()
    await olga.signs_in()
    await olga.sets_up_app()
    async with olga.store.transaction() as transaction:
        owner = await find(transaction, OLGA)
        assert owner is not None
        await ask_removal(transaction, owner)
    await olga.opens("/account")
    page = await olga.fills("/account/security/keep")
    assert "stays on" in page.text
    olga.clock.advance(hours=80)
    await keep_house(olga.store)
    assert (await account_of(olga)).has_totp


async def test_many_sign_ins_are_told_together(olga: Person, companion: Companion) -> None:
    """Five mails in an hour, and one at its end about the others."""
    await olga.has_account()
    for _ in range(8):
        await companion.person().signs_in()
    assert await subjects(olga) == ["New sign-in"] * 5
    olga.clock.advance(hours=1)
    assert await subjects(olga) == [*["New sign-in"] * 5, "3 more sign-ins"]


@pytest.mark.parametrize(("drift", "late", "right"), [(1, 30, True), (1, 60, False), (0, 0, True), (0, 30, False)])
async def test_how_late_a_code_may_be_is_a_setting(
    olga: Person, companion: Companion, drift: int, late: int, *, right: bool
) -> None:
    await olga.has_account()
    await olga.signs_in()
    await olga.sets_up_app()
    settings = olga.store.settings
    olga.store.settings = replace(settings, policy=replace(settings.policy, totp_drift_steps=drift))
    other = companion.person()
    await other.signs_in()
    other.secret = olga.secret
    code = other.code()
    other.clock.advance(seconds=late)
    page = await other.fills("/sign-in/second-factor", code=code)
    assert (page.heading == "Your account") is right
