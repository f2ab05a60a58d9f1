"""A sample as the store keeps it: whole numbers, each by its resolution, and texts by their numbers."""

from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Any, Final

from .sample import Sample, Wake

SCALES: Final = {
    "odometer_km": 1000,
    "soc": 10,
    "usable_soc": 10,
    "range_km": 100,
    "speed_kmh": 1,
    "power_kw": 1,
    "latitude": 100_000,
    "longitude": 100_000,
    "elevation_m": 1,
    "charger_power_kw": 10,
    "charger_volts": 1,
    "charger_amps": 10,
    "energy_added_kwh": 100,
    "charge_limit": 1,
    "inside_c": 10,
    "outside_c": 10,
}
"""Field -> steps in one unit."""
PLAIN: Final = ("driving", "charger_phases", "fast_charger", "since")
TEXTS: Final = (
    "charging_state",
    "zone",
    "fast_charger_type",
    "fast_charger_brand",
    "software",
    "wheels",
    "awake_because",
)
STATES: Final = (Wake.ONLINE, Wake.ASLEEP, Wake.OFFLINE)
COLUMNS: Final = ("state", *SCALES, *PLAIN, *TEXTS)

_SCALED: Final = attrgetter(*SCALES)
_PLAIN: Final = attrgetter(*PLAIN)
_TEXTS: Final = attrgetter(*TEXTS)

type Row = tuple[int | None, ...]


def rounded(sample: Sample) -> Sample:
    """Return the sample as it will be read back."""
    if not sample.has_data:
        return sample
    return Sample(
        at=sample.at,
        state=sample.state,
        driving=sample.driving,
        charger_phases=sample.charger_phases,
        fast_charger=sample.fast_charger,
        since=sample.since,
        charging_state=sample.charging_state,
        zone=sample.zone,
        fast_charger_type=sample.fast_charger_type,
        fast_charger_brand=sample.fast_charger_brand,
        software=sample.software,
        wheels=sample.wheels,
        awake_because=sample.awake_because,
        **{
            name: None if value is None else round(value * scale) / scale
            for (name, scale), value in zip(SCALES.items(), _SCALED(sample), strict=True)
        },
    )


def row_of(sample: Sample, number_of: Callable[[str], int]) -> Row:
    """Return what the columns of a sample hold."""
    return (
        None if sample.state is None else STATES.index(sample.state),
        *[
            None if value is None else round(value * scale)
            for value, scale in zip(_SCALED(sample), SCALES.values(), strict=True)
        ],
        *_PLAIN(sample),
        *[None if text is None else number_of(text) for text in _TEXTS(sample)],
    )


def sample_of(at: int, row: Sequence[int | None], text_of: Callable[[int], str]) -> Sample:
    """Undo `row_of`."""
    state = row[0]
    driving, phases, fast, since = row[1 + len(SCALES) : 1 + len(SCALES) + len(PLAIN)]
    values: dict[str, Any] = {
        name: None if value is None else value / scale
        for (name, scale), value in zip(SCALES.items(), row[1 : 1 + len(SCALES)], strict=True)
    }
    for name, number in zip(TEXTS, row[1 + len(SCALES) + len(PLAIN) :], strict=True):
        values[name] = None if number is None else text_of(number)
    return Sample(
        at=at,
        state=None if state is None else STATES[state],
        driving=None if driving is None else bool(driving),
        charger_phases=phases,
        fast_charger=None if fast is None else bool(fast),
        since=since,
        **values,
    )
