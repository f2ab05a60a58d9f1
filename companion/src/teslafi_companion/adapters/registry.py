"""Which keeper of subscriptions the settings name."""

from teslafi_companion.adapters.free.billing import FreeOfCharge
from teslafi_companion.domain.billing.port import BillingPort
from teslafi_companion.settings import Settings


async def open_billing(settings: Settings) -> BillingPort:
    """Return the configured adapter."""
    if settings.billing == "none":
        return FreeOfCharge()
    from teslafi_companion.adapters.chargebee.billing import open_chargebee  # noqa: PLC0415 - only who uses it pays for it

    return await open_chargebee(settings)
