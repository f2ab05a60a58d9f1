"""An owner's TeslaFi.com files, ready for the journal: in order of time, by car, each moment once."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from heapq import merge
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from ..journal.sample import Sample
from .errors import HistoryUnreadable
from .teslafi_files import Examined, examine, files_of, samples_of

type ZoneOf = Callable[[float, float], str | None]
"""Name of the owner's zone at a latitude and longitude."""

_SAME_PLACE: Final = 5
"""Digits after the point: about a meter."""


@dataclass(frozen=True, slots=True)
class Import:
    """Files of which each is known to be readable as far as rows and dates go. `vins`: the cars in them.

    `unnamed`: some file names no car; its rows are of the car that the owner chooses.
    """

    files: tuple[Examined, ...]
    zone: ZoneInfo
    vins: tuple[str, ...]
    unnamed: bool

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return sum(one.writing.rows for one in self.files)


def prepare(paths: Sequence[tuple[str, Path]], zone: ZoneInfo) -> Import:
    """Look at uploads (name and place) whose times are of `zone`; raise HistoryUnreadable. Blocks."""
    examined = [found for file in files_of(paths) if (found := examine(file, zone)) is not None]
    if not examined:
        raise HistoryUnreadable("history_empty", paths[0][0] if paths else "")
    examined.sort(key=lambda one: one.writing.order.first)
    vins = dict.fromkeys(vin for one in examined for vin in one.writing.vins)
    return Import(tuple(examined), zone, tuple(vins), any(not one.writing.vins for one in examined))


def samples(
    prepared: Import, vin: str, *, unnamed: str | None = None, zone_of: ZoneOf | None = None
) -> Iterator[Sample]:
    """Yield the samples of one car, each moment once; `unnamed` is the car of files that name none. Blocks.

    Raises HistoryUnreadable.
    """
    named = _Places(zone_of)
    last = -1
    for together in _overlapping(one for one in prepared.files if vin in (*one.writing.vins, unnamed)):
        read = [_of_car(one, prepared.zone, vin, unnamed) for one in together]
        for sample in read[0] if len(read) == 1 else merge(*read, key=lambda sample: sample.at):
            if sample.at > last:
                last = sample.at
                yield named.placed(sample)


def _overlapping(files: Iterable[Examined]) -> Iterator[list[Examined]]:
    """Yield files in order of time, those together that are partly of the same time: one may fill another's holes."""
    together: list[Examined] = []
    until = 0
    for one in files:
        if together and one.writing.order.first > until:
            yield together
            together = []
        together.append(one)
        until = max(until, one.writing.order.last)
    if together:
        yield together


def _of_car(one: Examined, zone: ZoneInfo, vin: str, unnamed: str | None) -> Iterator[Sample]:
    return (sample for owner, sample in samples_of(one, zone, unnamed) if owner == vin)


def check(prepared: Import, *, unnamed: str | None = None) -> None:
    """Read everything once, so that a fault in one car's file leaves every car as it was; raise HistoryUnreadable."""
    for one in prepared.files:
        for _ in samples_of(one, prepared.zone, unnamed):
            pass


class _Places:
    """Names the zone of each sample; asks once for a place where the car stays."""

    def __init__(self, zone_of: ZoneOf | None) -> None:
        self._zone_of = zone_of
        self._place: tuple[float, float] | None = None
        self._zone: str | None = None

    def placed(self, sample: Sample) -> Sample:
        if self._zone_of is None or sample.latitude is None or sample.longitude is None:
            return sample
        place = (round(sample.latitude, _SAME_PLACE), round(sample.longitude, _SAME_PLACE))
        if place != self._place:
            self._place, self._zone = place, self._zone_of(*place)
        return sample if self._zone is None else replace(sample, zone=self._zone)
