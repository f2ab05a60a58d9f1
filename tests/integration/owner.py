"""An owner: goes through Home Assistant's flows and Tesla's pages as a person does."""

from collections.abc import Collection, Mapping
import time
from typing import Any, ClassVar, Final

import aiohttp
from homeassistant.components.application_credentials import ClientCredential, async_import_client_credential
from homeassistant.config_entries import SOURCE_USER, ConfigEntry, ConfigFlowResult
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.helpers import config_entry_oauth2_flow as oauth2
from homeassistant.setup import async_setup_component
from yarl import URL

from custom_components.teslafi.const import DOMAIN
from teslafi_simulators.tesla import TeslaSimulator
from tests.live.tesla_pages import sign_in

ANNA: Final = "anna@example.com"
ERIK: Final = "erik@example.com"
BO: Final = "bo@example.com"
EVERYTHING: Final = {"region": "global", "vehicle_location": True, "energy_device_data": True}
READ_SCOPES: Final = {"openid", "offline_access", "vehicle_device_data", "vehicle_location", "energy_device_data"}


def offered_key(flow: ConfigFlowResult) -> str:
    """Return the public key that a form shows for whoever hosts it elsewhere."""
    assert flow["data_schema"] is not None
    key = flow["data_schema"].schema["elsewhere"].schema({})["public_key"]
    assert isinstance(key, str)
    return key


class Owner:
    """Signs in, pastes tokens, and looks at what comes of it."""

    REDIRECT: ClassVar = "https://example.com/auth/external/callback"
    """Where PHACC's Home Assistant has the browser sent back to."""

    def __init__(self, hass: HomeAssistant, tesla: TeslaSimulator) -> None:
        """Sit in front of this Home Assistant and this Tesla."""
        self.hass = hass
        self.tesla = tesla

    async def bring_application(self, client_id: str) -> None:
        """Enter a developer application under Home Assistant's application credentials."""
        application = self.tesla.applications.by_client_id(client_id)
        assert application is not None
        assert await async_setup_component(self.hass, "application_credentials", {})
        await async_import_client_credential(
            self.hass, DOMAIN, ClientCredential(client_id, application.client_secret or "", client_id), client_id
        )

    async def begin(self, way: str) -> ConfigFlowResult:
        """Add the integration and choose a way from the first menu."""
        flow = await self.hass.config_entries.flow.async_init(DOMAIN, context={"source": SOURCE_USER})
        assert flow["type"] is FlowResultType.MENU
        return await self.choose(flow, way)

    async def choose(self, flow: ConfigFlowResult, option: str) -> ConfigFlowResult:
        """Choose from a menu."""
        return await self.answer(flow, {"next_step_id": option})

    async def answer(self, flow: ConfigFlowResult, answer: Mapping[str, Any]) -> ConfigFlowResult:
        """Submit a form."""
        return await self.hass.config_entries.flow.async_configure(flow["flow_id"], dict(answer))

    async def at_tesla(
        self, flow: ConfigFlowResult, email: str = ANNA, *, untick: Collection[str] = (), password: str | None = None
    ) -> ConfigFlowResult:
        """Sign in on Tesla's pages, come back to Home Assistant, and return where the flow is then."""
        assert flow["type"] is FlowResultType.EXTERNAL_STEP
        back = await self.pages(flow["url"], email, untick=untick, password=password)
        await self.come_back({name: back.query[name] for name in ("code", "state", "error") if name in back.query})
        return await self.hass.config_entries.flow.async_configure(flow["flow_id"])

    async def pages(self, url: str, email: str, *, untick: Collection[str] = (), password: str | None = None) -> URL:
        """Go through Tesla's pages; return the address that leads back."""
        account = self.tesla.accounts.by_email(email)
        assert account is not None
        jar = aiohttp.CookieJar(unsafe=True)
        async with aiohttp.ClientSession(cookie_jar=jar) as browser:
            return await sign_in(
                browser,
                url,
                email=email,
                password=password or account.password,
                passcode=self.tesla.accounts.current_passcode(email),
                untick=untick,
            )

    async def come_back(self, query: Mapping[str, str]) -> None:
        """Do what Home Assistant's callback view does with the address that leads back."""
        state = oauth2._decode_jwt(self.hass, query["state"])  # noqa: SLF001 - as the view does
        assert state is not None
        said = {name: query[name] for name in ("code", "error") if name in query}
        await self.hass.config_entries.flow.async_configure(state["flow_id"], {"state": state, **said})

    async def sign_in(self, email: str = ANNA, **answer: Any) -> ConfigEntry:  # noqa: ANN401 - a form's values
        """Set up an account by signing in; return its loaded entry."""
        flow = await self.answer(await self.begin("sign_in"), {**EVERYTHING, **answer})
        flow = await self.at_tesla(flow, email)
        assert flow["type"] is FlowResultType.CREATE_ENTRY
        await self.hass.async_block_till_done(wait_background_tasks=True)
        entry: ConfigEntry = flow["result"]
        return entry

    def token(self, email: str = ERIK, scopes: Collection[str] = READ_SCOPES, **how: Any) -> dict[str, str]:  # noqa: ANN401
        """Generate tokens as with a tool of the owner's."""
        client_id = how.pop("client_id", "teslafi-monitoring")
        pair = self.tesla.control.mint(email, client_id, set(scopes), **how)
        return {"access_token": pair.access_token, "refresh_token": pair.refresh_token or ""}

    def now(self) -> float:
        """Return the time of this test."""
        return time.time()
