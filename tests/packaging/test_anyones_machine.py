"""script/demo and script/test for a person without rights, in a system that has Python, git, and little else."""

from collections.abc import Iterator, Sequence
import os
from pathlib import Path
import shutil
import subprocess
import sys
from typing import Final

import pytest

from .compiled import SITE_PACKAGES, STANDARD_LIBRARY, keep_compiled
from .test_image import cache

pytestmark = pytest.mark.slow

ROOT: Final = Path(__file__).parents[2]
PACKAGES: Final = (
    *("base-files", "bash", "ca-certificates", "coreutils", "dash", "diffutils", "findutils", "git", "grep", "gzip"),
    *("libstdc++6", "mawk", "ncurses-base", "netbase", "python3.14", "sed", "tar", "tzdata"),
)
"""No compiler, no PostgreSQL, no Chromium, no sudo."""
FILES: Final = {
    "etc/passwd": "root:x:0:0::/root:/bin/bash\nperson:x:1000:1000::/home/person:/bin/bash\n",
    "etc/group": "root:x:0:\nperson:x:1000:\n",
    "etc/hosts": "127.0.0.1 localhost\n",
    "etc/nsswitch.conf": "hosts: files dns\n",
}
PROJECT: Final = "home/person/teslafi"
COMPILED: Final = "home/person/.cache/python"
PATIENCE: Final = 900
"""Seconds after which something hangs, on the slowest machine."""


class Machine:
    """Runs commands as a person in a system of its own; what is downloaded is shared with this one."""

    def __init__(self, system: Path, home: Path) -> None:
        """Take the unpacked system and the person's home, which has the project."""
        self._system, self._home = system, home

    def runs(self, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a command in the project's folder to its end."""
        told = {"PATH": "/usr/bin", "HOME": "/home/person", "UV_LINK_MODE": "symlink", **environment}
        told["SSL_CERT_FILE"] = "/etc/ssl/certs/ca-certificates.crt"
        # Nobody compiled this system's Python, and no process may: each would do it anew, as it would the project,
        # which is copied for each run
        told["PYTHONPYCACHEPREFIX"] = f"/{COMPILED}"
        return subprocess.run(  # noqa: S603 - our own scripts
            [
                *("bwrap", "--unshare-all", "--share-net", "--as-pid-1", "--die-with-parent", "--cap-drop", "ALL"),
                *("--uid", "1000", "--gid", "1000", "--clearenv"),
                *(word for name, value in told.items() for word in ("--setenv", name, value)),
                *("--ro-bind", str(self._system), "/", "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"),  # noqa: S108 - its own
                *("--ro-bind", "/etc/resolv.conf", "/etc/resolv.conf", "--ro-bind", "/etc/ssl/certs", "/etc/ssl/certs"),
                *("--ro-bind", str(uv()), "/usr/bin/uv", "--bind", str(self._home), "/home/person"),
                *("--bind", str(downloads()), "/home/person/.cache/uv"),
                *("--chdir", f"/{PROJECT}", "--", *words),
            ],
            check=False,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )


def uv() -> Path:
    """Return uv, which is one file: whoever has it needs no pip."""
    return Path(sys.executable).with_name("uv")


def downloads() -> Path:
    """Return where uv keeps what it downloaded."""
    said = subprocess.run([uv(), "cache", "dir"], check=True, capture_output=True, text=True)  # noqa: S603 - uv
    return Path(said.stdout.strip())


def unpack(system: Path) -> None:
    """Make the system, as script/image makes that of the image."""
    mirror = os.environ.get("TESLAFI_DEBIAN", "http://deb.debian.org/debian")
    keys = "/usr/share/keyrings/debian-archive-keyring.gpg"
    packed = system.with_name("system.tar")
    options = ("Acquire::Check-Valid-Until", "Acquire::Check-Date", "APT::Install-Recommends")
    subprocess.run(  # noqa: S603 - the system's
        [
            *("mmdebstrap", "--quiet", "--variant=extract", "--format=tar", f"--include={','.join(PACKAGES)}"),
            "--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr",
            *(f'--aptopt={option} "false"' for option in options),
            *("testing", packed, f"deb [signed-by={keys}] {mirror} testing main"),
        ],
        check=True,
        capture_output=True,
    )
    system.mkdir()
    said: list[str | Path] = ["tar", "-x", "-C", system, "--no-same-owner", "--exclude=./dev/*", "-f", packed]
    subprocess.run(said, check=True, stderr=subprocess.DEVNULL)  # noqa: S603 - the system's
    packed.unlink()
    for name, content in FILES.items():
        (system / name).unlink(missing_ok=True)
        (system / name).write_text(content, "utf-8")
    for name in ("etc/resolv.conf", "usr/bin/uv"):
        (system / name).touch()
    (system / "home/person").mkdir(parents=True)


def copy_project(target: Path) -> None:
    """Put this working tree into a folder instead of what was there; its environment stays, to be updated."""
    target.mkdir(parents=True, exist_ok=True)
    for path in target.iterdir():
        if path.name not in {".venv", ".cache"}:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],  # noqa: S607 - git
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    for name in listed.stdout.splitlines():
        if (ROOT / name).exists():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name, follow_symlinks=False)


def keep_all_compiled(kept: Path) -> None:
    """Keep what is compiled here where the machine's Python finds it."""
    keep_compiled(STANDARD_LIBRARY, kept / "usr" / "lib" / "python3.14")
    keep_compiled(SITE_PACKAGES, kept / PROJECT / ".venv" / SITE_PACKAGES.relative_to(sys.prefix))
    for name in ("companion", "custom_components", "simulators", "tests"):
        keep_compiled(ROOT / name, kept / PROJECT / name)


@pytest.fixture(scope="module")
def machine() -> Iterator[Machine]:
    """Give the machine, with the project as it is here."""
    for program in ("bwrap", "mmdebstrap"):
        if shutil.which(program) is None and "CI" not in os.environ:
            pytest.skip(f"a system of its own is made by bubblewrap and mmdebstrap: install {program}, run this again")
    with cache("machine", "\n".join(PACKAGES)) as place:
        if not (place / "system" / "home" / "person").exists():
            shutil.rmtree(place / "system", ignore_errors=True)
            unpack(place / "system")
        copy_project(place / "home" / "teslafi")
        if not (kept := place / "home" / Path(COMPILED).relative_to("home/person")).exists():
            keep_all_compiled(kept)
        # In here: another worker would change the project under the tests
        yield Machine(place / "system", place / "home")


def succeeded(ended: subprocess.CompletedProcess[str]) -> str:
    """Return what a command said, when it did what it should."""
    assert ended.returncode == 0, ended.stdout[-3000:] + ended.stderr[-3000:]
    return ended.stdout


def test_the_demo_runs(machine: Machine) -> None:
    assert "entities of TeslaFi in Home Assistant" in succeeded(machine.runs("script/demo", "--check"))


def test_the_companion_s_tests_run_on_the_wheel_s_postgresql(machine: Machine) -> None:
    one = "tests/companion/test_schema.py::test_migrations_make_the_tables_of_the_code"
    said = succeeded(machine.runs("script/test", one, "-v", "-p", "no:cacheprovider"))
    assert "[postgresql] PASSED" in said
    assert " skipped" not in said.splitlines()[-1]


STUB: Final = '#!/bin/sh\necho pytest "$@"\nexit 7\n'
"""Instead of pytest: what it is asked, and a code that has to come through."""


@pytest.mark.parametrize("ci", [(), ("CI",)], ids=["at home", "in CI"])
def test_browser_tests_are_skipped_aloud_but_never_in_ci(machine: Machine, ci: Sequence[str]) -> None:
    ended = machine.runs(
        "bash",
        "-c",
        'script/setup && printf %s "$1" >/tmp/stub && cp .venv/bin/pytest /tmp/pytest && '
        "trap 'cp /tmp/pytest .venv/bin/pytest' EXIT && cp /tmp/stub .venv/bin/pytest && script/test",
        "script/test",
        STUB,
        **dict.fromkeys(ci, "true"),
    )
    last = ended.stderr.strip().splitlines()[-1]
    if ci:
        assert ended.returncode == 1
        assert "pytest" not in ended.stdout
        assert last == "test: the browser tests need Chromium, which could not be had here."
    else:
        assert ended.returncode == 7
        assert "-m not browser" in ended.stdout
        assert last.startswith("test: the browser tests were skipped: install Chromium")
