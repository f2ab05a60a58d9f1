"""The way of a token that the owner generated. What is typed is never shown again."""

from collections.abc import Mapping
import re
import time
from typing import Any, Final

from homeassistant.config_entries import ConfigFlowResult
from homeassistant.helpers.aiohttp_client import async_get_clientsession
from homeassistant.helpers.selector import TextSelector, TextSelectorConfig, TextSelectorType
import probatio

from ..const import METHOD_TOKEN
from ..secret import Secret
from ..tesla.errors import TeslaError
from ..tesla.grant import OWNER_CLIENT, Claims, Grant, TokenMalformed
from ..tesla.servers import OWNER_API, SERVERS, Region, Server
from ..tesla.token import TokenEndpoint
from .account import AccountFlow, Origin, sentence

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


class TokenRefused(Exception):
    """A pasted token that is not worth a request; `field` of the form and `key` of the sentence."""

    def __init__(self, field: str, key: str) -> None:
        """Keep where and why."""
        super().__init__(key)
        self.field = field
        self.key = key


class TokenFlow(AccountFlow):
    """Takes tokens that the owner made."""

    async def async_step_token(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask for the tokens, and try them."""
        errors: dict[str, str] = {}
        if user_input is not None:
            try:
                grant = await self.async_grant_of_typed(user_input)
                return await self.async_monitoring_grant_came(grant, Origin(METHOD_TOKEN))
            except TokenRefused as error:
                errors = {error.field: error.key}
            except TeslaError as error:
                errors = {"base": sentence(error)}
        return self.async_show_form(step_id="token", data_schema=TOKEN_SCHEMA, errors=errors)

    async def async_grant_of_typed(self, typed: Mapping[str, str]) -> Grant:
        """Make a grant of what was typed.

        A refresh token is redeemed at once: that proves it, and leaves its maker with a spent one.
        Raise TokenRefused for what is no token, or a TeslaError when Tesla refuses it.
        """
        access_token = clean(typed.get(ACCESS_TOKEN))
        refresh_token = clean(typed.get(REFRESH_TOKEN))
        if not access_token and not refresh_token:
            raise TokenRefused("base", "token_needed")
        claims = claims_of(access_token) if access_token else None
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


def clean(typed: str | None) -> str:
    """Drop what comes along when a token is copied: line breaks, blanks, quotes, and the word of its header."""
    return "".join((typed or "").split()).strip("\"'`,").removeprefix("Bearer").strip("\"'`,")


def claims_of(access_token: str) -> Claims:
    """Read the claims of a pasted access token; raise TokenRefused when it is none."""
    try:
        return Claims.of(access_token)
    except TokenMalformed as error:
        raise TokenRefused(ACCESS_TOKEN, "token_malformed") from error


def _owner_client(refresh_token: str) -> str:
    """Return the client of Tesla's own app for its kind of refresh token, which is a JWT; "" for any other."""
    return OWNER_CLIENT if refresh_token.startswith("eyJ") else ""
