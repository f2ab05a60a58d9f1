"""Prices of an entity over time: what its unit means, what the recorder has of it, what holds while it is silent."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from homeassistant.components.recorder.models import StatisticData, StatisticMeanType, StatisticMetaData
from homeassistant.components.recorder.statistics import async_import_statistics
from homeassistant.core import HomeAssistant
from hypothesis import given, strategies as st
import pytest
from pytest_homeassistant_custom_component.components.recorder.common import (  # type: ignore[import-untyped]
    async_wait_recording_done,
)

from custom_components.teslafi.coordinators.prices import HELD_MOST, PriceUnit, async_prices, prices_of, unit_of

NOON = int(datetime(2026, 11, 26, 12, tzinfo=UTC).timestamp())
HOUR = 3600
PRICE = "sensor.price"


@pytest.mark.parametrize(
    ("unit", "meaning"),
    [
        ("EUR/kWh", PriceUnit("EUR", 1.0)),
        ("EUR/MWh", PriceUnit("EUR", 0.001)),
        ("CHF / kWh", PriceUnit("CHF", 1.0)),
        ("USD/Wh", PriceUnit("USD", 1000.0)),
        ("€/kWh", PriceUnit(None, 1.0)),
        ("kr/kWh", PriceUnit(None, 1.0)),
        ("ct/kWh", PriceUnit(None, 0.01)),
        ("Öre/kWh", PriceUnit(None, 0.01)),
        ("p/kwh", PriceUnit(None, 0.01)),
        ("EUR", PriceUnit("EUR", 1.0)),
        ("", PriceUnit(None, 1.0)),
        (None, PriceUnit(None, 1.0)),
        ("A$/kWh", PriceUnit(None, 1.0)),
        ("°C", None),
        ("km/kWh", None),
        ("gCO2eq/kWh", None),
        ("W", None),
        ("EUR/m³", None),
        ("kWh", None),
        ("%", None),
        ("EUR/kWh/d", None),
    ],
)
def test_what_a_unit_means(unit: str | None, meaning: PriceUnit | None) -> None:
    told = unit_of(unit)
    assert told == meaning


@given(
    st.lists(st.tuples(st.integers(0, 20_000), st.none() | st.floats(-1, 2)), max_size=12, unique_by=lambda at: at[0])
)
def test_a_price_holds_until_another_or_for_an_hour_of_silence(points: list[tuple[int, float | None]]) -> None:
    points.sort(key=lambda point: point[0])
    end = 30_000
    prices = prices_of(points, end)
    assert prices.at(end + 1) is None
    for at in range(0, end, 997):
        told = [point for point in points if point[0] <= at]
        known = [point for point in told if point[1] is not None]
        silent = [point[0] for point in told[len(told) - _tail(told) :]]
        following = next((point[0] for point in points if point[0] > at and point[1] is not None), end + 1)
        lasts = following - silent[0] if silent else 0
        expected = known[-1][1] if known and lasts <= HELD_MOST else None
        assert prices.at(at) == expected


def _tail(points: list[tuple[int, float | None]]) -> int:
    """Return how many points at the end tell nothing."""
    count = 0
    while count < len(points) and points[-1 - count][1] is None:
        count += 1
    return count


@pytest.fixture
def recorder_db_url(tmp_path: Path) -> str:
    """Return the address of a real file."""
    return f"sqlite:///{tmp_path}/recorder.db"


@pytest.fixture
def hass_begins_recording(recorder_mock: object) -> None:
    """Record from the start."""


@pytest.mark.usefixtures("hass_begins_recording")
async def test_the_recorder_knows_the_past(hass: HomeAssistant) -> None:
    """States as long as they are kept, hourly means before them, and nothing where nothing was recorded."""
    unit = {"unit_of_measurement": "ct/kWh"}
    metadata = StatisticMetaData(
        mean_type=StatisticMeanType.ARITHMETIC,
        has_sum=False,
        name=None,
        source="recorder",
        statistic_id=PRICE,
        unit_class=None,
        unit_of_measurement="EUR/MWh",
    )
    begin = datetime.fromtimestamp(NOON, UTC)
    means = [
        StatisticData(start=begin + timedelta(hours=hour), mean=float(100 + hour)) for hour in (-30, -29, -28, -10, -9)
    ]
    async_import_statistics(hass, metadata, means)
    for at, state in ((-2 * HOUR, "20"), (-HOUR, "30"), (-1800, "unavailable"), (-1700, "40"), (600, "50")):
        hass.states.async_set(PRICE, state, unit if state != "unavailable" else None, timestamp=NOON + at)
    await async_wait_recording_done(hass)
    prices, currency = await async_prices(hass, PRICE, NOON - 40 * HOUR, NOON)
    assert currency == "EUR"
    assert [prices.at(NOON + at) for at in (-31 * HOUR, -30 * HOUR, -28 * HOUR + 10, -20 * HOUR, -9 * HOUR)] == [
        None,
        0.07,
        pytest.approx(0.072),
        None,
        0.091,
    ]
    assert [prices.at(NOON + at) for at in (-2 * HOUR, -HOUR, -1750, -1700, 0, 1)] == [0.2, 0.3, 0.3, 0.4, 0.4, None]
    later, _ = await async_prices(hass, PRICE, NOON - 60, NOON + 3000)
    assert (later.at(NOON), later.at(NOON + 599), later.at(NOON + 601)) == (0.4, 0.4, 0.5)
    nobody, _ = await async_prices(hass, "sensor.nobody", NOON, NOON + 60)
    assert nobody.at(NOON) is None


@pytest.mark.usefixtures("hass_begins_recording")
async def test_prices_are_in_the_currency_in_which_they_were_told(hass: HomeAssistant) -> None:
    """Not in that of an entity that tells nothing now, or is gone: kronor are no euros."""
    hass.states.async_set(PRICE, "0.3", {"unit_of_measurement": "EUR/kWh"}, timestamp=NOON - HOUR)
    for at, price in ((-1800, "2.5"), (-1500, "1e308"), (-1300, "2.5")):
        unit = "SEK/Wh" if price == "1e308" else "SEK/kWh"
        hass.states.async_set(PRICE, price, {"unit_of_measurement": unit}, timestamp=NOON + at)
    hass.states.async_set(PRICE, "unavailable", timestamp=NOON - 60)
    await async_wait_recording_done(hass)
    hass.states.async_remove(PRICE)
    for _ in range(2):
        prices, currency = await async_prices(hass, PRICE, NOON - HOUR, NOON)
        assert currency == "SEK"
        assert [prices.at(NOON + at) for at in (-HOUR, -1800, -1400, -1300, 0)] == [None, 2.5, 2.5, 2.5, 2.5]
        hass.states.async_set(PRICE, "unknown", timestamp=NOON - 30)
