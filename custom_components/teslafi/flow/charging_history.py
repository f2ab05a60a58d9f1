"""The way to paid charging sessions: Tesla gives them with a scope that also commands, so it is asked on wish alone."""

from collections.abc import Mapping
from typing import Any

from homeassistant.config_entries import ConfigFlowResult

from ..const import CONF_DECLINED_SCOPES, CONF_METHOD, CONF_REGION, CONF_REQUESTED_SCOPES, METHOD_SIGN_IN
from ..tesla.grant import SCOPE_CHARGING
from .sign_in import SignInFlow


class ChargingHistoryFlow(SignInFlow):
    """Says what the scope allows, then opens Tesla's page for it and for what was shared before."""

    @staticmethod
    def offers_charging_history(data: Mapping[str, Any]) -> bool:
        """Whether an entry with this data can be asked: it signed in on Tesla's page, and does not share it yet."""
        return data[CONF_METHOD] == METHOD_SIGN_IN and SCOPE_CHARGING not in _shared(data)

    async def async_step_charging_history(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Explain, and go on when the owner agrees."""
        if user_input is None:
            return self.async_show_form(step_id="charging_history")
        data = self._get_reconfigure_entry().data
        return await self.async_ask_to_read(data[CONF_REGION], _shared(data) | {SCOPE_CHARGING})


def _shared(data: Mapping[str, Any]) -> frozenset[str]:
    return frozenset(data[CONF_REQUESTED_SCOPES]) - frozenset(data[CONF_DECLINED_SCOPES])
