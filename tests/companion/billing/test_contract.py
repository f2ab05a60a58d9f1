"""Both adapters keep the port's promises; the one of Chargebee's is held against the simulator."""

from datetime import UTC, datetime
import logging
from pathlib import Path

import pytest

from teslafi_companion.adapters.chargebee.billing import RATE_LIMITED_PAUSE, ChargebeeBilling
from teslafi_companion.adapters.free.billing import FreeOfCharge
from teslafi_companion.adapters.registry import open_billing
from teslafi_companion.domain.billing.port import (
    BillingMisconfigured,
    BillingNotOffered,
    BillingPort,
    BillingUnavailable,
    Checkout,
)
from teslafi_companion.settings import Settings
from teslafi_simulators.chargebee import ChargebeeSimulator

from .conftest import PRICE, with_feature

ASKED = Checkout(PRICE, "http://localhost/back", "http://localhost/back", "a nonce")
BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def database(tmp_path: Path) -> str:
    """Need no database: adapters keep nothing."""
    return f"sqlite:///{tmp_path / 'data' / 'x.sqlite3'}"


@pytest.fixture(params=["none", "chargebee"])
async def port(request: pytest.FixtureRequest, billing: ChargebeeBilling) -> BillingPort:
    """Give either adapter."""
    return FreeOfCharge() if request.param == "none" else billing


async def test_a_stranger_has_no_subscription(port: BillingPort) -> None:
    assert await port.fetch_subscriptions("stranger") == ()


async def test_a_customer_is_made_as_often_as_one_likes(port: BillingPort) -> None:
    for address in ("anna@example.com", "anna@example.com", "new@example.com"):
        await port.ensure_customer("anna", address)
    assert await port.fetch_subscriptions("anna") == ()


async def test_there_is_no_such_page(port: BillingPort) -> None:
    assert await port.hosted_page("none") is None


async def test_a_portal_is_closed_whether_or_not_it_was_open(port: BillingPort) -> None:
    await port.close_portal("portal_none")


async def test_what_is_sold_has_an_address_and_what_is_not_is_refused(port: BillingPort) -> None:
    await port.ensure_customer("anna", "anna@example.com")
    if port.required:
        assert port.pages_origin is not None
        assert (await port.checkout_url("anna", ASKED)).startswith(port.pages_origin)
        assert (await port.open_portal("anna", "http://localhost/")).url.startswith(port.pages_origin)
    else:
        with pytest.raises(BillingNotOffered):
            await port.checkout_url("anna", ASKED)
        with pytest.raises(BillingNotOffered):
            await port.open_portal("anna", "http://localhost/")


async def test_events_come_in_their_order(port: BillingPort, chargebee: ChargebeeSimulator) -> None:
    await port.ensure_customer("anna", "anna@example.com")
    if port.required:
        for _ in range(110):
            chargebee.clock.travel(chargebee.clock() + 1)
            chargebee.site.subscribe("anna", PRICE)
    events = await port.events_since(BEGINNING)
    assert len(events) == (111 if port.required else 0)
    assert [event.occurred_at for event in events] == sorted(event.occurred_at for event in events)
    assert {event.customer_id for event in events} <= {"anna"}


async def test_the_settings_choose(settings: Settings) -> None:
    assert isinstance(await open_billing(settings), ChargebeeBilling)
    assert isinstance(await open_billing(Settings(key_file=settings.key_file)), FreeOfCharge)


async def test_a_new_address_reaches_chargebee(billing: ChargebeeBilling, chargebee: ChargebeeSimulator) -> None:
    for address in ("old@example.com", "new@example.com", "old@example.com"):
        await billing.ensure_customer("anna", address)
        assert chargebee.site.customers["anna"]["email"] == address


async def test_a_feature_is_read_with_each_subscription(settings: Settings, chargebee: ChargebeeSimulator) -> None:
    featured = await open_billing(with_feature(settings, "controls"))
    await featured.ensure_customer("anna", "anna@example.com")
    number = chargebee.site.subscribe("anna", PRICE).id
    assert [one.entitled for one in await featured.fetch_subscriptions("anna")] == [False]
    chargebee.site.entitle(number, "controls", enabled=True)
    assert [one.entitled for one in await featured.fetch_subscriptions("anna")] == [True]


async def test_a_gateways_page_is_tried_three_times(billing: ChargebeeBilling, chargebee: ChargebeeSimulator) -> None:
    chargebee.gate.down = True
    with pytest.raises(BillingUnavailable):
        await billing.fetch_subscriptions("anna")
    assert len(chargebee.gate.requests) == 3


async def test_a_post_without_key_is_tried_once(billing: ChargebeeBilling, chargebee: ChargebeeSimulator) -> None:
    chargebee.gate.down = True
    with pytest.raises(BillingUnavailable):
        await billing.open_portal("anna", "http://localhost/")
    assert len(chargebee.gate.requests) == 1


async def test_a_lost_answer_makes_no_second_checkout(billing: ChargebeeBilling, chargebee: ChargebeeSimulator) -> None:
    await billing.ensure_customer("anna", "anna@example.com")
    addresses = {await billing.checkout_url("anna", ASKED) for _ in range(2)}
    assert len(addresses) == len(chargebee.site.hosted_pages) == 1


async def test_too_many_requests_are_not_repeated(billing: ChargebeeBilling, chargebee: ChargebeeSimulator) -> None:
    chargebee.gate.limit = 0
    with pytest.raises(BillingUnavailable) as refused:
        await billing.fetch_subscriptions("anna")
    assert refused.value.pause == RATE_LIMITED_PAUSE
    assert len(chargebee.gate.requests) == 1


@pytest.mark.parametrize("event", [{"id": 7}, {"id": "ev", "event_type": "x", "occurred_at": "noon"}, {}])
async def test_an_event_that_cannot_be_read(
    billing: ChargebeeBilling, chargebee: ChargebeeSimulator, monkeypatch: pytest.MonkeyPatch, event: dict[str, object]
) -> None:
    monkeypatch.setattr("teslafi_simulators.chargebee.api.listing", lambda *_: ([event], None))
    with pytest.raises(BillingUnavailable):
        await billing.events_since(BEGINNING)


async def test_nobody_listens(billing: ChargebeeBilling, chargebee: ChargebeeSimulator) -> None:
    await chargebee.stop()
    with pytest.raises(BillingUnavailable):
        await billing.fetch_subscriptions("anna")


async def test_a_wrong_key_is_the_operators(billing: ChargebeeBilling, chargebee: ChargebeeSimulator) -> None:
    chargebee.gate.api_key = "test_another"
    with pytest.raises(BillingMisconfigured):
        await billing.fetch_subscriptions("anna")


async def test_nothing_secret_is_logged(
    billing: ChargebeeBilling, chargebee: ChargebeeSimulator, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    await billing.ensure_customer("anna", "marker@example.com")
    opened = await billing.open_portal("anna", "http://localhost/")
    token = chargebee.site.portal_sessions[opened.id].token
    for secret in (token, "marker@example.com", "test_simulated"):
        assert secret not in caplog.text + repr(opened) + repr(ASKED)
