"""Every use of something of Home Assistant that is not documented, in one place.

`tests/integration/test_compat_home_assistant.py` fails with a sentence when one of them changes.
"""

from abc import abstractmethod
from collections.abc import Callable
from typing import Any, override

from homeassistant.config_entries import (
    SIGNAL_CONFIG_ENTRY_CHANGED,
    ConfigEntry,
    ConfigEntryChange,
    ConfigFlowResult,
)
from homeassistant.core import CALLBACK_TYPE, Context, HomeAssistant, callback
from homeassistant.helpers.config_entry_oauth2_flow import AbstractOAuth2FlowHandler
from homeassistant.helpers.dispatcher import async_dispatcher_connect
from homeassistant.helpers.entity import Entity


def calling_context(entity: Entity) -> Context | None:
    """Return the context of the call that an entity is serving.

    Home Assistant sets it before an entity's action runs (`Entity.async_set_context`) and has no public way to read it.
    """
    return entity._context  # noqa: SLF001 - see above


@callback
def listen_to_entries(hass: HomeAssistant, changed: Callable[[ConfigEntry], None]) -> CALLBACK_TYPE:
    """Call `changed` with each config entry whose data, options or state change; return how to stop.

    The signal serves Home Assistant's own pages. An update listener, the documented way, is refused beside flows that
    reload the entry themselves.
    """

    @callback
    def tell(_change: ConfigEntryChange, entry: ConfigEntry) -> None:
        changed(entry)

    return async_dispatcher_connect(hass, SIGNAL_CONFIG_ENTRY_CHANGED, tell)


class OAuth2Flow(AbstractOAuth2FlowHandler):
    """Home Assistant's OAuth steps, with the exchange of the code in our own hands.

    The base class exchanges the code in `async_step_creation`, logs the answer's errors, takes every refusal for a
    time-out or a bad token, and offers no hook between. The answer holds tokens: it goes to `async_code_came` alone.
    """

    @override
    async def async_step_creation(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Hand on what the browser brought back, once."""
        returned, self.external_data = self.external_data, None
        return await self.async_code_came(returned)

    @override
    async def async_step_authorize_rejected(self, data: None = None) -> ConfigFlowResult:
        """Say in a sentence that the owner canceled; any other refusal is told by its error, as the base class does."""
        if self.external_data.get("error") == "access_denied":
            return self.async_abort(reason="sign_in_canceled")
        return await super().async_step_authorize_rejected(data)

    @abstractmethod
    async def async_code_came(self, returned: Any) -> ConfigFlowResult:  # noqa: ANN401 - as Home Assistant types it
        """Exchange the code in `returned`, which holds `code` and `state`."""
