"""The month that the demo's Energy dashboard begins with."""

from datetime import datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from .energy import CARS, DAYS, HOURS, SITE, month_before

ZONE = ZoneInfo("America/Los_Angeles")


@pytest.mark.parametrize("day", [26, 10])
def test_the_month_ends_with_yesterday_and_counts_no_energy_twice(day: int) -> None:
    """Each hour once, also where the clocks change; sums never fall, and no hour both takes and gives."""
    now = datetime(2026, 11, day, 14, 30, tzinfo=ZONE)
    commands = {command["metadata"]["statistic_id"]: command["stats"] for command in month_before(now)}
    assert len(commands) == 5 + len(CARS)
    for rows in commands.values():
        assert len({datetime.fromisoformat(row["start"]).timestamp() for row in rows}) == DAYS * HOURS
        assert datetime.fromisoformat(rows[-1]["start"]).timestamp() < now.replace(hour=0, minute=0).timestamp()
        assert all(before["sum"] <= after["sum"] for before, after in pairwise(rows))
        assert rows[-1]["sum"] > 0
    taken, given = (
        [after["sum"] - before["sum"] for before, after in pairwise(commands[f"{SITE}_grid_{way}_today"])]
        for way in ("imported", "exported")
    )
    assert not any(hour > 1 and other > 1 for hour, other in zip(taken, given, strict=True))
