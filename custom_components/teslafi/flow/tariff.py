"""What charging costs in a zone: a subentry of the account, which the owner may change at any time."""

from typing import Any, Final

from homeassistant.components.zone.const import DOMAIN as ZONE
from homeassistant.config_entries import ConfigSubentryFlow, SubentryFlowResult
from homeassistant.const import ATTR_UNIT_OF_MEASUREMENT
from homeassistant.helpers.selector import (
    EntitySelector,
    EntitySelectorConfig,
    NumberSelector,
    NumberSelectorConfig,
    NumberSelectorMode,
    TimeSelector,
)
import probatio

from ..const import (
    CONF_PER_KWH,
    CONF_PER_MINUTE,
    CONF_PRICE_ENTITY,
    CONF_SESSION_FEE,
    CONF_WINDOW_END,
    CONF_WINDOW_PER_KWH,
    CONF_WINDOW_START,
    CONF_ZONE,
    CONF_ZONE_NAME,
)
from ..coordinators.prices import unit_of

PRICE: Final = NumberSelector(NumberSelectorConfig(min=0, max=1000, step="any", mode=NumberSelectorMode.BOX))
SCHEMA: Final = probatio.Schema(
    {
        probatio.Required(CONF_ZONE): EntitySelector(EntitySelectorConfig(domain=ZONE)),
        probatio.Required(CONF_PER_KWH, default=0): PRICE,
        probatio.Optional(CONF_PRICE_ENTITY): EntitySelector(
            EntitySelectorConfig(domain=["sensor", "number", "input_number"])
        ),
        probatio.Required(CONF_PER_MINUTE, default=0): PRICE,
        probatio.Required(CONF_SESSION_FEE, default=0): PRICE,
        probatio.Optional(CONF_WINDOW_START): TimeSelector(),
        probatio.Optional(CONF_WINDOW_END): TimeSelector(),
        probatio.Optional(CONF_WINDOW_PER_KWH): PRICE,
    }
)
WINDOW: Final = frozenset({CONF_WINDOW_START, CONF_WINDOW_END, CONF_WINDOW_PER_KWH})


class TariffFlow(ConfigSubentryFlow):
    """Asks for a zone and its prices."""

    async def async_step_user(self, user_input: dict[str, Any] | None = None) -> SubentryFlowResult:
        """Add a tariff."""
        errors = self._errors(user_input)
        if user_input is not None and not errors:
            if any(one.unique_id == user_input[CONF_ZONE] for one in self._get_entry().subentries.values()):
                return self.async_abort(reason="already_configured")
            data = self._named(user_input)
            return self.async_create_entry(title=data[CONF_ZONE_NAME], data=data, unique_id=user_input[CONF_ZONE])
        return self._form("user", user_input, errors)

    async def async_step_reconfigure(self, user_input: dict[str, Any] | None = None) -> SubentryFlowResult:
        """Change a tariff; what charges have cost stays until the owner asks for it to be reckoned anew."""
        subentry = self._get_reconfigure_subentry()
        errors = self._errors(user_input)
        if user_input is not None and not errors:
            data = self._named(user_input)
            return self.async_update_and_abort(
                self._get_entry(), subentry, data=data, title=data[CONF_ZONE_NAME], unique_id=user_input[CONF_ZONE]
            )
        return self._form("reconfigure", user_input or dict(subentry.data), errors)

    def _form(self, step: str, values: dict[str, Any] | None, errors: dict[str, str]) -> SubentryFlowResult:
        schema = self.add_suggested_values_to_schema(SCHEMA, values or {})
        placeholders = {"currency": self.hass.config.currency}
        return self.async_show_form(
            step_id=step, data_schema=schema, errors=errors, description_placeholders=placeholders
        )

    def _named(self, values: dict[str, Any]) -> dict[str, Any]:
        """Return the values with the zone's name, by which charges know the zone."""
        state = self.hass.states.get(values[CONF_ZONE])
        return {**values, CONF_ZONE_NAME: values[CONF_ZONE] if state is None else state.name}

    def _errors(self, values: dict[str, Any] | None) -> dict[str, str]:
        """A window needs all of its parts, or none; a price entity tells money for energy."""
        if values is None:
            return {}
        if len(WINDOW & values.keys()) not in (0, len(WINDOW)):
            return {"base": "window_incomplete"}
        state = self.hass.states.get(values.get(CONF_PRICE_ENTITY, ""))
        if state is not None and unit_of(state.attributes.get(ATTR_UNIT_OF_MEASUREMENT)) is None:
            return {CONF_PRICE_ENTITY: "not_a_price"}
        return {}
