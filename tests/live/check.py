"""Adds the integration and links the companion over Home Assistant's own API, signing in on the pages of both."""

import asyncio
from collections.abc import Mapping
import time
from typing import Any, Final

import aiohttp

from teslafi_simulators.tesla import TeslaSimulator

from . import companion_pages
from .companion import LiveCompanion
from .home_assistant import LiveHomeAssistant
from .tesla_pages import SignInFailed, sign_in

EMAIL: Final = "anna@example.com"
WAIT_SECONDS: Final = 120
ENOUGH: Final = 40
"""A car that answered has more entities than this; one that did not has a handful."""

LINK: Final = "sensor.teslafi_companion_link"


class CheckFailed(Exception):
    """A step of the check did not end as it should; says which."""


async def check(
    simulator: TeslaSimulator, companion: LiveCompanion, home: LiveHomeAssistant
) -> list[Mapping[str, Any]]:
    """Sign in, link, and return the states of TeslaFi's entities; raise CheckFailed."""
    await add_entry(simulator, home)
    await link_companion(companion, home)
    deadline = time.monotonic() + WAIT_SECONDS
    while len(rows := await states(home)) < ENOUGH or _values(rows).get(LINK) != "linked":
        if time.monotonic() > deadline:
            link = _values(rows).get(LINK)
            raise CheckFailed(f"{len(rows)} entities and a link that is {link} after {WAIT_SECONDS} s; see {home.log}")
        await asyncio.sleep(0.5)
    return rows


async def add_entry(simulator: TeslaSimulator, home: LiveHomeAssistant) -> None:
    """Go through the config flow to its end."""
    flow = await home.api("POST", "config/config_entries/flow", {"handler": "teslafi"})
    flow = await _answered(home, flow, "menu", {"next_step_id": "sign_in"})
    flow = await _answered(
        home, flow, "form", {"region": "global", "vehicle_location": True, "energy_device_data": True}
    )
    _expect(flow, "external")
    await _sign_in(simulator, flow["url"])
    flow = await home.api("GET", f"config/config_entries/flow/{flow['flow_id']}")
    _expect(flow, "create_entry")


async def link_companion(companion: LiveCompanion, home: LiveHomeAssistant) -> None:
    """Go through the reconfigure menu and the companion's pages."""
    (entry,) = [one for one in await home.api("GET", "config/config_entries/entry") if one["domain"] == "teslafi"]
    flow = await home.api("POST", "config/config_entries/flow", {"handler": "teslafi", "entry_id": entry["entry_id"]})
    flow = await _answered(home, flow, "menu", {"next_step_id": "link_companion"})
    flow = await _answered(home, flow, "form", {"address": companion.url})
    _expect(flow, "external")
    try:
        await companion_pages.allow(companion, flow["url"])
    except SignInFailed as error:
        raise CheckFailed(f"the companion's pages: {error}") from error
    flow = await home.api("GET", f"config/config_entries/flow/{flow['flow_id']}")
    if flow.get("reason") != "companion_linked":
        raise CheckFailed(f"the companion should be linked, but Home Assistant says {flow.get('reason') or flow}")


async def _answered(home: LiveHomeAssistant, flow: Mapping[str, Any], kind: str, answer: Mapping[str, Any]) -> Any:  # noqa: ANN401 - JSON
    _expect(flow, kind)
    return await home.api("POST", f"config/config_entries/flow/{flow['flow_id']}", answer)


def _expect(flow: Mapping[str, Any], kind: str) -> None:
    if flow["type"] != kind:
        raise CheckFailed(f"the config flow should show a {kind}, but says {flow.get('reason') or flow}")


async def _sign_in(simulator: TeslaSimulator, url: str) -> None:
    account = simulator.accounts.by_email(EMAIL)
    assert account is not None
    jar = aiohttp.CookieJar(unsafe=True)
    async with aiohttp.ClientSession(cookie_jar=jar, timeout=aiohttp.ClientTimeout(total=60)) as browser:
        try:
            back = await sign_in(
                browser,
                url,
                email=account.email,
                password=account.password,
                passcode=simulator.accounts.current_passcode(EMAIL),
            )
        except SignInFailed as error:
            raise CheckFailed(f"Tesla's pages: {error}") from error
        async with browser.get(back) as response:
            if not response.ok:
                raise CheckFailed(f"Home Assistant did not take the way back: {response.status}")


async def states(home: LiveHomeAssistant) -> list[Mapping[str, Any]]:
    """Return the states of the integration's entities."""
    registry = await home.call({"type": "config/entity_registry/list"})
    ours = {entry["entity_id"] for entry in registry if entry["platform"] == "teslafi"}
    return [state for state in await home.api("GET", "states") if state["entity_id"] in ours]


def _values(rows: list[Mapping[str, Any]]) -> dict[str, str]:
    return {row["entity_id"]: row["state"] for row in rows}
