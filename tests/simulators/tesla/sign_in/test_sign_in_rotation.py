"""Refresh tokens over any history: which of all tokens ever issued still work, stated apart from the simulator.

A refresh token works when its line has not ended, and it is either the latest of its line and younger than three
months, or the one that was first used last, less than 24 hours ago.
"""

from dataclasses import dataclass, field
import math

from hypothesis import settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
import pytest

from teslafi_simulators.tesla.accounts import Account, AccountStore
from teslafi_simulators.tesla.addresses import Addresses
from teslafi_simulators.tesla.applications import OWNER_CLIENT, OWNER_SCOPES, ApplicationStore, monitoring_application
from teslafi_simulators.tesla.clock import ManualClock
from teslafi_simulators.tesla.tokens import BearerRefused, GrantRefused, Refusal, TokenPair, TokenStore

DAY = 86_400
CLIENT = "teslafi-monitoring"
OPTIONAL = ("vehicle_device_data", "vehicle_location", "energy_device_data")
BASE = frozenset({"openid", "offline_access"})


@dataclass(eq=False)
class Line:
    """What happened to one sign-in: tokens in the order they were issued and in the order of their first use."""

    client_id: str
    scopes: frozenset[str]
    issued: list[tuple[str, float]] = field(default_factory=list)
    used: list[tuple[str, float]] = field(default_factory=list)
    access: list[tuple[str, float, frozenset[str]]] = field(default_factory=list)
    ended: Refusal | None = None

    def accepts(self, token: str, now: float) -> bool:
        """Tell whether the token works at `now`."""
        if self.ended is not None:
            return False
        latest, issued_at = self.issued[-1]
        last_used, used_at = self.used[-1] if self.used else ("", -math.inf)
        return (token == latest and now < issued_at + 90 * DAY) or (token == last_used and now < used_at + DAY)


class Rotation(RuleBasedStateMachine):
    """Signs in, refreshes with any token ever seen, changes the password, reduces and withdraws consent."""

    def __init__(self) -> None:
        """Begin with one account that has not signed in."""
        super().__init__()
        self.clock = ManualClock()
        accounts = AccountStore(self.clock)
        self.accounts = accounts
        self.account = accounts.add(Account(email="a@example.com", password="pw-0", region="na", full_name="A"))
        applications = ApplicationStore()
        applications.add(monitoring_application())
        self.tokens = TokenStore(self.clock, accounts, applications, lambda: Addresses("http://127.0.0.1:1"))
        self.lines: list[Line] = []
        self.consent: frozenset[str] | None = None

    def note(self, line: Line, pair: TokenPair, *, scopes: frozenset[str]) -> None:
        """Write down what was issued."""
        assert pair.scopes == scopes
        assert pair.refresh_token is not None
        assert all(pair.refresh_token != token for one in self.lines for token, _ in one.issued)
        line.issued.append((pair.refresh_token, self.clock()))
        line.access.append((pair.access_token, self.clock(), scopes))

    @rule(optional=st.sets(st.sampled_from(OPTIONAL)))
    def sign_in(self, optional: set[str]) -> None:
        """Grant the application these scopes; what was granted before stays granted."""
        scopes = BASE | optional
        for line in self.lines:
            if line.client_id == CLIENT and line.ended is None:
                line.ended = Refusal.LOGIN_REQUIRED
        line = Line(CLIENT, scopes)
        pair = self.tokens.mint(self.account, CLIENT, scopes)
        self.consent = (self.consent or frozenset()) | scopes
        self.note(line, pair, scopes=scopes)
        self.lines.append(line)

    @rule()
    def sign_in_with_tesla_s_app(self) -> None:
        """Sign in another phone."""
        line = Line(OWNER_CLIENT, OWNER_SCOPES)
        self.note(line, self.tokens.mint(self.account, OWNER_CLIENT, OWNER_SCOPES), scopes=OWNER_SCOPES)
        self.lines.append(line)

    @precondition(lambda self: self.lines)
    @rule(data=st.data())
    def refresh(self, data: st.DataObject) -> None:
        """Refresh with one of the latest tokens of any line."""
        line = data.draw(st.sampled_from(self.lines), label="line")
        token, _ = data.draw(st.sampled_from(line.issued[-4:]), label="token")
        now = self.clock()
        if not line.accepts(token, now):
            with pytest.raises(GrantRefused) as refused:
                self.tokens.refresh(token, client_id=line.client_id, deployment="global")
            assert refused.value.refusal is (line.ended or Refusal.LOGIN_REQUIRED)
            return
        pair = self.tokens.refresh(token, client_id=line.client_id, deployment="global")
        if token not in {used for used, _ in line.used}:
            line.used.append((token, now))
        scopes = line.scopes
        if line.client_id == CLIENT:
            assert self.consent is not None
            scopes &= self.consent
        self.note(line, pair, scopes=scopes)

    @rule(seconds=st.sampled_from([1, 3_600, 28_799, 28_800, DAY - 1, DAY, 89 * DAY, 90 * DAY]))
    def wait(self, seconds: int) -> None:
        """Let time pass, to both sides of every limit."""
        self.clock.advance(seconds)

    @rule()
    def change_password(self) -> None:
        """End everything."""
        self.accounts.change_password(self.account.email, "pw-next")
        self.end(self.lines, Refusal.LOGIN_REQUIRED)

    @rule(kept=st.sets(st.sampled_from(OPTIONAL)))
    def reduce_consent(self, kept: set[str]) -> None:
        """Untick scopes."""
        if self.consent is not None:
            self.consent &= kept | BASE
            self.account.consents[CLIENT] = self.consent

    @rule()
    def withdraw_consent(self) -> None:
        """Remove the application's access."""
        self.tokens.revoke_consent(self.account, CLIENT)
        self.consent = None
        self.end([line for line in self.lines if line.client_id == CLIENT], Refusal.CONSENT_REVOKED)

    @staticmethod
    def end(lines: list[Line], why: Refusal) -> None:
        """End the lines that have not ended before."""
        for line in lines:
            line.ended = line.ended or why

    @invariant()
    def access_tokens_work_while_their_line_lives_and_for_eight_hours(self) -> None:
        """Verify the latest access tokens of every line."""
        for line in self.lines:
            for token, issued_at, scopes in line.access[-4:]:
                if line.ended is None and self.clock() < issued_at + 28_800:
                    assert self.tokens.verify(token).scopes == scopes
                else:
                    with pytest.raises(BearerRefused):
                        self.tokens.verify(token)


def test_any_history_of_sign_ins_and_refreshes() -> None:
    """Run the machine; a hundred histories take a few seconds."""
    run_state_machine_as_test(Rotation, settings=settings(max_examples=100, stateful_step_count=30, deadline=None))
