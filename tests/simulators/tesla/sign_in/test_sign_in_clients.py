"""Clients that others wrote sign in and refresh here, unmodified but for the addresses they call.

Where a client's own flow cannot go further, the test shows the refusal that it meets.
"""

import asyncio
from types import SimpleNamespace
from typing import Any

from homeassistant.components.application_credentials import ClientCredential
from homeassistant.components.tesla_fleet import oauth as core_oauth
from homeassistant.components.tesla_fleet.const import SCOPES as CORE_SCOPES
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import OAuth2TokenRequestReauthError
from homeassistant.helpers import config_entry_oauth2_flow
import httpx
from oauthlib.oauth2.rfc6749.errors import InvalidGrantError, LoginRequired
import pytest
import requests
from tesla_fleet_api import const
from tesla_fleet_api.const import Scope
from tesla_fleet_api.tesla.fleet import TeslaFleetApi
from tesla_fleet_api.tesla.oauth import TeslaFleetOAuth
import teslajsonpy.connection  # type: ignore[import-untyped]
from teslajsonpy.exceptions import IncompleteCredentials  # type: ignore[import-untyped]
import teslapy  # type: ignore[import-untyped]

from teslafi_simulators.tesla.accounts import Account
from tests.simulators.tesla.sign_in.browser import REDIRECT, SCOPES, Simulated, claims_of

READ = [
    Scope.OPENID,
    Scope.OFFLINE_ACCESS,
    Scope.VEHICLE_DEVICE_DATA,
    Scope.VEHICLE_LOCATION,
    Scope.ENERGY_DEVICE_DATA,
]


@pytest.fixture
def fleet_addresses(simulated: Simulated, monkeypatch: pytest.MonkeyPatch) -> None:
    """Point tesla_fleet_api's tables at the simulator."""
    for region in ("na", "eu", "cn"):
        monkeypatch.setitem(const.SERVERS, region, simulated.addresses.fleet(region))
        monkeypatch.setitem(const.TOKEN_URLS, region, simulated.addresses.token(region))


@pytest.mark.usefixtures("fleet_addresses")
async def test_tesla_fleet_api_signs_in_and_refreshes(simulated: Simulated) -> None:
    api = TeslaFleetOAuth(
        simulated.session, "na", simulated.monitoring.client_id, simulated.monitoring.client_secret, REDIRECT
    )
    login = api.get_login_url(READ).replace("https://auth.tesla.com", simulated.addresses.sso("na"))
    returned = await simulated.allowed(login, simulated.plain)
    assert returned["state"] == "login"
    await api.get_refresh_token(returned["code"])
    assert api.server == simulated.addresses.fleet("eu")
    bearer = simulated.tokens.verify(await api.access_token())
    assert (bearer.account_sub, bearer.scopes) == (simulated.plain.sub, frozenset(SCOPES.split()))

    before = api.refresh_token
    await api.refresh_access_token()
    assert api.refresh_token not in {None, before}
    assert simulated.tokens.verify(await api.access_token()).region == "eu"

    simulated.accounts.change_password(simulated.plain.email, "pw-new")
    with pytest.raises(ValueError, match="login_required"):
        await api.refresh_access_token()


@pytest.mark.usefixtures("fleet_addresses")
async def test_tesla_fleet_api_gets_a_partner_token(simulated: Simulated) -> None:
    api = TeslaFleetApi(simulated.session, access_token="", region="eu")
    secret = simulated.full.client_secret
    assert secret is not None
    await api.partner_login(simulated.full.client_id, secret, [Scope.OPENID])
    bearer = simulated.tokens.verify(str(api._access_token))  # noqa: SLF001 - where the library keeps it
    assert (bearer.kind, bearer.region) == ("partner", "eu")


@pytest.fixture
def my_home_assistant(hass: HomeAssistant) -> HomeAssistant:
    """Redirect through my.home-assistant.io, as a default installation does."""
    hass.config.components.add("my")
    return hass


async def resolved(
    simulated: Simulated,
    implementation: config_entry_oauth2_flow.LocalOAuth2Implementation,
    account: Account,
    scope: str | None = None,
) -> dict[str, Any]:
    """Let Home Assistant make the address, the owner sign in, and Home Assistant redeem the code."""
    url = await implementation.async_generate_authorize_url("a-flow")
    if scope is not None:
        url = f"{url}&scope={scope.replace(' ', '+')}"
    returned = await simulated.allowed(url, account)
    state = config_entry_oauth2_flow._decode_jwt(implementation.hass, returned["state"])  # noqa: SLF001 - as its view does
    assert state == {"flow_id": "a-flow", "redirect_uri": REDIRECT}
    token: dict[str, Any] = await implementation.async_resolve_external_data({"code": returned["code"], "state": state})
    token["expires_at"] = 0
    return token


class TeslaPkce(config_entry_oauth2_flow.LocalOAuth2ImplementationWithPkce):
    """Home Assistant's own PKCE implementation with the audience that Tesla wants."""

    audience = ""

    @property
    def extra_token_resolve_data(self) -> dict[str, Any]:
        """Add the audience to the verifier."""
        return super().extra_token_resolve_data | {"audience": self.audience}


async def test_home_assistant_s_pkce_implementation(simulated: Simulated, my_home_assistant: HomeAssistant) -> None:
    implementation = TeslaPkce(
        my_home_assistant,
        "teslafi",
        simulated.monitoring.client_id,
        simulated.addresses.authorize("eu"),
        simulated.addresses.token("eu"),
        client_secret=simulated.monitoring.client_secret or "",
    )
    implementation.audience = simulated.addresses.fleet("eu")
    token = await resolved(simulated, implementation, simulated.guarded, SCOPES)
    assert simulated.tokens.verify(token["access_token"]).account_sub == simulated.guarded.sub
    refreshed = await implementation.async_refresh_token(token)
    assert refreshed["refresh_token"] != token["refresh_token"]
    assert simulated.tokens.verify(refreshed["access_token"]).region == "na"
    simulated.tokens.revoke_consent(simulated.guarded, simulated.monitoring.client_id)
    with pytest.raises(OAuth2TokenRequestReauthError):
        await implementation.async_refresh_token(refreshed)


async def test_core_s_tesla_fleet_implementation_without_audience(
    simulated: Simulated, my_home_assistant: HomeAssistant, monkeypatch: pytest.MonkeyPatch
) -> None:
    fleet_auth = simulated.addresses.token("eu").removesuffix("/token")
    monkeypatch.setattr(core_oauth, "AUTHORIZE_URL", f"{fleet_auth}/authorize")
    monkeypatch.setattr(core_oauth, "TOKEN_URL", f"{fleet_auth}/token")
    secret = simulated.full.client_secret
    assert secret is not None
    implementation = core_oauth.TeslaUserImplementation(
        my_home_assistant, "tesla_fleet", ClientCredential(simulated.full.client_id, secret)
    )
    token = await resolved(simulated, implementation, simulated.plain)
    bearer = simulated.tokens.verify(token["access_token"])
    assert bearer.kind == "fleet"
    assert bearer.scopes == set(CORE_SCOPES)
    refreshed = await implementation.async_refresh_token(token)
    assert simulated.tokens.verify(refreshed["access_token"]).account_sub == simulated.plain.sub


class PastedAddress:
    """The owner at TeslaPy's prompt: opens the address, signs in, pastes what the address bar shows."""

    def __init__(self, simulated: Simulated, account: Account) -> None:
        """Act as the account's owner, in the event loop that runs now."""
        self._simulated = simulated
        self._account = account
        self._loop = asyncio.get_running_loop()

    def __call__(self, url: str) -> str:
        """Return the pasted address; called in TeslaPy's thread."""
        return asyncio.run_coroutine_threadsafe(self._sign_in(url), self._loop).result(timeout=120)

    async def _sign_in(self, url: str) -> str:
        page = await self._simulated.signed_in(url, self._account)
        assert page.location is not None
        return page.location


def teslapy_client(simulated: Simulated, account: Account) -> teslapy.Tesla:
    """Return TeslaPy with a cache in memory."""
    return teslapy.Tesla(
        account.email,
        authenticator=PastedAddress(simulated, account),
        sso_base_url=f"{simulated.addresses.sso(account.region)}/",
        cache_loader=dict,
        cache_dumper=lambda _cache: None,
    )


async def test_teslapy_signs_in_and_refreshes(simulated: Simulated) -> None:
    with teslapy_client(simulated, simulated.guarded) as tesla:
        await asyncio.to_thread(tesla.fetch_token)
        access_token = tesla.token["access_token"]
        bearer = simulated.tokens.verify(access_token)
        assert (bearer.kind, bearer.account_sub) == ("owner", simulated.guarded.sub)
        before = tesla.token["refresh_token"]
        await asyncio.to_thread(tesla.refresh_token)
        assert tesla.token["refresh_token"] != before
        assert simulated.tokens.verify(tesla.token["access_token"]).kind == "owner"
        simulated.accounts.change_password(simulated.guarded.email, "pw-new")
        with pytest.raises(LoginRequired):
            await asyncio.to_thread(tesla.refresh_token)


async def test_teslapy_meets_a_used_code(simulated: Simulated) -> None:
    with teslapy_client(simulated, simulated.plain) as tesla:
        url = await asyncio.to_thread(tesla.authorization_url)
        pasted = await asyncio.to_thread(tesla.authenticator, url)
        await asyncio.to_thread(lambda: tesla.fetch_token(authorization_response=pasted))
        tesla.token = {}
        del tesla.access_token
        with pytest.raises(InvalidGrantError):
            await asyncio.to_thread(lambda: tesla.fetch_token(authorization_response=pasted))


async def test_teslapy_is_sent_to_china(simulated: Simulated) -> None:
    """It finds the regional host; it would go on there without the path prefix that only the simulator has."""
    with teslapy_client(simulated, simulated.chinese) as tesla:
        tesla.sso_base_url = f"{simulated.addresses.sso('na')}/"
        url = await asyncio.to_thread(tesla.authorization_url)
    assert url.split("?")[0] == simulated.addresses.authorize("cn")
    assert tesla.sso_base_url == f"{simulated.addresses.base_url}/"


async def test_teslapy_before_july_2026_meets_the_refused_redirect(simulated: Simulated) -> None:
    with teslapy_client(simulated, simulated.plain) as tesla:
        tesla.redirect_uri = "https://auth.tesla.com/void/callback"
        url = await asyncio.to_thread(tesla.authorization_url)
        answer = await asyncio.to_thread(requests.get, url, timeout=120)
    assert answer.status_code == 400
    assert "is not registered for this &#x27;client_id&#x27;." in answer.text


@pytest.mark.parametrize("before_july_2026", [True])
async def test_teslapy_before_july_2026_with_the_redirect_of_its_time(simulated: Simulated) -> None:
    with teslapy_client(simulated, simulated.plain) as tesla:
        tesla.redirect_uri = "https://auth.tesla.com/void/callback"
        await asyncio.to_thread(tesla.fetch_token)
        assert simulated.tokens.verify(tesla.token["access_token"]).kind == "owner"


class AtTheSimulator(httpx.AsyncBaseTransport):
    """Takes what is meant for auth.tesla.com to the simulator's prefix, as a name server and a proxy would."""

    def __init__(self, sso: str) -> None:
        """Send to `sso`."""
        self._sso = sso
        self._network = httpx.AsyncHTTPTransport()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send the request with nothing but its address changed."""
        assert request.url.host == "auth.tesla.com"
        target = httpx.URL(f"{self._sso}{request.url.raw_path.decode()}")
        return await self._network.handle_async_request(
            httpx.Request(request.method, target, headers=request.headers, stream=request.stream)
        )

    async def aclose(self) -> None:
        """Close the connections."""
        await self._network.aclose()


def teslajsonpy_connection(simulated: Simulated) -> teslajsonpy.connection.Connection:
    """Return teslajsonpy's connection, every address its own."""
    session = httpx.AsyncClient(transport=AtTheSimulator(simulated.addresses.sso("na")), follow_redirects=True)
    return teslajsonpy.connection.Connection(session)


@pytest.fixture
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the three seconds that teslajsonpy waits after each of its attempts."""

    async def sleep(_seconds: float) -> None:
        """Return at once."""

    monkeypatch.setattr(teslajsonpy.connection, "asyncio", SimpleNamespace(sleep=sleep))


async def test_teslajsonpy_refreshes(simulated: Simulated) -> None:
    pair = simulated.tokens.mint(simulated.plain, "ownerapi", frozenset({"openid", "email", "offline_access"}))
    connection = teslajsonpy_connection(simulated)
    answer = await connection.refresh_access_token(pair.refresh_token)
    assert claims_of(answer["access_token"])["sub"] == simulated.plain.sub
    assert simulated.tokens.verify(answer["access_token"]).kind == "owner"
    simulated.tokens.revoke_all(simulated.plain)
    assert await connection.refresh_access_token(answer["refresh_token"]) == {
        "error": "login_required",
        "error_description": "Login required",
    }
    await connection.close()


@pytest.mark.usefixtures("no_pauses")
async def test_teslajsonpy_s_own_sign_in_ends_at_the_redirect(simulated: Simulated) -> None:
    """Its redirect is written into it, and Tesla refuses that one since July 2026."""
    connection = teslajsonpy_connection(simulated)
    with pytest.raises(IncompleteCredentials) as incomplete:
        await connection.get_authorization_code(simulated.plain.email, simulated.plain.password)
    assert incomplete.value.code == "Unable to login with credentials"
    answer = await connection.websession.get(str(connection.get_authorization_code_link()))
    assert answer.status_code == 400
    assert "is not registered for this &#x27;client_id&#x27;." in answer.text
    await connection.close()


@pytest.mark.usefixtures("no_pauses")
@pytest.mark.parametrize("before_july_2026", [True])
async def test_teslajsonpy_s_own_sign_in_before_july_2026(simulated: Simulated) -> None:
    """Its script passes the form and the MFA endpoints; its challenge, made of the hex digest, is none of RFC 7636."""
    account = simulated.guarded
    connection = teslajsonpy_connection(simulated)
    for mfa_code, complaint in (("", "MFA Code missing"), ("000000", "MFA Code invalid")):
        with pytest.raises(IncompleteCredentials) as incomplete:
            await connection.get_authorization_code(account.email, account.password, mfa_code=mfa_code)
        assert incomplete.value.code == complaint
    passcode = account.devices[1].passcode(simulated.clock())
    code = await connection.get_authorization_code(account.email, account.password, mfa_code=passcode, mfa_device=1)
    assert len(bytes.fromhex(code)) == 30
    refused = await connection.get_sso_auth_token(code)
    assert refused["error"] == "invalid_grant"
    await connection.close()
