"""Registers the owner's developer application at Tesla, where Tesla says that it is not, and then goes on.

Tesla fetches a public key from the application's domain, once per region. If the domain leads to this Home Assistant,
`public_key.py` serves the key; otherwise the owner copies or downloads it.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from html import escape
import time
from typing import Any, Final, override

from homeassistant.config_entries import ConfigFlow, ConfigFlowResult
from homeassistant.core import callback
from homeassistant.data_entry_flow import section
from homeassistant.helpers.aiohttp_client import async_get_clientsession
from homeassistant.helpers.selector import TextSelector, TextSelectorConfig
import probatio

from ..const import (
    CONF_CLIENT_ID,
    CONF_CONTROLS,
    CONF_DOMAIN,
    CONF_PAIRING_DOMAIN,
    CONF_PUBLIC_KEY,
    CONF_REGISTRATION,
    CONF_SAME_APPLICATION,
    DOMAIN,
    LOGGER,
)
from ..controls.sealed import new_command_key, public_pem
from ..public_key import FILE_NAME, OF_FLOW, HostedKey, own_domain, public_keys
from ..secret import Secret
from ..tesla.errors import NotRegistered, TeslaError
from ..tesla.pairing import (
    KEY_PATH,
    Application,
    Published,
    Refusal,
    RegistrationRefused,
    domain_of,
    key_address,
    look_at_key,
    register,
)
from ..tesla.servers import SERVERS, Region
from ..tesla.token import TokenEndpoint
from .oauth import TeslaImplementation

ELSEWHERE: Final = "elsewhere"
EXAMPLE: Final = "example.com"
OTHER_REGIONS: Final[dict[Region, tuple[Region, ...]]] = {"na": ("eu",), "eu": ("na",), "cn": ()}
"""Region -> others in which the same application can be registered; China has its own developer site."""

type GoOn = Callable[[], Awaitable[ConfigFlowResult]]
"""What was refused for want of a registration, tried again; may raise NotRegistered."""


@dataclass(slots=True)
class Registration:
    """An application to register in a region: its secret if Home Assistant has it, its key, in the end its domain."""

    client_id: str
    name: str
    secret: Secret | None
    region: Region
    pem: str
    domain: str = ""

    @classmethod
    def of(cls, application: TeslaImplementation, region: Region, pem: str) -> Registration:
        """Return the registration of an application of Home Assistant's application credentials."""
        secret = Secret(application.client_secret) if application.client_secret else None
        return cls(application.client_id, application.name, secret, region, pem)

    def as_data(self) -> dict[str, str]:
        """Return what the entry keeps of it."""
        return {CONF_CLIENT_ID: self.client_id, CONF_DOMAIN: self.domain, CONF_PUBLIC_KEY: self.pem}


class RegistrationFlow(ConfigFlow):
    """Asks for the application's domain, and has Tesla fetch the key from there."""

    _registration: Registration | None = None
    _go_on: GoOn
    _serves_key = False

    @callback
    @override
    def async_remove(self) -> None:
        """Stop serving a key that came to nothing; an entry that uses it goes on."""
        if self._serves_key:
            public_keys(self.hass).withdraw(self.flow_id)
        super().async_remove()

    async def async_not_registered(
        self, application: TeslaImplementation, region: Region, go_on: GoOn
    ) -> ConfigFlowResult:
        """Register the application that monitoring uses, then go on. Only its public key is kept: it never signs."""
        if not application.client_secret:
            return self.async_abort(reason="not_registered")
        known = self._known_key(application.client_id)
        registration = Registration.of(application, region, known or public_pem(new_command_key()))
        self._registration, self._go_on = registration, go_on
        return await self.async_step_register_application()

    def _known_key(self, client_id: str) -> str | None:
        """Return the key with which an entry's application is registered elsewhere."""
        for entry in self.hass.config_entries.async_entries(DOMAIN):
            registration = entry.data.get(CONF_REGISTRATION, {})
            if registration.get(CONF_CLIENT_ID) == client_id:
                return str(registration[CONF_PUBLIC_KEY])
        return None

    async def async_step_register_application(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask for the domain, register, go on."""
        registration = self._registration
        if registration is None:
            raise RuntimeError("nothing to register")
        errors: dict[str, str] = {}
        if user_input is not None and not (errors := await self.async_register(registration, user_input[CONF_DOMAIN])):
            try:
                return await self._go_on()
            except NotRegistered:
                errors = {"base": "registration_pending"}
        return self.domain_form("register_application", registration, user_input, errors)

    async def async_register(self, registration: Registration, typed: str) -> dict[str, str]:
        """Register at the domain that was typed; return the errors of the form, none when it is done."""
        domain = domain_of(typed)
        if domain is None:
            return {CONF_DOMAIN: Refusal.DOMAIN.value}
        self._serve(HostedKey(domain, registration.pem))
        found = await look_at_key(async_get_clientsession(self.hass), domain, registration.pem)
        if found not in (Published.OURS, Published.UNKNOWN):
            return {CONF_DOMAIN: found.value}
        if registration.secret is not None:
            try:
                await self._register_in_regions(registration, registration.secret, domain)
            except RegistrationRefused as refused:
                return {"base" if refused.why is Refusal.SECRET else CONF_DOMAIN: refused.why.value}
            except TeslaError as error:
                LOGGER.warning("Tesla did not register the application: %s", error)
                return {"base": "registration_failed"}
        registration.domain = domain
        return {}

    async def _register_in_regions(self, registration: Registration, secret: Secret, domain: str) -> None:
        """Register where the account lives, and where Tesla lets it besides."""
        http = async_get_clientsession(self.hass)
        endpoint = TokenEndpoint(http, time.time)
        application = Application(registration.client_id, secret)
        await register(http, endpoint, application, SERVERS[registration.region], domain, registration.pem)
        for region in OTHER_REGIONS[registration.region]:
            try:
                await register(http, endpoint, application, SERVERS[region], domain, registration.pem)
            except (RegistrationRefused, TeslaError) as error:
                LOGGER.debug("The application is not registered in %s as well: %s", region, error)

    def domain_form(
        self,
        step_id: str,
        registration: Registration,
        typed: dict[str, Any] | None,
        errors: dict[str, str],
    ) -> ConfigFlowResult:
        """Ask for the domain; offer the key for whoever hosts it elsewhere."""
        domain = (typed or {}).get(CONF_DOMAIN) or registration.domain or self._suggested(registration.client_id)
        if not self._serves_key:
            self._serve(HostedKey("", registration.pem))
        key = TextSelector(TextSelectorConfig(multiline=True, read_only=True))
        schema = probatio.Schema(
            {
                probatio.Required(CONF_DOMAIN, default=domain or probatio.UNDEFINED): TextSelector(),
                probatio.Optional(ELSEWHERE): section(
                    probatio.Schema({probatio.Optional(CONF_PUBLIC_KEY, default=registration.pem): key}),
                    {"collapsed": bool(domain)},
                ),
            }
        )
        shown = domain_of(domain) or EXAMPLE
        return self.async_show_form(
            step_id=step_id,
            data_schema=schema,
            errors=errors,
            description_placeholders={
                "application": registration.name,
                "domain": shown,
                "key_address": key_address(shown),
                "download": f'<a href="{KEY_PATH}?{OF_FLOW}={escape(self.flow_id)}" target="_blank">{FILE_NAME}</a>',
            },
        )

    def _serve(self, key: HostedKey) -> None:
        self._serves_key = True
        public_keys(self.hass).offer(self.flow_id, key)

    def _suggested(self, client_id: str) -> str:
        """Return the domain to suggest: where the application is registered, or this Home Assistant's if it is free."""
        own, taken = own_domain(self.hass) or "", set()
        for entry in self.hass.config_entries.async_entries(DOMAIN):
            registration, controls = entry.data.get(CONF_REGISTRATION, {}), entry.data.get(CONF_CONTROLS, {})
            if registration.get(CONF_CLIENT_ID) == client_id:
                return str(registration[CONF_DOMAIN])
            taken.add(registration.get(CONF_DOMAIN))
            if not controls.get(CONF_SAME_APPLICATION):
                taken.add(controls.get(CONF_PAIRING_DOMAIN))
        return "" if own in taken else own
