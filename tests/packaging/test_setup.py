"""What scripts fetch beside uv.lock is of one version, too, and uv itself of one digest."""

from pathlib import Path
import re
import tomllib
from typing import Any, Final

ROOT: Final = Path(__file__).parents[2]


def test_uv_is_the_one_of_the_lock_by_digest() -> None:
    """It is fetched in the job that builds a release, before anything that could check it."""
    packages: list[dict[str, Any]] = tomllib.loads((ROOT / "uv.lock").read_text("utf-8"))["package"]
    (locked,) = [one for one in packages if one["name"] == "uv"]
    said = (ROOT / "script" / "uv.txt").read_text("ascii")
    assert re.findall(r"^(\S+==\S+) \\$", said, re.MULTILINE) == [f"uv=={locked['version']}"]
    assert set(re.findall(r"--hash=(\S+)", said)) == {
        locked["sdist"]["hash"],
        *(wheel["hash"] for wheel in locked["wheels"]),
    }
    assert "--require-hashes -r script/uv.txt" in (ROOT / "script" / "setup").read_text("utf-8")


def test_nothing_is_fetched_in_whatever_version_there_is() -> None:
    """A program named without one is the newest, whoever published it."""
    fetched: list[str] = []
    for script in sorted((ROOT / "script").iterdir()):
        if script.is_file():
            said = script.read_text("utf-8").replace("\\\n", " ")
            fetched += re.findall(r"\b(?:uvx|uv\"? tool (?:run|install)) (?:--\S+ )*(\S+)", said)
    assert len(fetched) > 1
    assert [one for one in fetched if "@" not in one and "==" not in one] == []
