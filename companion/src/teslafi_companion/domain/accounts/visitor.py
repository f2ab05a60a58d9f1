"""Who is asking, as far as a request tells: network address and browser."""

from dataclasses import dataclass
from typing import Final

from teslafi_companion.language import N_

_LONGEST: Final = 200
# The first that is found names it: Edge and Opera call themselves Chrome too, Chrome calls itself Safari
_BROWSERS: Final = (
    ("HomeAssistant", "Home Assistant"),
    ("Home Assistant", "Home Assistant app"),
    ("Edg", "Edge"),
    ("OPR", "Opera"),
    ("SamsungBrowser", "Samsung Internet"),
    ("Firefox", "Firefox"),
    ("FxiOS", "Firefox"),
    ("CriOS", "Chrome"),
    ("Chrome", "Chrome"),
    ("Safari", "Safari"),
)
_SYSTEMS: Final = (
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("Windows", "Windows"),
    ("Mac OS X", "macOS"),
    ("CrOS", "ChromeOS"),
    ("Linux", "Linux"),
)


@dataclass(frozen=True)
class Visitor:
    """A client: `address` is an IP address, `agent` the browser's own description."""

    address: str
    agent: str = ""

    @property
    def browser(self) -> str:
        """Return browser and system in words, as far as they are known."""
        name = next((word for mark, word in _BROWSERS if mark in self.agent), N_("Unknown browser"))
        system = next((word for mark, word in _SYSTEMS if mark in self.agent), None)
        return f"{name} ({system})" if system else name

    def detail(self) -> dict[str, object]:
        """Return what the audit log and the list of sessions keep, sealed."""
        return {"address": self.address, "browser": self.browser, "agent": self.agent[:_LONGEST]}
