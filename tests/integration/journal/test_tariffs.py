"""Tariffs of zones: added and changed in the UI, applied as charges end, and to the past when the owner asks."""

from datetime import timedelta
from typing import Any

from freezegun.api import FrozenDateTimeFactory
from homeassistant.config_entries import ConfigEntry, SubentryFlowResult
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType, InvalidData
from homeassistant.helpers import device_registry as dr, issue_registry as ir
from homeassistant.util import dt as dt_util
import pytest

from custom_components.teslafi.const import CONF_FREE_SUPERCHARGING, DOMAIN, TARIFF
from custom_components.teslafi.coordinators.costs import WEEKDAYS
from custom_components.teslafi.coordinators.journal import get_journal
from custom_components.teslafi.journal.sample import Sample, Wake
from custom_components.teslafi.journal.sessions import Charge, CostSource
from custom_components.teslafi.journal_entities.figures import moment
from custom_components.teslafi.journal_entities.statistics import SERIES, sessions_of
from tests.integration.recorded import MODEL_3, VIN, watch_car

NOON = 1_795_860_000
HOME = {"latitude": 52.0, "longitude": 13.0}


@pytest.fixture
async def entry(hass: HomeAssistant, freezer: FrozenDateTimeFactory) -> ConfigEntry:
    freezer.move_to("2026-11-28 12:00:00")
    hass.states.async_set("zone.home", "0", {**HOME, "radius": 100, "friendly_name": "Home"})
    entry: ConfigEntry = (await watch_car(hass, MODEL_3))[0]
    await get_journal(hass).async_join(entry)
    return entry


async def charge(hass: HomeAssistant, entry: ConfigEntry, start: int, **more: Any) -> None:  # noqa: ANN401 - any field
    """Charge 10 kWh at home within an hour."""
    journal = get_journal(hass)
    for minute in range(0, 65, 5):
        goes_on = 0 < minute < 60
        values: dict[str, Any] = {
            "odometer_km": 100.0,
            "driving": False,
            "charging_state": "Charging" if goes_on else "Disconnected",
            "charger_power_kw": 10.0 if goes_on else 0.0,
            "energy_added_kwh": min(minute, 60) / 6,
            **HOME,
        }
        journal.see(entry, VIN, Sample(at=start + minute * 60, state=Wake.ONLINE, **(values | more)))
    await journal.async_flush()


async def charges(hass: HomeAssistant) -> list[Charge]:
    journal = get_journal(hass)
    return await journal.async_query(journal.store.charges, VIN)


async def add_tariff(hass: HomeAssistant, entry: ConfigEntry, **values: Any) -> SubentryFlowResult:  # noqa: ANN401 - a form's
    flow = await hass.config_entries.subentries.async_init((entry.entry_id, TARIFF), context={"source": "user"})
    form = {"zone": "zone.home", "per_kwh": 0.3, "per_minute": 0, "session_fee": 1.0, **values}
    return await hass.config_entries.subentries.async_configure(flow["flow_id"], form)


async def test_a_charge_in_a_zone_costs_by_its_tariff(hass: HomeAssistant, entry: ConfigEntry) -> None:
    await charge(hass, entry, NOON)
    assert (await add_tariff(hass, entry))["type"] is FlowResultType.CREATE_ENTRY
    told: list[Charge] = []
    get_journal(hass).listen(VIN, lambda said: told.extend(one for one in said.closed if isinstance(one, Charge)))
    await charge(hass, entry, NOON + 7200)
    first, second = await charges(hass)
    assert (first.cost, first.cost_source) == (None, None)
    used = max(second.used_kwh or 0.0, second.added_kwh)
    assert second.cost == pytest.approx(1.0 + 0.3 * used, abs=0.001)
    assert second.cost_source is CostSource.TARIFF
    assert [one.cost for one in told] == [second.cost]


async def test_the_past_is_reckoned_anew_when_the_owner_asks(hass: HomeAssistant, entry: ConfigEntry) -> None:
    """Tariff changed, one charge with the owner's own cost: that stays."""
    await charge(hass, entry, NOON)
    await charge(hass, entry, NOON + 7200)
    journal = get_journal(hass)
    first, second = await charges(hass)
    assert await journal.async_query(journal.store.set_cost, VIN, second.start, 2.5, "EUR", CostSource.OWNER)
    await add_tariff(hass, entry, per_kwh=0.5, session_fee=0)
    assert (await journal.async_reprice(entry, VIN)).costed == 1
    first, second = await charges(hass)
    assert first.cost == pytest.approx(0.5 * max(first.used_kwh or 0.0, first.added_kwh), abs=0.001)
    assert (second.cost, second.cost_source) == (2.5, CostSource.OWNER)
    subentry = next(iter(entry.subentries.values()))
    flow = await entry.start_subentry_reconfigure_flow(hass, subentry.subentry_id)  # type: ignore[attr-defined]
    changed = await hass.config_entries.subentries.async_configure(
        flow["flow_id"], {"zone": "zone.home", "per_kwh": 0.1, "per_minute": 0, "session_fee": 0}
    )
    assert changed["reason"] == "reconfigure_successful"
    assert (await journal.async_reprice(entry, VIN)).costed == 1
    assert (await charges(hass))[0].cost == pytest.approx((first.cost or 0) / 5, abs=0.001)


async def test_windows_of_the_day_have_prices_of_their_own(hass: HomeAssistant, entry: ConfigEntry) -> None:
    """The first that applies counts: not that of another day, nor one that is over."""
    for half in (
        {"start": "22:00:00", "end": "06:00:00"},
        {"start": "06:00:00", "end": "06:00:00", "per_kwh": 1},
        {"start": "06:00:00", "end": "6:00", "per_kwh": 1},
    ):
        refused = await add_tariff(hass, entry, windows=[half])
        assert refused["errors"] == {"windows": "window_incomplete"}
    noon = dt_util.as_local(dt_util.utc_from_timestamp(NOON))
    other = [day for day in WEEKDAYS if day != WEEKDAYS[noon.weekday()]]
    over = {"start": f"{noon - timedelta(hours=3):%H:%M:%S}", "end": f"{noon - timedelta(minutes=10):%H:%M:%S}"}
    windows = [
        {"start": "00:00:00", "end": "23:59:00", "per_kwh": 5.0, "days": other},
        {**over, "per_kwh": 7.0},
        {
            "start": f"{noon - timedelta(hours=1):%H:%M:%S}",
            "end": f"{noon + timedelta(hours=2):%H:%M:%S}",
            "per_kwh": "0.1",  # as the selector lets it through
        },
        {"start": "00:00:00", "end": "23:59:00", "per_kwh": 9.0},
    ]
    whole = await add_tariff(hass, entry, windows=windows)
    assert whole["type"] is FlowResultType.CREATE_ENTRY
    assert whole["title"] == "Home"
    assert (await add_tariff(hass, entry))["reason"] == "already_configured"
    await charge(hass, entry, NOON)
    (one,) = await charges(hass)
    assert one.cost == pytest.approx(1.0 + 0.1 * max(one.used_kwh or 0.0, one.added_kwh), abs=0.001)


async def test_a_window_of_before_there_could_be_several_holds(hass: HomeAssistant, entry: ConfigEntry) -> None:
    """It prices, and stands in the form."""
    await add_tariff(hass, entry, session_fee=0)
    subentry = next(iter(entry.subentries.values()))
    kept = {name: value for name, value in subentry.data.items() if name != "windows"}
    window = {"start": "00:00:00", "end": "23:59:00", "per_kwh": 0.1}
    old = {**kept, **{f"window_{name}": value for name, value in window.items()}}
    hass.config_entries.async_update_subentry(entry, subentry, data=old)
    await charge(hass, entry, NOON)
    (one,) = await charges(hass)
    assert one.cost == pytest.approx(0.1 * max(one.used_kwh or 0.0, one.added_kwh), abs=0.001)
    form = await entry.start_subentry_reconfigure_flow(hass, subentry.subentry_id)  # type: ignore[attr-defined]
    suggested = {str(field): (field.description or {}).get("suggested_value") for field in form["data_schema"].schema}
    assert suggested["windows"] == [window]


async def test_a_price_entity_tells_money_for_energy(hass: HomeAssistant, entry: ConfigEntry) -> None:
    hass.states.async_set("sensor.outside", "12", {"unit_of_measurement": "°C"})
    refused = await add_tariff(hass, entry, price_entity="sensor.outside")
    assert refused["errors"] == {"price_entity": "not_a_price"}
    hass.states.async_set("sensor.price", "25", {"unit_of_measurement": "ct/kWh"}, timestamp=NOON - 60)
    assert (await add_tariff(hass, entry, price_entity="sensor.price"))["type"] is FlowResultType.CREATE_ENTRY
    await charge(hass, entry, NOON)
    (one,) = await charges(hass)
    assert one.cost == pytest.approx(1.0 + 0.25 * max(one.used_kwh or 0.0, one.added_kwh), abs=0.001)
    assert (one.currency, one.cost_source) == ("EUR", CostSource.TARIFF)


@pytest.mark.parametrize(("per_kwh", "taken"), [(1250.5, True), (1e9, False), (float("nan"), False), (-1, False)])
async def test_a_price_may_be_in_any_currency(
    hass: HomeAssistant, entry: ConfigEntry, per_kwh: float, taken: bool
) -> None:
    """Pesos of Colombia count in thousands, a whole charge in hundreds of thousands."""
    if not taken:
        window = {"start": "00:00:00", "end": "23:59:00", "per_kwh": per_kwh}
        for refused in ({"per_kwh": per_kwh}, {"per_kwh": str(per_kwh)}, {"windows": [window]}):
            with pytest.raises(InvalidData):
                await add_tariff(hass, entry, **refused)
        return
    await add_tariff(hass, entry, per_kwh=per_kwh)
    await charge(hass, entry, NOON)
    (one,) = await charges(hass)
    device = dr.async_get(hass).async_get_device_by_identifier((DOMAIN, VIN), entry.entry_id)
    assert device is not None
    asked = {"device_id": device.id, "session": moment(one.start), "cost": 125_050.0, "currency": "COP"}
    await hass.services.async_call(DOMAIN, "set_charge_cost", asked, blocking=True)
    assert (await charges(hass))[0].cost == 125_050.0


async def test_a_price_that_is_not_known_is_said(hass: HomeAssistant, entry: ConfigEntry) -> None:
    """Nothing is recorded here: the past has no price, and what was reckoned before stays."""
    issue = (DOMAIN, f"prices_unknown_{entry.entry_id}")
    assert (await add_tariff(hass, entry))["type"] is FlowResultType.CREATE_ENTRY
    await charge(hass, entry, NOON)
    (before,) = await charges(hass)
    hass.states.async_set("sensor.price", "0.2", {"unit_of_measurement": "CHF/kWh"}, timestamp=NOON + 5000)
    subentry = next(iter(entry.subentries.values()))
    hass.config_entries.async_update_subentry(entry, subentry, data={**subentry.data, "price_entity": "sensor.price"})
    device = dr.async_get(hass).async_get_device_by_identifier((DOMAIN, VIN), entry.entry_id)
    assert device is not None
    said = await hass.services.async_call(
        DOMAIN, "recompute_costs", {"device_id": device.id}, blocking=True, return_response=True
    )
    assert said == {"charges": 0, "without_price": [moment(before.start)]}
    assert await charges(hass) == [before]
    assert issue in ir.async_get(hass).issues
    await charge(hass, entry, NOON + 7200)
    assert issue not in ir.async_get(hass).issues
    after = (await charges(hass))[1]
    assert (after.currency, after.cost_source) == ("CHF", CostSource.TARIFF)


async def test_an_address_is_no_zone(hass: HomeAssistant, entry: ConfigEntry) -> None:
    """TeslaFi's place Home of a house that its owner has left: neither a tariff nor "charged at home" is for it."""
    await add_tariff(hass, entry)
    left = {"latitude": 40.0, "longitude": 10.0, "address": "Home"}
    told: list[Charge] = []
    get_journal(hass).listen(VIN, lambda said: told.extend(one for one in said.closed if isinstance(one, Charge)))
    await charge(hass, entry, NOON, **left)
    assert (await get_journal(hass).async_reprice(entry, VIN)).costed == 0
    assert [(one.place, one.cost) for one in (*told, *await charges(hass))] == [("Home", None)] * 2
    home = next(series for series in SERIES if series.key == "charged_home")
    assert sum(home.amount(one, "Home") for one in sessions_of(get_journal(hass).store, VIN)) == 0


async def test_free_supercharging_is_free_elsewhere_too(hass: HomeAssistant, entry: ConfigEntry) -> None:
    hass.config_entries.async_update_entry(entry, options={CONF_FREE_SUPERCHARGING: True})
    tesla = {"fast_charger": True, "fast_charger_type": "Tesla", "fast_charger_brand": "Tesla", "latitude": 40.0}
    await charge(hass, entry, NOON, **tesla)
    assert [(one.cost, one.cost_source) for one in await charges(hass)] == [(0.0, CostSource.FREE)]


async def test_the_owner_deletes_a_cars_journal(hass: HomeAssistant, entry: ConfigEntry) -> None:
    await charge(hass, entry, NOON)
    device = dr.async_get(hass).async_get_device_by_identifier((DOMAIN, VIN), entry.entry_id)
    assert device is not None
    await hass.services.async_call(DOMAIN, "recompute_costs", {"device_id": device.id}, blocking=True)
    assert len(await charges(hass)) == 1
    await hass.services.async_call(DOMAIN, "delete_journal", {"device_id": device.id}, blocking=True)
    assert await charges(hass) == []
