"""The reader of imports finds every way to write one."""

from pathlib import Path
from typing import Final

import pytest

from .arrows import circles, differences, module_arrows, room_arrows

FILES: Final = {
    "__init__.py": "from .a import x",
    "a.py": "",
    "b/__init__.py": "",
    "b/c.py": "",
    "b/d.py": "",
}


def house(root: Path, **changed: str) -> Path:
    """Write a package; `b__c` names the module b.c."""
    package = root / "house"
    for name, text in FILES.items() | {(f"{key.replace('__', '/')}.py", text) for key, text in changed.items()}:
        path = package / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if text or not path.exists():
            path.write_text(text)
    return package


@pytest.mark.parametrize(
    ("line", "target"),
    [
        ("from .d import x", "b.d"),
        ("from . import d", "b.d"),
        ("from . import x", "b"),
        ("from .. import a", "a"),
        ("from ..a import x", "a"),
        ("from .. import x", ""),
        ("import house.a", "a"),
        ("import house.b.d as e", "b.d"),
        ("from house import a", "a"),
        ("from house.b import d", "b.d"),
        ("from custom.house.b.d import x", "b.d"),
        ("if TYPE_CHECKING:\n    from .d import x", "b.d"),
        ("def f():\n    from .d import x", "b.d"),
        ("try:\n    import house.b.d\nexcept ImportError:\n    pass", "b.d"),
    ],
)
def test_an_import_is_an_arrow(tmp_path: Path, line: str, target: str) -> None:
    assert module_arrows(house(tmp_path, b__c=line))["b.c"] == {target}


@pytest.mark.parametrize("line", ["import os", "from aiohttp import web", "import householder", "from .c import x"])
def test_what_is_outside_or_oneself_is_none(tmp_path: Path, line: str) -> None:
    assert module_arrows(house(tmp_path, b__c=line))["b.c"] == set()


def test_circles_are_found_however_long(tmp_path: Path) -> None:
    circle = house(tmp_path, a="from .b import c", b__c="from . import d", b__d="from ..a import x")
    arrows = module_arrows(circle)
    assert circles(arrows) == [["a", "b.c", "b.d"]]
    assert circles(room_arrows(arrows)) == [["a", "b"]]
    assert circles(module_arrows(house(tmp_path, b__d="import os"))) == []


def test_a_new_arrow_and_an_unused_one_are_both_told() -> None:
    table = {"a": frozenset({"b"})}
    assert differences({"a": {"b"}}, table) == []
    assert differences({"a": {"c"}}, table) == ["a imports c", "a no longer imports b: take it out of the table"]
