"""Whether a link may have a permit now: every condition by itself, in the order in which an owner mends them."""

from enum import StrEnum

from teslafi_companion.domain.accounts.visitor import Visitor
from teslafi_companion.domain.billing.access import Access, Use
from teslafi_companion.domain.billing.mirror import access_of
from teslafi_companion.domain.links import suspicion
from teslafi_companion.domain.links.access import Caller
from teslafi_companion.domain.links.consent import Consent
from teslafi_companion.domain.links.scopes import Acr, Scope
from teslafi_companion.store.database import Transaction


class Refusal(StrEnum):
    """Why a link gets no permit."""

    NOT_ALLOWED = "not_allowed"
    SECOND_FACTOR = "second_factor"
    STEP_UP = "step_up"
    SUSPICIOUS = "suspicious"
    SUBSCRIPTION = "subscription"


async def judge(
    transaction: Transaction, caller: Caller, consent: Consent | None, visitor: Visitor
) -> tuple[Refusal | None, Access]:
    """Return why not, or None, with what the account's subscription gives.

    A permit is looked at like a refresh: whoever has a copy of a Home Assistant's data may hold an access token that is
    still good.
    """
    access = await access_of(transaction, caller.link.account_id, Use.CONTROLS)
    if consent is None or Scope.CONTROLS not in caller.link.scopes:
        return Refusal.NOT_ALLOWED, access
    if not caller.has_second_factor:
        return Refusal.SECOND_FACTOR, access
    if not caller.has_proved(Acr.SECOND_FACTOR, None, transaction.now):
        return Refusal.STEP_UP, access
    known = await suspicion.locked(transaction, caller.link.id)
    if known is None:
        return Refusal.NOT_ALLOWED, access
    known = await suspicion.look(transaction, known, visitor, permit=access.granted)
    if known.suspicious_since is not None:
        return Refusal.SUSPICIOUS, access
    return (None if access.granted else Refusal.SUBSCRIPTION), access
