"""Runs Home Assistant in front of the simulator: `python -m tests.live.launch [LIVED] SIMULATOR_URL HASS_ARGUMENTS…`.

LIVED: `--lived JOURNAL VIN MILES DAYS` writes the days of a car's life before now first, unless there is the journal.
"""

from datetime import UTC, datetime
from pathlib import Path
import sys

from homeassistant.__main__ import main

from .parent import end_with_parent
from .simulated_tesla import use_simulator


def lived(journal: Path, vin: str, miles: str, days: str) -> None:
    """Write the days, unless there is the journal. Here all of Home Assistant is imported, which it takes."""
    if not journal.exists():
        from .year import write_year  # noqa: PLC0415 - only for this

        write_year(journal, vin, float(miles), datetime.now(UTC), int(days))


if __name__ == "__main__":
    end_with_parent()
    words = sys.argv[1:]
    if words[0] == "--lived":
        lived(Path(words[1]), *words[2:5])
        words = words[5:]
    use_simulator(words[0])
    sys.argv = ["hass", *words[1:]]
    sys.exit(main())
