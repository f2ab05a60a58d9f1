"""Odd answers with a good status are no success of any command; a 429 is understood in every shape, from everywhere."""

from collections.abc import Mapping
from email.utils import formatdate
import json
import time
from typing import Any, Final

import aiohttp
from aiohttp import web
import pytest

from custom_components.teslafi.tesla.commander import BLIND_LOOKS
from custom_components.teslafi.tesla.errors import (
    CommandRefused,
    CommandUncertain,
    NotAwake,
    RateLimited,
    Refused,
    TeslaError,
    UnexpectedAnswer,
    Unreachable,
)
from custom_components.teslafi.tesla.retry_after import LONGEST
from custom_components.teslafi.tesla.snapshot import Snapshot

from .scripted import ScriptedServer
from .test_blame import VIN, valid
from .test_redirects import Ask, Asker, http, tesla  # noqa: F401 - fixtures
from .test_session import Shelf, session_of

HTML: Final = "<!doctype html><title>Access denied</title>"


class Watcher(Asker):
    """Looks at the car over the line as well."""

    async def look(self, vin: str, count: Any) -> Snapshot:  # noqa: ANN401 - as a counter
        """Ask whether it is online."""
        return await self.reader.vehicle_state(vin, count)


async def watcher(http: aiohttp.ClientSession) -> Watcher:  # noqa: F811 - not the fixture
    """Return who asks, with a grant that is good."""
    return Watcher(http, await session_of(Shelf(valid()), http))


ODD: Final[Mapping[str, str]] = {
    "a page": HTML,
    "nothing": "",
    "null": "null",
    "a number": "7",
    "a text": '"done"',
    "a list": "[]",
    "half JSON": '{"response": {"result": tr',
    "no answer": "{}",
    "an error beside nothing": '{"response": null, "error": "upstream"}',
    **{
        f"answer {answer}": json.dumps({"response": answer})
        for answer in (
            None, {}, [], ["x"], 1, True, "ok", "true", [{"result": True}],
            {"result": None}, {"result": 1}, {"result": "true"}, {"result": [True]}, {"reason": ""},
            {"code": 0}, {"code": "201"}, {"code": True}, {"code": None}, {"code": 302}, {"code": 2.01e2},
            {"message": "Updated"},
        )
    },
}  # fmt: skip
"""Bodies with status 200 that no document knows."""


async def outcome(ask: Ask, asker: Asker) -> type[TeslaError] | None:
    """Return the error that asking ends with."""
    try:
        await ask(asker)
    except TeslaError as error:
        return type(error)
    return None


@pytest.mark.parametrize("ask", [Asker.unsigned_command, Asker.signed_command, Asker.site_command, Asker.wake])
async def test_no_odd_answer_is_a_success_of_a_command(
    tesla: ScriptedServer,  # noqa: F811
    http: aiohttp.ClientSession,  # noqa: F811
    ask: Ask,
) -> None:
    """What commands is uncertain then; a handshake and a wake-up are certainly no success."""
    commands = ask in (Asker.unsigned_command, Asker.site_command)
    fine = {CommandUncertain} if commands else {Unreachable, UnexpectedAnswer, NotAwake}
    asker = await watcher(http)
    became: dict[tuple[str, str], type[TeslaError] | None] = {}
    for name, body in ODD.items():
        for content_type in ("application/json", "text/html", "application/octet-stream"):
            tesla.answers = [web.Response(text=body, content_type=content_type)]
            became[name, content_type] = await outcome(ask, asker)
    assert {said: error for said, error in became.items() if error not in fine} == {}


@pytest.mark.parametrize(
    "ask", [Asker.state, Asker.data, Asker.products, Asker.paired, Asker.refresh], ids=lambda ask: ask.__name__
)
@pytest.mark.parametrize("body", [HTML, "", "null", "7", '"done"', "[]", "{}", '{"response": null}', '{"response": 1}'])
async def test_no_odd_answer_is_read(
    tesla: ScriptedServer,  # noqa: F811
    http: aiohttp.ClientSession,  # noqa: F811
    ask: Ask,
    body: str,
) -> None:
    """It is trouble, and not an empty account or a car without values."""
    tesla.answers = [web.Response(text=body, content_type="application/json")]
    with pytest.raises((Unreachable, Refused)):
        await ask(await watcher(http))


@pytest.mark.parametrize("answer", ["", {"result": True}, {"code": 200}, {"code": 201, "message": "Updated"}])
async def test_what_a_site_says_when_it_is_done(
    tesla: ScriptedServer,  # noqa: F811
    http: aiohttp.ClientSession,  # noqa: F811
    answer: object,
) -> None:
    """Recorded: a code with a message; the empty text for the grid's rules."""
    tesla.answers = [web.json_response({"response": answer})]
    await (await watcher(http)).site_command()


@pytest.mark.parametrize("answer", [{"result": False}, {"code": 400}, {"code": 503, "message": "busy"}])
async def test_what_a_site_says_when_it_is_not_done(
    tesla: ScriptedServer,  # noqa: F811
    http: aiohttp.ClientSession,  # noqa: F811
    answer: Mapping[str, Any],
) -> None:
    tesla.answers = [web.json_response({"response": answer})]
    with pytest.raises(CommandRefused) as caught:
        await (await watcher(http)).site_command()
    assert caught.value.reason == answer.get("message", "unknown")


def shapes() -> dict[str, tuple[Mapping[str, str], str, float | None]]:
    """Return how a 429 tells of its wait: headers, body, and the seconds meant (None: it does not say)."""
    soon, past = (formatdate(time.time() + seconds, usegmt=True) for seconds in (600, -600))
    return {
        "seconds": ({"Retry-After": "37829"}, "", 37829),
        "a date": ({"Retry-After": soon}, "", 600),
        "a date that has passed": ({"Retry-After": past}, "", 0),
        "a reset": ({"RateLimit-Reset": "50"}, "", 50),
        "both": ({"Retry-After": "60", "RateLimit-Reset": "50"}, "Retry in 70 seconds", 60),
        "a header that says nothing": ({"Retry-After": "soon"}, "Retry in 70 seconds", 70),
        "Tesla's sentence": ({}, "Retry in 49200 seconds", 49200),
        "JSON": ({}, '{"error": "too many requests"}', None),
        "nothing": ({}, "", None),
        "zero": ({"Retry-After": "0"}, "", 0),
        "negative": ({"Retry-After": "-5"}, "", None),
        "absurd": ({"Retry-After": "9" * 30}, "", LONGEST),
        "not finite": ({"Retry-After": "inf"}, "", None),
        "bytes": ({}, "\udcff\udcfe", None),
    }


async def region(asker: Asker) -> object:
    """Ask where the account lives."""
    return await asker.reader.region()


async def live(asker: Asker) -> object:
    """Ask for a site's powers."""
    return await asker.reader.site_live(1, asker.counted.append)


async def info(asker: Asker) -> object:
    """Ask what a site is made of."""
    return await asker.reader.site_info(1, asker.counted.append)


async def today(asker: Asker) -> object:
    """Ask for a site's energy."""
    return await asker.reader.site_energy_today(1, asker.counted.append)


async def alerts(asker: Asker) -> object:
    """Ask for a car's alerts, as for all that is billed like data."""
    return await asker.reader.recent_alerts(VIN, asker.counted.append)


async def invoice(asker: Asker) -> object:
    """Ask for an invoice, which no method of the library's does."""
    return await asker.reader.charging_invoice("file-1", asker.counted.append)


EVERYWHERE: Final = (
    Asker.products, region, Asker.state, Asker.data, live, info, today, alerts, invoice, Asker.refresh, Asker.wake,
    Asker.unsigned_command, Asker.signed_command, Asker.site_command, Asker.paired,
)  # fmt: skip


@pytest.mark.parametrize("ask", EVERYWHERE, ids=lambda ask: ask.__name__)
async def test_a_429_says_how_long_wherever_it_comes_from(
    tesla: ScriptedServer,  # noqa: F811
    http: aiohttp.ClientSession,  # noqa: F811
    ask: Ask,
) -> None:
    """The request is sent once."""
    for name, (headers, body, seconds) in shapes().items():
        tesla.answers = [web.Response(status=429, headers=headers, body=body.encode(errors="surrogateescape"))]
        tesla.requests.clear()
        with pytest.raises(RateLimited) as caught:
            await ask(await watcher(http))
        meant = seconds if seconds is None else pytest.approx(seconds, abs=5)
        assert (name, caught.value.retry_after, len(tesla.requests)) == (name, meant, 1)


def state(word: str) -> web.Response:
    """Return the answer to a look."""
    return web.json_response({"response": {"vin": VIN, "state": word}})


def woken() -> web.Response:
    """Return Tesla's answer to a wake-up."""
    return state("asleep")


@pytest.mark.parametrize(
    ("answers", "error"),
    [
        ([woken(), state("online")], None),
        ([web.Response(status=504), state("asleep"), state("online")], None),
        ([web.Response(text=HTML), state("online")], None),
        ([web.Response(status=408, text='{"error": "timeout"}'), state("online")], None),
        ([woken(), *[web.Response(status=503)] * (BLIND_LOOKS - 1), state("online")], None),
        ([woken(), web.Response(status=503)], Unreachable),
        ([web.Response(status=503)], Unreachable),
        ([woken(), state("asleep")], NotAwake),
        ([web.Response(status=404)], TeslaError),
    ],
)
async def test_whether_a_car_wakes_is_seen_by_looking(
    tesla: ScriptedServer,  # noqa: F811
    http: aiohttp.ClientSession,  # noqa: F811
    answers: list[web.Response],
    error: type[TeslaError] | None,
) -> None:
    """The answer to the wake-up may be lost, and some looks too. It is sent once: each is two cents."""
    tesla.answers = list(answers)
    asker = await watcher(http)
    if error is None:
        await asker.wake()
    else:
        with pytest.raises(error):
            await asker.wake()
    assert sum(request.path.endswith("wake_up") for request in tesla.requests) == 1
