"""Files as TeslaFi.com exports them, and as spreadsheets, converters and other accounts have changed them."""

from collections.abc import Iterable, Mapping
import csv
from io import StringIO
from pathlib import Path
from typing import Final

VIN: Final = "5YJ3E1EA7KF000001"
OTHER_VIN: Final = "7SAYGDEE8NF000002"
HEADER: Final = (Path(__file__).parent / "teslafi_header.csv").read_text().strip().split(",")
"""The 145 columns of every file from 2016 to 2023."""
PARKED: Final = {
    "vin": VIN,
    "state": "online",
    "display_name": "Roadrunner",
    "odometer": "1000.0",
    "battery_level": "80",
    "usable_battery_level": "79",
    "battery_range": "250.0",
    "charging_state": "Disconnected",
    "charge_energy_added": "0.0",
    "inside_temp": "20.5",
    "outside_temp": "10.0",
    "latitude": "52.37",
    "longitude": "4.89",
    "car_version": "2022.8.10.16 7477b4ff8e78",
    "wheel_type": "Pinwheel18",
}


def file_of(
    rows: Iterable[Mapping[str, str]],
    *,
    delimiter: str = ",",
    header: Iterable[str] = HEADER,
    encoding: str = "utf-8-sig",
    quoting: int = csv.QUOTE_MINIMAL,
) -> bytes:
    """Return the bytes of a file with these rows; what a row does not say is empty."""
    text = StringIO()
    names = list(header)
    writer = csv.writer(text, delimiter=delimiter, lineterminator="\n", quoting=quoting)  # type: ignore[arg-type]
    writer.writerow(names)
    writer.writerows([row.get(name, "") for name in names] for row in rows)
    return text.getvalue().encode(encoding)


def row(date: str, /, **changed: str) -> dict[str, str]:
    """Return a row of a parked car at a local time, but for what is changed."""
    return {"Date": date, **PARKED, **changed}


def asleep(date: str) -> dict[str, str]:
    """Return a row of a car that sleeps."""
    return {"Date": date, "state": "asleep"}
