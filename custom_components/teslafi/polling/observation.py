"""What a look at a car's data says, as far as it decides when to look again.

Read from the answer of that very look, never from values kept of earlier ones: what a block said an hour ago says
nothing about now.
"""

from collections.abc import Callable, Mapping
from enum import StrEnum
from functools import lru_cache
from typing import Final, NamedTuple

from ..tesla.decode import BLOCKS
from ..tesla.snapshot import Snapshot

STALE: Final = 900_000
"""Milliseconds by which a block may be older than the newest one of the same answer, and still counts."""
DISPLAY_ACCESSORY: Final = 2
"""`center_display_state` while accessory power is kept on."""


class Reason(StrEnum):
    """Why a car cannot sleep, the liveliest first."""

    DRIVING = "driving"
    CHARGING = "charging"
    USER_PRESENT = "user_present"
    PRECONDITIONING = "preconditioning"
    CLIMATE_KEEPER = "climate_keeper"
    CLIMATE = "climate"
    OVERHEAT_PROTECTION = "overheat_protection"
    UPDATE = "update"
    SENTRY = "sentry"
    ACCESSORY_POWER = "accessory_power"
    POWER_OUTLET = "power_outlet"


class Observation(NamedTuple):
    """What the car did when it was looked at. Durations in seconds from that moment on; None means not said."""

    reasons: frozenset[Reason] = frozenset()
    fast: bool = False
    """Charging with direct current."""
    arrival: float | None = None
    """Until the active route's destination."""
    charge_left: float | None = None
    """Until the charge limit."""
    plugged: bool = False
    open: bool = False
    """A door or trunk is open: somebody is about."""
    charge_starts_at: float | None = None
    """Epoch seconds of the scheduled start that the car waits for."""
    place: tuple[float, float] | None = None
    """Latitude and longitude, degrees."""

    @property
    def driving(self) -> bool:
        """Whether the car drives."""
        return Reason.DRIVING in self.reasons

    @property
    def charging(self) -> bool:
        """Whether the car charges."""
        return Reason.CHARGING in self.reasons

    @property
    def attended(self) -> bool:
        """Whether somebody is in or at the car."""
        return self.open or Reason.USER_PRESENT in self.reasons


_TIMED: Final = frozenset({"charge_state", "climate_state", "drive_state", "vehicle_state"})

CHARGING: Final = frozenset({"Charging", "Starting", "Calibrating"})
KEEPERS: Final = frozenset({"on", "keep", "dog", "camp", "party"})
UPDATING: Final = frozenset({"downloading", "installing"})

_SIGNS: Final[Mapping[Reason, tuple[str, Callable[[Snapshot], object]]]] = {
    Reason.DRIVING: (
        "drive_state",
        lambda s: s.drive_state.shift_state not in (None, "P", "") or (s.drive_state.speed or 0) > 0,
    ),
    Reason.CHARGING: ("charge_state", lambda s: s.charge_state.charging_state in CHARGING),
    Reason.USER_PRESENT: ("vehicle_state", lambda s: s.vehicle_state.is_user_present),
    Reason.PRECONDITIONING: ("climate_state", lambda s: s.climate_state.is_preconditioning),
    Reason.CLIMATE_KEEPER: (
        "climate_state",
        lambda s: s.climate_state.is_climate_on and s.climate_state.climate_keeper_mode in KEEPERS,
    ),
    Reason.CLIMATE: ("climate_state", lambda s: s.climate_state.is_climate_on),
    Reason.OVERHEAT_PROTECTION: (
        "climate_state",
        lambda s: s.climate_state.cabin_overheat_protection_actively_cooling,
    ),
    Reason.UPDATE: ("vehicle_state", lambda s: s.vehicle_state.software_update.status in UPDATING),
    Reason.SENTRY: ("vehicle_state", lambda s: s.vehicle_state.sentry_mode),
    Reason.ACCESSORY_POWER: (
        "vehicle_state",
        lambda s: s.vehicle_state.center_display_state == DISPLAY_ACCESSORY,
    ),
    Reason.POWER_OUTLET: (
        "charge_state",
        lambda s: (s.charge_state.powershare_instantaneous_load_kw or 0) > 0,
    ),
}
"""Reason -> the block that says it, and how."""


def observed_in(answer: Snapshot, fresh: frozenset[str]) -> Observation:
    """Read the answer of one look. Blocks that are not `fresh` say nothing."""
    reasons = frozenset(reason for reason, (block, says) in _SIGNS.items() if block in fresh and says(answer))
    vehicle = answer.vehicle_state
    openings = (vehicle.df, vehicle.dr, vehicle.pf, vehicle.pr, vehicle.ft, vehicle.rt)
    charge, drive = answer.charge_state, answer.drive_state
    known_charge, known_drive = "charge_state" in fresh, "drive_state" in fresh
    charging = Reason.CHARGING in reasons
    return Observation(
        reasons=reasons,
        fast=charging and bool(charge.fast_charger_present),
        arrival=_duration(drive.active_route_minutes_to_arrival, 60) if known_drive else None,
        charge_left=_charge_left(answer) if charging else None,
        plugged=known_charge and charge.charging_state not in (None, "Disconnected", "Unknown"),
        open="vehicle_state" in fresh and any(openings),
        charge_starts_at=float(charge.scheduled_charging_start_time)
        if known_charge and charge.scheduled_charging_pending and charge.scheduled_charging_start_time
        else None,
        place=(drive.latitude, drive.longitude)
        if known_drive and drive.latitude is not None and drive.longitude is not None
        else None,
    )


def fresh_blocks(answer: Snapshot) -> frozenset[str]:
    """Return the blocks that came with an answer and are no leftovers: none is far older than the newest."""
    blocks = _blocks_of(answer.reported)
    stamps = {name: stamp for name in _TIMED & blocks if (stamp := getattr(answer, name).timestamp) is not None}
    newest = max(stamps.values(), default=0)
    leftovers = [name for name, stamp in stamps.items() if newest - stamp > STALE]
    return blocks.difference(leftovers) if leftovers else blocks


@lru_cache(maxsize=64)
def _blocks_of(reported: frozenset[str]) -> frozenset[str]:
    """Return the blocks among paths: of nearly every answer of every car the same ones."""
    return reported & BLOCKS


def _charge_left(answer: Snapshot) -> float | None:
    charge = answer.charge_state
    minutes = _duration(charge.minutes_to_full_charge, 60)
    return minutes if minutes is not None else _duration(charge.time_to_full_charge, 3600)


def _duration(value: float | None, seconds: float) -> float | None:
    """Return seconds; None for what is no duration."""
    return value * seconds if value is not None and 0 <= value < float("inf") else None
