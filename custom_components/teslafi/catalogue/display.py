"""How a car's own display shows numbers.

What Tesla writes -> what Home Assistant shows. A text that is not listed shows as unknown.
"""

from typing import Final

RANGE_DISPLAYS: Final = {"Rated": "rated", "Ideal": "ideal"}
TEMPERATURE_UNITS: Final = {"F": "fahrenheit", "C": "celsius"}
PRESSURE_UNITS: Final = {"Psi": "psi", "Bar": "bar"}
