"""What assistants can ask about the journal. They only read, and only of cars that are exposed to them."""

from collections.abc import Mapping
from typing import Any, ClassVar, Final, override

from homeassistant.components.homeassistant.exposed_entities import async_should_expose
from homeassistant.components.llm import LLMTools
from homeassistant.core import HomeAssistant, callback
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import device_registry as dr, entity_registry as er
from homeassistant.helpers.llm import LLMContext, Tool, ToolAnnotations, ToolInput, ToolResult
import probatio

from .const import DOMAIN
from .coordinators.journal_summary import JournalCoordinator
from .journal.file import JournalUnusable
from .journal_entities.actions import GROUP_BY, PERIODS, SPAN, charges_told, drives_told, span_of, summary_told, told_of
from .journal_entities.figures import Figures
from .runtime import TeslaFiConfigEntry

MOST: Final = 50
"""Sessions that one answer lists at most, the newest."""
CAR: Final = "car"


class _JournalTool(Tool):
    """A question about the journal of one car."""

    annotations = ToolAnnotations(read_only=True, destructive=False, idempotent=True, open_world=False)
    integration = DOMAIN
    fields: ClassVar[Mapping[Any, Any]] = SPAN

    def __init__(self, cars: Mapping[str, JournalCoordinator]) -> None:
        """Answer about these cars, by their names."""
        self._cars = cars
        self.parameters = probatio.Schema({probatio.Required(CAR): probatio.In(sorted(cars)), **self.fields})

    @override
    async def async_call(self, hass: HomeAssistant, tool_input: ToolInput, llm_context: LLMContext) -> ToolResult:
        """Answer, or say in a sentence why not."""
        try:
            asked = self.parameters(tool_input.tool_args)
            return ToolResult(data=await self._answer(self._cars[asked[CAR]], asked))
        except (probatio.Invalid, HomeAssistantError, JournalUnusable) as error:
            return ToolResult(data={"error": str(error)}, error=True)

    async def _answer(self, car: JournalCoordinator, asked: Mapping[str, Any]) -> Figures:
        raise NotImplementedError


class SummaryTool(_JournalTool):
    """Sums of a period."""

    name = "teslafi__get_summary"
    title = "Get driving and charging summary"
    description = (
        "Get the distance, driving energy, charged energy, and charging costs of a car for a period, in total or by "
        "day, week, month, or year. Use it for questions such as how much charging cost last month."
    )
    fields: ClassVar[Mapping[Any, Any]] = {**SPAN, probatio.Optional(GROUP_BY, default="total"): probatio.In(PERIODS)}

    @override
    async def _answer(self, car: JournalCoordinator, asked: Mapping[str, Any]) -> Figures:
        return {"periods": await told_of(car, summary_told, span_of(asked), asked[GROUP_BY])}


class DrivesTool(_JournalTool):
    """The drives of a period."""

    name = "teslafi__get_drives"
    title = "Get drives"
    description = "Get the drives of a car in a period, with places, distance, time, and energy. The newest 50 at most."

    @override
    async def _answer(self, car: JournalCoordinator, asked: Mapping[str, Any]) -> Figures:
        drives = await told_of(car, drives_told, span_of(asked))
        return {"count": len(drives), "drives": drives[-MOST:]}


class ChargesTool(_JournalTool):
    """The charges of a period."""

    name = "teslafi__get_charges"
    title = "Get charging sessions"
    description = "Get the charging sessions of a car in a period, with place, energy, and cost. The newest 50 at most."

    @override
    async def _answer(self, car: JournalCoordinator, asked: Mapping[str, Any]) -> Figures:
        charges = await told_of(car, charges_told, span_of(asked))
        return {"count": len(charges), "charges": charges[-MOST:]}


TOOLS: Final = (SummaryTool, DrivesTool, ChargesTool)


@callback
def async_get_tools(hass: HomeAssistant, llm_context: LLMContext, _api_id: str) -> LLMTools | None:
    """Return the tools, when a car is exposed to the assistant that asks."""
    cars = _exposed_cars(hass, llm_context.assistant)
    return LLMTools(tools=[tool(cars) for tool in TOOLS]) if cars else None


def _exposed_cars(hass: HomeAssistant, assistant: str | None) -> dict[str, JournalCoordinator]:
    """Return the journals of the cars of which an entity is exposed, by the cars' names."""
    if assistant is None:
        return {}
    devices, entities = dr.async_get(hass), er.async_get(hass)
    found: dict[str, JournalCoordinator] = {}
    loaded: list[TeslaFiConfigEntry] = hass.config_entries.async_loaded_entries(DOMAIN)
    for entry in loaded:
        for vin in entry.runtime_data.vehicles:
            device = devices.async_get_device_by_identifier((DOMAIN, vin), entry.entry_id)
            if device is None:
                continue
            shown = er.async_entries_for_device(entities, device.id)
            if any(async_should_expose(hass, assistant, entity.entity_id) for entity in shown):
                name = device.name_by_user or device.name or vin[-6:]
                found[f"{name} {vin[-6:]}" if name in found else name] = entry.runtime_data.journal_of(vin)
    return found
