"""Tesla accounts: who can sign in, with which passcode devices, and what each has consented to."""

from collections.abc import Iterator
from dataclasses import dataclass, field
import hmac
from typing import Final
from uuid import uuid4

import pyotp

from .addresses import Region
from .clock import Clock

DEVICES: Final = 2
"""Tesla registers at most two passcode devices (Tesla support, "Multi-Factor Authentication")."""

DRIFT: Final = 1
"""Steps of 30 seconds by which a passcode may be early or late (RFC 6238, section 5.2)."""


@dataclass(frozen=True, slots=True)
class MfaDevice:
    """An authenticator app that makes passcodes (RFC 6238: SHA-1, 6 digits, 30 seconds) from a base32 secret."""

    name: str
    secret: str = field(repr=False, default_factory=pyotp.random_base32)
    id: str = field(default_factory=lambda: str(uuid4()))
    activated_at: float = 0.0

    def passcode(self, now: float) -> str:
        """Return the passcode shown at `now`."""
        return pyotp.TOTP(self.secret).at(int(now))

    def accepts(self, passcode: str, now: float) -> bool:
        """Tell whether the passcode is right at `now`, one step of drift allowed."""
        return pyotp.TOTP(self.secret).verify(passcode, for_time=int(now), valid_window=DRIFT)


@dataclass(slots=True, eq=False, kw_only=True)
class Account:
    """One account.

    `consents` holds, per client id, the scopes that the owner has granted to that application.
    `captcha` is the text that the password page demands; None shows no captcha.
    """

    email: str
    password: str = field(repr=False)
    region: Region
    full_name: str
    sub: str = field(default_factory=lambda: str(uuid4()))
    locale: str = "en-US"
    devices: list[MfaDevice] = field(default_factory=list)
    backup_passcodes: list[str] = field(default_factory=list, repr=False)
    backup_passcodes_generated_at: float = 0.0
    locked: bool = False
    captcha: str | None = None
    consents: dict[str, frozenset[str]] = field(default_factory=dict)
    password_version: int = 0

    def __post_init__(self) -> None:
        """Hold the account to Tesla's rule on devices."""
        if len(self.devices) > DEVICES:
            raise ValueError(f"an account has at most {DEVICES} passcode devices")

    def has_password(self, candidate: str) -> bool:
        """Compare without telling by time how much was right."""
        return hmac.compare_digest(self.password.encode(), candidate.encode(errors="surrogatepass"))

    def accepts_passcode(self, passcode: str, now: float) -> bool:
        """Tell whether any of the devices shows this passcode at `now`."""
        return any(device.accepts(passcode, now) for device in self.devices)

    def spend_backup_passcode(self, passcode: str) -> bool:
        """Use up a backup passcode; False when it is none, or spent."""
        if passcode not in self.backup_passcodes:
            return False
        self.backup_passcodes.remove(passcode)
        return True


class AccountStore:
    """All accounts of this simulator."""

    def __init__(self, clock: Clock) -> None:
        """Begin without accounts."""
        self._clock = clock
        self._accounts: dict[str, Account] = {}

    def __iter__(self) -> Iterator[Account]:
        """Go through the accounts in the order they were added."""
        return iter(self._accounts.values())

    def add(self, account: Account) -> Account:
        """Add an account; raise ValueError when its e-mail or `sub` is taken."""
        if self.by_email(account.email) or self.by_sub(account.sub):
            raise ValueError(f"{account.email} is there already")
        self._accounts[_key(account.email)] = account
        return account

    def remove(self, email: str) -> None:
        """Delete the account: its tokens meet "unknown user" from now on. Raise KeyError when there is none."""
        del self._accounts[_key(email)]

    def by_email(self, email: str) -> Account | None:
        """Find by e-mail, letter case aside."""
        return self._accounts.get(_key(email))

    def by_sub(self, sub: str) -> Account | None:
        """Find by the uuid that tokens name."""
        return next((account for account in self if account.sub == sub), None)

    def change_password(self, email: str, new: str) -> None:
        """Set another password: every token and browser session of the account ends. Raise KeyError when unknown."""
        account = self._accounts[_key(email)]
        account.password = new
        account.password_version += 1

    def current_passcode(self, email: str) -> str | None:
        """Return what the account's first device shows now; None without device. Raise KeyError when unknown."""
        account = self._accounts[_key(email)]
        return account.devices[0].passcode(self._clock()) if account.devices else None


def _key(email: str) -> str:
    return email.strip().casefold()
