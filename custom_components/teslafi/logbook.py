"""Activity: each command in a line of words, with who sent it."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from homeassistant.components.logbook.const import LOGBOOK_ENTRY_ICON, LOGBOOK_ENTRY_MESSAGE, LOGBOOK_ENTRY_NAME
from homeassistant.const import ATTR_DEVICE_ID
from homeassistant.core import Event, HomeAssistant, callback
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers.translation import async_get_cached_translations

from .const import DOMAIN, EVENT_COMMAND, EVENT_JOURNAL

SUCCEEDED: Final = "succeeded"
_JOURNAL_ICONS: Final = {
    "drive_ended": "mdi:road-variant",
    "charge_ended": "mdi:ev-station",
    "software_installed": "mdi:cellphone-arrow-down",
}


class _Words:
    """The words of this component for an activity, in the language of this Home Assistant."""

    def __init__(self, hass: HomeAssistant) -> None:
        self._texts: Mapping[str, str] = async_get_cached_translations(hass, hass.config.language, "selector", DOMAIN)

    def of(self, kind: str, key: str) -> str:
        """Return the word for a key; "" when there is none."""
        return self._texts.get(f"component.{DOMAIN}.selector.{kind}.options.{key}", "")


@callback
def async_describe_events(
    hass: HomeAssistant,
    async_describe_event: Callable[[str, str, Callable[[Event], dict[str, Any]]], None],
) -> None:
    """Describe what this component tells on Home Assistant's bus."""

    @callback
    def describe(event: Event) -> dict[str, Any]:
        """Say what was commanded and how it ended: "Unlock doors - refused: not paired". The context tells by whom."""
        return {
            LOGBOOK_ENTRY_NAME: _name(hass, event),
            LOGBOOK_ENTRY_MESSAGE: _line(_Words(hass), event.data),
            LOGBOOK_ENTRY_ICON: "mdi:car-key",
        }

    @callback
    def describe_journal(event: Event) -> dict[str, Any]:
        """Say what the car did: the journal's words are in the event."""
        return {
            LOGBOOK_ENTRY_NAME: _name(hass, event),
            LOGBOOK_ENTRY_MESSAGE: str(event.data.get("message", "")),
            LOGBOOK_ENTRY_ICON: _JOURNAL_ICONS.get(str(event.data.get("type")), "mdi:car"),
        }

    async_describe_event(DOMAIN, EVENT_COMMAND, describe)
    async_describe_event(DOMAIN, EVENT_JOURNAL, describe_journal)


def _name(hass: HomeAssistant, event: Event) -> str:
    device = dr.async_get(hass).async_get(event.data.get(ATTR_DEVICE_ID, ""), include_child_devices=False)
    return (device.name_by_user or device.name or "TeslaFi") if device else "TeslaFi"


def _line(words: _Words, said: Mapping[str, Any]) -> str:
    command, result = str(said.get("command", "")), str(said.get("result", ""))
    line = words.of("command", command) or command
    if result != SUCCEEDED:
        reason = words.of("reason", str(said.get("reason", "")))
        line += f" \N{EN DASH} {words.of('result', result) or result}{f': {reason}' if reason else ''}"
    return line
