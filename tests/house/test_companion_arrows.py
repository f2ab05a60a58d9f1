"""Who may import whom in the companion: a new arrow, an unused one or a circle is red until the table says so."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import teslafi_companion

from .arrows import Arrows, circles, differences, module_arrows

ROOT: Final = Path(teslafi_companion.__file__).parent
ALL: Final = module_arrows(ROOT)

ALLOWED: Final[Mapping[str, str]] = {
    # What anybody may use
    "clock": "",
    "text": "",
    "tls": "",
    "settings": "",
    "language": "",
    "crypto": "text",
    "store": "adapters.kms adapters.secrets_manager clock crypto settings",
    "store.migrations": "store",
    "audit": "crypto store text",
    # The rules: accounts know nobody, links know accounts, permits know links and subscriptions
    "mail": "language settings store",
    "domain.accounts": "audit crypto language mail settings store",
    "domain.billing": "audit domain domain.accounts language settings store",
    "domain.links": "audit crypto domain domain.accounts language settings store text",
    "domain.permits": "crypto domain.accounts domain.billing domain.links store",
    # Providers: each behind its port, none knows another
    "adapters": "adapters.free domain.billing settings",
    "adapters.breached_passwords": "audit domain.accounts store",
    "adapters.chargebee": "domain.billing language settings",
    "adapters.free": "domain.billing",
    "adapters.kms": "crypto",
    "adapters.secrets_manager": "",
    "adapters.smtp": "domain.accounts mail settings",
    # What runs beside the requests
    "work": "audit clock domain.accounts domain.billing domain.links mail rotation store",
    # Indexes are made anew by the rooms that know what they are made of
    "rotation": "audit crypto domain.accounts domain.links store",
    # HTTP
    "http": (
        "adapters.breached_passwords adapters.free crypto domain.accounts domain.billing language settings store text"
    ),
    "http.api": "audit domain domain.accounts domain.billing domain.links domain.permits http store",
    "http.oauth": "audit domain.accounts domain.billing domain.links http language settings store",
    "http.pages": "audit crypto domain.accounts domain.billing domain.links http language settings store text",
    "http.webhooks": "domain.accounts domain.billing http",
    # What puts the parts together
    "configuration": "adapters settings",
    "service": "clock settings store",
    "app": "adapters.smtp http http.api http.oauth http.pages http.webhooks work",
    "server": "adapters app clock http mail service settings store tls work",
    "cli": (
        "adapters.breached_passwords audit clock configuration crypto domain.accounts domain.links rotation server"
        " service settings store"
    ),
    "__main__": "cli",
}
"""Room -> rooms it may import. A room is a folder with its own modules, or a module beside the folders."""
RULES: Final = ("domain", "mail", "store", "audit", "crypto")


def room_of(module: str) -> str:
    """Return the room of a module: its folder, at most two names deep, or itself."""
    parts = module.split(".")
    folders = parts if (ROOT / Path(*parts)).is_dir() else parts[:-1]
    return ".".join(folders[:2]) or module


def rooms() -> Arrows:
    """Return the arrows between the rooms."""
    found: Arrows = {}
    for module, targets in ALL.items():
        room = room_of(module)
        found.setdefault(room, set()).update(room_of(target) for target in targets if room_of(target) != room)
    return found


def test_only_the_arrows_of_the_table() -> None:
    assert differences(rooms(), {room: frozenset(targets.split()) for room, targets in ALLOWED.items()}) == []


def test_no_circle_between_modules_or_rooms() -> None:
    assert circles(ALL) == []
    assert circles(rooms()) == []


def test_the_rules_know_no_http_and_no_provider() -> None:
    """Not through anybody else either, but for the key that seals the database and the password that opens it."""
    reached: dict[str, set[str]] = {}

    def reach(room: str) -> set[str]:
        if room not in reached:
            reached[room] = set()
            reached[room] = set(rooms()[room]).union(*(reach(one) for one in rooms()[room]))
        return reached[room]

    for room in rooms():
        if room.startswith(RULES):
            assert {one for one in reach(room) if one.startswith(("http", "adapters", "work"))} <= {
                "adapters.kms",
                "adapters.secrets_manager",
            }, room


def test_only_what_speaks_http_imports_a_web_server() -> None:
    speaks = {
        room_of(module)
        for module in ALL
        for file in [ROOT / Path(*module.split(".")).with_suffix(".py") if module else ROOT / "__init__.py"]
        if file.exists() and "from aiohttp import web" in file.read_text("utf-8")
    }
    assert {room for room in speaks if not room.startswith("http")} <= {"app", "server"}
