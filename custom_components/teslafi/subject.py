"""Of what a line of Home Assistant's activity is: its device, and the entity whose history the line belongs to.

Home Assistant's activity page and cards ask for the lines of a device's or an area's *entities*; only the device's own
page asks by device as well. A line without an entity is on none of the others.
"""

from typing import Final

from homeassistant.const import ATTR_DEVICE_ID, ATTR_ENTITY_ID, Platform
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import device_registry as dr, entity_registry as er

from .const import DOMAIN

SPEAKERS: Final = ((Platform.SENSOR, "state"), (Platform.BINARY_SENSOR, "grid_status"))
"""The entity of a car, and of an energy site, that stands for lines which no other entity caused."""


@callback
def subject_of(hass: HomeAssistant, entry_id: str, target: str, entity_id: str | None = None) -> dict[str, str]:
    """Return what an event names of a car (VIN) or an energy site (number), and of the entity that caused it."""
    device = dr.async_get(hass).async_get_device_by_identifier((DOMAIN, target), entry_id)
    subject = {ATTR_DEVICE_ID: device.id} if device else {}
    if (entity_id := entity_id or _speaker(hass, target)) is not None:
        subject[ATTR_ENTITY_ID] = entity_id
    return subject


def _speaker(hass: HomeAssistant, target: str) -> str | None:
    registry = er.async_get(hass)
    known = (registry.async_get_entity_id(platform, DOMAIN, f"{target}-{key}") for platform, key in SPEAKERS)
    return next((entity_id for entity_id in known if entity_id is not None), None)
