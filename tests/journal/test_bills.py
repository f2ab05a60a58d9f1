"""Tesla's bills and the journal's charges: each bill for one charge, by time and energy, or said to fit none."""

from dataclasses import replace

from hypothesis import given, strategies as st
import pytest

from custom_components.teslafi.journal.bills import AROUND, Bill, billed
from custom_components.teslafi.journal.sessions import Charge

MORNING = 1_800_000_000


def charge(start: int = 0, minutes: int = 30, kwh: float = 30.0, **more: object) -> Charge:
    begun, ended = MORNING + start, MORNING + start + minutes * 60
    made = Charge(start=begun, end=ended, earliest=begun - 60, latest=ended + 60, added_kwh=kwh, dc=True)
    return replace(made, **more)  # type: ignore[arg-type]


def bill(start: int = 0, minutes: int = 30, kwh: float | None = 31.0, cost: float | None = 12.0, **more: str) -> Bill:
    told = {"currency": "EUR", "site": "Truckee, CA"} | more
    begun = MORNING + start
    return Bill(start=begun, end=begun + minutes * 60, kwh=kwh, cost=cost, currency=told["currency"], site=told["site"])


@pytest.mark.parametrize(
    ("charges", "bills", "costs"),
    [
        ([charge()], [bill()], [12.0]),
        ([charge()], [bill(start=-300, minutes=45)], [12.0]),
        ([charge(), charge(start=7200)], [bill(start=7000)], [12.0]),
        ([charge(kwh=1.0)], [bill(kwh=31.0)], []),
        ([charge(kwh=60.0)], [bill(kwh=31.0)], []),
        ([charge(kwh=2.0)], [bill(kwh=4.5)], [12.0]),
        ([charge()], [bill(kwh=None)], [12.0]),
        ([charge()], [bill(cost=None)], []),
        ([charge()], [bill(cost=0.0)], [0.0]),
        ([charge()], [bill(start=86_400)], []),
        ([], [bill()], []),
        # The cable was out for a while between two looks: one charge, two bills
        ([charge(minutes=60)], [bill(minutes=20, kwh=10.0), bill(start=1500, kwh=20.0, cost=8.5)], [20.5]),
        ([charge(minutes=60)], [bill(minutes=20, kwh=10.0), bill(start=1500, kwh=20.0, currency="CHF")], []),
        # Nobody saw it: what is known are the looks before and after
        (
            [charge(start=40_000, reconstructed=True, earliest=MORNING - 3600, latest=MORNING + 43_200, dc=False)],
            [bill()],
            [12.0],
        ),
    ],
)
def test_bills_and_charges(charges: list[Charge], bills: list[Bill], costs: list[float]) -> None:
    found, rest = billed(charges, bills)
    assert [one.cost for one in found] == costs
    assert len(rest) == (0 if costs else len(bills))


TIMES = st.integers(0, 200_000)


@given(
    st.lists(st.tuples(TIMES, st.integers(5, 90), st.floats(1, 70)), max_size=6, unique_by=lambda one: one[0]),
    st.lists(st.tuples(TIMES, st.integers(5, 90), st.none() | st.floats(1, 70), st.none() | st.floats(0, 60))),
)
def test_no_bill_is_counted_twice_or_lost(
    sessions: list[tuple[int, int, float]], paid: list[tuple[int, int, float | None, float | None]]
) -> None:
    charges = [charge(*one) for one in sorted(sessions)]
    bills = [bill(*one) for one in paid]
    found, rest = billed(charges, bills)
    taken = [one for one in bills if one not in rest]
    assert sum(one.cost for one in found) == pytest.approx(sum(one.cost or 0.0 for one in taken), abs=0.01)
    assert len({one.charge.start for one in found}) == len(found)
    for one in found:
        near = [each for each in taken if each.start <= one.charge.end + 2 * AROUND]
        assert any(each.end >= one.charge.start - 2 * AROUND for each in near)


def test_where_nothing_overlaps_each_bill_finds_its_charge() -> None:
    """A month of charges in any order, each billed a little longer and more than it was seen."""
    charges = [charge(start=day * 40_000, kwh=20.0 + day % 30) for day in range(60)]
    bills = [
        bill(start=day * 40_000 - 200, minutes=36, kwh=21.0 + day % 30, cost=float(day)) for day in reversed(range(60))
    ]
    found, rest = billed(charges, bills)
    assert [one.cost for one in found] == [float(day) for day in range(60)]
    assert rest == []
