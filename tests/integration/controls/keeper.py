"""An owner who enables controls: goes through the companion's and Tesla's pages as a person does."""

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from homeassistant.config_entries import ConfigEntry, ConfigFlowResult
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.helpers import entity_registry as er, issue_registry as ir
import pyotp
from yarl import URL

from custom_components.teslafi.const import DOMAIN
from custom_components.teslafi.controls.enabled import EnabledControls
from custom_components.teslafi.controls.groups import ControlGroup
from teslafi_companion.clock import system_clock
from teslafi_companion.domain.accounts import totp
from teslafi_companion.http.services import Services
from teslafi_companion.settings import Settings
from teslafi_simulators.tesla import TeslaSimulator
from teslafi_simulators.tesla.cars.car import Car
from teslafi_simulators.tesla.scenario import ANNAS_MODEL_3, ANNAS_MODEL_Y
from tests.companion.web.person import OLGA, Person
from tests.integration.owner import Owner, offered_key
from tests.integration.test_link import reconfigure, through_pages

EVERY_GROUP = [group.value for group in ControlGroup]
BOTH = [ANNAS_MODEL_3, ANNAS_MODEL_Y]


class Steps:
    """The authenticator app's clock: begins one code back, so that three codes fit into any half minute."""

    def __init__(self) -> None:
        """Begin before the companion's own time, by what it allows."""
        self.offset = timedelta(seconds=-60)

    def advance(self, *, seconds: float) -> None:
        """Go on to the next code."""
        self.offset += timedelta(seconds=seconds)

    def __call__(self) -> datetime:
        """Return the app's time."""
        return system_clock() + self.offset


@dataclass
class Keeper:
    """Enables, uses and disables controls."""

    hass: HomeAssistant
    owner: Owner
    olga: Person
    entry: ConfigEntry
    companion: Services
    settings: Settings
    tesla: TeslaSimulator = field(init=False)

    def __post_init__(self) -> None:
        """Know the simulator as well."""
        self.tesla = self.owner.tesla

    @property
    def controls(self) -> EnabledControls:
        """The controls of the entry."""
        found: EnabledControls | None = self.entry.runtime_data.controls
        assert found is not None
        return found

    def car(self, vin: str = ANNAS_MODEL_3) -> Car:
        """Return a simulated car."""
        return self.tesla.control.car(vin)

    @property
    def sent(self) -> int:
        """How many commands left this machine, to whatever car or site, wake-ups among them."""
        return self.tesla.control.commands_received()

    async def set_up_app(self) -> None:
        """Switch an authenticator app on, by rule."""
        async with self.olga.store.transaction() as transaction:
            owner = await Person.account(transaction)
            enrolment = await totp.begin(transaction, owner, OLGA)
            self.olga.secret = enrolment.secret
            self.olga.clock.advance(seconds=30)
            code = pyotp.TOTP(enrolment.secret).at(self.olga.clock())
            assert await totp.activate(transaction, owner, enrolment, code)

    async def choose(self, groups: list[str] | None = None, vehicles: list[str] | None = None) -> ConfigFlowResult:
        """Choose *Enable controls*, groups and cars."""
        flow = await reconfigure(self.hass, self.owner, self.entry, "enable_controls")
        if flow["type"] is not FlowResultType.FORM:
            return flow
        chosen = {"groups": groups or EVERY_GROUP, "vehicles": BOTH if vehicles is None else vehicles}
        return await self.owner.answer(flow, chosen)

    async def at_companion(self, flow: ConfigFlowResult, answer: str = "allow") -> ConfigFlowResult:
        """Confirm on the companion's pages and come back."""
        assert flow["type"] is FlowResultType.EXTERNAL_STEP, flow
        back = await through_pages(self.olga, URL(flow["url"]), answer)
        await self.owner.come_back(
            {name: back.query[name] for name in ("code", "state", "error") if name in back.query}
        )
        return await self.hass.config_entries.flow.async_configure(flow["flow_id"])

    async def at_tesla(
        self, flow: ConfigFlowResult, application: str, *, untick: Collection[str] = ()
    ) -> ConfigFlowResult:
        """Choose the application, sign in at Tesla and come back."""
        flow = await self.owner.choose(flow, "controls_sign_in")
        flow = await self.owner.answer(flow, {"other": {"implementation": application}})
        return await self.owner.at_tesla(flow, untick=untick)

    async def paired(self, flow: ConfigFlowResult, application: str, vins: list[str]) -> ConfigFlowResult:
        """Put the key at the domain, register it, and confirm it on the phone."""
        assert flow["step_id"] == "controls_key", flow
        self.tesla.control.host_key(application, offered_key(flow))
        flow = await self.owner.answer(flow, {"domain": f"{application.removeprefix('teslafi-')}.example"})
        assert flow["step_id"] == "controls_pair", flow
        for vin in vins:
            self.tesla.control.pair(vin, application)
        return await self.owner.answer(flow, {"later": False})

    async def enable(
        self,
        *,
        groups: list[str] | None = None,
        vehicles: list[str] | None = None,
        application: str = "teslafi-controls",
    ) -> ConfigFlowResult:
        """Go the whole way."""
        flow = await self.at_companion(await self.choose(groups, vehicles))
        assert flow.get("step_id") == "controls_grant", flow
        flow = await self.at_tesla(flow, application)
        flow = await self.paired(flow, application, vehicles or BOTH)
        await self.hass.async_block_till_done(wait_background_tasks=True)
        return flow

    async def ask_again(self) -> None:
        """Have the companion asked now."""
        await self.controls.coordinator.async_refresh()
        await self.hass.async_block_till_done(wait_background_tasks=True)

    def issues(self) -> set[str]:
        """Return the repairs about controls."""
        return {
            issue.translation_key or ""
            for (domain, _), issue in ir.async_get(self.hass).issues.items()
            if domain == DOMAIN and (issue.translation_key or "").startswith("controls_")
        }

    def of_controls(self) -> set[str]:
        """Return the entity ids that are there to command."""
        known = er.async_entries_for_config_entry(er.async_get(self.hass), self.entry.entry_id)
        return {one.entity_id for one in known if "-control-" in one.unique_id}

    async def unlock(self) -> None:
        """Press *Unlock*."""
        await self.hass.services.async_call("lock", "unlock", {"entity_id": "lock.roadrunner_door_lock"}, blocking=True)
