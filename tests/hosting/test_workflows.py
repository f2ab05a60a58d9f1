"""Workflows have the least rights, pin what they use, and look for vulnerabilities weekly and at each push."""

import json
from pathlib import Path
import re
import subprocess
from typing import Any, Final

import pytest
import yaml

ROOT: Final = Path(__file__).parents[2]
WORKFLOWS: Final = sorted((ROOT / ".github" / "workflows").glob("*.yaml"))
READ: Final = {"contents": "read"}
MORE: Final[dict[str, dict[str, str]]] = {
    # What a release has to write: its files, and where they come from
    "release.yaml": {"contents": "write", "id-token": "write", "attestations": "write"},
}
"""Workflows whose jobs may do more than look at the code."""
PINNED: Final = re.compile(r"^\s*(?:- )?uses: [\w./-]+@[0-9a-f]{40} # \S+$")


def read(workflow: Path) -> dict[str, Any]:
    """Return a workflow; YAML 1.1 takes its `on` for a truth value."""
    parsed: dict[Any, Any] = yaml.safe_load(workflow.read_text("utf-8"))
    return {"on" if key is True else key: value for key, value in parsed.items()}


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_it_has_the_least_rights(workflow: Path) -> None:
    parsed = read(workflow)
    assert parsed["permissions"] == {}
    assert "pull_request_target" not in parsed["on"]
    allowed = READ | MORE.get(workflow.name, {})
    for name, job in parsed["jobs"].items():
        for right, level in job["permissions"].items():
            assert level in {"read", allowed.get(right)}, name
            assert right in allowed, name
        assert job["timeout-minutes"] <= 60, name
        for step in job["steps"]:
            if step.get("uses", "").startswith("actions/checkout@"):
                assert step["with"]["persist-credentials"] is False, name


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_what_it_uses_is_pinned(workflow: Path) -> None:
    for line in workflow.read_text("utf-8").splitlines():
        if "uses:" in line:
            assert PINNED.match(line), line


def test_a_test_that_hangs_fails_before_its_job_is_ended(pytestconfig: pytest.Config) -> None:
    """It then says where it stood."""
    job = read(ROOT / ".github" / "workflows" / "tests.yaml")["jobs"]["tests"]
    assert 0 < float(pytestconfig.getini("timeout")) <= job["timeout-minutes"] * 60 / 2


def test_vulnerabilities_are_looked_for_weekly_and_at_each_push() -> None:
    """They are what Amazon Inspector does not see: Python packages in a virtual environment."""
    parsed = read(ROOT / ".github" / "workflows" / "vulnerabilities.yaml")
    assert {"push", "pull_request", "schedule"} <= set(parsed["on"])
    ran = [step.get("run") for job in parsed["jobs"].values() for step in job["steps"]]
    assert {"script/audit all", "script/audit sbom dist"} <= set(ran)


def test_both_ends_of_home_assistant_are_tried_weekly() -> None:
    parsed = read(ROOT / ".github" / "workflows" / "homeassistant.yaml")
    assert re.fullmatch(r"\d+ \d+ \* \* [0-6]", parsed["on"]["schedule"][0]["cron"])
    ran = [step.get("run") for job in parsed["jobs"].values() for step in job["steps"]]
    assert "script/compat homeassistant" in ran


def test_a_tag_makes_what_the_script_makes_and_attests_it() -> None:
    """What is built has no rights; what has rights runs nothing of the project."""
    parsed = read(ROOT / ".github" / "workflows" / "release.yaml")
    assert parsed["on"] == {"push": {"tags": ["v*"]}}
    build, publish = parsed["jobs"]["build"], parsed["jobs"]["publish"]
    assert build["permissions"] == READ
    assert 'script/release "${GITHUB_REF_NAME#v}"' in [step.get("run") for step in build["steps"]]
    uses = [step.get("uses", "").partition("@")[0] for step in publish["steps"]]
    assert "actions/checkout" not in uses
    (attest,) = [step for step in publish["steps"] if "attest-build-provenance" in step.get("uses", "")]
    assert attest["with"] == {"subject-checksums": "dist/SHA256SUMS"}
    assert not any("script/" in step.get("run", "") for step in publish["steps"])


def test_the_bill_of_materials_names_what_the_companion_brings(tmp_path: Path) -> None:
    subprocess.run([ROOT / "script" / "audit", "sbom", tmp_path], check=True, timeout=120)  # noqa: S603 - our own script
    bill = json.loads((tmp_path / "teslafi-companion.cdx.json").read_text("utf-8"))
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.5")
    named = {one["name"]: one["version"] for one in bill["components"]}
    # constraints.txt holds the exact set that was tested, without the extra for AWS
    for line in (ROOT / "companion" / "constraints.txt").read_text("utf-8").splitlines():
        if found := re.match(r"([a-z0-9._-]+)==([^ ;]+)", line):
            assert named.get(found[1]) == found[2], line
    assert "aiobotocore" in named
    assert all(one["purl"].startswith("pkg:pypi/") for one in bill["components"])
