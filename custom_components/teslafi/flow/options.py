"""What the owner may change without signing in."""

from collections.abc import Mapping
from typing import Any, Final

from homeassistant.config_entries import ConfigEntryState, ConfigFlowResult, OptionsFlow
from homeassistant.helpers.selector import (
    BooleanSelector,
    EntitySelector,
    EntitySelectorConfig,
    NumberSelector,
    NumberSelectorConfig,
    NumberSelectorMode,
    SelectSelector,
    SelectSelectorConfig,
    SelectSelectorMode,
    TextSelector,
    TextSelectorConfig,
    TextSelectorType,
)
from homeassistant.util import dt as dt_util
import probatio

from ..const import (
    CONF_COMMAND_CODE,
    CONF_CONTROLS,
    CONF_CURRENCY,
    CONF_FREE_SUPERCHARGING,
    CONF_HABITS,
    CONF_HINTS,
    CONF_JOURNAL_MONTHS,
    CONF_JOURNAL_POSITIONS,
    CONF_MONTHLY_BUDGET,
    CONF_POLLING_MODE,
    CONF_REPORT_COMMANDS,
    CONF_SHOW_TOKENS,
    MONITORING,
)
from ..controls.code import hashed
from ..coordinators.journal import MONTHS_KEPT
from ..journal.privacy import Positions
from ..polling.pace import USUAL_MONTH, Mode
from ..runtime import TeslaFiConfigEntry
from ..storage.vault import async_get_vault
from ..tesla.requests import CREDIT, Category, Currency, price_of
from ..written import texts_of, written

NEW_CODE: Final = "new_code"
REMOVE_CODE: Final = "remove_code"

BUDGET: Final = NumberSelector(NumberSelectorConfig(min=0, max=1000, step=0.5, mode=NumberSelectorMode.BOX))
CURRENCY: Final = SelectSelector(
    SelectSelectorConfig(options=[currency.value for currency in Currency], mode=SelectSelectorMode.DROPDOWN)
)
MODE: Final = SelectSelector(
    SelectSelectorConfig(
        options=[mode.value for mode in Mode], translation_key="polling_mode", mode=SelectSelectorMode.LIST
    )
)
HINTS: Final = EntitySelector(
    EntitySelectorConfig(domain=["person", "device_tracker", "binary_sensor", "cover", "lock", "sensor"], multiple=True)
)
MONTHS: Final = NumberSelector(
    NumberSelectorConfig(
        min=0,
        max=240,
        step=1,
        mode=NumberSelectorMode.BOX,
        unit_of_measurement="months",
        translation_key=CONF_JOURNAL_MONTHS,
    )
)
POSITIONS: Final = SelectSelector(
    SelectSelectorConfig(
        options=[choice.value for choice in Positions],
        translation_key=CONF_JOURNAL_POSITIONS,
        mode=SelectSelectorMode.LIST,
    )
)
CONTROL_OPTIONS_SCHEMA: Final = probatio.Schema(
    {
        probatio.Required(CONF_REPORT_COMMANDS, default=True): BooleanSelector(),
        probatio.Optional(NEW_CODE): TextSelector(
            TextSelectorConfig(type=TextSelectorType.PASSWORD, autocomplete="new-password")
        ),
        probatio.Optional(REMOVE_CODE, default=False): BooleanSelector(),
    }
)


def options_schema(currency: Currency) -> probatio.Schema:
    """Return what everybody may change; `currency` is offered when none was chosen."""
    return probatio.Schema(
        {
            probatio.Required(CONF_POLLING_MODE, default=Mode.BALANCED.value): MODE,
            probatio.Optional(CONF_MONTHLY_BUDGET): BUDGET,
            probatio.Required(CONF_CURRENCY, default=currency.value): CURRENCY,
            probatio.Optional(CONF_HINTS): HINTS,
            probatio.Required(CONF_HABITS, default=True): BooleanSelector(),
            probatio.Required(CONF_FREE_SUPERCHARGING, default=False): BooleanSelector(),
            probatio.Required(CONF_JOURNAL_POSITIONS, default=Positions.EXACT.value): POSITIONS,
            probatio.Required(CONF_JOURNAL_MONTHS, default=MONTHS_KEPT): MONTHS,
            probatio.Required(CONF_SHOW_TOKENS, default=False): BooleanSelector(),
        }
    )


def likely_currency(options: Mapping[str, Any], of_home: str) -> Currency:
    """Return what Tesla probably bills in: Home Assistant's currency, but a budget without one was in US dollars."""
    if CONF_MONTHLY_BUDGET in options and CONF_CURRENCY not in options:
        return Currency.USD
    return next((currency for currency in Currency if currency == of_home), Currency.USD)


class TeslaFiOptionsFlow(OptionsFlow):
    """What the owner may change without signing in."""

    async def async_step_init(self, _user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Lead to the settings; to the masked tokens as well, once the owner has switched that on."""
        if self.config_entry.options.get(CONF_SHOW_TOKENS):
            return self.async_show_menu(step_id="init", menu_options=["settings", "tokens"])
        return await self.async_step_settings()

    async def async_step_settings(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask how closely to watch, and for the monthly budget; none means no limit. Both count at once."""
        controls = CONF_CONTROLS in self.config_entry.data
        if user_input is not None:
            return self.async_create_entry(data=await self._with_code(user_input))
        options = self.config_entry.options
        offered = likely_currency(options, self.hass.config.currency)
        schema = options_schema(offered)
        schema = schema.extend(CONTROL_OPTIONS_SCHEMA.schema) if controls else schema
        schema = self.add_suggested_values_to_schema(schema, options)
        chosen = next((currency for currency in Currency if currency == options.get(CONF_CURRENCY)), Currency.USD)
        texts = texts_of(self.hass)
        return self.async_show_form(
            step_id="settings",
            data_schema=schema,
            description_placeholders={
                "look": written(texts, price_of(Category.DATA, chosen), 4).rstrip("0"),
                "credit": str(CREDIT[chosen]),
                "currency": chosen.value,
                **{mode.value: written(texts, self._usual_month(mode, chosen), 2) for mode in Mode},
            },
        )

    def _usual_month(self, mode: Mode, currency: Currency) -> float:
        """Return what a month like the last thirty days costs in a mode; on the first day, what it mostly costs."""
        entry: TeslaFiConfigEntry = self.config_entry
        usual, cars = None, 1
        if entry.state is ConfigEntryState.LOADED:
            usual, cars = entry.runtime_data.budget.usual_month(mode), len(entry.runtime_data.vehicles)
        if usual is not None:
            return usual
        of_a_dollar = price_of(Category.DATA, currency) / price_of(Category.DATA, Currency.USD)
        return USUAL_MONTH[mode] * of_a_dollar * cars

    async def _with_code(self, typed: dict[str, Any]) -> dict[str, Any]:
        """Keep the code as a salted hash; an empty field leaves it as it is."""
        new, remove = typed.pop(NEW_CODE, ""), typed.pop(REMOVE_CODE, False)
        kept = self.config_entry.options.get(CONF_COMMAND_CODE)
        if new:
            kept = await self.hass.async_add_executor_job(hashed, new)
        if kept and (new or not remove):
            typed[CONF_COMMAND_CODE] = kept
        return typed

    async def async_step_tokens(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Show the last characters of the tokens in use. Home Assistant opens options for administrators alone."""
        if user_input is not None:
            return await self.async_step_settings()
        grant = (await async_get_vault(self.hass)).get_or_none(self.config_entry.entry_id, MONITORING)
        if grant is None:
            return self.async_abort(reason="no_tokens")
        placeholders = {
            "access_token": grant.access_token.masked(),
            "refresh_token": grant.refresh_token.masked() if grant.refresh_token else "-",
            "client_id": grant.client_id,
            "scopes": " ".join(sorted(grant.scopes)),
            "expires_at": dt_util.as_local(dt_util.utc_from_timestamp(grant.expires_at)).strftime("%Y-%m-%d %H:%M"),
        }
        return self.async_show_form(step_id="tokens", description_placeholders=placeholders)
