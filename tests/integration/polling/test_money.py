"""What a month costs in the account's currency, what a discounted car costs, and how a short budget is told."""

from unittest.mock import patch

from freezegun.api import FrozenDateTimeFactory
from homeassistant.core import HomeAssistant
from homeassistant.helpers import issue_registry as ir
import pytest

from custom_components.teslafi.const import CONF_CURRENCY, CONF_HABITS, CONF_MONTHLY_BUDGET, DOMAIN
from custom_components.teslafi.flow.options import likely_currency
from custom_components.teslafi.polling.learnt import Kind, Place
from custom_components.teslafi.polling.pace import Step
from custom_components.teslafi.tesla.requests import Category, Currency
from teslafi_simulators.tesla.scenario import ANNAS_MODEL_3, ANNAS_MODEL_Y
from tests.integration.owner import Owner
from tests.integration.test_watching import pass_time


@pytest.fixture(autouse=True)
def _mid_month(freezer: FrozenDateTimeFactory) -> None:
    freezer.move_to("2026-11-16 12:00:00")


@pytest.mark.parametrize(
    ("options", "home", "offered"),
    [
        ({}, "EUR", Currency.EUR),
        ({}, "GBP", Currency.GBP),
        ({}, "CHF", Currency.USD),
        ({CONF_MONTHLY_BUDGET: 5.0}, "GBP", Currency.USD),
        ({CONF_MONTHLY_BUDGET: 5.0, CONF_CURRENCY: "GBP"}, "EUR", Currency.EUR),
    ],
)
def test_the_currency_that_is_offered(options: dict[str, object], home: str, offered: Currency) -> None:
    """Home Assistant's, where Tesla's prices are known; a budget of version 0.1.0 was in US dollars."""
    assert likely_currency(options, home) is offered


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "drop"},
        {"kind": "cut"},
        {"kind": "truncated"},
        {"kind": "malformed"},
        {"kind": "html"},
        {"kind": "segments"},
        {"kind": "values", "values": {"charge_state": None}},
        *(
            {"kind": "status", "status": status}
            for status in (400, 402, 403, 404, 405, 406, 408, 412, 418, 429, 500, 503)
        ),
    ],
    ids=lambda fault: f"{fault['kind']} {fault.get('status', '')}",
)
async def test_what_is_counted_is_what_tesla_bills(
    hass: HomeAssistant, owner: Owner, freezer: FrozenDateTimeFactory, fault: dict[str, object]
) -> None:
    """Whatever becomes of the answer, lost ones included."""
    entry = await owner.sign_in(energy_device_data=False)
    car = entry.runtime_data.vehicles[ANNAS_MODEL_3]
    owner.tesla.control.fault(path="*/vehicle_data", times=2, **fault)
    for _ in range(3):
        freezer.tick(120)
        await car.async_request_refresh()
        await pass_time(hass, freezer, 120, step=60)
    billed = owner.tesla.control.counters()["anna@example.com"]
    assert car.data.requests["data"] == billed["data"] >= 2
    assert car.data.requests.get(Category.WAKE, 0) == billed.get("wake", 0) == 0


async def test_costs_are_told_in_the_accounts_currency(hass: HomeAssistant, owner: Owner) -> None:
    """Counts are what is kept: another currency is another price of the same requests."""
    with patch("homeassistant.helpers.entity.Entity.entity_registry_enabled_default", new=True):
        entry = await owner.sign_in()
    sensor = "sensor.roadrunner_estimated_cost_this_month"
    for currency, sold in ((None, 500), ("GBP", 650), ("EUR", 500)):
        options = {} if currency is None else {CONF_CURRENCY: currency}
        hass.config_entries.async_update_entry(entry, options=options)
        await hass.async_block_till_done()
        state = hass.states.get(sensor)
        requests = entry.runtime_data.vehicles[ANNAS_MODEL_3].data.requests
        assert state is not None
        assert requests["data"] > 0
        assert state.attributes["unit_of_measurement"] == (currency or "USD")
        assert float(state.state) == pytest.approx((requests["data"] + requests["details"]) / sold, abs=1e-4)


async def test_a_discounted_car_costs_a_tenth(
    hass: HomeAssistant, owner: Owner, freezer: FrozenDateTimeFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tesla tells it with the status of the fleet; the budget lasts ten times as long for that car alone."""
    owner.tesla.control.car(ANNAS_MODEL_3).discounted = True
    monkeypatch.setattr("custom_components.teslafi.coordinators.account.kind_of", lambda _vin: Kind.OLDER)
    entry = await owner.sign_in()
    budget = entry.runtime_data.budget
    assert budget.discounted == {ANNAS_MODEL_3}
    assert budget.price(Category.DATA, ANNAS_MODEL_3) == pytest.approx(0.0002)
    assert budget.price(Category.DATA, ANNAS_MODEL_Y) == pytest.approx(0.002)
    requests = budget.ledger(ANNAS_MODEL_3).page("2026-11")
    looks, details = requests[Category.DATA], requests.get(Category.DETAILS, 0)
    assert budget.cost_of_month(ANNAS_MODEL_3, "2026-11") == pytest.approx(looks * 0.0002 + details * 0.002)
    owner.tesla.control.fault(path="*/fleet_status", kind="status", status=500, body={"error": "no"}, times=None)
    freezer.tick(90_000)
    await entry.runtime_data.account.async_refresh()
    assert budget.discounted == {ANNAS_MODEL_3}
    assert entry.runtime_data.account.last_update_success


async def test_a_reload_asks_for_no_discount_again(
    hass: HomeAssistant, owner: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tesla bills the question, and has answered it today."""
    owner.tesla.control.car(ANNAS_MODEL_3).discounted = True
    monkeypatch.setattr("custom_components.teslafi.coordinators.account.kind_of", lambda _vin: Kind.OLDER)
    entry = await owner.sign_in()
    for _ in range(4):
        await hass.config_entries.async_reload(entry.entry_id)
        await hass.async_block_till_done(wait_background_tasks=True)
        assert entry.runtime_data.budget.discounted == {ANNAS_MODEL_3}
    asked = [one for one in owner.tesla.state.billing.exchanges if one.path.endswith("/fleet_status")]
    assert len(asked) == 1


async def test_the_question_after_discounts_holds_its_money(
    hass: HomeAssistant, owner: Owner, freezer: FrozenDateTimeFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From before it is sent: what somebody asks meanwhile cannot spend the same money."""
    monkeypatch.setattr("custom_components.teslafi.coordinators.account.kind_of", lambda _vin: Kind.OLDER)
    entry = await owner.sign_in()
    budget, account = entry.runtime_data.budget, entry.runtime_data.account
    price = budget.price(Category.DETAILS)
    hass.config_entries.async_update_entry(entry, options={CONF_MONTHLY_BUDGET: budget.cost + 1.5 * price})
    room: list[bool] = []

    async def asked(_vins: object, _count: object) -> frozenset[str]:
        room.append(budget.may_spend_on(price))
        return frozenset()

    monkeypatch.setattr(account.reader, "discounted", asked)
    freezer.tick(90_000)
    await account.async_refresh()
    assert room == [False]
    assert budget.may_spend_on(price)


async def test_a_budget_that_runs_short_is_told_until_it_is_raised(
    hass: HomeAssistant, owner: Owner, freezer: FrozenDateTimeFactory
) -> None:
    """One issue for the milder steps, another when nothing is left; steps that come and go make no issue do so."""
    entry = await owner.sign_in()
    issues = ir.async_get(hass)
    short, reached = f"budget_short_{entry.entry_id}", f"budget_reached_{entry.entry_id}"
    assert issues.async_get_issue(DOMAIN, short) is None
    hass.config_entries.async_update_entry(entry, options={CONF_MONTHLY_BUDGET: 0.5})
    await hass.async_block_till_done()
    assert entry.runtime_data.budget.step(ANNAS_MODEL_3) in (Step.REDUCED, Step.STARTS_AND_ENDS)
    assert issues.async_get_issue(DOMAIN, short) is not None
    assert issues.async_get_issue(DOMAIN, reached) is None
    freezer.move_to("2026-11-30 23:30:00")
    entry.runtime_data.account.look_at_budget()
    assert entry.runtime_data.budget.step(ANNAS_MODEL_3) is Step.FULL
    assert issues.async_get_issue(DOMAIN, short) is not None
    hass.config_entries.async_update_entry(entry, options={CONF_MONTHLY_BUDGET: 0.0})
    await hass.async_block_till_done()
    assert issues.async_get_issue(DOMAIN, short) is None
    assert issues.async_get_issue(DOMAIN, reached) is not None
    hass.config_entries.async_update_entry(entry, options={CONF_MONTHLY_BUDGET: 50.0})
    await hass.async_block_till_done()
    assert issues.async_get_issue(DOMAIN, short) is None
    assert issues.async_get_issue(DOMAIN, reached) is None


async def test_habits_are_deleted_when_they_are_turned_off(
    hass: HomeAssistant, owner: Owner, freezer: FrozenDateTimeFactory
) -> None:
    """At once and for good, in memory and in what is kept; how soon the car sleeps is no habit."""
    entry = await owner.sign_in()
    owner.tesla.control.drive(ANNAS_MODEL_3, miles=20, speed=30)
    await pass_time(hass, freezer, 4800, step=120)
    car = entry.runtime_data.vehicles[ANNAS_MODEL_3]
    assert car.polling.learnt.departures
    hass.config_entries.async_update_entry(entry, options={CONF_HABITS: False})
    await hass.async_block_till_done()
    owner.tesla.control.drive(ANNAS_MODEL_3, miles=20, speed=30)
    await pass_time(hass, freezer, 4800, step=120)
    learnt = car.polling.learnt
    assert (learnt.departures, learnt.places) == ((), ())
    assert str(Place(1, 2).latitude) not in str(car.last_values.polling["learnt"]["places"])
    hass.config_entries.async_update_entry(entry, options={CONF_HABITS: True})
    await hass.async_block_till_done()
    owner.tesla.control.drive(ANNAS_MODEL_3, miles=20, speed=30)
    await pass_time(hass, freezer, 4800, step=120)
    assert car.polling.learnt.departures
