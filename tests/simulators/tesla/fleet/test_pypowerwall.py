"""pypowerwall's own client of the Fleet API, for energy sites: unmodified, over HTTP/1.1."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from teslafi_simulators.tesla import TeslaSimulator
from teslafi_simulators.tesla.scenario import ANNAS_SITE

from .conftest import SCOPES


@pytest.fixture
def fleet_api(tesla: TeslaSimulator, token: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:  # noqa: ANN401 - it carries no types
    """Return pypowerwall's class, with a file that its own setup would have written."""
    from pypowerwall.fleetapi.fleetapi import FleetAPI  # type: ignore[import-untyped]  # noqa: PLC0415 - it logs at import

    monkeypatch.setenv("PW_FLEETAPI_HTTP", "1.1")
    file = tmp_path / "fleetapi.json"
    file.write_text(
        json.dumps(
            {
                "CLIENT_ID": "core-tesla-fleet",
                "AUDIENCE": tesla.addresses.fleet("na"),
                "access_token": token,
                "refresh_token": "",
                "site_id": str(ANNAS_SITE),
            }
        )
    )
    return FleetAPI(configfile=str(file), pwcacheexpire=0)


async def test_pypowerwall_reads_a_site(fleet_api: Any, tesla: TeslaSimulator) -> None:  # noqa: ANN401
    def reads() -> tuple[Any, ...]:
        powers = [fleet_api.solar_power(), fleet_api.battery_power(), fleet_api.grid_power(), fleet_api.load_power()]
        return powers, fleet_api.site_name(), fleet_api.get_operating_mode(), fleet_api.grid_status()

    (solar, battery, grid, load), name, mode, status = await asyncio.to_thread(reads)
    assert solar + battery + grid == pytest.approx(load, abs=2)
    assert (name, mode) == ("Anna's home", "self_consumption")
    assert status
    info = await asyncio.to_thread(fleet_api.get_site_info)
    assert info["tariff_content_v2"]["seasons"].keys() == {"Summer", "Winter"}
    assert [one["part_name"] for one in info["components"]["batteries"]] == ["Powerwall 2"]
    history = await asyncio.to_thread(
        lambda: fleet_api.get_calendar_history(kind="energy", duration="day", time_zone="America/Los_Angeles")
    )
    assert history["time_series"]
    assert tesla.control.bills()["self-hoster@example.com"]["usd"] == 0, "energy sites are free"


async def test_pypowerwall_sets_what_can_be_set(fleet_api: Any, tesla: TeslaSimulator) -> None:  # noqa: ANN401
    site = tesla.state.sites[ANNAS_SITE]

    def sets() -> None:
        fleet_api.set_battery_reserve(41)
        fleet_api.set_operating_mode("backup")
        fleet_api.set_grid_charging("on")
        fleet_api.set_grid_export("never")

    await asyncio.to_thread(sets)
    assert (site.reserve, site.mode, site.no_grid_charging, site.export_rule) == (41, "backup", False, "never")


async def test_pypowerwall_leaves_tesla_alone_when_it_is_told_to(fleet_api: Any, tesla: TeslaSimulator) -> None:  # noqa: ANN401
    """The body that Tesla sends with 429 is the one that it looks for."""
    tesla.control.fault(path="*/live_status", kind="status", status=429, body="Retry in 30 seconds", times=None)
    tesla.control.reset_counters()
    assert await asyncio.to_thread(fleet_api.solar_power) is None
    assert await asyncio.to_thread(fleet_api.solar_power) is None
    assert len(tesla.control.exchanges()) == 1


async def test_pypowerwall_finds_its_site_among_cars(fleet_api: Any, tesla: TeslaSimulator) -> None:  # noqa: ANN401
    """Whatever the scopes, sites are listed; what is told about them needs its own."""
    only_cars = tesla.control.mint(
        "anna@example.com", "core-tesla-fleet", SCOPES - {"energy_device_data", "energy_cmds"}
    )
    fleet_api.access_token = only_cars.access_token
    sites = await asyncio.to_thread(fleet_api.getsites)
    assert [site["energy_site_id"] for site in sites if "energy_site_id" in site] == [ANNAS_SITE]
    assert await asyncio.to_thread(fleet_api.solar_power) is None
