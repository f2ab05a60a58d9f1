"""Chargebee's webhooks. Nothing signs them: they are let in by a password, and are a hint, never believed."""

import hmac
from ipaddress import ip_address, ip_network
from typing import override

from aiohttp import encode_basic_auth

from teslafi_companion.domain.billing.port import BillingEvent, Webhooks

from .events import parse_event
from .settings import ChargebeeSettings


class ChargebeeWebhooks(Webhooks):
    """What the operator has set at Chargebee, Settings, Webhooks."""

    def __init__(self, settings: ChargebeeSettings) -> None:
        """Take the passwords and the networks."""
        pairs = (pair.partition(":") for pair in settings.webhook_credentials)
        self._known = [encode_basic_auth(user, password).encode() for user, _, password in pairs]
        self._networks = [ip_network(text) for text in settings.webhook_networks]

    @override
    def may_come_from(self, address: str) -> bool:
        return not self._networks or any(ip_address(address) in network for network in self._networks)

    @override
    def knows_password(self, authorization: str) -> bool:
        said = authorization.encode()
        return any(hmac.compare_digest(said, known) for known in self._known)

    @override
    def parse(self, body: object) -> BillingEvent:
        return parse_event(body)
