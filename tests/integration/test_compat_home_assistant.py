"""What we use of Home Assistant beyond its documents is still as `compat.py` says.

`script/compat homeassistant` runs this on the oldest Home Assistant that we allow, and on the newest.
"""

import logging
from typing import Any, Final, override

from homeassistant.config_entries import ConfigEntry, ConfigEntryState, ConfigFlowResult
from homeassistant.core import Context, HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.helpers.entity import Entity
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry  # type: ignore[import-untyped]

from custom_components.teslafi.compat import OAuth2Flow, calling_context, listen_to_entries

RETURNED: Final = {"code": "a-code", "state": {"flow_id": "1"}}


def test_an_entity_keeps_the_context_of_its_call() -> None:
    entity, context = Entity(), Context(user_id="anna")
    entity.async_set_context(context)
    assert getattr(entity, "_context", None) is context, (
        "Home Assistant keeps the context of a call elsewhere now: compat.calling_context has to read it there, or no "
        "command is told with who sent it"
    )
    assert calling_context(entity) is context


async def test_a_changed_entry_is_told(hass: HomeAssistant) -> None:
    told: list[ConfigEntry] = []
    entry = MockConfigEntry(domain="nobody")
    entry.add_to_hass(hass)
    stop = listen_to_entries(hass, told.append)
    hass.config_entries.async_update_entry(entry, options={"an": "option"})
    assert told == [entry], "changed options are told by another signal now: compat.listen_to_entries has to follow it"
    entry.mock_state(hass, ConfigEntryState.SETUP_IN_PROGRESS)
    assert told == [entry, entry], "an entry's state is told by another signal now"
    stop()
    hass.config_entries.async_update_entry(entry, options={})
    assert len(told) == 2


class Flow(OAuth2Flow):
    """A flow that notes what it is handed."""

    DOMAIN = "nobody"

    def __init__(self) -> None:
        """Begin with nothing."""
        super().__init__()
        self.came: list[object] = []

    @property
    @override
    def logger(self) -> logging.Logger:
        return logging.getLogger(__name__)

    @override
    async def async_code_came(self, returned: Any) -> ConfigFlowResult:
        self.came.append(returned)
        return self.async_abort(reason="came")


async def test_the_code_comes_to_the_step_that_is_ours(hass: HomeAssistant) -> None:
    flow = Flow()
    flow.hass, flow.flow_id, flow.handler = hass, "1", "nobody"
    back = await flow.async_step_auth(RETURNED)
    assert back["type"] is FlowResultType.EXTERNAL_STEP_DONE
    step = getattr(flow, f"async_step_{back['step_id']}")
    assert step == flow.async_step_creation, (
        "Home Assistant exchanges the code in another step now: compat.OAuth2Flow has to take it over, or tokens get "
        "into Home Assistant's own hands"
    )
    await step()
    assert flow.came == [RETURNED], "what the browser brought back is no longer in `external_data`"
    assert flow.external_data is None, "the code is kept in the flow"


@pytest.mark.parametrize(
    ("error", "reason"), [("access_denied", "sign_in_canceled"), ("server_error", "user_rejected_authorize")]
)
async def test_a_refusal_comes_to_the_step_that_is_ours(hass: HomeAssistant, error: str, reason: str) -> None:
    flow = Flow()
    flow.hass, flow.flow_id, flow.handler = hass, "1", "nobody"
    back = await flow.async_step_auth({"error": error, "state": {"flow_id": "1"}})
    step = getattr(flow, f"async_step_{back['step_id']}")
    assert step == flow.async_step_authorize_rejected, "Home Assistant tells of a refusal in another step now"
    assert (await step())["reason"] == reason
    assert flow.came == []
