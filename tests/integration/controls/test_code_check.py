"""The owner's code: tries are counted before they are judged, and a changed code counts at once."""

import asyncio
from collections import Counter

from homeassistant.core import Context, HomeAssistant
from homeassistant.exceptions import ServiceValidationError
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry  # type: ignore[import-untyped]

from custom_components.teslafi.const import CONF_COMMAND_CODE, DOMAIN
from custom_components.teslafi.controls.code import TRIES, WAIT_SECONDS, Confirmations, hashed
from custom_components.teslafi.controls.code_check import CodeCheck

PIA = Context(user_id="pia")
UNLOCK = "door_unlock"


@pytest.fixture
def entry(hass: HomeAssistant) -> MockConfigEntry:
    """Return an entry whose owner set a code."""
    entry = MockConfigEntry(domain=DOMAIN, options={CONF_COMMAND_CODE: hashed("tiger-7")})
    entry.add_to_hass(hass)
    return entry


async def outcome(check: CodeCheck, code: str, context: Context = PIA) -> str:
    """Enter a code and say what came of it."""
    try:
        await check.async_confirm(code, context)
    except ServiceValidationError as error:
        return str(error.translation_key)
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
