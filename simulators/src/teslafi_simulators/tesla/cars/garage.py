"""All cars of the simulator, found by VIN or number, with those that an account may see."""

from collections.abc import Iterator
from functools import cache
import json
from pathlib import Path
from typing import Any, Final

from ..addresses import Region
from ..clock import Clock
from .car import Car
from .schedules import run_due

SAMPLES: Final = Path(__file__).parents[1] / "samples"

MODERN: Final = "ha_core_tesla_fleet_vehicle_data.json"
RIGHT_HAND: Final = "teslatte_vehicle_data_gak_2023_11_11.json"
OLD: Final = "teslatte_vehicle_data_HTLC_2023_10_19.json"

NOT_FLEET_API: Final = {
    "charge_state": ("energy_remaining", "lifetime_energy_used", "module_temp_max", "module_temp_min"),
    "drive_state": (),
    "vehicle_state": ("vehicle_state_sun_roof_percent_open",),
}
"""Keys that a fixture's authors added by hand and Tesla does not send (samples/ORIGIN.md)."""


@cache
def _recorded(name: str) -> str:
    return (SAMPLES / name).read_text()


def sample(name: str) -> dict[str, Any]:
    """Return a recorded `vehicle_data` answer."""
    data: dict[str, Any] = json.loads(_recorded(name))
    answer: dict[str, Any] = data.get("response", data)
    for block, keys in NOT_FLEET_API.items():
        for key in keys:
            answer[block].pop(key, None)
    if answer["climate_state"].get("climate_keeper_mode") == "keep":
        answer["climate_state"]["climate_keeper_mode"] = "on"
    return answer


class Garage:
    """Every car."""

    def __init__(self, clock: Clock) -> None:
        """Begin empty."""
        self._clock = clock
        self._cars: dict[str, Car] = {}
        self._by_number: dict[str, Car] = {}

    def __iter__(self) -> Iterator[Car]:
        """Go through the cars."""
        return iter(list(self._cars.values()))

    def add(
        self,
        vin: str,
        owner: str,
        region: Region,
        *,
        model: str = MODERN,
        name: str | None = None,
        **changed: Any,  # noqa: ANN401 - fields of Car
    ) -> Car:
        """Add a car of the account `owner`, made after a recorded one."""
        number = 1_490_000_000_000_000 + len(self._by_number) + 1
        car = Car(vin=vin, number=number, region=region, owner=owner, data=sample(model), now=self._clock(), **changed)
        car.behaviors.append(run_due)
        if name is not None:
            car.data["vehicle_state"]["vehicle_name"] = name
        self._cars[vin] = self._by_number[str(number)] = car
        return car

    def remove(self, vin: str) -> None:
        """Sell the car: nobody's account lists it any more. Raise KeyError when there is none."""
        del self._by_number[str(self._cars.pop(vin).number)]

    def find(self, name: str) -> Car | None:
        """Find by VIN or number, lived up to now."""
        car = self._cars.get(name) or self._by_number.get(name)
        if car is not None:
            car.advance(self._clock())
        return car

    def of(self, account: str) -> list[Car]:
        """Return the cars that this account owns or drives, lived up to now."""
        cars = [car for car in self._cars.values() if account == car.owner or account in car.drivers]
        for car in cars:
            car.advance(self._clock())
        return cars
