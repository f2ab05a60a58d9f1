"""What documents say and the code can tell: made pages, links, file names, options, menus, repairs, actions."""

import json
from pathlib import Path
import re
from runpy import run_path
import sys
from typing import Any, Final

import pytest
import yaml

from custom_components.teslafi.journal.sessions import Charge, Drive, Parking
from custom_components.teslafi.journal_entities.figures import charge_figures, drive_figures, parking_figures
from tests.translations import translations

ROOT: Final = Path(__file__).parents[2]
COMPONENT: Final = ROOT / "custom_components" / "teslafi"
ENGLISH: Final[dict[str, Any]] = translations()
README: Final = (ROOT / "README.md").read_text("utf-8")
DOCUMENTS: Final = [
    *sorted(path for path in ROOT.glob("*.md") if path.name != "CHANGELOG.md"),
    *sorted((ROOT / "docs").glob("*.md")),
]
LINK: Final = re.compile(r"\]\((?!https?:|mailto:|#)([^)#\s]+)(?:#([\w-]+))?\)")
CODE: Final = re.compile(r"`((?:custom_components|companion|simulators|tests|script|docs|contract)/[\w./-]+)`")
SCREENS: Final = 5
LINES_A_SCREEN: Final = 45


def test_made_pages_are_what_the_code_says(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["documents.py", "--check"])
    monkeypatch.setattr(sys, "path", [*sys.path])
    with pytest.raises(SystemExit) as end:
        run_path(str(ROOT / "script" / "documents.py"), run_name="__main__")
    assert end.value.code == 0, capsys.readouterr().out


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
    missing = []
    for target, anchor in LINK.findall(document.read_text("utf-8")):
        path = (document.parent / target).resolve()
        if not path.exists() or (anchor and anchor not in _anchors(path)):
            missing.append(f"{target}#{anchor}")
    assert missing == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_named_files_exist(document: Path) -> None:
    named = {name.partition("::")[0] for name in CODE.findall(document.read_text("utf-8"))}
    assert sorted(name for name in named if not (ROOT / name).exists() and "…" not in name) == []


def test_the_columns_of_exports_are_documented() -> None:
    """What all kinds have, then what each has, in the order of the columns."""
    kinds = {
        "Drives": drive_figures(Drive(start=0, end=1, earliest=0, latest=1, distance_km=1.0)),
        "Charges": charge_figures(Charge(start=0, end=1, earliest=0, latest=1, added_kwh=1.0)),
        "Parking": parking_figures(Parking(start=0, end=1, earliest=0, latest=1)),
    }
    page = (ROOT / "docs" / "journal.md").read_text("utf-8")
    lines = re.findall(r"^\| (All|Drives|Charges|Parking) \| (`.*`) \|$", page, re.MULTILINE)
    rows = {kind: re.findall(r"`(\w+)`", line) for kind, line in lines}
    for kind, figures in kinds.items():
        assert rows["All"] + rows[kind] == list(figures), kind


def test_the_readme_fits_five_screens() -> None:
    assert README.count("\n") <= SCREENS * LINES_A_SCREEN


def test_the_readme_has_every_option() -> None:
    options = ENGLISH["options"]["step"]["settings"]["data"].values()
    assert [option for option in options if f"| {option} |" not in README] == []


@pytest.mark.parametrize("step", ["sign_in", "token"])
def test_the_readme_has_every_field_of_setting_up(step: str) -> None:
    fields = ENGLISH["config"]["step"][step]["data"].values()
    assert [field for field in fields if f"| {field} |" not in README] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_menus_are_called_by_their_names(document: Path) -> None:
    """What stands in bold is what a user reads: each part of `A > B` that begins in our flow exists."""
    menu = set(ENGLISH["config"]["step"]["reconfigure"]["menu_options"].values())
    named = re.findall(r"\*\*Reconfigure > ([^*]+)\*\*", document.read_text("utf-8"))
    assert named or document.name != "README.md"
    assert set(named) <= menu


def test_the_readme_says_repairs_by_their_titles() -> None:
    titles = {issue["title"] for issue in ENGLISH["issues"].values()} | {
        ENGLISH["config"]["step"]["reauth_confirm"]["title"]
    }
    table = README.partition("## Troubleshooting")[2].partition("\n## ")[0]
    named = re.findall(r"^\| \*([^*]+)\* \|", table, re.MULTILINE)
    assert named
    assert [title for title in named if title not in titles] == []


def test_every_action_is_described_in_every_way() -> None:
    declared = yaml.safe_load((COMPONENT / "services.yaml").read_text("utf-8"))
    assert declared.keys() == ENGLISH["services"].keys()
    page = (ROOT / "docs" / "actions.md").read_text("utf-8")
    assert [name for name in declared if f"`teslafi.{name}`" not in page] == []


def test_every_trigger_is_documented() -> None:
    """By the name that the automation editor shows."""
    page = (ROOT / "docs" / "automations.md").read_text("utf-8")
    table = page.partition("## Triggers")[2].partition("\n## ")[0]
    named = {name for row in re.findall(r"^\| ([^|]+) \|", table, re.MULTILINE) for name in (row, *row.split(", "))}
    assert set(ENGLISH["device_automation"]["trigger_type"].values()) <= named


def test_quality_is_claimed_only_where_something_shows_it() -> None:
    """docs/quality.md has a row for each rule that quality_scale.yaml calls done, and what the row names exists."""
    rules = yaml.safe_load((COMPONENT / "quality_scale.yaml").read_text("utf-8"))["rules"]
    done = {rule for rule, status in rules.items() if status == "done"}
    rows = dict(
        re.findall(r"^\| ([a-z][a-z-]+) \| (.+) \|$", (ROOT / "docs" / "quality.md").read_text("utf-8"), re.MULTILINE)
    )
    assert rows.keys() == done
    for rule, shown in rows.items():
        named = re.findall(r"`([\w./]+?)(?:::(\w+))?`", shown)
        assert named, rule
        for file, test in named:
            assert (ROOT / file).exists(), f"{rule}: {file}"
            assert not test or f"def {test}(" in (ROOT / file).read_text("utf-8"), f"{rule}: {file}::{test}"


def test_every_exception_of_ours_is_translated() -> None:
    """No module raises one of Home Assistant's exceptions with a text of its own (rule exception-translations)."""
    raised = re.compile(r"raise (\w*(?:HomeAssistantError|ValidationError|ConfigEntry\w+|UpdateFailed))\(([^)]*)")
    untranslated = [
        f"{path.relative_to(COMPONENT)}: {match[0][:80]}"
        for path in COMPONENT.rglob("*.py")
        for match in raised.finditer(path.read_text("utf-8"))
        if "translation_key" not in match[2]
    ]
    assert untranslated == []


def test_the_minimum_version_is_the_same_everywhere() -> None:
    minimum = json.loads((ROOT / "hacs.json").read_text("utf-8"))["homeassistant"]
    assert f"Home Assistant {minimum.rpartition('.')[0]} or later" in README


def _anchors(path: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", path.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
