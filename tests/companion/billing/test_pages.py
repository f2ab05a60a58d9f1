"""Subscribing, coming back and managing, as somebody with a browser does it."""

import asyncio
from html import unescape
import json
import re

import aiohttp
import pytest
from yarl import URL

from teslafi_companion.adapters.chargebee.billing import ChargebeeBilling
from teslafi_companion.domain.billing.port import BillingUnavailable
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


async def comes_back(olga: Person, worker: BillingWorker, back: str) -> None:
    """Come back from a hosted page, and reload when the worker has asked."""
    await olga.opens(back)
    olga.clock.advance(seconds=10)
    await settle(worker)
    await olga.opens(olga.page.path)


async def test_subscribing(olga: Person, chargebee: ChargebeeSimulator, worker: BillingWorker) -> None:
    await olga.opens("/account")
    assert "You have no subscription." in said(olga.page)
    assert chargebee.url in olga.page.headers["Content-Security-Policy"]
    await comes_back(olga, worker, await presses(await goes_to_checkout(olga), "pay"))
    text = said(olga.page)
    assert "Thank you. Your subscription is active." in text
    assert "Plan Controls, monthly" in text
    assert "Status at Chargebee active" in text
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
    olga: Person, companion: Companion, chargebee: ChargebeeSimulator, worker: BillingWorker
) -> None:
    back = await presses(await goes_to_checkout(olga), "pay")
    erik = await companion.person().has_account("erik@example.org")
    await erik.signs_in("erik@example.org")
    await erik.opens(back)
    assert "You have no subscription." in said(erik.page)
    stranger = companion.person()
    await stranger.opens(back)
    assert stranger.page.heading == "Sign in"
    olga.clock.advance(seconds=10)
    await settle(worker)
    assert next(iter(chargebee.site.hosted_pages.values())).state == "succeeded", "only its payer's return counts"


async def test_what_the_address_says_counts_for_nothing(olga: Person, worker: BillingWorker) -> None:
    address = await goes_to_checkout(olga)
    page_id = URL(address).path.strip("/").rpartition("/")[2]
    for identifier in (page_id, "another", "x" * 200, ""):
        await comes_back(olga, worker, f"/account/subscription/return?id={identifier}&state=succeeded")
        assert "You have no subscription." in said(olga.page)
        assert "Thank you" not in said(olga.page)


@pytest.mark.parametrize("path", ["return?id=any", "portal/return", "../../account"])
async def test_pages_that_are_only_opened_ask_nobody(
    olga: Person, chargebee: ChargebeeSimulator, worker: BillingWorker, path: str
) -> None:
    """Two thousand reloads a minute were two thousand questions."""
    await goes_to_checkout(olga)
    olga.clock.advance(hours=1)
    before = len(chargebee.gate.requests)
    for _ in range(20):
        await olga.send("GET", f"/account/subscription/{path}" if "." not in path else "/account")
    assert len(chargebee.gate.requests) == before
    for _ in range(20):
        await settle(worker)
        await olga.send("GET", f"/account/subscription/{path}" if "." not in path else "/account")
    asked = len(chargebee.gate.requests) - before
    assert asked <= 6, "one refresh of the account, and the poll"


async def test_who_has_chargebee_asked_again_and_again_is_told_to_wait(
    olga: Person, chargebee: ChargebeeSimulator
) -> None:
    await olga.opens("/account")
    form = olga.page.form("/account/subscription/checkout")
    pressed = [await olga.send("POST", form.action, form.values | {"price": PRICE}) for _ in range(12)]
    assert [page.status for page in pressed] == [303] * 10 + [429] * 2
    assert all(page.headers["Location"].startswith(chargebee.url) for page in pressed[:10])


async def test_pages_that_wait_hold_up_no_worker(
    billing: ChargebeeBilling, worker: BillingWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Chargebee hangs at what pages ask: the worker's slots are free meanwhile, and who waits for one gives up."""
    hang = asyncio.Event()

    async def answers() -> str:
        return "an answer"

    def patience(seconds: float) -> None:
        monkeypatch.setattr("teslafi_companion.adapters.chargebee.billing.CALL_SECONDS", seconds)

    patience(3600)
    hanging = [asyncio.create_task(billing._once(hang.wait)) for _ in range(40)]  # noqa: SLF001 - as every question
    await asyncio.sleep(0)
    # None of those ends before the worker has asked, which needs nobody's answer
    patience(10)
    assert await worker._billing._once(answers) == "an answer"  # type: ignore[attr-defined] # noqa: SLF001
    patience(0.2)
    with pytest.raises(BillingUnavailable):
        await billing._once(answers)  # noqa: SLF001
    assert not any(one.done() for one in hanging)
    hang.set()
    await asyncio.gather(*hanging)


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
    assert (olga.page.status, olga.page.heading) == (503, "Can't reach Chargebee")


async def test_chargebee_is_out_of_reach_at_the_return(
    olga: Person, chargebee: ChargebeeSimulator, worker: BillingWorker, clock: ManualClock
) -> None:
    back = await presses(await goes_to_checkout(olga), "pay")
    chargebee.gate.down = True
    await olga.opens(back)
    assert "don't pay again" in said(olga.page)
    await settle(worker)
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
    await comes_back(olga, worker, await presses(await goes_to_checkout(olga), "pay"))
    await olga.opens("/account/subscription/portal")
    await olga.confirms()
    assert olga.page.heading == "Manage subscription"
    form = olga.page.form("/account/subscription/portal")
    page = await olga.send("POST", form.action, form.values)
    session = next(iter(chargebee.site.portal_sessions.values()))
    assert page.headers["Location"].startswith(f"{chargebee.url}/portal/")
    async with olga.store.reading() as transaction:
        (kept,) = await transaction.rows(billing_portal.select())
    assert session.token not in repr(kept)

    number = chargebee.site.of_customer(session.customer_id)[0].id
    chargebee.site.cancel(number, source="portal")
    await comes_back(olga, worker, "/account/subscription/portal/return")
    assert "Your subscription has ended." in said(olga.page)
    await olga.fills("/sign-out")
    await settle(worker)
    assert session.status == "logged_out"


async def test_a_trial_and_an_announced_end(
    olga: Person, chargebee: ChargebeeSimulator, worker: BillingWorker, clock: ManualClock
) -> None:
    await comes_back(olga, worker, await presses(await goes_to_checkout(olga, "controls-trial-USD-monthly"), "pay"))
    assert "Your trial is active." in said(olga.page)
    assert "First payment" in said(olga.page)
    (subscription,) = chargebee.site.subscriptions.values()
    chargebee.site.cancel(subscription.id, at_term_end=True)
    await chargebee.sender.deliver()
    await settle(worker)
    await olga.opens("/account")
    assert "ends with its current term" in said(olga.page)
    clock.advance(days=14)
    assert (await reason_of(olga)).value in {"expired", "uncertain"}


async def test_the_export_holds_the_subscription_and_the_end_warns(olga: Person, worker: BillingWorker) -> None:
    await comes_back(olga, worker, await presses(await goes_to_checkout(olga), "pay"))
    await olga.opens("/account/export")
    await olga.confirms()
    exported = json.loads((await olga.fills("/account/export")).text)
    assert [(one["status"], one["item_prices"]) for one in exported["subscriptions"]] == [("active", [PRICE])]
    await olga.opens("/account/delete")
    await olga.confirms()
    assert "This doesn't cancel your subscription." in said(olga.page)
