"""The journal's long-term statistics in the recorder itself: hour by hour, the same however often they are told."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from homeassistant.components.recorder.statistics import get_metadata, list_statistic_ids, statistics_during_period
from homeassistant.core import HomeAssistant
from homeassistant.helpers.recorder import get_instance
import pytest
from pytest_homeassistant_custom_component.components.recorder.common import (  # type: ignore[import-untyped]
    async_wait_recording_done,
)

from custom_components.teslafi.const import DOMAIN
from custom_components.teslafi.journal.sessions import Charge, Drive
from custom_components.teslafi.journal_entities.statistics import (
    async_fill,
    async_first_untold,
    async_forget,
    statistic_id,
)

VIN = "5YJ3E1EA7KF000001"
BEGIN = datetime(2026, 11, 16, 8, tzinfo=UTC)


def at(hours: float) -> int:
    return int((BEGIN + timedelta(hours=hours)).timestamp())


DRIVES = [
    Drive(start=at(hour), end=at(hour + 0.5), earliest=at(hour), latest=at(hour), distance_km=20.0)
    for hour in (0.25, 9.75, 24.25)
]
CHARGES = [
    Charge(
        start=at(11), end=at(14), earliest=at(11), latest=at(14), added_kwh=21.0, place="Home", cost=6.0, currency="EUR"
    ),
    Charge(start=at(26), end=at(26.5), earliest=at(26), latest=at(26), added_kwh=30.0, dc=True, place="Supercharger"),
]
CHARGES[0] = replace(CHARGES[0], cost=6.0, currency="EUR")
KEYS = ("distance", "charged_home", "charged_away", "charged_dc", "cost_eur", "cost_chf")


async def sums(hass: HomeAssistant) -> dict[str, list[tuple[float, float]]]:
    """Return state and sum of each hour of the statistics that there are."""
    await async_wait_recording_done(hass)
    ids = {
        statistic_id(VIN, key)
        for key in ("distance", "charged_home", "charged_away", "charged_dc", "cost_eur", "cost_chf")
    }
    found: dict[str, list[Any]] = await get_instance(hass).async_add_executor_job(
        lambda: dict(
            statistics_during_period(hass, BEGIN - timedelta(days=1), None, ids, "hour", None, {"state", "sum"})
        )
    )
    return {
        key.rpartition(f"{VIN.lower()}_")[2]: [(row["state"], row["sum"]) for row in rows]
        for key, rows in found.items()
    }


@pytest.fixture
def recorder_db_url(tmp_path: Path) -> str:
    """Return the address of a real file."""
    return f"sqlite:///{tmp_path}/recorder.db"


@pytest.fixture
def hass_begins_recording(recorder_mock: object) -> None:
    """Record from the start."""


@pytest.mark.slow
@pytest.mark.usefixtures("hass_begins_recording")
async def test_the_recorder_has_each_kilometer_and_kilowatt_hour_once(hass: HomeAssistant) -> None:
    hass.states.async_set("zone.home", "0", {"latitude": 52.0, "longitude": 13.0, "friendly_name": "Home"})
    sessions: list[Drive | Charge] = [*DRIVES, *CHARGES]
    await async_fill(hass, VIN, "Roadrunner", sessions, 0)
    first = await sums(hass)
    assert first["distance"][-1][1] == pytest.approx(60.0)
    assert first["distance"][0][0] == pytest.approx(20.0)
    assert first["charged_home"] == [pytest.approx((7.0, 7.0)), pytest.approx((7.0, 14.0)), pytest.approx((7.0, 21.0))]
    assert first["charged_away"] == first["charged_dc"] == [pytest.approx((30.0, 30.0))]
    assert first["cost_eur"][-1][1] == pytest.approx(6.0)
    # Told again, from the middle, and with a drive that was found out late
    await async_fill(hass, VIN, "Roadrunner", sessions, at(10))
    assert await sums(hass) == first
    late = Drive(start=at(2), end=at(2.5), earliest=at(2), latest=at(2), distance_km=5.0)
    await async_fill(hass, VIN, "Roadrunner", [late, *sessions], at(2))
    again = await sums(hass)
    assert [total for _, total in again["distance"]] == sorted(total for _, total in again["distance"])
    assert again["distance"][-1][1] == pytest.approx(65.0)


@pytest.mark.slow
@pytest.mark.usefixtures("hass_begins_recording")
async def test_what_is_told_anew_or_deleted_leaves_no_old_sums(hass: HomeAssistant) -> None:
    await async_fill(hass, VIN, "Roadrunner", [*DRIVES, *CHARGES], 0)
    assert (await sums(hass))["cost_eur"][-1][1] == pytest.approx(6.0)
    # Its cost is taken off, and a drive is told to have ended elsewhere
    free = replace(CHARGES[0], cost=None)
    moved = replace(DRIVES[1], start=at(11.5), end=at(12))
    await async_fill(hass, VIN, "Roadrunner", [DRIVES[0], moved, DRIVES[2], free, CHARGES[1]], at(9))
    again = await sums(hass)
    assert {total for _, total in again["cost_eur"]} == {0.0}
    assert sum(state for state, _ in again["distance"]) == pytest.approx(60.0)
    assert again["distance"][-1][1] == pytest.approx(60.0)
    await async_forget(hass, VIN)
    assert await sums(hass) == {}
    await async_fill(hass, VIN, "Roadrunner", [DRIVES[2]], at(24))
    assert (await sums(hass))["distance"] == [pytest.approx((20.0, 20.0))]


@pytest.mark.slow
@pytest.mark.usefixtures("hass_begins_recording")
async def test_the_energy_dashboard_takes_home_and_away(hass: HomeAssistant) -> None:
    hass.states.async_set("zone.home", "0", {"latitude": 52.0, "longitude": 13.0, "friendly_name": "Home"})
    await async_fill(hass, VIN, "Roadrunner", CHARGES, 0)
    await sums(hass)
    listed = await get_instance(hass).async_add_executor_job(lambda: list_statistic_ids(hass, statistic_type="sum"))
    energy = {one["statistic_id"] for one in listed if one["unit_class"] == "energy" and one["has_sum"]}
    assert {statistic_id(VIN, "charged_home"), statistic_id(VIN, "charged_away")} <= energy


@pytest.mark.slow
@pytest.mark.usefixtures("hass_begins_recording")
async def test_money_of_two_currencies_is_never_one_sum(hass: HomeAssistant) -> None:
    abroad = replace(CHARGES[1], cost=20.0, currency="CHF")
    await async_fill(hass, VIN, "Roadrunner", [CHARGES[0], abroad], 0)
    told = await sums(hass)
    assert {key: told[key][-1][1] for key in ("cost_eur", "cost_chf")} == pytest.approx({"cost_eur": 6, "cost_chf": 20})
    # The owner says that it was in euros after all: nothing is left in francs
    await async_fill(hass, VIN, "Roadrunner", [CHARGES[0], replace(abroad, currency="EUR")], 0)
    told = await sums(hass)
    assert {key: told[key][-1][1] for key in ("cost_eur", "cost_chf")} == pytest.approx({"cost_eur": 26, "cost_chf": 0})
    units = await get_instance(hass).async_add_executor_job(lambda: get_metadata(hass, statistic_source=DOMAIN))
    assert {one: meta[1]["unit_of_measurement"] for one, meta in units.items() if "_cost_" in one} == {
        statistic_id(VIN, "cost_eur"): "EUR",
        statistic_id(VIN, "cost_chf"): "CHF",
    }


@pytest.mark.slow
@pytest.mark.usefixtures("hass_begins_recording")
async def test_a_fill_that_was_broken_off_is_made_up_for(hass: HomeAssistant) -> None:
    """Home Assistant may stop between two series, or between two thousand rows and the next."""
    sessions: list[Drive | Charge] = [*DRIVES, *CHARGES]
    assert await async_first_untold(hass, VIN, []) is None
    assert await async_first_untold(hass, VIN, sessions) == at(0)
    await async_fill(hass, VIN, "Roadrunner", DRIVES, 0)
    await async_wait_recording_done(hass)
    assert await async_first_untold(hass, VIN, sessions) == at(11), "charges were not come to"
    await async_fill(hass, VIN, "Roadrunner", sessions, 0)
    await async_wait_recording_done(hass)
    assert await async_first_untold(hass, VIN, sessions) is None
    late = Drive(start=at(30), end=at(31), earliest=at(30), latest=at(30), distance_km=1.0)
    assert await async_first_untold(hass, VIN, [*sessions, late]) == at(30)
    brought_in = Drive(start=at(-20), end=at(-19), earliest=at(-20), latest=at(-20), distance_km=5.0)
    assert await async_first_untold(hass, VIN, [brought_in, *sessions]) == 0, "all sums after it are old"
    dearer: list[Drive | Charge] = [*DRIVES, replace(CHARGES[0], cost=7.0), CHARGES[1]]
    assert await async_first_untold(hass, VIN, dearer) == 0
