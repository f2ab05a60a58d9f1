"""Recovery codes: eight, 120 random bits each, shown once, used once, kept only as a keyed hash."""

from datetime import datetime
import secrets
from typing import Final
from uuid import UUID

from sqlalchemy import delete, func, insert, select, update

from teslafi_companion.store.database import Transaction, new_id
from teslafi_companion.store.tables import recovery_code

# Crockford's base32: no I, L, O, U
_ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_CHARACTERS: Final = 24
_GROUP: Final = 6
_MISREAD: Final = str.maketrans({"O": "0", "I": "1", "L": "1"})


def new_code() -> str:
    """Return a code as it is shown: four groups of six."""
    code = "".join(secrets.choice(_ALPHABET) for _ in range(_CHARACTERS))
    return "-".join(code[start : start + _GROUP] for start in range(0, _CHARACTERS, _GROUP))


def _macs(transaction: Transaction, account_id: UUID, code: str) -> list[bytes]:
    """Return what a code may be kept as, by each root of indexes: nobody can key it anew, so its root stays for it."""
    letters = "".join(sign for sign in code.upper() if sign.isalnum()).translate(_MISREAD)
    return transaction.cipher.macs("recovery-code", account_id.bytes + letters.encode())


async def regenerate(transaction: Transaction, account_id: UUID) -> list[str]:
    """Replace all codes of an account by new ones; this is the only time that they can be read."""
    await remove(transaction, account_id)
    codes = [new_code() for _ in range(transaction.policy.recovery_codes)]
    await transaction.execute(
        insert(recovery_code).values(
            [
                {
                    "id": new_id(),
                    "account_id": account_id,
                    "code_mac": _macs(transaction, account_id, code)[0],
                    "created_at": transaction.now,
                }
                for code in codes
            ]
        )
    )
    return codes


async def use(transaction: Transaction, account_id: UUID, code: str) -> bool:
    """Spend a code: True for the first use of a right one."""
    return await transaction.changed_one(
        update(recovery_code)
        .where(
            recovery_code.c.code_mac.in_(_macs(transaction, account_id, code)),
            recovery_code.c.account_id == account_id,
            recovery_code.c.used_at.is_(None),
        )
        .values(used_at=transaction.now)
    )


async def prove_kept(transaction: Transaction, account_id: UUID, code: str) -> bool:
    """Note that the owner has kept the codes, shown by typing one back; the code is not spent."""
    known = await transaction.first(
        select(recovery_code.c.id).where(
            recovery_code.c.account_id == account_id,
            recovery_code.c.code_mac.in_(_macs(transaction, account_id, code)),
            recovery_code.c.used_at.is_(None),
        )
    )
    if known is None:
        return False
    await transaction.execute(
        update(recovery_code).where(recovery_code.c.account_id == account_id).values(kept_at=transaction.now)
    )
    return True


async def left(transaction: Transaction, account_id: UUID) -> int:
    """Return how many codes can still be used."""
    count: int = (
        await transaction.execute(
            select(func.count())
            .select_from(recovery_code)
            .where(recovery_code.c.account_id == account_id, recovery_code.c.used_at.is_(None))
        )
    ).scalar_one()
    return count


async def are_kept(transaction: Transaction, account_id: UUID) -> bool:
    """Say whether the owner has shown that the codes were kept."""
    row = await transaction.first(
        select(recovery_code.c.id)
        .where(recovery_code.c.account_id == account_id, recovery_code.c.kept_at.is_not(None))
        .limit(1)
    )
    return row is not None


async def remove(transaction: Transaction, account_id: UUID) -> None:
    """Void all codes of an account."""
    await transaction.execute(delete(recovery_code).where(recovery_code.c.account_id == account_id))


async def oldest(transaction: Transaction) -> datetime | None:
    """Return when the oldest code was made that can still be used, or None."""
    unused = select(func.min(recovery_code.c.created_at).label("made_at")).where(recovery_code.c.used_at.is_(None))
    row = await transaction.first(unused)
    made_at: datetime | None = None if row is None else row.made_at
    return made_at
