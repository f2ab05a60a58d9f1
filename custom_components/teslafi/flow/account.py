"""What every way to a monitoring grant ends in: the grant is tried, its account settled, its limits told.

A grant lives in the flow's memory until the vault has it. It is never part of the flow's data, its result, the entry.
"""

from collections.abc import Mapping
from dataclasses import dataclass
import time
from typing import Any, Final

from homeassistant.config_entries import SOURCE_REAUTH, SOURCE_RECONFIGURE, ConfigEntry, ConfigFlowResult
from homeassistant.helpers.aiohttp_client import async_get_clientsession

from ..const import (
    CONF_DECLINED_SCOPES,
    CONF_IMPLEMENTATION,
    CONF_METHOD,
    CONF_REGION,
    CONF_REGISTRATION,
    CONF_REQUESTED_SCOPES,
    DOMAIN,
    LOGGER,
    METHOD_SIGN_IN,
    METHOD_TOKEN,
    MONITORING,
    REGION_CHINA,
    REGION_GLOBAL,
)
from ..feed.reader import reader_of
from ..storage.vault import async_get_vault
from ..tesla.errors import (
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
from ..tesla.grant import SCOPE_CHARGING, SCOPE_DATA, SCOPE_ENERGY, SCOPE_LOCATION, SHAREABLE_SCOPES, Grant, Kind
from ..tesla.reader import Products, Reader
from ..tesla.servers import region_at
from ..tesla.session import GrantSession
from ..tesla.token import TokenEndpoint
from .registration import RegistrationFlow

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
    Reason.FEED_TOKEN: "feed_token_refused",
}

DECLINED_STEPS: Final[Mapping[frozenset[str], str]] = {
    frozenset({SCOPE_LOCATION}): "no_location",
    frozenset({SCOPE_ENERGY}): "no_energy",
    frozenset({SCOPE_LOCATION, SCOPE_ENERGY}): "no_location_no_energy",
}
"""What the owner unticked on Tesla's page -> the step that says what will be missing."""


def sentence(error: TeslaError) -> str:
    """Return the translation key of the sentence about a refused grant."""
    if isinstance(error, SignInRequired):
        return DEAD_GRANT_SENTENCES[error.reason]
    return SENTENCES.get(type(error), "cannot_connect")


@dataclass(frozen=True, slots=True)
class Origin:
    """How a grant came: by sign-in at an application with these optional scopes asked for, or by a pasted token."""

    method: str
    requested: frozenset[str] = frozenset()
    implementation: str | None = None

    def declined(self, grant: Grant) -> frozenset[str]:
        """Return what was asked for and not granted; nothing is asked for with a token."""
        return frozenset() if self.method == METHOD_TOKEN else self.requested - grant.scopes


@dataclass(frozen=True, slots=True)
class TriedGrant:
    """A monitoring grant that Tesla took, how it came, and what Tesla lists with it."""

    grant: Grant
    origin: Origin
    products: Products

    @property
    def title(self) -> str:
        """The title of an entry for it: its cars."""
        names = [name for vehicle in self.products.vehicles.values() if (name := vehicle.vehicle.display_name)]
        return f"Tesla ({', '.join(names)})" if names else "Tesla"

    @property
    def next_steps(self) -> str:
        """The text that ends a new set-up."""
        return "with_energy" if self.products.sites and SCOPE_ENERGY in self.grant.scopes else "default"


class UnsavedGrant:
    """Keeper of a grant under examination: nothing is stored."""

    def __init__(self, grant: Grant) -> None:
        """Hold the grant in memory."""
        self._grant = grant

    async def load(self) -> Grant:
        """Return the grant."""
        return self._grant

    async def replace(self, _before: Grant, after: Grant | None) -> Grant | None:
        """Go on with the successor: nobody else has this grant."""
        return after


class AccountFlow(RegistrationFlow):
    """Takes a monitoring grant from whichever way it came."""

    _tried: TriedGrant | None = None

    @property
    def known_entry(self) -> ConfigEntry | None:
        """The entry that this flow signs in again or changes; None while it sets up a new account."""
        if self.source == SOURCE_REAUTH:
            return self._get_reauth_entry()
        if self.source == SOURCE_RECONFIGURE:
            return self._get_reconfigure_entry()
        return None

    async def async_monitoring_grant_came(self, grant: Grant, origin: Origin) -> ConfigFlowResult:
        """Try the grant for real, settle whose it is, and go on to what the owner should know about it.

        Raise a TeslaError when Tesla refuses it.
        """
        if grant.kind is Kind.FLEET and SCOPE_DATA not in grant.scopes:
            raise ScopeMissing("The grant does not read vehicle data")
        http = async_get_clientsession(self.hass)
        endpoint = TokenEndpoint(http, time.time)
        session = GrantSession(UnsavedGrant(grant), endpoint, time.time, self.hass.async_create_task)
        await session.load()
        reader = reader_of(grant, http, session)
        products = await reader.products()
        self._tried = TriedGrant(await _at_home(reader), origin, products)
        return await self._settle_account(self._tried)

    async def _settle_account(self, tried: TriedGrant) -> ConfigFlowResult:
        await self.async_set_unique_id(tried.grant.account)
        if self.known_entry is not None:
            self._abort_if_unique_id_mismatch(reason="wrong_account")
        elif entry := self.hass.config_entries.async_entry_for_domain_unique_id(DOMAIN, tried.grant.account):
            return await self._hand_to(entry, tried.grant)
        if SCOPE_CHARGING in tried.origin.declined(tried.grant):
            return self.async_show_form(step_id="no_charging_history")
        return await self._tell_what_is_missing(tried)

    async def _hand_to(self, entry: ConfigEntry, grant: Grant) -> ConfigFlowResult:
        """Refuse a second entry for the account.

        Tesla ended the first entry's grant when it issued this one for the same application: the entry takes it over.
        """
        vault = await async_get_vault(self.hass)
        before = vault.get_or_none(entry.entry_id, MONITORING)
        if before is not None and before.client_id == grant.client_id and before.scopes == grant.scopes:
            await vault.put(entry.entry_id, MONITORING, grant)
            self.hass.config_entries.async_schedule_reload(entry.entry_id)
        return self.async_abort(reason="already_configured")

    async def async_step_no_charging_history(self, _user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Go on without the charging history."""
        return await self._tell_what_is_missing(self._came())

    async def _tell_what_is_missing(self, tried: TriedGrant) -> ConfigFlowResult:
        step = DECLINED_STEPS.get(tried.origin.declined(tried.grant) - {SCOPE_CHARGING})
        return self._offer_way_back(step) if step else await self._tell_of_commands(tried)

    def _offer_way_back(self, step_id: str) -> ConfigFlowResult:
        """Say what will be missing; to go on is one choice, to share it after all the other."""
        return self.async_show_menu(step_id=step_id, menu_options=["go_on_without", "sign_in"])

    async def async_step_no_location(self, _user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Say what is missing without the location."""
        return self._offer_way_back("no_location")

    async def async_step_no_energy(self, _user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Say what is missing without energy sites."""
        return self._offer_way_back("no_energy")

    async def async_step_no_location_no_energy(self, _user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Say what is missing without either."""
        return self._offer_way_back("no_location_no_energy")

    async def async_step_go_on_without(self, _user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Go on without what the owner left out on Tesla's page."""
        return await self._tell_of_commands(self._came())

    async def _tell_of_commands(self, tried: TriedGrant) -> ConfigFlowResult:
        """Say plainly when the grant could command more than the owner was told of: it is used for reading only."""
        if tried.grant.commands_beyond(tried.origin.requested):
            return self.async_show_form(step_id="can_command")
        return await self._finished(tried)

    async def async_step_can_command(self, _user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Go on with a grant that can do more than it is used for."""
        return await self._finished(self._came())

    def _came(self) -> TriedGrant:
        """Return the grant that the steps after it speak of; Home Assistant shows none of them before."""
        if self._tried is None:
            raise RuntimeError("no grant came yet")
        return self._tried

    async def _finished(self, tried: TriedGrant) -> ConfigFlowResult:
        """Give the grant to the vault, and the entry what is not secret."""
        self._tried = None
        vault = await async_get_vault(self.hass)
        data = self._entry_data(tried)
        entry = self.known_entry
        if entry is None:
            vault.park(tried.grant.account, tried.grant)
            return self.async_create_entry(title=tried.title, data=data, description=tried.next_steps)
        await vault.put(entry.entry_id, MONITORING, tried.grant)
        return self.async_update_reload_and_abort(entry, data_updates=data)

    def _entry_data(self, tried: TriedGrant) -> dict[str, Any]:
        """Return what the entry keeps: how the owner signed in and what may be asked for again. Nothing secret."""
        grant, origin = tried.grant, tried.origin
        requested = origin.requested if origin.method == METHOD_SIGN_IN else grant.scopes & frozenset(SHAREABLE_SCOPES)
        if self.source == SOURCE_REAUTH:
            requested |= frozenset(self._get_reauth_entry().data[CONF_REQUESTED_SCOPES])
        data: dict[str, Any] = {
            CONF_METHOD: origin.method,
            CONF_REGION: REGION_CHINA if grant.region == "cn" else REGION_GLOBAL,
            CONF_REQUESTED_SCOPES: sorted(requested),
            CONF_DECLINED_SCOPES: sorted(requested - grant.scopes),
        }
        if origin.implementation is not None:
            data[CONF_IMPLEMENTATION] = origin.implementation
        registration = self._registration
        if registration is not None and registration.domain and registration.client_id == grant.client_id:
            data[CONF_REGISTRATION] = registration.as_data()
        return data


async def _at_home(reader: Reader) -> Grant:
    """Return the grant for the server that Tesla names as the account's, where Tesla tells."""
    if reader.grant.kind is not Kind.FLEET:
        return reader.grant
    try:
        address = await reader.region()
    except TeslaError as error:
        # Not every grant may ask this; the list of products has answered at this server already.
        LOGGER.debug("Tesla does not tell the account's region: %s", error)
        return reader.grant
    region = region_at(address) if address else None
    return reader.grant.moved_to(region) if region else reader.grant
