"""Subscribing, coming back and managing, as somebody with a browser does it."""

from html import unescape
import json
import re

import aiohttp
import pytest
from yarl import URL

from teslafi_companion.store.tables import billing_portal
from teslafi_companion.work.billing import BillingWorker
from teslafi_simulators.chargebee import ChargebeeSimulator

from ..clock import ManualClock
from ..web.person import Companion, Page, Person
from .conftest import PRICE
from .test_mirror import reason_of, settle

pytestmark = pytest.mark.slow


def said(page: Page) -> str:
    """Return the page's text."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", page.text)).split())


async def goes_to_checkout(olga: Person, price: str = PRICE) -> str:
    """Press *Subscribe*; return the address of the hosted page."""
    await olga.opens("/account")
    form = olga.page.form("/account/subscription/checkout")
    page = await olga.send("POST", form.action, form.values | {"price": price})
    assert page.status == 303, page.text
    return page.headers["Location"]


async def presses(address: str, button: str) -> str:
    """Press a button of the hosted page; return where it leads back to."""
    async with (
        aiohttp.ClientSession() as browser,
        browser.post(f"{address}{button}", allow_redirects=False) as answer,
    ):
        return URL(answer.headers["Location"]).raw_path_qs


async def test_subscribing(olga: Person, chargebee: ChargebeeSimulator) -> None:
    await olga.opens("/account")
    assert "You have no subscription." in said(olga.page)
    assert chargebee.url in olga.page.headers["Content-Security-Policy"]
    back = await presses(await goes_to_checkout(olga), "pay")
    await olga.opens(back)
    text = said(olga.page)
    assert "Thank you. Your subscription is active." in text
    assert "Plan Controls, monthly" in text
    assert "State at Chargebee active" in text
    assert "Renews" in text
    assert next(iter(chargebee.site.hosted_pages.values())).state == "acknowledged"
    assert "/account/subscription/checkout" not in olga.page.text, "nobody pays twice"


async def test_cancelling_the_checkout(olga: Person) -> None:
    await olga.opens(await presses(await goes_to_checkout(olga), "cancel"))
    assert "Nothing was paid." in said(olga.page)


async def test_a_closed_tab_loses_nothing(olga: Person, chargebee: ChargebeeSimulator, worker: BillingWorker) -> None:
    await presses(await goes_to_checkout(olga), "pay")
    await chargebee.sender.deliver()
    await settle(worker)
    await olga.opens("/account")
    assert "Your subscription is active." in said(olga.page)


async def test_the_return_of_somebody_else_is_nothing(
    olga: Person, companion: Companion, chargebee: ChargebeeSimulator
) -> None:
    back = await presses(await goes_to_checkout(olga), "pay")
    erik = await companion.person().has_account("erik@example.org")
    await erik.signs_in("erik@example.org")
    await erik.opens(back)
    assert "You have no subscription." in said(erik.page)
    stranger = companion.person()
    await stranger.opens(back)
    assert stranger.page.heading == "Sign in"


async def test_a_return_of_another_session_is_only_the_accounts_page(olga: Person, companion: Companion) -> None:
    back = await presses(await goes_to_checkout(olga), "pay")
    again = companion.person()
    await again.signs_in()
    await again.opens(back)
    assert "Thank you" not in said(again.page)


async def test_what_the_address_says_counts_for_nothing(olga: Person) -> None:
    address = await goes_to_checkout(olga)
    page_id = URL(address).path.strip("/").rpartition("/")[2]
    await olga.opens(f"/account/subscription/return?id={page_id}&state=succeeded")
    assert "Nothing was paid." in said(olga.page)
    await olga.opens("/account/subscription/return?id=another&state=succeeded")
    assert "You have no subscription." in said(olga.page)


async def test_a_subscription_that_appears_meanwhile_is_not_bought_twice(
    olga: Person, chargebee: ChargebeeSimulator
) -> None:
    await presses(await goes_to_checkout(olga), "pay")
    form = {"csrf": olga.page.form("/account/subscription/checkout").values["csrf"], "price": PRICE}
    page = await olga.send("POST", "/account/subscription/checkout", form)
    assert (page.status, page.headers["Location"]) == (303, "/account")
    assert len(chargebee.site.hosted_pages) == 1


async def test_chargebee_is_out_of_reach_at_the_checkout(olga: Person, chargebee: ChargebeeSimulator) -> None:
    await olga.opens("/account")
    chargebee.gate.down = True
    await olga.fills("/account/subscription/checkout", price=PRICE)
    assert (olga.page.status, olga.page.heading) == (503, "Chargebee does not answer")


async def test_chargebee_is_out_of_reach_at_the_return(
    olga: Person, chargebee: ChargebeeSimulator, worker: BillingWorker, clock: ManualClock
) -> None:
    back = await presses(await goes_to_checkout(olga), "pay")
    chargebee.gate.down = True
    await olga.opens(back)
    assert "Nothing is lost" in said(olga.page)
    chargebee.gate.down = False
    clock.advance(minutes=1)
    await settle(worker)
    await olga.opens("/account")
    assert "Your subscription is active." in said(olga.page)


@pytest.mark.parametrize("price", ["mug-USD-monthly", ""])
async def test_only_what_is_configured_can_be_bought(olga: Person, price: str) -> None:
    await olga.opens("/account")
    form = olga.page.form("/account/subscription/checkout")
    assert (await olga.send("POST", form.action, form.values | {"price": price})).status == 404


async def test_the_portal_needs_a_fresh_proof_and_ends_with_the_session(
    olga: Person, chargebee: ChargebeeSimulator, worker: BillingWorker
) -> None:
    await olga.opens(await presses(await goes_to_checkout(olga), "pay"))
    await olga.opens("/account/subscription/portal")
    await olga.confirms()
    assert olga.page.heading == "Manage the subscription"
    form = olga.page.form("/account/subscription/portal")
    page = await olga.send("POST", form.action, form.values)
    session = next(iter(chargebee.site.portal_sessions.values()))
    assert page.headers["Location"].startswith(f"{chargebee.url}/portal/")
    async with olga.store.reading() as transaction:
        (kept,) = await transaction.rows(billing_portal.select())
    assert session.token not in repr(kept)

    number = chargebee.site.of_customer(session.customer_id)[0].id
    chargebee.site.cancel(number, source="portal")
    await olga.opens("/account/subscription/portal/return")
    assert "Your subscription has ended." in said(olga.page)
    await olga.fills("/sign-out")
    await settle(worker)
    assert session.status == "logged_out"


async def test_a_trial_and_an_announced_end(
    olga: Person, chargebee: ChargebeeSimulator, worker: BillingWorker, clock: ManualClock
) -> None:
    await olga.opens(await presses(await goes_to_checkout(olga, "controls-trial-USD-monthly"), "pay"))
    assert "Your trial is running." in said(olga.page)
    assert "First payment" in said(olga.page)
    (subscription,) = chargebee.site.subscriptions.values()
    chargebee.site.cancel(subscription.id, at_term_end=True)
    await chargebee.sender.deliver()
    await settle(worker)
    await olga.opens("/account")
    assert "goes on until its term ends" in said(olga.page)
    clock.advance(days=14)
    assert (await reason_of(olga)).value in {"expired", "uncertain"}


async def test_the_export_holds_the_subscription_and_the_end_warns(olga: Person) -> None:
    await olga.opens(await presses(await goes_to_checkout(olga), "pay"))
    await olga.opens("/account/export")
    await olga.confirms()
    exported = json.loads((await olga.fills("/account/export")).text)
    assert [(one["status"], one["item_prices"]) for one in exported["subscriptions"]] == [("active", [PRICE])]
    await olga.opens("/account/delete")
    await olga.confirms()
    assert "This does not cancel a subscription." in said(olga.page)
