"""Where files lie that an owner brings in, while they are read. Home Assistant's own upload keeps none that long."""

from pathlib import Path
import shutil
import tempfile
from typing import Final

from homeassistant.const import EVENT_HOMEASSISTANT_FINAL_WRITE
from homeassistant.core import Event, HomeAssistant
from homeassistant.helpers.storage import STORAGE_DIR

from ..const import DOMAIN, LOGGER

FOLDER: Final = f"{DOMAIN}.uploads"


def new_upload_folder(hass: HomeAssistant) -> Path:
    """Make a folder that only Home Assistant's user can read. Blocks; raises OSError."""
    folder = Path(hass.config.path(STORAGE_DIR, FOLDER))
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return Path(tempfile.mkdtemp(dir=folder))


async def async_forget_uploads(hass: HomeAssistant) -> None:
    """Delete what a crash left, now, and at the end what lies there for dialogs that nobody closed."""
    folder = Path(hass.config.path(STORAGE_DIR, FOLDER))

    async def forget(_event: Event) -> None:
        await hass.async_add_executor_job(_delete, folder)

    await hass.async_add_executor_job(_delete, folder)
    hass.bus.async_listen_once(EVENT_HOMEASSISTANT_FINAL_WRITE, forget)


def _delete(folder: Path) -> None:
    try:
        shutil.rmtree(folder)
    except FileNotFoundError:
        return
    except OSError as error:
        LOGGER.warning("%s holds files that were imported and cannot be deleted: %s", folder, error)
