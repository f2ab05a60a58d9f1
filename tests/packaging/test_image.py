"""The companion's image: what it says of itself, and the image as it is built, run and stopped."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
import fcntl
import gzip
from hashlib import sha256
import json
import os
from pathlib import Path
import re
import shlex
import shutil
import subprocess
from tempfile import TemporaryDirectory
from typing import Any, Final
import urllib.request

import pytest
import yaml

from script import oci
import teslafi_companion
from teslafi_companion.cli import COMMANDS
from tests.live.ports import free_port

ROOT: Final = Path(__file__).parents[2]
COMPANION: Final = ROOT / "companion"
CONFIG: Final[dict[str, Any]] = json.loads((COMPANION / "image.json").read_text("utf-8"))
CANNOT: Final = 3
"""`script/image` says with it that this machine can't build images."""
LARGEST: Final = 200_000_000
PATIENCE: Final = 120
"""Seconds after which something hangs, on the slowest machine."""
SECOND: Final = 10**9
"""Docker writes times in nanoseconds."""
type Tree = dict[str, Any]


# What the Containerfile, compose.yaml and the image say of the same service


def last_stage() -> dict[str, list[str]]:
    """Return the instructions of the Containerfile's last stage."""
    text = (COMPANION / "Containerfile").read_text("utf-8").replace("\\\n", " ")
    found: dict[str, list[str]] = {}
    for line in re.split(r"^FROM .*$", text, flags=re.MULTILINE)[-1].splitlines():
        if line and not line.startswith("#"):
            word, _, rest = line.partition(" ")
            found.setdefault(word, []).append(rest.strip())
    return found


def seconds(said: str) -> int:
    """Return a duration such as 30s."""
    return int(said.removesuffix("s"))


def test_the_containerfile_makes_the_same_service() -> None:
    said = last_stage()
    assert [json.loads(one) for one in said["ENTRYPOINT"]] == [CONFIG["Entrypoint"]]
    assert [json.loads(one) for one in said["CMD"]] == [CONFIG["Cmd"]]
    assert said["WORKDIR"] == [CONFIG["WorkingDir"]]
    assert [json.loads(one) for one in said["VOLUME"]] == [list(CONFIG["Volumes"])]
    assert [f"{port}/tcp" for port in said["EXPOSE"]] == list(CONFIG["ExposedPorts"])
    assert said["USER"] == ["companion"]
    uid = re.search(r"useradd .*--uid (\d+) .* companion\b", said["RUN"][0])
    assert uid is not None
    assert CONFIG["User"] == f"{uid[1]}:{uid[1]}"
    environment = dict(one.split("=") for one in shlex.split(said["ENV"][0]))
    expected = dict(one.split("=") for one in CONFIG["Env"])
    assert environment.pop("PATH").partition(":")[0] == expected.pop("PATH").partition(":")[0]
    assert environment == expected


def test_the_containerfile_s_health_check_is_the_image_s() -> None:
    options, _, command = last_stage()["HEALTHCHECK"][0].partition("CMD ")
    check = CONFIG["Healthcheck"]
    assert ["CMD", *json.loads(command)] == check["Test"]
    said = {name: seconds(value) * SECOND for name, value in re.findall(r"--([a-z-]+)=(\d+s)", options)}
    assert said == {
        "interval": check["Interval"],
        "timeout": check["Timeout"],
        "start-period": check["StartPeriod"],
    }


def test_compose_runs_what_the_image_has() -> None:
    service: Tree = yaml.safe_load((COMPANION / "compose.yaml").read_text("utf-8"))["services"]["companion"]
    assert not {"entrypoint", "user", "working_dir"} & service.keys(), "they are the image's"
    assert service["command"][0] == CONFIG["Cmd"][0]
    assert service["command"][0] in COMMANDS
    assert {volume.split(":")[1] for volume in service["volumes"]} <= CONFIG["Volumes"].keys()
    assert [f"{port.rpartition(':')[2]}/tcp" for port in service["ports"]] == list(CONFIG["ExposedPorts"])
    check, said = CONFIG["Healthcheck"], service["healthcheck"]
    assert said["test"] == check["Test"]
    assert [seconds(said[name]) * SECOND for name in ("interval", "timeout", "start_period")] == [
        check["Interval"],
        check["Timeout"],
        check["StartPeriod"],
    ]


def test_nothing_needs_a_shell() -> None:
    assert CONFIG["Healthcheck"]["Test"][0] == "CMD", "CMD-SHELL is a shell"
    for file in ("Containerfile", "compose.yaml"):
        for words in re.findall(r"\[[^\]]*\]", (COMPANION / file).read_text("utf-8")):
            assert not {'"sh"', '"bash"', "sh", "bash"} & set(re.split(r"[\[\], ]+", words)), (file, words)


def test_a_machine_that_cannot_build_it_says_so(tmp_path: Path) -> None:
    for program in ("bash", "dirname", "id"):
        (tmp_path / program).symlink_to(shutil.which(program) or "")
    ended = subprocess.run(  # noqa: S603 - our own script
        [ROOT / "script" / "image", tmp_path / "image"],
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == CANNOT
    assert re.fullmatch(r"image: mmdebstrap is missing .* install mmdebstrap.*\n", ended.stderr)
    assert not (tmp_path / "image").exists()


# The image itself


def inputs() -> str:
    """Return a digest of everything that the image is made of, but Debian's packages."""
    files = [
        ROOT / "script" / "image",
        ROOT / "script" / "oci.py",
        ROOT / "uv.lock",
        ROOT / "contract" / "companion-api.yaml",
    ]
    files += [one for one in COMPANION.rglob("*") if one.is_file() and "__pycache__" not in one.parts]
    made = sha256()
    for file in sorted(files):
        made.update(f"{file.relative_to(ROOT)}\0{file.stat().st_mode & 0o100}\0".encode() + file.read_bytes())
    return made.hexdigest()


def build(folder: Path, **environment: str) -> str:
    """Build the image; returns its digest. Skips where that can't be done, but never in CI."""
    epoch = {"SOURCE_DATE_EPOCH": "1796000000"}
    ended = subprocess.run(  # noqa: S603 - our own script
        [ROOT / "script" / "image", folder],
        env=os.environ | epoch | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if ended.returncode == CANNOT and "CI" not in os.environ:
        pytest.skip(ended.stderr.strip().splitlines()[-1])
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.strip()


@contextmanager
def cache(kind: str, made_of: str) -> Iterator[Path]:
    """Give the folder of what was made of these inputs, to one worker at a time; that of other inputs goes."""
    place = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "teslafi" / kind
    place.mkdir(parents=True, exist_ok=True)
    with (place / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        mine = place / sha256(made_of.encode()).hexdigest()[:24]
        for other in place.iterdir():
            if other.is_dir() and other != mine:
                shutil.rmtree(other)
        mine.mkdir(exist_ok=True)
        yield mine


@pytest.fixture(scope="module")
def image() -> Path:
    """Give the image's layout, built once for these inputs."""
    with cache("image", inputs()) as place:
        if not (place / "first" / "index.json").exists():
            build(place / "first")
        return place / "first"


def blob(image: Path, digest: str) -> Path:
    return image / "blobs" / Path(*digest.split(":"))


def manifest(image: Path) -> Tree:
    index = json.loads((image / "index.json").read_text("utf-8"))
    found: Tree = json.loads(blob(image, index["manifests"][0]["digest"]).read_bytes())
    return found


@pytest.fixture(scope="module")
def config(image: Path) -> Tree:
    """Give the image's config."""
    found: Tree = json.loads(blob(image, manifest(image)["config"]["digest"]).read_bytes())
    return found


@contextmanager
def open_folder() -> Iterator[Path]:
    """Give a folder that the user of the service reaches: what pytest gives is its own user's alone."""
    with TemporaryDirectory(prefix="image-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


@pytest.fixture(scope="module")
def files(image: Path) -> Iterator[Path]:
    """Unpack the image."""
    (layer,) = manifest(image)["layers"]
    with open_folder() as folder:
        subprocess.run(  # noqa: S603 - our own layer
            ["tar", "-xzf", blob(image, layer["digest"]), "-C", folder],  # noqa: S607 - the system's
            check=True,
            stderr=subprocess.DEVNULL,
        )
        yield folder


class Container:
    """Runs commands in the image as a container engine does: read-only, without capabilities, as the image's user."""

    def __init__(self, files: Path, config: Tree, state: Path) -> None:
        """Take the unpacked image, what it says of itself, and a folder for its volumes."""
        self._user, _, self._group = config["User"].partition(":")
        self._before = []
        for volume in config["Volumes"]:
            (state / volume.lstrip("/")).mkdir(parents=True)
        if os.geteuid() == 0:
            self._before = ["setpriv", f"--reuid={self._user}", f"--regid={self._group}", "--clear-groups"]
            for path in (state, *state.rglob("*")):
                os.chown(path, int(self._user), int(self._group))
        self._files, self._config, self._state = files, config, state

    def command(self, words: Sequence[str], **environment: str) -> list[str]:
        """Return what runs a command of the image."""
        config = self._config
        told = dict(one.split("=", 1) for one in config["Env"]) | environment
        return [
            *self._before,
            *("bwrap", "--unshare-all", "--share-net", "--as-pid-1", "--die-with-parent", "--cap-drop", "ALL"),
            *("--uid", self._user, "--gid", self._group, "--clearenv"),
            *(word for name, value in told.items() for word in ("--setenv", name, value)),
            *("--ro-bind", str(self._files), "/", "--proc", "/proc", "--dev", "/dev"),
            *(word for volume in config["Volumes"] for word in ("--bind", f"{self._state}{volume}", volume)),
            *("--chdir", config["WorkingDir"], "--", *words),
        ]


@pytest.fixture
def container(files: Path, config: Tree) -> Iterator[Container]:
    """Give a container with empty volumes."""
    if shutil.which("bwrap") is None and "CI" not in os.environ:
        pytest.skip("the image is run by bubblewrap: install bubblewrap and run this again")
    with open_folder() as state:
        yield Container(files, config["config"], state)


@pytest.mark.slow
def test_two_builds_are_the_same(image: Path, tmp_path: Path) -> None:
    """Elsewhere, by other habits of the machine: nothing of them is in it.

    The second one isn't compressed, which takes a quarter of a build. What an image is, its config says: the digest of
    its files uncompressed, and all else of it.
    """
    with cache("image", inputs()) as place:
        again = place / "again"
        if not again.exists():
            other = {"TZ": "Asia/Tokyo", "LC_ALL": "C.UTF-8", "PYTHONHASHSEED": "7", "TMPDIR": str(tmp_path)}
            build(tmp_path / "image", TESLAFI_IMAGE_LEVEL="0", **other)
            again.write_text(json.dumps(manifest(tmp_path / "image")["config"]), "utf-8")
        assert manifest(image)["config"] == json.loads(again.read_text("utf-8"))


def test_the_same_files_are_compressed_to_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever they are called where they are written, and whenever that is."""
    made: list[dict[str, object]] = []
    for name in ("here", "there"):
        files, blobs = tmp_path / name / "files", tmp_path / name / "blobs"
        files.mkdir(parents=True)
        blobs.mkdir()
        (files / "data").write_bytes(bytes(range(256)) * 1000)
        os.utime(files / "data", (len(made), len(made)))
        monkeypatch.setattr("time.time", lambda made=made: 1e9 * (1 + len(made)))
        layer, unpacked = oci.write_layer(files, blobs, 1, 1_796_000_000, 6)
        (written,) = blobs.iterdir()
        assert layer["digest"] == f"sha256:{written.name}" == f"sha256:{sha256(written.read_bytes()).hexdigest()}"
        assert unpacked == f"sha256:{sha256(gzip.decompress(written.read_bytes())).hexdigest()}"
        made.append(layer)
    assert made[0] == made[1]


@pytest.mark.slow
def test_it_is_small_and_names_no_machine(image: Path, files: Path, config: Tree) -> None:
    assert config["config"] == CONFIG
    sizes = [path.lstat().st_size for path in files.rglob("*")]
    assert sum(sizes) < LARGEST
    assert sum(layer["size"] for layer in manifest(image)["layers"]) < LARGEST // 2
    for path in files.rglob("*"):
        if path.is_file() and not path.is_symlink():
            assert str(ROOT).encode() not in path.read_bytes(), path


@pytest.mark.slow
def test_it_has_python_and_no_other_program(files: Path) -> None:
    """No shell, no package manager, nothing that runs with the rights of its owner."""
    folders = [files / place for place in ("usr/bin", "usr/sbin", "usr/local/bin", "usr/local/sbin", "usr/games")]
    assert {path.name for folder in folders if folder.exists() for path in folder.iterdir()} == {"python3.14"}
    assert {path.name for path in (files / "opt/companion/bin").iterdir()} == {"python", "teslafi-companion"}
    for path in files.rglob("*"):
        assert path.name not in {"sh", "bash", "dash", "busybox", "apt", "dpkg", "pip"} or path.is_dir(), path
        assert not path.lstat().st_mode & 0o6000, path
        if not path.is_symlink() and path not in {files / "tmp", files / "var/tmp"}:
            assert not path.stat().st_mode & 0o022, path


@pytest.mark.slow
def test_scanners_find_its_packages(files: Path) -> None:
    """In `status.d`, as in images that have no package manager; wheels have their own lists."""
    said = [path.read_text("utf-8") for path in (files / "var/lib/dpkg/status.d").iterdir()]
    assert {"python3.14", "libssl3t64", "libc6"} <= {text.partition("\n")[0].removeprefix("Package: ") for text in said}
    assert all(re.search(r"^Version: \S+$", text, re.MULTILINE) for text in said)


PARTS: Final = """
import ctypes, pathlib, re, sys
import botocore.session
for library in pathlib.Path("/opt/companion").rglob("*.so"):
    ctypes.CDLL(str(library))
for service in sys.argv[1:]:
    botocore.session.get_session().get_service_model(service)
"""


@pytest.mark.slow
def test_what_it_leaves_out_is_not_missed(container: Container) -> None:
    """Every compiled module finds its libraries, and every service of AWS that the code names is there."""
    code = "".join(file.read_text("utf-8") for file in Path(teslafi_companion.__file__).parent.rglob("*.py"))
    services = set(re.findall(r'create_client\(\s*"(\w+)"', code))
    assert services == {"kms", "secretsmanager"}
    subprocess.run(container.command(["python", "-c", PARTS, *services]), check=True, timeout=PATIENCE)  # noqa: S603 - our own image


def asked(url: str, language: str = "en") -> tuple[int, str]:
    """Ask the service; raises OSError."""
    request = urllib.request.Request(url, headers={"Accept-Language": language})  # noqa: S310 - our own service
    with urllib.request.urlopen(request, timeout=PATIENCE) as answer:  # noqa: S310 - the same
        return answer.status, answer.read().decode()


@pytest.mark.slow
@pytest.mark.usefixtures("socket_enabled")
def test_it_serves_and_stops_in_order(container: Container, config: Tree) -> None:
    port = free_port()
    told = {
        "TESLAFI_COMPANION_LISTEN_PORT": str(port),
        "TESLAFI_COMPANION_BASE_URL": f"http://localhost:{port}",
        "TESLAFI_COMPANION_METRICS_PORT": "-1",
    }
    run = config["config"]
    serving = subprocess.Popen(  # noqa: S603 - our own image
        container.command([*run["Entrypoint"], *run["Cmd"]], **told), stdout=subprocess.PIPE, text=True
    )
    try:
        assert serving.stdout is not None
        events = (json.loads(line)["event"] for line in serving.stdout)
        assert "serving" in events, "it ended before"
        status, said = asked(f"http://127.0.0.1:{port}/readyz")
        assert (status, json.loads(said)) == (200, {"status": "ok"})
        # Its own languages are there, with their dates
        assert 'lang="de"' in asked(f"http://127.0.0.1:{port}/sign-in", "de")[1]
        kind, *check = [word.replace(":8080/", f":{port}/") for word in run["Healthcheck"]["Test"]]
        assert kind == "CMD"
        subprocess.run(container.command(check), check=True, timeout=PATIENCE)  # noqa: S603 - our own image
        (inside,) = children(serving.pid)
        status_text = Path(f"/proc/{inside}/status").read_text("utf-8")
        assert re.search(r"^NSpid:\s.*\s1$", status_text, re.MULTILINE), "signals find it as the first process"
        assert re.search(r"^CapEff:\s0+$", status_text, re.MULTILINE)
        os.kill(inside, 15)
        assert serving.wait(PATIENCE) == 0
        assert "stopping" in events
    finally:
        serving.kill()
        serving.wait()
    unhealthy = subprocess.run(container.command(check), check=False, capture_output=True, timeout=PATIENCE)  # noqa: S603 - our own image
    assert unhealthy.returncode != 0


def children(process: int) -> list[int]:
    """Return the processes that a process started."""
    return [int(one) for one in Path(f"/proc/{process}/task/{process}/children").read_text("utf-8").split()]
