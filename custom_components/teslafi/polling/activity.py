"""What a car does, read from its snapshot, as far as it decides how often to look."""

from ..tesla.snapshot import Snapshot
from .policy import Activity


def activity_of(snapshot: Snapshot) -> Activity:
    """Return the liveliest thing the car does; what the car does not say counts as nothing done."""
    charge, climate, vehicle = snapshot.charge_state, snapshot.climate_state, snapshot.vehicle_state
    if snapshot.drive_state.shift_state not in (None, "P") or (snapshot.drive_state.speed or 0) > 0:
        return Activity.DRIVING
    charging = charge.charging_state in ("Charging", "Starting", "Calibrating")
    if charging and charge.fast_charger_present:
        return Activity.FAST_CHARGING
    awake_for_a_reason = (
        charging,
        vehicle.is_user_present,
        vehicle.sentry_mode,
        climate.is_climate_on,
        climate.is_preconditioning,
        vehicle.software_update.status == "installing",
    )
    return Activity.ACTIVE if any(awake_for_a_reason) else Activity.IDLE
