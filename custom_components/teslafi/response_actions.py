"""Actions that ask Tesla something about a car and answer with what it says. One table; each row is one action.

They read with the monitoring grant, so that controls need not be on. Tesla bills each question; nothing wakes a car.
"""

from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from typing import Any, Final, cast

from homeassistant.core import HomeAssistant, ServiceResponse, callback
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.helpers import config_validation as cv
from homeassistant.util import dt as dt_util
from homeassistant.util.json import JsonValueType
import probatio

from .car_actions import MOMENT, Asked, CarAction, async_register, moment_of
from .const import DOMAIN
from .coordinators.billed_charges import async_apply_bills
from .coordinators.details import BudgetUsedUp, refusal
from .coordinators.vehicle import VehicleCoordinator
from .journal.file import JournalUnusable
from .owner_files import async_ensure_allowed, async_save
from .runtime import TeslaFiConfigEntry
from .tesla.charging_history import ChargingSession
from .tesla.errors import NotFound, TeslaError
from .tesla.vehicle_details import ChargingSite, ServiceVisit, Warranty

FILENAME: Final = "filename"
CONTENT_ID: Final = "content_id"

type Told = Mapping[str, object]
type Ask = Callable[[HomeAssistant, VehicleCoordinator, Asked], Awaitable[Told]]
type ResponseAction = CarAction[VehicleCoordinator]


def _action(ask: Ask, fields: Mapping[Any, Any], *, charging: bool = False, only: bool = True) -> ResponseAction:
    """Return an action whose answer is written as JSON. `charging`: it needs the scope of charging history."""

    async def answer(hass: HomeAssistant, vehicle: VehicleCoordinator, asked: Asked) -> ServiceResponse:
        if charging and not vehicle.details.reads_charging_history:
            raise ServiceValidationError(translation_domain=DOMAIN, translation_key="charging_history_not_shared")
        return cast("ServiceResponse", _json(await ask(hass, vehicle, asked)))

    return CarAction(answer, fields, only)


async def _charging_history(_hass: HomeAssistant, vehicle: VehicleCoordinator, asked: Asked) -> Told:
    begin, end = moment_of(asked, "start"), moment_of(asked, "end")
    history = await vehicle.details.charging_history(begin, end)
    return {"sessions": [_session(session) for session in history.sessions], "complete": history.complete}


def _session(session: ChargingSession) -> Told:
    return {
        "session_id": session.session_id,
        "site": session.site_location_name,
        "country": session.country_code,
        "start": session.charge_start_date_time,
        "end": session.charge_stop_date_time,
        "unplugged": session.unlatch_date_time,
        "energy_kwh": session.energy,
        "cost": session.cost,
        "currency": session.currency,
        "fees": [
            {
                "type": fee.fee_type,
                "pricing": fee.pricing_type,
                "usage": fee.usage,
                "unit": fee.uom,
                "rate": fee.rate_base,
                "total": fee.total_due,
                "currency": fee.currency_code,
                "paid": fee.is_paid,
                "status": fee.status,
            }
            for fee in session.fees
        ],
        "invoices": [
            {"file_name": invoice.file_name, CONTENT_ID: invoice.content_id, "type": invoice.invoice_type}
            for invoice in session.invoices
        ],
    }


async def _apply_charging_history(_hass: HomeAssistant, vehicle: VehicleCoordinator, asked: Asked) -> Told:
    """Take what Tesla billed as the costs of the charges of the journal."""
    entry: TeslaFiConfigEntry = vehicle.config_entry
    begin, end = moment_of(asked, "start"), moment_of(asked, "end")
    try:
        applied = await async_apply_bills(entry.runtime_data.journal_of(vehicle.vin), vehicle.details, begin, end)
    except JournalUnusable as error:
        raise HomeAssistantError(translation_domain=DOMAIN, translation_key="journal_unusable") from error
    return {
        "charges": [
            {"session": _utc(one.charge.start), "cost": one.cost, "currency": one.currency, "site": one.site}
            for one in applied.charges
        ],
        "kept": applied.kept,
        "without_charge": [
            {"start": _utc(one.start), "site": one.site, "energy_kwh": one.kwh, "cost": one.cost}
            for one in applied.bills
        ],
        "complete": applied.complete,
    }


def _utc(at: int) -> datetime:
    return dt_util.utc_from_timestamp(at)


async def _download_invoice(hass: HomeAssistant, vehicle: VehicleCoordinator, asked: Asked) -> Told:
    """Save an invoice where the owner allows files, as Home Assistant's own actions do: mails and chats take files."""
    filename = asked[FILENAME]
    await async_ensure_allowed(hass, filename)
    try:
        document = await vehicle.details.charging_invoice(asked[CONTENT_ID])
    except NotFound as error:
        raise ServiceValidationError(translation_domain=DOMAIN, translation_key="no_such_invoice") from error
    return {FILENAME: filename, "bytes": await async_save(hass, filename, lambda file: file.write(document))}


async def _nearby(_hass: HomeAssistant, vehicle: VehicleCoordinator, asked: Asked) -> Told:
    sites = await vehicle.details.nearby_charging_sites(asked.get("count"), asked.get("radius"))
    return {
        "superchargers": [_site(site) for site in sites.superchargers],
        "destination_charging": [_site(site) for site in sites.destination_charging],
    }


def _site(site: ChargingSite) -> Told:
    told = {key: value for key, value in asdict(site).items() if key != "location" and value is not None}
    return {**told, "latitude": site.location.lat, "longitude": site.location.long}


async def _warranty(_hass: HomeAssistant, vehicle: VehicleCoordinator, _asked: Asked) -> Told:
    warranties = await vehicle.details.warranties()
    return {
        "active": [_one_warranty(warranty) for warranty in warranties.active_warranty],
        "upcoming": [_one_warranty(warranty) for warranty in warranties.upcoming_warranty],
        "expired": [_one_warranty(warranty) for warranty in warranties.expired_warranty],
    }


def _one_warranty(warranty: Warranty) -> Told:
    return {
        "type": warranty.warranty_type,
        "name": warranty.warranty_display_name,
        "expires": warranty.expiration_date,
        "expires_at_odometer": warranty.expiration_odometer,
        "odometer_unit": warranty.odometer_unit,
        "expired_on": warranty.warranty_expired_on,
        "years": warranty.coverage_age_in_years,
    }


async def _options(_hass: HomeAssistant, vehicle: VehicleCoordinator, _asked: Asked) -> Told:
    options = await vehicle.details.options()
    return {
        "options": [
            {
                "code": option.code,
                "name": option.display_name,
                "color_code": option.color_code,
                "active": option.is_active,
            }
            for option in options
        ]
    }


async def _alerts(_hass: HomeAssistant, vehicle: VehicleCoordinator, _asked: Asked) -> Told:
    alerts = await vehicle.details.recent_alerts()
    vehicle.alerts.take(alerts)
    return {
        "alerts": [
            {"name": alert.name, "time": alert.time, "text": alert.user_text, "audience": list(alert.audience)}
            for alert in alerts
        ]
    }


async def _service(_hass: HomeAssistant, vehicle: VehicleCoordinator, _asked: Asked) -> Told:
    visit = await vehicle.details.service_visit()
    vehicle.service.take(visit)
    return {
        "in_service": visit != ServiceVisit(),
        "status": visit.service_status,
        "status_id": visit.status_id,
        "expected_ready": visit.service_etc,
        "visit_number": visit.service_visit_number,
    }


_PDF: Final = probatio.All(cv.string, probatio.Match(r"(?i)^.+\.pdf$"))

ACTIONS: Final[Mapping[str, ResponseAction]] = {
    "get_charging_history": _action(
        _charging_history,
        {probatio.Optional("start"): MOMENT, probatio.Optional("end"): MOMENT},
        charging=True,
    ),
    "apply_charging_history": _action(
        _apply_charging_history,
        {probatio.Optional("start"): MOMENT, probatio.Optional("end"): MOMENT},
        charging=True,
        only=False,
    ),
    "download_charging_invoice": _action(
        _download_invoice,
        {probatio.Required(CONTENT_ID): cv.string, probatio.Required(FILENAME): _PDF},
        charging=True,
        only=False,
    ),
    "get_nearby_charging_sites": _action(
        _nearby,
        {
            probatio.Optional("count"): probatio.All(probatio.Coerce(int), probatio.Range(min=1, max=100)),
            probatio.Optional("radius"): probatio.All(probatio.Coerce(int), probatio.Range(min=1, max=1000)),
        },
    ),
    "get_recent_alerts": _action(_alerts, {}),
    "get_service_status": _action(_service, {}),
    "get_warranty": _action(_warranty, {}),
    "get_vehicle_options": _action(_options, {}),
}
"""Actions that ask about one car."""


@callback
def async_setup_response_actions(hass: HomeAssistant) -> None:
    """Register every action."""
    async_register(hass, ACTIONS, lambda entry, vin: entry.runtime_data.vehicles[vin], _refusals)


@contextmanager
def _refusals(vehicle: VehicleCoordinator) -> Iterator[None]:
    try:
        yield
    except (TeslaError, BudgetUsedUp) as error:
        raise refusal(error, vehicle.vehicle_name) from error


def _json(told: object) -> JsonValueType:
    """Write moments as ISO 8601; what else is told is JSON already."""
    if isinstance(told, Mapping):
        return {str(key): _json(value) for key, value in told.items()}
    if isinstance(told, list | tuple):
        return [_json(value) for value in told]
    return told.isoformat() if isinstance(told, datetime) else cast("JsonValueType", told)
