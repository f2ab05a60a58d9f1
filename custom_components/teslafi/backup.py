"""What a backup of Home Assistant asks of TeslaFi: one whole file of the journal, which nobody writes meanwhile."""

from homeassistant.core import HomeAssistant

from .coordinators.journal import get_journal


async def async_pre_backup(hass: HomeAssistant) -> None:
    """Bring the journal into its one file, and hold back what is seen from now on."""
    await get_journal(hass).async_pause()


async def async_post_backup(hass: HomeAssistant) -> None:
    """Write what was held back."""
    get_journal(hass).resume()
