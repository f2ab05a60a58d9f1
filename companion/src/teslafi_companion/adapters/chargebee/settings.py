"""What an operator sets to have Chargebee keep the subscriptions."""

from dataclasses import dataclass, field
from ipaddress import ip_network
from typing import Final

from yarl import URL

from teslafi_companion.settings import KeeperSettings, UnsafeSetting, is_loopback

_SHORTEST_PASSWORD: Final = 20
_MOST_PAIRS: Final = 2
"""The old pair and the new one."""


@dataclass(frozen=True, kw_only=True)
class ChargebeeSettings(KeeperSettings):
    """The settings `chargebee_…`. Construction refuses unsafe combinations with UnsafeSetting."""

    site: str = ""
    api_key: str = field(default="", repr=False)
    webhook_credentials: tuple[str, ...] = field(default=(), repr=False)
    """`user:password` of the webhook's address; two during a change. Empty: no webhooks, the poll alone."""
    webhook_networks: tuple[str, ...] = ()
    """Networks that webhooks may come from; empty: any."""
    base_url: str = ""
    """A stand-in for Chargebee on this machine, with a key of a test site."""

    def __post_init__(self) -> None:
        """Refuse what is malformed or unsafe."""
        if not (self.site and self.api_key and self.item_prices):
            raise UnsafeSetting(
                "billing is chargebee. Also set chargebee_site, chargebee_api_key, and chargebee_item_prices."
            )
        if not self.site.replace("-", "").isalnum():
            raise UnsafeSetting("chargebee_site must only be the site's name: acme for acme.chargebee.com.")
        if self.base_url and not self.api_key.startswith("test_"):
            raise UnsafeSetting("chargebee_base_url is only for simulators and needs the key of a test site (test_…).")
        if self.base_url and not is_loopback(URL(self.base_url).host or ""):
            raise UnsafeSetting("chargebee_base_url must be on this machine. Leave it empty to use Chargebee.")
        self._check_webhooks()

    def _check_webhooks(self) -> None:
        for pair in self.webhook_credentials:
            user, _, password = pair.partition(":")
            if not user or len(password) < _SHORTEST_PASSWORD:
                raise UnsafeSetting(
                    "chargebee_webhook_credentials must be user:password "
                    f"with a password of at least {_SHORTEST_PASSWORD} characters."
                )
        if len(self.webhook_credentials) > _MOST_PAIRS:
            raise UnsafeSetting("chargebee_webhook_credentials can have one pair, or two while you change it.")
        for text in self.webhook_networks:
            try:
                ip_network(text)
            except ValueError:
                raise UnsafeSetting(f"chargebee_webhook_networks: {text} isn't a network or address.") from None
