"""Calendars: when a car charges and when it is ready, by its own schedules; changed while controls allow it.

And what electricity costs and earns at an energy site, by its tariff; read alone.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from operator import attrgetter
import time
from typing import Any, Final, override

from homeassistant.components.calendar import CalendarEntity, CalendarEntityDescription, CalendarEvent
from homeassistant.components.calendar.const import CalendarEntityFeature
from homeassistant.core import HomeAssistant, callback
from homeassistant.exceptions import ServiceValidationError
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback
from homeassistant.util import dt as dt_util
from homeassistant.util.location import distance

from .catalogue.fitted import schedules
from .compat import calling_context
from .const import DOMAIN
from .controls.groups import ControlGroup
from .coordinators.site import SiteData
from .coordinators.vehicle import VehicleData
from .entity import (
    ShownDescription,
    SiteEntity,
    VehicleEntity,
    async_setup_site_platform,
    async_setup_vehicle_platform,
)
from .journal_entities.calendars import CALENDARS as JOURNAL_CALENDARS, JournalCalendar
from .runtime import TeslaFiConfigEntry, enabled_controls
from .tesla.next_event import car_zone, counts
from .tesla.schedules import Kind, Plan, charge_times, command_days, days_of_rrule, occurrences, plans_of, rrule
from .tesla.tariff import Rate, Side, rates

PARALLEL_UPDATES = 0
AHEAD: Final = timedelta(days=8)
NEAR_METRES: Final = 300.0
EDITABLE: Final = (
    CalendarEntityFeature.CREATE_EVENT | CalendarEntityFeature.DELETE_EVENT | CalendarEntityFeature.UPDATE_EVENT
)
KINDS: Final = {
    "charge_schedules": (Kind.CHARGE, Kind.OLD_CHARGE),
    "precondition_schedules": (Kind.PRECONDITION, Kind.OLD_DEPARTURE),
}
OLD_KINDS: Final = frozenset({Kind.OLD_CHARGE, Kind.OLD_DEPARTURE})
TITLES: Final = {
    Kind.CHARGE: "Charging",
    Kind.OLD_CHARGE: "Scheduled charging",
    Kind.PRECONDITION: "Preconditioning",
    Kind.OLD_DEPARTURE: "Scheduled departure",
}


@dataclass(frozen=True, kw_only=True)
class VehicleCalendarDescription(CalendarEntityDescription, ShownDescription[VehicleData]):
    """A calendar, whose `value_fn` returns plans."""


def _plans(key: str) -> VehicleCalendarDescription:
    return VehicleCalendarDescription(
        key=key,
        paths=("vehicle_state.car_version",),
        fitted=schedules,
        keep_registered=True,
        value_fn=lambda data: [plan for plan in plans_of(data.snapshot) if plan.kind in KINDS[key]],
    )


CALENDARS: Final = tuple(_plans(key) for key in KINDS)


@dataclass(frozen=True, kw_only=True)
class SiteCalendarDescription(CalendarEntityDescription, ShownDescription[SiteData]):
    """A calendar, whose `value_fn` returns a side of a tariff."""


SITE_CALENDARS: Final = (
    SiteCalendarDescription(key="import_tariff", paths=("info.tariff.buy",), value_fn=attrgetter("info.tariff.buy")),
    SiteCalendarDescription(key="export_tariff", paths=("info.tariff.sell",), value_fn=attrgetter("info.tariff.sell")),
)
PERIODS: Final = {
    "ALL": "All day",
    "ON_PEAK": "Peak",
    "PARTIAL_PEAK": "Partial peak",
    "OFF_PEAK": "Off-peak",
    "SUPER_OFF_PEAK": "Super off-peak",
}
TARIFF_AHEAD: Final = timedelta(days=2)


async def async_setup_entry(
    _hass: HomeAssistant, entry: TeslaFiConfigEntry, async_add_entities: AddConfigEntryEntitiesCallback
) -> None:
    """Add the calendars of each of the account's cars and energy sites."""
    async_setup_vehicle_platform(entry, async_add_entities, CALENDARS, VehicleCalendar)
    async_setup_site_platform(entry, async_add_entities, SITE_CALENDARS, SiteCalendar)
    async_setup_vehicle_platform(entry, async_add_entities, JOURNAL_CALENDARS, JournalCalendar)


class VehicleCalendar(VehicleEntity, CalendarEntity):
    """The schedules of a car. Their ids are the car's; a change is a command of the group `schedules`."""

    _value: list[Plan]

    def _show(self, value: list[Plan]) -> None:
        """Plans are read when Home Assistant asks for events."""

    @override
    async def async_added_to_hass(self) -> None:
        """Follow the gate, where there is one: it decides whether events can be changed."""
        await super().async_added_to_hass()
        if (controls := self.coordinator.config_entry.runtime_data.controls) is not None:
            self.async_on_remove(controls.coordinator.async_add_listener(self._handle_gate_update))

    @callback
    def _handle_gate_update(self) -> None:
        self.async_write_ha_state()

    @property
    @override
    def supported_features(self) -> CalendarEntityFeature:
        """Offer changes while the owner allows them; on old firmware there is nothing to add."""
        controls = self.coordinator.config_entry.runtime_data.controls
        if not controls or not controls.is_open or not controls.covers(self.coordinator.vin, ControlGroup.SCHEDULES):
            return CalendarEntityFeature(0)
        old = any(plan.kind in OLD_KINDS for plan in self._value)
        return EDITABLE & ~CalendarEntityFeature.CREATE_EVENT if old else EDITABLE

    @property
    def _zone(self) -> tzinfo:
        offset = self.coordinator.data.snapshot.vehicle_config.utc_offset
        return car_zone(offset, dt_util.utcnow(), dt_util.get_default_time_zone())

    @property
    @override
    def event(self) -> CalendarEvent | None:
        """The event that runs now or comes next where the car is; schedules of other places are events alone."""
        now = dt_util.utcnow()
        drive = self.coordinator.data.snapshot.drive_state
        here = None if drive.latitude is None or drive.longitude is None else (drive.latitude, drive.longitude)
        plans = [plan for plan in self._value if counts(plan, here)]
        return min(self._events(plans, now, now + AHEAD), key=lambda event: event.start_datetime_local, default=None)

    @override
    async def async_get_events(
        self, hass: HomeAssistant, start_date: datetime, end_date: datetime
    ) -> list[CalendarEvent]:
        """Return the events of a span."""
        return self._events(self._value, start_date, end_date)

    def _events(self, plans: list[Plan], begin: datetime, end: datetime) -> list[CalendarEvent]:
        return [
            CalendarEvent(
                start=starts,
                end=ends,
                summary=plan.name or TITLES[plan.kind],
                location=self._place(plan),
                uid=f"{plan.kind}-{plan.id}",
                recurrence_id=None if plan.one_time else starts.strftime("%Y%m%dT%H%M%S"),
                rrule=None if plan.one_time else rrule(plan.days),
            )
            for plan in plans
            for starts, ends in occurrences(plan, begin, end, self._zone)
        ]

    def _place(self, plan: Plan) -> str | None:
        """Name the place: home, where it is near, else its coordinates."""
        if plan.latitude is None or plan.longitude is None:
            return None
        home = self.hass.config
        away = distance(plan.latitude, plan.longitude, home.latitude, home.longitude)
        if away is not None and away <= NEAR_METRES:
            return home.location_name
        return f"{plan.latitude:.5f}, {plan.longitude:.5f}"

    @override
    async def async_create_event(self, **kwargs: Any) -> None:
        """Add a schedule; its id is ours to choose."""
        await self._put(int(time.time()), kwargs)

    @override
    async def async_update_event(
        self, uid: str, event: dict[str, Any], recurrence_id: str | None = None, recurrence_range: str | None = None
    ) -> None:
        """Change a schedule as a whole: cars know no exceptions."""
        _refuse_exceptions(recurrence_id, recurrence_range)
        kind, number = _identified(uid)
        if kind is Kind.OLD_CHARGE:
            await self._set_old(event["dtstart"])
            return
        if kind is Kind.OLD_DEPARTURE:
            raise ServiceValidationError(translation_domain=DOMAIN, translation_key="departure_by_action")
        await self._put(number, event, self._plan(kind, number))

    @override
    async def async_delete_event(
        self, uid: str, recurrence_id: str | None = None, recurrence_range: str | None = None
    ) -> None:
        """Delete a schedule as a whole."""
        _refuse_exceptions(recurrence_id, recurrence_range)
        kind, number = _identified(uid)
        old = self._plan(kind, number)
        commands: dict[Kind, tuple[str, dict[str, Any]]] = {
            Kind.CHARGE: ("remove_charge_schedule", {"id": number}),
            Kind.PRECONDITION: ("remove_precondition_schedule", {"id": number}),
            Kind.OLD_CHARGE: ("set_scheduled_charging", {"enable": False, "time": old.begin if old else 0}),
            Kind.OLD_DEPARTURE: ("set_scheduled_departure", {"enable": False}),
        }
        await self._send(*commands[kind])

    def _plan(self, kind: Kind, number: int) -> Plan | None:
        """Return the schedule as the car has it now."""
        return next((plan for plan in self._value if (plan.kind, plan.id) == (kind, number)), None)

    async def _put(self, number: int, event: dict[str, Any], before: Plan | None = None) -> None:
        """Send a schedule; one that had no end of its own gets none by being renamed or moved."""
        begin, end = event["dtstart"], event["dtend"]
        if not isinstance(begin, datetime) or not isinstance(end, datetime):
            raise ServiceValidationError(translation_domain=DOMAIN, translation_key="schedule_needs_time")
        begin, end = begin.astimezone(self._zone), end.astimezone(self._zone)
        if end - begin > timedelta(days=1):
            raise ServiceValidationError(translation_domain=DOMAIN, translation_key="schedule_too_long")
        rule = event.get("rrule")
        days = days_of_rrule(rule, begin) if rule else 1 << (begin.isoweekday() % 7)
        if days is None:
            raise ServiceValidationError(translation_domain=DOMAIN, translation_key="schedule_rule")
        days_of_week = command_days(days, signed=self.coordinator.signs)
        latitude, longitude = self._coordinates(event.get("location"), before)
        common: dict[str, Any] = {
            "id": number,
            "name": event.get("summary"),
            "enabled": True,
            "one_time": not rule,
            "lat": latitude,
            "lon": longitude,
        }
        if self.entity_description.key == "precondition_schedules":
            parameters = {**common, "days_of_week": days_of_week, "precondition_time": _minutes(begin)}
            await self._send("add_precondition_schedule", parameters)
            return
        times = charge_times(begin, end, before)
        await self._send("add_charge_schedule", {**common, **times, "days_of_week": days_of_week})

    def _coordinates(self, location: str | None, before: Plan | None) -> tuple[float, float]:
        """Read a place: the one of before where nothing else is said, coordinates as text, else home."""
        kept = before is not None and location in (None, "", self._place(before))
        if kept and before is not None and before.latitude is not None and before.longitude is not None:
            return before.latitude, before.longitude
        parts = (location or "").split(",")
        try:
            latitude, longitude = (float(part) for part in parts)
        except ValueError:
            return self.hass.config.latitude, self.hass.config.longitude
        if abs(latitude) <= 90 and abs(longitude) <= 180:  # noqa: PLR2004 - degrees; no number is within them as NaN is
            return latitude, longitude
        return self.hass.config.latitude, self.hass.config.longitude

    async def _set_old(self, begin: datetime) -> None:
        local = begin.astimezone(self._zone)
        await self._send("set_scheduled_charging", {"enable": True, "time": _minutes(local)})

    async def _send(self, name: str, parameters: dict[str, Any]) -> None:
        controls = enabled_controls(self.coordinator.config_entry)
        await controls.sender.async_command(
            self.coordinator.vin, name, parameters, context=calling_context(self), entity_id=self.entity_id
        )


class SiteCalendar(SiteEntity, CalendarEntity):
    """What a kWh costs, or earns, at which times. Tesla's tariff is changed by an action alone."""

    _value: Side | None

    def _show(self, value: Side | None) -> None:
        """Prices are read when Home Assistant asks for events."""

    @property
    @override
    def event(self) -> CalendarEvent | None:
        """The price that holds now, else the next one."""
        now = dt_util.utcnow()
        return min(self._events(now, now + TARIFF_AHEAD), key=lambda event: event.start_datetime_local, default=None)

    @override
    async def async_get_events(
        self, hass: HomeAssistant, start_date: datetime, end_date: datetime
    ) -> list[CalendarEvent]:
        """Return the events of a span."""
        return self._events(start_date, end_date)

    def _events(self, begin: datetime, end: datetime) -> list[CalendarEvent]:
        if (side := self._value) is None:
            return []
        zone = self.coordinator.data.zone or dt_util.get_default_time_zone()
        return [
            CalendarEvent(
                start=rate.begin,
                end=rate.end,
                summary=_price(rate, side.currency),
                description=rate.season,
                uid=f"{rate.season}-{rate.period}-{rate.begin.isoformat()}",
            )
            for rate in rates(side, begin, end, zone)
        ]


def _price(rate: Rate, currency: str | None) -> str:
    """Name a period, with its price where Tesla tells it."""
    name = PERIODS.get(rate.period) or rate.period.replace("_", " ").capitalize()
    return name if rate.price is None else f"{name}: {rate.price:.6g} {currency or ''}".rstrip() + "/kWh"


def _minutes(moment: datetime) -> int:
    return moment.hour * 60 + moment.minute


def _identified(uid: str) -> tuple[Kind, int]:
    kind, _, number = uid.rpartition("-")
    if kind not in set(Kind) or not number.isdigit():
        raise ServiceValidationError(translation_domain=DOMAIN, translation_key="schedule_unknown")
    return Kind(kind), int(number)


def _refuse_exceptions(recurrence_id: str | None, recurrence_range: str | None) -> None:
    """Refuse to change one date alone; the calendar page names the date and no range for that."""
    if recurrence_id and recurrence_range != "THISANDFUTURE":
        raise ServiceValidationError(translation_domain=DOMAIN, translation_key="schedule_no_exceptions")
