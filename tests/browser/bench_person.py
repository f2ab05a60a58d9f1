"""Figures of what a person does and sees in a real browser: clicks and seconds to a value and a control, and feedback.

`script/bench person` prints them; nothing is asserted, since they are the machine's as well.
"""

import asyncio
from collections.abc import Mapping
import time
from typing import Final

from playwright.async_api import Locator
import pytest

from teslafi_simulators.tesla import TeslaSimulator
from teslafi_simulators.tesla.scenario import ANNAS_MODEL_3, ANNAS_MODEL_Y
from tests.live.check import states
from tests.live.companion import LiveCompanion
from tests.live.home_assistant import LiveHomeAssistant

from .person import Person
from .test_browser import dashboard, until
from .test_companion import Clock, chargebee, clock, companion  # noqa: F401 - fixtures
from .test_controls import CONTROLS, consents, grants, link, tesla  # noqa: F401 - a fixture among them

pytestmark = pytest.mark.browser

DELAY: Final = 4.0
"""Seconds that Tesla takes to answer a command here."""
LOCK: Final = "lock.roadrunner_door_lock"
STATE: Final = "sensor.roadrunner_car_state"
CLICKS: Final = "addEventListener('click', event => event.isTrusted && personClicked(), true)"
TEXT: Final = """
  const text = node => [...node.childNodes].map(child => child.nodeType === 3 ? child.textContent
    : (child.shadowRoot ? text(child.shadowRoot) : '') + text(child)).join('|');
"""
AWAIT_CHANGE: Final = f"""(card, name) => {{ {TEXT}
  const before = text(card.shadowRoot);
  window.changed = window.changed ?? {{}};
  window.changed[name] = new Promise(done => document.addEventListener('click', () => {{
    const pressed = performance.now();
    const look = () => text(card.shadowRoot) !== before ? done(performance.now() - pressed)
      : requestAnimationFrame(look);
    look();
  }}, {{capture: true, once: true}}));
}}"""


class Count:
    """Counts clicks in all windows of a browser, and seconds."""

    def __init__(self) -> None:
        """Begin now."""
        self.clicks = 0
        self.begun = time.monotonic()

    def click(self) -> None:
        """Count one."""
        self.clicks += 1

    def tell(self, what: str) -> None:
        """Print the figures, and begin anew."""
        print(f"{what:<62}{self.clicks:>4} clicks {time.monotonic() - self.begun:>7.1f} s")
        self.clicks, self.begun = 0, time.monotonic()


async def test_figures(
    person: Person,
    home: LiveHomeAssistant,
    tesla: TeslaSimulator,  # noqa: F811
    companion: LiveCompanion,  # noqa: F811
    clock: Clock,  # noqa: F811
) -> None:
    count = Count()
    await person.browser.expose_function("personClicked", count.click)
    await person.browser.add_init_script(CLICKS)
    for vin in (ANNAS_MODEL_3, ANNAS_MODEL_Y):
        tesla.control.car(vin).park()
        tesla.control.wake(vin)
    print()
    await person.add_integration()
    await person.choose("Sign in with Tesla")
    await person.dialog.locator("step-flow-form").wait_for()
    await person.sign_in_at_tesla("anna@example.com")
    await until(lambda: shows(home, "sensor.roadrunner_battery_level"))
    count.tell("from Add integration to the first value, signing in at Tesla")
    await person.finish()

    application = tesla.applications.by_client_id(CONTROLS)
    assert application is not None
    secret = {"client_id": CONTROLS, "client_secret": application.client_secret, "name": "Controls"}
    await person.call({"type": "application_credentials/create", "domain": "teslafi", **secret})
    await person.open("/config/integrations/integration/teslafi")
    count.tell("(between)")
    await person.reconfigure()
    await person.choose("Turn on controls")
    await person.dialog.locator("step-flow-form").wait_for()
    await person.fill("address", companion.url.removeprefix("http://"))
    async with person.page.expect_popup() as opened:
        await person.submit()
    await link(person, await opened.value, companion, clock)
    count.tell("from Reconfigure to a linked companion")
    await consents(person, companion, clock)
    await grants(person, home, tesla)
    await until(lambda: shows(home, LOCK))
    count.tell("from there to an enabled control: subscribe, sign in, pair")
    await feedback(person, home, tesla)


async def shows(home: LiveHomeAssistant, entity: str) -> bool:
    """Say whether an entity has a value."""
    return any(
        row["entity_id"] == entity and row["state"] not in {"unknown", "unavailable"} for row in await states(home)
    )


async def feedback(person: Person, home: LiveHomeAssistant, tesla: TeslaSimulator) -> None:  # noqa: F811
    """Print how long a press takes to be seen, with a Tesla that answers late, awake and asleep; then the activity."""
    await dashboard(person, [LOCK, STATE])
    doors = person.page.locator("hui-tile-card", has_text="Door lock")
    state = person.page.locator("hui-tile-card", has_text="Car state")
    tesla.control.fault(path="*/signed_command", kind="delay", seconds=DELAY, times=None)
    await pressed(person, "Unlock", {"awake: press to the lock's first visible change": doors})
    await person.picture("controls-unlocking")
    await until(lambda: is_in(home, LOCK, "unlocked"))
    tesla.control.sleep(ANNAS_MODEL_3)
    await home.api("POST", "services/homeassistant/update_entity", {"entity_id": STATE})
    await until(lambda: is_in(home, STATE, "asleep"))
    begun = time.monotonic()
    watched = {
        "asleep: press to the lock's first visible change": doors,
        "asleep: press to the car shown waking up": state,
    }
    await pressed(person, "Lock", watched)
    await state.get_by_text("Waking up").wait_for()
    await person.picture("controls-waking")
    await until(lambda: is_in(home, LOCK, "locked"))
    print(f"{'asleep: press to the car locked':<62}{time.monotonic() - begun:>14.1f} s")
    tesla.control.clear_faults()
    tesla.control.unpair(ANNAS_MODEL_3)
    await person.page.get_by_text("Unlock", exact=True).first.click()
    await person.sees("doesn't know the command key")
    await person.picture("controls-refused")
    await until(lambda: is_in(home, LOCK, "locked"))
    await asyncio.sleep(3)  # the recorder writes each second here
    await person.open("/logbook")
    await person.sees("not paired")
    await person.picture("activity-commands")


async def pressed(person: Person, button: str, watched: Mapping[str, Locator]) -> None:
    """Press and print when each card's text changed, measured in the page."""
    for what, card in watched.items():
        await card.evaluate(AWAIT_CHANGE, what)
    await person.page.get_by_text(button, exact=True).first.click()
    for what in watched:
        print(f"{what:<62}{await person.page.evaluate('(name) => window.changed[name]', what):>14.0f} ms")


async def is_in(home: LiveHomeAssistant, entity: str, state: str) -> bool:
    """Say whether an entity is in a state."""
    return any(row["entity_id"] == entity and row["state"] == state for row in await states(home))
