"""Who signs up with somebody else's address gets nothing of what its owner then confirms."""

from sqlalchemy import func, select

from teslafi_companion.domain.accounts import account
from teslafi_companion.domain.accounts.account import SIGN_UP, find
from teslafi_companion.mail import outbox
from teslafi_companion.store.tables import mail_link

from ..companion.web.person import OLGA, OTHER_PASSWORD, PASSWORD, Companion, Person, make_phc


async def test_the_password_is_that_of_who_has_the_mail(companion: Companion, olga: Person) -> None:
    stranger = companion.person()
    await stranger.send("POST", "/sign-up", {"email": OLGA, "password": OTHER_PASSWORD})
    await olga.opens(await olga.link_in("Confirm your address"))
    page = await olga.fills("/sign-up/confirm", password=PASSWORD)
    assert page.heading == "Your account is ready"
    assert (await stranger.signs_in(password=OTHER_PASSWORD)).status == 400
    assert (await olga.signs_in(password=PASSWORD)).heading == "Your account"


async def test_a_password_that_an_older_version_took_at_the_sign_up_counts_no_more(
    companion: Companion, olga: Person
) -> None:
    """Version 0.1.0 put the stranger's password into the outbox and behind the link."""
    phc = await make_phc(olga.store, OTHER_PASSWORD)
    async with olga.store.transaction() as transaction:
        await outbox.ask(transaction, SIGN_UP, {"email": OLGA, "phc": phc})
    await olga.opens(await olga.link_in("Confirm your address"))
    await olga.fills("/sign-up/confirm", password=PASSWORD)
    assert (await companion.person().signs_in(password=OTHER_PASSWORD)).status == 400
    assert (await olga.signs_in(password=PASSWORD)).heading == "Your account"


async def test_of_several_sign_ups_one_account_comes(companion: Companion, olga: Person) -> None:
    """Links that strangers had mailed make no second account, and change no password."""
    for _ in range(2):
        await companion.person().send("POST", "/sign-up", {"email": OLGA})
    links = [mail.text.split("?token=")[1].split()[0] for mail in await olga.mails()]
    for token, password in zip(links, (PASSWORD, OTHER_PASSWORD), strict=True):
        await olga.opens(f"/sign-up/confirm?token={token}")
        await olga.fills("/sign-up/confirm", password=password)
    assert (await olga.signs_in(password=PASSWORD)).heading == "Your account"
    assert (await companion.person().signs_in(password=OTHER_PASSWORD)).status == 400
    async with olga.store.reading() as transaction:
        assert await find(transaction, OLGA) is not None


async def test_links_that_nobody_used_are_dropped(companion: Companion, olga: Person) -> None:
    await companion.person().send("POST", "/sign-up", {"email": OLGA})
    await olga.mails()
    olga.clock.advance(hours=25)
    async with olga.store.transaction() as transaction:
        await account.purge_links(transaction)
        left = await transaction.execute(select(func.count()).select_from(mail_link))
        assert left.scalar_one() == 0


async def test_everything_is_signed_out_by_one_button(companion: Companion, olga: Person) -> None:
    """Sessions, known devices and links; the browser that pressed it stays."""
    await olga.has_account()
    other = companion.person()
    await other.signs_in()
    await olga.signs_in()
    await olga.opens("/account/sessions")
    page = await olga.fills("/account/sessions/everywhere/end")
    assert "All other browsers were signed out" in page.text
    assert (await other.opens("/account")).heading == "Sign in"
    assert (await olga.opens("/account")).heading == "Your account"
