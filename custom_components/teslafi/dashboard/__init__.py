"""The dashboard strategy *TeslaFi*, which Home Assistant lists under *Community dashboards*."""

from pathlib import Path
from typing import Final

from homeassistant.components.frontend import add_extra_js_url
from homeassistant.components.http import StaticPathConfig  # type: ignore[attr-defined] # core exports it by use
from homeassistant.core import HomeAssistant
from homeassistant.loader import async_get_integration

from ..const import DOMAIN

URL: Final = f"/{DOMAIN}/dashboard"
FILES: Final = Path(__file__).parent / "files"
MODULE: Final = "teslafi-dashboard.js"


async def async_serve_dashboard(hass: HomeAssistant) -> None:
    """Serve the module and have every page load it, unless this Home Assistant runs without its frontend."""
    if "frontend" not in hass.config.components:
        return
    await hass.http.async_register_static_paths([StaticPathConfig(URL, str(FILES), cache_headers=False)])
    integration = await async_get_integration(hass, DOMAIN)
    add_extra_js_url(hass, f"{URL}/{MODULE}?v={integration.version}")
