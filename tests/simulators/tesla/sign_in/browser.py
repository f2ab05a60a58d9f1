"""An owner's browser without a screen, and the simulated sign-in that it visits."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
import hashlib
from typing import Any
from urllib.parse import parse_qs, urlencode, urljoin, urlsplit

import aiohttp
from bs4 import BeautifulSoup
import jwt

from teslafi_simulators.tesla.accounts import Account, AccountStore
from teslafi_simulators.tesla.addresses import Addresses
from teslafi_simulators.tesla.applications import Application, ApplicationStore
from teslafi_simulators.tesla.clock import ManualClock
from teslafi_simulators.tesla.sign_in import SignInFaults
from teslafi_simulators.tesla.tokens import TokenStore

REDIRECT = "https://my.home-assistant.io/redirect/oauth"
SCOPES = "openid offline_access vehicle_device_data vehicle_location energy_device_data"
VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"


def s256(verifier: str) -> str:
    """Return the challenge of RFC 7636, worked out apart from the simulator."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def claims_of(token: str) -> dict[str, Any]:
    """Read a JWT without verifying, as clients do."""
    claims: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return claims


def query_of(url: str) -> dict[str, str]:
    """Return the parameters of an address."""
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query, keep_blank_values=True).items()}


@dataclass
class Page:
    """One answer as the browser shows it."""

    url: str
    status: int
    location: str | None
    text: str
    headers: Mapping[str, str]

    @property
    def soup(self) -> BeautifulSoup:
        """Return the parsed page."""
        return BeautifulSoup(self.text, "html.parser")

    @property
    def problem(self) -> str | None:
        """Return what the page complains about."""
        return self.text_at("alert")

    def text_at(self, role: str) -> str | None:
        """Return the text of the element with this role."""
        shown = self.soup.find(None, {"role": role})
        return shown.get_text() if shown else None

    @property
    def inputs(self) -> dict[str, str]:
        """Return the fields of the form as they stand, without check boxes."""
        return {
            str(entry["name"]): str(entry.get("value", ""))
            for entry in self.soup.find_all("input")
            if entry.get("type") != "checkbox"
        }

    @property
    def scopes(self) -> list[str]:
        """Return the scopes that are offered."""
        return [str(entry["value"]) for entry in self.soup.find_all("input", attrs={"name": "scope"})]

    @property
    def returned(self) -> dict[str, str]:
        """Return what the browser carries back to the application."""
        assert self.location is not None, self.text
        return query_of(self.location)


class Browser:
    """Keeps cookies, fills forms, does not follow redirects."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        """Use a session with a jar of its own."""
        self.session = session

    async def get(self, url: str) -> Page:
        """Open an address."""
        async with self.session.get(url, allow_redirects=False) as response:
            return await self._page(response)

    async def post(self, url: str, fields: list[tuple[str, str]] | dict[str, str]) -> Page:
        """Post a form."""
        async with self.session.post(url, data=fields, allow_redirects=False) as response:
            return await self._page(response)

    async def fill(self, page: Page, **typed: str) -> Page:
        """Send the page's form with what was typed."""
        return await self.post(page.url, page.inputs | typed)

    async def tick(self, page: Page, scopes: list[str], **button: str) -> Page:
        """Send the page's form with these scopes ticked."""
        fields = [*(page.inputs | button).items(), *(("scope", scope) for scope in scopes)]
        return await self.post(page.url, fields)

    async def follow(self, page: Page, text: str) -> Page:
        """Click a link."""
        link = page.soup.find("a", string=text)
        assert link is not None
        return await self.get(urljoin(page.url, str(link["href"])))

    @staticmethod
    async def _page(response: aiohttp.ClientResponse) -> Page:
        location = response.headers.get("Location")
        return Page(str(response.url), response.status, location, await response.text(), response.headers)


@dataclass
class Simulated:
    """The sign-in side alone, with one account per kind."""

    addresses: Addresses
    clock: ManualClock
    accounts: AccountStore
    applications: ApplicationStore
    tokens: TokenStore
    faults: SignInFaults
    session: aiohttp.ClientSession
    monitoring: Application
    full: Application
    open_source: Application
    plain: Account
    """Europe, no passcode."""
    guarded: Account
    """North America, two devices and backup passcodes."""
    chinese: Account
    browser: Browser = field(init=False)

    def __post_init__(self) -> None:
        """Open a browser."""
        self.browser = Browser(self.session)

    def authorize_url(self, base: str | None = None, /, **changed: str | None) -> str:
        """Return a good request of the monitoring application, with some parameters changed or left out (None)."""
        parameters: dict[str, str | None] = {
            "response_type": "code",
            "client_id": self.monitoring.client_id,
            "redirect_uri": REDIRECT,
            "scope": SCOPES,
            "state": "st-1",
            "code_challenge": s256(VERIFIER),
            "code_challenge_method": "S256",
        }
        parameters |= changed
        query = urlencode({name: value for name, value in parameters.items() if value is not None})
        return f"{base or self.addresses.authorize('na')}?{query}"

    def owner_url(self, **changed: str | None) -> str:
        """Return a good request of Tesla's own app."""
        owner: dict[str, str | None] = {
            "client_id": "ownerapi",
            "redirect_uri": "tesla://auth/callback",
            "scope": "openid email offline_access",
        }
        return self.authorize_url(None, **(owner | changed))

    async def password_given(self, url: str, account: Account) -> Page:
        """Give e-mail and password; return what comes next."""
        page = await self.browser.fill(await self.browser.get(url), identity=account.email)
        return await self.browser.fill(page, credential=account.password)

    async def signed_in(self, url: str, account: Account) -> Page:
        """Give the passcode too, where one is asked for."""
        page = await self.password_given(url, account)
        passcode = self.accounts.current_passcode(account.email)
        return page if passcode is None else await self.browser.fill(page, passcode=passcode)

    async def allowed(self, url: str, account: Account, scopes: list[str] | None = None) -> dict[str, str]:
        """Sign in and allow, all that is offered or only these scopes; return what goes back to the application."""
        page = await self.signed_in(url, account)
        if page.location is None:
            page = await self.browser.tick(page, page.scopes if scopes is None else scopes, decision="allow")
        return page.returned

    async def token(self, *, url: str | None = None, **fields: str | None) -> tuple[int, Any]:
        """Post a token request of the monitoring application; return status and body."""
        form = {name: value for name, value in fields.items() if value is not None}
        async with self.session.post(url or self.addresses.token("na"), data=form) as response:
            assert response.headers.get("Content-Type", "").startswith(("application/json", "text/plain"))
            is_json = response.content_type == "application/json"
            return response.status, await response.json() if is_json else await response.text()

    async def exchange(self, code: str, **changed: str | None) -> tuple[int, Any]:
        """Redeem a code as the monitoring application, with some fields changed or left out (None)."""
        url = changed.pop("url", None)
        fields: dict[str, str | None] = {
            "grant_type": "authorization_code",
            "client_id": self.monitoring.client_id,
            "client_secret": self.monitoring.client_secret,
            "code": code,
            "code_verifier": VERIFIER,
            "redirect_uri": REDIRECT,
            "audience": self.addresses.fleet("eu"),
        }
        return await self.token(url=url, **(fields | changed))

    async def refresh(self, refresh_token: str, **changed: str | None) -> tuple[int, Any]:
        """Refresh as the monitoring application."""
        url = changed.pop("url", None)
        fields: dict[str, str | None] = {
            "grant_type": "refresh_token",
            "client_id": self.monitoring.client_id,
            "refresh_token": refresh_token,
        }
        return await self.token(url=url, **(fields | changed))
