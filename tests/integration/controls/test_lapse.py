"""Controls and the subscription: told on the way, gone with it, back with it, and nobody signs in anew."""

from homeassistant.const import STATE_UNAVAILABLE
from homeassistant.core import HomeAssistant
from homeassistant.helpers import issue_registry as ir
import pytest

from custom_components.teslafi.const import CONF_ADDRESS, CONF_COMPANION, DOMAIN
from custom_components.teslafi.controls.gate import Lock
from teslafi_companion.domain.billing import mirror
from teslafi_companion.domain.billing.refresh import refresh
from teslafi_simulators.chargebee import ChargebeeSimulator
from tests.companion.web.person import OLGA
from tests.integration.test_link import settings as free_settings  # noqa: F401 - a fixture
from tests.integration.test_subscription import chargebee, settings  # noqa: F401 - fixtures

from .keeper import Keeper
from .test_gate import TEXTS, _firmware_with_schedules, press_everything  # noqa: F401 - one is a fixture

pytestmark = pytest.mark.slow


async def tell(keeper: Keeper) -> None:
    """Have the companion ask Chargebee now."""
    async with keeper.companion.store.reading() as transaction:
        owner = await keeper.olga.account(transaction)
    await refresh(keeper.companion.store, keeper.companion.billing, owner)


async def subscribe(keeper: Keeper, chargebee: ChargebeeSimulator) -> str:  # noqa: F811
    """Subscribe; return the subscription's number."""
    async with keeper.companion.store.transaction() as transaction:
        owner = await keeper.olga.account(transaction)
        await mirror.note_customer(transaction, owner, OLGA)
    chargebee.site.add_customer({"id": mirror.customer_id(owner), "email": OLGA})
    number: str = chargebee.site.subscribe(mirror.customer_id(owner), "controls-USD-monthly").id
    await tell(keeper)
    return number


async def test_two_factor_without_subscription_is_not_enough(hass: HomeAssistant, linked: Keeper) -> None:
    flow = await linked.at_companion(await linked.choose())
    assert flow["step_id"] == "controls_subscription"
    assert flow["step_id"] in TEXTS["config"]["step"]
    assert await press_everything(hass, linked) == {"controls_not_enabled"}
    assert linked.sent == 0


async def test_a_lapsed_subscription_locks_and_its_return_unlocks(
    hass: HomeAssistant,
    linked: Keeper,
    chargebee: ChargebeeSimulator,  # noqa: F811
) -> None:
    number = await subscribe(linked, chargebee)
    assert (await linked.enable())["reason"] == "controls_enabled"
    assert linked.controls.is_open

    chargebee.site.cancel(number)
    await tell(linked)
    await hass.config_entries.async_reload(linked.entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert linked.controls.gate.lock is Lock.SUBSCRIPTION
    assert "subscription" in linked.controls.gate.sentence
    before = linked.sent
    assert await press_everything(hass, linked) == {"controls_subscription"}
    assert linked.sent == before
    assert linked.issues() == {"controls_locked_subscription"}
    repair = ir.async_get(hass).async_get_issue(DOMAIN, f"controls_locked_{linked.entry.entry_id}")
    assert repair is not None
    assert repair.learn_more_url == f"{linked.entry.data[CONF_COMPANION][CONF_ADDRESS]}/links"
    state = hass.states.get("lock.roadrunner_door_lock")
    assert state is not None
    assert state.state == STATE_UNAVAILABLE

    chargebee.site.reactivate(number)
    await tell(linked)
    await linked.ask_again()
    assert linked.controls.is_open
    assert linked.issues() == set()
    await linked.unlock()
    assert linked.car().data["vehicle_state"]["locked"] is False
