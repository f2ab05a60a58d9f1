"""Endpoints about cars (developer.tesla.com, "Vehicle endpoints")."""

from datetime import UTC, datetime
import json
from typing import Any, Final

from ..cars.car import CLASSIC_BLOCKS, Car, State
from ..cars.garage import SAMPLES
from .access import Answer, Call
from .answers import Refused, answered, asleep, not_found
from .reading import whole_number

DATA: Final = "vehicle_device_data"
LOCATION: Final = "vehicle_location"
ENDPOINTS: Final = frozenset(
    {
        *CLASSIC_BLOCKS,
        "closures_state",
        "location_data",
        "charge_schedule_data",
        "preconditioning_schedule_data",
        "vehicle_data_combo",
    }
)


def products(call: Call) -> Any:  # noqa: ANN401 - JSON
    """List cars and energy sites.

    Sites are listed although the energy scopes were declined; asking one is refused then. Cars are left out without a
    scope of theirs: that Tesla lists them too was not observed. Nor was a token with none of all these scopes.
    """
    call.needs(DATA, "energy_device_data", "vehicle_cmds", "vehicle_charging_cmds", "energy_cmds")
    found: list[dict[str, Any]] = []
    scopes = call.bearer.scopes
    if call.bearer.kind == "owner" or not scopes.isdisjoint({DATA, "vehicle_cmds", "vehicle_charging_cmds"}):
        cars = [car for car in call.state.garage.of(call.account) if call.region in (None, car.region)]
        found += [car.record(call.account) | {"vehicle_config": car.data["vehicle_config"]} for car in cars]
    for site in call.state.sites.values():
        if site.owner == call.account and call.region in (None, site.region):
            site.advance(call.state.clock())
            found.append(site.product())
    return answered(found, count=len(found))


def vehicles(call: Call) -> Answer:
    """List cars, a page at a time. The interface of Tesla's own app no longer answers this."""
    if call.region is None:
        raise Refused(
            412, "Endpoint is only available on fleetapi. Visit https://developer.tesla.com/docs for more info"
        )
    call.needs(DATA, "vehicle_cmds", "vehicle_charging_cmds")
    cars = [car for car in call.state.garage.of(call.account) if car.region == call.region]
    page, per_page = _number(call, "page", 1), _number(call, "per_page", 100)
    pages = max(1, -(-len(cars) // per_page))
    shown = cars[(page - 1) * per_page : page * per_page]
    pagination = {
        "previous": page - 1 if page > 1 else None,
        "next": page + 1 if page < pages else None,
        "current": page,
        "per_page": per_page,
        "count": len(cars),
        "pages": pages,
    }
    return answered([car.record(call.account) for car in shown], pagination=pagination, count=len(shown))


def _number(call: Call, name: str, default: int) -> int:
    text = call.request.query.get(name, str(default))
    number = whole_number(text)
    if not number:
        raise Refused(400, "invalid_request")
    return number


def vehicle(call: Call) -> Answer:
    """Tell whether the car is online; does not reach it."""
    call.needs(DATA, "vehicle_cmds", "vehicle_charging_cmds")
    return call.car().record(call.account)


def vehicle_data(call: Call) -> Answer:
    """Ask the car for everything."""
    call.needs(DATA)
    named = call.request.query.get("endpoints")
    endpoints = set(named.split(";")) if named else set(CLASSIC_BLOCKS)
    if not endpoints <= ENDPOINTS:
        raise Refused(400, "invalid_request")
    owner_app = call.bearer.kind == "owner"
    if "location_data" in endpoints and not owner_app and LOCATION not in call.bearer.scopes:
        raise Refused(403, f"Unauthorized missing scopes {LOCATION}")
    car = call.live_car()
    car.touch()
    if "vehicle_data_combo" in endpoints:
        endpoints |= set(CLASSIC_BLOCKS)
    return car.answer(call.account, endpoints, location="location_data" in endpoints)


def wake_up(call: Call) -> Answer:
    """Begin to wake the car; the answer may still say asleep."""
    call.needs(DATA, "vehicle_cmds", "vehicle_charging_cmds")
    car = call.car()
    if car.state is State.OFFLINE:
        raise asleep()
    car.ask_to_wake()
    return car.record(call.account)


def mobile_enabled(call: Call) -> Answer:
    """Tell whether apps are let in."""
    call.needs(DATA)
    return {"result": call.car().mobile_access, "reason": ""}


def nearby_charging_sites(call: Call) -> Answer:
    """List chargers around the car, no more than `count` of each kind and within `radius` miles."""
    call.needs(DATA)
    count, radius = (_limit(call, name) for name in ("count", "radius"))
    call.live_car()
    recorded = json.loads((SAMPLES / "timdorr_nearby_charging_sites.json").read_text())
    sites: dict[str, Any] = recorded.get("response", recorded)
    for kind in ("destination_charging", "superchargers"):
        near = [site for site in sites[kind] if radius is None or site["distance_miles"] <= radius]
        sites[kind] = near[:count]
    now = call.state.clock()
    return sites | {"congestion_sync_time_utc_secs": int(now) - 60, "timestamp": int(now * 1000)}


def _limit(call: Call, name: str) -> int | None:
    """Return a number that narrows a list down; None when there is none."""
    return _number(call, name, 0) if name in call.request.query else None


def release_notes(call: Call) -> Answer:
    """Tell what is new in the car's software, or in what it is about to install; Tesla wraps this answer twice."""
    call.needs(DATA)
    car = call.live_car()
    state = car.data["vehicle_state"]
    version = str(state["car_version"]).split(" ")[0]
    if call.request.query.get("staged") == "true":
        version = str((state.get("software_update") or {}).get("version") or "").strip()
    notes = [
        {
            "title": title,
            "subtitle": subtitle,
            "description": description,
            "customer_version": version,
            "icon": "release_notes_icon",
            "image_url": "https://vehicle-files.teslamotors.com/release_notes/d0fa3e08a458696e6464a46c938ffc0a",
            "light_image_url": "https://vehicle-files.teslamotors.com/release_notes/9a122cff8916fffcb61cfd65a15c276f",
        }
        for title, subtitle, description in NOTES
    ]
    return {"response": {"release_notes": notes if version else []}}


NOTES: Final = (
    ("Charging", "Plan ahead", "Schedules can be set for each place, with a time to start and a time to end."),
    ("Minor Fixes", "Some Info", "This release contains minor fixes and improvements"),
)
"""Title, subtitle and text."""


def service_data(call: Call) -> Answer:
    """Tell about a visit to a service center."""
    call.needs(DATA)
    if not call.car().in_service:
        return {}
    done = datetime.fromtimestamp(call.state.clock() + 6 * 86_400, UTC).replace(minute=0, second=0, microsecond=0)
    return {
        "service_status": "in_service",
        "service_etc": done.isoformat(),
        "service_visit_number": "SV12345678",
        "status_id": 8,
    }


def recent_alerts(call: Call) -> Answer:
    """List the car's recent alerts: those that a test gave it, else one."""
    call.needs(DATA)
    car = call.car()
    alert = {
        "name": "Name_Of_The_Alert",
        "time": datetime.fromtimestamp(call.state.clock() - 3600, UTC).isoformat(timespec="milliseconds"),
        "audience": ["service-fix", "customer"],
        "user_text": "additional description text",
    }
    return {"recent_alerts": car.alerts or [alert]}


def _own_car(call: Call) -> Car:
    call.needs(DATA)
    car = call.car()
    if call.account != car.owner:
        raise Refused(403, "Unauthorized")
    return car


def invitations(call: Call) -> Answer:
    """List open invitations to drive: none; for the owner alone."""
    _own_car(call)
    return answered([], pagination={"previous": None, "next": None}, count=0)


def drivers(call: Call) -> Answer:
    """List who else may drive; for the owner alone."""
    car = _own_car(call)
    listed = [
        {
            "my_tesla_unique_id": 8_888_888,
            "user_id": 800_001 + place,
            "user_id_s": str(800_001 + place),
            "vault_uuid": sub,
            "driver_first_name": "Testy",
            "driver_last_name": "McTesterson",
            "granular_access": {"hide_private": car.hide_private},
            "active_pubkeys": [None],
            "public_key": "",
        }
        for place, sub in enumerate(sorted(car.drivers))
    ]
    return answered(listed, count=len(listed))


def _vins(call: Call) -> list[str]:
    body = call.json()
    vins = body.get("vins") if isinstance(body, dict) else None
    if not isinstance(vins, list):
        raise Refused(400, "invalid_request")
    return [vin for vin in vins if isinstance(vin, str)]


def _public_key(call: Call) -> bytes:
    """Return the public key of the asking application, b"" when it has none."""
    application = call.state.applications.by_client_id(call.bearer.client_id)
    return bytes.fromhex((application.public_key if application else None) or "")


def fleet_status(call: Call) -> Answer:
    """Tell which of the named cars need signed commands."""
    call.needs(DATA, "vehicle_cmds", "vehicle_charging_cmds")
    named = _vins(call)
    cars = [car for car in call.state.garage.of(call.account) if car.vin in named]
    paired = {car.vin for car in cars if _public_key(call) in car.keys}
    return {
        "key_paired_vins": [car.vin for car in cars if car.vin in paired],
        "unpaired_vins": [car.vin for car in cars if car.vin not in paired],
        "vehicle_info": {
            car.vin: {
                "firmware_version": car.data["vehicle_state"]["car_version"].split(" ")[0],
                "vehicle_command_protocol_required": car.signing == "required",
                "discounted_device_data": car.discounted,
                "fleet_telemetry_version": "1.0.0",
                "total_number_of_keys": 2 + len(car.keys),
                "safety_screen_streaming_toggle_enabled": None,
            }
            for car in cars
        },
    }


def telemetry_config(call: Call) -> Answer:
    """Tell the streaming configuration: there is none."""
    call.needs(DATA)
    call.car()
    return {"synced": False, "config": None, "limit_reached": False, "key_paired": False}


def telemetry_errors(call: Call) -> Answer:
    """List streaming errors: there are none."""
    call.needs(DATA)
    call.car()
    return {"fleet_telemetry_errors": []}


def _named_car(call: Call) -> Car:
    """Return the car that the query names; these endpoints have no car in their path."""
    car = call.state.garage.find(call.request.query.get("vin", ""))
    if car is None or (call.account != car.owner and call.account not in car.drivers):
        raise not_found()
    return car


def options(call: Call) -> Answer:
    """List the car's options, read from its own configuration; the codes are Tesla's."""
    call.needs(DATA)
    config = _named_car(call).data["vehicle_config"]
    model = MODELS.get(str(config.get("car_type")), "Model 3")
    codes = [
        {"code": "$MT337", "displayName": f"{model}", "isActive": True},
        {"code": "$PPSW", "colorCode": "PPSW", "displayName": str(config.get("exterior_color")), "isActive": True},
        {"code": "$W38A", "displayName": str(config.get("wheel_type")), "isActive": True},
        {"code": "$APBS", "displayName": "Autopilot", "isActive": True},
    ]
    if config.get("rhd"):
        codes.append({"code": "$DRRH", "displayName": "Right Hand Drive", "isActive": True})
    return {"codes": codes}


MODELS: Final = {
    "model3": "Model 3",
    "models": "Model S",
    "models2": "Model S",
    "lychee": "Model S",
    "modelx": "Model X",
    "tamarind": "Model X",
    "modely": "Model Y",
    "cybertruck": "Cybertruck",
}


def eligibility(call: Call) -> Answer:
    """List what the car could be given; nothing here."""
    call.needs(DATA)
    return {"country": "US", "eligible": [], "vin": _named_car(call).vin}


def warranty(call: Call) -> Answer:
    """Tell the warranty; what is over stands with what is expired."""
    call.needs(DATA)
    car = _named_car(call)
    now = datetime.fromtimestamp(call.state.clock(), UTC)
    found: dict[str, list[dict[str, Any]]] = {"activeWarranty": [], "upcomingWarranty": [], "expiredWarranty": []}
    for kind, name, years, miles in WARRANTIES:
        ends = DELIVERED.replace(year=DELIVERED.year + years)
        over = ends <= now or float(car.data["vehicle_state"].get("odometer") or 0) >= miles
        found["expiredWarranty" if over else "activeWarranty"].append(
            {
                "warrantyType": kind,
                "warrantyDisplayName": name,
                "expirationDate": ends.isoformat().replace("+00:00", "Z"),
                "expirationOdometer": miles,
                "odometerUnit": "MI",
                "warrantyExpiredOn": ends.isoformat().replace("+00:00", "Z") if over else None,
                "coverageAgeInYears": years,
            }
        )
    return found


DELIVERED: Final = datetime(2024, 10, 21, tzinfo=UTC)
WARRANTIES: Final = (
    ("NEW_MFG_WARRANTY", "Basic Vehicle Limited Warranty", 4, 50_000),
    ("BATTERY_WARRANTY", "Battery Limited Warranty", 8, 120_000),
)
"""Kind, name, years and miles, as in Tesla's own example."""
