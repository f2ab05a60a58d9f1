"""Long-term statistics of a car's journal, hour by hour, for the past as well.

Sums are made of all sessions each time, and rows that exist are written over: the same journal gives the same
statistics, however often and in whatever order it was told.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
import math
from typing import Final

from homeassistant.components.recorder.models import StatisticData, StatisticMeanType, StatisticMetaData
from homeassistant.components.recorder.statistics import (
    async_add_external_statistics,
    get_last_statistics,
    get_metadata,
    statistics_during_period,
)
from homeassistant.const import UnitOfEnergy, UnitOfLength
from homeassistant.core import HomeAssistant
from homeassistant.helpers.recorder import get_instance
from homeassistant.util import dt as dt_util

from ..const import DOMAIN
from ..journal.sessions import Charge, Drive, Parking
from ..journal.store import Store

HOUR: Final = 3600
COST: Final = "cost_"
"""What the keys of costs begin with; the currency follows."""
SMALLEST: Final = 0.001
"""Sums that differ by less are the same sum, added up in another order."""
ROWS_AT_ONCE: Final = 2000
"""Rows that are handed to the recorder in one go of the event loop."""

type Session = Drive | Charge | Parking
type Hours = dict[int, float]
"""Epoch second at which an hour begins -> what fell into it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One statistic: its key and unit, and how much of a session counts in it."""

    key: str
    unit_class: str | None
    unit: str
    amount: Callable[[Session, str], float]
    """Of a session, with the name of the zone that is home."""


def _added(session: Session, *, dc: bool | None = None, home: bool | None = None, zone: str = "") -> float:
    if not isinstance(session, Charge) or (dc is not None and session.dc is not dc):
        return 0.0
    return 0.0 if home is not None and (session.place == zone) is not home else session.added_kwh


SERIES: Final = (
    Series(
        key="distance",
        unit_class="distance",
        unit=UnitOfLength.KILOMETERS,
        amount=lambda session, _: session.distance_km if isinstance(session, Drive) else 0.0,
    ),
    Series(
        key="driving_energy",
        unit_class="energy",
        unit=UnitOfEnergy.KILO_WATT_HOUR,
        amount=lambda session, _: max(session.energy_kwh or 0.0, 0.0) if isinstance(session, Drive) else 0.0,
    ),
    Series(
        key="charged_ac",
        unit_class="energy",
        unit=UnitOfEnergy.KILO_WATT_HOUR,
        amount=lambda session, _: _added(session, dc=False),
    ),
    Series(
        key="charged_dc",
        unit_class="energy",
        unit=UnitOfEnergy.KILO_WATT_HOUR,
        amount=lambda session, _: _added(session, dc=True),
    ),
    Series(
        key="charged_home",
        unit_class="energy",
        unit=UnitOfEnergy.KILO_WATT_HOUR,
        amount=lambda session, home: _added(session, home=True, zone=home),
    ),
    Series(
        key="charged_away",
        unit_class="energy",
        unit=UnitOfEnergy.KILO_WATT_HOUR,
        amount=lambda session, home: _added(session, home=False, zone=home),
    ),
    Series(
        key="drain",
        unit_class="energy",
        unit=UnitOfEnergy.KILO_WATT_HOUR,
        amount=lambda session, _: max(session.drain_kwh or 0.0, 0.0) if isinstance(session, Parking) else 0.0,
    ),
)


def cost_series(currency: str) -> Series:
    """Return the statistic of what charging cost in one currency: amounts of two are never added up."""

    def amount(session: Session, _home: str) -> float:
        return session.cost or 0.0 if isinstance(session, Charge) and session.currency == currency else 0.0

    return Series(key=f"{COST}{currency.lower()}", unit_class=None, unit=currency, amount=amount)


def spread(sessions: Iterable[Session], amount: Callable[[Session], float]) -> Hours:
    """Return what falls into each hour: a session's amount is spread evenly over its time."""
    hours: defaultdict[int, float] = defaultdict(float)
    for session in sessions:
        if not (whole := amount(session)):
            continue
        for hour, share in _shares(session.start, session.end):
            hours[hour] += whole * share
    return dict(hours)


def _shares(start: int, end: int) -> Iterator[tuple[int, float]]:
    if end <= start:
        yield start // HOUR * HOUR, 1.0
        return
    at = start
    while at < end:
        hour = at // HOUR * HOUR
        until = min(hour + HOUR, end)
        yield hour, (until - at) / (end - start)
        at = until


def rows(hours: Mapping[int, float], since: int) -> list[StatisticData]:
    """Return the rows of the hours from `since` on, each with the sum of all before it."""
    total = 0.0
    found: list[StatisticData] = []
    for hour in sorted(hours):
        total += hours[hour]
        if hour >= since // HOUR * HOUR:
            start = dt_util.utc_from_timestamp(hour)
            found.append(StatisticData(start=start, state=hours[hour], sum=total))
    return found


def sessions_of(store: Store, vin: str) -> Sequence[Session]:
    """Return all sessions of a car. Blocks."""
    return [*store.drives(vin), *store.charges(vin, addresses=False), *store.parkings(vin)]


async def async_fill(hass: HomeAssistant, vin: str, name: str, sessions: Sequence[Session], since: int) -> None:
    """Write the statistics of a car from an hour on.

    Hours that are in the recorder and into which nothing falls any more become zero: sessions are told anew.
    """
    zone = _home(hass)
    recorded = await get_instance(hass).async_add_executor_job(_recorded, hass, vin, since)
    for series in _all_series(sessions, recorded):
        known = recorded.get(series.key, ())
        told = await hass.async_add_executor_job(_rows_of, sessions, series, zone, known, since)
        if not told:
            continue
        metadata = StatisticMetaData(
            mean_type=StatisticMeanType.NONE,
            has_sum=True,
            name=f"{name} {series.key.replace('_', ' ')}",
            source=DOMAIN,
            statistic_id=statistic_id(vin, series.key),
            unit_class=series.unit_class,
            unit_of_measurement=series.unit,
        )
        for first in range(0, len(told), ROWS_AT_ONCE):
            async_add_external_statistics(hass, metadata, told[first : first + ROWS_AT_ONCE])
            await asyncio.sleep(0)


async def async_first_untold(hass: HomeAssistant, vin: str, sessions: Sequence[Session]) -> int | None:
    """Return the first hour that the recorder does not have as the sessions tell it; None when it has all.

    A fill that was broken off left an old sum behind the hours that it wrote: then everything is untold.
    """
    return await get_instance(hass).async_add_executor_job(_first_untold, hass, vin, sessions, _home(hass))


def _first_untold(hass: HomeAssistant, vin: str, sessions: Sequence[Session], home: str) -> int | None:
    untold: list[int] = []
    for series in _all_series(sessions, _ids(hass, vin).values()):
        newest = statistic_id(vin, series.key)
        found = get_last_statistics(hass, 1, newest, convert_units=False, types={"sum"})
        last = next(iter(found.get(newest, ())), None)
        told_until, told = (-1, 0.0) if last is None else (int(last["start"]), last["sum"] or 0.0)
        hours = _hours_of(sessions, series, home)
        if not math.isclose(sum(hours[hour] for hour in hours if hour <= told_until), told, abs_tol=SMALLEST):
            return 0
        untold.extend(hour for hour in hours if hour > told_until)
    return min(untold, default=None)


def _home(hass: HomeAssistant) -> str:
    home = hass.states.get("zone.home")
    return home.name if home is not None else ""


def _all_series(sessions: Iterable[Session], recorded: Iterable[str]) -> Iterator[Series]:
    """Yield all statistics of a car. A currency has one while a session or a key of the recorder's tells of it."""
    currencies = {one.currency for one in sessions if isinstance(one, Charge) and one.currency is not None}
    currencies |= {key.removeprefix(COST).upper() for key in recorded if key.startswith(COST)}
    yield from SERIES
    yield from (cost_series(currency) for currency in sorted(currencies))


async def async_forget(hass: HomeAssistant, vin: str) -> None:
    """Have the recorder delete the statistics of a car."""
    if "recorder" in hass.config.components:
        recorder = get_instance(hass)
        recorder.async_clear_statistics(list(await recorder.async_add_executor_job(_ids, hass, vin)))


def _ids(hass: HomeAssistant, vin: str) -> dict[str, str]:
    """Return the statistics of a car that the recorder has: id -> key. Blocks."""
    begin = statistic_id(vin, "")
    known = get_metadata(hass, statistic_source=DOMAIN)
    return {one: one.removeprefix(begin) for one in known if one.startswith(begin)}


def _recorded(hass: HomeAssistant, vin: str, since: int) -> dict[str, list[int]]:
    """Return the hours from `since` on that the recorder has of each statistic, by its key. Blocks."""
    ids = _ids(hass, vin)
    begin = dt_util.utc_from_timestamp(max(since // HOUR * HOUR, 0))
    found = statistics_during_period(hass, begin, None, set(ids), "hour", None, {"state"}) if ids else {}
    return {key: [int(row["start"]) for row in found.get(one, ())] for one, key in ids.items()}


def _rows_of(
    sessions: Sequence[Session], series: Series, home: str, known: Iterable[int], since: int
) -> list[StatisticData]:
    """Return the rows of a statistic, for the hours of `known` as well. Takes long for years of sessions."""
    hours = _hours_of(sessions, series, home)
    return rows(dict.fromkeys(known, 0.0) | hours, since)


def _hours_of(sessions: Iterable[Session], series: Series, home: str) -> Hours:
    return spread(sessions, lambda session: series.amount(session, home))


def statistic_id(vin: str, key: str) -> str:
    """Return the id of a statistic of a car."""
    return f"{DOMAIN}:{vin.lower()}_{key}"
