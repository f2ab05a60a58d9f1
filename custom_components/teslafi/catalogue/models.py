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

CAR_TYPES: Final = {car_type: model.lower().replace(" ", "_") for car_type, model in MODELS.items()}


def model_of(snapshot: Snapshot, vin: str) -> str | None:
    """Return the model's name from the car's configuration, or from its VIN."""
    return MODELS.get(snapshot.vehicle_config.car_type or "") or _VIN_MODELS.get(vin[3:4])


def version_of(build: str | None) -> str | None:
    """Return the version of `version, blank, build`, as cars and sites name their software."""
    return build.split(maxsplit=1)[0] if build else None
