"""The diagnostics download: what helps to find a fault, by a list of what may be shown; all else stays out."""

from collections.abc import Iterable
from dataclasses import fields
import time
from typing import Any, Final

from homeassistant.core import HomeAssistant
from homeassistant.helpers.redact import REDACTED

from .const import (
    CONF_CURRENCY,
    CONF_DECLINED_SCOPES,
    CONF_HABITS,
    CONF_METHOD,
    CONF_MONTHLY_BUDGET,
    CONF_POLLING_MODE,
    CONF_REGION,
    CONF_REQUESTED_SCOPES,
    CONF_SHOW_TOKENS,
)
from .controls.enabled import EnabledControls
from .coordinators.site import SiteCoordinator
from .coordinators.vehicle import VehicleCoordinator
from .runtime import TeslaFiConfigEntry
from .tesla.errors import SignInRequired
from .tesla.reader import Reader
from .tesla.requests import Category
from .tesla.snapshot import Snapshot

ENTRY_DATA: Final = (CONF_METHOD, CONF_REGION, CONF_REQUESTED_SCOPES, CONF_DECLINED_SCOPES)

OPTIONS: Final = (CONF_CURRENCY, CONF_HABITS, CONF_MONTHLY_BUDGET, CONF_POLLING_MODE, CONF_SHOW_TOKENS)

WHOLE_BLOCKS: Final = ("charge_state", "climate_state", "gui_settings", "vehicle_config")
"""Blocks without a name, a place or a number that identifies."""

SINGLE_VALUES: Final = {
    "vehicle": ("state", "access_type", "in_service", "api_version", "command_signing", "device_type"),
    "drive_state": ("shift_state", "power", "speed", "timestamp"),
    "vehicle_state": (
        "api_version",
        "car_version",
        "center_display_state",
        "df",
        "dr",
        "ft",
        "is_user_present",
        "locked",
        "pf",
        "pr",
        "rt",
        "sentry_mode",
        "service_mode",
        "software_update",
        "timestamp",
        "valet_mode",
    ),
}


async def async_get_config_entry_diagnostics(_hass: HomeAssistant, entry: TeslaFiConfigEntry) -> dict[str, Any]:
    """Return the state of one account."""
    account = entry.runtime_data.account
    return {
        "entry": {key: entry.data.get(key) for key in ENTRY_DATA},
        "options": {key: entry.options.get(key) for key in OPTIONS},
        "grant": _grant(account.reader),
        "account": {
            "reachable": account.reachable,
            "last_update_success": account.last_update_success,
            "last_error": type(account.last_exception).__name__ if account.last_exception else None,
            "cost": round(account.budget.cost, 3),
            "currency": account.budget.currency,
            "discounted_vehicles": len(account.budget.discounted),
        },
        "controls": _controls(entry.runtime_data.controls),
        "vehicles": [_vehicle(vehicle) for vehicle in account.vehicles.values()],
        "energy_sites": [_site(site) for site in account.sites.values()],
    }


def _grant(reader: Reader) -> dict[str, Any]:
    try:
        grant = reader.grant
    except SignInRequired as error:
        return {"missing": error.reason}
    return {
        "kind": grant.kind,
        "region": grant.region,
        "scopes": sorted(grant.scopes),
        "has_refresh_token": grant.refresh_token is not None,
        "expires_in_minutes": round((grant.expires_at - time.time()) / 60),
        "age_in_days": round((time.time() - grant.issued_at) / 86400, 1),
    }


def _controls(controls: EnabledControls | None) -> dict[str, Any] | None:
    """Return how the gate is; nothing that opens it."""
    if controls is None:
        return None
    return {
        "lock": controls.gate.lock,
        "groups": sorted(controls.groups),
        "vehicles": len(controls.vehicles),
        "permit_until": controls.coordinator.data.permit_until,
    }


def _vehicle(vehicle: VehicleCoordinator) -> dict[str, Any]:
    data = vehicle.data
    polling, request = vehicle.polling, vehicle.next_request
    return {
        "vin": REDACTED,
        "reachable": vehicle.reachable,
        "last_update_success": vehicle.last_update_success,
        "last_error": type(vehicle.last_exception).__name__ if vehicle.last_exception else None,
        "data_at": data.data_at,
        "contact_at": data.contact_at,
        "next_update_in_seconds": vehicle.update_interval.total_seconds() if vehicle.update_interval else None,
        "block_at": dict(data.block_at),
        "polling": data.polling,
        "awake_because": data.awake_because,
        "asleep_today": data.asleep_today,
        "next_request": request.ask,
        "next_request_because": request.why,
        "failures": {"state": polling.state_backoff.failures, "data": polling.data_backoff.failures},
        "silences_without_sleep": polling.silences,
        "longest_silence_without_sleep": polling.longest_silence,
        "asked_by_others": vehicle.asked_by_others,
        "usual_seconds_to_sleep": polling.learnt.silence(polling.kind),
        "requests": {category: data.requests.get(category, 0) for category in Category},
        "malformed": list(vehicle.malformed),
        "reported": sorted(data.snapshot.reported),
        "values": _allowed(data.snapshot),
    }


def _allowed(snapshot: Snapshot) -> dict[str, Any]:
    """Return the values that may be shown, block by block."""
    shown = {name: _values(getattr(snapshot, name), None) for name in WHOLE_BLOCKS}
    return shown | {name: _values(getattr(snapshot, name), allowed) for name, allowed in SINGLE_VALUES.items()}


def _values(block: Any, allowed: Iterable[str] | None) -> dict[str, Any]:  # noqa: ANN401 - any block of a snapshot
    names = allowed if allowed is not None else [field.name for field in fields(block)]
    return {name: value for name in names if (value := getattr(block, name)) is not None}


def _site(site: SiteCoordinator) -> dict[str, Any]:
    live = site.data.live
    return {
        "reachable": site.reachable,
        "last_update_success": site.last_update_success,
        "wall_connectors": len(live.wall_connectors),
        "gateways": len(site.data.info.components.gateways),
        "batteries": len(site.data.info.components.batteries),
        "reported": sorted(site.data.reported),
        "grid_status": live.grid_status,
        "island_status": live.island_status,
        "percentage_charged": live.percentage_charged,
    }
