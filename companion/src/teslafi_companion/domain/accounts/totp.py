"""Time-based codes (RFC 6238): SHA-1, six digits, 30 seconds, each step good for one use.

Codes are compared by our own loop, so that the step of the code that was right is known. It is spent under the row's
lock: of any number of parallel uses exactly one wins (ASVS 6.5.1). Steps come in order, but a last step that lies in
the future was spent under a wrong clock: then only the steps that were spent lately, which are remembered, are refused.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
import hmac
import re
from typing import Final
from uuid import UUID

import pyotp
from sqlalchemy import and_, delete, insert, select, update

from teslafi_companion.store.database import Transaction, new_id
from teslafi_companion.store.tables import totp

STEP_SECONDS: Final = 30
_SECRET_CHARACTERS: Final = 32
_REMEMBERED: Final = 50
_CODE: Final = re.compile(r"[0-9]{6}", re.ASCII)


@dataclass(frozen=True)
class Enrolment:
    """A secret that waits for its first code."""

    id: UUID
    secret: str
    uri: str


def step_of(moment: datetime) -> int:
    """Return the time step that a moment lies in."""
    return int(moment.timestamp()) // STEP_SECONDS


def matching_step(secret: str, code: str, now: datetime, drift_steps: int) -> int | None:
    """Return the time step whose code this is, within `drift_steps` of the present one, or None.

    Only six ASCII digits are a code: others that Unicode takes for the same would be a second spelling of a spent one.
    """
    if not _CODE.fullmatch(code):
        return None
    generator = pyotp.TOTP(secret)
    present = step_of(now)
    found = None
    for step in range(present - drift_steps, present + drift_steps + 1):
        # Every candidate is compared, so that the time taken tells nothing
        if hmac.compare_digest(generator.generate_otp(step), code):
            found = step
    return found


async def begin(transaction: Transaction, account_id: UUID, label: str) -> Enrolment:
    """Make a new secret that becomes active with its first code; an earlier pending one is dropped."""
    await transaction.execute(delete(totp).where(totp.c.account_id == account_id, totp.c.state == "pending"))
    row, secret = new_id(), pyotp.random_base32(_SECRET_CHARACTERS)
    await transaction.execute(
        insert(totp).values(
            id=row,
            account_id=account_id,
            state="pending",
            created_at=transaction.now,
            sealed=transaction.seal({"secret": secret}, totp, row, account_id),
        )
    )
    return _enrolment(transaction, row, secret, label)


def _enrolment(transaction: Transaction, row: UUID, secret: str, label: str) -> Enrolment:
    uri = pyotp.TOTP(secret).provisioning_uri(name=label, issuer_name=transaction.settings.service_name)
    return Enrolment(row, secret, uri)


async def pending(transaction: Transaction, account_id: UUID, label: str) -> Enrolment | None:
    """Return the enrolment that is under way, for showing the page again after a wrong code."""
    row = await transaction.first(
        select(totp).where(
            totp.c.account_id == account_id,
            totp.c.state == "pending",
            totp.c.created_at > transaction.now - transaction.policy.totp_enrolment,
        )
    )
    if row is None:
        return None
    return _enrolment(transaction, row.id, transaction.open(row.sealed, totp, row.id, account_id)["secret"], label)


async def activate(transaction: Transaction, account_id: UUID, enrolment: Enrolment, code: str) -> bool:
    """Make a secret the account's own if the code proves that an app holds it; the code's step is spent by that."""
    step = matching_step(enrolment.secret, code, transaction.now, transaction.policy.totp_drift_steps)
    if step is None:
        return False
    await transaction.execute(delete(totp).where(totp.c.account_id == account_id, totp.c.state == "active"))
    return await transaction.changed_one(
        update(totp).where(totp.c.id == enrolment.id, totp.c.state == "pending").values(state="active", last_step=step)
    )


async def use_code(transaction: Transaction, account_id: UUID, code: str) -> bool:
    """Spend a code: True for the first use of a right one, False for a wrong or spent one."""
    row = await transaction.first(
        select(totp.c.id, totp.c.last_step, totp.c.sealed)
        .where(totp.c.account_id == account_id, totp.c.state == "active")
        .with_for_update()
    )
    if row is None:
        return False
    content = transaction.open(row.sealed, totp, row.id, account_id)
    drift = transaction.policy.totp_drift_steps
    step = matching_step(content["secret"], code, transaction.now, drift)
    spent: list[int] = content.get("spent", [])
    if step is None or step in spent:
        return False
    if row.last_step is not None and step <= row.last_step <= step_of(transaction.now) + drift:
        return False
    content["spent"] = [*spent, step][-_REMEMBERED:]
    await transaction.execute(
        update(totp)
        .where(totp.c.id == row.id)
        .values(last_step=step, sealed=transaction.seal(content, totp, row.id, account_id))
    )
    return True


async def remove(transaction: Transaction, account_id: UUID) -> bool:
    """Forget the secret; False when there was none."""
    removed = await transaction.execute(delete(totp).where(totp.c.account_id == account_id))
    return removed.rowcount > 0


async def purge(transaction: Transaction) -> None:
    """Drop enrolments that were never finished."""
    lifetime: timedelta = transaction.policy.totp_enrolment
    await transaction.drop(totp, and_(totp.c.state == "pending", totp.c.created_at <= transaction.now - lifetime))
