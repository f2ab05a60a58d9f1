"""What charging costs in a zone: a subentry of the account, which the owner may change at any time."""

from collections.abc import Mapping
import math
from typing import Any, Final, override

from homeassistant.components.zone.const import DOMAIN as ZONE
from homeassistant.config_entries import ConfigSubentryFlow, SubentryFlowResult
from homeassistant.const import ATTR_UNIT_OF_MEASUREMENT
from homeassistant.helpers.selector import (
    EntitySelector,
    EntitySelectorConfig,
    NumberSelector,
    NumberSelectorConfig,
    NumberSelectorMode,
    ObjectSelector,
    ObjectSelectorConfig,
    SelectOptionDict,
    SelectSelector,
    SelectSelectorConfig,
    TimeSelector,
)
from homeassistant.helpers.translation import async_get_cached_translations
import probatio

from ..const import (
    CONF_PER_KWH,
    CONF_PER_MINUTE,
    CONF_PRICE_ENTITY,
    CONF_SESSION_FEE,
    CONF_WINDOWS,
    CONF_ZONE,
    CONF_ZONE_NAME,
    DOMAIN,
)
from ..coordinators.costs import WEEKDAYS, minutes_of, windows_of
from ..coordinators.prices import unit_of

PRICE_MOST: Final = 100_000
"""In every currency: in Bogotá a kWh costs over a thousand pesos."""


class _PriceSelector(NumberSelector):
    """A number that is one: Home Assistant's takes NaN too."""

    @override
    def __call__(self, data: Any) -> float:
        price = super().__call__(data)
        if math.isnan(price):
            raise probatio.Invalid("Value is not a number")
        return price


PRICE: Final = _PriceSelector(NumberSelectorConfig(min=0, max=PRICE_MOST, step="any", mode=NumberSelectorMode.BOX))


def _schema(days: Mapping[str, str]) -> probatio.Schema:
    """Return the form; `days` are the weekdays and what they are called, which Home Assistant can't do in a list."""
    options = [SelectOptionDict(value=day, label=name) for day, name in days.items()]
    windows = ObjectSelector(
        ObjectSelectorConfig(
            multiple=True,
            translation_key="tariff_windows",
            label_field="start",
            description_field="per_kwh",
            fields={
                "start": {"required": True, "selector": TimeSelector()},
                "end": {"required": True, "selector": TimeSelector()},
                "per_kwh": {"selector": PRICE},
                "per_minute": {"selector": PRICE},
                "days": {"selector": SelectSelector(SelectSelectorConfig(options=options, multiple=True))},
            },
        )
    )
    return probatio.Schema(
        {
            probatio.Required(CONF_ZONE): EntitySelector(EntitySelectorConfig(domain=ZONE)),
            probatio.Required(CONF_PER_KWH, default=0): PRICE,
            probatio.Optional(CONF_PRICE_ENTITY): EntitySelector(
                EntitySelectorConfig(domain=["sensor", "number", "input_number"])
            ),
            probatio.Required(CONF_PER_MINUTE, default=0): PRICE,
            probatio.Required(CONF_SESSION_FEE, default=0): PRICE,
            probatio.Optional(CONF_WINDOWS): windows,
        }
    )


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
        return self._form(
            "reconfigure", user_input or {**subentry.data, CONF_WINDOWS: windows_of(subentry.data)}, errors
        )

    def _form(self, step: str, values: dict[str, Any] | None, errors: dict[str, str]) -> SubentryFlowResult:
        texts = async_get_cached_translations(self.hass, self.hass.config.language, "selector", DOMAIN)
        days = {day: texts.get(f"component.{DOMAIN}.selector.weekdays.options.{day}", day) for day in WEEKDAYS}
        schema = self.add_suggested_values_to_schema(_schema(days), values or {})
        placeholders = {"currency": self.hass.config.currency}
        return self.async_show_form(
            step_id=step, data_schema=schema, errors=errors, description_placeholders=placeholders
        )

    def _named(self, values: dict[str, Any]) -> dict[str, Any]:
        """Return the values with the zone's name, by which charges know the zone."""
        state = self.hass.states.get(values[CONF_ZONE])
        return {
            **values,
            CONF_WINDOWS: _windows(values),
            CONF_ZONE_NAME: values[CONF_ZONE] if state is None else state.name,
        }

    def _errors(self, values: dict[str, Any] | None) -> dict[str, str]:
        """A window needs a price and differing times; a price entity tells money for energy."""
        if values is None:
            return {}
        for window in _windows(values):
            if (
                minutes_of(window["start"]) == minutes_of(window["end"])
                or not {"per_kwh", "per_minute"} & window.keys()
            ):
                return {CONF_WINDOWS: "window_incomplete"}
        state = self.hass.states.get(values.get(CONF_PRICE_ENTITY, ""))
        if state is not None and unit_of(state.attributes.get(ATTR_UNIT_OF_MEASUREMENT)) is None:
            return {CONF_PRICE_ENTITY: "not_a_price"}
        return {}


def _windows(values: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the windows, prices as numbers; the selector takes one by itself as well, and leaves texts as they are."""
    windows = values.get(CONF_WINDOWS) or []
    return [
        {**window, **{name: PRICE(window[name]) for name in ("per_kwh", "per_minute") if name in window}}
        for window in ([windows] if isinstance(windows, dict) else windows)
    ]
