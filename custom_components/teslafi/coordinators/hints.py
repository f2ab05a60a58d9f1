"""Signs in Home Assistant that a drive or charge probably begins or ends: the owner chooses the entities."""

from collections.abc import Callable, Iterable
from typing import Final

from homeassistant.config_entries import ConfigEntry
from homeassistant.const import ATTR_UNIT_OF_MEASUREMENT, STATE_UNAVAILABLE, STATE_UNKNOWN, UnitOfPower
from homeassistant.core import CALLBACK_TYPE, Event, EventStateChangedData, HomeAssistant, State, callback
from homeassistant.helpers.event import async_track_state_change_event

from ..const import CONF_HINTS
from .plugs import DRAWS
from .vehicle import VehicleCoordinator

SILENT: Final = frozenset({STATE_UNAVAILABLE, STATE_UNKNOWN})
WATTS: Final = {UnitOfPower.WATT: 1.0, UnitOfPower.KILO_WATT: 1000.0}


def says(state: State | None) -> str | None:
    """Return what a state says as far as it can hint: its text, or whether a power is drawn; None for nothing."""
    if state is None or state.state in SILENT:
        return None
    factor = WATTS.get(state.attributes.get(ATTR_UNIT_OF_MEASUREMENT, ""))
    if factor is None:
        return state.state
    try:
        return "draws" if float(state.state) * factor >= DRAWS else "rests"
    except ValueError:
        return None


type Cars = Callable[[], Iterable[VehicleCoordinator]]


class Hints:
    """Listens to the entities that the options name, and hands on what changes. A car is never woken by it."""

    def __init__(
        self, hass: HomeAssistant, entry: ConfigEntry, cars: Callable[[], Iterable[VehicleCoordinator]]
    ) -> None:
        """Begin to listen."""
        self._hass = hass
        self._entry = entry
        self._cars = cars
        self._stop: CALLBACK_TYPE | None = None
        self.listen()

    @callback
    def listen(self) -> None:
        """Listen to what the options name now."""
        self.close()
        if entities := self._entry.options.get(CONF_HINTS):
            self._stop = async_track_state_change_event(self._hass, entities, self._changed)

    @callback
    def close(self) -> None:
        """Stop listening."""
        if self._stop is not None:
            self._stop()
            self._stop = None

    @callback
    def _changed(self, event: Event[EventStateChangedData]) -> None:
        before, after = says(event.data["old_state"]), says(event.data["new_state"])
        if before is None or after is None or before == after:
            return
        for car in self._cars():
            self._entry.async_create_background_task(self._hass, car.async_hint(), "teslafi hint")
