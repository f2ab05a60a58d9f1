"""What compat.py uses of Home Assistant without it being documented is still as we found it."""

import inspect

from homeassistant.core import Context, HomeAssistant
from homeassistant.helpers.config_entry_oauth2_flow import AbstractOAuth2FlowHandler
from homeassistant.helpers.entity import Entity

from custom_components.teslafi.compat import OAuth2Flow, calling_context


def test_an_entity_tells_who_called() -> None:
    entity = Entity()
    assert calling_context(entity) is None, "Entity._context is not None before a call: see compat.calling_context"
    context = Context(user_id="anna")
    entity.async_set_context(context)
    assert calling_context(entity) is context, (
        "Entity.async_set_context no longer leaves the context in Entity._context: commands would lose who sent them. "
        "Look for a public way and change compat.calling_context."
    )


def test_the_code_is_exchanged_in_the_step_that_we_replace(hass: HomeAssistant) -> None:
    source = inspect.getsource(AbstractOAuth2FlowHandler)
    assert "async def async_step_creation" in source, (
        "Home Assistant's OAuth flow no longer exchanges the code in async_step_creation: compat.OAuth2Flow replaces "
        "nothing now, and the base class would put Tesla's answer into the flow. Find the new step."
    )
    assert '"creation"' in source, (
        "Home Assistant's OAuth flow no longer goes on to the step creation after the browser came back."
    )
    assert "external_data" in inspect.getsource(AbstractOAuth2FlowHandler.async_step_auth), (
        "Home Assistant's OAuth flow no longer keeps what the browser brought in external_data."
    )
    assert OAuth2Flow.async_step_creation is not AbstractOAuth2FlowHandler.async_step_creation
