"""What one config entry has while it is loaded."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from homeassistant.config_entries import ConfigEntry, ConfigEntryState
from homeassistant.core import CALLBACK_TYPE, HomeAssistant, callback
from homeassistant.exceptions import ServiceValidationError
from homeassistant.helpers.entity_registry import RegistryEntry

from .compat import listen_to_entries
from .const import DOMAIN
from .controls.enabled import EnabledControls
from .coordinators.account import AccountCoordinator
from .coordinators.budget import Budget
from .coordinators.hints import Hints
from .coordinators.journal import Journal
from .coordinators.journal_summary import JournalCoordinator
from .coordinators.site import SiteCoordinator
from .coordinators.vehicle import VehicleCoordinator
from .link.coordinator import LinkCoordinator


@dataclass(slots=True)
class TeslaFiData:
    """The account with its cars and energy sites; the link and the controls, where the owner has them."""

    account: AccountCoordinator
    journal: Journal
    link: LinkCoordinator | None = None
    controls: EnabledControls | None = None
    hints: Hints | None = None
    summaries: dict[str, JournalCoordinator] = field(default_factory=dict)
    """Of the cars' journals, by VIN."""
    registered_controls: Sequence[RegistryEntry] | None = None
    """Entities that command and were registered when the first platform was set up; None before that."""

    @callback
    def journal_of(self, vin: str) -> JournalCoordinator:
        """Return what follows the journal of a car of this account."""
        if vin not in self.summaries:
            account = self.account
            summary = JournalCoordinator(account.hass, account.config_entry, self.journal, vin)
            self.summaries[vin] = summary
            summary.async_start()
        return self.summaries[vin]

    @property
    def vehicles(self) -> dict[str, VehicleCoordinator]:
        """The account's cars by VIN."""
        return self.account.vehicles

    @property
    def sites(self) -> dict[int, SiteCoordinator]:
        """The account's energy sites by their numbers."""
        return self.account.sites

    @callback
    def options_changed(self) -> None:
        """Show what the owner changed: what the budget leaves, what is learned, whether locks ask for a code."""
        for vehicle in self.vehicles.values():
            vehicle.options_changed()
        self.account.look_at_budget()
        self.account.save_soon()
        if self.hints is not None:
            self.hints.listen()
        if self.controls is not None:
            self.controls.coordinator.async_update_listeners()

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


@callback
def follow_options(hass: HomeAssistant, entry: TeslaFiConfigEntry) -> CALLBACK_TYPE:
    """Show at once what changed options change; they are read from the entry whenever they are needed."""

    @callback
    def changed(which: ConfigEntry) -> None:
        if which.entry_id == entry.entry_id and entry.state is ConfigEntryState.LOADED:
            entry.runtime_data.options_changed()

    return listen_to_entries(hass, changed)
