"""Which path is answered by what, and how Tesla bills it: one table for every region."""

from collections.abc import Callable
from typing import Any, Final

from aiohttp import web

from ..addresses import FLEET, OWNER_API, REGIONS
from ..billing import Category
from . import account, charging, commands, energy_sites, partner, signed_commands, vehicles
from .access import Call, endpoint
from .answers import Refused

type Row = tuple[str, str, Callable[[Call], Any], Category]

CAR: Final = "/api/1/vehicles/{vehicle}"
SITE: Final = "/api/1/energy_sites/{site}"

ROWS: Final[tuple[Row, ...]] = (
    # Before the path that names a car: `fleet_status` is no car
    ("POST", "/api/1/vehicles/fleet_status", vehicles.fleet_status, "data"),
    ("GET", "/api/1/products", vehicles.products, "free"),
    ("GET", "/api/1/vehicles", vehicles.vehicles, "free"),
    ("GET", CAR, vehicles.vehicle, "free"),
    ("GET", f"{CAR}/vehicle_data", vehicles.vehicle_data, "data"),
    ("POST", f"{CAR}/wake_up", vehicles.wake_up, "wake"),
    ("GET", f"{CAR}/mobile_enabled", vehicles.mobile_enabled, "data"),
    ("GET", f"{CAR}/nearby_charging_sites", vehicles.nearby_charging_sites, "data"),
    ("GET", f"{CAR}/release_notes", vehicles.release_notes, "data"),
    ("GET", f"{CAR}/service_data", vehicles.service_data, "data"),
    ("GET", f"{CAR}/recent_alerts", vehicles.recent_alerts, "data"),
    ("GET", f"{CAR}/drivers", vehicles.drivers, "data"),
    ("GET", f"{CAR}/invitations", vehicles.invitations, "data"),
    ("GET", f"{CAR}/fleet_telemetry_config", vehicles.telemetry_config, "data"),
    ("GET", f"{CAR}/fleet_telemetry_errors", vehicles.telemetry_errors, "data"),
    ("POST", f"{CAR}/command/{{name}}", commands.command, "command"),
    ("POST", f"{CAR}/signed_command", signed_commands.signed_command, "command"),
    ("GET", "/api/1/dx/charging/history", charging.history, "data"),
    ("GET", "/api/1/dx/charging/invoice/{content}", charging.invoice, "data"),
    ("GET", "/api/1/dx/charging/sessions", charging.sessions, "data"),
    ("GET", "/api/1/dx/vehicles/options", vehicles.options, "data"),
    ("GET", "/api/1/dx/vehicles/subscriptions/eligibility", vehicles.eligibility, "data"),
    ("GET", "/api/1/dx/vehicles/upgrades/eligibility", vehicles.eligibility, "data"),
    ("GET", "/api/1/dx/warranty/details", vehicles.warranty, "data"),
    ("GET", "/api/1/users/me", account.me, "free"),
    ("GET", "/api/1/users/backup_key", account.backup_key, "free"),
    ("GET", "/api/1/users/region", account.region, "free"),
    ("GET", "/api/1/users/orders", account.orders, "free"),
    ("GET", "/api/1/users/feature_config", account.feature_config, "free"),
    ("GET", "/api/1/partner_accounts/public_key", partner.public_key, "free"),
    ("POST", "/api/1/partner_accounts", partner.register, "free"),
    ("GET", "/api/1/partner_accounts/fleet_telemetry_errors", partner.telemetry_errors, "free"),
    ("GET", "/api/1/partner_accounts/fleet_telemetry_error_vins", partner.telemetry_error_vins, "free"),
    ("GET", f"{SITE}/live_status", energy_sites.live_status, "free"),
    ("GET", f"{SITE}/site_info", energy_sites.site_info, "free"),
    ("GET", f"{SITE}/calendar_history", energy_sites.calendar_history, "free"),
    ("POST", f"{SITE}/backup", energy_sites.backup, "free"),
    ("POST", f"{SITE}/off_grid_vehicle_charging_reserve", energy_sites.off_grid_reserve, "free"),
    ("POST", f"{SITE}/operation", energy_sites.operation, "free"),
    ("POST", f"{SITE}/storm_mode", energy_sites.storm_mode, "free"),
    ("POST", f"{SITE}/grid_import_export", energy_sites.grid_import_export, "free"),
    ("POST", f"{SITE}/time_of_use_settings", energy_sites.time_of_use, "free"),
    ("GET", f"{SITE}/telemetry_history", energy_sites.telemetry_history, "free"),
)

ANY_REGION: Final = frozenset({"/api/1/users/region"})
"""What every host answers: by it an application finds the right one ("Regional requirements")."""

OWNER_PATHS: Final = frozenset(
    {"/api/1/products", "/api/1/vehicles", CAR, f"{CAR}/vehicle_data", f"{CAR}/wake_up", f"{CAR}/command/{{name}}"}
)
"""What the interface of Tesla's own app still knows."""


def fleet_routes() -> list[web.RouteDef]:
    """Return the routes of every region's Fleet API and of the Owner API under their prefixes."""
    found: list[web.RouteDef] = []
    for region in REGIONS:
        prefix = f"{FLEET}/{region}"
        found += [
            web.route(method, prefix + path, endpoint(handler, category, region, any_region=path in ANY_REGION))
            for method, path, handler, category in ROWS
        ]
        found += [web.route("*", prefix + path, _wrong_method) for path in dict.fromkeys(row[1] for row in ROWS)]
        found.append(web.get(f"{prefix}/status", _status))
        found.append(web.route("*", f"{prefix}/{{path:.*}}", _unknown))
    found += [
        web.route(method, OWNER_API + path, endpoint(handler, category, None))
        for method, path, handler, category in ROWS
        if path in OWNER_PATHS
    ]
    found.append(web.route("*", f"{OWNER_API}/{{path:.*}}", _unknown))
    return found


async def _status(_request: web.Request) -> web.Response:
    return web.Response(text="ok")


async def _wrong_method(_request: web.Request) -> web.Response:
    return Refused(405, "invalid_method").response()


async def _unknown(_request: web.Request) -> web.Response:
    return Refused(404, "not_found").response()
