"""`script/bench recorder`: rows that Home Assistant's recorder writes in an hour, beside core's tesla_fleet.

Two accounts with one car each that do the same at the same time, both integrations as a new owner has them, one real
SQLite. The hours are played: the clock is moved in steps of fifteen seconds.
"""

from collections import Counter
from collections.abc import Callable
from contextlib import closing
import logging
from pathlib import Path
import sqlite3
import time
from typing import Final

from freezegun.api import FrozenDateTimeFactory
from homeassistant.components.application_credentials import ClientCredential, async_import_client_credential
from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.helpers import entity_registry as er
from homeassistant.setup import async_setup_component
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry  # type: ignore[import-untyped]
from pytest_homeassistant_custom_component.components.recorder.common import (  # type: ignore[import-untyped]
    async_wait_recording_done,
)
import tesla_fleet_api.const

from custom_components.teslafi.storage.vault import async_get_vault
from custom_components.teslafi.tesla.grant import Grant
from teslafi_simulators.tesla import TeslaSimulator
from teslafi_simulators.tesla.applications import USER_SCOPES
from teslafi_simulators.tesla.cars.car import Car, Supply

from .test_watching import pass_time

HOUR: Final = 3600.0
STEP: Final = 15.0
READ_SCOPES: Final = {"openid", "offline_access", "vehicle_device_data", "vehicle_location"}

VINS: Final = {"teslafi": "5YJ3E1EA0KF100001", "tesla_fleet": "5YJ3E1EA0KF100002"}
"""Whose car is which."""


def drive(car: Car) -> None:
    """Drive for longer than it is looked at."""
    car.start_drive(miles=200, speed=50)


def charge(car: Car) -> None:
    """Charge at home."""
    car.park()
    car.plug_in(Supply.SINGLE_PHASE)


def park(car: Car) -> None:
    """Park, and fall asleep when left alone."""
    car.unplug()
    car.park()


HOURS: Final[tuple[tuple[str, Callable[[Car], None]], ...]] = (
    ("parked, after setting up", park),
    ("asleep", lambda _: None),
    ("driving", drive),
    ("charging", charge),
    ("parked", park),
)


@pytest.fixture
def recorder_db_url(tmp_path: Path) -> str:
    """Return the address of a real file."""
    return f"sqlite:///{tmp_path}/recorder.db"


@pytest.fixture(autouse=True)
def _at_a_quiet_time(freezer: FrozenDateTimeFactory) -> None:
    """Stand in the middle of a month, before the simulated cars begin to live."""
    freezer.move_to("2026-11-16 12:00:00")


async def set_up(hass: HomeAssistant, tesla: TeslaSimulator) -> dict[str, MockConfigEntry]:
    """Set up both integrations, each with an account of its own."""
    for region in tesla_fleet_api.const.SERVERS:
        tesla_fleet_api.const.SERVERS[region] = tesla.addresses.fleet(region)
        tesla_fleet_api.const.TOKEN_URLS[region] = tesla.addresses.token(region)
    assert await async_setup_component(hass, "application_credentials", {})
    ours = tesla.control.mint("teslafi@example.com", "teslafi-monitoring", READ_SCOPES).answer()
    grant = Grant.from_answer(ours, client_id="teslafi-monitoring", now=time.time())
    (await async_get_vault(hass)).park(grant.account, grant)
    await async_import_client_credential(hass, "tesla_fleet", ClientCredential("core-tesla-fleet", "x"), "core")
    scopes = set(USER_SCOPES) - {"enterprise_management", "user_data"}
    theirs = tesla.control.mint("tesla_fleet@example.com", "core-tesla-fleet", scopes).answer()
    entries = {
        "teslafi": MockConfigEntry(
            domain="teslafi",
            unique_id=grant.account,
            data={"method": "token", "region": "global", "requested_scopes": [], "declined_scopes": []},
        ),
        "tesla_fleet": MockConfigEntry(
            domain="tesla_fleet",
            unique_id="account",
            data={"auth_implementation": "core", "token": {**theirs, "expires_at": time.time() + 10 * HOUR}},
            version=1,
            minor_version=2,
        ),
    }
    for entry in entries.values():
        entry.add_to_hass(hass)
        await hass.config_entries.async_setup(entry.entry_id)
        await hass.async_block_till_done(wait_background_tasks=True)
        assert entry.state is ConfigEntryState.LOADED
    return entries


def rows_since(database: Path, since: float) -> Counter[str]:
    """Count the rows of each entity."""
    with closing(sqlite3.connect(database)) as connection:
        found = connection.execute(
            "SELECT states_meta.entity_id, count(*) FROM states JOIN states_meta USING (metadata_id)"
            " WHERE last_updated_ts >= ? GROUP BY states_meta.entity_id",
            (since,),
        )
        return Counter(dict(found.fetchall()))


@pytest.mark.usefixtures("recorder_mock")
async def test_recorder(
    hass: HomeAssistant, tesla: TeslaSimulator, freezer: FrozenDateTimeFactory, tmp_path: Path
) -> None:
    """Print the figures."""
    logging.disable(logging.INFO)
    for name, vin in VINS.items():
        tesla.control.add_account(f"{name}@example.com")
        tesla.control.add_car(vin, f"{name}@example.com", name=name)
    cars = [tesla.control.car(vin) for vin in VINS.values()]
    entries = await set_up(hass, tesla)
    registry = er.async_get(hass)
    known = {
        name: {one.entity_id: one for one in er.async_entries_for_config_entry(registry, entry.entry_id)}
        for name, entry in entries.items()
    }
    print()
    for name, ours in known.items():
        enabled = sum(one.disabled_by is None for one in ours.values())
        print(f"{name}: {enabled} enabled of {len(ours)} entities of a car")
    print("an hour | teslafi rows | tesla_fleet rows | most of teslafi's")
    for title, begin in HOURS:
        for car in cars:
            begin(car)
        since = time.time()
        await pass_time(hass, freezer, HOUR, step=STEP)
        await async_wait_recording_done(hass)
        rows = await hass.async_add_executor_job(rows_since, tmp_path / "recorder.db", since)
        counts = {name: Counter({one: rows[one] for one in ours if rows[one]}) for name, ours in known.items()}
        most = ", ".join(f"{one.partition('.')[2]} {count}" for one, count in counts["teslafi"].most_common(4))
        print(f"{title} | {counts['teslafi'].total()} | {counts['tesla_fleet'].total()} | {most}")
