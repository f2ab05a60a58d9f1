"""Step-up: a factor proved freshly, for a named purpose, within the last five minutes.

Accounts with a second factor prove that one; the others type their password again, where the purpose allows it.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from teslafi_companion.language import N_
from teslafi_companion.settings import Policy

from .account import Account
from .sessions import Session


class Purpose(StrEnum):
    """What a fresh proof is for; one purpose never serves another."""

    EMAIL = "change-email"
    PASSWORD = "change-password"  # noqa: S105 - a purpose
    FACTORS = "change-factors"
    EXPORT = "export"
    DELETE = "delete"
    BILLING = "billing"
    LINK = "link"
    CONTROLS = "controls"
    UNUSUAL = "confirm-link"


class Method(StrEnum):
    """How something was proved, by its name in RFC 8176 (`rc`, a recovery code, is our own)."""

    PASSWORD = "pwd"  # noqa: S105 - the registered name
    CODE = "otp"
    RECOVERY_CODE = "rc"
    PASSKEY = "hwk"


@dataclass(frozen=True)
class Requirement:
    """What a purpose asks for, and how the page puts it."""

    words: str
    second_factor: bool = False
    """Without a second factor the purpose is out of reach."""
    recovery_code: bool = True


REQUIREMENTS: Final = {
    Purpose.EMAIL: Requirement(N_("To change your email address, confirm that it's you.")),
    Purpose.PASSWORD: Requirement(N_("To change your password, confirm that it's you.")),
    Purpose.FACTORS: Requirement(N_("To change your two-factor authentication, confirm that it's you.")),
    Purpose.EXPORT: Requirement(N_("To download your data, confirm that it's you.")),
    Purpose.DELETE: Requirement(N_("To delete your account, confirm that it's you.")),
    Purpose.BILLING: Requirement(N_("To manage your subscription, confirm that it's you.")),
    Purpose.LINK: Requirement(N_("To link a Home Assistant, confirm that it's you."), recovery_code=False),
    Purpose.UNUSUAL: Requirement(N_("To confirm an unusual link, confirm that it's you."), recovery_code=False),
    Purpose.CONTROLS: Requirement(
        N_("To allow controls of your car, confirm that it's you."), second_factor=True, recovery_code=False
    ),
}


def is_fresh(session: Session, owner: Account, purpose: Purpose, now: datetime, policy: Policy) -> bool:
    """Say whether a session has proved a factor for this purpose within the allowed time.

    A proof from before the password, the address or a factor changed counts no more: the password alone, typed before
    there was a second factor, must not remove it.
    """
    return (
        session.step_up_purpose == purpose
        and session.step_up_version == owner.credential_version
        and session.step_up_at is not None
        and now - session.step_up_at <= policy.step_up
    )


def methods_for(owner: Account, purpose: Purpose) -> frozenset[Method]:
    """Return by which methods this account can step up for a purpose; empty when it first needs a second factor."""
    requirement = REQUIREMENTS[purpose]
    if not owner.has_second_factor:
        return frozenset() if requirement.second_factor else frozenset({Method.PASSWORD})
    methods = set()
    if owner.has_totp:
        methods.add(Method.CODE)
    if owner.passkeys:
        methods.add(Method.PASSKEY)
    if requirement.recovery_code:
        methods.add(Method.RECOVERY_CODE)
    return frozenset(methods)
