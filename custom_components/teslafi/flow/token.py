"""The way of a token that the owner generated. What is typed is never sent back."""

from collections.abc import Mapping
import re
import time
from typing import Any, Final

from homeassistant.config_entries import ConfigFlowResult
from homeassistant.helpers import config_entry_oauth2_flow as oauth2
from homeassistant.helpers.aiohttp_client import async_get_clientsession
from homeassistant.helpers.selector import TextSelector, TextSelectorConfig, TextSelectorType
import probatio

from ..const import DOMAIN, METHOD_TOKEN
from ..secret import Secret
from ..tesla.errors import NotRegistered, TeslaError
from ..tesla.grant import OWNER_CLIENT, Claims, Grant, TokenMalformed
from ..tesla.servers import OWNER_API, SERVERS, Region, Server
from ..tesla.token import TokenEndpoint
from .account import AccountFlow, Origin, sentence
from .oauth import TeslaImplementation

ACCESS_TOKEN: Final = "access_token"  # noqa: S105 - a field's name
REFRESH_TOKEN: Final = "refresh_token"  # noqa: S105 - a field's name
CLIENT_ID: Final = "client_id"

_PASSWORD: Final = TextSelector(TextSelectorConfig(type=TextSelectorType.PASSWORD, autocomplete="off"))
TOKEN_SCHEMA: Final = probatio.Schema(
    {
        probatio.Optional(ACCESS_TOKEN): _PASSWORD,
        probatio.Optional(REFRESH_TOKEN): _PASSWORD,
        probatio.Optional(CLIENT_ID): TextSelector(),
    }
)
REFRESH_PREFIXES: Final[Mapping[str, Region]] = {"NA_": "na", "EU_": "eu", "CN_": "cn"}


KEPT: Final = "\N{BULLET}" * 12
"""What a field holds after an error in place of what was typed: the flow kept it, and never sends it back."""
FIELDS: Final = (ACCESS_TOKEN, REFRESH_TOKEN, CLIENT_ID)
_NAMED: Final = re.compile(rf"""\b({"|".join(FIELDS)})["']?\s*[:=]\s*["']?([^\s"',&;}}]+)""")
"""A token with its name before it, as in JSON, YAML, a query or a shell's variables."""


class TokenRefused(Exception):
    """A pasted token that is not worth a request; `field` of the form and `key` of the sentence."""

    def __init__(self, field: str, key: str) -> None:
        """Keep where and why."""
        super().__init__(key)
        self.field = field
        self.key = key


class TokenFlow(AccountFlow):
    """Takes tokens that the owner made. What is typed stays in the flow's memory, so that an error costs no typing."""

    _typed: Mapping[str, Secret] | None = None
    _redeemed_of: tuple[Mapping[str, Secret], Grant] | None = None

    async def async_step_token(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask for the tokens, and try them."""
        errors: dict[str, str] = {}
        if user_input is not None:
            try:
                grant = await self.async_grant_of_typed(self.typed(user_input))
                return await self._try_token(grant)
            except TokenRefused as error:
                errors = {error.field: error.key}
            except NotRegistered:
                errors = {"base": "not_registered"}
            except TeslaError as error:
                errors = {"base": sentence(error)}
        return self.token_form("token", errors)

    async def _try_token(self, grant: Grant) -> ConfigFlowResult:
        """Try the grant; register its application where Home Assistant has the secret for that."""

        async def again() -> ConfigFlowResult:
            return await self.async_monitoring_grant_came(grant, Origin(METHOD_TOKEN))

        try:
            return await again()
        except NotRegistered:
            application = await self._application_of(grant.client_id)
            if application is None:
                raise
            return await self.async_not_registered(application, grant.region, again)

    async def _application_of(self, client_id: str) -> TeslaImplementation | None:
        """Return the developer application with this client id, if it is among Home Assistant's."""
        known = await oauth2.async_get_implementations(self.hass, DOMAIN)
        applications = (one for one in known.values() if isinstance(one, TeslaImplementation))
        return next((one for one in applications if one.client_id == client_id and one.client_secret), None)

    def token_form(self, step_id: str, errors: dict[str, str]) -> ConfigFlowResult:
        """Show the form, its fields filled with marks for what was kept."""
        kept = self._typed or {}
        shown = {name: KEPT if name != CLIENT_ID else secret.reveal() for name, secret in kept.items()}
        schema = self.add_suggested_values_to_schema(TOKEN_SCHEMA, shown)
        return self.async_show_form(step_id=step_id, data_schema=schema, errors=errors)

    def typed(self, user_input: Mapping[str, str]) -> Mapping[str, str]:
        """Return what was typed, now or before an error, each in its place; keep it in case of another error.

        Raise TokenRefused for characters that no token has.
        """
        before = self._typed or {}
        entered = {
            name: before[name].reveal() if user_input.get(name) == KEPT and name in before else user_input.get(name, "")
            for name in FIELDS
        }
        found = sorted_out(entered)
        self._typed = {name: Secret(value) for name, value in found.items() if value}
        for name, value in found.items():
            if not value.isascii():
                raise TokenRefused(name, "token_malformed")
        return found

    async def async_grant_of_typed(self, typed: Mapping[str, str]) -> Grant:
        """Make a grant of what was typed (`typed`).

        A refresh token is redeemed at once: that proves it, and leaves its maker with a spent one. The same one typed
        again after an error brings the same grant.
        Raise TokenRefused for what is no token, or a TeslaError when Tesla refuses it.
        """
        access_token, refresh_token = typed[ACCESS_TOKEN], typed[REFRESH_TOKEN]
        if not access_token and not refresh_token:
            raise TokenRefused("base", "token_needed")
        claims = claims_of(access_token) if access_token else None
        if refresh_token:
            kept = {REFRESH_TOKEN: Secret(refresh_token)}
            if self._redeemed_of is None or self._redeemed_of[0] != kept:
                self._redeemed_of = kept, await self._redeemed(refresh_token, claims, typed[CLIENT_ID])
            return self._redeemed_of[1]
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


def clean(typed: str | None) -> str:
    """Drop what comes along when a token is copied: line breaks, blanks, quotes, and the word of its header."""
    return "".join((typed or "").split()).rpartition("Bearer")[2].strip("\"'`,")


def sorted_out(typed: Mapping[str, str | None]) -> dict[str, str]:
    """Return each token in its field, cleaned, wherever it was pasted: with its name before it, or in the other field.

    What cannot be told apart stays where it is.
    """
    texts = {name: typed.get(name) or "" for name in FIELDS}
    texts = {name: "".join(text.split()) if "{" in text else text for name, text in texts.items()}
    named = {name: value for text in texts.values() for name, value in _NAMED.findall(text)}
    found = {name: clean(named.get(name) or ("" if _NAMED.search(text) else text)) for name, text in texts.items()}
    for name, other in ((ACCESS_TOKEN, REFRESH_TOKEN), (REFRESH_TOKEN, ACCESS_TOKEN)):
        if _belongs_in(other, found[name]) and not _belongs_in(other, found[other]):
            found[name], found[other] = found[other], found[name]
    return found


def _belongs_in(field: str, token: str) -> bool:
    """Say whether a token is certainly of this kind."""
    if field == REFRESH_TOKEN:
        return token[:3] in REFRESH_PREFIXES
    try:
        return Claims.of(token).client_id != OWNER_CLIENT
    except TokenMalformed:
        return False


def claims_of(access_token: str) -> Claims:
    """Read the claims of a pasted access token; raise TokenRefused when it is none."""
    try:
        return Claims.of(access_token)
    except TokenMalformed as error:
        raise TokenRefused(ACCESS_TOKEN, "token_malformed") from error


def _owner_client(refresh_token: str) -> str:
    """Return the client of Tesla's own app for its kind of refresh token, which is a JWT; "" for any other."""
    return OWNER_CLIENT if refresh_token.startswith("eyJ") else ""
