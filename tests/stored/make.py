"""`python -m tests.stored.make VERSION`: keeps what this version stores, for later ones to open (CONTRIBUTING.md)."""

import argparse
import json
from pathlib import Path
import subprocess
import sys

import pytest

from .place import KINDS, ROOT, STORED

MANIFEST = ROOT / "custom_components" / "teslafi" / "manifest.json"


class Keeping:
    """Tells the making where to put what it made."""

    def __init__(self, folder: Path, commit: str) -> None:
        """Keep into this folder what this commit stores."""
        self._folder = folder
        self._commit = commit

    @pytest.fixture
    def into(self) -> Path:
        """Return the folder of the version."""
        return self._folder

    @pytest.fixture
    def commit(self) -> str:
        """Return which commit stored it."""
        return self._commit


def main() -> int:
    """Make the fixture of the version that this working tree is; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.stored.make", description=__doc__)
    parser.add_argument("version", help="the version in manifest.json of this working tree")
    parser.add_argument("--commit", help="the commit whose code this is, where the script itself came later")
    arguments = parser.parse_args()
    version = json.loads(MANIFEST.read_text())["version"]
    if arguments.version != version:
        parser.error(f"this working tree is version {version}")
    folder = STORED / version
    if folder.exists():
        parser.error(f"{folder.relative_to(ROOT)} exists: what a version stored is made once and never changed")
    git = ["git", "rev-parse", "--short", arguments.commit or "HEAD"]
    commit = subprocess.run(git, cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()  # noqa: S603 - no user input
    failed = pytest.main(["-q", "-p", "no:cacheprovider", str(STORED / "keep.py")], plugins=[Keeping(folder, commit)])
    if failed:
        return int(failed)
    for kind in KINDS:
        kept = sorted(path for path in (folder / kind).rglob("*") if path.is_file())
        print(f"{kind}: {len(kept)} files, {sum(path.stat().st_size for path in kept) // 1024} KiB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
