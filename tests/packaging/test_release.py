"""What a release holds: everything agrees on its version, and its files are what HACS and hosts take."""

from collections.abc import Callable
import json
from pathlib import Path
import re
import shutil
import subprocess
from typing import Final
from zipfile import ZipFile

import pytest

from script import release

from .test_image import blob, build, image, manifest  # noqa: F401 - a fixture

ROOT: Final = Path(__file__).parents[2]

NEXT: Final = "7.8.9"
NEEDED: Final = (
    *release.PROJECTS,
    "CHANGELOG.md",
    "contract/companion-api.yaml",
    "custom_components/teslafi/manifest.json",
    "hacs.json",
    "uv.lock",
)


def change(file: Path, old: str, new: str) -> None:
    text = file.read_text("utf-8")
    assert old in text
    file.write_text(text.replace(old, new), "utf-8")


def change_contract(tree: Path, old: str, new: str) -> None:
    for name in ("contract/companion-api.yaml", f"contract/released/{NEXT}.yaml"):
        change(tree / name, old, new)


@pytest.fixture
def ready(tmp_path: Path) -> Path:
    """Return what of a tree a release looks at, made ready for the next version."""
    for name in NEEDED:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    now = json.loads((ROOT / "custom_components/teslafi/manifest.json").read_text("utf-8"))["version"]
    for name in release.PROJECTS:
        change(tmp_path / name, f'version = "{now}"', f'version = "{NEXT}"')
    change(tmp_path / "custom_components/teslafi/manifest.json", f'"version": "{now}"', f'"version": "{NEXT}"')
    change(tmp_path / "contract/companion-api.yaml", f"version: {now}", f"version: {NEXT}")
    change(tmp_path / "CHANGELOG.md", "## Unreleased\n", f"## Unreleased\n\n## {NEXT} - 2026-12-01\n")
    lock = (tmp_path / "uv.lock").read_text("utf-8")
    lock = re.sub(rf'(name = "teslafi-[a-z-]+"\nversion = ){re.escape(f'"{now}"')}', rf'\1"{NEXT}"', lock)
    (tmp_path / "uv.lock").write_text(lock, "utf-8")
    (tmp_path / "contract/released").mkdir()
    shutil.copy(tmp_path / "contract/companion-api.yaml", tmp_path / f"contract/released/{NEXT}.yaml")
    return tmp_path


def test_what_agrees_is_released(ready: Path) -> None:
    assert list(release.faults(ready, NEXT)) == []


def test_this_tree_is_released_by_its_own_version_at_most() -> None:
    other = list(release.faults(ROOT, NEXT))
    assert any("manifest.json says" in fault for fault in other)


FAULTS: Final[dict[str, tuple[str, Callable[[Path], None]]]] = {
    "manifest": (
        "custom_components/teslafi/manifest.json says",
        lambda tree: change(tree / "custom_components/teslafi/manifest.json", NEXT, "7.8.8"),
    ),
    "project": ("^pyproject.toml says", lambda tree: change(tree / "pyproject.toml", f'"{NEXT}"', '"7.8.8"')),
    "companion": (
        "companion/pyproject.toml says",
        lambda tree: change(tree / "companion/pyproject.toml", f'"{NEXT}"', '"7.8.8"'),
    ),
    "simulators": (
        "simulators/pyproject.toml says",
        lambda tree: change(tree / "simulators/pyproject.toml", f'"{NEXT}"', '"7.8.8"'),
    ),
    "lock": (
        "uv.lock says 7.8.8 for teslafi-companion: run uv lock",
        lambda tree: change(
            tree / "uv.lock",
            f'name = "teslafi-companion"\nversion = "{NEXT}"',
            'name = "teslafi-companion"\nversion = "7.8.8"',
        ),
    ),
    "changelog": ("newest release is 7.8.8", lambda tree: change(tree / "CHANGELOG.md", f"## {NEXT} -", "## 7.8.8 -")),
    "no heading": (
        "newest release is no release",
        lambda tree: change(tree / "CHANGELOG.md", f"## {NEXT} - 2026-12-01\n", ""),
    ),
    "no date": ("when 7.8.9 was released", lambda tree: change(tree / "CHANGELOG.md", f"{NEXT} - 2026-12-01", NEXT)),
    "unreleased": (
        "still has changes under Unreleased",
        lambda tree: change(tree / "CHANGELOG.md", "## Unreleased\n", "## Unreleased\n\n- One more thing.\n"),
    ),
    "contract": (
        "released/7.8.9.yaml isn't what",
        lambda tree: change(tree / "contract/companion-api.yaml", "A client", "Any client"),
    ),
    "contract not kept": (
        "released/7.8.9.yaml isn't what",
        lambda tree: (tree / f"contract/released/{NEXT}.yaml").unlink(),
    ),
    "example": (
        "version 7.8.8 in an example",
        lambda tree: change_contract(tree, f"version: {NEXT}", "version: 7.8.8"),
    ),
    "hacs": ("hacs.json doesn't say", lambda tree: change(tree / "hacs.json", "teslafi.zip", "other.zip")),
}


@pytest.mark.parametrize("name", FAULTS)
def test_what_does_not_agree_is_said_in_one_sentence(name: str, ready: Path) -> None:
    sentence, spoil = FAULTS[name]
    spoil(ready)
    (said,) = release.faults(ready, NEXT)
    assert re.search(sentence, said)


@pytest.mark.parametrize("version", ["1.2", "v1.2.3", "1.2.3.4", "01.2.3", "1.2.3-final", "1.2.3\n", "", "1.2.1٣"])
def test_a_version_is_a_semantic_one(version: str, ready: Path) -> None:
    assert any("is no semantic version" in fault for fault in release.faults(ready, version))


def tracked() -> set[str]:
    """Return the integration's files in git, as far as they are there."""
    folder = ROOT / release.COMPONENT
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "."],  # noqa: S607 - git
        cwd=folder,
        check=True,
        capture_output=True,
        text=True,
    )
    return {name for name in listed.stdout.splitlines() if (folder / name).exists()}


def test_what_git_ignores_is_not_released(tmp_path: Path) -> None:
    """`git status` says nothing of a file that somebody's own settings ignore; the zip or the image would have it."""
    kept = (
        f"{release.COMPONENT}/manifest.json",
        "companion/src/teslafi_companion/cli.py",
        "contract/companion-api.yaml",
    )
    ignored = (
        f"{release.COMPONENT}/.env",
        "companion/src/teslafi_companion/\u00e4 key.pem",
        "contract/companion-api.yaml~",
    )
    compiled = (f"{release.COMPONENT}/__pycache__/const.cpython-314.pyc",)
    for name in (*kept, *ignored, *compiled, "notes.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("secret", "utf-8")
    for words in (["init", "--quiet"], ["add", "--", *kept]):
        subprocess.run(["git", *words], cwd=tmp_path, check=True)  # noqa: S603, S607 - git
    (tmp_path / ".git/info/exclude").write_text("*\n", "utf-8")
    status = subprocess.run(
        ["git", "status", "--porcelain", "--untracked-files"],  # noqa: S607 - git
        cwd=tmp_path,
        check=True,
        capture_output=True,
        text=True,
    )
    assert "??" not in status.stdout
    assert set(release.strays(tmp_path)) == set(ignored)
    script = (ROOT / "script" / "release").read_text("utf-8")
    assert script.index("release.py strays") < script.index('rm -rf "$folder"')


@pytest.mark.parametrize("script", ["image", "release"])
@pytest.mark.parametrize("kind", ["folder", "hidden", "link", "file"])
def test_no_folder_of_somebody_s_is_replaced(script: str, kind: str, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    letter = mine / (".letter" if kind == "hidden" else "letter")
    letter.write_text("dear", "utf-8")
    named = letter if kind == "file" else mine
    if kind == "link":
        named = tmp_path / "link"
        named.symlink_to(mine)
    programs = tmp_path / "programs"
    programs.mkdir()
    for program in ("bash", "dirname", "ls"):
        (programs / program).symlink_to(shutil.which(program) or "")
    words: list[str | Path] = [ROOT / "script" / script, *([NEXT] if script == "release" else []), named]
    ended = subprocess.run(words, env={"PATH": str(programs)}, capture_output=True, text=True, check=False)  # noqa: S603 - our own
    assert ended.returncode == 2, ended.stderr
    assert re.fullmatch(rf"{script}: {named} holds something .*: name another folder\.\n", ended.stderr)
    assert letter.read_text("utf-8") == "dear"


def test_the_zip_is_what_hacs_takes(tmp_path: Path) -> None:
    """Its content is put into custom_components/teslafi as it is; the same files make the same bytes."""
    name = json.loads((ROOT / "hacs.json").read_text("utf-8"))["filename"]
    release.write_zip(ROOT, tmp_path / name)
    release.write_zip(ROOT, tmp_path / "again.zip")
    assert (tmp_path / name).read_bytes() == (tmp_path / "again.zip").read_bytes()
    with ZipFile(tmp_path / name) as archive:
        assert set(archive.namelist()) == tracked()
        assert json.loads(archive.read("manifest.json"))["domain"] == "teslafi"


@pytest.mark.slow
def test_a_release_holds_the_image_and_says_what_is_in_it(
    image: Path,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    subprocess.run([ROOT / "script" / "audit", "sbom", tmp_path], check=True)  # noqa: S603 - our own script
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1796000000")
    release.write(NEXT, image, tmp_path)
    subprocess.run(["sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS"], cwd=tmp_path, check=True)  # noqa: S607
    names = {path.name for path in tmp_path.iterdir()}
    (packed,) = tmp_path.glob("*.oci.tar")
    (bill,) = tmp_path.glob("teslafi-companion-*.cdx.json")
    assert packed.name.startswith(f"teslafi-companion-{NEXT}-")
    assert {line.split("  ")[1] for line in (tmp_path / "SHA256SUMS").read_text("utf-8").splitlines()} == names - {
        "SHA256SUMS"
    }
    unpacked = tmp_path / "unpacked"
    shutil.unpack_archive(packed, unpacked, "tar", filter="data")
    (layer,) = manifest(unpacked)["layers"]
    assert blob(unpacked, layer["digest"]).stat().st_size == layer["size"]
    components = {one["name"]: one["purl"] for one in json.loads(bill.read_text("utf-8"))["components"]}
    assert components["aiohttp"].startswith("pkg:pypi/")
    assert components["python3.14"].startswith("pkg:deb/debian/python3.14@3.14.")
    assert components["libssl3t64"].startswith("pkg:deb/debian/")
