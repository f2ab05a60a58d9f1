"""Once a fork server has imported this, its companions hash passwords as cheaply as argon2id can."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

from teslafi_companion import cli
from teslafi_companion.configuration import load_settings
from teslafi_companion.settings import Policy, Settings

CHEAP: Final = Policy(argon2_memory_kib=64, argon2_passes=1)


def _load(environ: Mapping[str, str], file: Path | None = None) -> Settings:
    return replace(load_settings(environ, file), policy=CHEAP)


cli.load_settings = _load  # type: ignore[attr-defined] # a setting for it would let a real one be weak
