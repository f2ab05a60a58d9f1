"""The figures of a session as plain data: for events, actions and exports, always in metric units.

Names end in their unit. Moments are ISO 8601 in UTC. What is not known is None.
"""

from datetime import UTC, datetime
from typing import Any

from ..journal.addresses import place_name
from ..journal.sessions import Charge, Drive, Parking, Session, SoftwareVersion

type Figures = dict[str, Any]


def moment(at: int) -> str:
    """Return an epoch second as ISO 8601."""
    return datetime.fromtimestamp(at, UTC).isoformat()


def _rounded(value: float | None, digits: int = 2) -> float | None:
    return None if value is None else round(value, digits)


def _session(session: Session) -> Figures:
    return {
        "start": moment(session.start),
        "end": moment(session.end),
        "reconstructed": session.reconstructed,
        "soc_start": _rounded(session.soc_start, 1),
        "soc_end": _rounded(session.soc_end, 1),
        "range_start_km": _rounded(session.range_start_km, 1),
        "range_end_km": _rounded(session.range_end_km, 1),
        "odometer_km": _rounded(session.odometer_km, 1),
        "outside_c": _rounded(session.outside_c, 1),
        "software": session.software,
    }


def drive_figures(drive: Drive) -> Figures:
    """Return the figures of a drive."""
    return {
        **_session(drive),
        "distance_km": round(drive.distance_km, 2),
        "duration_s": drive.duration_s,
        "start_place": place_name(drive.start_place, drive.start_position),
        "end_place": place_name(drive.end_place, drive.end_position),
        "energy_kwh": _rounded(drive.energy_kwh, 3),
        "energy_method": drive.energy_method and drive.energy_method.value,
        "wh_per_km": _rounded(drive.wh_per_km, 1),
        "range_efficiency": _rounded(drive.range_efficiency, 3),
        "speed_mean_kmh": _rounded(drive.speed_mean_kmh, 1),
        "speed_max_kmh": _rounded(drive.speed_max_kmh, 1),
        "inside_c": _rounded(drive.inside_c, 1),
        "tag": drive.tag,
    }


def charge_figures(charge: Charge) -> Figures:
    """Return the figures of a charge."""
    return {
        **_session(charge),
        "added_kwh": round(charge.added_kwh, 3),
        "used_kwh": _rounded(charge.used_kwh, 3),
        "used_method": charge.used_method and charge.used_method.value,
        "efficiency": _rounded(charge.efficiency, 3),
        "duration_s": charge.duration_s,
        "type": "DC" if charge.dc else "AC",
        "place": place_name(charge.place, charge.position),
        "power_max_kw": _rounded(charge.power_max_kw, 1),
        "power_mean_kw": _rounded(charge.power_mean_kw, 1),
        "limit": _rounded(charge.limit, 0),
        "charger_brand": charge.charger_brand,
        "cost": _rounded(charge.cost, 2),
        "currency": charge.currency,
        "cost_source": charge.cost_source and charge.cost_source.value,
    }


def parking_figures(parking: Parking) -> Figures:
    """Return the figures of a parking."""
    return {
        **_session(parking),
        "duration_s": parking.seconds,
        "place": place_name(parking.place, parking.position),
        "drain_km": _rounded(parking.drain_km),
        "drain_soc": _rounded(parking.drain_soc, 1),
        "drain_kwh": _rounded(parking.drain_kwh, 3),
        "drain_w": _rounded(parking.drain_w, 1),
        "asleep_share": _rounded(parking.asleep_share, 3),
        "awake_because": dict(parking.awake_because),
    }


def software_figures(version: SoftwareVersion) -> Figures:
    """Return the figures of a software version."""
    return {"version": version.version, "since": moment(version.since)}
