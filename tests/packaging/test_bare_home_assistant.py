"""The zip of a release in the oldest Home Assistant that takes it, without a tool of ours, over what 0.1.0 stored."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import asdict
from importlib import metadata
import json
import os
from pathlib import Path
import re
import shutil
import subprocess
import sys
from typing import Any, Final
from zipfile import ZipFile

import pytest

from custom_components.teslafi.tesla.servers import Server
from script import release
from teslafi_simulators.tesla import TeslaSimulator
from teslafi_simulators.tesla.addresses import Addresses, Region
from teslafi_simulators.tesla.scenario import ANNAS_MODEL_3
from tests.integration.owner import ANNA
from tests.live.home_assistant import Credential, LiveHomeAssistant
from tests.live.ports import free_port
from tests.stored.place import HOME, STORED, Known

from .compiled import SITE_PACKAGES, give_compiled

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("socket_enabled")]

ROOT: Final = Path(__file__).parents[2]
OLDEST: Final[str] = json.loads((ROOT / "hacs.json").read_text("utf-8"))["homeassistant"]
PREVIOUS: Final = STORED / "0.1.0" / "sqlite"
UV: Final = Path(sys.executable).with_name("uv")
BUILT: Final = ("pymicro-vad", "pyqrcode", "pyspeex-noise", "pyturbojpeg")
"""What Home Assistant needs and PyPI has as sources alone, two of them in C++."""
PATIENCE: Final = 300
"""Seconds after which something hangs, on the slowest machine."""

CONFIGURATION: Final = """\
# Nothing that would ask the network, and no interface: its package is forty megabytes
api:
config:
logger:
  default: warning
"""

LAUNCHER: Final = '''\
"""Starts Home Assistant with other addresses of Tesla's, as soon as the integration's table of them is read."""

import ctypes
import importlib.abc
import importlib.util
import json
from pathlib import Path
import sys

TABLE = "custom_components.teslafi.tesla.servers"


class Simulated(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name != TABLE:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        run = spec.loader.exec_module

        def exec_module(module):
            run(module)
            for table, servers in json.loads(Path("addresses.json").read_text()).items():
                getattr(module, table).update({region: module.Server(**said) for region, said in servers.items()})

        spec.loader.exec_module = exec_module
        return spec


ctypes.CDLL(None).prctl(1, 15)  # to end with the tests, however they end
sys.argv.pop(1)  # the simulator's address, which is in the file
sys.meta_path.insert(0, Simulated())
from homeassistant.__main__ import main

sys.exit(main())
'''


@pytest.fixture(scope="module")
def bare() -> Path:
    """Return a Python with Home Assistant as its own image has it; kept from run to run: it is compiled once."""
    place = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "teslafi" / f"home-assistant-{OLDEST}"
    python = place / "bin" / "python"
    if not (place / "bin" / "hass").exists():
        base: str = sys._base_executable  # type: ignore[attr-defined]  # noqa: SLF001 - documented nowhere, used by venv
        subprocess.run([UV, "venv", "--quiet", "--clear", "--python", base, place], check=True)  # noqa: S603 - our own
        install(python, f"homeassistant=={OLDEST}")
        (pinned,) = place.glob("lib/*/site-packages/homeassistant/package_constraints.txt")
        packages = pinned.parents[1]
        take_built(packages)
        # It would install these one after the other
        install(python, "--override", str(pinned), "--group", f"{ROOT / 'pyproject.toml'}:demo")
        give_compiled(SITE_PACKAGES, packages)
    return python


def install(python: Path, *what: str) -> None:
    """Install packages for a Python."""
    include = f"{sys.base_prefix}/include"
    subprocess.run(  # noqa: S603 - our own
        [UV, "pip", "install", "--quiet", "--python", python, *what],
        check=True,
        env=os.environ | {"CPATH": f"{include}/python3.14:{include}"},
    )


def take_built(packages: Path) -> None:
    """Take what was built for this Python; another uv, as Home Assistant's, would build it again."""
    for name in BUILT:
        # Some are not here where there is no compiler
        for one in metadata.distributions(name=name):
            for file in one.files or ():
                if ".." not in file.parts:
                    (packages / file).parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy2(file.locate(), packages / file)


def addresses_of(simulator: TeslaSimulator) -> dict[str, dict[str, dict[str, str]]]:
    """Return the integration's tables of addresses, with the simulator's."""
    addresses = Addresses(simulator.url)
    regions: tuple[Region, ...] = ("na", "eu", "cn")
    fleet: dict[str, Server] = {
        one: Server(api=addresses.fleet(one), authorize=addresses.authorize(one), token=addresses.token(one))
        for one in regions
    }
    owner_api: dict[str, Server] = {
        part: Server(api=addresses.owner_api, authorize=addresses.authorize(home), token=addresses.owner_token(home))
        for part, home in (("global", regions[0]), ("cn", regions[2]))
    }
    tables: dict[str, Mapping[str, Server]] = {"SERVERS": fleet, "OWNER_API": owner_api}
    return {table: {key: asdict(server) for key, server in servers.items()} for table, servers in tables.items()}


@pytest.fixture
async def tesla() -> AsyncIterator[TeslaSimulator]:
    """Be the Tesla that issued what 0.1.0 stored."""
    known = Known.read(PREVIOUS)
    async with TeslaSimulator() as simulator:
        for client_id, (refresh_token, scopes) in known.refresh_tokens.items():
            simulator.control.recall(ANNA, client_id, set(scopes), refresh_token)
        simulator.control.wake(ANNAS_MODEL_3)
        simulator.control.set_values(ANNAS_MODEL_3, {"charge_state.charge_limit_soc": 83})
        yield simulator


@pytest.fixture
async def home(bare: Path, tesla: TeslaSimulator, tmp_path: Path) -> AsyncIterator[LiveHomeAssistant]:
    """Start Home Assistant where 0.1.0 was replaced by the content of the zip, as HACS and people do it."""
    instance = LiveHomeAssistant(
        folder=tmp_path / "config",
        port=free_port(),
        simulator_url=tesla.url,
        python=bare,
        # Home Assistant itself installs what manifest.json asks for
        skip_pip=False,
        launcher=("launcher.py",),
        place=tmp_path,
    )
    (tmp_path / "launcher.py").write_text(LAUNCHER, "utf-8")
    (tmp_path / "addresses.json").write_text(json.dumps(addresses_of(tesla)), "utf-8")
    instance.prepare(Credential(client_id="unused", client_secret="unused", name="Replaced by what was stored"))
    (instance.folder / "configuration.yaml").write_text(CONFIGURATION, "utf-8")
    shutil.copytree(PREVIOUS / HOME / ".storage", instance.folder / ".storage", dirs_exist_ok=True)
    release.write_zip(ROOT, tmp_path / "teslafi.zip")
    with ZipFile(tmp_path / "teslafi.zip") as archive:
        archive.extractall(instance.folder / "custom_components" / "teslafi")
    await instance.start()
    yield instance
    await instance.stop()


def stored(name: str) -> Any:  # noqa: ANN401 - JSON
    return json.loads((PREVIOUS / HOME / ".storage" / name).read_text("utf-8"))["data"]


async def settled(home: LiveHomeAssistant, entity_id: str, wanted: str) -> None:
    """Wait until an entity has a state."""
    async with asyncio.timeout(PATIENCE):
        while (await home.api("GET", f"states/{entity_id}"))["state"] != wanted:  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.25)


async def test_the_zip_goes_on_with_what_the_previous_version_stored(home: LiveHomeAssistant) -> None:
    known = Known.read(PREVIOUS)
    (entry,) = [one for one in await home.api("GET", "config/config_entries/entry") if one["domain"] == "teslafi"]
    assert (entry["entry_id"], entry["state"]) == (known.entry_id, "loaded")
    manifest = await home.call({"type": "manifest/get", "integration": "teslafi"})
    assert manifest["version"] == json.loads((ROOT / release.COMPONENT / "manifest.json").read_text("utf-8"))["version"]
    assert not manifest["is_built_in"]

    # A value that the car tells now: the grant was opened, renewed and used
    await settled(home, "sensor.roadrunner_charge_limit", "83")
    now = {one["unique_id"]: one["entity_id"] for one in await home.call({"type": "config/entity_registry/list"})}
    before = {one["unique_id"]: one["entity_id"] for one in stored("core.entity_registry")["entities"]}
    assert before.items() <= now.items()
    assert await home.call({"type": "config_entries/flow/progress"}) == [], "nobody is asked to sign in again"

    # And another account can be added
    flow = await home.api("POST", "config/config_entries/flow", {"handler": "teslafi"})
    assert flow["type"] == "menu"

    # Of Home Assistant's own parts some miss programs here (ffmpeg); ours miss nothing
    entries = re.split(r"^(?=\d{4}-\d{2}-\d{2} )", home.log.read_text("utf-8"), flags=re.MULTILINE)
    assert [one for one in entries if re.search(r" (ERROR|CRITICAL) ", one) and "custom_components" in one] == []
