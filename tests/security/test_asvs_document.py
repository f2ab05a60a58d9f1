"""docs/asvs.md: every requirement is judged, every judgment is one of three, every named test exists."""

import ast
from collections import Counter
from functools import cache
from pathlib import Path
import re
from typing import Final

ROOT: Final = Path(__file__).parents[2]
DOCUMENT: Final = (ROOT / "docs" / "asvs.md").read_text()
ROWS: Final = [
    [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
    for line in DOCUMENT.partition("## Keys")[0].splitlines()
    if line.startswith("| ") and not line.startswith(("| ---", "| attack", "| requirement", "| section"))
]
STATUSES: Final = {"met", "not met", "not applicable"}
SECTIONS: Final = """
1.1:2 1.2:9 1.3:11 1.4:3 1.5:2 2.1:3 2.2:3 2.3:4 2.4:1 3.2:2 3.3:4 3.4:6 3.5:5 3.7:2 4.1:3 4.2:1 4.3:2 4.4:4
5.1:1 5.2:3 5.3:2 5.4:3 6.1:3 6.2:12 6.3:4 6.4:4 6.5:5 6.6:3 6.8:4 7.1:3 7.2:4 7.3:2 7.4:5 7.5:2 7.6:2 8.1:2
8.2:3 8.3:1 8.4:1 9.1:3 9.2:4 10.1:2 10.2:2 10.3:4 10.4:11 10.5:5 10.6:2 10.7:3 11.1:2 11.2:3 11.3:3 11.4:4
11.5:1 11.6:1 12.1:3 12.2:2 12.3:4 13.1:1 13.2:5 13.3:2 13.4:5 14.1:2 14.2:4 14.3:3 15.1:3 15.2:3 15.3:7 16.1:1
16.2:5 16.3:4 16.4:3 16.5:3 17.1:1 17.2:4 17.3:2
"""
"""Sections of OWASP ASVS 5.0 with how many requirements of levels 1 and 2 they have (they are numbered from 1)."""
ATTACKS: Final = 17
"""Subsections of RFC 9700, section 4."""


def requirements() -> set[str]:
    """Return the numbers of all requirements of levels 1 and 2."""
    pairs = (section.split(":") for section in SECTIONS.split())
    return {f"{section}.{number}" for section, count in pairs for number in range(1, int(count) + 1)}


@cache
def names_in(path: Path) -> frozenset[str]:
    """Return the names of the tests in a file."""
    tree = ast.parse(path.read_text())
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def test_every_requirement_is_judged_once() -> None:
    judged = Counter(number for row in ROWS for number in re.findall(r"(?<![\d.])\d+\.\d+\.\d+\b", row[0]))
    found = {number for number in judged if number in requirements()}
    assert found == requirements()
    asvs = DOCUMENT.partition("## OWASP ASVS")[2].partition("## NIST")[0]
    cells = " ".join(re.findall(r"^\| ([\d., ]+) \|", asvs, re.MULTILINE))
    numbers = Counter(re.findall(r"\d+\.\d+\.\d+", cells))
    assert [number for number, times in numbers.items() if times > 1] == []


def test_every_attack_is_judged() -> None:
    attacks = {int(row[0].split()[0].split(".")[1]) for row in ROWS if re.match(r"4\.\d+ [a-zA-Z0-9]", row[0])}
    assert attacks >= set(range(1, ATTACKS + 1))


def test_a_judgment_is_one_of_three_and_has_its_reason() -> None:
    for requirement, status, why, shown_by in ROWS:
        assert status in STATUSES, requirement
        assert len(why) > 5, requirement
        assert status != "met" or "`tests/" in shown_by, f"{requirement} is met, but shown by nothing"


def test_every_named_test_exists() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", DOCUMENT)
    assert len(named) > 120
    for file, name in named:
        path = ROOT / file
        assert path.is_file(), file
        assert not name or name in names_in(path), f"{file}::{name}"
