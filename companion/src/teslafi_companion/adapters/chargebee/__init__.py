"""Subscriptions kept at Chargebee."""

from typing import Final

from teslafi_companion.domain.billing.port import BillingProvider

from .billing import open_chargebee
from .settings import ChargebeeSettings

BILLING: Final = BillingProvider("chargebee", ChargebeeSettings, open_chargebee)
