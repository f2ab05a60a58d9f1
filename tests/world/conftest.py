"""One world: a real Home Assistant and a simulated Tesla in one process, on one clock that the test moves."""

from collections.abc import Iterator

from freezegun.api import FrozenDateTimeFactory
from homeassistant.core import HomeAssistant
import pytest

from tests.integration.conftest import (  # noqa: F401 - fixtures
    _custom_components,
    _teslas_addresses,
    hass_config_dir,
    hass_storage,
    owner,
    storage,
    tesla,
)
from tests.integration.owner import Owner

from .world import World


@pytest.fixture
def world(hass: HomeAssistant, owner: Owner, freezer: FrozenDateTimeFactory) -> Iterator[World]:  # noqa: F811 - fixture
    """Stand in the middle of a month, with nobody signed in yet."""
    freezer.move_to("2026-11-16 12:00:00")
    with World(hass, owner, freezer) as made:
        yield made
