"""Checks that everything agrees on a version, and writes the files of a release that no other tool makes.

Formats: HACS's documents (`zip_release`: the content of the integration's folder at the top of the archive), OCI image
layout in a tar archive (`oci-archive:`), CycloneDX 1.5, `sha256sum`.
"""

from collections.abc import Iterator
from copy import deepcopy
from hashlib import sha256
import json
import os
from pathlib import Path
import re
import subprocess
import sys
import tarfile
import tomllib
from typing import Any, Final
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

import yaml

ROOT: Final = Path(__file__).parents[1]
COMPONENT: Final = Path("custom_components") / "teslafi"
PROJECTS: Final = ("pyproject.toml", "companion/pyproject.toml", "simulators/pyproject.toml")
CONTRACT: Final = Path("contract") / "companion-api.yaml"
PACKED: Final = (COMPONENT, Path("companion") / "src", CONTRACT.parent)
"""What goes into the zip, the wheel and the image."""
VERSION: Final = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-(alpha|beta|rc)\.\d+)?", re.ASCII)
RELEASED: Final = re.compile(r"^## \[?(\d[^\s\]]*)\]?(?: - (\d{4}-\d{2}-\d{2}))?$", re.MULTILINE)
OLDEST: Final = (1980, 1, 1, 0, 0, 0)
"""What a zip can say at the earliest; the same for every file, so that the same files make the same archive."""


def faults(root: Path, version: str) -> Iterator[str]:
    """Yield a sentence for everything that does not agree with a release of this version."""
    if not VERSION.fullmatch(version):
        yield f"{version} is no semantic version, such as 1.2.3 or 1.2.3-beta.1."
    manifest = json.loads((root / COMPONENT / "manifest.json").read_text("utf-8"))
    if manifest["version"] != version:
        yield f"{COMPONENT}/manifest.json says {manifest['version']}: write {version}."
    for project in PROJECTS:
        said = tomllib.loads((root / project).read_text("utf-8"))["project"]
        if said["version"] != version:
            yield f"{project} says {said['version']}: write {version}."
    yield from _faults_of_lock(root, version)
    yield from _faults_of_changelog((root / "CHANGELOG.md").read_text("utf-8"), version)
    yield from _faults_of_contract(root, version)
    hacs = json.loads((root / "hacs.json").read_text("utf-8"))
    if not hacs.get("zip_release") or hacs.get("filename") != "teslafi.zip":
        yield "hacs.json doesn't say that releases have teslafi.zip (zip_release, filename)."


def _faults_of_lock(root: Path, version: str) -> Iterator[str]:
    locked = {one["name"]: one["version"] for one in tomllib.loads((root / "uv.lock").read_text("utf-8"))["package"]}
    for project in PROJECTS:
        name = tomllib.loads((root / project).read_text("utf-8"))["project"]["name"]
        if locked.get(name) != version:
            yield f"uv.lock says {locked.get(name)} for {name}: run uv lock."


def _faults_of_changelog(text: str, version: str) -> Iterator[str]:
    headings = RELEASED.findall(text)
    if not headings or headings[0][0] != version:
        newest = headings[0][0] if headings else "no release"
        yield f"CHANGELOG.md's newest release is {newest}: put what is under Unreleased under ## {version} - date."
        return
    if not headings[0][1]:
        yield f"CHANGELOG.md doesn't say when {version} was released: ## {version} - date."
    unreleased = text.partition("## Unreleased")[2].partition(f"## {version}")[0].partition(f"## [{version}]")[0]
    if re.search(r"^- ", unreleased, re.MULTILINE):
        yield f"CHANGELOG.md still has changes under Unreleased: move them to {version}."


def _faults_of_contract(root: Path, version: str) -> Iterator[str]:
    kept = root / CONTRACT.parent / "released" / f"{version}.yaml"
    text = (root / CONTRACT).read_text("utf-8")
    if not kept.exists() or kept.read_text("utf-8") != text:
        yield f"{kept.relative_to(root)} isn't what {CONTRACT} is: copy it there, to hold later versions to it."
    for example in _examples(yaml.safe_load(text)):
        if example != version:
            yield f"{CONTRACT} has the companion's version {example} in an example: write {version}."


def _examples(node: object) -> Iterator[str]:
    """Yield the companion's version wherever an example has it."""
    if isinstance(node, dict):
        if node.get("product") == "teslafi-companion" and isinstance(node.get("version"), str):
            yield node["version"]
        for value in node.values():
            yield from _examples(value)
    elif isinstance(node, list):
        for value in node:
            yield from _examples(value)


def strays(root: Path) -> list[str]:
    """Return files of what is packed that git doesn't have: those that it ignores as well, which `git status` hides."""
    listed = subprocess.run(  # noqa: S603 - git
        ["git", "ls-files", "-z", "--others", "--", *PACKED],  # noqa: S607 - git
        cwd=root,
        check=True,
        capture_output=True,
        text=True,
    )
    return [name for name in listed.stdout.split("\0") if name and "__pycache__" not in Path(name).parts]


def write_zip(root: Path, target: Path) -> None:
    """Write the integration as HACS takes it."""
    folder = root / COMPONENT
    with ZipFile(target, "w", ZIP_DEFLATED, compresslevel=9) as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                entry = ZipInfo(path.relative_to(folder).as_posix(), OLDEST)
                entry.compress_type, entry.external_attr = ZIP_DEFLATED, 0o644 << 16
                archive.writestr(entry, path.read_bytes())


def write_image(image: Path, target: Path, moment: int) -> None:
    """Write an OCI layout as one archive."""
    with tarfile.open(target, "w") as archive:
        for path in sorted(image.rglob("*")):
            if path.is_file():
                entry = tarfile.TarInfo(path.relative_to(image).as_posix())
                entry.size, entry.mtime = path.stat().st_size, moment
                with path.open("rb") as content:
                    archive.addfile(entry, content)


def read_blob(image: Path, digest: str) -> Path:
    """Return where a layout has a blob."""
    return image / "blobs" / Path(*digest.split(":"))


def debian_packages(image: Path) -> list[dict[str, str]]:
    """Return the fields of every Debian package of an image."""
    index = json.loads((image / "index.json").read_text("utf-8"))
    manifest = json.loads(read_blob(image, index["manifests"][0]["digest"]).read_bytes())
    found = []
    with tarfile.open(read_blob(image, manifest["layers"][0]["digest"]), "r:gz") as layer:
        for entry in layer:
            if entry.isreg() and "var/lib/dpkg/status.d/" in entry.name:
                content = layer.extractfile(entry)
                text = content.read().decode() if content else ""
                found.append(dict(re.findall(r"^([A-Z][\w-]*): (.*)$", text, re.MULTILINE)))
    return found


def with_debian(bill: dict[str, Any], packages: list[dict[str, str]]) -> dict[str, Any]:
    """Return the image's bill of materials: the companion's with Debian's packages (purl: pkg:deb)."""
    whole = deepcopy(bill)
    whole.pop("serialNumber", None)
    whole["components"] += [
        {
            "type": "library",
            "bom-ref": f"{one['Package']}@{one['Version']}",
            "name": one["Package"],
            "version": one["Version"],
            "purl": f"pkg:deb/debian/{one['Package']}@{one['Version'].replace('+', '%2B')}?arch={one['Architecture']}",
        }
        for one in packages
    ]
    return whole


def write_checksums(folder: Path) -> None:
    """Write SHA256SUMS over everything else in the folder, as `sha256sum --check` reads it."""
    lines = [
        f"{sha256(path.read_bytes()).hexdigest()}  {path.name}\n"
        for path in sorted(folder.iterdir())
        if path.name != "SHA256SUMS"
    ]
    (folder / "SHA256SUMS").write_text("".join(lines), "utf-8")


def check(version: str) -> int:
    """Print what does not agree; returns the exit code."""
    found = list(faults(ROOT, version))
    for fault in found:
        print(f"release: {fault}", file=sys.stderr)
    return 1 if found else 0


def look_for_strays() -> int:
    """Print what would be packed and isn't in git; returns the exit code."""
    found = strays(ROOT)
    for name in found:
        print(f"release: {name!r} isn't in git: commit it or take it away.", file=sys.stderr)
    return 1 if found else 0


def write(version: str, image: Path, folder: Path) -> None:
    """Write the zip, the image, its bill of materials and the checksums into the folder that has the rest already."""
    write_zip(ROOT, folder / "teslafi.zip")
    config = f"teslafi-companion-{version}-{os.uname().machine}"
    write_image(image, folder / f"{config}.oci.tar", int(os.environ["SOURCE_DATE_EPOCH"]))
    bill = json.loads((folder / "teslafi-companion.cdx.json").read_text("utf-8"))
    whole = with_debian(bill, debian_packages(image))
    (folder / f"{config}.cdx.json").write_text(json.dumps(whole, indent=2) + "\n", "utf-8")
    write_checksums(folder)


def main(command: str, *rest: str) -> int:
    """Run `check VERSION`, `strays` or `write VERSION IMAGE FOLDER`."""
    if command == "check":
        return check(*rest)
    if command == "strays":
        return look_for_strays()
    version, image, folder = rest
    write(version, Path(image), Path(folder))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
