"""Signing in: Tesla's own page or a token that the owner made; once more when a grant died; changes later.

A grant lives in this flow's memory until the vault has it. It is never part of the flow's data, its result, the entry.
"""

from collections.abc import Mapping
import logging
import re
import time
from typing import Any, Final, cast, override

from homeassistant.config_entries import (
    SOURCE_REAUTH,
    SOURCE_RECONFIGURE,
    ConfigEntry,
    ConfigFlowResult,
    OptionsFlow,
)
from homeassistant.core import callback
from homeassistant.helpers.aiohttp_client import async_get_clientsession
from homeassistant.helpers.config_entry_oauth2_flow import AbstractOAuth2FlowHandler
from homeassistant.helpers.selector import (
    BooleanSelector,
    NumberSelector,
    NumberSelectorConfig,
    NumberSelectorMode,
    SelectSelector,
    SelectSelectorConfig,
    TextSelector,
    TextSelectorConfig,
    TextSelectorType,
)
from homeassistant.util import dt as dt_util
import probatio

from .const import (
    CONF_COMMAND_CODE,
    CONF_COMPANION,
    CONF_CONTROLS,
    CONF_DECLINED_SCOPES,
    CONF_IMPLEMENTATION,
    CONF_METHOD,
    CONF_MONTHLY_BUDGET,
    CONF_REGION,
    CONF_REPORT_COMMANDS,
    CONF_REQUESTED_SCOPES,
    CONF_SHOW_TOKENS,
    CONTROLS,
    DOMAIN,
    LOGGER,
    METHOD_SIGN_IN,
    METHOD_TOKEN,
    MONITORING,
    REGION_CHINA,
    REGION_GLOBAL,
)
from .controls.code import hashed
from .flow.controls import ControlsFlow, GrantUnfit
from .flow.link import LinkFlow
from .flow.oauth import TeslaImplementation
from .secret import Secret
from .storage.vault import ShareNeeded, async_get_vault
from .tesla.errors import (
    AccessTokenRefused,
    BillingLimitReached,
    NotRegistered,
    OwnerApiClosed,
    RateLimited,
    Reason,
    ScopeMissing,
    SignInRequired,
    TeslaError,
    TokenRequestRefused,
    WrongRegion,
)
from .tesla.grant import (
    OPTIONAL_SCOPES,
    OWNER_CLIENT,
    REQUIRED_SCOPES,
    SCOPE_DATA,
    SCOPE_ENERGY,
    SCOPE_LOCATION,
    Claims,
    Grant,
    Kind,
    TokenMalformed,
)
from .tesla.reader import Products, Reader
from .tesla.servers import OWNER_API, SERVERS, Region, Server, region_at
from .tesla.session import GrantSession
from .tesla.token import TokenEndpoint

ACCESS_TOKEN: Final = "access_token"  # noqa: S105 - a field's name
REFRESH_TOKEN: Final = "refresh_token"  # noqa: S105 - a field's name
CLIENT_ID: Final = "client_id"
NEW_CODE: Final = "new_code"
REMOVE_CODE: Final = "remove_code"

_PASSWORD: Final = TextSelector(TextSelectorConfig(type=TextSelectorType.PASSWORD, autocomplete="off"))
TOKEN_SCHEMA: Final = probatio.Schema(
    {
        probatio.Optional(ACCESS_TOKEN): _PASSWORD,
        probatio.Optional(REFRESH_TOKEN): _PASSWORD,
        probatio.Optional(CLIENT_ID): TextSelector(),
    }
)
OPTIONS_SCHEMA: Final = probatio.Schema(
    {
        probatio.Optional(CONF_MONTHLY_BUDGET): NumberSelector(
            NumberSelectorConfig(min=0, max=1000, step=0.5, unit_of_measurement="USD", mode=NumberSelectorMode.BOX)
        ),
        probatio.Required(CONF_SHOW_TOKENS, default=False): BooleanSelector(),
    }
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

SENTENCES: Final[Mapping[type[TeslaError], str]] = {
    AccessTokenRefused: "token_revoked",
    BillingLimitReached: "billing_limit_reached",
    NotRegistered: "not_registered",
    OwnerApiClosed: "owner_api_closed",
    RateLimited: "rate_limited",
    ScopeMissing: "scope_missing",
    TokenRequestRefused: "token_request_refused",
    WrongRegion: "wrong_region",
}
"""Tesla's refusal of a new grant -> the sentence about it; anything else is "cannot_connect"."""

DEAD_GRANT_SENTENCES: Final[Mapping[Reason, str]] = {
    Reason.LOGIN_REQUIRED: "token_revoked",
    Reason.EXPIRED: "token_expired",
    Reason.CONSENT_WITHDRAWN: "consent_withdrawn",
    Reason.UNKNOWN_USER: "wrong_region",
    Reason.MISSING: "token_revoked",
}

DECLINED_STEPS: Final[Mapping[frozenset[str], str]] = {
    frozenset({SCOPE_LOCATION}): "no_location",
    frozenset({SCOPE_ENERGY}): "no_energy",
    frozenset({SCOPE_LOCATION, SCOPE_ENERGY}): "no_location_no_energy",
}
"""What the owner unticked on Tesla's page -> the step that says what will be missing."""

REFRESH_PREFIXES: Final[Mapping[str, Region]] = {"NA_": "na", "EU_": "eu", "CN_": "cn"}


def sentence(error: TeslaError) -> str:
    """Return the translation key of the sentence about a refused grant."""
    if isinstance(error, SignInRequired):
        return DEAD_GRANT_SENTENCES[error.reason]
    return SENTENCES.get(type(error), "cannot_connect")


class TokenRefused(Exception):
    """A pasted token that is not worth a request; `field` of the form and `key` of the sentence."""

    def __init__(self, field: str, key: str) -> None:
        """Keep where and why."""
        super().__init__(key)
        self.field = field
        self.key = key


class _Unsaved:
    """Keeper of a grant under examination: nothing is stored."""

    def __init__(self, grant: Grant) -> None:
        self._grant = grant

    async def load(self) -> Grant:
        return self._grant

    async def save(self, grant: Grant) -> None:
        self._grant = grant

    async def wipe(self) -> None:
        """Nothing is kept, so nothing is wiped."""


class TeslaFiConfigFlow(ControlsFlow, LinkFlow, AbstractOAuth2FlowHandler, domain=DOMAIN):
    """Sets up one Tesla account, signs it in again, and changes how it is signed in."""

    DOMAIN = DOMAIN
    VERSION = 1

    def __init__(self) -> None:
        """Begin with nothing asked for."""
        super().__init__()
        self._method = METHOD_SIGN_IN
        self._region = REGION_GLOBAL
        self._scopes: frozenset[str] = frozenset()
        self._grant: Grant | None = None
        self._title = ""
        self._controls_scopes: tuple[str, ...] | None = None

    @property
    @override
    def logger(self) -> logging.Logger:
        return LOGGER

    @property
    @override
    def extra_authorize_data(self) -> dict[str, Any]:
        """Ask for reading only, and of that for what the owner chose; for commands on the way to controls alone."""
        if self._controls_scopes is not None:
            return {"scope": " ".join(self._controls_scopes)}
        chosen = [scope for scope in OPTIONAL_SCOPES if scope in self._scopes]
        return {"scope": " ".join((*REQUIRED_SCOPES, *chosen))}

    @override
    async def async_step_user(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Offer the two ways to bring a grant."""
        return self.async_show_menu(step_id="user", menu_options=["sign_in", "token"])

    async def async_step_reauth(self, _entry_data: Mapping[str, Any]) -> ConfigFlowResult:
        """Sign in again after Tesla ended the grant."""
        return await self.async_step_reauth_confirm()

    async def async_step_reauth_confirm(self, _user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Say what happened, offer both ways."""
        return self.async_show_menu(
            step_id="reauth_confirm",
            menu_options=["sign_in_again", "token"],
            description_placeholders={"account": self._get_reauth_entry().title},
        )

    async def async_step_reconfigure(self, _user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Offer what can be changed about the grant, and the link to a companion."""
        data = self._get_reconfigure_entry().data
        link = ["link_companion", "unlink_companion"] if CONF_COMPANION in data else ["link_companion"]
        controls = ["enable_controls", "disable_controls"] if CONF_CONTROLS in data else ["enable_controls"]
        options = ["sign_in", "token", *link, *controls, "rotate_key"]
        return self.async_show_menu(step_id="reconfigure", menu_options=options)

    async def async_step_sign_in(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask where the account lives and what may be read, then open Tesla's page."""
        offered = self._offered_scopes()
        if user_input is None:
            return self.async_show_form(step_id="sign_in", data_schema=self._sign_in_schema(offered))
        self._region = user_input[CONF_REGION]
        self._scopes = frozenset(scope for scope in offered if user_input.get(scope))
        return await self._open_sign_in()

    async def async_step_sign_in_again(self, _user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Open Tesla's page for what was granted before, no more."""
        data = self._get_reauth_entry().data
        self._region = data[CONF_REGION]
        self._scopes = frozenset(data[CONF_REQUESTED_SCOPES]) - frozenset(data[CONF_DECLINED_SCOPES])
        return await self._open_sign_in()

    def _offered_scopes(self) -> tuple[str, ...]:
        """Return the optional scopes that may be asked for: those of before, or all for a new account."""
        if (entry := self._known_entry()) is None:
            return OPTIONAL_SCOPES
        return tuple(scope for scope in OPTIONAL_SCOPES if scope in entry.data[CONF_REQUESTED_SCOPES])

    def _sign_in_schema(self, offered: tuple[str, ...]) -> probatio.Schema:
        entry = self._known_entry()
        region = entry.data[CONF_REGION] if entry else REGION_GLOBAL
        declined = entry.data[CONF_DECLINED_SCOPES] if entry else ()
        return probatio.Schema(
            {
                probatio.Required(CONF_REGION, default=region): SelectSelector(
                    SelectSelectorConfig(options=[REGION_GLOBAL, REGION_CHINA], translation_key=CONF_REGION)
                ),
                **{probatio.Required(scope, default=scope not in declined): BooleanSelector() for scope in offered},
            }
        )

    def _known_entry(self) -> ConfigEntry | None:
        """Return the entry that this flow signs in again or changes."""
        if self.source == SOURCE_REAUTH:
            return self._get_reauth_entry()
        if self.source == SOURCE_RECONFIGURE:
            return self._get_reconfigure_entry()
        return None

    async def _open_sign_in(self) -> ConfigFlowResult:
        """Use the developer application of before; with none, Home Assistant asks for it or offers a choice."""
        self._method = METHOD_SIGN_IN
        entry = self._known_entry()
        known = entry.data.get(CONF_IMPLEMENTATION) if entry else None
        return await self.async_step_pick_implementation({"implementation": known} if known else None)

    @override
    async def async_generate_authorize_url(self) -> str:
        """Build the address of Tesla's page for the account's part of the world."""
        cast(TeslaImplementation, self.flow_impl).sign_in_at("cn" if self._region == REGION_CHINA else "na")
        return await super().async_generate_authorize_url()

    @override
    async def async_step_creation(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Exchange the code. Unlike the base class, never let the answer near the flow's data or a log."""
        code, self.external_data = self.external_data, None
        implementation = cast(TeslaImplementation, self.flow_impl)
        try:
            answer = await implementation.async_resolve_external_data(code)
            grant = Grant.from_answer(answer, client_id=implementation.client_id, now=time.time())
            if self._controls_scopes is not None:
                claims = Claims.of(grant.access_token.reveal())
                return await self.controls_grant_came(grant, claims, implementation)
            return await self._examined(grant)
        except GrantUnfit as unfit:
            return self.async_abort(reason=unfit.key)
        except TokenMalformed:
            return self.async_abort(reason="cannot_connect")
        except TeslaError as error:
            return self.async_abort(reason=sentence(error))

    @override
    async def _sign_in_for_controls(self, implementation: TeslaImplementation) -> ConfigFlowResult:
        self._region = self._get_reconfigure_entry().data[CONF_REGION]
        self._controls_scopes = await self.controls_scopes(implementation.client_id)
        return await self.async_step_pick_implementation({"implementation": implementation.domain})

    async def async_step_controls_token(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Take a token that the owner generated after the step-up."""
        errors: dict[str, str] = {}
        if user_input is not None:
            try:
                await self._refuse_known(user_input)
                grant = await self._brought(user_input)
                return await self.controls_grant_came(grant, self._oldest_claims(user_input, grant), None)
            except TokenRefused as error:
                errors = {error.field: error.key}
            except GrantUnfit as unfit:
                errors = {"base": unfit.key}
            except TeslaError as error:
                errors = {"base": sentence(error)}
        return self.async_show_form(step_id="controls_token", data_schema=TOKEN_SCHEMA, errors=errors)

    async def _refuse_known(self, typed: Mapping[str, str]) -> None:
        """Refuse the monitoring grant's own tokens before a refresh token among them is spent."""
        monitoring = await self._monitoring()
        known = [monitoring.access_token, monitoring.refresh_token] if monitoring else []
        for name in (ACCESS_TOKEN, REFRESH_TOKEN):
            if typed.get(name) and Secret(_clean(typed[name])) in known:
                raise TokenRefused(name, "controls_same_token")

    @staticmethod
    def _oldest_claims(typed: Mapping[str, str], grant: Grant) -> Claims:
        """Return the claims that tell when the owner made the token: a refresh of an old one looks new."""
        pasted = _clean(typed.get(ACCESS_TOKEN))
        claims = _claims(pasted) if pasted else Claims.of(grant.access_token.reveal())
        if not pasted and claims.authenticated_at is None:
            raise TokenRefused(ACCESS_TOKEN, "access_token_needed")
        return claims

    async def async_step_token(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Take tokens that the owner made. What is typed is never shown again."""
        errors: dict[str, str] = {}
        if user_input is not None:
            self._method = METHOD_TOKEN
            try:
                return await self._examined(await self._brought(user_input))
            except TokenRefused as error:
                errors = {error.field: error.key}
            except TeslaError as error:
                errors = {"base": sentence(error)}
        return self.async_show_form(step_id="token", data_schema=TOKEN_SCHEMA, errors=errors)

    async def _brought(self, typed: Mapping[str, str]) -> Grant:
        """Make a grant of what was typed.

        A refresh token is redeemed at once: that proves it, and leaves its maker with a spent one.
        Raise TokenRefused for what is no token, or a TeslaError when Tesla refuses it.
        """
        access_token = _clean(typed.get(ACCESS_TOKEN))
        refresh_token = _clean(typed.get(REFRESH_TOKEN))
        if not access_token and not refresh_token:
            raise TokenRefused("base", "token_needed")
        claims = _claims(access_token) if access_token else None
        if refresh_token:
            return await self._redeemed(refresh_token, claims, (typed.get(CLIENT_ID) or "").strip())
        if claims is None or claims.expires_at <= time.time():
            raise TokenRefused(ACCESS_TOKEN, "token_expired")
        answer = {"access_token": access_token, "expires_in": claims.expires_at - time.time()}
        return Grant.from_answer(answer, client_id=claims.client_id, now=time.time())

    async def _redeemed(self, refresh_token: str, claims: Claims | None, client_id: str) -> Grant:
        if not re.fullmatch(r"[\x21-\x7e]{16,4096}", refresh_token):
            raise TokenRefused(REFRESH_TOKEN, "token_malformed")
        client_id = client_id or (claims.client_id if claims else "") or _owner_client(refresh_token)
        if not client_id:
            raise TokenRefused(CLIENT_ID, "client_id_needed")
        region = REFRESH_PREFIXES.get(refresh_token[:3]) or (claims.region if claims else "na")
        server: Server = SERVERS[region]
        if client_id == OWNER_CLIENT:
            server = OWNER_API["cn" if region == "cn" else "global"]
        endpoint = TokenEndpoint(async_get_clientsession(self.hass), time.time)
        return await endpoint.redeem(Secret(refresh_token), client_id, server)

    async def _examined(self, grant: Grant) -> ConfigFlowResult:
        """Try the grant for real, settle whose it is, and go on to what the owner should know about it.

        Raise a TeslaError when Tesla refuses it.
        """
        if grant.kind is Kind.FLEET and SCOPE_DATA not in grant.scopes:
            raise ScopeMissing("The grant does not read vehicle data")
        http = async_get_clientsession(self.hass)
        session = GrantSession(_Unsaved(grant), TokenEndpoint(http, time.time), time.time, self.hass.async_create_task)
        await session.load()
        reader = Reader(http, session)
        products = await reader.products()
        self._grant = await self._at_home(reader)
        self._title = _title(products)
        self._region = REGION_CHINA if self._grant.region == "cn" else REGION_GLOBAL
        await self.async_set_unique_id(self._grant.account)
        if self._known_entry() is not None:
            self._abort_if_unique_id_mismatch(reason="wrong_account")
        elif entry := self.hass.config_entries.async_entry_for_domain_unique_id(DOMAIN, self._grant.account):
            return await self._hand_to(entry)
        return await self._tell_of_declined()

    async def _at_home(self, reader: Reader) -> Grant:
        """Return the grant for the server that Tesla names as the account's, where Tesla tells."""
        if reader.grant.kind is Kind.OWNER:
            return reader.grant
        try:
            address = await reader.region()
        except TeslaError as error:
            # Not every grant may ask this; the list of products has answered at this server already.
            LOGGER.debug("Tesla does not tell the account's region: %s", error)
            return reader.grant
        region = region_at(address) if address else None
        return reader.grant.moved_to(region) if region else reader.grant

    async def _hand_to(self, entry: ConfigEntry) -> ConfigFlowResult:
        """Refuse a second entry for the account.

        Tesla ended the first entry's grant when it issued this one for the same application: the entry takes it over.
        """
        grant = cast(Grant, self._grant)
        vault = await async_get_vault(self.hass)
        before = vault.get_or_none(entry.entry_id, MONITORING)
        if before is not None and before.client_id == grant.client_id and before.scopes == grant.scopes:
            await vault.put(entry.entry_id, MONITORING, grant)
            self.hass.config_entries.async_schedule_reload(entry.entry_id)
        return self.async_abort(reason="already_configured")

    async def _tell_of_declined(self) -> ConfigFlowResult:
        """Say what will be missing, when the owner unticked something on Tesla's page."""
        step = DECLINED_STEPS.get(self._declined())
        if step is None:
            return await self._tell_of_commands()
        return self.async_show_form(step_id=step)

    def _declined(self) -> frozenset[str]:
        if self._method == METHOD_TOKEN:
            return frozenset()
        return self._scopes - cast(Grant, self._grant).scopes

    async def async_step_no_location(self, _user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Go on without the location."""
        return await self._tell_of_commands()

    async def async_step_no_energy(self, _user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Go on without energy sites."""
        return await self._tell_of_commands()

    async def async_step_no_location_no_energy(self, _user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Go on without either."""
        return await self._tell_of_commands()

    async def _tell_of_commands(self) -> ConfigFlowResult:
        """Say plainly when the grant could command: it is used for reading only."""
        if cast(Grant, self._grant).can_command:
            return self.async_show_form(step_id="can_command")
        return await self._finished()

    async def async_step_can_command(self, _user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Go on with a grant that can do more than it is used for."""
        return await self._finished()

    async def _finished(self) -> ConfigFlowResult:
        """Give the grant to the vault, and the entry what is not secret."""
        grant, self._grant = cast(Grant, self._grant), None
        vault = await async_get_vault(self.hass)
        entry = self._known_entry()
        if entry is None:
            vault.park(grant.account, grant)
            return self.async_create_entry(title=self._title, data=self._data(grant))
        await vault.put(entry.entry_id, MONITORING, grant)
        return self.async_update_reload_and_abort(entry, data_updates=self._data(grant))

    def _data(self, grant: Grant) -> dict[str, Any]:
        """Return what the entry keeps: how the owner signed in and what may be asked for again. Nothing secret."""
        requested = self._scopes if self._method == METHOD_SIGN_IN else grant.scopes & frozenset(OPTIONAL_SCOPES)
        if self.source == SOURCE_REAUTH:
            requested |= frozenset(self._get_reauth_entry().data[CONF_REQUESTED_SCOPES])
        data: dict[str, Any] = {
            CONF_METHOD: self._method,
            CONF_REGION: self._region,
            CONF_REQUESTED_SCOPES: sorted(requested),
            CONF_DECLINED_SCOPES: sorted(requested - grant.scopes),
        }
        if self._method == METHOD_SIGN_IN:
            data[CONF_IMPLEMENTATION] = self.flow_impl.domain
        return data

    async def async_step_rotate_key(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Seal all grants with a new key. What is sealed with a key share needs that share."""
        if user_input is None:
            return self.async_show_form(step_id="rotate_key")
        try:
            await (await async_get_vault(self.hass)).rotate_key(self._shares())
        except ShareNeeded:
            return self.async_abort(reason="controls_are_locked")
        return self.async_abort(reason="key_rotated")

    def _shares(self) -> dict[tuple[str, str], Secret]:
        """Return the key shares that are in memory, by what they open."""
        loaded = self.hass.config_entries.async_loaded_entries(DOMAIN)
        controls = {entry.entry_id: entry.runtime_data.controls for entry in loaded}
        return {
            (entry_id, CONTROLS): share
            for entry_id, one in controls.items()
            if one is not None and (share := one.gate.share) is not None
        }

    @staticmethod
    @callback
    @override
    def async_get_options_flow(config_entry: ConfigEntry) -> OptionsFlow:
        """Return the flow of the entry's options."""
        return TeslaFiOptionsFlow()


class TeslaFiOptionsFlow(OptionsFlow):
    """What the owner may change without signing in."""

    async def async_step_init(self, _user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Lead to the settings; to the masked tokens as well, once the owner has switched that on."""
        if self.config_entry.options.get(CONF_SHOW_TOKENS):
            return self.async_show_menu(step_id="init", menu_options=["settings", "tokens"])
        return await self.async_step_settings()

    async def async_step_settings(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask for the monthly budget; none means no limit. It counts from the next request."""
        controls = CONF_CONTROLS in self.config_entry.data
        if user_input is not None:
            return self.async_create_entry(data=await self._with_code(user_input))
        schema = OPTIONS_SCHEMA.extend(CONTROL_OPTIONS_SCHEMA.schema) if controls else OPTIONS_SCHEMA
        schema = self.add_suggested_values_to_schema(schema, self.config_entry.options)
        return self.async_show_form(step_id="settings", data_schema=schema)

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


def _clean(typed: str | None) -> str:
    """Drop what comes along when a token is copied."""
    return (typed or "").strip().removeprefix("Bearer ").strip()


def _claims(access_token: str) -> Claims:
    try:
        return Claims.of(access_token)
    except TokenMalformed as error:
        raise TokenRefused(ACCESS_TOKEN, "token_malformed") from error


def _owner_client(refresh_token: str) -> str:
    """Return the client of Tesla's own app for its kind of refresh token, which is a JWT; "" for any other."""
    return OWNER_CLIENT if refresh_token.startswith("eyJ") else ""


def _title(products: Products) -> str:
    """Name the entry after its cars."""
    names = [name for vehicle in products.vehicles.values() if (name := vehicle.vehicle.display_name)]
    return f"Tesla ({', '.join(names)})" if names else "Tesla"
