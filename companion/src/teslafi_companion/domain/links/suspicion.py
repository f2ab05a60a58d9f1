"""Refreshes that look like somebody else's: from another network, or after a long silence.

A copy of a Home Assistant's data holds its refresh token. Monitoring goes on whatever is found here; the link keeps the
fact, so that what protects controls can be refused until the owner has linked again with a fresh proof.
"""

from datetime import timedelta
from typing import Final

from sqlalchemy import func, literal, update

from teslafi_companion.audit import record
from teslafi_companion.domain.accounts import account as accounts, throttle
from teslafi_companion.domain.accounts.notices import security_notice
from teslafi_companion.domain.accounts.throttle import Attempt, Rule
from teslafi_companion.domain.accounts.visitor import Visitor
from teslafi_companion.store.columns import Moment
from teslafi_companion.store.database import Transaction
from teslafi_companion.store.tables import link

from .lifetimes import SILENCE
from .links import Link
from .networks import network_mac

_NOTICE: Final = Rule("link-suspicious", 1, timedelta(days=1))
_NETWORK: Final = "from another network than before"
_AFTER_SILENCE: Final = "after a long silence"


async def judge(transaction: Transaction, known: Link, visitor: Visitor) -> None:
    """Look at a refresh; what is suspicious is kept, put into the audit log, and told to the owner once a day."""
    network = network_mac(transaction, visitor.address)
    reasons = []
    if network != known.network_mac:
        reasons.append(_NETWORK)
    if transaction.now - known.contact_at > SILENCE:
        reasons.append(_AFTER_SILENCE)
    if not reasons:
        return
    await transaction.execute(
        update(link)
        .where(link.c.id == known.id)
        .values(
            network_mac=network,
            suspicious_since=func.coalesce(link.c.suspicious_since, literal(transaction.now, Moment)),
        )
    )
    record(
        transaction,
        "link_suspicious",
        account_id=known.account_id,
        actor="link",
        outcome="failure",
        detail=visitor.detail() | {"instance": known.instance.name, "why": reasons},
    )
    owner = await accounts.load(transaction, known.account_id)
    told_today = await throttle.reserve(transaction, [Attempt(_NOTICE, known.id.bytes)]) is not None
    if owner is None or told_today:
        return
    what = (
        f"“{known.instance.name}” renewed its link to your account {' and '.join(reasons)}. If its internet address "
        "changed, or you put it back from a backup, all is well: link it again to confirm. If not, somebody may have "
        f"a copy of its data: end the link at {transaction.settings.origin}/links"
    )
    await security_notice(transaction, owner.id, owner.email, "A linked Home Assistant looks unusual", what, visitor)
