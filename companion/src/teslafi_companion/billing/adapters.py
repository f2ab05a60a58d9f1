"""Which keeper of subscriptions the settings name."""

from teslafi_companion.settings import Settings

from .free import FreeOfCharge
from .port import BillingPort


async def open_billing(settings: Settings) -> BillingPort:
    """Return the configured adapter."""
    if settings.billing == "none":
        return FreeOfCharge()
    from .chargebee import open_chargebee  # noqa: PLC0415 - only who uses it pays for it

    return await open_chargebee(settings)
