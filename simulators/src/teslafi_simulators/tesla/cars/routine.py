"""A car's everyday life: to work and back, a charge at home, and sleep in between; the same for the same seed."""

from random import Random
from typing import Final

from .car import Car
from .supply import Supply

STAYS: Final = {True: (6 * 3600.0, 14 * 3600.0), False: (3 * 3600.0, 9 * 3600.0)}
"""Seconds between arrival and departure, at home and at work: from, to."""
MILES: Final = (8.0, 28.0)
SPEEDS: Final = (24.0, 58.0)
"""mph."""
FIRST: Final = 3 * 3600.0
"""Seconds within which a car that stands sets off for the first time."""


class Routine:
    """Where the owner goes, and when. A car looks at it in each step of its life."""

    def __init__(self, random: Random, car: Car) -> None:
        """Begin as the car stands, on its way to work if it drives, else at home, with the climate off."""
        car.data["climate_state"] |= {"is_climate_on": False, "climate_keeper_mode": "off", "is_preconditioning": False}
        self._random = random
        self._miles = random.uniform(*MILES)
        self._heading = random.uniform(0, 360)
        self._on_its_way = car.drive is not None
        self.at_home = True
        self.due = car.now + random.uniform(600.0, FIRST)

    def __call__(self, car: Car, _before: float) -> None:
        """Set off when the time has come; on arrival at home, plug in."""
        if car.drive is not None:
            return
        if self._on_its_way:
            self._arrive(car)
        elif car.now >= self.due:
            self._set_off(car)

    def _set_off(self, car: Car) -> None:
        heading, to = (self._heading, "Office") if self.at_home else (self._heading + 180, "Home")
        speed = self._random.uniform(*SPEEDS)
        car.start_drive(miles=self._miles, speed=speed, heading=heading % 360, to=to)
        self._on_its_way = True

    def _arrive(self, car: Car) -> None:
        self._on_its_way = False
        self.at_home = not self.at_home
        self.due = car.now + self._random.uniform(*STAYS[self.at_home])
        if self.at_home:
            car.plug_in(Supply.SINGLE_PHASE)
