"""Recorded answers, and an account that gives them: what entities are held against.

The account's reader stands in for Tesla at the edge; everything behind it is the integration's own.
"""

from collections import Counter
from collections.abc import Callable, Collection, Mapping
from contextlib import ExitStack
from copy import copy, deepcopy
from datetime import datetime
import json
from pathlib import Path
from typing import Any, Final, cast
from unittest.mock import patch

from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.util.json import JsonObjectType
from pytest_homeassistant_custom_component.common import MockConfigEntry  # type: ignore[import-untyped]  # it ships no types

from custom_components.teslafi import PLATFORMS
from custom_components.teslafi.const import DOMAIN
from custom_components.teslafi.coordinators.account import AccountCoordinator
from custom_components.teslafi.coordinators.journal import get_journal
from custom_components.teslafi.runtime import TeslaFiConfigEntry, TeslaFiData, follow_options
from custom_components.teslafi.secret import Secret
from custom_components.teslafi.tesla.decode import Decoded, decode_vehicle
from custom_components.teslafi.tesla.errors import TeslaError
from custom_components.teslafi.tesla.grant import OPTIONAL_SCOPES, REQUIRED_SCOPES, Grant, Kind
from custom_components.teslafi.tesla.reader import Products, Reader
from custom_components.teslafi.tesla.requests import Category
from custom_components.teslafi.tesla.snapshot import CarState, Snapshot
from custom_components.teslafi.tesla.vehicle_details import Alert, ServiceVisit

SAMPLES: Final = Path(__file__).parent.parent / "samples"
CARS: Final = sorted(path.stem for path in SAMPLES.glob("*vehicle_data*.json"))

MODEL_3: Final = "ha_core_tesla_fleet_vehicle_data"
MODEL_3_WITHOUT_PLACE: Final = "teslatte_vehicle_data_gak_2023_11_11"
MODEL_S_OF_2018: Final = "timdorr_vehicle_data_2018_models"
MODEL_S_CHARGING: Final = "alandtse_vehicle_data_models85d_2022"
POWERWALL: Final = "teslatte_energy_sites_live_status_gak_plugged_in_2023_11_06"

VIN: Final = "LRWXF7EK4KC700000"
SITE_ID: Final = 123456


def recorded(name: str) -> dict[str, Any]:
    """Return a recorded answer without its envelope."""
    answer = json.loads((SAMPLES / f"{name}.json").read_text("utf-8"))
    return cast("dict[str, Any]", answer.get("response", answer))


SITE_INFO: Final[dict[str, Any]] = {
    "id": "STE1",
    "site_name": "Home",
    "backup_reserve_percent": 20,
    "default_real_mode": "self_consumption",
    "installation_date": "2022-01-01T00:00:00+00:00",
    "user_settings": {"storm_mode_enabled": True, "sync_grid_alert_enabled": True, "breaker_alert_enabled": False},
    "components": {
        "solar": True,
        "solar_type": "pv_panel",
        "battery": True,
        "battery_type": "ac_powerwall",
        "grid": True,
        "grid_services_enabled": False,
        "disallow_charge_from_grid_with_solar_installed": True,
        "customer_preferred_export_rule": "pv_only",
        "net_meter_mode": "battery_ok",
        "wall_connectors": [{"din": "5432", "part_name": "Gen 3 Wall Connector", "is_active": True}],
    },
    "version": "23.44.0 eb113390",
    "battery_count": 3,
    "nameplate_power": 15000,
    "nameplate_energy": 40500,
    "vpp_backup_reserve_percent": 0,
}
"""Made up in the shape of `site_info`."""

ENERGY_TODAY: Final[dict[str, Any]] = {
    "period": "day",
    "installation_time_zone": "Australia/Brisbane",
    "time_series": [
        {
            "timestamp": "2024-09-18T00:00:00+10:00",
            "solar_energy_exported": 0,
            "grid_energy_imported": 12,
            "grid_energy_exported_from_solar": 0,
            "grid_energy_exported_from_battery": 0,
            "battery_energy_exported": 36,
            "consumer_energy_imported_from_grid": 12,
            "consumer_energy_imported_from_battery": 36,
            "total_home_usage": 48,
        },
        {
            "timestamp": "2024-09-18T08:45:00+10:00",
            "solar_energy_exported": 724.5,
            "grid_energy_imported": 0,
            "grid_energy_exported_from_solar": 2,
            "grid_energy_exported_from_battery": 1,
            "battery_energy_exported": 0,
            "consumer_energy_imported_from_grid": 0,
            "consumer_energy_imported_from_solar": 38,
            "consumer_energy_imported_from_battery": 0,
            "total_home_usage": 38,
            "total_solar_generation": 724.5,
        },
    ],
}
"""Made up in the shape of `calendar_history`."""


FULL_GRANT: Final = Grant(
    kind=Kind.FLEET,
    client_id="recorded",
    account="account",
    region="na",
    scopes=frozenset((*REQUIRED_SCOPES, *OPTIONAL_SCOPES)),
    access_token=Secret("recorded-access"),
    refresh_token=None,
    expires_at=4e9,
    issued_at=0.0,
)
"""A grant with every scope that reads."""


class RecordedReader:
    """Answers for Tesla: with cars, and with energy sites that all are the same one."""

    def __init__(self, cars: Mapping[str, Mapping[str, Any]], sites: Mapping[int, str]) -> None:
        """Hold the answers; each can be changed between two refreshes.

        `trouble` strikes every request, `troubles` those of one name: `products`, `state`, `data`, `live`, `info`,
        `today`, `charges`, or one about one car (`data 5YJ…`). `asked` counts requests by both names.
        """
        self.cars = {vin: deepcopy(dict(answer)) for vin, answer in cars.items()}
        self.sites = dict(sites)
        self.live = recorded(POWERWALL)
        self.info = deepcopy(SITE_INFO)
        self.today = deepcopy(ENERGY_TODAY)
        self.charges: list[JsonObjectType] = []
        self.trouble: TeslaError | None = None
        self.troubles: dict[str, TeslaError] = {}
        self.asked: Counter[str] = Counter()
        self.grant = FULL_GRANT

    async def products(self) -> Products:
        """List the cars and sites."""
        self._fail("products")
        return Products({vin: self._record(vin) for vin in self.cars}, self.sites)

    async def discounted(self, _vins: Collection[str], _count: Callable[[Category], None]) -> frozenset[str]:
        """Return no car: none of these is older than 2021."""
        return frozenset()

    async def vehicle_state(self, vin: str, count: Callable[[Category], None]) -> Snapshot:
        """Answer with the vehicle object alone."""
        self._fail("state", vin)
        count(Category.STATE)
        return self._record(vin)

    async def vehicle_data(self, vin: str, count: Callable[[Category], None]) -> Decoded[Snapshot]:
        """Answer with the whole recorded answer."""
        self._fail("data", vin)
        count(Category.DATA)
        return decode_vehicle(self.cars[vin])

    async def recent_alerts(self, vin: str, _count: Callable[[Category], None]) -> tuple[Alert, ...]:
        """Answer that there are none; counted nowhere, so that ledgers are of looks alone."""
        self._fail("alerts", vin)
        return ()

    async def service_visit(self, vin: str, _count: Callable[[Category], None]) -> ServiceVisit:
        """Answer that there is none."""
        self._fail("service", vin)
        return ServiceVisit()

    async def site_live(self, _site_id: int, _count: Callable[[Category], None]) -> JsonObjectType:
        """Answer with live status."""
        self._fail("live", _site_id)
        return self.live

    async def site_info(self, _site_id: int, _count: Callable[[Category], None]) -> JsonObjectType:
        """Answer with what the site consists of."""
        self._fail("info", _site_id)
        return self.info

    async def site_energy_today(self, _site_id: int, _count: Callable[[Category], None]) -> JsonObjectType:
        """Answer with the day's energy."""
        self._fail("today", _site_id)
        return self.today

    async def site_wall_charges(
        self, _site_id: int, _begin: datetime, _end: datetime, _count: Callable[[Category], None]
    ) -> JsonObjectType:
        """Answer with the charges at wall connectors."""
        self._fail("charges", _site_id)
        return {"charge_history": list(self.charges)}

    def _fail(self, name: str, about: str | int = "") -> None:
        self.asked.update((name, f"{name} {about}"))
        trouble = self.trouble or self.troubles.get(name) or self.troubles.get(f"{name} {about}")
        if trouble is not None:
            # A raised error keeps its callers' frames, and with them a whole Home Assistant, as long as there is a test
            raise copy(trouble)

    def _record(self, vin: str) -> Snapshot:
        answer = {key: value for key, value in self.cars[vin].items() if not isinstance(value, dict)}
        return decode_vehicle({"state": CarState.ONLINE, **answer}).snapshot


def _is_a_sensor(_hass: HomeAssistant, domain: str, _unique_id: str) -> bool:
    """Whether an earlier version had an entity where another one shows the value now."""
    return domain in ("sensor", "binary_sensor")


async def begin(
    hass: HomeAssistant, entry: MockConfigEntry, reader: RecordedReader, *, every_entity: bool = False
) -> None:
    """Set up a config entry on an account that `reader` answers for.

    `every_entity` enables those that are not, those included that only an earlier version made.
    """

    async def set_up(hass: HomeAssistant, entry: TeslaFiConfigEntry) -> bool:
        account = AccountCoordinator(hass, entry, cast("Reader", reader))
        await account.async_start()
        entry.runtime_data = TeslaFiData(account, get_journal(hass))
        await hass.config_entries.async_forward_entry_setups(entry, PLATFORMS)
        entry.async_on_unload(follow_options(hass, entry))
        return True

    with ExitStack() as changed:
        changed.enter_context(patch("custom_components.teslafi.async_setup_entry", set_up))
        if every_entity:
            changed.enter_context(
                patch("homeassistant.helpers.entity.Entity.entity_registry_enabled_default", new=True)
            )
            changed.enter_context(patch("custom_components.teslafi.entity._is_known", new=_is_a_sensor))
        await hass.config_entries.async_setup(entry.entry_id)
        await hass.async_block_till_done()
    assert entry.state is ConfigEntryState.LOADED


async def watch(hass: HomeAssistant, reader: RecordedReader, *, every_entity: bool = False) -> MockConfigEntry:
    """Add an account that `reader` answers for, and set it up."""
    entry = MockConfigEntry(domain=DOMAIN, unique_id="account", title="owner@example.com")
    entry.add_to_hass(hass)
    await begin(hass, entry, reader, every_entity=every_entity)
    return entry


async def watch_car(
    hass: HomeAssistant, name: str, *, every_entity: bool = False
) -> tuple[MockConfigEntry, RecordedReader]:
    """Set up the integration on an account with one recorded car."""
    reader = RecordedReader({VIN: recorded(name) | {"vin": VIN}}, {})
    return await watch(hass, reader, every_entity=every_entity), reader


async def look_again(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    """Refresh every car and site, as if each were due."""
    account: AccountCoordinator = entry.runtime_data.account
    for coordinator in account.vehicles.values():
        await coordinator.async_request_refresh()
        await coordinator.async_refresh()
    for site in account.sites.values():
        site.want_look()
        await site.async_refresh()
    await hass.async_block_till_done()
