"""`python -m tests.stored.keep_code COMMIT`: keep a commit's companion as a wheel, under the revision of its tables.

`test_rolling.py` runs it beside today's. Whoever adds a revision keeps the code of the one before.
"""

from pathlib import Path
import re
import subprocess
import sys
import tempfile
from typing import Final
from zipfile import ZipFile

ROOT: Final = Path(__file__).parents[2]
CODE: Final = Path(__file__).parent / "code"


def revision_of(wheel: Path) -> str:
    """Return the newest revision that a companion brings along."""
    names = ZipFile(wheel).namelist()
    return max(found[1] for name in names if (found := re.search(r"/versions/r(\d{4})_", name)))


def main(commit: str) -> None:
    """Build it in a work tree of its own."""
    with tempfile.TemporaryDirectory() as folder:
        tree, made = Path(folder) / "tree", Path(folder) / "made"
        run = ["git", "-C", str(ROOT), "worktree"]
        subprocess.run([*run, "add", "--detach", str(tree), commit], check=True)  # noqa: S603 - a developer's own word
        try:
            subprocess.run(["uv", "build", "--wheel", str(tree / "companion"), "-o", str(made)], check=True)  # noqa: S603, S607
        finally:
            subprocess.run([*run, "remove", "--force", str(tree)], check=True)  # noqa: S603
        (wheel,) = made.glob("*.whl")
        kept = CODE / revision_of(wheel) / wheel.name
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_bytes(wheel.read_bytes())
    print(f"kept {kept}")


if __name__ == "__main__":
    main(sys.argv[1])
