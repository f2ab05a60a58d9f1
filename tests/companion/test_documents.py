"""What the operator reads is true: every setting and every command has its line."""

from dataclasses import fields
from pathlib import Path
import re

from teslafi_companion.adapters.registry import billing_providers
from teslafi_companion.cli import COMMANDS
from teslafi_companion.settings import Settings

TEXT = (Path(__file__).parents[2] / "docs" / "companion.md").read_text("utf-8")


def named_in(section: str) -> list[str]:
    """Return what the first column of a section's table names."""
    rows = TEXT.partition(f"## {section}\n")[2].partition("\n## ")[0]
    cells = re.findall(r"^\| (`[^|]+) \|", rows, flags=re.MULTILINE)
    return [name for cell in cells for name in re.findall(r"`([a-z_0-9-]+)[^`]*`", cell)]


def test_every_setting_is_in_the_table_and_no_other() -> None:
    own = [
        f"{name}_{item.name}" for name, provider in billing_providers().items() for item in fields(provider.settings)
    ]
    common = [item.name for item in fields(Settings) if item.name not in {"policy", "keeper"}]
    assert sorted(named_in("Settings")) == sorted(common + own)


def test_every_command_is_in_the_table_and_no_other() -> None:
    assert sorted(named_in("Commands")) == sorted(COMMANDS)
