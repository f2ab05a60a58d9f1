"""`script/audit` calls nothing free of known vulnerabilities that nobody looked up."""

import json
import os
from pathlib import Path
import subprocess
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]
CLEAN: Final = {"name": "aiohttp", "version": "3.14.5", "vulns": []}
FAULTY: Final = CLEAN | {"name": "async-timeout", "vulns": [{"id": "PYSEC-2026-1", "fix_versions": ["9.9"]}]}
SKIPPED: Final = {"name": "yarl", "skip_reason": "Dependency not found on PyPI and could not be audited: yarl (1.25.1)"}


def listed(*packages: object) -> str:
    """Return what pip-audit writes."""
    return json.dumps({"dependencies": packages, "fixes": []})


@pytest.mark.parametrize(
    ("answer", "code", "exit_code", "said"),
    [
        (listed(CLEAN), 0, 0, "no known vulnerability in 1 packages"),
        (listed(CLEAN, FAULTY), 1, 1, "async-timeout 3.14.5: PYSEC-2026-1, mended in 9.9"),
        # An index without advisories: pip-audit itself calls that a success
        (listed(SKIPPED), 0, 3, "NOT CHECKED: the advisories of 1 of 1 packages"),
        (listed(CLEAN, SKIPPED), 0, 3, "NOT CHECKED: the advisories of 1 of 2 packages"),
        (listed(SKIPPED, FAULTY), 1, 1, "NOT CHECKED: the advisories of 1 of 2 packages"),
        (listed(), 0, 3, "NOT CHECKED: the advisories of all packages"),
        ("", 1, 3, "NOT CHECKED: the advisories of all packages"),
        ("Traceback", 1, 3, "NOT CHECKED: the advisories of all packages"),
        ("[]", 2, 3, "NOT CHECKED: the advisories of all packages"),
    ],
)
def test_what_was_not_looked_up_is_said(tmp_path: Path, answer: str, code: int, exit_code: int, said: str) -> None:
    (tmp_path / "answer").write_text(answer, encoding="utf-8")
    uv = tmp_path / "bin" / "uv"
    uv.parent.mkdir()
    uv.write_text(f"#!/bin/sh\n[ $1 = export ] || {{ cat {tmp_path}/answer; exit {code}; }}\n", encoding="utf-8")
    uv.chmod(0o755)
    environment = os.environ | {"TESLAFI_TOOLS": str(tmp_path)}
    done = subprocess.run(  # noqa: S603 - no user input
        [ROOT / "script" / "audit"], env=environment, check=False, capture_output=True, text=True
    )
    assert done.returncode == exit_code
    assert said in done.stdout + done.stderr
    assert exit_code == 0 or "no known vulnerability" not in done.stdout
