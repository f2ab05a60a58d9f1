"""Published vectors: RFC 7636 (PKCE) and RFC 6238 (passcodes)."""

import base64

import pytest

from teslafi_simulators.tesla.accounts import Account, AccountStore, MfaDevice
from teslafi_simulators.tesla.applications import Application, ApplicationStore
from teslafi_simulators.tesla.clock import ManualClock
from teslafi_simulators.tesla.pkce import challenge_of

RFC_6238_SECRET = base64.b32encode(b"12345678901234567890").decode()


def test_rfc_7636_appendix_b() -> None:
    assert challenge_of("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk") == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


@pytest.mark.parametrize(
    ("now", "eight_digits"),
    [
        (59, "94287082"),
        (1_111_111_109, "07081804"),
        (1_111_111_111, "14050471"),
        (1_234_567_890, "89005924"),
        (2_000_000_000, "69279037"),
        (20_000_000_000, "65353130"),
    ],
)
def test_rfc_6238_appendix_b(now: int, eight_digits: str) -> None:
    """A passcode of six digits is the end of the vector's eight (RFC 4226, section 5.3: modulo 10^digits)."""
    device = MfaDevice("Device #1", secret=RFC_6238_SECRET)
    assert device.passcode(now) == eight_digits[-6:]
    assert device.accepts(eight_digits[-6:], now)
    assert device.accepts(eight_digits[-6:], now + 30)
    assert not device.accepts(eight_digits[-6:], now + 60)


def test_an_account_has_two_devices_at_most() -> None:
    devices = [MfaDevice(f"Device #{number}") for number in (1, 2, 3)]
    with pytest.raises(ValueError, match="at most 2"):
        Account(email="a@example.com", password="x", region="eu", full_name="A", devices=devices)


def test_accounts_and_applications_are_kept_once() -> None:
    accounts = AccountStore(ManualClock())
    account = accounts.add(Account(email="A@example.com", password="x", region="eu", full_name="A"))
    assert accounts.by_email(" a@EXAMPLE.com ") is account
    assert accounts.by_sub(account.sub) is account
    assert accounts.current_passcode("a@example.com") is None
    with pytest.raises(ValueError, match="there already"):
        accounts.add(Account(email="a@example.com", password="y", region="na", full_name="B"))
    applications = ApplicationStore()
    with pytest.raises(ValueError, match="there already"):
        applications.add(Application(client_id="ownerapi", name="", redirect_uris=(), scopes=frozenset()))
    assert [application.client_id for application in applications] == ["ownerapi"]


def test_a_clock_does_not_run_backwards() -> None:
    clock = ManualClock(100.0)
    clock.advance(1.5)
    assert clock() == 101.5
    with pytest.raises(ValueError, match="backwards"):
        clock.advance(-1)
