"""The steps that switch controls on and off, out of the reconfigure menu.

On: what may be controlled; the companion's consent, with a fresh second factor; a new sign-in at Tesla, or a new token;
the command key and its pairing. Nothing is stored before the last step, and secrets live in the flow's memory alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
import time
from typing import Any, Final, override

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from homeassistant.config_entries import ConfigEntry, ConfigEntryState, ConfigFlowResult
from homeassistant.data_entry_flow import section
from homeassistant.helpers import config_entry_oauth2_flow as oauth2
from homeassistant.helpers.aiohttp_client import async_get_clientsession
from homeassistant.helpers.selector import (
    BooleanSelector,
    QrCodeSelector,
    QrCodeSelectorConfig,
    QrErrorCorrectionLevel,
    SelectOptionDict,
    SelectSelector,
    SelectSelectorConfig,
    SelectSelectorMode,
)
import probatio

from ..const import (
    CONF_ADDRESS,
    CONF_CLIENT_ID,
    CONF_COMPANION,
    CONF_CONTROLS,
    CONF_DOMAIN,
    CONF_GROUPS,
    CONF_INSTANCE_ID,
    CONF_PAIRING_DOMAIN,
    CONF_PUBLIC_KEY,
    CONF_REGION,
    CONF_REGISTRATION,
    CONF_SAME_APPLICATION,
    CONF_VEHICLES,
    CONTROLS,
    DOMAIN,
    MONITORING,
)
from ..controls.enabled import forget_controls
from ..controls.gate import FAULTS, REFUSALS, Lock
from ..controls.groups import DEFAULT_GROUPS, ControlGroup, missing_groups, wanted_scopes
from ..controls.permit import Expected, Moment, Permit, PermitFaulty, verified
from ..controls.sealed import SealedControls, new_command_key, public_pem, seal
from ..controls.twins import follow_controls
from ..link.client import Companion, CompanionError, PermitRefused, Unlinked
from ..link.oauth import ControlsImplementation
from ..runtime import TeslaFiConfigEntry, TeslaFiData
from ..secret import Secret
from ..storage.vault import async_get_vault
from ..tesla.errors import NotRegistered, TeslaError
from ..tesla.grant import SCOPE_DATA, Claims, Grant, Kind
from ..tesla.pairing import paired, pairing_address
from ..tesla.reader import Reader
from ..tesla.session import GrantSession
from ..tesla.token import TokenEndpoint
from .account import sentence
from .link import LinkFlow
from .oauth import TeslaImplementation
from .registration import Registration
from .sign_in import GrantRefused, GrantRequest, SignInFlow, tesla_application
from .token import ACCESS_TOKEN, REFRESH_TOKEN, TokenFlow, TokenRefused, claims_of

IMPLEMENTATION: Final = "implementation"
OTHER: Final = "other"
ADD_APPLICATION: Final = "add_application"
LATER: Final = "later"
SKEW: Final = 60.0
"""Seconds by which Tesla's clock may be behind the companion's when a token is held against the step-up."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What the owner wants to control."""

    groups: tuple[ControlGroup, ...]
    vehicles: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Allowed:
    """What the companion allowed; the share is secret."""

    permit: Permit
    share: Secret


@dataclass(slots=True)
class Granted:
    """What Tesla granted, and the key for signed commands; secrets both."""

    grant: Grant
    same_application: bool
    application: TeslaImplementation | None
    key: EllipticCurvePrivateKey = field(default_factory=new_command_key, repr=False)
    domain: str = ""
    registered: bool = True
    """Whether Tesla knows the application in the account's region."""


class UnsavedControlsGrant:
    """Keeper of a controls grant that is not stored yet."""

    def __init__(self, granted: Granted) -> None:
        """Hold the grant where the flow finds its successor."""
        self._granted = granted
        self._grant: Grant | None = granted.grant

    async def load(self) -> Grant | None:
        """Return the grant."""
        return self._grant

    async def replace(self, before: Grant, after: Grant | None) -> Grant | None:
        """Hold the grant's successor in its place; nothing once Tesla ended it."""
        if self._grant == before:
            self._grant = after
            if after is not None:
                self._granted.grant = after
        return self._grant


def why_refused(
    grant: Grant, claims: Claims, monitoring: Grant | None, account: str, choice: Choice, permit: Permit
) -> str | None:
    """Return the key of the sentence why a grant cannot be the controls grant; None when it can. Pure."""
    same_application = monitoring is not None and monitoring.client_id == grant.client_id
    authenticated_at = claims.authenticated_at or claims.issued_at
    findings = {
        "controls_owner_token": grant.kind is Kind.OWNER,
        "wrong_account": grant.account != account,
        "controls_same_token": monitoring is not None and _shares_token(grant, monitoring),
        "controls_old_token": authenticated_at is None or authenticated_at < permit.step_up_at - SKEW,
        "controls_scope_missing": bool(missing_groups(choice.groups, grant.scopes)),
        "controls_cannot_read": same_application and SCOPE_DATA not in grant.scopes,
    }
    return next((key for key, found in findings.items() if found), None)


def _shares_token(grant: Grant, other: Grant) -> bool:
    return grant.access_token == other.access_token or (
        grant.refresh_token is not None and grant.refresh_token == other.refresh_token
    )


class ControlsFlow(SignInFlow, TokenFlow, LinkFlow):
    """Leads from a link to a sealed grant in five steps, and back out."""

    _choice: Choice
    _allowed: Allowed
    _granted: Granted
    _consent: ControlsImplementation
    _brought_back: dict[str, Any]
    _leads_on = False
    """Whether a new link leads on to controls."""

    @property
    def _loaded(self) -> TeslaFiData | None:
        entry: TeslaFiConfigEntry = self._get_reconfigure_entry()
        return entry.runtime_data if entry.state is ConfigEntryState.LOADED else None

    async def async_step_enable_controls(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Say what will be possible, and let the owner choose groups and cars."""
        account = self._loaded
        if CONF_COMPANION not in self._get_reconfigure_entry().data:
            return await self.async_step_controls_link()
        if account is None:
            return self.async_abort(reason="controls_not_now")
        errors: dict[str, str] = {}
        if user_input is not None:
            groups = tuple(group for group in ControlGroup if group in user_input[CONF_GROUPS])
            vehicles = tuple(vin for vin in account.vehicles if vin in user_input.get(CONF_VEHICLES, ()))
            errors = _unchosen(groups, vehicles)
            if not errors:
                self._choice = Choice(groups, vehicles)
                self._consent = self._consent_for(account, self._choice)
                return await self.async_step_controls_consent()
        return self.async_show_form(
            step_id="enable_controls",
            data_schema=self.add_suggested_values_to_schema(self._offered(account), user_input),
            errors=errors,
            description_placeholders={"account": self._get_reconfigure_entry().title},
        )

    async def async_step_controls_link(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Link a companion first."""
        self._leads_on = True
        return await self.async_ask_for_companion("controls_link", user_input)

    @override
    async def async_after_link(self, entry: ConfigEntry, updates: Mapping[str, Any]) -> ConfigFlowResult:
        """Lead on to the choice of what to control, where that was the reason to link."""
        if not self._leads_on:
            return await super().async_after_link(entry, updates)
        self.hass.config_entries.async_update_entry(entry, data={**entry.data, **updates})
        await self.hass.config_entries.async_reload(entry.entry_id)
        return await self.async_step_enable_controls()

    def _offered(self, account: TeslaFiData) -> probatio.Schema:
        known = self._get_reconfigure_entry().data.get(CONF_CONTROLS, {})
        groups = [group for group in ControlGroup if group is not ControlGroup.ENERGY or account.sites]
        vehicles = [SelectOptionDict(value=vin, label=one.vehicle_name) for vin, one in account.vehicles.items()]
        offered: dict[Any, Any] = {
            probatio.Required(CONF_GROUPS, default=known.get(CONF_GROUPS, list(DEFAULT_GROUPS))): SelectSelector(
                SelectSelectorConfig(
                    options=[group.value for group in groups],
                    multiple=True,
                    mode=SelectSelectorMode.LIST,
                    translation_key="control_group",
                )
            )
        }
        if vehicles:
            chosen = known.get(CONF_VEHICLES, list(account.vehicles))
            offered[probatio.Required(CONF_VEHICLES, default=chosen)] = SelectSelector(
                SelectSelectorConfig(options=vehicles, multiple=True, mode=SelectSelectorMode.LIST)
            )
        return probatio.Schema(offered)

    def _consent_for(self, account: TeslaFiData, choice: Choice) -> ControlsImplementation:
        entry = self._get_reconfigure_entry()
        companion = entry.data[CONF_COMPANION]
        details = {
            "type": "teslafi_controls",
            "account": str(entry.unique_id),
            "account_name": entry.title[:64],
            "groups": [group.value for group in choice.groups],
            "vehicles": [{"vin": vin, "name": account.vehicles[vin].vehicle_name[:32]} for vin in choice.vehicles],
        }
        return ControlsImplementation(self.hass, companion[CONF_ADDRESS], companion[CONF_INSTANCE_ID], details)

    async def async_step_controls_consent(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Open the companion's page, and take up what the browser brings back."""
        if user_input is None:
            url = await self._consent.async_generate_authorize_url(self.flow_id)
            return self.async_external_step(step_id="controls_consent", url=url)
        self._brought_back = user_input
        return self.async_external_step_done(next_step_id="controls_allowed")

    async def async_step_controls_allowed(self, _user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Exchange the code, and ask for the permit and the key share."""
        returned, self._brought_back = self._brought_back, {}
        if "code" not in returned:
            refused = _REFUSED.get(str(returned.get("error")), "companion_refused")
            return self._mend_first(refused) or self.async_abort(reason=refused)
        try:
            await self._fetch_permit(returned)
        except Unlinked:
            return self.async_abort(reason="companion_link_lost")
        except PermitRefused as refusal:
            return self._locked(REFUSALS.get(refusal.reason, Lock.PERMIT_INVALID))
        except PermitFaulty as faulty:
            return self._locked(FAULTS[faulty.fault])
        except CompanionError as error:
            return self.async_abort(reason=error.key, description_placeholders=error.placeholders)
        return await self.async_step_controls_grant()

    def _mend_first(self, reason: str) -> ConfigFlowResult | None:
        """Say what to do on the companion's pages before its consent can be asked for again, where that helps."""
        if reason not in _MENDED_THERE:
            return None
        address = self._get_reconfigure_entry().data[CONF_COMPANION][CONF_ADDRESS]
        page = f"{address}{_MENDED_THERE[reason]}"
        return self.async_show_form(step_id=reason, description_placeholders={"address": page})

    async def async_step_controls_second_factor(self, _user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask for the consent again, now that the account has a second factor."""
        return await self._ask_again()

    async def async_step_controls_subscription(self, _user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask for the consent again, now that there is a subscription."""
        return await self._ask_again()

    async def _ask_again(self) -> ConfigFlowResult:
        account = self._loaded
        if account is None:
            return self.async_abort(reason="controls_not_now")
        self._consent = self._consent_for(account, self._choice)
        return await self.async_step_controls_consent()

    async def async_step_controls_grant(self, _user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Offer the two ways to a grant that commands."""
        return self.async_show_menu(step_id="controls_grant", menu_options=["controls_sign_in", "controls_token"])

    def _locked(self, lock: Lock) -> ConfigFlowResult:
        if (form := self._mend_first(f"controls_{lock.value}")) is not None:
            return form
        address = self._get_reconfigure_entry().data[CONF_COMPANION][CONF_ADDRESS]
        return self.async_abort(reason=f"controls_{lock.value}", description_placeholders={"address": address})

    async def _fetch_permit(self, returned: Mapping[str, Any]) -> None:
        entry = self._get_reconfigure_entry()
        tokens = await self._consent.async_redeem(returned)
        account = self._loaded
        if account is not None and account.link is not None:
            await account.link.session.adopt(tokens)
        address = entry.data[CONF_COMPANION][CONF_ADDRESS]
        companion = Companion(async_get_clientsession(self.hass), address)
        checked = await companion.check_in(tokens, permit=True)
        if checked.permit is None:
            raise checked.refused or PermitRefused("")
        signed = checked.permit
        expected = Expected(address, entry.data[CONF_COMPANION][CONF_INSTANCE_ID], str(entry.unique_id))
        now = Moment(time.time(), time.monotonic())
        self._allowed = Allowed(verified(signed.jwt, signed.keys, expected, now), signed.key_share)

    async def async_step_controls_sign_in(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Recommend a developer application, and open Tesla's page at it or at another that the owner chooses."""
        applications = await self._applications()
        if not applications:
            return self._ask_for_application({})
        chosen = (user_input or {}).get(OTHER, {})
        if chosen.get(ADD_APPLICATION):
            return self._ask_for_application({})
        monitoring = await self._monitoring()
        reading = monitoring.client_id if monitoring else ""
        separate = [domain for domain, one in applications.items() if one.client_id != reading]
        recommended = next(iter(separate or applications))
        if user_input is not None:
            return await self._sign_in_for_controls(applications[chosen.get(IMPLEMENTATION, recommended)])
        options = [SelectOptionDict(value=domain, label=one.name) for domain, one in applications.items()]
        choice = probatio.Schema(
            {
                probatio.Required(IMPLEMENTATION, default=recommended): SelectSelector(
                    SelectSelectorConfig(options=options, mode=SelectSelectorMode.LIST)
                ),
                probatio.Required(ADD_APPLICATION, default=False): BooleanSelector(),
            }
        )
        used = next((one.name for one in applications.values() if one.client_id == reading), "-")
        return self.async_show_form(
            step_id="controls_sign_in" if separate else "controls_sign_in_same",
            data_schema=probatio.Schema({probatio.Optional(OTHER): section(choice, {"collapsed": True})}),
            description_placeholders={"monitoring": used, "application": applications[recommended].name},
        )

    async def async_step_controls_sign_in_same(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Go on with the application that monitoring uses, unless the owner chooses otherwise."""
        return await self.async_step_controls_sign_in(user_input)

    async def async_step_controls_application(self, _user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Go on once the owner has entered an application among Home Assistant's application credentials."""
        if not await self._applications():
            return self._ask_for_application({"base": "missing_credentials"})
        return await self.async_step_controls_sign_in()

    def _ask_for_application(self, errors: dict[str, str]) -> ConfigFlowResult:
        """Say how to enter an application; its secret goes to Home Assistant's application credentials alone."""
        wanted = ", ".join(_TESLAS_NAMES[scope] for scope in wanted_scopes(self._choice.groups))
        return self.async_show_form(
            step_id="controls_application",
            errors=errors,
            description_placeholders={
                "credentials": "/config/application_credentials",
                "dashboard": "https://developer.tesla.com/dashboard",
                "scopes": wanted,
            },
        )

    async def _applications(self) -> dict[str, TeslaImplementation]:
        known = await oauth2.async_get_implementations(self.hass, DOMAIN)
        return {domain: tesla_application(one) for domain, one in known.items()}

    async def _sign_in_for_controls(self, application: TeslaImplementation) -> ConfigFlowResult:
        """Open Tesla's page for the controls grant."""

        async def take(grant: Grant, application: TeslaImplementation) -> ConfigFlowResult:
            return await self.controls_grant_came(grant, Claims.of(grant.access_token.reveal()), application)

        region = self._get_reconfigure_entry().data[CONF_REGION]
        scopes = await self.controls_scopes(application.client_id)
        return await self.async_open_tesla(GrantRequest(region, scopes, take), application.domain)

    async def async_step_controls_token(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Take a token that the owner generated after the step-up."""
        errors: dict[str, str] = {}
        if user_input is not None:
            try:
                typed = self.typed(user_input)
                await self._refuse_known(typed)
                grant = await self.async_grant_of_typed(typed)
                application = await self._application_of(grant.client_id)
                return await self.controls_grant_came(grant, self._oldest_claims(typed, grant), application)
            except TokenRefused as error:
                errors = {error.field: error.key}
            except GrantRefused as refused:
                errors = {"base": refused.key}
            except TeslaError as error:
                errors = {"base": sentence(error)}
        return self.token_form("controls_token", errors)

    async def _refuse_known(self, typed: Mapping[str, str]) -> None:
        """Refuse the monitoring grant's own tokens before a refresh token among them is spent."""
        monitoring = await self._monitoring()
        known = [monitoring.access_token, monitoring.refresh_token] if monitoring else []
        for name in (ACCESS_TOKEN, REFRESH_TOKEN):
            if typed[name] and Secret(typed[name]) in known:
                raise TokenRefused(name, "controls_same_token")

    @staticmethod
    def _oldest_claims(typed: Mapping[str, str], grant: Grant) -> Claims:
        """Return the claims that tell when the owner made the token: a refresh of an old one looks new."""
        pasted = typed[ACCESS_TOKEN]
        claims = claims_of(pasted) if pasted else Claims.of(grant.access_token.reveal())
        if not pasted and claims.authenticated_at is None:
            raise TokenRefused(ACCESS_TOKEN, "access_token_needed")
        return claims

    async def _monitoring(self) -> Grant | None:
        vault = await async_get_vault(self.hass)
        return vault.get_or_none(self._get_reconfigure_entry().entry_id, MONITORING)

    async def controls_scopes(self, client_id: str) -> tuple[str, ...]:
        """Return what to ask Tesla for: commands alone, or with one application what is read as well."""
        wanted = wanted_scopes(self._choice.groups)
        monitoring = await self._monitoring()
        read = sorted(monitoring.scopes) if monitoring and monitoring.client_id == client_id else ()
        return tuple(dict.fromkeys(("openid", "offline_access", *read, *wanted)))

    async def controls_grant_came(
        self, grant: Grant, claims: Claims, application: TeslaImplementation | None
    ) -> ConfigFlowResult:
        """Take a new grant, from Tesla's page or pasted; raise GrantRefused or a TeslaError."""
        account = str(self._get_reconfigure_entry().unique_id)
        monitoring = await self._monitoring()
        if reason := why_refused(grant, claims, monitoring, account, self._choice, self._allowed.permit):
            raise GrantRefused(reason)
        same = monitoring is not None and monitoring.client_id == grant.client_id
        self._granted = Granted(grant, same, application)
        try:
            await self._try_grant()
        except NotRegistered:
            if application is None or not application.client_secret:
                raise
            self._granted.registered = False
        if self._granted.registered and not self._signed_vehicles():
            return await self._controls_enabled()
        return await self._keep_key(self._granted)

    async def _try_grant(self) -> None:
        """See that Tesla takes the grant, by a request that is free of charge."""
        reader = Reader(async_get_clientsession(self.hass), await self._session())
        if self._choice.vehicles:
            await reader.vehicle_state(self._choice.vehicles[0], lambda _: None)
        else:
            await reader.region()

    async def _session(self) -> GrantSession:
        http = async_get_clientsession(self.hass)
        endpoint = TokenEndpoint(http, time.time)
        session = GrantSession(UnsavedControlsGrant(self._granted), endpoint, time.time, self.hass.async_create_task)
        await session.load()
        return session

    def _signed_vehicles(self) -> list[str]:
        vehicles = self._loaded.vehicles if self._loaded else {}
        return [vin for vin in self._choice.vehicles if vin in vehicles and vehicles[vin].signs]

    async def _keep_key(self, granted: Granted) -> ConfigFlowResult:
        """Go on with the key of this Home Assistant where one is at hand; its own account's is paired already."""
        this = self._get_reconfigure_entry()
        entries: list[TeslaFiConfigEntry] = self.hass.config_entries.async_loaded_entries(DOMAIN)
        keys = {
            entry.entry_id: key
            for entry in entries
            if entry.runtime_data.controls and (key := entry.runtime_data.controls.gate.command_key) is not None
        }
        granted.key = keys.get(this.entry_id) or next(iter(keys.values()), granted.key)
        granted.domain = this.data.get(CONF_CONTROLS, {}).get(CONF_PAIRING_DOMAIN, "")
        if this.entry_id in keys and granted.domain and granted.registered:
            return await self.async_step_controls_pair()
        return await self.async_step_controls_key()

    async def async_step_controls_key(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Have Tesla fetch the command key from the application's domain, be it served here or elsewhere."""
        granted = self._granted
        registration = self._registration_of(granted)
        errors: dict[str, str] = {}
        if user_input is not None:
            errors = await self.async_register(registration, user_input[CONF_DOMAIN])
            granted.domain = registration.domain
            if not errors and not (errors := await self._try_registered(granted)):
                return await (self.async_step_controls_pair() if self._signed_vehicles() else self._controls_enabled())
        return self.domain_form("controls_key", registration, user_input, errors)

    @staticmethod
    def _registration_of(granted: Granted) -> Registration:
        pem, region = public_pem(granted.key), granted.grant.region
        if granted.application is not None:
            registration = Registration.of(granted.application, region, pem)
        else:
            registration = Registration(granted.grant.client_id, granted.grant.client_id, None, region, pem)
        registration.domain = granted.domain
        return registration

    async def _try_registered(self, granted: Granted) -> dict[str, str]:
        """Try the grant again, now that its application is registered; return the errors of the form."""
        if granted.registered:
            return {}
        try:
            await self._try_grant()
        except NotRegistered:
            return {"base": "registration_pending"}
        except TeslaError as error:
            return {"base": sentence(error)}
        granted.registered = True
        return {}

    async def async_step_controls_pair(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Show the code that the owner's phone opens, and see whether the cars know the key."""
        missing = await self._unpaired(await self._session(), self._signed_vehicles())
        if not missing or (user_input is not None and user_input.get(LATER)):
            return await self._controls_enabled(missing)
        later = {probatio.Required(LATER, default=False): BooleanSelector()}
        return self._pairing_form("controls_pair", self._granted.domain, missing, later, again=user_input is not None)

    async def async_step_pair_cars(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Show the code again for the cars that are not paired yet, while controls are on."""
        account = self._loaded
        session = account.controls.gate.session if account and account.controls else None
        if account is None or session is None:
            return self.async_abort(reason="controls_not_now")
        controls = self._get_reconfigure_entry().data[CONF_CONTROLS]
        vehicles = [vin for vin in controls[CONF_VEHICLES] if vin in account.vehicles and account.vehicles[vin].signs]
        missing = await self._unpaired(session, vehicles)
        if not missing:
            return self.async_abort(reason="all_paired")
        domain = controls[CONF_PAIRING_DOMAIN]
        return self._pairing_form("pair_cars", domain, missing, {}, again=user_input is not None)

    def _pairing_form(
        self, step_id: str, domain: str, missing: list[str], more: Mapping[Any, Any], *, again: bool
    ) -> ConfigFlowResult:
        """Show the code, and name the cars that wait for it."""
        address = pairing_address(domain)
        code = QrCodeSelectorConfig(data=address, scale=5, error_correction_level=QrErrorCorrectionLevel.QUARTILE)
        return self.async_show_form(
            step_id=step_id,
            data_schema=probatio.Schema({probatio.Optional("qr_code"): QrCodeSelector(code), **more}),
            errors={"base": "not_paired"} if again else {},
            description_placeholders={"address": address, "vehicles": self._names(missing)},
        )

    def _names(self, vins: list[str]) -> str:
        cars = self._loaded.vehicles if self._loaded else {}
        return ", ".join(cars[vin].vehicle_name for vin in vins if vin in cars)

    async def _unpaired(self, session: GrantSession, vins: list[str]) -> list[str]:
        """Return the cars that do not know the key; all of them when Tesla does not tell."""
        if not vins:
            return []
        try:
            known = await paired(async_get_clientsession(self.hass), session, vins)
        except TeslaError:
            return vins
        return [vin for vin in vins if vin not in known]

    async def _controls_enabled(self, unpaired: list[str] | None = None) -> ConfigFlowResult:
        """Seal what commands are sent with, and have the entities come; name the cars that are not paired yet."""
        choice, granted, share = self._choice, self._granted, self._allowed.share
        del self._granted, self._allowed
        entry = self._get_reconfigure_entry()
        vault = await async_get_vault(self.hass)
        if granted.same_application:
            await vault.put(entry.entry_id, MONITORING, granted.grant)
        sealed = SealedControls(None if granted.same_application else granted.grant, granted.key)
        await seal(vault, entry.entry_id, sealed, share)
        controls: dict[str, Any] = {
            CONF_GROUPS: [group.value for group in choice.groups],
            CONF_VEHICLES: list(choice.vehicles),
            CONF_SAME_APPLICATION: granted.same_application,
            CONF_PAIRING_DOMAIN: granted.domain,
        }
        updates: dict[str, Any] = {CONF_CONTROLS: controls}
        if granted.domain:
            controls[CONF_PUBLIC_KEY] = public_pem(granted.key)
        registration = entry.data.get(CONF_REGISTRATION, {})
        if granted.domain and registration.get(CONF_CLIENT_ID) == granted.grant.client_id:
            # One application has one key: the command key has taken the other's place at Tesla
            updates[CONF_REGISTRATION] = self._registration_of(granted).as_data()
        follow_controls(self.hass, entry, entry.data.get(CONF_CONTROLS, {}), controls)
        names = self._names(unpaired or [])
        self.hass.config_entries.async_update_entry(entry, data={**entry.data, **updates})
        self.hass.config_entries.async_schedule_reload(entry.entry_id)
        reason = "controls_enabled_unpaired" if names else "controls_enabled"
        return self.async_abort(reason=reason, description_placeholders={"vehicles": names})

    async def async_step_disable_controls(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Wipe grant, command key and key share, here and at the companion."""
        entry = self._get_reconfigure_entry()
        if user_input is None:
            return self.async_show_form(step_id="disable_controls")
        shared = entry.data.get(CONF_CONTROLS, {}).get(CONF_SAME_APPLICATION)
        await self._wipe_controls()
        if shared:
            return await self.async_step_controls_disabled_shared()
        return self.async_abort(reason="controls_disabled")

    async def async_step_controls_disabled_shared(self, _user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Offer to end the wider grant by a sign-in that reads alone."""
        return self.async_show_menu(step_id="controls_disabled_shared", menu_options=["sign_in", "keep_grant"])

    async def async_step_keep_grant(self, _user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Leave the wider grant for monitoring."""
        return self.async_abort(reason="controls_disabled")

    async def _wipe_controls(self) -> None:
        entry = self._get_reconfigure_entry()
        account = self._loaded
        if account is not None and account.controls is not None:
            await account.controls.async_wipe(tell=True)
            return
        await (await async_get_vault(self.hass)).wipe(entry.entry_id, CONTROLS)
        forget_controls(self.hass, entry)


_REFUSED: Final[Mapping[str, str]] = {
    "unmet_authentication_requirements": "controls_second_factor",
    "subscription_required": "controls_subscription",
    "invalid_scope": "companion_link_lost",
}
"""Error of the companion's authorization server -> the sentence; anything else is that the owner refused."""

_MENDED_THERE: Final[Mapping[str, str]] = {
    "controls_second_factor": "/account/security",
    "controls_subscription": "/account",
}
"""Refusal that the owner can mend on a page of the companion -> that page."""


def _unchosen(groups: tuple[ControlGroup, ...], vehicles: tuple[str, ...]) -> dict[str, str]:
    if not groups:
        return {CONF_GROUPS: "no_group"}
    if not vehicles and set(groups) != {ControlGroup.ENERGY}:
        return {CONF_VEHICLES: "no_vehicle"}
    return {}


_TESLAS_NAMES: Final[Mapping[str, str]] = {
    "vehicle_cmds": "Vehicle Commands",
    "vehicle_charging_cmds": "Vehicle Charging Management",
    "energy_cmds": "Energy Product Commands",
}
"""Scope -> how Tesla's developer site calls it."""
