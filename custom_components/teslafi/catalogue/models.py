"""Which model and which software a car is."""

from collections.abc import Mapping
from typing import Final

from ..tesla.snapshot import Snapshot

MODELS: Final[Mapping[str, str]] = {
    "models": "Model S",
    "models2": "Model S",
    "lychee": "Model S",
    "model3": "Model 3",
    "modelx": "Model X",
    "tamarind": "Model X",
    "modely": "Model Y",
    "cybertruck": "Cybertruck",
}
"""Model by `vehicle_config.car_type`; the 2021 Model S and Model X go by their project names."""

_VIN_MODELS: Final[Mapping[str, str]] = {
    "S": "Model S",
    "3": "Model 3",
    "X": "Model X",
    "Y": "Model Y",
    "C": "Cybertruck",
    "T": "Semi",
    "R": "Roadster",
}
"""Model by the fourth place of the VIN, for cars whose configuration was never read."""

_LONG_RANGE_AWD: Final = "Long Range AWD"
_TRIMS: Final[Mapping[tuple[str, str], str]] = {
    ("Model 3", "50"): "Standard Range",
    ("Model 3", "62"): "Mid Range",
    ("Model 3", "74"): "Long Range RWD",
    ("Model 3", "74D"): _LONG_RANGE_AWD,
    ("Model 3", "P74D"): "Performance",
    ("Model Y", "50"): "Standard Range",
    ("Model Y", "74"): "Long Range RWD",
    ("Model Y", "74D"): _LONG_RANGE_AWD,
    ("Model Y", "P74D"): "Performance",
}
"""Model and `vehicle_config.trim_badging` -> the words by which it is sold; badges of others are on the car."""
_TRIMS_SINCE_2021: Final[Mapping[str, str]] = {"100D": "Long Range", "P100D": "Plaid"}
"""Trims of the Model S and Model X that go by their project names."""
_SINCE_2021: Final = frozenset({"lychee", "tamarind"})

CAR_TYPES: Final = {car_type: model.lower().replace(" ", "_") for car_type, model in MODELS.items()}


def model_of(snapshot: Snapshot, vin: str) -> str | None:
    """Return the model's name from the car's configuration, or from its VIN."""
    return MODELS.get(snapshot.vehicle_config.car_type or "") or _VIN_MODELS.get(vin[3:4])


def trim_of(snapshot: Snapshot) -> str | None:
    """Return a car's trim in words, or as its badge says it."""
    config = snapshot.vehicle_config
    badge = (config.trim_badging or "").upper()
    if config.car_type in _SINCE_2021 and badge in _TRIMS_SINCE_2021:
        return _TRIMS_SINCE_2021[badge]
    return _TRIMS.get((MODELS.get(config.car_type or "", ""), badge), badge) or None


def version_of(build: str | None) -> str | None:
    """Return the version of `version, blank, build`, as cars and sites name their software."""
    return build.split(maxsplit=1)[0] if build else None
