"""Reads the settings of the service together with those of the providers that it has."""

from collections.abc import Mapping
from pathlib import Path

from .adapters.registry import billing_providers
from .settings import Settings, read_settings


def load_settings(environ: Mapping[str, str], file: Path | None = None) -> Settings:
    """Read settings from a TOML file and the environment; raises UnsafeSetting."""
    keepers = {name: provider.settings for name, provider in billing_providers().items()}
    return read_settings(environ, file, keepers)
