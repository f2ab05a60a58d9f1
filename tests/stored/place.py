"""Where what a version stored is kept, and what a test has to know about it that no program stores in clear."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
import json
from pathlib import Path
import sqlite3
import subprocess
from typing import Final, Self

from tests.companion.postgresql import BIN

STORED: Final = Path(__file__).parent
ROOT: Final = STORED.parents[1]
KINDS: Final = ("sqlite", "postgresql")
"""The companion's databases; each is kept with a Home Assistant of its own that is linked with it."""
MADE_AT: Final = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
"""The moment at which all fixtures begin, whenever they are made."""

HOME: Final = "home_assistant"
STORES: Final = (
    "application_credentials",
    "core.area_registry",
    "core.config_entries",
    "core.device_registry",
    "core.entity_registry",
    "repairs.issue_registry",
    "teslafi.*",
)
"""The files under .storage that belong to the fixture."""
SETTINGS: Final = "companion.toml"
KEY: Final = "companion.key"
SQLITE: Final = "companion.sqlite3"
POSTGRESQL: Final = "companion.sql"
KNOWN: Final = "known.json"


@dataclass(frozen=True, kw_only=True)
class Passkey:
    """A passkey in software: its private key (PEM), its credential id (hex)."""

    key: str
    credential: str


@dataclass(frozen=True, kw_only=True)
class Known:
    """What the owner and Tesla know: secrets of this fixture alone, and the moment at which it was closed.

    `refresh_tokens` of Tesla by client id, with their scopes; `provided` are the entities that had a state.
    """

    version: str
    commit: str
    closed_at: str
    email: str
    password: str
    totp_secret: str
    recovery_code: str
    passkey: Passkey
    session: str
    entry_id: str
    instance_id: str
    refresh_tokens: Mapping[str, tuple[str, tuple[str, ...]]]
    command_public_key: str
    command_code: str
    provided: tuple[str, ...]

    def write(self, folder: Path) -> None:
        """Write it beside what was stored."""
        (folder / KNOWN).write_text(json.dumps(asdict(self), indent=1, sort_keys=True) + "\n")

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Undo `write`."""
        said = json.loads((folder / KNOWN).read_text())
        return cls(**(said | {"passkey": Passkey(**said["passkey"])}))


def versions() -> list[str]:
    """Return the versions that are kept."""
    return sorted(path.parents[1].name for path in STORED.glob(f"*/sqlite/{KNOWN}"))


def keep_sqlite(database: Path, into: Path) -> None:
    """Copy a database that nobody has open."""
    with sqlite3.connect(into / SQLITE) as copy, sqlite3.connect(database) as original:
        original.backup(copy)
    copy.close()
    original.close()


def keep_postgresql(port: int, name: str, into: Path) -> None:
    """Dump a database as SQL that any owner of an empty database can run."""
    command = [str(BIN / "pg_dump"), "-h", "127.0.0.1", "-p", str(port), "-U", "companion"]
    command += ["--no-owner", "--no-privileges", "--inserts", "--no-comments", name]
    dump = subprocess.run(command, check=True, capture_output=True, text=True).stdout  # noqa: S603 - no user input
    # psql's own commands (\restrict) are for psql; comments tell of the moment and the server
    lines = [
        line for line in dump.splitlines() if line and not line.startswith(("\\", "--", "SET transaction_timeout"))
    ]
    (into / POSTGRESQL).write_text("\n".join(lines) + "\n")
