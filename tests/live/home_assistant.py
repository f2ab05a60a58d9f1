"""A real Home Assistant as a process of its own: its configuration written, onboarding done, started, asked, stopped.

Formats of the stores: Home Assistant 2026.10 (`auth`, `onboarding`, `http`, `application_credentials`). All secrets
here are made for one throw-away instance on loopback.
"""

import asyncio
import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
import hashlib
import json
import os
from pathlib import Path
import secrets
import shutil
import signal
import sys
from typing import Any, Final
from zoneinfo import ZoneInfo

import aiohttp
import bcrypt
import jwt

from .energy import PREFERENCES, month_before
from .processes import Running, Starts, executed

ROOT: Final = Path(__file__).parents[2]
USER: Final = "demo"
PASSWORD: Final = "demo-pass"
START_SECONDS: Final = 600
DASHBOARD: Final = "tesla-fi"
"""Where the dashboard TeslaFi is; Home Assistant wants a hyphen in it."""
STOP_SECONDS: Final = 180
MAP: Final = "map"
DASHBOARD_FILES: Final = Path("custom_components") / "teslafi" / "dashboard" / "files"
OWNER_ID: Final = "1" * 32
CREDENTIAL_ID: Final = "2" * 32

CONFIGURATION: Final = """\
# Made by tests/live. No default_config: it would look for devices and clouds on the network.
frontend: !include frontend.yaml
history:
logbook:
energy:
sun:
system_health:
recorder:
  commit_interval: 1
logger:
  default: warning
  logs:
    custom_components.teslafi: debug
"""

CORE: Final = {
    "latitude": 37.4,
    "longitude": -122.1,
    "elevation": 10,
    "unit_system_v2": "metric",
    "location_name": "Demo home",
    "time_zone": "America/Los_Angeles",
    "external_url": None,
    "internal_url": None,
    "currency": "USD",
    "country": "US",
    "language": "en",
    "radius": 100,
}
"""Stored instead of written as YAML, so that the user interface can change it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """A developer application for Home Assistant's application credentials."""

    client_id: str
    client_secret: str
    name: str


@dataclass(kw_only=True)
class LiveHomeAssistant:
    """One instance in `folder`, on `port` of loopback, in front of the simulator at `simulator_url`."""

    folder: Path
    port: int
    simulator_url: str
    python: Path = field(default_factory=lambda: Path(sys.executable))
    skip_pip: bool = True
    launcher: tuple[str, ...] = ("-m", "tests.live.launch")
    """What starts it, in `place`, with the simulator's address and Home Assistant's own arguments."""
    place: Path = ROOT
    starts: Starts | None = None
    """How it begins, if not as a new `python`."""
    _process: Running | None = None

    @property
    def url(self) -> str:
        """Address of the frontend."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> Path:
        """Where the instance writes what happens."""
        return self.folder / "home-assistant.log"

    @property
    def access_token(self) -> str:
        """A long-lived access token of the user, for Home Assistant's own API."""
        return (self.folder / "access-token.txt").read_text()

    def prepare(self, credential: Credential) -> None:
        """Write the configuration, unless this folder has one already."""
        if (self.folder / ".storage" / "auth").exists():
            self._store("http", http_settings(self.port), version=2, minor=2)
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "configuration.yaml").write_text(CONFIGURATION)
        (self.folder / "frontend.yaml").touch()
        tokens = [
            _refresh_token("3" * 32, "normal", f"{self.url}/", None),
            _refresh_token("4" * 32, "long_lived_access_token", None, "tests"),
        ]
        self._store("auth", _auth(tokens))
        self._store("auth_provider.homeassistant", {"users": [{"username": USER, "password": _hashed(PASSWORD)}]})
        self._store("onboarding", {"done": ["user", "core_config", "analytics", "integration"]}, version=4)
        self._store("core.config", CORE, minor=4)
        self._store("http", http_settings(self.port), version=2, minor=2)
        self._store("application_credentials", {"items": [_credential_item(credential)]})
        (self.folder / "access-token.txt").write_text(_long_lived(tokens[1]))
        self._keep_brands_offline()

    def load_dashboard_early(self) -> None:
        """Have pages load the dashboard's module from the first start on, not only once the integration is added.

        An owner meets the dashboard after the integration; the demo opens with it.
        """
        served = self.folder / "www" / "teslafi"
        shutil.copytree(self.place / DASHBOARD_FILES, served, dirs_exist_ok=True)
        # Browsers keep what `/local` serves for a month
        content = b"".join(path.read_bytes() for path in sorted(served.iterdir()))
        module = f"/local/teslafi/teslafi-dashboard.js?{hashlib.sha256(content).hexdigest()[:12]}"
        (self.folder / "frontend.yaml").write_text(f"extra_module_url: [{json.dumps(module)}]\n")

    def _store(self, key: str, data: Mapping[str, Any], *, version: int = 1, minor: int = 1) -> None:
        path = self.folder / ".storage" / key
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps({"version": version, "minor_version": minor, "key": key, "data": data}))

    def _keep_brands_offline(self) -> None:
        """An empty picture in the cache counts as "there is none": nothing is asked of the internet for it."""
        for name in ("_placeholder", "sun", "backup", "energy", "application_credentials"):
            folder = self.folder / ".cache" / "brands" / "integrations" / name
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "icon.png").touch()

    async def start(self) -> None:
        """Start and wait until it runs; raise RuntimeError with the end of its log when it does not."""
        arguments = ["--config", str(self.folder), "--log-no-color", "--log-file", str(self.log)]
        if self.skip_pip:
            arguments.append("--skip-pip")
        include = f"{sys.base_prefix}/include"
        # In a session of its own: a Ctrl-C in the terminal is for us; we stop it in order.
        starts = self.starts or partial(executed, python=self.python)
        with (self.folder / "output.log").open("wb") as output:
            self._process = await starts(
                *self.launcher,
                self.simulator_url,
                *arguments,
                cwd=self.place,
                env={**os.environ, "CPATH": f"{include}/python3.14:{include}"},
                stdout=output,
            )
        try:
            async with asyncio.timeout(START_SECONDS):
                while not await self._runs():
                    if self._process.returncode is not None:
                        raise RuntimeError(f"Home Assistant ended while starting:\n{self._tail()}")
                    await asyncio.sleep(0.25)
        except TimeoutError as error:
            raise RuntimeError(f"Home Assistant did not run within {START_SECONDS} s:\n{self._tail()}") from error

    async def _runs(self) -> bool:
        try:
            return bool((await self.api("GET", "config"))["state"] == "RUNNING")
        except aiohttp.ClientError, TimeoutError:
            # A minute without an answer is a slow machine's, while it imports what it is made of
            return False

    def _tail(self) -> str:
        output = self.folder / "output.log"
        return "\n".join(output.read_text(errors="replace").splitlines()[-20:])

    async def stop(self) -> None:
        """Ask it to stop, wait, and only then end it."""
        process = self._process
        if process is None or process.returncode is not None:
            return
        process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await process.wait()
        except TimeoutError:
            await self.kill()

    async def kill(self) -> None:
        """End it at once, as a power cut would."""
        process = self._process
        if process is None or process.returncode is not None:
            return
        process.kill()
        await process.wait()

    async def ended(self) -> int:
        """Wait until the process ends by itself; return its code."""
        if self._process is None:
            raise RuntimeError("not started")
        return await self._process.wait()

    async def api(self, method: str, path: str, body: Any = None) -> Any:  # noqa: ANN401 - JSON of any shape
        """Ask Home Assistant's REST API as the user, like the frontend does; raise aiohttp.ClientError on a refusal."""
        headers = {"Authorization": f"Bearer {self.access_token}", "HA-Frontend-Base": self.url}
        timeout = aiohttp.ClientTimeout(total=60)
        async with (
            aiohttp.ClientSession(headers=headers, timeout=timeout) as session,
            session.request(method, f"{self.url}/api/{path}", json=body) as response,
        ):
            if not response.ok:
                raise aiohttp.ClientError(f"{method} {path}: {response.status} {await response.text()}")
            return await response.json()

    async def call(self, message: Mapping[str, Any]) -> Any:  # noqa: ANN401 - JSON of any shape
        """Send one WebSocket command; return its result."""
        timeout = aiohttp.ClientTimeout(total=60)
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.ws_connect(f"{self.url}/api/websocket") as socket,
        ):
            await socket.receive_json()
            await socket.send_json({"type": "auth", "access_token": self.access_token})
            await socket.receive_json()
            await socket.send_json({"id": 1, **message})
            answer = await socket.receive_json()
        if not answer["success"]:
            raise RuntimeError(f"{message['type']}: {answer['error']}")
        return answer["result"]

    async def add_map(self) -> None:
        """Have the page that Home Assistant's onboarding makes, unless it is there already."""
        present = await self.call({"type": "lovelace/dashboards/list"})
        if any(dashboard["url_path"] == MAP for dashboard in present):
            return
        created = {"url_path": MAP, "title": "Map", "icon": "mdi:map", "allow_single_word": True}
        await self.call({"type": "lovelace/dashboards/create", "mode": "storage", **created})
        await self.call({"type": "lovelace/config/save", "url_path": MAP, "config": {"strategy": {"type": MAP}}})

    async def add_energy(self) -> None:
        """Have the Energy dashboard set up for Anna's cars and house, whose entities may come later, unless it is."""
        if not (self.folder / ".storage" / "energy").exists():
            await self.call({"type": "energy/save_prefs", **PREFERENCES})

    async def add_energy_month(self) -> None:
        """Have the month before now on the Energy dashboard, unless it was set up before."""
        if not (self.folder / ".storage" / "energy").exists():
            for command in month_before(datetime.now(ZoneInfo(str(CORE["time_zone"])))):
                await self.call(command)

    async def add_dashboard(self) -> None:
        """Have the dashboard TeslaFi in the sidebar and open with it, unless it is there already."""
        present = await self.call({"type": "lovelace/dashboards/list"})
        if any(dashboard["url_path"] == DASHBOARD for dashboard in present):
            return
        created = {"url_path": DASHBOARD, "title": "TeslaFi", "icon": "mdi:car-electric"}
        await self.call({"type": "lovelace/dashboards/create", "mode": "storage", **created})
        strategy = {"strategy": {"type": "custom:teslafi"}}
        await self.call({"type": "lovelace/config/save", "url_path": DASHBOARD, "config": strategy})
        opened = {"default_panel": DASHBOARD}
        await self.call({"type": "frontend/set_user_data", "key": "core", "value": opened})


def _auth(tokens: list[dict[str, Any]]) -> dict[str, Any]:
    owner = {
        "id": OWNER_ID,
        "group_ids": ["system-admin"],
        "is_owner": True,
        "is_active": True,
        "name": "Demo",
        "system_generated": False,
        "local_only": False,
    }
    credential = {
        "id": CREDENTIAL_ID,
        "user_id": OWNER_ID,
        "auth_provider_type": "homeassistant",
        "auth_provider_id": None,
        "data": {"username": USER},
    }
    groups = [{"id": f"system-{kind}", "name": kind} for kind in ("admin", "users", "read-only")]
    return {"users": [owner], "groups": groups, "credentials": [credential], "refresh_tokens": tokens}


def _refresh_token(number: str, kind: str, client_id: str | None, client_name: str | None) -> dict[str, Any]:
    return {
        "id": number,
        "user_id": OWNER_ID,
        "client_id": client_id,
        "client_name": client_name,
        "client_icon": None,
        "token_type": kind,
        "created_at": datetime.now(UTC).isoformat(),
        "access_token_expiration": 1800.0 if client_name is None else 315360000.0,
        "token": secrets.token_hex(64),
        "jwt_key": secrets.token_hex(64),
        "last_used_at": None,
        "last_used_ip": None,
        "expire_at": None,
        "credential_id": CREDENTIAL_ID if client_name is None else None,
        "version": None,
    }


def _long_lived(token: Mapping[str, Any]) -> str:
    now = int(datetime.now(UTC).timestamp())
    return jwt.encode(
        {"iss": token["id"], "iat": now - 60, "exp": now + 315360000}, token["jwt_key"], algorithm="HS256"
    )


def _hashed(password: str) -> str:
    return base64.b64encode(bcrypt.hashpw(password.encode(), bcrypt.gensalt(rounds=4))).decode()


def http_settings(port: int) -> dict[str, Any]:
    """Return what the store `http` (version 2.2) holds for a port of this machine alone.

    YAML for `http` is deprecated and restarts Home Assistant after a trial; the store is read as it is.
    """
    stable = {
        "server_host": ["127.0.0.1"],
        "server_port": port,
        "cors_allowed_origins": [],
        "login_attempts_threshold": -1,
        "ip_ban_enabled": False,
        "ssl_profile": "modern",
        "use_x_frame_options": True,
        "created_at": datetime.now(UTC).isoformat(),
        "error": None,
        "error_message": None,
    }
    return {"stable": stable, "pending": None, "yaml_migration_done": True}


def _credential_item(credential: Credential) -> dict[str, str]:
    number = f"teslafi_{credential.client_id.replace('-', '_')}"
    return {
        "id": number,
        "domain": "teslafi",
        "client_id": credential.client_id,
        "client_secret": credential.client_secret,
        "auth_domain": number,
        "name": credential.name,
    }
