"""No sequence of samples makes overlapping sessions, a negative duration, or an exception."""

from hypothesis import given, settings, strategies as st

from custom_components.teslafi.journal.battery import health, with_drain_energy, with_drive_energy, worth
from custom_components.teslafi.journal.sample import Sample, Wake
from custom_components.teslafi.journal.sessions import Charge, Drive, Parking

from .telling import in_order, tell

MOMENT = 1_800_000_000


def maybe[T](values: st.SearchStrategy[T]) -> st.SearchStrategy[T | None]:
    return st.none() | values


LOOKS = st.builds(
    Sample,
    at=st.integers(MOMENT, MOMENT + 400_000),
    state=st.just(Wake.ONLINE),
    odometer_km=maybe(st.sampled_from([0.0, 100.0, 100.04, 100.3, 120.0, 150.0, 1e6]) | st.floats(0, 1e6)),
    soc=maybe(st.floats(0, 100)),
    usable_soc=maybe(st.floats(0, 100)),
    range_km=maybe(st.floats(0, 700)),
    driving=maybe(st.booleans()),
    speed_kmh=maybe(st.floats(0, 250)),
    charging_state=maybe(st.sampled_from(["Charging", "Starting", "Complete", "Stopped", "Disconnected", "NoPower"])),
    charger_power_kw=maybe(st.floats(0, 350)),
    charger_volts=maybe(st.sampled_from([0.0, 2.0, 230.0, 400.0])),
    charger_amps=maybe(st.floats(0, 48)),
    charger_phases=maybe(st.sampled_from([0, 1, 2, 3])),
    energy_added_kwh=maybe(st.floats(0, 100)),
    fast_charger=maybe(st.booleans()),
    latitude=maybe(st.floats(-90, 90)),
    longitude=maybe(st.floats(-180, 180)),
    zone=maybe(st.sampled_from(["", "Home"])),
    software=maybe(st.sampled_from(["2026.38", "2026.44"])),
    wheels=maybe(st.sampled_from(["Apollo19", "Pinwheel18"])),
    awake_because=maybe(st.sampled_from(["sentry", "climate"])),
)
STATES = st.builds(
    Sample,
    at=st.integers(MOMENT, MOMENT + 400_000),
    state=st.sampled_from(Wake),
    since=maybe(st.integers(MOMENT, MOMENT + 400_000)),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(LOOKS | STATES, max_size=30), st.booleans())
def test_any_samples_tell_sessions_in_order(samples: list[Sample], sort: bool) -> None:
    told = tell(sorted(samples, key=lambda sample: sample.at) if sort else samples)
    assert in_order(told.sessions)
    known = worth(told.charges)
    health(told.charges)
    for session in told.sessions:
        match session:
            case Drive():
                assert session.distance_km >= 0
                with_drive_energy(session, known)
            case Charge():
                assert session.added_kwh >= 0
                assert session.efficiency is None or 0 < session.efficiency <= 1
            case Parking():
                assert 0 <= session.asleep_s + session.awake_s <= session.seconds
                with_drain_energy(session, known)
