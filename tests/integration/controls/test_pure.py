"""Properties of what is pure: permits, days, seals, groups, codes."""

from base64 import b64encode
from datetime import UTC, datetime, timedelta

from hypothesis import given, strategies as st
import pytest

from custom_components.teslafi.controls.code import Confirmations, hashed, matches
from custom_components.teslafi.controls.groups import DEFAULT_GROUPS, ControlGroup, missing_groups, wanted_scopes
from custom_components.teslafi.controls.permit import Moment, Permit
from custom_components.teslafi.controls.twins import enabled_by_default
from custom_components.teslafi.secret import Secret
from custom_components.teslafi.storage.vault import KeyRing, SealBroken, needs_share
from custom_components.teslafi.tesla.decode import assume
from custom_components.teslafi.tesla.schedules import (
    Kind,
    Plan,
    command_days,
    days_of_rrule,
    minutes,
    occurrences,
    rrule,
)
from custom_components.teslafi.tesla.snapshot import Snapshot

SHARES = st.binary(min_size=32, max_size=32).map(lambda raw: Secret(b64encode(raw).decode()))
PLACE = ("entry", "controls")


def permit(issued_at: float = 1000.0, lifetime: float = 86400.0) -> Permit:
    account, groups = "account", frozenset(ControlGroup)
    return Permit(account, groups, frozenset(), issued_at, issued_at + lifetime, issued_at, Moment(issued_at, 50.0))


@given(st.floats(-1e6, 1e6), st.floats(0, 1e6))
def test_no_wall_clock_lengthens_a_permit(wall: float, passed: float) -> None:
    held = permit()
    now = Moment(1000.0 + wall, 50.0 + passed)
    if passed >= held.lifetime or wall >= held.lifetime or wall < -300:
        assert not held.holds(now)
    else:
        assert held.holds(now)


@given(st.text(), SHARES, SHARES)
def test_what_is_sealed_with_a_share_opens_with_that_alone(text: str, share: Secret, other: Secret) -> None:
    ring = KeyRing.new()
    sealed = ring.seal(text, PLACE, share)
    assert needs_share(sealed)
    assert ring.open(sealed, PLACE, share) == text
    wrong = [None, *([other] if other != share else [])]
    for attempt in wrong:
        with pytest.raises(SealBroken):
            ring.open(sealed, PLACE, attempt)
    with pytest.raises(SealBroken):
        KeyRing.new().open(sealed, PLACE, share)
    with pytest.raises(SealBroken):
        ring.open(ring.seal(text, PLACE), PLACE, share)


@given(st.integers(1, 127))
def test_days_go_through_rules_and_back(days: int) -> None:
    monday = datetime(2026, 11, 23, tzinfo=UTC)
    assert days_of_rrule(rrule(days), monday) == days
    names = {"SUN": 1, "MON": 2, "TUES": 4, "WED": 8, "THURS": 16, "FRI": 32, "SAT": 64, "ALL": 127}
    assert command_days(days, signed=True) == days
    assert sum(names[name] for name in str(command_days(days, signed=False)).split(",")) == days


@pytest.mark.parametrize(
    "rule",
    ["FREQ=MONTHLY", "FREQ=WEEKLY;INTERVAL=2", "FREQ=DAILY;COUNT=3", "FREQ=WEEKLY;BYDAY=2MO", "FREQ=WEEKLY;UNTIL=2027"],
)
def test_rules_that_no_car_keeps(rule: str) -> None:
    assert days_of_rrule(rule, datetime(2026, 11, 23, tzinfo=UTC)) is None


@given(st.integers(0, 1439), st.none() | st.integers(0, 1439), st.integers(0, 127), st.booleans())
def test_a_plan_comes_due_on_its_days_and_not_twice(begin: int, end: int | None, days: int, once: bool) -> None:
    plan = Plan(Kind.CHARGE, 1, "", begin, end, days, once, None, None)
    start = datetime(2026, 11, 23, tzinfo=UTC)
    found = list(occurrences(plan, start, start + timedelta(days=14), UTC))
    assert len({starts for starts, _ in found}) == len(found)
    assert all(ends - starts == timedelta(minutes=minutes(plan)) for starts, ends in found)
    assert all((days or 127) >> (starts.isoweekday() % 7) & 1 for starts, _ in found)
    assert len(found) <= (1 if once else 15)
    assert found


@given(st.sets(st.sampled_from(ControlGroup), min_size=1))
def test_what_is_asked_for_suffices_and_is_no_more(groups: set[ControlGroup]) -> None:
    scopes = wanted_scopes(groups)
    assert missing_groups(groups, scopes) == []
    for left_out in scopes:
        assert missing_groups(groups, set(scopes) - {left_out}) or left_out == "vehicle_charging_cmds"
    if groups <= {ControlGroup.CHARGING, ControlGroup.SCHEDULES}:
        assert scopes == ("vehicle_charging_cmds",)


def test_nothing_sensitive_is_on_at_first() -> None:
    assert {ControlGroup.OPENINGS, ControlGroup.SECURITY, ControlGroup.ENERGY}.isdisjoint(DEFAULT_GROUPS)


def test_codes() -> None:
    kept = hashed("tiger-7")
    assert matches("tiger-7", kept)
    assert not matches("tiger-8", kept)
    assert hashed("tiger-7") != kept
    known = Confirmations()
    known.confirm("pia", 0.0)
    assert known.confirmed("pia", 59.0)
    assert not known.confirmed("pia", 60.0)
    assert not known.confirmed("erik", 1.0)


def test_values_are_assumed_at_their_paths() -> None:
    changed = assume(Snapshot(), {"charge_state.charge_limit_soc": 66, "vehicle_state.media_info.audio_volume": 2.0})
    assert changed.charge_state.charge_limit_soc == 66
    assert changed.vehicle_state.media_info.audio_volume == 2.0
    assert Snapshot().charge_state.charge_limit_soc is None


def test_controls_change_no_default_but_that_of_their_twins() -> None:
    for groups in (frozenset[ControlGroup](), frozenset(ControlGroup)):
        assert enabled_by_default("vehicle_state_odometer", groups) is None
        assert enabled_by_default("charge_schedules", groups) is True
    assert enabled_by_default("vehicle_state_locked", frozenset({ControlGroup.CHARGING})) is True
    assert enabled_by_default("vehicle_state_locked", frozenset({ControlGroup.OPENINGS})) is False
