"""TeslaFi: watch a Tesla from Home Assistant without handing over the keys."""

from functools import partial
import time
from typing import Final

from homeassistant.const import Platform
from homeassistant.core import HomeAssistant, callback
from homeassistant.exceptions import ConfigEntryAuthFailed, ConfigEntryNotReady
from homeassistant.helpers import config_validation as cv
from homeassistant.helpers.aiohttp_client import async_get_clientsession
from homeassistant.helpers.device_registry import DeviceEntry
from homeassistant.helpers.typing import ConfigType

from .const import CONF_COMPANION, CONF_CONTROLS, DOMAIN, MONITORING
from .control_entity import remove_controls
from .controls.enabled import EnabledControls
from .coordinators.account import AccountCoordinator
from .coordinators.hints import Hints
from .coordinators.holders import holders
from .coordinators.journal import get_journal
from .coordinators.memory import forget_memory
from .dashboard import async_serve_dashboard
from .feed.reader import reader_of
from .issues import forget_issues
from .journal_entities.actions import async_setup_journal_actions
from .journal_entities.follow import follow_journals
from .link.coordinator import LinkCoordinator
from .link.session import companion_identifier, end_link
from .picture import CarPicture
from .public_key import public_keys
from .response_actions import async_setup_response_actions
from .runtime import TeslaFiConfigEntry, TeslaFiData, follow_options
from .services import async_setup_actions
from .storage.file import StorageFailed
from .storage.last_values import last_values_file
from .storage.uploads import async_forget_uploads
from .storage.vault import Vault, VaultKeeper, async_get_vault
from .tesla.errors import SignInRequired, TeslaError
from .tesla.session import GrantSession
from .tesla.token import TokenEndpoint

CONFIG_SCHEMA = cv.config_entry_only_config_schema(DOMAIN)

PLATFORMS = [
    Platform.BINARY_SENSOR,
    Platform.BUTTON,
    Platform.CALENDAR,
    Platform.CLIMATE,
    Platform.COVER,
    Platform.DEVICE_TRACKER,
    Platform.EVENT,
    Platform.LOCK,
    Platform.MEDIA_PLAYER,
    Platform.NUMBER,
    Platform.SELECT,
    Platform.SENSOR,
    Platform.SWITCH,
    Platform.TEXT,
    Platform.UPDATE,
]
CONTROL_PLATFORMS: Final = frozenset(
    {
        Platform.BUTTON,
        Platform.CLIMATE,
        Platform.COVER,
        Platform.LOCK,
        Platform.MEDIA_PLAYER,
        Platform.NUMBER,
        Platform.SELECT,
        Platform.SWITCH,
        Platform.TEXT,
    }
)
"""Have entities that command alone; without controls they are not even imported."""


async def async_setup(hass: HomeAssistant, _config: ConfigType) -> bool:
    """Register the actions, pictures and the dashboard, which exist whether an account is loaded or not."""
    await async_forget_uploads(hass)
    async_setup_actions(hass)
    async_setup_response_actions(hass)
    hass.http.register_view(CarPicture())
    async_setup_journal_actions(hass)
    await async_serve_dashboard(hass)
    return True


async def async_setup_entry(hass: HomeAssistant, entry: TeslaFiConfigEntry) -> bool:
    """Watch the cars and energy sites of one Tesla account."""
    try:
        vault = await async_get_vault(hass)
    except StorageFailed as error:
        raise ConfigEntryNotReady(translation_domain=DOMAIN, translation_key="storage_failed") from error
    await vault.adopt(entry.entry_id, MONITORING, str(entry.unique_id))
    http = async_get_clientsession(hass)
    session = GrantSession(
        VaultKeeper(vault, entry.entry_id, MONITORING),
        TokenEndpoint(http, time.time),
        time.time,
        hass.async_create_task,
    )
    entry.async_on_unload(session.close)
    journal = get_journal(hass)
    await journal.async_join(entry)
    # Also after a set-up that failed, which nobody unloads
    entry.async_on_unload(partial(journal.async_leave, entry))
    account = await _load_account(hass, entry, session)
    entry.runtime_data = data = TeslaFiData(account, journal)
    await journal.async_load_states(account.vehicles)
    public_keys(hass)
    _follow_companion(hass, entry, vault, session)
    if data.controls is None:
        remove_controls(hass, entry)
    await hass.config_entries.async_forward_entry_setups(entry, _platforms(data))
    follow_journals(hass, entry)
    data.hints = Hints(hass, entry, data.vehicles.values)
    entry.async_on_unload(data.hints.close)
    entry.async_on_unload(follow_options(hass, entry))
    return True


async def _load_account(hass: HomeAssistant, entry: TeslaFiConfigEntry, session: GrantSession) -> AccountCoordinator:
    """Return the account with its cars and sites as Tesla lists them; raise what Home Assistant resolves."""
    try:
        await session.load()
        account = AccountCoordinator(hass, entry, reader_of(session.grant, async_get_clientsession(hass), session))
        await account.async_start()
    except SignInRequired as error:
        raise ConfigEntryAuthFailed(translation_domain=DOMAIN, translation_key=f"sign_in_{error.reason}") from error
    except StorageFailed as error:
        raise ConfigEntryNotReady(translation_domain=DOMAIN, translation_key="storage_failed") from error
    except TeslaError as error:
        raise ConfigEntryNotReady(
            translation_domain=DOMAIN, translation_key=error.key, translation_placeholders={"name": entry.title}
        ) from error
    return account


def _platforms(data: TeslaFiData) -> list[Platform]:
    """Return the platforms of an entry, the same as long as it is loaded."""
    return [platform for platform in PLATFORMS if data.controls is not None or platform not in CONTROL_PLATFORMS]


@callback
def _follow_companion(hass: HomeAssistant, entry: TeslaFiConfigEntry, vault: Vault, monitoring: GrantSession) -> None:
    """Begin with the link to a companion and with controls, where the owner has them; watching waits for neither."""
    if CONF_COMPANION not in entry.data:
        return
    data = entry.runtime_data
    data.link = LinkCoordinator(hass, entry, vault)
    entry.async_create_background_task(hass, data.link.async_refresh(), "teslafi companion")
    if CONF_CONTROLS in entry.data:
        data.controls = EnabledControls(hass, entry, data.account, data.link, vault, monitoring)
        entry.async_on_unload(data.controls.async_close)
        entry.async_create_background_task(hass, data.controls.coordinator.async_refresh(), "teslafi controls")


async def async_unload_entry(hass: HomeAssistant, entry: TeslaFiConfigEntry) -> bool:
    """Stop watching; what was seen last is kept."""
    # What was seen last is told while the entities that show it are there
    entry.runtime_data.journal.interrupt()
    for vehicle in entry.runtime_data.vehicles.values():
        vehicle.tell_journal()
    await entry.runtime_data.journal.async_flush()
    unloaded = await hass.config_entries.async_unload_platforms(entry, _platforms(entry.runtime_data))
    if unloaded:
        await entry.runtime_data.account.async_save()
        await entry.runtime_data.journal.async_leave(entry)
        if entry.disabled_by is not None:
            holders(hass).leave(entry.entry_id)
    return unloaded


async def async_remove_entry(hass: HomeAssistant, entry: TeslaFiConfigEntry) -> None:
    """Forget the account: its grants, the cars' last values, its issues."""
    vault = await async_get_vault(hass)
    if CONF_COMPANION in entry.data:
        await end_link(hass, entry, vault)
    await vault.wipe(entry.entry_id)
    await last_values_file(hass, entry.entry_id).remove()
    forget_memory(hass, entry.entry_id)
    forget_issues(hass, entry)
    holders(hass).leave(entry.entry_id)


async def async_remove_config_entry_device(
    _hass: HomeAssistant, entry: TeslaFiConfigEntry, device: DeviceEntry
) -> bool:
    """Let the owner remove a device that the account no longer holds; while it is linked, the companion's stays."""
    account = entry.runtime_data.account
    keys = {identifier for domain, identifier in device.identifiers if domain == DOMAIN}
    parts = {part.din for site in account.sites.values() for part in site.data.parts}
    link = companion_identifier(entry) if CONF_COMPANION in entry.data else None
    if link in keys or keys & parts or any(account.holds(key) for key in keys):
        return False
    for key in keys:
        await account.async_release(key)
    return True
