"""Who may import whom in the integration: a new arrow, an unused one or a circle is red until the table says so."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

import custom_components.teslafi

from .arrows import circles, differences, module_arrows, room_arrows

ROOT: Final = Path(custom_components.teslafi.__file__).parent
PLATFORMS: Final = tuple(platform.value for platform in custom_components.teslafi.PLATFORMS)

ROOMS: Final = {
    "": (
        "const control_entity controls coordinators dashboard feed journal_entities link issues picture public_key"
        " response_actions runtime services storage tesla"
    ),
    "application_credentials": "flow public_key",
    "backup": "coordinators",
    "car_actions": "const runtime services",
    "catalogue": "tesla",
    "compat": "",
    "config_flow": "const flow secret storage",
    "const": "",
    "control_entity": "compat controls coordinators entity runtime",
    "controls": "const coordinators finite link issues secret storage subject tesla",
    "coordinators": "const journal polling issues record storage tesla",
    "dashboard": "const",
    "device_trigger": "const",
    "detail_entity": "coordinators entity",
    "disabled_entities": "const",
    "diagnostics": "const controls coordinators runtime tesla",
    "entity": "catalogue const coordinators disabled_entities link runtime tesla",
    "feed": "secret tesla",
    "finite": "const",
    "flow": (
        "compat const controls coordinators feed history issues journal link polling public_key runtime"
        " secret storage tesla written"
    ),
    "link": "const issues moments secret storage",
    "history": "journal",
    "journal": "record",
    "journal_entities": "car_actions const coordinators entity journal owner_files runtime subject written",
    "llm": "const coordinators journal journal_entities runtime",
    "logbook": "const",
    "meters": "moments",
    "moments": "",
    "owner_files": "const",
    "picture": "const",
    "polling": "record tesla",
    "public_key": "const tesla",
    "issues": "const tesla",
    "record": "",
    "repairs": "const coordinators flow issues journal",
    "response_actions": "car_actions const coordinators journal owner_files runtime tesla",
    "runtime": "compat const controls coordinators link",
    "secret": "",
    "services": "const runtime tesla",
    "storage": "const moments polling issues secret tesla",
    "subject": "const",
    "system_health": "const coordinators runtime tesla",
    "tesla": "record secret",
    "written": "const",
}
"""Room -> rooms it may import; "" is the component's own `__init__`."""

PLATFORM_ROOMS: Final = (
    "catalogue compat const control_entity controls coordinators detail_entity entity finite journal_entities link"
    " meters moments picture polling runtime tesla"
)
"""What any platform may import. No platform imports another."""

PURE: Final = {
    "catalogue": ("aiohttp", "homeassistant"),
    "history": ("aiohttp", "homeassistant"),
    "journal": ("aiohttp", "homeassistant"),
    "polling": ("aiohttp", "homeassistant"),
    "tesla": ("homeassistant",),
}
"""Room -> packages that it must not know."""


def test_only_the_arrows_of_the_table() -> None:
    found = room_arrows(module_arrows(ROOT))
    platforms: set[str] = set().union(*(found.pop(platform) for platform in PLATFORMS))
    allowed = {room: frozenset(targets.split()) for room, targets in ROOMS.items()}
    assert differences(found, allowed) == []
    assert differences({"a platform": platforms}, {"a platform": frozenset(PLATFORM_ROOMS.split())}) == []


def test_no_circle_between_modules_or_rooms() -> None:
    arrows = module_arrows(ROOT)
    assert circles(arrows) == []
    assert circles(room_arrows(arrows)) == []


@pytest.mark.parametrize(("room", "foreign"), [(room, name) for room, names in PURE.items() for name in names])
def test_pure_rooms_stay_pure(room: str, foreign: str) -> None:
    found = [f"{path.relative_to(ROOT)}: {name}" for path in (ROOT / room).rglob("*.py") for name in _imported(path)]
    assert [name for name in found if name.endswith(f": {foreign}")] == []


def test_the_integration_stands_alone() -> None:
    names = {name for path in ROOT.rglob("*.py") for name in _imported(path)}
    assert not names & {"custom_components", "teslafi_companion", "teslafi_simulators", "tests"}


def _imported(path: Path) -> Iterator[str]:
    """Yield the top-level packages that a file imports by absolute name."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield (node.module or "").partition(".")[0]
