"""Service actions: commands that have parameters no entity has room for. One table; each row is one action.

They exist whether controls are on or not, so that automations are valid, and refuse with a sentence while they are off.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import time as dt_time
import time
from typing import Any, Final, cast

from homeassistant.const import ATTR_DEVICE_ID, ATTR_LATITUDE, ATTR_LONGITUDE
from homeassistant.core import HomeAssistant, ServiceCall, SupportsResponse, callback
from homeassistant.exceptions import ServiceValidationError
from homeassistant.helpers import config_validation as cv, device_registry as dr
from homeassistant.util.json import JsonObjectType
import probatio

from .const import DOMAIN
from .runtime import TeslaFiConfigEntry, enabled_controls
from .tesla.schedules import command_days
from .tesla.snapshot import Snapshot

PIN: Final = probatio.All(cv.string, probatio.Match(r"^\d{4}$"))
DAYS: Final = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
NEW_ID: Final = "id"


def _minutes(value: Any) -> int:  # noqa: ANN401 - a time of day
    return int(value.hour * 60 + value.minute)


def _place(hass: HomeAssistant, sent: Mapping[str, Any]) -> dict[str, float]:
    """Return the place of a schedule: as given, else home."""
    place = sent.get("location") or {}
    return {
        "lat": place.get(ATTR_LATITUDE, hass.config.latitude),
        "lon": place.get(ATTR_LONGITUDE, hass.config.longitude),
    }


type Build = Callable[[HomeAssistant, Mapping[str, Any], bool], tuple[str, dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class Action:
    """One action: what it takes besides the device and the code, and the command it becomes."""

    fields: Mapping[Any, Any]
    build: Build
    site: bool = False
    response: bool = False
    complete: Callable[[Mapping[str, Any], Snapshot], Mapping[str, Any]] | None = None
    """Fills in what was not told from what the car says."""


def _fixed(name: str, *fields: str, **renamed: str) -> Build:
    """Return a builder that hands fields on; `renamed` gives parameter=field where they differ."""
    taken = {one: one for one in fields} | renamed

    def build(_hass: HomeAssistant, sent: Mapping[str, Any], _signed: bool) -> tuple[str, dict[str, Any]]:  # noqa: FBT001 - as all builders
        return name, {parameter: sent[one] for parameter, one in taken.items() if one in sent}

    return build


def _charge_schedule(hass: HomeAssistant, sent: Mapping[str, Any], signed: bool) -> tuple[str, dict[str, Any]]:  # noqa: FBT001 - the same
    if "start_time" not in sent and "end_time" not in sent:
        raise ServiceValidationError(translation_domain=DOMAIN, translation_key="schedule_needs_time")
    times = {name: _minutes(sent[name]) for name in ("start_time", "end_time") if name in sent}
    return "add_charge_schedule", {**_common(hass, sent, signed=signed), **times}


def _precondition_schedule(hass: HomeAssistant, sent: Mapping[str, Any], signed: bool) -> tuple[str, dict[str, Any]]:  # noqa: FBT001 - the same
    return "add_precondition_schedule", {
        **_common(hass, sent, signed=signed),
        "precondition_time": _minutes(sent["time"]),
    }


def _common(hass: HomeAssistant, sent: Mapping[str, Any], *, signed: bool) -> dict[str, Any]:
    return {
        "id": sent.get(NEW_ID) or int(time.time()),
        "name": sent.get("name"),
        "enabled": sent["enabled"],
        "one_time": sent["one_time"],
        "days_of_week": command_days(sum(1 << DAYS.index(day) for day in set(sent["days"])), signed=signed),
        **_place(hass, sent),
    }


def _scheduled_charging(_hass: HomeAssistant, sent: Mapping[str, Any], _signed: bool) -> tuple[str, dict[str, Any]]:  # noqa: FBT001 - the same
    if "time" not in sent:
        raise ServiceValidationError(translation_domain=DOMAIN, translation_key="schedule_needs_time")
    return "set_scheduled_charging", {"enable": sent["enable"], "time": _minutes(sent["time"])}


def _kept_time(sent: Mapping[str, Any], snapshot: Snapshot) -> Mapping[str, Any]:
    """Keep the owner's own time when only the switch was told; Tesla's command takes both."""
    kept = snapshot.charge_state.scheduled_charging_start_time_minutes
    if "time" in sent or (kept is None and sent["enable"]):
        return sent
    return {**sent, "time": dt_time(*divmod((kept or 0) % (24 * 60), 60))}


def _scheduled_departure(_hass: HomeAssistant, sent: Mapping[str, Any], _signed: bool) -> tuple[str, dict[str, Any]]:  # noqa: FBT001 - the same
    times = {name: _minutes(sent[name]) for name in ("departure_time", "end_off_peak_time") if name in sent}
    return "set_scheduled_departure", {**{name: sent[name] for name in DEPARTURE if name in sent}, **times}


def _speed_limit(_hass: HomeAssistant, sent: Mapping[str, Any], _signed: bool) -> tuple[str, dict[str, Any]]:  # noqa: FBT001 - the same
    return ("speed_limit_activate" if sent["enable"] else "speed_limit_deactivate"), {"pin": sent["pin"]}


def _navigate(_hass: HomeAssistant, sent: Mapping[str, Any], _signed: bool) -> tuple[str, dict[str, Any]]:  # noqa: FBT001 - the same
    if "destination" in sent:
        return "navigation_request", {"value": sent["destination"]}
    if (place := sent.get("location")) is None:
        raise ServiceValidationError(translation_domain=DOMAIN, translation_key="destination_needed")
    return "navigation_gps_request", {
        "lat": place[ATTR_LATITUDE],
        "lon": place[ATTR_LONGITUDE],
        "order": sent["order"],
    }


def _supercharger(_hass: HomeAssistant, sent: Mapping[str, Any], signed: bool) -> tuple[str, dict[str, Any]]:  # noqa: FBT001 - the same
    named = {} if signed else {"id": sent["id"]}
    return "navigation_sc_request", {**named, "order": sent["order"]}


DEPARTURE: Final = (
    "enable",
    "preconditioning_enabled",
    "preconditioning_weekdays_only",
    "off_peak_charging_enabled",
    "off_peak_charging_weekdays_only",
)
_PLACE: Final = probatio.Schema(
    {probatio.Required(ATTR_LATITUDE): cv.latitude, probatio.Required(ATTR_LONGITUDE): cv.longitude},
    extra=probatio.REMOVE_EXTRA,
)
_ID: Final = probatio.All(cv.positive_int, probatio.Range(max=2**63 - 1))
_SECONDS: Final = probatio.All(cv.positive_int, probatio.Range(max=2**31 - 1))
"""What Tesla's messages have room for."""
_SCHEDULE: Final = {
    probatio.Optional(NEW_ID): _ID,
    probatio.Optional("name"): cv.string,
    probatio.Optional("location"): _PLACE,
    probatio.Optional("days", default=list(DAYS)): probatio.All(cv.ensure_list, [probatio.In(DAYS)]),
    probatio.Optional("one_time", default=False): cv.boolean,
    probatio.Optional("enabled", default=True): cv.boolean,
}
_TEMPERATURE: Final = probatio.All(probatio.Coerce(float), probatio.Range(min=15, max=28))
"""Degrees Celsius, from *LO* to *HI*."""
_ORDER: Final = {probatio.Optional("order", default=1): probatio.In((1, 2, 3))}
_PIN: Final = {probatio.Required("pin"): PIN}
_SWITCHED: Final = {"on": "enable", "password": "pin"}
_ENABLE: Final = {probatio.Required("enable"): cv.boolean}

ACTIONS: Final[Mapping[str, Action]] = {
    "add_charge_schedule": Action(
        {**_SCHEDULE, probatio.Optional("start_time"): cv.time, probatio.Optional("end_time"): cv.time},
        _charge_schedule,
        response=True,
    ),
    "add_precondition_schedule": Action(
        {**_SCHEDULE, probatio.Required("time"): cv.time}, _precondition_schedule, response=True
    ),
    "remove_charge_schedule": Action({probatio.Required("id"): _ID}, _fixed("remove_charge_schedule", "id")),
    "remove_precondition_schedule": Action(
        {probatio.Required("id"): _ID}, _fixed("remove_precondition_schedule", "id")
    ),
    "set_scheduled_charging": Action(
        {**_ENABLE, probatio.Optional("time"): cv.time}, _scheduled_charging, complete=_kept_time
    ),
    "set_scheduled_departure": Action(
        {
            **_ENABLE,
            **{probatio.Optional(name): cv.boolean for name in DEPARTURE[1:]},
            probatio.Optional("departure_time"): cv.time,
            probatio.Optional("end_off_peak_time"): cv.time,
        },
        _scheduled_departure,
    ),
    "set_temperatures": Action(
        {
            probatio.Required("driver"): _TEMPERATURE,
            probatio.Required("passenger"): _TEMPERATURE,
        },
        _fixed("set_temps", driver_temp="driver", passenger_temp="passenger"),
    ),
    "navigate": Action(
        {
            probatio.Exclusive("destination", "where"): cv.string,
            probatio.Exclusive("location", "where"): _PLACE,
            **_ORDER,
        },
        _navigate,
        response=True,
    ),
    "navigate_to_supercharger": Action({probatio.Optional("id", default=0): _ID, **_ORDER}, _supercharger),
    "navigate_waypoints": Action(
        {probatio.Required("waypoints"): cv.string}, _fixed("navigation_waypoints_request", "waypoints")
    ),
    "speed_limit": Action({**_ENABLE, **_PIN}, _speed_limit),
    "clear_speed_limit_pin": Action({**_PIN}, _fixed("speed_limit_clear_pin", "pin")),
    "valet_mode": Action({**_ENABLE, probatio.Optional("pin"): PIN}, _fixed("set_valet_mode", **_SWITCHED)),
    "reset_valet_pin": Action({}, _fixed("reset_valet_pin")),
    "pin_to_drive": Action({**_ENABLE, **_PIN}, _fixed("set_pin_to_drive", **_SWITCHED)),
    "reset_pin_to_drive": Action({}, _fixed("reset_pin_to_drive_pin")),
    "set_vehicle_name": Action({probatio.Required("name"): cv.string}, _fixed("set_vehicle_name", vehicle_name="name")),
    "schedule_update": Action(
        {probatio.Optional("offset", default=0): _SECONDS},
        _fixed("schedule_software_update", offset_sec="offset"),
        response=True,
    ),
    "set_time_of_use": Action(
        {probatio.Required("tariff"): dict}, _fixed("time_of_use_settings", settings="tariff"), site=True
    ),
}
"""Actions about one car or energy site."""

CODE: Final = "code"
LOCK_CONTROLS: Final = "lock_controls"
LOOK_NOW: Final = "look_now"
CONFIRM_CODE: Final = "confirm_code"


@callback
def async_setup_actions(hass: HomeAssistant) -> None:
    """Register every action."""
    for name, action in ACTIONS.items():
        schema = probatio.Schema(
            {
                probatio.Required(ATTR_DEVICE_ID): cv.string,
                **({} if action.site else {probatio.Optional(CODE): cv.string}),
                **action.fields,
            }
        )
        response = SupportsResponse.OPTIONAL if action.response else SupportsResponse.NONE
        hass.services.async_register(DOMAIN, name, _handler(hass, action), schema, supports_response=response)
    device = {probatio.Required(ATTR_DEVICE_ID): cv.string}
    hass.services.async_register(DOMAIN, LOOK_NOW, _look_now(hass), probatio.Schema(device))
    hass.services.async_register(DOMAIN, LOCK_CONTROLS, _lock_controls(hass), probatio.Schema(device))
    confirming = probatio.Schema({**device, probatio.Required(CODE): cv.string})
    hass.services.async_register(DOMAIN, CONFIRM_CODE, _confirm_code(hass), confirming)


def _handler(hass: HomeAssistant, action: Action) -> Callable[[ServiceCall], Any]:
    async def handle(call: ServiceCall) -> JsonObjectType | None:
        entry, identifier = target(hass, call.data[ATTR_DEVICE_ID])
        controls = enabled_controls(entry)
        if action.site:
            site_id = int(identifier) if identifier.isdigit() and int(identifier) in entry.runtime_data.sites else None
            if site_id is None:
                raise ServiceValidationError(translation_domain=DOMAIN, translation_key="no_such_site")
            name, parameters = action.build(hass, call.data, False)  # noqa: FBT003 - no signature at sites
            answer = await controls.sender.async_command_site(site_id, name, parameters, context=call.context)
            return cast(JsonObjectType, dict(answer)) if call.return_response else None
        vehicle = entry.runtime_data.vehicles.get(identifier)
        if vehicle is None:
            raise ServiceValidationError(translation_domain=DOMAIN, translation_key="no_such_vehicle")
        sent = action.complete(call.data, vehicle.data.snapshot) if action.complete else call.data
        name, parameters = action.build(hass, sent, vehicle.signs)
        answer = await controls.sender.async_command(
            identifier, name, parameters, context=call.context, code=call.data.get(CODE)
        )
        shown = dict(answer) | ({"id": parameters["id"]} if "id" in parameters else {})
        return cast(JsonObjectType, shown) if call.return_response else None

    return handle


def _look_now(hass: HomeAssistant) -> Callable[[ServiceCall], Any]:
    async def handle(call: ServiceCall) -> None:
        """Look at a car at once, within its budget. Never wakes it."""
        entry, identifier = target(hass, call.data[ATTR_DEVICE_ID])
        if (vehicle := entry.runtime_data.vehicles.get(identifier)) is None:
            raise ServiceValidationError(translation_domain=DOMAIN, translation_key="no_such_vehicle")
        await vehicle.async_request_refresh()

    return handle


def _lock_controls(hass: HomeAssistant) -> Callable[[ServiceCall], Any]:
    async def handle(call: ServiceCall) -> None:
        """Wipe grant, command key and key share at once."""
        entry, _ = target(hass, call.data[ATTR_DEVICE_ID])
        await enabled_controls(entry).async_wipe(tell=True)

    return handle


def _confirm_code(hass: HomeAssistant) -> Callable[[ServiceCall], Any]:
    async def handle(call: ServiceCall) -> None:
        """Take the code for sensitive commands."""
        entry, _ = target(hass, call.data[ATTR_DEVICE_ID])
        await enabled_controls(entry).code.async_confirm(call.data[CODE], call.context)

    return handle


def _entries_of(device: dr.AnyDeviceEntry) -> set[str]:
    """Return the entries of a device: only one from before 2026.10, which automations may still name, has several."""
    return device.config_entries if device.is_composite_device else {device.config_entry_id}


def target(hass: HomeAssistant, device_id: str) -> tuple[TeslaFiConfigEntry, str]:
    """Return the loaded entry and our identifier of a device."""
    device = dr.async_get(hass).async_get(device_id)
    found = next((name for domain, name in device.identifiers if domain == DOMAIN), None) if device else None
    entries: list[TeslaFiConfigEntry] = hass.config_entries.async_loaded_entries(DOMAIN)
    entry = next((one for one in entries if device and one.entry_id in _entries_of(device)), None)
    if found is None or entry is None:
        raise ServiceValidationError(translation_domain=DOMAIN, translation_key="no_such_vehicle")
    return entry, found
