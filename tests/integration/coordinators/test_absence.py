"""Absence is counted from answered lists alone, whatever clocks say."""

from hypothesis import given, strategies as st

from custom_components.teslafi.coordinators.absence import GONE_AFTER, LONGEST_STEP, Absence, absences

CAR = "5YJ3E1EA7KF000001"
OTHER = "5YJ3E1EA7KF000002"
seconds = st.floats(allow_nan=False) | st.floats(-1e9, 1e9)


@given(st.lists(st.tuples(st.sampled_from([(), (OTHER,), (CAR,), (CAR, OTHER)]), seconds), max_size=600))
def test_nobody_is_gone_by_few_lists_or_wrong_clocks(lists: list[tuple[tuple[str, ...], float]]) -> None:
    """Each list proves twenty minutes at most, an empty one nothing; being listed once begins anew."""
    present: dict[str, Absence] = {}
    most = proofs = 0
    for listed, elapsed in lists:
        present = absences(present, {CAR}, set(listed), elapsed)
        missing = CAR not in listed
        most = most + 1 if missing else 0
        proofs = (proofs + bool(listed)) if missing else 0
        assert (CAR in present) is missing
        if missing:
            assert 0 <= present[CAR].unlisted <= (most - 1) * LONGEST_STEP
            assert 0 <= present[CAR].proven <= proofs * LONGEST_STEP
            assert not present[CAR].gone or proofs * LONGEST_STEP >= GONE_AFTER


def test_seven_days_of_lists_with_others_are_gone() -> None:
    """An empty list, however long, is not."""
    present: dict[str, Absence] = {}
    empty: dict[str, Absence] = {}
    for _ in range(7 * 144 + 1):
        assert not present.get(CAR, Absence()).gone
        present = absences(present, {CAR, OTHER}, {OTHER}, 600)
        empty = absences(empty, {CAR}, set(), 600)
    assert present[CAR].gone
    assert empty[CAR].free
    assert not empty[CAR].gone
