"""What an entry has while controls are enabled, and how that ends."""

import time

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.aiohttp_client import async_get_clientsession

from ..const import CONF_COMPANION, CONF_CONTROLS, CONF_GROUPS, CONF_INSTANCE_ID, CONF_VEHICLES, LOGGER
from ..coordinators.account import AccountCoordinator
from ..issues import note_controls_locked
from ..link.client import CompanionError
from ..link.coordinator import LinkCoordinator
from ..storage.vault import Vault
from ..tesla.session import GrantSession
from ..tesla.token import TokenEndpoint
from ..tesla.vin import vin_of
from .audit import AuditReporter
from .code_check import CodeCheck
from .coordinator import CompanionOverLink, ControlsCoordinator
from .gate import Gate, GateContext, Lock
from .groups import ControlGroup
from .permit import Expected, Moment
from .sender import CommandSender
from .twins import enabled_by_default, enabled_by_default_at_sites, follow_controls


def moment() -> Moment:
    """Return the moment by both clocks."""
    return Moment(time.time(), time.monotonic())


class EnabledControls:
    """The controls of one account: which groups and cars, the gate's coordinator, the sender, the code."""

    def __init__(
        self,
        hass: HomeAssistant,
        entry: ConfigEntry,
        account: AccountCoordinator,
        link: LinkCoordinator,
        vault: Vault,
        monitoring: GrantSession,
    ) -> None:
        """Begin shut; `monitoring` is the grant that reads, and with one application the one that commands as well."""
        enabled = entry.data[CONF_CONTROLS]
        self.groups = frozenset(group for group in ControlGroup if group in enabled[CONF_GROUPS])
        self.vehicles = frozenset(map(vin_of, enabled[CONF_VEHICLES]))
        self._hass = hass
        self._entry = entry
        self._link = link
        http = async_get_clientsession(hass)
        self.gate = Gate(
            CompanionOverLink(link),
            Expected(link.origin, entry.data[CONF_COMPANION][CONF_INSTANCE_ID], str(entry.unique_id)),
            GateContext(
                http=http,
                endpoint=TokenEndpoint(http, time.time),
                vault=vault,
                entry_id=entry.entry_id,
                monitoring=monitoring,
                look=account.async_look_at_state,
                waking_told=account.note_waking,
                now=moment,
                create_task=hass.async_create_task,
            ),
        )
        self.coordinator = ControlsCoordinator(hass, entry, self.gate, link.origin)
        self.code = CodeCheck(hass, entry)
        self._audit = AuditReporter(hass, entry, link)
        self.sender = CommandSender(hass, entry, account, self.coordinator, self.code, self._audit, link.origin)
        # A listener also keeps the gate watched while no entity of a platform does
        entry.async_on_unload(self.coordinator.async_add_listener(self._status_changed))

    @property
    def is_open(self) -> bool:
        """Whether a command would be sent."""
        return self.coordinator.is_open

    def covers(self, vin: str, group: ControlGroup) -> bool:
        """Say whether a group was enabled for a car."""
        return vin in self.vehicles and group in self.groups

    def enabled_by_default(self, vin: str, key: str) -> bool | None:
        """Say whether a car's entity is enabled by default with these controls; None where they change nothing."""
        return enabled_by_default(key, self.groups if vin in self.vehicles else frozenset())

    def enabled_by_default_at_sites(self, key: str) -> bool | None:
        """Say the same of an energy site's entity."""
        return enabled_by_default_at_sites(key, self.groups)

    @callback
    def _status_changed(self) -> None:
        """Wipe what the owner locked at the companion; tell the companion what it was not told while it was away."""
        if self.coordinator.data.lock is Lock.NOT_ALLOWED:
            self._hass.async_create_task(self.async_wipe(tell=False), "teslafi controls locked")
        elif self.is_open:
            self._audit.report_soon()

    async def async_wipe(self, *, tell: bool) -> None:
        """Lock for good: forget grant, key and share on disk and in memory, and let the entities go."""
        await self.gate.wipe()
        if tell:
            try:
                await self._link.session.ask(self._link.companion.lock_controls)
            except CompanionError as error:
                LOGGER.warning("The companion could not be told that controls are locked (%s)", error)
        forget_controls(self._hass, self._entry)

    async def async_close(self) -> None:
        """Forget what is in memory."""
        self.sender.close()
        await self.gate.close()


@callback
def forget_controls(hass: HomeAssistant, entry: ConfigEntry) -> None:
    """Let the entry forget that controls were enabled, and its entities go; what was sealed is wiped by the caller.

    Once: whoever finds the same lock meanwhile has nothing left to do.
    """
    if CONF_CONTROLS not in entry.data:
        return
    note_controls_locked(hass, entry, "", None)
    follow_controls(hass, entry, entry.data.get(CONF_CONTROLS, {}), {})
    data = {name: value for name, value in entry.data.items() if name != CONF_CONTROLS}
    hass.config_entries.async_update_entry(entry, data=data)
    hass.config_entries.async_schedule_reload(entry.entry_id)
