"""The way of a TeslaFi.com API token, for owners who stay with TeslaFi: reads what TeslaFi has seen."""

import re
import time
from typing import Any, Final

from homeassistant.config_entries import ConfigFlowResult
from homeassistant.helpers.aiohttp_client import async_get_clientsession
from homeassistant.helpers.selector import TextSelector, TextSelectorConfig, TextSelectorType
import probatio

from ..const import METHOD_FEED
from ..feed.client import LAST_GOOD, FeedClient
from ..feed.record import vin_of
from ..secret import Secret
from ..tesla.errors import RateLimited, Reason, SignInRequired, TeslaError, UnexpectedAnswer
from ..tesla.grant import Grant
from .account import AccountFlow, Origin

FEED_TOKEN: Final = "feed_token"  # noqa: S105 - a field's name
FEED_SCHEMA: Final = probatio.Schema(
    {
        probatio.Required(FEED_TOKEN): TextSelector(
            TextSelectorConfig(type=TextSelectorType.PASSWORD, autocomplete="off")
        )
    }
)
_TOKEN: Final = re.compile(r"[\x21-\x7e]{8,512}")
_AROUND: Final = " \t\r\n\"'`"


class FeedFlow(AccountFlow):
    """Takes a token of TeslaFi.com."""

    async def async_step_feed(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask for the token, and try it."""
        errors: dict[str, str] = {}
        if user_input is not None:
            token = user_input[FEED_TOKEN].strip(_AROUND).removeprefix("Bearer ").strip()
            try:
                return await self.async_monitoring_grant_came(await self._grant_of(token), Origin(METHOD_FEED))
            except TeslaError as error:
                errors = {"base": _sentence(error)}
        return self.async_show_form(step_id="feed", data_schema=FEED_SCHEMA, errors=errors)

    async def _grant_of(self, token: str) -> Grant:
        """Ask TeslaFi.com whose token it is; raise a TeslaError when it does not tell."""
        if not _TOKEN.fullmatch(token):
            raise SignInRequired(Reason.FEED_TOKEN)
        secret = Secret(token)
        feed = FeedClient(async_get_clientsession(self.hass), lambda: secret, time.monotonic)
        vin = vin_of(await feed.ask(LAST_GOOD))
        if vin is None:
            raise UnexpectedAnswer("TeslaFi.com's record names no car")
        return Grant.of_feed(secret, vin, time.time())


def _sentence(error: TeslaError) -> str:
    if isinstance(error, SignInRequired):
        return "feed_token_refused"
    return "rate_limited" if isinstance(error, RateLimited) else "feed_unreachable"
