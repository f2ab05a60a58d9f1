"""Leaves out what a standing car says again and again, before the rules see it, so that the store stays small.

Of a run of samples that say the same, the first and the last are kept, and one each two hours. The last one carries
`since`: the car was watched all the while. Rules and store see the same samples, so a rebuild tells the same sessions.
"""

from dataclasses import replace
from typing import Final, NamedTuple

from .sample import Moment, Sample

GAP_MOST: Final = 1800
"""Seconds after which a repetition is news: nobody watched in between."""
HOLD_MOST: Final = 7200
RANGE_KM: Final = 0.5
"""By how much the rated range of a standing car may change before it is news."""


class Quiet(NamedTuple):
    """The last sample that was kept, and the newest repetition of it."""

    kept: Sample | None = None
    held: Sample | None = None
    looked: Moment = 0
    """When the car answered last."""

    @property
    def seen(self) -> Moment | None:
        """When something was seen last."""
        newest = self.held or self.kept
        return None if newest is None else newest.at


def heard(quiet: Quiet, sample: Sample) -> tuple[Quiet, tuple[Sample, ...]]:
    """Take in a sample; return what is kept by it, in order of time."""
    looked = sample.at if sample.has_data else quiet.looked
    kept, seen = quiet.kept, quiet.seen
    if kept is None or seen is None:
        return Quiet(sample, None, looked), (sample,)
    if sample.at <= seen:
        # Late or twice. A look counts if it is newer than the look before: a clock that was ahead heard of sleep.
        return (Quiet(sample, None, looked), (sample,)) if looked > quiet.looked else (quiet, ())
    if sample.at - seen > GAP_MOST or not _same(kept, sample):
        return Quiet(sample, None, looked), (*_held(quiet), sample)
    if sample.at - kept.at >= HOLD_MOST:
        sample = replace(sample, since=kept.at)
        return Quiet(sample, None, looked), (sample,)
    return Quiet(kept, sample, looked), ()


def rest(quiet: Quiet) -> tuple[Quiet, tuple[Sample, ...]]:
    """Return what is held, which is kept now: nothing more comes for a while."""
    held = _held(quiet)
    return (Quiet(held[0], None, quiet.looked), held) if held else (quiet, ())


def _held(quiet: Quiet) -> tuple[Sample, ...]:
    if quiet.held is None or quiet.kept is None:
        return ()
    return (replace(quiet.held, since=quiet.kept.at),)


def _same(kept: Sample, sample: Sample) -> bool:
    if not sample.has_data:
        return not kept.has_data and kept.state is sample.state
    if not kept.has_data or sample.driving is not False or kept.driving is not False:
        return False
    if sample.charging is not False or kept.charging is not False:
        return False
    return _key(kept) == _key(sample) and abs((kept.range_km or 0.0) - (sample.range_km or 0.0)) < RANGE_KM


def _key(sample: Sample) -> tuple[object, ...]:
    return (
        sample.odometer_km,
        sample.soc,
        sample.usable_soc,
        sample.range_km is None,
        sample.latitude,
        sample.longitude,
        sample.zone,
        sample.charging_state,
        sample.energy_added_kwh,
        sample.charge_limit,
        sample.software,
        sample.wheels,
        sample.awake_because,
    )
