"""Writes a folder of files as an image in an OCI layout; the same files make the same bytes.

Formats: OCI Image Format Specification 1.1 (layout, manifest, config, layer). Debian's buildah leaves out the health
check in this format and writes its own version into the config. `Healthcheck` is Docker's extension of it, which
BuildKit writes as well.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
import gzip
from hashlib import sha256
import json
import os
from pathlib import Path
import shutil
import sys
import tarfile
from typing import Any, Final, Protocol

ARCHITECTURES: Final = {"x86_64": "amd64", "aarch64": "arm64"}
MEDIA: Final = "application/vnd.oci.image."
OWNED: Final = "var/lib/companion"
"""What belongs to the companion's user; everything else is root's."""


class Sink(Protocol):
    """What takes bytes."""

    def write(self, data: bytes, /) -> object: ...  # noqa: D102 - as of a file

    def flush(self) -> object: ...  # noqa: D102 - the same


class Hashed:
    """Passes on what is written, and knows its digest and size."""

    def __init__(self, sink: Sink) -> None:
        """Pass on to this sink."""
        self._sink, self._hash, self.size = sink, sha256(), 0

    def write(self, data: bytes) -> int:
        """Write bytes."""
        self._hash.update(data)
        self.size += len(data)
        self._sink.write(data)
        return len(data)

    def flush(self) -> None:
        """Have everything that was written passed on."""
        self._sink.flush()

    @property
    def digest(self) -> str:
        """Return the digest of all that was written, as OCI writes it."""
        return f"sha256:{self._hash.hexdigest()}"


def member(files: Path, path: Path, user: int, moment: int) -> tarfile.TarInfo:
    """Return a file's entry in the layer: neither its owner here nor its time tells anything."""
    name = path.relative_to(files).as_posix()
    entry = tarfile.TarInfo(name)
    entry.mtime = moment
    if path.is_symlink():
        entry.type, entry.linkname, entry.mode = tarfile.SYMTYPE, str(path.readlink()), 0o777
    elif path.is_dir():
        entry.type, entry.mode = tarfile.DIRTYPE, 0o1777 if name in {"tmp", "var/tmp"} else 0o755
    else:
        status = path.stat()
        entry.size, entry.mode = status.st_size, 0o755 if status.st_mode & 0o100 else 0o644
    if name == OWNED or name.startswith(f"{OWNED}/"):
        entry.uid = entry.gid = user
        entry.mode = 0o700
    return entry


def write_layer(files: Path, blobs: Path, user: int, moment: int, level: int) -> tuple[dict[str, Any], str]:
    """Write the layer, at this level of gzip; returns its descriptor and the digest of what it unpacks to."""
    unnamed = blobs / "layer"
    with unnamed.open("wb") as file:
        packed = Hashed(file)
        with gzip.GzipFile(fileobj=packed, mode="wb", compresslevel=level, mtime=0, filename="") as compressor:
            plain = Hashed(compressor)
            with tarfile.open(fileobj=plain, mode="w|", format=tarfile.PAX_FORMAT) as layer:  # type: ignore[call-overload]
                for path in sorted(files.rglob("*")):
                    entry = member(files, path, user, moment)
                    if entry.isreg():
                        with path.open("rb") as content:
                            layer.addfile(entry, content)
                    else:
                        layer.addfile(entry)
    unnamed.rename(blobs / packed.digest.removeprefix("sha256:"))
    return descriptor("layer.v1.tar+gzip", packed.digest, packed.size), plain.digest


def descriptor(kind: str, digest: str, size: int) -> dict[str, Any]:
    """Return what names a blob."""
    return {"mediaType": MEDIA + kind, "digest": digest, "size": size}


def write_json(blobs: Path, kind: str, content: Mapping[str, Any]) -> dict[str, Any]:
    """Write a blob of JSON; returns its descriptor."""
    data = json.dumps(content, separators=(",", ":"), sort_keys=True).encode()
    digest = sha256(data).hexdigest()
    (blobs / digest).write_bytes(data)
    return descriptor(kind, f"sha256:{digest}", len(data))


def write_image(files: Path, config: Mapping[str, Any], output: Path, moment: int, level: int) -> str:
    """Write the layout, in place of one that is there; returns the image's digest."""
    user = int(config["User"].partition(":")[0])
    for volume in config["Volumes"]:
        (files / volume.lstrip("/")).mkdir(parents=True, exist_ok=True)
    output.parent.mkdir(parents=True, exist_ok=True)
    place = output.with_name(f"{output.name}.new")
    shutil.rmtree(place, ignore_errors=True)
    blobs = place / "blobs" / "sha256"
    blobs.mkdir(parents=True)
    layer, unpacked = write_layer(files, blobs, user, moment, level)
    created = datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    image = {
        "architecture": ARCHITECTURES[os.uname().machine],
        "config": dict(config),
        "created": created,
        "history": [{"created": created, "created_by": "script/image"}],
        "os": "linux",
        "rootfs": {"type": "layers", "diff_ids": [unpacked]},
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": f"{MEDIA}manifest.v1+json",
        "config": write_json(blobs, "config.v1+json", image),
        "layers": [layer],
    }
    index = {"schemaVersion": 2, "manifests": [write_json(blobs, "manifest.v1+json", manifest)]}
    (place / "index.json").write_text(json.dumps(index), "utf-8")
    (place / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}', "utf-8")
    shutil.rmtree(output, ignore_errors=True)
    place.rename(output)
    return str(index["manifests"][0]["digest"])  # type: ignore[index]


def main(files: str, config: str, output: str, moment: str, level: str) -> None:
    """Write the image, and print its digest."""
    described = json.loads(Path(config).read_text("utf-8"))
    print(write_image(Path(files), described, Path(output), int(moment), int(level)))


if __name__ == "__main__":
    main(*sys.argv[1:])
