"""Ties the gate to Home Assistant: renews the permit, sends commands for entities and actions, tells of the outcome."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
import time
from typing import TYPE_CHECKING, Any, Final, override

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import CALLBACK_TYPE, Context, HomeAssistant, callback
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.helpers.aiohttp_client import async_get_clientsession
from homeassistant.helpers.dispatcher import async_dispatcher_connect, async_dispatcher_send
from homeassistant.helpers.event import async_call_later
from homeassistant.helpers.update_coordinator import DataUpdateCoordinator
from homeassistant.util import dt as dt_util

from ..const import (
    CONF_COMMAND_CODE,
    CONF_COMPANION,
    CONF_CONTROLS,
    CONF_GROUPS,
    CONF_INSTANCE_ID,
    CONF_REPORT_COMMANDS,
    CONF_VEHICLES,
    DOMAIN,
    LOGGER,
)
from ..link.client import CompanionError, Vouched
from ..link.coordinator import LinkCoordinator
from ..polling.ledger import PRICES_USD, Category
from ..repairs import note_controls_locked
from ..storage.vault import Vault
from ..tesla.commander import Answer
from ..tesla.errors import (
    CommandRefused,
    CommandUncertain,
    RateLimited,
    SignInRequired,
    TeslaError,
    Unreachable,
    VehicleAsleep,
)
from ..tesla.session import GrantSession
from ..tesla.token import TokenEndpoint
from .code import Confirmations, matches
from .commands import COMMANDS, shown_parameters
from .gate import Forbidden, Gate, GateShut, Lock, Surroundings
from .groups import ControlGroup
from .permit import Expected, Moment
from .record import CommandRecord, Result

if TYPE_CHECKING:
    from ..coordinators.vehicle import AccountCoordinator, TeslaFiConfigEntry, VehicleCoordinator

INTERVAL: Final = timedelta(seconds=60)
LOOK_AFTER: Final = 3.0
"""Seconds after a command at which the car is asked what came of it."""
REPORT_MOST: Final = 100
UNSENT: Final[Mapping[type[Exception], str]] = {
    Unreachable: "command_not_sent",
    RateLimited: "too_many_commands",
    VehicleAsleep: "vehicle_not_awake",
}
"""What watching puts off and tries again by itself, a command does not: its own sentences."""


@dataclass(frozen=True, slots=True)
class ControlsStatus:
    """How controls are: `lock` is None while they are open; `permit_until` is UTC."""

    lock: Lock | None = Lock.STARTING
    permit_until: datetime | None = None


class _Voucher:
    """The companion, asked over the link."""

    def __init__(self, link: LinkCoordinator) -> None:
        self._link = link

    async def permit(self) -> Vouched:
        return await self._link.session.ask(self._link.companion.permit)

    async def permit_keys(self) -> Mapping[str, Any]:
        return await self._link.companion.permit_keys()

    async def allows(self) -> bool:
        return (await self._link.session.ask(self._link.companion.status)).controls


def _now() -> Moment:
    return Moment(time.time(), time.monotonic())


class ControlsCoordinator(DataUpdateCoordinator[ControlsStatus]):
    """Controls of one account. A companion out of reach is a state, no failure; watching never depends on it."""

    config_entry: ConfigEntry
    reachable: Final = True

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
        super().__init__(hass, LOGGER, config_entry=entry, name="controls", update_interval=INTERVAL)
        http = async_get_clientsession(hass)
        enabled = entry.data[CONF_CONTROLS]
        self.groups = frozenset(ControlGroup(group) for group in enabled[CONF_GROUPS])
        self.vehicles = frozenset(enabled[CONF_VEHICLES])
        self.data = ControlsStatus()
        self._account = account
        self._link = link
        self._confirmations = Confirmations()
        self._unreported: list[CommandRecord] = []
        self._looks: dict[str, CALLBACK_TYPE] = {}
        self.gate = Gate(
            _Voucher(link),
            Expected(link.origin, entry.data[CONF_COMPANION][CONF_INSTANCE_ID], str(entry.unique_id)),
            Surroundings(
                http=http,
                endpoint=TokenEndpoint(http, time.time),
                vault=vault,
                entry_id=entry.entry_id,
                monitoring=monitoring,
                look=account.reader.vehicle_state,
                now=_now,
                create_task=hass.async_create_task,
            ),
        )

    def covers(self, vin: str, group: ControlGroup) -> bool:
        """Say whether a group was enabled for a car."""
        return vin in self.vehicles and group in self.groups

    @property
    def is_open(self) -> bool:
        """Whether a command would be sent."""
        return self.gate.lock is None

    @override
    async def _async_update_data(self) -> ControlsStatus:
        await self.gate.renew()
        if self.gate.lock is Lock.NOT_ALLOWED:
            self.hass.async_create_task(self.async_wipe(tell=False), "teslafi controls locked")
        await self._report()
        return self._status()

    def _status(self) -> ControlsStatus:
        lock, permit = self.gate.lock, self.gate.permit
        if lock is not Lock.STARTING:
            note_controls_locked(self.hass, self.config_entry, self._link.origin, lock)
        if lock != self.data.lock:
            LOGGER.info("Controls of %s are %s", self.config_entry.title, f"locked ({lock})" if lock else "open")
        until = dt_util.utc_from_timestamp(permit.expires_at) if permit else None
        return ControlsStatus(lock, until)

    async def async_wipe(self, *, tell: bool) -> None:
        """Lock for good: forget grant, key and share on disk and in memory, and let the entities go."""
        await self.gate.wipe()
        if tell:
            try:
                await self._link.session.ask(self._link.companion.lock_controls)
            except CompanionError as error:
                LOGGER.warning("The companion could not be told that controls are locked (%s)", error)
        forget_controls(self.hass, self.config_entry)

    async def async_close(self) -> None:
        """Forget what is in memory."""
        for vin in list(self._looks):
            self._call_off_look(vin)
        await self.gate.close()

    async def async_command(
        self,
        vin: str,
        name: str,
        parameters: Mapping[str, Any],
        *,
        context: Context | None,
        code: str | None = None,
        assumed: Mapping[str, object] | None = None,
    ) -> Answer:
        """Send a command to a car for somebody; `assumed` is what the car will report if all went well.

        Raise ServiceValidationError when it is not sent, HomeAssistantError when it was not carried out.
        """
        vehicle = self._account.vehicles[vin]
        cost_before = vehicle.cost_usd
        record = await self._record(vin, name, parameters, context)
        try:
            await self._check_code(name, parameters, context, code)
            self._check_budget(vehicle)
            answer = await self.gate.command(vin, name, parameters, vehicle.count, signed=vehicle.signs)
        except (GateShut, Forbidden, TeslaError, HomeAssistantError) as error:
            self._tell(record, error, cost=vehicle.cost_usd - cost_before)
            self._look_soon(vehicle, error)
            raise self._sentence(error, vehicle.vehicle_name) from error
        self._tell(record, None, cost=vehicle.cost_usd - cost_before)
        if assumed:
            vehicle.assume(assumed)
        self._look_soon(vehicle)
        return answer

    async def async_command_site(
        self, site_id: int, name: str, parameters: Mapping[str, Any], *, context: Context | None
    ) -> Answer:
        """Send a command to an energy site for somebody; raise as `async_command` does."""
        site = self._account.sites[site_id]
        record = await self._record(str(site_id), name, parameters, context)
        try:
            answer = await self.gate.command_site(site_id, name, parameters)
        except (GateShut, Forbidden, TeslaError) as error:
            self._tell(record, error)
            raise self._sentence(error, site.site_name) from error
        self._tell(record, None)
        await site.async_look_at_settings()
        return answer

    async def async_confirm(self, code: str, context: Context | None) -> None:
        """Take the code for sensitive commands; it counts for this person for a minute."""
        user, now = _user_id(context), time.monotonic()
        kept = self.config_entry.options.get(CONF_COMMAND_CODE)
        if not kept:
            return
        if self._confirmations.must_wait(user, now):
            raise ServiceValidationError(translation_domain=DOMAIN, translation_key="code_wait")
        if not await self.hass.async_add_executor_job(matches, code, kept):
            self._confirmations.failed(user, now)
            raise ServiceValidationError(translation_domain=DOMAIN, translation_key="code_wrong")
        self._confirmations.confirm(user, now)

    @property
    def asks_code(self) -> bool:
        """Whether sensitive commands ask for a code."""
        return bool(self.config_entry.options.get(CONF_COMMAND_CODE))

    async def _check_code(
        self, name: str, parameters: Mapping[str, Any], context: Context | None, code: str | None
    ) -> None:
        command = COMMANDS.get(name)
        if command is None or not self.asks_code or not command.sensitive(parameters):
            return
        if code:
            await self.async_confirm(code, context)
        elif not self._confirmations.confirmed(_user_id(context), time.monotonic()):
            raise ServiceValidationError(translation_domain=DOMAIN, translation_key="code_needed")

    def _check_budget(self, vehicle: VehicleCoordinator) -> None:
        asleep = vehicle.data.state is not None and vehicle.data.state.value != "online"
        price = PRICES_USD[Category.COMMAND] + (PRICES_USD[Category.WAKE] if asleep else 0.0)
        if not self._account.may_spend_on(price):
            raise Forbidden("budget_reached")

    def _look_soon(self, vehicle: VehicleCoordinator, error: Exception | None = None) -> None:
        """Ask the car in a moment what came of it; not when nothing was sent."""
        if error is not None and not isinstance(error, CommandUncertain | CommandRefused):
            return

        async def look(_now: datetime) -> None:
            self._looks.pop(vehicle.vin, None)
            await vehicle.async_request_refresh()

        self._call_off_look(vehicle.vin)
        self._looks[vehicle.vin] = async_call_later(self.hass, LOOK_AFTER, look)

    def _call_off_look(self, vin: str) -> None:
        if (call_off := self._looks.pop(vin, None)) is not None:
            call_off()

    async def _record(
        self, target: str, name: str, parameters: Mapping[str, Any], context: Context | None
    ) -> CommandRecord:
        user_id = _user_id(context)
        user = await self.hass.auth.async_get_user(user_id) if user_id else None
        who = (user.name or user_id or "") if user else "Home Assistant"
        return CommandRecord(dt_util.utcnow(), who, target, name, shown_parameters(parameters))

    def _tell(self, record: CommandRecord, error: Exception | None, *, cost: float = 0.0) -> None:
        """Let the event entity show it, and have the companion's audit log told with the next occasion."""
        result, answer = _result(error)
        told = CommandRecord(
            record.at, record.user, record.target, record.command, record.parameters, result, answer, cost
        )
        async_dispatcher_send(self.hass, _signal(self.config_entry, record.target), told)
        if self.config_entry.options.get(CONF_REPORT_COMMANDS, True):
            self._unreported = [*self._unreported, told][-REPORT_MOST:]
            if self.is_open:
                self.config_entry.async_create_background_task(self.hass, self._report(), "teslafi audit")

    async def _report(self) -> None:
        if not self._unreported or not self.is_open:
            return
        reported, self._unreported = self._unreported, []
        said = [record.for_audit() for record in reported]
        try:
            await self._link.session.ask(lambda tokens: self._link.companion.record_commands(tokens, said))
        except CompanionError as error:
            LOGGER.debug("The companion could not be told of commands (%s)", error)
            self._unreported = [*reported, *self._unreported][-REPORT_MOST:]

    def _sentence(self, error: Exception, name: str) -> HomeAssistantError:
        """Return Home Assistant's exception for what went wrong; its sentence says what to do."""
        if isinstance(error, HomeAssistantError):
            return error
        if isinstance(error, GateShut):
            self.async_set_updated_data(self._status())
            return ServiceValidationError(
                translation_domain=DOMAIN,
                translation_key=f"controls_{error.lock.value}",
                translation_placeholders={"address": self._link.origin},
            )
        if isinstance(error, Forbidden):
            return ServiceValidationError(translation_domain=DOMAIN, translation_key=error.key)
        if isinstance(error, SignInRequired):
            return HomeAssistantError(translation_domain=DOMAIN, translation_key="controls_grant_ended")
        placeholders = {"name": name}
        key = UNSENT.get(type(error), error.key if isinstance(error, TeslaError) else "tesla_error")
        if isinstance(error, CommandRefused):
            placeholders["reason"] = error.reason
        return HomeAssistantError(translation_domain=DOMAIN, translation_key=key, translation_placeholders=placeholders)

    @callback
    def async_on_command(self, target: str, told: Callable[[CommandRecord], None]) -> CALLBACK_TYPE:
        """Call `told` after each command to a car (VIN) or energy site (number); return how to stop."""
        return async_dispatcher_connect(self.hass, _signal(self.config_entry, target), told)


@callback
def forget_controls(hass: HomeAssistant, entry: ConfigEntry) -> None:
    """Let the entry forget that controls were enabled, and its entities go; what was sealed is wiped by the caller."""
    note_controls_locked(hass, entry, "", None)
    data = {name: value for name, value in entry.data.items() if name != CONF_CONTROLS}
    hass.config_entries.async_update_entry(entry, data=data)
    hass.config_entries.async_schedule_reload(entry.entry_id)


def enabled_controls(entry: TeslaFiConfigEntry) -> ControlsCoordinator:
    """Return the controls of an entry; raise ServiceValidationError when they are off."""
    controls = entry.runtime_data.controls
    if controls is None:
        raise ServiceValidationError(translation_domain=DOMAIN, translation_key="controls_not_enabled")
    return controls


def _signal(entry: ConfigEntry, target: str) -> str:
    return f"{DOMAIN}_command_{entry.entry_id}_{target}"


def _user_id(context: Context | None) -> str | None:
    return context.user_id if context else None


def _result(error: Exception | None) -> tuple[Result, str]:
    if error is None:
        return Result.SUCCEEDED, ""
    if isinstance(error, CommandRefused):
        return Result.REFUSED, error.reason
    if isinstance(error, CommandUncertain):
        return Result.UNCERTAIN, str(error)
    if isinstance(error, TeslaError):
        return Result.FAILED, str(error)
    if isinstance(error, HomeAssistantError):
        return Result.LOCKED, error.translation_key or ""
    return Result.LOCKED, str(error)
