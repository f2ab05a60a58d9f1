"""`script/hosting check` fails for what is wrong, and for what could not be checked."""

from collections.abc import Callable
from copy import deepcopy
import json
from pathlib import Path
import subprocess
from typing import Any

import pytest

from . import check, stack
from .check import EXCEPTIONS, HARD_FAIL, Missing

type Said = subprocess.CompletedProcess[str]


@pytest.fixture
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the other tools alone: only our own promises speak."""
    for name in ("_cfn_lint", "_checkov"):
        monkeypatch.setattr(check, name, lambda _template: [])
    for name in ("_zizmor", "_actionlint", "_promtool"):
        monkeypatch.setattr(check, name, list)


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("PubliclyAccessible: false", "PubliclyAccessible: true", "database_is_private: the database is public"),
        ('Bool: {"aws:MultiFactorAuthPresent": "true"}', "Null: {}", "can be assumed without MFA"),
        ("BackupRetentionPeriod: 14", "BackupRetentionPeriod: 1", "less than 14 days"),
    ],
)
def test_a_changed_file_fails(
    old: str, new: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = stack.TEMPLATE.read_text("utf-8")
    assert text.count(old) == 1
    changed = tmp_path / "changed.yaml"
    changed.write_text(text.replace(old, new), "utf-8")
    assert check.main([str(changed)]) == 1
    assert said in capsys.readouterr().out


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize(("fault", "code"), [([], 3), (["a fault"], 1)])
def test_what_could_not_be_checked_is_told_and_passes_nowhere(
    fault: list[str], code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def missing() -> list[str]:
        raise Missing("promtool is part of Prometheus")

    monkeypatch.setattr(check, "_promtool", missing)
    monkeypatch.setattr(check, "_zizmor", lambda: fault)
    assert check.main([]) == code
    said = capsys.readouterr()
    assert "promtool: SKIPPED: promtool is part of Prometheus" in said.out
    assert ("NOT CHECKED: promtool" in said.err) is not bool(fault)


@pytest.mark.usefixtures("quiet")
def test_all_is_well_when_all_was_checked() -> None:
    assert check.main([]) == 0


@pytest.mark.parametrize("name", ["promtool", "cfn-lint", "checkov", "zizmor"])
def test_a_tool_that_is_not_here_is_missing(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    made: dict[str, Any] = {
        "promtool": check._promtool,  # noqa: SLF001 - one check alone
        "cfn-lint": lambda: check._cfn_lint(stack.TEMPLATE),  # noqa: SLF001
        "checkov": lambda: check._checkov(stack.TEMPLATE),  # noqa: SLF001
        "zizmor": check._zizmor,  # noqa: SLF001
    }
    with pytest.raises(Missing, match=name):
        made[name]()


def found(*, passed: list[str], failed: list[str]) -> Said:
    """Return what checkov says."""
    one = {"check_name": "a check", "resource": "a resource"}
    results = {
        "passed_checks": [{"check_id": name, **one} for name in passed],
        "failed_checks": [{"check_id": name, **one} for name in failed],
    }
    return subprocess.CompletedProcess([], 1, json.dumps({"results": results}), "")


GOOD = {"passed": list(HARD_FAIL), "failed": list(EXCEPTIONS)}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda _: None, []),
        (lambda it: it["failed"].append("CKV_AWS_999"), ["CKV_AWS_999 a check: a resource"]),
        (lambda it: it["failed"].append("CKV_AWS_16"), ["CKV_AWS_16 a check: a resource"]),
        (lambda it: it["passed"].remove("CKV_AWS_17"), ["CKV_AWS_17 (the database is not public) was not checked"]),
        (lambda it: it["failed"].remove("CKV_AWS_91"), ["CKV_AWS_91 passes: it is no exception any more"]),
    ],
)
def test_checkov_is_judged_by_two_lists(
    change: Callable[[dict[str, list[str]]], None], said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    it = deepcopy(GOOD)
    change(it)
    monkeypatch.setattr(check, "_run", lambda *_, **_how: found(**it))
    assert check._checkov(stack.TEMPLATE) == said  # noqa: SLF001


def test_checkov_sees_no_folder_that_could_look_like_a_secret(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    template = tmp_path / "template.yaml"
    template.touch()
    said: list[object] = []

    def run(*command: str | Path, folder: Path) -> Said:
        said.append(folder)
        said.extend(one for one in map(str, command) if "template" in one or "/" in one)
        return found(**GOOD)

    monkeypatch.setattr(check, "_run", run)
    assert check._checkov(template) == []  # noqa: SLF001
    assert said == [tmp_path, "template.yaml"]


@pytest.mark.parametrize("output", ["", "no JSON", "[]", '{"results": 1}', "{}"])
def test_a_checkov_that_says_nothing_has_not_checked(output: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "_run", lambda *_, **_how: subprocess.CompletedProcess([], 0, output, ""))
    assert check._checkov(stack.TEMPLATE) != []  # noqa: SLF001
