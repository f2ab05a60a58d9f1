"""The webhook sender: as Chargebee sends, and as networks and attackers do."""

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
from aiohttp import web
from aiohttp.test_utils import TestServer
import pytest

from teslafi_simulators.chargebee import ChargebeeSimulator
from teslafi_simulators.chargebee.webhooks import RETRIES

NOON = 1_795_435_200.0


class Receiver:
    """An address that webhooks are sent to."""

    def __init__(self) -> None:
        """Take everything with 200."""
        self.status = 200
        self.events: list[dict[str, Any]] = []
        self.secrets: set[str] = set()

    async def take(self, request: web.Request) -> web.Response:
        """Note an event and answer."""
        self.events.append(await request.json())
        self.secrets.add(request.headers["Authorization"])
        return web.Response(status=self.status)


@pytest.fixture
async def receiver() -> Receiver:
    """Give a receiver."""
    return Receiver()


@pytest.fixture
async def simulated(socket_enabled: None, receiver: Receiver) -> AsyncIterator[ChargebeeSimulator]:
    """Be Chargebee, with a customer, sending to the receiver."""
    app = web.Application()
    app.router.add_post("/hook", receiver.take)
    async with ChargebeeSimulator(clock=lambda: NOON) as simulator, TestServer(app) as server:
        simulator.site.add_customer({"id": "anna"})
        simulator.sender.url, simulator.sender.password = str(server.make_url("/hook")), "secret"
        yield simulator


def types(receiver: Receiver) -> list[str]:
    """Return what arrived."""
    return [event["event_type"] for event in receiver.events]


async def test_an_event_arrives_with_its_password(simulated: ChargebeeSimulator, receiver: Receiver) -> None:
    simulated.site.subscribe("anna", "controls-USD-monthly")
    assert await simulated.sender.deliver() == 1
    assert types(receiver) == ["subscription_created"]
    assert receiver.events[0]["content"]["subscription"]["customer_id"] == "anna"
    assert receiver.secrets == {aiohttp.encode_basic_auth("chargebee", "secret")}
    assert await simulated.sender.deliver() == 0


async def test_what_fails_is_sent_seven_times_more_over_three_days(
    simulated: ChargebeeSimulator, receiver: Receiver
) -> None:
    receiver.status = 500
    simulated.site.subscribe("anna", "controls-USD-monthly")
    await simulated.sender.deliver()
    for wait in RETRIES:
        simulated.clock.travel(simulated.clock() + wait - 1)
        assert await simulated.sender.deliver() == 0
        simulated.clock.travel(simulated.clock() + 1)
        assert await simulated.sender.deliver() == 1
    assert simulated.sender.waiting == []
    assert len({event["id"] for event in receiver.events}) == 1
    assert simulated.clock() - NOON == pytest.approx(3 * 86_400 + 6 * 3600 + 38 * 60)


async def test_events_are_doubled_lost_late_and_turned_round(simulated: ChargebeeSimulator, receiver: Receiver) -> None:
    sender = simulated.sender
    sender.copies = 2
    number = simulated.site.subscribe("anna", "controls-USD-monthly").id
    sender.copies = 0
    simulated.site.pause(number)
    sender.copies, sender.newest_first = 1, True
    simulated.site.resume(number)
    sender.delay = 60.0
    simulated.site.cancel(number)
    await sender.deliver()
    assert types(receiver) == ["subscription_resumed", "subscription_created", "subscription_created"]
    simulated.clock.travel(simulated.clock() + 60)
    await sender.deliver()
    assert types(receiver)[-1] == "subscription_cancelled"


async def test_a_forged_body_with_another_password(simulated: ChargebeeSimulator, receiver: Receiver) -> None:
    async with aiohttp.ClientSession() as session:
        assert await simulated.sender.post(session, {"event_type": "forged"}, password="guess") == 200
    assert types(receiver) == ["forged"]
    assert receiver.secrets == {aiohttp.encode_basic_auth("chargebee", "guess")}


async def test_nobody_listens(simulated: ChargebeeSimulator) -> None:
    simulated.sender.url = "http://127.0.0.1:1/"
    simulated.site.subscribe("anna", "controls-USD-monthly")
    await simulated.sender.deliver()
    assert simulated.sender.answers == [0]
    assert len(simulated.sender.waiting) == 1
