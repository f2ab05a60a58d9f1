"""The way through Tesla's own page."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
import logging
import time
from typing import Any, override

from homeassistant.config_entries import ConfigFlowResult
from homeassistant.helpers.config_entry_oauth2_flow import AbstractOAuth2Implementation
from homeassistant.helpers.selector import BooleanSelector, SelectSelector, SelectSelectorConfig
import probatio

from ..compat import OAuth2Flow
from ..const import (
    CONF_DECLINED_SCOPES,
    CONF_IMPLEMENTATION,
    CONF_REGION,
    CONF_REQUESTED_SCOPES,
    LOGGER,
    METHOD_SIGN_IN,
    REGION_CHINA,
    REGION_GLOBAL,
)
from ..tesla.errors import NotRegistered, TeslaError
from ..tesla.grant import OPTIONAL_SCOPES, REQUIRED_SCOPES, SHAREABLE_SCOPES, Grant, TokenMalformed
from .account import AccountFlow, Origin, sentence
from .oauth import TeslaImplementation


class GrantRefused(Exception):
    """A grant that Tesla issued is not taken; `key` is the translation key of the sentence."""

    def __init__(self, key: str) -> None:
        """Keep the sentence."""
        super().__init__(key)
        self.key = key


type GrantTaker = Callable[[Grant, TeslaImplementation], Awaitable[ConfigFlowResult]]
"""What goes on with the grant of Tesla's page; may raise GrantRefused or a TeslaError."""


@dataclass(frozen=True, slots=True)
class GrantRequest:
    """What Tesla's page is opened for: the account's part of the world, the scopes, and who takes the grant."""

    region: str
    scopes: tuple[str, ...]
    take: GrantTaker


class SignInFlow(AccountFlow, OAuth2Flow):
    """Opens Tesla's page, and takes the grant that comes of it."""

    _request: GrantRequest | None = None

    @property
    @override
    def logger(self) -> logging.Logger:
        return LOGGER

    @property
    @override
    def extra_authorize_data(self) -> dict[str, Any]:
        """Ask for what the page was opened for; for reading alone before that is known."""
        scopes = self._request.scopes if self._request else REQUIRED_SCOPES
        return {"scope": " ".join(scopes)}

    async def async_step_sign_in(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask where the account lives and what may be read, then open Tesla's page."""
        offered = self._offered_scopes()
        if user_input is None:
            return self.async_show_form(step_id="sign_in", data_schema=self._sign_in_schema(offered))
        chosen = frozenset(scope for scope in offered if user_input.get(scope))
        return await self.async_ask_to_read(user_input[CONF_REGION], chosen)

    async def async_step_sign_in_again(self, _user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Open Tesla's page for what was granted before, no more."""
        data = self._get_reauth_entry().data
        chosen = frozenset(data[CONF_REQUESTED_SCOPES]) - frozenset(data[CONF_DECLINED_SCOPES])
        return await self.async_ask_to_read(data[CONF_REGION], chosen)

    def _offered_scopes(self) -> tuple[str, ...]:
        """Return the optional scopes that may be asked for: those of before, and what any account can share."""
        before = entry.data[CONF_REQUESTED_SCOPES] if (entry := self.known_entry) else ()
        return tuple(scope for scope in SHAREABLE_SCOPES if scope in OPTIONAL_SCOPES or scope in before)

    def _sign_in_schema(self, offered: tuple[str, ...]) -> probatio.Schema:
        entry = self.known_entry
        region = entry.data[CONF_REGION] if entry else REGION_GLOBAL
        shared = frozenset(offered)
        if entry is not None:
            shared = frozenset(entry.data[CONF_REQUESTED_SCOPES]) - frozenset(entry.data[CONF_DECLINED_SCOPES])
        return probatio.Schema(
            {
                probatio.Required(CONF_REGION, default=region): SelectSelector(
                    SelectSelectorConfig(options=[REGION_GLOBAL, REGION_CHINA], translation_key=CONF_REGION)
                ),
                **{probatio.Required(scope, default=scope in shared): BooleanSelector() for scope in offered},
            }
        )

    async def async_ask_to_read(self, region: str, chosen: frozenset[str]) -> ConfigFlowResult:
        """Use the developer application of before; with none, Home Assistant asks for it or offers a choice."""

        async def take(grant: Grant, application: TeslaImplementation) -> ConfigFlowResult:
            return await self.async_monitoring_grant_came(grant, Origin(METHOD_SIGN_IN, chosen, application.domain))

        scopes = (*REQUIRED_SCOPES, *(scope for scope in SHAREABLE_SCOPES if scope in chosen))
        entry = self.known_entry
        known = entry.data.get(CONF_IMPLEMENTATION) if entry else None
        return await self.async_open_tesla(GrantRequest(region, scopes, take), known)

    async def async_open_tesla(self, request: GrantRequest, implementation: str | None) -> ConfigFlowResult:
        """Open Tesla's page for this request, at a developer application or at one that the owner picks."""
        self._request = request
        return await self.async_step_pick_implementation({"implementation": implementation} if implementation else None)

    @override
    async def async_generate_authorize_url(self) -> str:
        """Build the address of Tesla's page for the account's part of the world."""
        if self._request is not None:
            tesla_application(self.flow_impl).sign_in_at("cn" if self._request.region == REGION_CHINA else "na")
        return await super().async_generate_authorize_url()

    @override
    async def async_code_came(self, returned: Any) -> ConfigFlowResult:
        """Exchange the code; the answer never comes near the flow's data or a log."""
        if self._request is None:
            raise RuntimeError("Tesla's page was not opened by this flow")
        application = tesla_application(self.flow_impl)
        try:
            answer = await application.async_resolve_external_data(returned)
            grant = Grant.from_answer(answer, client_id=application.client_id, now=time.time())
        except TokenMalformed:
            return self.async_abort(reason="cannot_connect")
        except TeslaError as error:
            return self.async_abort(reason=sentence(error))
        try:
            return await self._hand_over(self._request, grant, application)
        except NotRegistered:
            request = self._request
            return await self.async_not_registered(
                application, grant.region, lambda: self._hand_over(request, grant, application)
            )

    async def _hand_over(
        self, request: GrantRequest, grant: Grant, application: TeslaImplementation
    ) -> ConfigFlowResult:
        """Give the grant to whoever takes it; raise NotRegistered, for which there is a way on."""
        try:
            return await request.take(grant, application)
        except GrantRefused as refused:
            return self.async_abort(reason=refused.key)
        except NotRegistered:
            raise
        except TeslaError as error:
            return self.async_abort(reason=sentence(error))


def tesla_application(implementation: AbstractOAuth2Implementation) -> TeslaImplementation:
    """Return the implementation as what application_credentials.py makes for this domain."""
    if not isinstance(implementation, TeslaImplementation):
        raise TypeError("not a Tesla application")
    return implementation
