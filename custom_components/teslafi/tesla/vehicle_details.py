"""What Tesla tells of a car beside its live data: alerts, service, release notes, chargers nearby, warranty, options.

All of it is billed like data and asked only when somebody wants it. Distances are in miles. The rules of decoding are
those of live data (`decode.py`).

Source of names: Tesla's developer documents, "Vehicle endpoints".
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from .decode import Block, Decoded, snake_cased

CUSTOMER: Final = "customer"
"""The audience of alerts that the car shows to its driver; others are for service."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """An alert of the car; `user_text` is what the driver read, in the car's language."""

    name: str | None = None
    time: datetime | None = None
    user_text: str | None = None
    audience: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceVisit:
    """A visit to a service center, or that there is none: then every field is None."""

    service_status: str | None = None
    service_etc: datetime | None = None  # when it is expected to be ready
    service_visit_number: str | None = None
    status_id: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseNote:
    """One part of a version's release notes."""

    title: str | None = None
    subtitle: str | None = None
    description: str | None = None
    customer_version: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a charger is, in degrees. Tesla's key is `long`."""

    lat: float | None = None
    long: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChargingSite:
    """A Supercharger or a charger at a destination. Stalls are told of Superchargers alone."""

    name: str | None = None
    type: str | None = None
    location: Place = Place()
    distance_miles: float | None = None
    available_stalls: int | None = None
    total_stalls: int | None = None
    site_closed: bool | None = None
    amenities: str | None = None
    billing_info: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NearbySites:
    """Chargers around the car, each kind by distance as Tesla sends them."""

    superchargers: tuple[ChargingSite, ...] = ()
    destination_charging: tuple[ChargingSite, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Warranty:
    """One warranty: until a date or an odometer reading, whichever comes first."""

    warranty_type: str | None = None
    warranty_display_name: str | None = None
    expiration_date: datetime | None = None
    expiration_odometer: float | None = None
    odometer_unit: str | None = None
    warranty_expired_on: datetime | None = None
    coverage_age_in_years: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Warranties:
    """The car's warranties by what they are today."""

    active_warranty: tuple[Warranty, ...] = ()
    upcoming_warranty: tuple[Warranty, ...] = ()
    expired_warranty: tuple[Warranty, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class VehicleOption:
    """An option that the car was ordered with."""

    code: str | None = None
    display_name: str | None = None
    color_code: str | None = None
    is_active: bool | None = None


_ALERT: Final = Block(Alert, "recent_alerts", ours=frozenset({"audience"}))
_SERVICE: Final = Block(ServiceVisit, "service_data")
_NOTE: Final = Block(ReleaseNote, "release_notes")
_NEARBY: Final = Block(NearbySites, "nearby_charging_sites")
_WARRANTIES: Final = Block(Warranties, "warranty")
_OPTION: Final = Block(VehicleOption, "options")
_LEVELS: Final = 3
"""Depth of the answers whose keys are renamed: an object, its lists, their objects."""


def decode_alerts(answer: object) -> Decoded[tuple[Alert, ...]]:
    """Decode the object of an answer of `recent_alerts`, in Tesla's order."""
    malformed: list[str] = []
    raw = _listed(answer, "recent_alerts", malformed)
    alerts = tuple(
        replace(_ALERT.read(entry, [], malformed), audience=_audience(entry.get("audience"), malformed))
        for entry in raw
    )
    return Decoded(alerts, tuple(dict.fromkeys(malformed)))


def newest_first(alerts: Iterable[Alert]) -> tuple[Alert, ...]:
    """Return the alerts that have a moment, by it."""
    dated = [(alert.time, alert) for alert in alerts if alert.time is not None]
    return tuple(alert for _, alert in sorted(dated, key=lambda pair: pair[0], reverse=True))


def decode_service(answer: object) -> Decoded[ServiceVisit]:
    """Decode the object of an answer of `service_data`; an empty one means that there is no visit."""
    malformed: list[str] = []
    return Decoded(_SERVICE.read_own(answer, [], malformed), tuple(malformed))


def decode_release_notes(answer: object) -> Decoded[tuple[ReleaseNote, ...]]:
    """Decode the object of an answer of `release_notes`, which Tesla wraps once more than other answers."""
    inner = answer.get("response", answer) if type(answer) is dict else answer
    malformed: list[str] = []
    raw = _listed(inner, "release_notes", malformed)
    return Decoded(tuple(_NOTE.read(entry, [], malformed) for entry in raw), tuple(dict.fromkeys(malformed)))


def decode_nearby(answer: object) -> Decoded[NearbySites]:
    """Decode the object of an answer of `nearby_charging_sites`."""
    malformed: list[str] = []
    return Decoded(_NEARBY.read_own(answer, [], malformed), tuple(dict.fromkeys(malformed)))


def decode_warranties(answer: object) -> Decoded[Warranties]:
    """Decode the object of an answer of `warranty/details`."""
    malformed: list[str] = []
    read = _WARRANTIES.read_own(snake_cased(answer, _LEVELS), [], malformed)
    return Decoded(read, tuple(dict.fromkeys(malformed)))


def decode_options(answer: object) -> Decoded[tuple[VehicleOption, ...]]:
    """Decode the object of an answer of `vehicles/options`."""
    malformed: list[str] = []
    raw = _listed(snake_cased(answer, _LEVELS), "codes", malformed)
    return Decoded(tuple(_OPTION.read(entry, [], malformed) for entry in raw), tuple(dict.fromkeys(malformed)))


def _listed(answer: object, key: str, malformed: list[str]) -> list[Mapping[str, Any]]:
    """Return the objects of a list that an answer holds; what else it holds is malformed."""
    raw = answer.get(key) if type(answer) is dict else answer
    if raw is None:
        return []
    if type(raw) is not list:
        malformed.append(key)
        return []
    objects: list[Mapping[str, Any]] = [entry for entry in raw if type(entry) is dict]
    malformed += [key] * (len(objects) < len(raw))
    return objects


def _audience(raw: object, malformed: list[str]) -> tuple[str, ...]:
    """Read whom an alert is for."""
    if raw is None:
        return ()
    entries = raw if type(raw) is list else [None]
    named = tuple(entry for entry in entries if type(entry) is str and entry.isprintable())
    malformed += ["recent_alerts.audience"] * (len(named) < len(entries))
    return named
