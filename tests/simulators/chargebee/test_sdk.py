"""Chargebee's own SDK, unmodified but for its address, is a client of the simulator."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
import logging
from typing import Any

import aiohttp
from chargebee import APIError, Chargebee, Filters  # type: ignore[import-untyped] # it carries none
import pytest

from teslafi_simulators.chargebee import ChargebeeSimulator, Status
from teslafi_simulators.chargebee.site import DUNNING, HOUR, MONTH

NOON = 1_795_435_200.0


@pytest.fixture
async def simulated(socket_enabled: None) -> AsyncIterator[ChargebeeSimulator]:
    """Be Chargebee, on a clock that only the time machine moves."""
    async with ChargebeeSimulator(clock=lambda: NOON) as simulator:
        yield simulator


@pytest.fixture
def sdk(simulated: ChargebeeSimulator) -> Iterator[Chargebee]:
    """Return the SDK in front of it."""
    yield from _sdk(simulated, "test_simulated")


def _sdk(simulated: ChargebeeSimulator, key: str) -> Iterator[Chargebee]:
    client = Chargebee(api_key=key, site="acme-test", protocol="http", use_async_client=True)
    client.env.api_endpoint = simulated.api_endpoint
    before = Chargebee.verify_ca_certs
    Chargebee.verify_ca_certs = False
    yield client
    Chargebee.verify_ca_certs = before


async def _checkout(sdk: Chargebee, customer: str = "anna", **how: Any) -> Any:  # noqa: ANN401 - the SDK is without types
    return await sdk.HostedPage.checkout_new_for_items(
        {
            "subscription_items": [{"item_price_id": "controls-USD-monthly", "quantity": 1}],
            "customer": {"id": customer},
            "redirect_url": "http://127.0.0.1/back",
            "pass_thru_content": "a nonce",
            **how,
        }
    )


async def _press(address: str, button: str) -> str:
    """Press a button of a page; return where it led."""
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{address}{button}", allow_redirects=False) as answer,
    ):
        return answer.headers.get("Location", str(answer.status))


async def test_a_customer_pays_on_the_hosted_page(sdk: Chargebee, simulated: ChargebeeSimulator) -> None:
    await sdk.Customer.create({"id": "anna", "email": "anna@example.com"})
    page = (await _checkout(sdk)).hosted_page
    assert page.state == "created"
    assert (await _press(page.url, "pay")) == f"http://127.0.0.1/back?id={page.id}&state=succeeded"
    paid = (await sdk.HostedPage.retrieve(page.id)).hosted_page
    assert (paid.state, paid.pass_thru_content) == ("succeeded", "a nonce")
    assert paid.content["customer"]["id"] == "anna"
    assert (await sdk.HostedPage.acknowledge(page.id)).hosted_page.state == "acknowledged"
    listed = await sdk.Subscription.list({"customer_id": Filters.StringFilter(IS="anna"), "limit": 100})
    (entry,) = listed.list
    assert (entry.subscription.status, entry.customer.email) == ("active", "anna@example.com")
    assert entry.subscription.subscription_items[0].item_price_id == "controls-USD-monthly"
    one = (await sdk.Subscription.retrieve(entry.subscription.id)).subscription
    assert one.resource_version == entry.subscription.resource_version
    assert (await _press(page.url, "pay")) == "410", "a page is paid once"


async def test_a_customer_cancels_on_the_hosted_page(sdk: Chargebee) -> None:
    await sdk.Customer.create({"id": "anna", "email": "anna@example.com"})
    page = (await _checkout(sdk, cancel_url="http://127.0.0.1/kept")).hosted_page
    assert (await _press(page.url, "cancel")) == f"http://127.0.0.1/kept?id={page.id}&state=cancelled"
    assert (await sdk.HostedPage.retrieve(page.id)).hosted_page.state == "cancelled"


async def test_a_checkout_lives_three_hours(sdk: Chargebee, simulated: ChargebeeSimulator) -> None:
    await sdk.Customer.create({"id": "anna"})
    page = (await _checkout(sdk)).hosted_page
    await sdk.TimeMachine.travel_forward("delorean", {"destination_time": int(NOON + 3 * HOUR)})
    assert await _press(page.url, "pay") == "410"


async def test_the_portal_opens_once_within_an_hour(sdk: Chargebee, simulated: ChargebeeSimulator) -> None:
    await sdk.Customer.create({"id": "anna"})
    number = simulated.site.subscribe("anna", "controls-USD-monthly").id
    opened = (
        await sdk.PortalSession.create({"customer": {"id": "anna"}, "redirect_url": "http://127.0.0.1/back"})
    ).portal_session
    jar = aiohttp.CookieJar(unsafe=True)
    async with aiohttp.ClientSession(cookie_jar=jar) as browser:
        async with browser.get(opened.access_url) as answer:
            assert "Controls, monthly" in await answer.text()
        async with browser.post(f"{simulated.url}/portal/v2/subscriptions/{number}/cancel") as answer:
            assert "non_renewing" in await answer.text()
        async with browser.get(opened.access_url) as answer:
            assert answer.status == 410
        assert (await sdk.PortalSession.logout(opened.id)).portal_session.status == "logged_out"
        async with browser.get(f"{simulated.url}/portal/v2/home") as answer:
            assert answer.status == 403
    late = (await sdk.PortalSession.create({"customer": {"id": "anna"}})).portal_session
    await sdk.TimeMachine.travel_forward("delorean", {"destination_time": int(NOON + HOUR)})
    async with aiohttp.ClientSession() as browser, browser.get(late.access_url) as answer:
        assert answer.status == 410


async def test_the_time_machine_renews_and_gives_up_dunning(sdk: Chargebee, simulated: ChargebeeSimulator) -> None:
    await sdk.Customer.create({"id": "anna"})
    number = simulated.site.subscribe("anna", "controls-trial-USD-monthly").id

    async def at(moment: float) -> Any:  # noqa: ANN401
        await sdk.TimeMachine.travel_forward("delorean", {"destination_time": int(moment)})
        return (await sdk.Subscription.retrieve(number)).subscription

    assert (await sdk.Subscription.retrieve(number)).subscription.status == Status.IN_TRIAL
    begun = await at(NOON + 14 * 86_400)
    assert begun.status == Status.ACTIVE
    simulated.site.stop_paying(number)
    unpaid = await at(NOON + 14 * 86_400 + MONTH)
    assert (unpaid.status, unpaid.due_invoices_count) == (Status.ACTIVE, 1)
    over = await at(NOON + 14 * 86_400 + MONTH + DUNNING)
    assert (over.status, over.cancel_reason) == (Status.CANCELLED, "not_paid")
    types = [
        entry.event.event_type
        for entry in (
            await sdk.Event.list({"occurred_at": Filters.TimestampFilter(AFTER=int(NOON) - 1), "limit": 100})
        ).list
    ]
    assert types[::-1] == [
        "customer_created",
        "subscription_created",
        "subscription_activated",
        "subscription_renewed",
        "subscription_cancelled",
    ]


async def test_entitlements(sdk: Chargebee, simulated: ChargebeeSimulator) -> None:
    await sdk.Customer.create({"id": "anna"})
    number = simulated.site.subscribe("anna", "controls-USD-monthly").id
    simulated.site.entitle(number, "controls", enabled=True)
    listed = await sdk.SubscriptionEntitlement.subscription_entitlements_for_subscription(number)
    (entry,) = listed.list
    assert (entry.subscription_entitlement.feature_id, entry.subscription_entitlement.is_enabled) == ("controls", True)


async def test_lists_go_page_by_page(sdk: Chargebee) -> None:
    for number in range(5):
        await sdk.Customer.create({"id": f"c{number}"})
    first = await sdk.Customer.list({"limit": 3})
    rest = await sdk.Customer.list({"limit": 3, "offset": first.next_offset})
    assert [len(first.list), len(rest.list), rest.next_offset] == [3, 2, None]


async def test_an_idempotency_key_makes_a_thing_once(sdk: Chargebee, simulated: ChargebeeSimulator) -> None:
    key = {"chargebee-idempotency-key": "once"}
    await sdk.Customer.create({"id": "anna"}, dict(key))
    again = await sdk.Customer.create({"id": "anna"}, dict(key))
    assert again.is_idempotency_replayed
    assert len(simulated.site.customers) == 1


@pytest.mark.parametrize(
    ("call", "status", "code"),
    [
        (lambda sdk: sdk.Subscription.retrieve("none"), 404, "resource_not_found"),
        (lambda sdk: sdk.Customer.retrieve("none"), 404, "resource_not_found"),
        (lambda sdk: sdk.Customer.create({"id": "x" * 51}), 400, "param_wrong_value"),
        (lambda sdk: sdk.Customer.create({"id": "anna"}), 400, "duplicate_entry"),
        (lambda sdk: sdk.HostedPage.checkout_new_for_items({"customer": {"id": "anna"}}), 400, "param_wrong_value"),
        (lambda sdk: _checkout(sdk, "nobody"), 404, "resource_not_found"),
        (lambda sdk: _checkout(sdk, pass_thru_content="x" * 2049), 400, "param_wrong_value"),
        (lambda sdk: sdk.Subscription.list({"email": {"is": "a"}}), 400, "param_wrong_value"),
        (lambda sdk: sdk.Subscription.list({"limit": 101}), 400, "param_wrong_value"),
        (lambda sdk: sdk.TimeMachine.travel_forward("delorean", {"destination_time": 1}), 400, "param_wrong_value"),
        (lambda sdk: sdk.Event.retrieve("ev_none"), 404, "resource_not_found"),
    ],
)
async def test_what_chargebee_refuses(
    sdk: Chargebee, call: Callable[[Chargebee], Awaitable[object]], status: int, code: str
) -> None:
    await sdk.Customer.create({"id": "anna"})
    with pytest.raises(APIError) as refused:
        await call(sdk)
    assert (refused.value.http_status_code, refused.value.api_error_code) == (status, code)


async def test_a_wrong_key_is_refused(simulated: ChargebeeSimulator) -> None:
    for sdk in _sdk(simulated, "test_other"):
        with pytest.raises(APIError) as refused:
            await sdk.Customer.list({})
        assert refused.value.http_status_code == 401


async def test_a_test_site_answers_150_requests_a_minute(sdk: Chargebee, simulated: ChargebeeSimulator) -> None:
    simulated.gate.limit = 3
    for _ in range(3):
        await sdk.Customer.list({})
    with pytest.raises(APIError) as refused:
        await sdk.Customer.list({})
    assert (refused.value.http_status_code, refused.value.api_error_code) == (429, "api_request_limit_exceeded")
    simulated.clock.travel(simulated.clock() + 61)
    assert (await sdk.Customer.list({})).list == []


async def test_an_outage_is_no_json(sdk: Chargebee, simulated: ChargebeeSimulator) -> None:
    simulated.gate.down = True
    with pytest.raises(Exception, match="503") as fault:
        await sdk.Customer.list({})
    assert not isinstance(fault.value, APIError)


@pytest.fixture(autouse=True)
def _quiet_sdk() -> None:
    logging.getLogger("httpx").setLevel(logging.WARNING)
