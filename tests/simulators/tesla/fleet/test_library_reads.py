"""Every read call that the installed tesla-fleet-api knows, made by it: a call it gains makes this red."""

from collections.abc import Awaitable, Callable
import inspect
from typing import Any, Final

import aiohttp
import pytest
from tesla_fleet_api import TeslaFleetApi
from tesla_fleet_api.exceptions import Forbidden, NotFound
from tesla_fleet_api.tesla.charging import Charging
from tesla_fleet_api.tesla.energysite import EnergySite
from tesla_fleet_api.tesla.partner import Partner
from tesla_fleet_api.tesla.user import User
from tesla_fleet_api.tesla.vehicle.fleet import VehicleFleet

from teslafi_simulators.tesla import TeslaSimulator
from teslafi_simulators.tesla.scenario import ANNAS_MODEL_3, ANNAS_SITE

from .conftest import SCOPES

VIN: Final = ANNAS_MODEL_3
type Check = Callable[[Any], object]

READS: Final[dict[type, dict[str, tuple[tuple[Any, ...], Check]]]] = {
    VehicleFleet: {
        "drivers": ((), lambda answer: answer == []),
        "list": ((), lambda answer: answer[0]["vin"] == VIN),
        "mobile_enabled": ((), lambda answer: answer["result"] is True),
        "nearby_charging_sites": ((), lambda answer: answer["superchargers"][0]["location"]["long"]),
        "options": ((VIN,), lambda answer: answer["codes"][0]["code"]),
        "recent_alerts": ((), lambda answer: answer["recent_alerts"][0]["name"]),
        "release_notes": ((), lambda answer: answer["response"]["release_notes"]),
        "service_data": ((), lambda answer: answer == {}),
        "share_invites": ((), lambda answer: answer == []),
        "vehicle": ((), lambda answer: answer["vin"] == VIN),
        "vehicle_data": ((), lambda answer: answer["charge_state"]["battery_level"]),
        "warranty_details": ((VIN,), lambda answer: answer["activeWarranty"][0]["expirationOdometer"]),
        "fleet_status": (([VIN],), lambda answer: VIN in answer["vehicle_info"]),
        "fleet_telemetry_config_get": ((), lambda answer: answer["synced"] is False),
    },
    EnergySite: {
        "live_status": ((), lambda answer: "solar_power" in answer),
        "site_info": ((), lambda answer: answer["components"]["solar"] is True),
        "energy_history": (("day",), lambda answer: answer["time_series"]),
        "backup_history": (("day",), lambda answer: "events" in answer),
        "charge_history": (("2026-11-01", "2026-11-02"), lambda answer: answer["charge_history"][0]["energy_added_wh"]),
    },
    Charging: {
        "history": ((), lambda answer: answer["data"][0]["fees"][0]["totalDue"]),
        "sessions": ((), Forbidden),
    },
    User: {
        "me": ((), lambda answer: answer["email"] == "anna@example.com"),
        "region": ((), lambda answer: answer["region"] == "na"),
        "orders": ((), lambda answer: answer == []),
        "feature_config": ((), lambda answer: answer["signaling"]["enabled"]),
        "backup_key": ((), NotFound),
    },
    Partner: {
        "public_key": (("anna.example.com",), Forbidden),
        "fleet_telemetry_errors": (("anna.example.com",), Forbidden),
    },
}
"""By class and method: the arguments, and what its answer must fulfil or be refused with.

The partner's calls are an application's own: a user's token is refused (an application's is in `test_fleet_api.py`).
"""

NO_READS: Final = frozenset({"fleet_status"})
"""Reads that travel as POST."""

ROWS: Final = [
    pytest.param(kind, name, *row, id=f"{kind.__name__}.{name}")
    for kind, rows in READS.items()
    for name, row in rows.items()
]


@pytest.mark.parametrize("kind", READS)
def test_the_table_names_every_read_of_the_library(kind: type) -> None:
    known = {
        name
        for name, method in inspect.getmembers(kind, inspect.iscoroutinefunction)
        if "Method.GET" in inspect.getsource(method)
    }
    assert known == set(READS[kind]) - NO_READS


def _object(api: TeslaFleetApi, kind: type) -> object:
    made: dict[type, Callable[[], object]] = {
        VehicleFleet: lambda: api.vehicles.createFleet(VIN),
        EnergySite: lambda: api.energySites.create(ANNAS_SITE),
        Charging: lambda: api.charging,
        User: lambda: api.user,
        Partner: lambda: api.partner,
    }
    return made[kind]()


@pytest.mark.parametrize(("kind", "name", "arguments", "check"), ROWS)
async def test_the_read_is_answered(
    http: aiohttp.ClientSession,
    tesla: TeslaSimulator,
    kind: type,
    name: str,
    arguments: tuple[Any, ...],
    check: Check | type[BaseException],
) -> None:
    token = tesla.control.mint("anna@example.com", "core-tesla-fleet", SCOPES).access_token
    api = TeslaFleetApi(http, access_token=token, server=tesla.addresses.fleet("na"))
    method: Callable[..., Awaitable[dict[str, Any]]] = getattr(_object(api, kind), name)
    if isinstance(check, type):
        with pytest.raises(check):
            await method(*arguments)
    else:
        assert check((await method(*arguments))["response"])
