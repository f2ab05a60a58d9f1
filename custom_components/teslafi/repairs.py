"""How an issue is settled inside Home Assistant, where that is possible: the flows behind *Fix*."""

from typing import Any, override

from homeassistant.components.repairs import ConfirmRepairFlow, FlowType, RepairsFlow, RepairsFlowResult
from homeassistant.config_entries import SOURCE_REAUTH, SOURCE_RECONFIGURE, ConfigEntry, ConfigFlowContext
from homeassistant.core import HomeAssistant
import probatio

from .const import CONF_COMPANION, CONF_MONTHLY_BUDGET, DOMAIN
from .coordinators.journal import get_journal
from .flow.link import async_unlink
from .flow.options import BUDGET
from .issues import BUDGET_REACHED, BUDGET_SHORT, COMPANION_UNLINKED, CONF_ENTRY_ID, CONTROLS_LOCKED, JOURNAL
from .journal.file import JournalUnusable


class BudgetFlow(RepairsFlow):
    """Asks for another monthly budget."""

    def __init__(self, entry: ConfigEntry) -> None:
        """Change the options of `entry`."""
        self._entry = entry

    async def async_step_init(self, _data: dict[str, Any] | None = None) -> RepairsFlowResult:
        """Begin; what comes is the issue, nothing that was typed."""
        return await self.async_step_budget()

    async def async_step_budget(self, user_input: dict[str, Any] | None = None) -> RepairsFlowResult:
        """Ask; an empty field means no limit."""
        if user_input is not None:
            others = {name: value for name, value in self._entry.options.items() if name != CONF_MONTHLY_BUDGET}
            self.hass.config_entries.async_update_entry(self._entry, options=others | user_input)
            return self.async_create_entry(data={})
        schema = probatio.Schema({probatio.Optional(CONF_MONTHLY_BUDGET): BUDGET})
        schema = self.add_suggested_values_to_schema(schema, self._entry.options)
        return self.async_show_form(
            step_id="budget", data_schema=schema, description_placeholders={"account": self._entry.title}
        )


class EntryRepairFlow(ConfirmRepairFlow):
    """Settles something of one entry once its owner agrees."""

    def __init__(self, entry: ConfigEntry) -> None:
        """Settle something of `entry`."""
        self._entry = entry


class SignInFlow(EntryRepairFlow):
    """Begins a new sign-in, and goes on with it."""

    @override
    async def async_step_confirm(self, user_input: dict[str, str] | None = None) -> RepairsFlowResult:
        """Begin once the owner agrees."""
        if user_input is None:
            return await super().async_step_confirm()
        self._entry.async_start_reauth(self.hass)
        begun = next(self._entry.async_get_active_flows(self.hass, {SOURCE_REAUTH}), None)
        return self.async_create_entry(data={}, next_flow=(FlowType.CONFIG_FLOW, begun["flow_id"]) if begun else None)


class ReconfigureFlow(EntryRepairFlow):
    """Goes on with *Reconfigure*, where controls are turned on again. The issue stays until they are open."""

    @override
    async def async_step_confirm(self, user_input: dict[str, str] | None = None) -> RepairsFlowResult:
        """Open its menu once the owner agrees."""
        if user_input is None:
            return await super().async_step_confirm()
        context = ConfigFlowContext(source=SOURCE_RECONFIGURE, entry_id=self._entry.entry_id)
        menu = await self.hass.config_entries.flow.async_init(DOMAIN, context=context)
        return self.async_abort(reason="goes_on", next_flow=(FlowType.CONFIG_FLOW, menu["flow_id"]))


class UnlinkFlow(EntryRepairFlow):
    """Ends a link on this side that the companion has ended on its own."""

    @override
    async def async_step_confirm(self, user_input: dict[str, str] | None = None) -> RepairsFlowResult:
        """Forget it once the owner agrees."""
        if user_input is not None and CONF_COMPANION in self._entry.data:
            await async_unlink(self.hass, self._entry)
        return await super().async_step_confirm(user_input)


class JournalFlow(ConfirmRepairFlow):
    """Moves a damaged journal aside and begins a new one."""

    @override
    async def async_step_confirm(self, user_input: dict[str, str] | None = None) -> RepairsFlowResult:
        """Do so once the owner agrees; the damaged file stays where Home Assistant keeps its configuration."""
        if user_input is not None:
            try:
                await get_journal(self.hass).async_start_anew()
            except JournalUnusable:
                return self.async_abort(reason="journal_not_moved")
        return await super().async_step_confirm(user_input)


async def async_create_fix_flow(
    hass: HomeAssistant, issue_id: str, data: dict[str, str | int | float | None] | None
) -> RepairsFlow:
    """Return the flow that settles an issue."""
    if issue_id == JOURNAL:
        return JournalFlow()
    entry = hass.config_entries.async_get_entry(str((data or {}).get(CONF_ENTRY_ID)))
    if entry is None:
        return ConfirmRepairFlow()
    if issue_id.startswith((BUDGET_REACHED, BUDGET_SHORT)):
        return BudgetFlow(entry)
    if issue_id.startswith(CONTROLS_LOCKED):
        return ReconfigureFlow(entry)
    return UnlinkFlow(entry) if issue_id.startswith(COMPANION_UNLINKED) else SignInFlow(entry)
