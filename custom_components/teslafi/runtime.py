"""What one config entry has while it is loaded."""

from dataclasses import dataclass

from homeassistant.config_entries import ConfigEntry
from homeassistant.exceptions import ServiceValidationError

from .const import DOMAIN
from .controls.enabled import EnabledControls
from .coordinators.account import AccountCoordinator
from .coordinators.budget import Budget
from .coordinators.site import SiteCoordinator
from .coordinators.vehicle import VehicleCoordinator
from .link.coordinator import LinkCoordinator


@dataclass(slots=True)
class TeslaFiData:
    """The account with its cars and energy sites; the link and the controls, where the owner has them."""

    account: AccountCoordinator
    link: LinkCoordinator | None = None
    controls: EnabledControls | None = None

    @property
    def vehicles(self) -> dict[str, VehicleCoordinator]:
        """The account's cars by VIN."""
        return self.account.vehicles

    @property
    def sites(self) -> dict[int, SiteCoordinator]:
        """The account's energy sites by their numbers."""
        return self.account.sites

    @property
    def budget(self) -> Budget:
        """What the month's requests come to."""
        return self.account.budget


type TeslaFiConfigEntry = ConfigEntry[TeslaFiData]


def enabled_controls(entry: TeslaFiConfigEntry) -> EnabledControls:
    """Return the controls of an entry; raise ServiceValidationError when they are off."""
    if (controls := entry.runtime_data.controls) is None:
        raise ServiceValidationError(translation_domain=DOMAIN, translation_key="controls_not_enabled")
    return controls
