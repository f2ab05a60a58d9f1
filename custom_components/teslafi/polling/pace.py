"""How closely each mode looks: one table of seconds.

The state request is free, neither wakes a car nor keeps it awake, and is limited to 60 a minute for each car of an
account (Tesla's developer documents, "Billing and limits"). A look, `vehicle_data`, costs money and keeps an idle car
awake.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final


class Mode(StrEnum):
    """The owner's choice between detail and cost."""

    ECONOMY = "economy"
    BALANCED = "balanced"
    DETAILED = "detailed"


USUAL_MONTH: Final[Mapping[Mode, float]] = {Mode.ECONOMY: 1.23, Mode.BALANCED: 2.33, Mode.DETAILED: 5.89}
"""US dollars of a car-month on the average of the bench's lives (docs/bench.md): how the modes compare."""


class Step(StrEnum):
    """How much of the mode the monthly limit still allows, from all to nothing."""

    FULL = "full"
    REDUCED = "reduced"
    STARTS_AND_ENDS = "starts_and_ends"
    STATE_ONLY = "state_only"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """Seconds between looks, by what the car does."""

    state_resting: float = 30.0
    """Between state requests of a car that sleeps or is out of reach: how soon a wake-up is seen."""
    state_awake: float = 60.0
    follow_up: float
    """After a wake-up, and while somebody is in the car: how soon a start is seen."""
    driving: float
    near_end: float
    """The least distance to a look at an expected end."""
    driving_far: float
    """While the route's destination is further away than this."""
    charging: float
    fast_charging: float
    preparing: float
    """While the climate runs before a departure."""
    lingering: float
    """While something else keeps the car awake: the most, at times at which it has lately left or by day."""
    lingering_rest: float
    """The same at times at which it has lately not left."""
    lingering_night: float
    """The same at night, if it has lately not left then."""
    departing: float
    """The same at the least, when it nearly always leaves."""
    look_worth: float
    """How many seconds earlier a start must be seen for one look to be worth its money, while the car is kept awake."""
    stop: float
    """After arriving where stops are short."""
    stop_longest: float
    """How long to look out for the end of a short stop."""
    plug_in_looks: int
    """Looks for a cable after somebody left the car where it is sometimes charged."""
    plug_in_elsewhere: int
    """The same where it has never been charged."""
    short_stops: float
    """Share of short stops at a place from which on they are looked out for."""


PACES: Final[Mapping[Mode, Pace]] = {
    Mode.ECONOMY: Pace(
        follow_up=45,
        driving=300,
        near_end=90,
        driving_far=600,
        charging=3600,
        fast_charging=300,
        preparing=100,
        lingering=900,
        lingering_rest=2400,
        lingering_night=3600,
        departing=120,
        look_worth=8,
        stop=120,
        stop_longest=240,
        plug_in_looks=3,
        plug_in_elsewhere=0,
        short_stops=0.5,
    ),
    Mode.BALANCED: Pace(
        follow_up=30,
        driving=110,
        near_end=45,
        driving_far=180,
        charging=1800,
        fast_charging=90,
        preparing=60,
        lingering=900,
        lingering_rest=2400,
        lingering_night=3600,
        departing=60,
        look_worth=2.2,
        stop=55,
        stop_longest=2700,
        plug_in_looks=3,
        plug_in_elsewhere=1,
        short_stops=0.12,
    ),
    Mode.DETAILED: Pace(
        follow_up=30,
        driving=30,
        near_end=30,
        driving_far=30,
        charging=2400,
        fast_charging=180,
        preparing=75,
        lingering=1500,
        lingering_rest=2400,
        lingering_night=3600,
        departing=60,
        look_worth=4,
        stop=70,
        stop_longest=1200,
        plug_in_looks=3,
        plug_in_elsewhere=0,
        short_stops=0.12,
    ),
}


def pace_of(mode: Mode, step: Step) -> Pace:
    """Return the pace that mode and budget come to; `STATE_ONLY` has no looks to space."""
    pace = PACES[mode]
    if step is Step.REDUCED:
        return _slower(pace, 2)
    if step in (Step.STARTS_AND_ENDS, Step.STATE_ONLY):
        return replace(
            _slower(pace, 4),
            driving=max(pace.driving, 900),
            driving_far=max(pace.driving_far, 1800),
            charging=7200,
            fast_charging=900,
            lingering=7200,
            lingering_rest=14_400,
            lingering_night=14_400,
            departing=1800,
            look_worth=pace.look_worth * 100,
            stop_longest=0,
            plug_in_looks=0,
            plug_in_elsewhere=0,
        )
    return pace


def _slower(pace: Pace, times: float) -> Pace:
    return replace(
        pace,
        follow_up=pace.follow_up * times,
        driving=pace.driving * times,
        near_end=pace.near_end * times,
        driving_far=pace.driving_far * times,
        charging=pace.charging * times,
        fast_charging=pace.fast_charging * times,
        preparing=pace.preparing * times,
        lingering=pace.lingering * times,
        lingering_rest=pace.lingering_rest * times,
        lingering_night=pace.lingering_night * times,
        departing=pace.departing * times,
        look_worth=pace.look_worth * times**2,
        stop=pace.stop * times,
        stop_longest=pace.stop_longest / times,
    )
