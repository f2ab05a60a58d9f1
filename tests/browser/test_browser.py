"""As a new user: sign in with two-factor and see the car; paste a token; sign in again after a password change."""

import asyncio
from collections.abc import Awaitable, Callable
import re
from typing import Any

from homeassistant.util.unit_conversion import DistanceConverter
from playwright.async_api import Locator, Page, expect
import pytest

from teslafi_simulators.tesla import TeslaSimulator
from teslafi_simulators.tesla.scenario import ANNAS_MODEL_3
from tests.live.check import states
from tests.live.home_assistant import LiveHomeAssistant

from .person import Person

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

READ_SCOPES = {"openid", "offline_access", "vehicle_device_data", "vehicle_location", "energy_device_data"}
ENTITIES = (
    "battery_level",
    "battery_range",
    "charging_state",
    "shift_state",
    "odometer",
    "inside_temperature",
    "locked",
)


async def state_of(home: LiveHomeAssistant, entity_id: str) -> dict[str, Any]:
    """Return a state."""
    state: dict[str, Any] = await home.api("GET", f"states/{entity_id}")
    return state


async def until(happened: Callable[[], Awaitable[bool]]) -> None:
    """Wait for another process to get there."""
    async with asyncio.timeout(300):
        while not await happened():  # noqa: ASYNC110 - nothing in this process could tell
            await asyncio.sleep(0.2)


async def device_of(home: LiveHomeAssistant, name: str) -> str:
    """Return a device's id."""
    devices = await home.call({"type": "config/device_registry/list"})
    return next(str(device["id"]) for device in devices if device["name"] == name)


async def dashboard(person: Person, entities: list[str]) -> None:
    """Make a dashboard with these entities and open it."""
    await person.call(
        {
            "type": "lovelace/dashboards/create",
            "url_path": "my-car",
            "title": "My car",
            "mode": "storage",
            "show_in_sidebar": True,
            "require_admin": False,
        }
    )
    sections = [
        {"type": "grid", "cards": [{"type": "heading", "heading": "Roadrunner"}, *_tiles(entities)]},
        {
            "type": "grid",
            "cards": [{"type": "heading", "heading": "As a list"}, {"type": "entities", "entities": entities}],
        },
    ]
    views = [{"title": "Car", "type": "sections", "sections": sections}]
    await person.call({"type": "lovelace/config/save", "url_path": "my-car", "config": {"views": views}})
    await person.open("/my-car/0")
    await person.page.locator("hui-tile-card").first.wait_for()


def _tiles(entities: list[str]) -> list[dict[str, str]]:
    """Name each tile as on the device page: the heading says which car it is."""
    names = [entity.partition("roadrunner_")[2].replace("_", " ").capitalize() for entity in entities]
    return [{"type": "tile", "entity": entity, "name": name} for entity, name in zip(entities, names, strict=True)]


async def test_sign_in_with_two_factor_and_see_the_car(
    person: Person, home: LiveHomeAssistant, tesla: TeslaSimulator
) -> None:
    """The README's steps, in the browser; what is shown is what the simulated car says."""
    await person.add_integration()
    await person.picture("choose")
    await person.choose("Sign in with Tesla")
    await person.dialog.locator("step-flow-form").wait_for()
    await person.picture("scopes")
    await person.sign_in_at_tesla("anna@example.com", pictures=True)
    await person.finish()

    await until(lambda: _shows_a_level(home))
    car = tesla.control.car(ANNAS_MODEL_3)
    level = await state_of(home, "sensor.roadrunner_battery_level")
    assert abs(float(level["state"]) - car.data["charge_state"]["battery_level"]) <= 1
    odometer = await state_of(home, "sensor.roadrunner_odometer")
    driven = DistanceConverter.convert(car.data["vehicle_state"]["odometer"], "mi", "km")
    assert abs(float(odometer["state"]) - driven) < 5

    await person.open(f"/config/devices/device/{await device_of(home, 'Roadrunner')}")
    await person.sees("Battery level")
    await until(lambda: _is_shown(home, person.page))
    await person.picture("device-page")

    ours = {row["entity_id"] for row in await states(home)}
    shown = [
        entity
        for name in (*ENTITIES, "speed", "destination")
        for entity in (f"sensor.roadrunner_{name}", f"binary_sensor.roadrunner_{name}")
        if entity in ours
    ]
    await dashboard(person, shown)
    tile = person.page.locator("hui-tile-card", has_text="Battery level")
    await until(lambda: _is_shown(home, tile))
    await expect(person.page.locator("hui-tile-card", has_text="Destination")).to_contain_text("Office")
    await person.picture("dashboard")


async def test_paste_a_token(person: Person, home: LiveHomeAssistant, tesla: TeslaSimulator) -> None:
    """A mistake is told in a sentence; the fields hide what is typed; the token works."""
    pair = tesla.control.mint("erik@example.com", "teslafi-monitoring", READ_SCOPES)
    await person.add_integration()
    await person.choose("Use a token I generated")
    await person.dialog.locator("step-flow-form").wait_for()
    assert await person.dialog.locator("input[name=access_token]").get_attribute("type") == "password"
    await person.picture("token")
    await person.fill("access_token", "not a token")
    await person.submit()
    await person.sees("This doesn't look like a Tesla token.")
    await person.picture("token-refused")
    await person.fill("access_token", pair.access_token)
    await person.fill("refresh_token", pair.refresh_token or "")
    await person.submit()
    await person.finish()

    async def shown() -> bool:
        return bool((await state_of(home, "sensor.oldtimer_charging_state"))["state"] == "charging")

    await until(shown)


async def test_sign_in_again_after_a_password_change(
    person: Person, home: LiveHomeAssistant, tesla: TeslaSimulator
) -> None:
    """Home Assistant asks for it by itself; the same entities come back."""
    await person.add_integration()
    await person.choose("Sign in with Tesla")
    await person.dialog.locator("step-flow-form").wait_for()
    await person.sign_in_at_tesla("anna@example.com")
    await person.finish()
    before = {row["entity_id"] for row in await states(home)}

    tesla.control.change_password("anna@example.com", "a-new-horse-anna")
    await home.api("POST", "services/homeassistant/update_entity", {"entity_id": "sensor.roadrunner_battery_level"})
    await until(lambda: _asks_to_sign_in(home))

    await person.open("/config/integrations/dashboard")
    await person.page.get_by_role(
        "button", name=re.compile("Reconfigure|Sign in|Re-?auth", re.IGNORECASE)
    ).first.click()
    await person.dialog.locator("step-flow-menu").wait_for()
    await person.picture("sign-in-again")
    async with person.page.expect_popup() as opened:
        await person.choose("Sign in with Tesla")
    await person.at_tesla(await opened.value, "anna@example.com")
    await person.dialog.locator("step-flow-abort").wait_for()
    await until(lambda: _shows_a_level(home))
    assert before <= {row["entity_id"] for row in await states(home)}


async def _asks_to_sign_in(home: LiveHomeAssistant) -> bool:
    flows = await home.call({"type": "config_entries/flow/progress"})
    return any(flow["context"]["source"] == "reauth" for flow in flows)


async def _is_shown(home: LiveHomeAssistant, where: Page | Locator) -> bool:
    """Say whether the battery's level is read there. The car drives: another may have been told meanwhile."""
    level = (await state_of(home, "sensor.roadrunner_battery_level"))["state"]
    return await where.get_by_text(re.compile(rf"^\s*{level}\s*%\s*$")).filter(visible=True).count() > 0


async def _shows_a_level(home: LiveHomeAssistant) -> bool:
    return str((await state_of(home, "sensor.roadrunner_battery_level"))["state"]).isdigit()
