"""By which methods an account proves itself for a purpose, and for how long that counts."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from teslafi_companion.domain.accounts.account import Account
from teslafi_companion.domain.accounts.sessions import Session
from teslafi_companion.domain.accounts.step_up import REQUIREMENTS, Method, Purpose, is_fresh, methods_for
from teslafi_companion.settings import Policy

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
OWNER = Account(UUID(int=1), "olga@example.org", NOW, 3, NOW, login_notices=True, has_totp=False, passkeys=0)
SESSION = Session(
    UUID(int=2), OWNER.id, NOW, NOW, NOW, frozenset({"pwd"}), NOW, Purpose.LINK, 3, "192.0.2.7", "Firefox (Linux)"
)
NO_RECOVERY_CODE = {Purpose.LINK, Purpose.UNUSUAL, Purpose.CONTROLS}


def test_every_purpose_says_what_it_asks_for() -> None:
    assert set(REQUIREMENTS) == set(Purpose)


@pytest.mark.parametrize("purpose", Purpose)
@pytest.mark.parametrize("has_totp", [False, True])
@pytest.mark.parametrize("passkeys", [0, 2])
def test_the_methods_of_each_purpose(purpose: Purpose, has_totp: bool, passkeys: int) -> None:
    owner = replace(OWNER, has_totp=has_totp, passkeys=passkeys)
    methods = methods_for(owner, purpose)
    if not has_totp and not passkeys:
        assert methods == (frozenset() if purpose is Purpose.CONTROLS else {Method.PASSWORD})
        return
    assert (Method.CODE in methods) == has_totp
    assert (Method.PASSKEY in methods) == (passkeys > 0)
    assert (Method.RECOVERY_CODE in methods) == (purpose not in NO_RECOVERY_CODE)
    assert methods <= {Method.CODE, Method.PASSKEY, Method.RECOVERY_CODE}, "never the password alone"


@pytest.mark.parametrize(
    ("session", "owner", "later", "fresh"),
    [
        (SESSION, OWNER, timedelta(), True),
        (SESSION, OWNER, timedelta(minutes=5), True),
        (SESSION, OWNER, timedelta(minutes=5, microseconds=1), False),
        (replace(SESSION, step_up_purpose=Purpose.EXPORT), OWNER, timedelta(), False),
        (replace(SESSION, step_up_at=None), OWNER, timedelta(), False),
        (replace(SESSION, step_up_version=None), OWNER, timedelta(), False),
        (replace(SESSION, step_up_version=2), OWNER, timedelta(), False),
        (SESSION, replace(OWNER, credential_version=4), timedelta(), False),
    ],
)
def test_a_proof_is_fresh_for_its_purpose_its_credentials_and_five_minutes(
    session: Session, owner: Account, later: timedelta, fresh: bool
) -> None:
    assert is_fresh(session, owner, Purpose.LINK, NOW + later, Policy()) == fresh
