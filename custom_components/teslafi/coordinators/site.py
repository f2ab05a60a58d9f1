"""Watches one energy site."""

from dataclasses import dataclass, replace
from datetime import timedelta
import time
from typing import Final, override

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant

from ..tesla.energy_site import EnergyToday, SiteInfo, SiteLive, decode_info, decode_live, decode_today
from ..tesla.reader import Reader
from ..tesla.requests import Category
from .base import EARLY, TeslaCoordinator

SITE_INTERVAL: Final = timedelta(seconds=60)
SITE_INFO_INTERVAL: Final = 3600.0
SITE_ENERGY_INTERVAL: Final = 300.0


@dataclass(frozen=True, slots=True)
class SiteData:
    """What is known of an energy site."""

    live: SiteLive
    info: SiteInfo
    today: EnergyToday


class SiteCoordinator(TeslaCoordinator[SiteData]):
    """Watches one energy site: powers each minute, energy each five, what it consists of each hour."""

    def __init__(self, hass: HomeAssistant, entry: ConfigEntry, reader: Reader, site_id: int, name: str) -> None:
        """Begin with nothing known."""
        super().__init__(hass, entry, f"energy site {name}", SITE_INTERVAL)
        self.site_id = site_id
        self.site_name = name
        self._reader = reader
        self._info_at = 0.0
        self._energy_at = 0.0
        self.data = SiteData(SiteLive(), SiteInfo(), EnergyToday())

    @override
    async def _read(self) -> SiteData:
        reader = self._reader
        data = self.data
        now = time.time()
        if now - self._info_at >= SITE_INFO_INTERVAL - EARLY:
            info = decode_info(await reader.site_info(self.site_id, _uncounted)).snapshot
            data, self._info_at = replace(data, info=info), now
        if now - self._energy_at >= SITE_ENERGY_INTERVAL - EARLY:
            today = decode_today(await reader.site_energy_today(self.site_id, _uncounted)).snapshot
            data, self._energy_at = replace(data, today=today), now
        live = decode_live(await reader.site_live(self.site_id, _uncounted)).snapshot
        return replace(data, live=live)

    async def async_look_at_settings(self) -> None:
        """Ask anew what the site is set to, after a command."""
        self._info_at = 0.0
        await self.async_request_refresh()


def _uncounted(_category: Category) -> None:
    """Tesla does not bill energy sites' answers (developer documents, "Billing and limits")."""
