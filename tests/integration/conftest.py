"""A real Home Assistant for each test: its own folder on disk, real files, sockets on loopback only."""

from pathlib import Path

import pytest

import custom_components.teslafi  # noqa: F401 - before PHACC's own package of custom components shadows ours


@pytest.fixture(autouse=True)
def _custom_components(enable_custom_integrations: None) -> None:
    """Let Home Assistant find the component of this working tree."""


@pytest.fixture
def hass_config_dir(tmp_path: Path) -> str:
    """Give each Home Assistant a configuration folder of its own."""
    return str(tmp_path)


@pytest.fixture
def hass_storage() -> dict[str, object]:
    """Write .storage for real: what is kept at rest is part of what is tested."""
    return {}


@pytest.fixture
def storage(tmp_path: Path) -> Path:
    """Return the folder of Home Assistant's stores."""
    return tmp_path / ".storage"
