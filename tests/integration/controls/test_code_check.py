"""The owner's code: tries are counted before they are judged, and a changed code counts at once."""

import asyncio
from base64 import b64decode
from collections import Counter
from collections.abc import Awaitable
from typing import Any

from freezegun.api import FrozenDateTimeFactory
from homeassistant.core import Context, HomeAssistant
from homeassistant.exceptions import ServiceValidationError
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry  # type: ignore[import-untyped]

from custom_components.teslafi.const import CONF_COMMAND_CODE, DOMAIN
from custom_components.teslafi.controls.code import TRIES, WAIT_SECONDS, Confirmations, hashed, matches
from custom_components.teslafi.controls.code_check import CodeCheck

PIA = Context(user_id="pia")
UNLOCK = "door_unlock"


@pytest.fixture
def entry(hass: HomeAssistant) -> MockConfigEntry:
    """Return an entry whose owner set a code."""
    entry = MockConfigEntry(domain=DOMAIN, options={CONF_COMMAND_CODE: hashed("tiger-7")})
    entry.add_to_hass(hass)
    return entry


async def outcome(check: CodeCheck, code: str, context: Context | None = PIA) -> str:
    """Enter a code and say what came of it."""
    return await _ended(check.async_confirm(code, context))


async def sent(
    check: CodeCheck, name: str = UNLOCK, code: str | None = None, context: Context | None = PIA, **parameters: object
) -> str:
    """Send a command and say whether it was let through."""
    return await _ended(check.async_check(name, parameters, context, code))


async def _ended(asked: Awaitable[None]) -> str:
    try:
        await asked
    except ServiceValidationError as error:
        return str(error.translation_key) if error.translation_domain == DOMAIN else "somebody else's"
    return "right"


@pytest.mark.parametrize("right_at", [None, TRIES, 199])
async def test_two_hundred_tries_at_once(hass: HomeAssistant, entry: MockConfigEntry, right_at: int | None) -> None:
    """As many are judged as one after the other would be; the right code behind them is no longer."""
    check = CodeCheck(hass, entry)
    codes = ["tiger-7" if number == right_at else f"guess-{number}" for number in range(200)]
    told = Counter(await asyncio.gather(*(outcome(check, code) for code in codes)))
    assert told == {"code_wrong": TRIES, "code_wait": 200 - TRIES}
    assert await outcome(check, "tiger-7") == "code_wait"
    assert await outcome(check, "tiger-7", Context(user_id="erik")) == "right"


async def test_a_replaced_code_no_longer_counts(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    """Neither what was entered before nor what is being judged meanwhile."""
    check = CodeCheck(hass, entry)
    assert await outcome(check, "tiger-7") == "right"
    await check.async_check(UNLOCK, {}, PIA, None)
    late = asyncio.create_task(outcome(check, "tiger-7"))
    await asyncio.sleep(0)
    hass.config_entries.async_update_entry(entry, options={CONF_COMMAND_CODE: hashed("bear-9")})
    assert await late == "code_wrong"
    with pytest.raises(ServiceValidationError, match="code_needed"):
        await check.async_check(UNLOCK, {}, PIA, None)
    assert await outcome(check, "bear-9") == "right"
    await check.async_check(UNLOCK, {}, PIA, None)
    hass.config_entries.async_update_entry(entry, options={})
    await check.async_check(UNLOCK, {}, Context(user_id="erik"), None)


def test_waiting_ends_and_begins_anew() -> None:
    """Five tries, five minutes, five tries."""
    known = Confirmations()
    for start in (0.0, WAIT_SECONDS + 10, 2 * WAIT_SECONDS + 20):
        assert [known.reserve("pia", start + second) for second in range(8)] == [True] * TRIES + [False] * 3
    known.confirm("erik", 0.0)
    assert known.reserve("erik", 1.0)


async def test_a_code_that_comes_with_the_command(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    """It is judged like one that was entered before, and counts for who gave it alone."""
    check = CodeCheck(hass, entry)
    assert check.required
    assert await sent(check) == "code_needed"
    assert await sent(check, code="") == "code_needed"
    assert await sent(check, code="guess") == "code_wrong"
    assert await sent(check) == "code_needed"
    assert await sent(check, code="tiger-7") == "right"
    assert await sent(check) == "right"
    for other in (Context(user_id="erik"), Context(), None):
        assert await sent(check, context=other) == "code_needed"
    assert await sent(check, code="tiger-7", context=None) == "right"
    assert await sent(check, context=None) == "right"
    assert await sent(check, context=Context(user_id="erik")) == "code_needed"


@pytest.mark.parametrize(
    ("name", "parameters", "asked"),
    [
        ("flash_lights", {}, False),
        ("no such command", {}, False),
        ("window_control", {"command": "vent"}, True),
        ("window_control", {"command": "close"}, False),
        ("sun_roof_control", {"state": "vent"}, True),
        ("sun_roof_control", {"state": "close"}, False),
        ("sun_roof_control", {"state": "stop"}, False),
        ("set_sentry_mode", {"on": False}, True),
        ("set_sentry_mode", {"on": True}, False),
    ],
)
async def test_what_a_code_is_asked_for(
    hass: HomeAssistant, entry: MockConfigEntry, name: str, parameters: dict[str, Any], asked: bool
) -> None:
    """A code that comes with what needs none is not looked at: it costs no try."""
    check = CodeCheck(hass, entry)
    assert await sent(check, name, **parameters) == ("code_needed" if asked else "right")
    assert await sent(check, name, code="guess", **parameters) == ("code_wrong" if asked else "right")


async def test_without_a_code_none_is_asked(hass: HomeAssistant) -> None:
    """What is entered then neither counts nor is counted."""
    entry = MockConfigEntry(domain=DOMAIN, options={CONF_COMMAND_CODE: ""})
    entry.add_to_hass(hass)
    check = CodeCheck(hass, entry)
    assert not check.required
    assert await sent(check) == "right"
    for _ in range(TRIES + 1):
        assert await outcome(check, "anything") == "right"
    hass.config_entries.async_update_entry(entry, options={CONF_COMMAND_CODE: hashed("tiger-7")})
    assert await sent(check) == "code_needed"
    assert await outcome(check, "tiger-7") == "right"


async def test_a_code_counts_for_a_minute(
    hass: HomeAssistant, entry: MockConfigEntry, freezer: FrozenDateTimeFactory
) -> None:
    """And a guesser waits five."""
    check = CodeCheck(hass, entry)
    assert await outcome(check, "tiger-7") == "right"
    freezer.tick(59.9)
    assert await sent(check) == "right"
    freezer.tick(0.2)
    assert await sent(check) == "code_needed"
    for _ in range(TRIES):
        assert await outcome(check, "guess") == "code_wrong"
    freezer.tick(299)
    assert await outcome(check, "tiger-7") == "code_wait"
    freezer.tick(2)
    assert await outcome(check, "tiger-7") == "right"


def test_what_was_stored_stays_right() -> None:
    """A code that an owner set with version 0.1.0 (scrypt: N 16384, r 8, p 1, 32 bytes)."""
    kept = "AAECAwQFBgcICQoLDA0ODw==$roh2LkaYYtr5Z74tujocI336lfMIxerKuZ1iKioYA1g="
    assert matches("tiger-7 ü", kept)
    assert not matches("tiger-7 u", kept)
    salt, _, digest = hashed("tiger-7 ü").partition("$")
    assert (len(b64decode(salt)), len(b64decode(digest))) == (16, 32)


def test_tries_and_confirmations_to_the_second() -> None:
    """The last try begins the wait; the right code ends the count and says nothing of anybody else."""
    known = Confirmations()
    assert [known.reserve("pia", float(second)) for second in range(TRIES + 1)] == [True] * TRIES + [False]
    assert not known.reserve("pia", TRIES - 1 + WAIT_SECONDS - 0.1)
    assert known.reserve("pia", TRIES - 1 + WAIT_SECONDS)
    assert [known.reserve("pia", 400.0) for _ in range(TRIES)] == [True] * (TRIES - 1) + [False]
    known.confirm("pia", 500.0)
    assert [known.reserve("pia", 500.0) for _ in range(TRIES + 1)] == [True] * TRIES + [False]
    assert known.confirmed("pia", 559.9)
    assert not known.confirmed("pia", 560.0)
    assert not known.confirmed("erik", 500.0)
    assert not Confirmations().confirmed("erik", 0.5)
    known.forget()
    assert not known.confirmed("pia", 501.0)
    assert not known.reserve("pia", 501.0)
