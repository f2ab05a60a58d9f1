"""Files that an action saves for the owner: only where Home Assistant allows files, and told in a sentence."""

from collections.abc import Callable
from pathlib import Path

from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError

from .const import DOMAIN


async def async_ensure_allowed(hass: HomeAssistant, filename: str) -> None:
    """Raise ServiceValidationError unless `allowlist_external_dirs` allows the file."""
    if not await hass.async_add_executor_job(_is_allowed, hass, filename):
        raise ServiceValidationError(
            translation_domain=DOMAIN, translation_key="path_not_allowed", translation_placeholders={"path": filename}
        )


async def async_save(hass: HomeAssistant, filename: str, content: Callable[[], bytes]) -> int:
    """Save what `content` makes, in a worker thread; return the bytes. Raise HomeAssistantError if that fails."""
    try:
        return await hass.async_add_executor_job(_save, Path(filename), content)
    except OSError as error:
        raise HomeAssistantError(
            translation_domain=DOMAIN, translation_key="file_not_written", translation_placeholders={"path": filename}
        ) from error


def _is_allowed(hass: HomeAssistant, filename: str) -> bool:
    try:
        return hass.config.is_allowed_path(filename)
    except OSError, ValueError:
        return False


def _save(path: Path, content: Callable[[], bytes]) -> int:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.write_bytes(content())
