"""Numbers in texts of ours, as the language of this Home Assistant writes them."""

from collections.abc import Mapping
from typing import Final

from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.translation import async_get_cached_translations

from .const import DOMAIN

DECIMAL_MARK: Final = f"component.{DOMAIN}.selector.number.options.decimal_mark"


@callback
def texts_of(hass: HomeAssistant) -> Mapping[str, str]:
    """Return the texts of ours that code puts together, by their keys."""
    return async_get_cached_translations(hass, hass.config.language, "selector", DOMAIN)


def written(texts: Mapping[str, str], value: float, digits: int) -> str:
    """Return a number with so many digits after the decimal mark of these texts."""
    return f"{value:.{digits}f}".replace(".", texts.get(DECIMAL_MARK, "."))
