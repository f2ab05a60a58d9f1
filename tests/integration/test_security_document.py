"""docs/security.md: every claim names a test, and every test that it names exists."""

import ast
from pathlib import Path
import re

ROOT = Path(__file__).parents[2]
DOCUMENT = (ROOT / "docs" / "security.md").read_text()
NAMED = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", DOCUMENT)


def names_in(path: Path) -> set[str]:
    """Return the names of the tests in a file."""
    tree = ast.parse(path.read_text())
    found = (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return {node.name for node in found if node.name.startswith("test_")}


def test_every_named_test_exists() -> None:
    assert len(NAMED) > 30
    for file, name in NAMED:
        path = ROOT / file
        assert path.is_file(), file
        assert not name or name in names_in(path), f"{file}::{name}"


def test_every_claim_names_a_test() -> None:
    claims = re.findall(r"^\| claim .*\n\|[ -|]+\n((?:\|.*\n)+)", DOCUMENT, re.MULTILINE)
    assert len(claims) == 2
    for table in claims:
        for row in table.splitlines():
            assert "`tests/" in row, row


def test_commanders_are_made_in_one_place() -> None:
    """Only the gate makes a commander, and only compat.py knows the library's signed car."""
    component = ROOT / "custom_components" / "teslafi"
    sources = {path.relative_to(component).as_posix(): path.read_text() for path in component.rglob("*.py")}
    assert [name for name, text in sources.items() if "= Commander(" in text] == ["controls/gate.py"]
    assert [name for name, text in sources.items() if "VehicleSigned" in text] == ["tesla/compat.py"]
