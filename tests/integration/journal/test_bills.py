"""What Tesla billed becomes what charges cost: on request and after a charge, with consent, never over the owner."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
import threading
from typing import Any, cast

from freezegun.api import FrozenDateTimeFactory
from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import ServiceValidationError
import pytest
from pytest_homeassistant_custom_component.common import (  # type: ignore[import-untyped]
    async_fire_time_changed,
)

from custom_components.teslafi.const import CONF_FREE_SUPERCHARGING, CONF_MONTHLY_BUDGET
from custom_components.teslafi.coordinators import billed_charges
from custom_components.teslafi.coordinators.billed_charges import WAITS, async_apply_bills, next_question
from custom_components.teslafi.coordinators.details import VehicleDetails
from custom_components.teslafi.coordinators.journal import get_journal
from custom_components.teslafi.journal import bills
from custom_components.teslafi.journal.sample import Sample, Wake
from custom_components.teslafi.journal.sessions import Charge, CostSource
from custom_components.teslafi.tesla.charging_history import ChargingFee, ChargingHistory, ChargingSession
from custom_components.teslafi.tesla.errors import Unreachable
from teslafi_simulators.tesla.scenario import ANNAS_MODEL_3 as VIN
from tests.integration.owner import Owner
from tests.integration.test_offers import ask, billed, sharing

BILLED = int(datetime(2026, 11, 13, 12, tzinfo=UTC).timestamp())
"""When the simulator's newest session began: 38 kWh for 15.96 USD."""
TESLA = {"fast_charger": True, "fast_charger_type": "Tesla", "fast_charger_brand": "Tesla"}


async def see_charge(hass: HomeAssistant, entry: ConfigEntry, start: int = BILLED, kwh: float = 37.0) -> None:
    """Let the journal see a charge at a Supercharger of half an hour."""
    journal = get_journal(hass)
    for minute in range(-5, 45, 5):
        goes_on = 0 <= minute <= 30
        sample = Sample(
            at=start + minute * 60,
            state=Wake.ONLINE,
            odometer_km=100.0,
            driving=False,
            charging_state="Charging" if goes_on else "Disconnected",
            charger_power_kw=74.0 if goes_on else 0.0,
            energy_added_kwh=kwh * min(max(minute, 0), 30) / 30,
            latitude=39.33,
            longitude=-120.18,
            **(TESLA if goes_on else {}),  # type: ignore[arg-type]
        )
        journal.see(entry, VIN, sample)
    await journal.async_flush()
    await hass.async_block_till_done(wait_background_tasks=True)


async def pass_hours(hass: HomeAssistant, freezer: FrozenDateTimeFactory, *hours: float) -> None:
    """Let time go by in large steps."""
    for each in hours:
        freezer.tick(timedelta(hours=each))
        async_fire_time_changed(hass)
        await hass.async_block_till_done(wait_background_tasks=True)


@pytest.fixture
def _three_days_later(freezer: FrozenDateTimeFactory) -> None:
    """Be at the moment from which the simulator reckons back its sessions."""
    freezer.move_to("2026-11-16 12:00:00")


@pytest.fixture(autouse=True)
def _the_car_sleeps(_three_days_later: None, owner: Owner) -> None:
    """Nothing but what a test shows comes into the journal."""
    owner.tesla.control.sleep(VIN)


async def charges(hass: HomeAssistant) -> Sequence[Charge]:
    journal = get_journal(hass)
    return await journal.async_query(journal.store.charges, VIN)


def costs(told: Sequence[Charge]) -> list[tuple[Any, ...]]:
    return [(one.cost, one.currency, one.cost_source) for one in told]


async def test_the_owner_takes_over_what_tesla_billed(hass: HomeAssistant, owner: Owner) -> None:
    entry = await sharing(owner)
    await see_charge(hass, entry)
    answer = await ask(hass, "apply_charging_history", start="2026-10-01 00:00:00")
    (told,) = answer["charges"]
    assert (told["cost"], told["currency"], told["site"]) == (15.96, "USD", "Truckee, CA")
    assert len(answer["without_charge"]) == len((await ask(hass, "get_charging_history"))["sessions"]) - 2
    assert costs(await charges(hass)) == [(15.96, "USD", CostSource.TESLA)]
    # No tariff changes it, the owner does, and Tesla does not change the owner's
    await ask(hass, "recompute_costs")
    hass.config_entries.async_update_entry(entry, options={CONF_FREE_SUPERCHARGING: True})
    await ask(hass, "recompute_costs")
    assert costs(await charges(hass)) == [(15.96, "USD", CostSource.TESLA)]
    await ask(hass, "set_charge_cost", session=told["session"], cost=3.5, currency="EUR")
    assert (await ask(hass, "apply_charging_history"))["kept"] == 1
    assert costs(await charges(hass)) == [(3.5, "EUR", CostSource.OWNER)]


async def test_after_a_charge_tesla_is_asked_until_there_is_a_bill(
    hass: HomeAssistant, owner: Owner, freezer: FrozenDateTimeFactory
) -> None:
    """Not before the bill can be there, and not once more when it is."""
    freezer.move_to("2026-11-13 12:00:00")
    entry = await sharing(owner)
    freezer.move_to("2026-11-13 12:41:00")
    await see_charge(hass, entry)
    assert billed(owner, "/charging/history") == 0
    await pass_hours(hass, freezer, 0.5)
    assert costs(await charges(hass)) == [(15.96, "USD", CostSource.TESLA)]
    assert billed(owner, "/charging/history") == 1
    await pass_hours(hass, freezer, 6, 24)
    assert billed(owner, "/charging/history") == 1


async def test_a_bill_that_never_comes_is_asked_for_three_times(
    hass: HomeAssistant, owner: Owner, freezer: FrozenDateTimeFactory
) -> None:
    freezer.move_to("2026-11-15 12:00:00")
    entry = await sharing(owner)
    freezer.move_to("2026-11-15 12:41:00")
    await see_charge(hass, entry, BILLED + 2 * 86_400)
    await pass_hours(hass, freezer, 0.6, 0.6, 6, 6, 12, 12, 12, 12, 12)
    assert billed(owner, "/charging/history") == len(WAITS)
    assert costs(await charges(hass)) == [(None, None, None)]


async def test_whoever_is_reloaded_while_asking_asks_no_more(
    hass: HomeAssistant, owner: Owner, freezer: FrozenDateTimeFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else each reload would leave one more that asks, and each question is billed."""
    freezer.move_to("2026-11-13 12:00:00")
    entry = await sharing(owner)
    freezer.move_to("2026-11-13 12:41:00")
    await see_charge(hass, entry)
    asked: list[VehicleDetails] = []

    async def reloaded_meanwhile(_car: object, details: VehicleDetails, *_: object) -> None:
        asked.append(details)
        if len(asked) == 1:
            assert await hass.config_entries.async_reload(entry.entry_id)
        raise Unreachable("no answer")

    monkeypatch.setattr(billed_charges, "async_apply_bills", reloaded_meanwhile)
    await pass_hours(hass, freezer, 0.5, 1, 6, 26, 26)
    assert [one is asked[0] for one in asked].count(True) == 1
    assert len(asked) > 1


async def test_bills_of_another_car_are_not_this_ones(hass: HomeAssistant, owner: Owner) -> None:
    """Whatever car Tesla was asked for; and nothing of years is reckoned on the event loop."""
    entry = await sharing(owner)
    await see_charge(hass, entry)
    start = datetime.fromtimestamp(BILLED, UTC)
    fee = ChargingFee(fee_type="CHARGING", uom="kwh", usage_base=37.0, total_due=9.0, currency_code="USD")
    car = entry.runtime_data.journal_of(VIN)

    class Details:
        async def charging_history(self, *_: object) -> ChargingHistory:
            session = ChargingSession(
                charge_start_date_time=start, charge_stop_date_time=start + timedelta(minutes=30), fees=(fee,)
            )
            return ChargingHistory(tuple(replace(session, vin=vin) for vin in self.vins), complete=True)

        def __init__(self, *vins: str | None) -> None:
            self.vins = vins

    other = await async_apply_bills(car, cast("VehicleDetails", Details("5YJ3E1EA7KF000999")), None, None)
    assert (other.charges, other.bills) == ((), ())
    assert costs(await charges(hass)) == [(None, None, None)]
    threads: list[int] = []
    taken = bills.billed

    def noted(*args: Any) -> Any:  # noqa: ANN401 - as it is
        threads.append(threading.get_ident())
        return taken(*args)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("custom_components.teslafi.coordinators.billed_charges.billed", noted)
        await async_apply_bills(car, cast("VehicleDetails", Details(VIN.lower())), None, None)
    assert costs(await charges(hass)) == [(9.0, "USD", CostSource.TESLA)]
    assert threading.get_ident() not in threads
    assert len(threads) == 1


async def test_without_consent_or_budget_nothing_is_asked(
    hass: HomeAssistant, owner: Owner, freezer: FrozenDateTimeFactory
) -> None:
    freezer.move_to("2026-11-13 12:00:00")
    entry = await owner.sign_in()
    freezer.move_to("2026-11-13 12:41:00")
    await see_charge(hass, entry)
    await pass_hours(hass, freezer, 1)
    assert billed(owner, "/charging/history") == 0
    with pytest.raises(ServiceValidationError) as refused:
        await ask(hass, "apply_charging_history")
    assert refused.value.translation_key == "charging_history_not_shared"


async def test_a_used_up_budget_is_kept_to(hass: HomeAssistant, owner: Owner, freezer: FrozenDateTimeFactory) -> None:
    freezer.move_to("2026-11-13 12:00:00")
    entry = await sharing(owner)
    hass.config_entries.async_update_entry(entry, options={CONF_MONTHLY_BUDGET: 0.0})
    freezer.move_to("2026-11-13 12:41:00")
    await see_charge(hass, entry)
    await pass_hours(hass, freezer, 1)
    assert billed(owner, "/charging/history") == 0


def test_when_the_next_question_is_due() -> None:
    """Never after the last wait, never because of a start, never twice at one moment."""
    end = BILLED + 1800
    one = Charge(start=BILLED, end=end, earliest=BILLED, latest=end, added_kwh=30, dc=True, charger_brand="Tesla")
    first, second, third = (end + wait for wait in WAITS)
    assert next_question([one], 0, BILLED - 86_400) == first
    assert next_question([one], first, BILLED - 86_400) == second
    assert next_question([one], second, BILLED - 86_400) == third
    assert next_question([one], third, BILLED - 86_400) is None
    for begun in (first, first + 100, second - 1):
        assert next_question([one], 0, begun) == second, "a start asks nothing, however often there is one"
    assert next_question([one], 0, third + 1) is None
    assert next_question([], 0, 0) is None
