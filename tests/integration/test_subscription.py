"""The subscription of the linked account, as Home Assistant sees it: subscribed, active, cancelled, lapsed."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

from homeassistant.core import HomeAssistant
from homeassistant.helpers import issue_registry as ir
import pytest

from custom_components.teslafi.link.words import SubscriptionReason as LinkReason
from teslafi_companion.adapters.chargebee.settings import ChargebeeSettings
from teslafi_companion.domain.billing import mirror
from teslafi_companion.domain.billing.refresh import refresh
from teslafi_companion.domain.words import SubscriptionReason
from teslafi_companion.http.services import Services
from teslafi_companion.settings import Settings
from teslafi_simulators.chargebee import ChargebeeSimulator
from tests.companion.web.person import OLGA, Person

from .test_link import (  # noqa: F401 - fixtures
    Link,
    companion,
    entry,
    issues,
    later,
    link,
    olga,
    settings as free_settings,
    stack,
)

STATE = "sensor.teslafi_companion_subscription"
UNTIL = "sensor.teslafi_companion_subscription_until"


@pytest.fixture
async def chargebee(socket_enabled: None, stack: AsyncExitStack) -> AsyncIterator[ChargebeeSimulator]:  # noqa: F811
    """Be Chargebee."""
    async with ChargebeeSimulator() as simulator:
        yield simulator


@pytest.fixture
def settings(free_settings: Settings, chargebee: ChargebeeSimulator, tmp_path: Path) -> Settings:  # noqa: F811
    """Return the settings of a companion that lives on subscriptions."""
    return replace(
        free_settings,
        billing="chargebee",
        keeper=ChargebeeSettings(
            site="acme-test",
            api_key="test_simulated",
            item_prices=("controls-USD-monthly=Controls, monthly",),
            base_url=chargebee.url,
        ),
    )


def state_of(hass: HomeAssistant, entity_id: str = STATE) -> str:
    """Return an entity's state."""
    state = hass.states.get(entity_id)
    assert state is not None
    return state.state


async def tell(companion: Services, olga: Person) -> None:  # noqa: F811
    """Have the companion ask Chargebee now."""
    async with companion.store.reading() as transaction:
        owner = await olga.account(transaction)
    await refresh(companion.store, companion.billing, owner)


async def test_subscribed_cancelled_and_back(
    hass: HomeAssistant,
    link: Link,  # noqa: F811
    companion: Services,  # noqa: F811
    olga: Person,  # noqa: F811
    settings: Settings,
    chargebee: ChargebeeSimulator,
) -> None:
    await link()
    assert state_of(hass) == "none"
    assert issues(hass) == set()

    async with companion.store.transaction() as transaction:
        owner = await olga.account(transaction)
        await mirror.note_customer(transaction, owner, OLGA)
    chargebee.site.add_customer({"id": mirror.customer_id(owner), "email": OLGA})
    number = chargebee.site.subscribe(mirror.customer_id(owner), "controls-USD-monthly").id
    await tell(companion, olga)
    await later(hass)
    assert state_of(hass) == "active"
    assert state_of(hass, UNTIL).startswith("20")

    chargebee.site.cancel(number)
    await tell(companion, olga)
    await later(hass)
    assert state_of(hass) == "cancelled"
    assert issues(hass) == {"subscription_lapsed"}
    issue = next(one for one in ir.async_get(hass).issues.values() if one.translation_key == "subscription_lapsed")
    assert issue.learn_more_url == f"{settings.base_url}/account#subscription"
    assert hass.states.get("sensor.roadrunner_battery_level") is not None

    chargebee.site.reactivate(number)
    await tell(companion, olga)
    await later(hass)
    assert state_of(hass) == "active"
    assert issues(hass) == set()


def test_both_sides_know_the_same_reasons() -> None:
    assert {state.value for state in LinkReason} == {reason.value for reason in SubscriptionReason}
