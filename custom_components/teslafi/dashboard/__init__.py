"""The dashboard strategy *TeslaFi*, which Home Assistant lists under *Community dashboards*."""

from hashlib import sha256
from pathlib import Path
from typing import Final

from homeassistant.components.frontend import add_extra_js_url
from homeassistant.components.http import StaticPathConfig  # type: ignore[attr-defined] # core exports it by use
from homeassistant.core import HomeAssistant

from ..const import DOMAIN

URL: Final = f"/{DOMAIN}/dashboard"
FILES: Final = Path(__file__).parent / "files"
MODULE: Final = "teslafi-dashboard.js"


async def async_serve_dashboard(hass: HomeAssistant) -> None:
    """Serve the module and have every page load it, unless this Home Assistant runs without its frontend.

    Browsers keep the files for a month: a dashboard waits five seconds for its module, which a slow tablet with a slow
    network may need for asking whether it changed. So the address changes with the files.
    """
    if "frontend" not in hass.config.components:
        return
    version = await hass.async_add_executor_job(_version)
    await hass.http.async_register_static_paths([StaticPathConfig(URL, str(FILES), cache_headers=True)])
    add_extra_js_url(hass, f"{URL}/{MODULE}?v={version}")


def _version() -> str:
    """Return what is another one once any of the files is."""
    return sha256(b"".join(path.read_bytes() for path in sorted(FILES.iterdir()))).hexdigest()[:12]
