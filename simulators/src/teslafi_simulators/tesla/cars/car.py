"""A car that lives: it sleeps, drives and charges by a clock, and tells of itself as Tesla's cars do.

Shapes and units: Tesla's `vehicle_data` as recorded (samples/ORIGIN.md). A car is advanced when somebody looks at it,
in steps short enough for its physics; nothing runs in the background.
"""

from collections.abc import Callable, Mapping
import copy
from dataclasses import dataclass, field
from enum import StrEnum
import math
from typing import Any, Final

from .charging_session import LEAST_ENERGY, ChargingSession
from .supply import Supply

__all__ = ["Car", "State", "Supply"]

STEP: Final = 30.0
"""Longest step of the physics, in seconds."""
SLEEPY_AFTER: Final = 780.0
"""Seconds after which an idle car that nobody looks at falls asleep."""
WAKE_SECONDS: Final = 20.0
MILES_PER_DEGREE: Final = 69.0
CONSUMPTION: Final = 0.27
"""kWh for a mile."""
CLASSIC_BLOCKS: Final = (
    "charge_state",
    "climate_state",
    "drive_state",
    "gui_settings",
    "vehicle_config",
    "vehicle_state",
)
LOCATION_KEYS: Final = (
    "latitude",
    "longitude",
    "heading",
    "gps_as_of",
    "native_latitude",
    "native_longitude",
    "native_location_supported",
    "native_type",
    "active_route_destination",
    "active_route_energy_at_arrival",
    "active_route_latitude",
    "active_route_longitude",
    "active_route_miles_to_arrival",
    "active_route_minutes_to_arrival",
)

PHYSICS: Final = {
    "charge_state.battery_level": "_soc",
    "drive_state.latitude": "_latitude",
    "drive_state.longitude": "_longitude",
    "vehicle_state.odometer": "_odometer",
}
"""Told values that follow from the car's physics: setting one sets what it comes from."""


class State(StrEnum):
    """Whether the car answers."""

    ONLINE = "online"
    ASLEEP = "asleep"
    OFFLINE = "offline"


@dataclass(slots=True)
class Drive:
    """A drive under way: miles still to go at a steady speed in mph, into a compass direction."""

    miles_left: float
    speed: float
    heading: float
    destination: str


@dataclass(slots=True)
class Charge:
    """A charge under way: since when (epoch seconds), and with how much energy of the session before it (kWh)."""

    supply: Supply
    begun: float = 0.0
    added_before: float = 0.0


type Behavior = Callable[[Car, float], None]


@dataclass(slots=True, kw_only=True)
class Car:
    """One car. `data` is an answer of `vehicle_data` that the car keeps up to date about itself.

    `keys` are the public keys paired with it, as uncompressed points; `computers` its two domains of the Vehicle
    Command Protocol. `signed_faults` wait for signed messages, one each: a fault's number, or -1 for "wait".
    `charging_sessions` are those that somebody was billed for; `alerts` what `recent_alerts` lists.
    `executed` holds every command that was carried out, with its parameters and outcome. `settings` and `pins` are
    what `vehicle_data` does not tell. `behaviors` are what it does by itself: each is called in each step of its life,
    with the car and the moment at which the step began. `destination` is where the navigation goes: name, latitude,
    longitude.
    """

    vin: str
    number: int
    region: str
    owner: str
    data: dict[str, Any]
    now: float
    drivers: set[str] = field(default_factory=set)
    capacity: float = 75.0
    signing: str = "required"
    discounted: bool = False
    """Whether its data cost a tenth, since it cannot send them by itself."""
    mobile_access: bool = True
    hide_private: bool = False
    state: State = State.ONLINE
    drive: Drive | None = None
    charge: Charge | None = None
    last_activity_at: float = 0.0
    wakes_at: float | None = None
    outside: float = 16.0
    behaviors: list[Behavior] = field(default_factory=list)
    charging_sessions: list[ChargingSession] = field(default_factory=list)
    alerts: list[dict[str, Any]] = field(default_factory=list)
    cable: Supply | None = None
    keys: set[bytes] = field(default_factory=set)
    computers: dict[int, object] = field(default_factory=dict)
    signed_faults: list[int] = field(default_factory=list)
    pins: dict[str, str] = field(default_factory=dict, repr=False)
    settings: dict[str, bool] = field(default_factory=dict)
    executed: list[tuple[str, dict[str, Any], Any]] = field(default_factory=list)
    destination: tuple[str, float | None, float | None] | None = None
    remote_start_ends: float | None = None
    track: int = 0

    def __post_init__(self) -> None:
        """Begin awake, parked and unplugged."""
        self.data = copy.deepcopy(self.data)
        self.last_activity_at = self.now
        charge = self.data["charge_state"]
        self._soc = float(charge["battery_level"])
        self._miles_per_percent = charge["battery_range"] / max(self._soc, 1.0)
        self._odometer = float(self.data["vehicle_state"]["odometer"] or 0)
        self._inside = float(self.data["climate_state"].get("inside_temp") or 20.0)
        self._added = float(charge.get("charge_energy_added") or 0)
        drive = self.data["drive_state"]
        self._latitude = float(drive.get("latitude") or 37.123456)
        self._longitude = float(drive.get("longitude") or -122.123456)
        self._heading = float(drive.get("heading") or 0)
        self.home = (self._latitude, self._longitude)
        # In every recording the climate is off, and the car reports the owner's setting as off with it
        self.data["climate_state"]["remote_heater_control_enabled"] = True
        self._park()

    home: tuple[float, float] = (0.0, 0.0)
    _soc: float = 0.0
    _miles_per_percent: float = 3.0
    _odometer: float = 0.0
    _inside: float = 20.0
    _added: float = 0.0
    _latitude: float = 0.0
    _longitude: float = 0.0
    _heading: float = 0.0

    @property
    def in_service(self) -> bool:
        """Whether it stands at a service centre."""
        return bool(self.data.get("in_service"))

    @property
    def soc(self) -> float:
        """State of charge in percent."""
        return self._soc

    def advance(self, now: float) -> None:
        """Live up to `now` (epoch seconds); never backwards."""
        while self.now < now:
            seconds = min(STEP, now - self.now)
            self.now += seconds
            self._step(seconds)
        self._update_data()

    def _step(self, seconds: float) -> None:
        if self.wakes_at is not None and self.now >= self.wakes_at:
            self.wake()
        for behave in self.behaviors:
            behave(self, self.now - seconds)
        if self.drive is not None:
            self._step_drive(self.drive, seconds)
        if self.charge is not None:
            self._step_charge(self.charge, seconds)
        self._step_cabin(seconds)
        if self.busy:
            self.last_activity_at = self.now
        elif self.state is State.ONLINE and self.now - self.last_activity_at >= SLEEPY_AFTER:
            # What it says last is what stays visible while it sleeps.
            self._update_data()
            self.state = State.ASLEEP

    @property
    def busy(self) -> bool:
        """Whether something keeps it awake."""
        vehicle, climate = self.data["vehicle_state"], self.data["climate_state"]
        reasons = (vehicle.get("sentry_mode"), vehicle.get("is_user_present"), climate.get("is_climate_on"))
        return self.drive is not None or self.charge is not None or any(reasons)

    def _step_drive(self, drive: Drive, seconds: float) -> None:
        miles = min(drive.speed * seconds / 3600, drive.miles_left)
        drive.miles_left -= miles
        self._odometer += miles
        self._soc = max(self._soc - miles * CONSUMPTION / self.capacity * 100, 0.0)
        self._heading = drive.heading
        self._latitude += miles * math.cos(math.radians(drive.heading)) / MILES_PER_DEGREE
        self._longitude += (
            miles * math.sin(math.radians(drive.heading)) / (MILES_PER_DEGREE * math.cos(math.radians(self._latitude)))
        )
        if drive.miles_left <= 0 or self._soc <= 0:
            self._park()

    def _step_charge(self, charge: Charge, seconds: float) -> None:
        limit = float(self.data["charge_state"]["charge_limit_soc"])
        energy = min(self._power(charge) * seconds / 3600, max(limit - self._soc, 0) / 100 * self.capacity)
        self._added += energy
        self._soc += energy / self.capacity * 100
        if self._soc >= limit - 1e-9:
            self._end_charge()
            self._charging_values("Complete", 0.0)

    def _end_charge(self) -> None:
        """Stop, and note a session at a Supercharger, which is billed."""
        charge, self.charge = self.charge, None
        if charge is None or charge.supply is not Supply.DIRECT:
            return
        energy = self._added - charge.added_before
        if energy >= LEAST_ENERGY:
            session = ChargingSession(
                number=self.number % 10**6 * 100 + len(self.charging_sessions) + 1,
                vin=self.vin,
                begun=charge.begun,
                ended=self.now,
                energy=energy,
            )
            self.charging_sessions.append(session)

    def _power(self, charge: Charge) -> float:
        """Return kW: as set on alternating current, by the battery's curve on direct current."""
        amps = float(self.data["charge_state"].get("charge_current_request") or 16)
        match charge.supply:
            case Supply.SINGLE_PHASE:
                return 0.23 * amps
            case Supply.THREE_PHASE:
                return 0.69 * min(amps, 16)
            case Supply.DIRECT:
                return max(20.0, min(170.0, 250.0 - 2.4 * self._soc))

    def _step_cabin(self, seconds: float) -> None:
        climate = self.data["climate_state"]
        on = bool(climate.get("is_climate_on"))
        target = float(climate.get("driver_temp_setting") or 21) if on else self.outside
        self._inside += (target - self._inside) * (1 - math.exp(-seconds / (300 if on else 5400)))

    # What a script or the control interface does with the car.

    def start_drive(
        self, *, miles: float = 12.0, speed: float = 45.0, heading: float = 60.0, to: str = "Office"
    ) -> None:
        """Drive off: wakes the car, unplugs it."""
        self.wake()
        self.unplug()
        self.drive = Drive(miles, speed, heading, to)
        self.destination = None
        self.data["vehicle_state"]["is_user_present"] = True
        self.data["vehicle_state"]["locked"] = False
        self._update_data()

    def _park(self) -> None:
        self.drive = None
        self.data["vehicle_state"]["is_user_present"] = False
        self.data["vehicle_state"]["locked"] = True
        self.last_activity_at = self.now

    def park(self) -> None:
        """End a drive: the driver gets out and locks."""
        self._park()
        self._update_data()

    def plug_in(self, supply: Supply) -> None:
        """Begin to charge; the energy of the session counts from nothing."""
        self.wake()
        self._park()
        self._end_charge()
        self.cable = supply
        self.charge = Charge(supply, self.now)
        self._added = 0.0
        self._update_data()

    def start_charging(self) -> str:
        """Begin to charge by the cable that is plugged in; return why not, "" when it charges."""
        if self.charge is not None:
            return "is_charging"
        if self.cable is None:
            return "disconnected"
        if self.data["charge_state"]["charging_state"] == "NoPower":
            return "no_power"
        if self._soc >= float(self.data["charge_state"]["charge_limit_soc"]):
            return "complete"
        self.charge = Charge(self.cable, self.now, self._added)
        self._update_data()
        return ""

    def stop_charging(self) -> None:
        """Stay plugged in without charging."""
        self._end_charge()
        self._charging_values("Stopped", 0.0)

    def unplug(self) -> None:
        """End a charge and take the cable away."""
        self._end_charge()
        self.cable = None
        self._charging_values("Disconnected", 0.0)

    def lose_power(self) -> None:
        """Stay plugged in while the supply fails."""
        self._end_charge()
        self._charging_values("NoPower", 0.0)

    def wake(self) -> None:
        """Be online at once."""
        self.state = State.ONLINE
        self.wakes_at = None
        self.last_activity_at = self.now

    def ask_to_wake(self) -> None:
        """Begin to wake; it takes its time."""
        if self.state is State.ASLEEP and self.wakes_at is None:
            self.wakes_at = self.now + WAKE_SECONDS

    def touch(self) -> None:
        """Be looked at: a live call keeps the car awake."""
        self.last_activity_at = self.now

    @property
    def utc_offset(self) -> float:
        """Seconds by which the car's clock is ahead of UTC."""
        return float(self.data["vehicle_config"].get("utc_offset") or 0)

    def next_time(self, minutes: int) -> int:
        """Return the next epoch second at which the car's clock shows so many minutes after midnight."""
        local = self.now + self.utc_offset
        midnight = local - local % 86_400
        due = midnight + minutes * 60
        return int((due if due > local else due + 86_400) - self.utc_offset)

    def route_to(self, name: str, latitude: float | None = None, longitude: float | None = None) -> None:
        """Set the navigation's destination."""
        self.destination = (name, latitude, longitude)
        self._update_data()

    def set_value(self, path: str, value: Any) -> None:  # noqa: ANN401 - any JSON, wrong types included
        """Set `block.field` or a field of the vehicle object to anything."""
        *blocks, name = path.split(".")
        place = self.data
        for block in blocks:
            place = place.setdefault(block, {})
        place[name] = value
        physics = PHYSICS.get(path)
        if physics is not None and isinstance(value, int | float):
            setattr(self, physics, float(value))

    # What it tells.

    def _update_data(self) -> None:
        """Bring the live fields of `data` up to date, unless the car sleeps."""
        if self.state is not State.ONLINE:
            return
        milliseconds = int(self.now * 1000)
        for block in CLASSIC_BLOCKS:
            self.data[block]["timestamp"] = milliseconds
        self._update_drive_state()
        self._update_charge_state()
        self.data["vehicle_state"]["odometer"] = round(self._odometer, 6)
        self.data["climate_state"] |= {"inside_temp": round(self._inside, 1), "outside_temp": self.outside}

    def _update_drive_state(self) -> None:
        block = self.data["drive_state"]
        drive = self.drive
        block |= {
            "latitude": round(self._latitude, 6),
            "longitude": round(self._longitude, 6),
            "heading": int(self._heading) % 360,
            "gps_as_of": int(self.now),
            "shift_state": "D" if drive else None,
            "speed": round(drive.speed) if drive else None,
            "power": round(drive.speed * CONSUMPTION) if drive else 0,
        }
        route = ("destination", "energy_at_arrival", "latitude", "longitude", "miles_to_arrival", "minutes_to_arrival")
        if drive is None:
            for name in route:
                block.pop(f"active_route_{name}", None)
            if self.destination is not None:
                shown = zip(("destination", "latitude", "longitude"), self.destination, strict=True)
                block |= {f"active_route_{name}": value for name, value in shown if value is not None}
            return
        minutes = drive.miles_left / drive.speed * 60
        values = (
            drive.destination,
            round(self._soc - drive.miles_left * CONSUMPTION / self.capacity * 100),
            round(self._latitude + 0.1, 6),
            round(self._longitude + 0.1, 6),
            round(drive.miles_left, 2),
            round(minutes, 2),
        )
        block |= {f"active_route_{name}": value for name, value in zip(route, values, strict=True)}

    def _update_charge_state(self) -> None:
        block = self.data["charge_state"]
        block |= {
            "battery_level": math.floor(self._soc + 1e-9),
            "usable_battery_level": math.floor(self._soc + 1e-9),
            "battery_range": round(self._soc * self._miles_per_percent, 2),
            "ideal_battery_range": round(self._soc * self._miles_per_percent, 2),
            "est_battery_range": round(self._soc * self._miles_per_percent * 0.86, 2),
            "charge_energy_added": round(self._added, 2),
        }
        if self.charge is not None:
            self._charging_values("Charging", self._power(self.charge))

    def _charging_values(self, state: str, power: float) -> None:
        block = self.data["charge_state"]
        supply = self.charge.supply if self.charge else None
        plugged = state != "Disconnected"
        direct = supply is Supply.DIRECT
        amps = 0 if not supply or direct else int(block.get("charge_current_request") or 16)
        left = max(float(block["charge_limit_soc"]) - self._soc, 0) / 100 * self.capacity
        hours = left / power if power else 0.0
        block |= {
            "charging_state": state,
            "charger_power": round(power),
            "charger_voltage": (380 if direct else 230) if supply else (2 if plugged else 0),
            "charger_actual_current": min(amps, 16) if supply is Supply.THREE_PHASE else amps,
            "charger_pilot_current": 0 if direct or not plugged else 16,
            "charger_phases": {Supply.SINGLE_PHASE: 1, Supply.THREE_PHASE: 2}.get(supply) if supply else None,
            "fast_charger_present": direct,
            "fast_charger_type": ("Tesla" if direct else "ACSingleWireCAN") if plugged else "<invalid>",
            "fast_charger_brand": "Tesla" if direct else "<invalid>",
            "conn_charge_cable": "IEC" if plugged else "<invalid>",
            "charge_port_door_open": plugged,
            "charge_port_latch": "Engaged",
            "charge_rate": round(power / self.capacity * 100 * self._miles_per_percent, 1),
            "time_to_full_charge": round(hours, 2),
            "minutes_to_full_charge": round(hours * 60),
        }

    def record(self, reader: str) -> dict[str, Any]:
        """Return the vehicle object, as `products`, `vehicles` and every answer carry it, for this account."""
        return {
            "id": self.number,
            "user_id": 100001,
            "vehicle_id": self.number % 10**10,
            "vin": self.vin,
            "color": None,
            "access_type": "OWNER" if reader == self.owner else "DRIVER",
            "display_name": self.data["vehicle_state"].get("vehicle_name"),
            "option_codes": None,
            "cached_data": None,
            "granular_access": {"hide_private": self.hide_private and reader != self.owner},
            "tokens": ["0000000000000001", "0000000000000002"],
            "state": self.state.value,
            "in_service": self.in_service,
            "id_s": str(self.number),
            "calendar_enabled": True,
            "api_version": self.data.get("api_version", 71),
            "backseat_token": None,
            "backseat_token_updated_at": None,
            "ble_autopair_enrolled": False,
            "device_type": "vehicle",
            "command_signing": self.signing,
            "release_notes_supported": True,
        }

    def answer(self, reader: str, endpoints: Mapping[str, None] | set[str], *, location: bool) -> dict[str, Any]:
        """Return `vehicle_data` for this account; `location` says whether its scope and endpoint are both there."""
        answer = self.record(reader)
        del answer["display_name"], answer["option_codes"], answer["command_signing"], answer["device_type"]
        answer |= {block: self.data[block] for block in endpoints if block in self.data}
        if "drive_state" in answer and (not location or (self.hide_private and reader != self.owner)):
            answer["drive_state"] = {
                name: value for name, value in self.data["drive_state"].items() if name not in LOCATION_KEYS
            }
        elif location and "drive_state" not in answer:
            answer["drive_state"] = self.data["drive_state"]
        return answer
