"""Files that an action saves for the owner: only where Home Assistant allows files, and told in a sentence."""

from collections.abc import Callable
from pathlib import Path
import secrets
from typing import BinaryIO

from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError

from .const import DOMAIN


async def async_ensure_allowed(hass: HomeAssistant, filename: str) -> None:
    """Raise ServiceValidationError unless `allowlist_external_dirs` allows the file."""
    if not await hass.async_add_executor_job(_is_allowed, hass, filename):
        raise ServiceValidationError(
            translation_domain=DOMAIN, translation_key="path_not_allowed", translation_placeholders={"path": filename}
        )


async def async_save(hass: HomeAssistant, filename: str, write: Callable[[BinaryIO], object]) -> int:
    """Save what `write` puts into a file, in a worker thread; return how many bytes there are.

    A file of this name is replaced once the new one is whole. Raise HomeAssistantError if the disk does not take it.
    """
    try:
        return await hass.async_add_executor_job(_save, Path(filename), write)
    except OSError as error:
        raise HomeAssistantError(
            translation_domain=DOMAIN, translation_key="file_not_written", translation_placeholders={"path": filename}
        ) from error


def _is_allowed(hass: HomeAssistant, filename: str) -> bool:
    try:
        return hass.config.is_allowed_path(filename)
    except OSError, ValueError:
        return False


def _save(path: Path, write: Callable[[BinaryIO], object]) -> int:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{secrets.token_hex(8)}.part")
    try:
        with part.open("wb") as file:
            write(file)
            size = file.tell()
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return size
