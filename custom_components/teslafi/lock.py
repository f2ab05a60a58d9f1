"""Locks: the doors, the charge cable, the speed limit."""

from dataclasses import dataclass
from typing import Any, Final, override

from homeassistant.components.lock import LockEntity, LockEntityDescription
from homeassistant.const import Platform
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import ServiceValidationError
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .catalogue.charging import IS_LATCHED
from .const import DOMAIN
from .control_entity import ControlDescription, Order, VehicleControl, async_setup_vehicle_controls
from .controls.groups import ControlGroup
from .coordinators.vehicle import VehicleData
from .runtime import TeslaFiConfigEntry

PARALLEL_UPDATES = 0
PIN: Final = r"^\d{4}$"
ANY_CODE: Final = r"^.*$"
LOCKING: Final = "locking"
UNLOCKING: Final = "unlocking"


@dataclass(frozen=True, kw_only=True)
class VehicleLockDescription(LockEntityDescription, ControlDescription[VehicleData]):
    """A lock; `lock` is None where the car locks by itself. With `pin` the code is the car's own PIN."""

    lock: Order | None
    unlock: Order
    pin: bool = False


LIMIT: Final = "vehicle_state.speed_limit_mode.active"


def _cable_locked(data: VehicleData) -> bool | None:
    return IS_LATCHED.get(data.snapshot.charge_state.charge_port_latch)


LOCKS: Final = (
    VehicleLockDescription(
        key="doors",
        groups=(ControlGroup.OPENINGS,),
        paths=("vehicle_state.locked",),
        expected=True,
        value_fn=lambda data: data.snapshot.vehicle_state.locked,
        lock=Order("door_lock", {}, {"vehicle_state.locked": True}),
        unlock=Order("door_unlock", {}, {"vehicle_state.locked": False}),
    ),
    VehicleLockDescription(
        key="charge_cable",
        groups=(ControlGroup.CHARGING,),
        paths=("charge_state.charge_port_latch",),
        value_fn=_cable_locked,
        lock=None,
        unlock=Order("charge_port_door_open", {}, {"charge_state.charge_port_latch": "Disengaged"}),
    ),
    VehicleLockDescription(
        key="speed_limit_mode",
        groups=(ControlGroup.SECURITY,),
        paths=("vehicle_state.speed_limit_mode",),
        value_fn=lambda data: data.snapshot.vehicle_state.speed_limit_mode.active,
        lock=Order("speed_limit_activate", {}, {LIMIT: True}),
        unlock=Order("speed_limit_deactivate", {}, {LIMIT: False}),
        pin=True,
    ),
)


async def async_setup_entry(
    hass: HomeAssistant, entry: TeslaFiConfigEntry, async_add_entities: AddConfigEntryEntitiesCallback
) -> None:
    """Add the locks of the cars that may be controlled."""
    async_setup_vehicle_controls(hass, entry, Platform.LOCK, async_add_entities, LOCKS, VehicleLock)


class VehicleLock(VehicleControl, LockEntity):
    """A lock of a car."""

    entity_description: VehicleLockDescription

    @property
    @override
    def code_format(self) -> str | None:
        """Ask for the car's own PIN, or for the owner's code where there is one at the moment."""
        if self.entity_description.pin:
            return PIN
        # Home Assistant asks for it at both; locking takes none as well
        controls = self.coordinator.config_entry.runtime_data.controls
        return ANY_CODE if controls is not None and controls.code.required else None

    @property
    @override
    def is_locking(self) -> bool:
        """Whether it is just being locked."""
        return LOCKING in self._under_way

    @property
    @override
    def is_unlocking(self) -> bool:
        """Whether it is just being unlocked."""
        return UNLOCKING in self._under_way

    def _show(self, value: bool | None) -> None:  # noqa: FBT001 - a value
        self._attr_is_locked = value

    @override
    async def async_lock(self, **kwargs: Any) -> None:
        """Lock; the cable locks by itself when it is plugged in."""
        order = self.entity_description.lock
        if order is None:
            raise ServiceValidationError(translation_domain=DOMAIN, translation_key="cable_locks_itself")
        await self._order(order, LOCKING, kwargs.get("code"))

    @override
    async def async_unlock(self, **kwargs: Any) -> None:
        """Unlock."""
        await self._order(self.entity_description.unlock, UNLOCKING, kwargs.get("code"))

    async def _order(self, order: Order, under_way: str, code: str | None) -> None:
        if not self.entity_description.pin:
            await self._send(order, code=code, under_way=under_way)
            return
        if not code:
            raise ServiceValidationError(translation_domain=DOMAIN, translation_key="pin_needed")
        await self._send(Order(order.name, {"pin": code}, order.assumed), under_way=under_way)
