"""Which providers there are: every folder of this package that declares one."""

from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import Final

from teslafi_companion.domain.billing.port import BillingPort, BillingProvider
from teslafi_companion.settings import Settings

from .free.billing import FreeOfCharge

_PACKAGE: Final = __name__.rpartition(".")[0]


@cache
def billing_providers() -> dict[str, BillingProvider]:
    """Return the keepers of subscriptions by their names: the `BILLING` of each folder that has one."""
    package = import_module(_PACKAGE)
    folders = [one.name for one in iter_modules(package.__path__) if one.ispkg]
    declared = (getattr(import_module(f"{_PACKAGE}.{name}"), "BILLING", None) for name in folders)
    return {one.name: one for one in declared if isinstance(one, BillingProvider)}


async def open_billing(settings: Settings) -> BillingPort:
    """Return the configured keeper of subscriptions."""
    provider = billing_providers().get(settings.billing)
    return FreeOfCharge() if provider is None else await provider.open(settings)
