"""Which keeper of subscriptions the settings name."""

from teslafi_companion.settings import Settings

from .chargebee import open_chargebee
from .free import FreeOfCharge
from .port import BillingPort


async def open_billing(settings: Settings) -> BillingPort:
    """Return the configured adapter."""
    return await open_chargebee(settings) if settings.billing == "chargebee" else FreeOfCharge()
