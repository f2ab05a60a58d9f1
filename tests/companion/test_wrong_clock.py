"""A clock that was wrong for a while: nobody loses a second factor by it, and no spent code works again."""

import pyotp
import pytest

from teslafi_companion.domain.accounts import totp
from teslafi_companion.store.database import Store

from .clock import ManualClock
from .oauth.linking import make_account


class App:
    """An account's authenticator app, whose phone goes right."""

    def __init__(self, store: Store, owner: object, secret: str) -> None:
        """Hold the secret."""
        self.store = store
        self.owner = owner
        self.generator = pyotp.TOTP(secret)

    def code(self, clock: ManualClock) -> str:
        """Show the code of this moment."""
        return self.generator.at(clock.now)

    async def use(self, code: str) -> bool:
        """Say whether a code was taken."""
        async with self.store.transaction() as transaction:
            return await totp.use_code(transaction, self.owner, code)  # type: ignore[arg-type]


@pytest.fixture
async def app(store: Store, clock: ManualClock) -> App:
    """Give an account with an app."""
    owner = await make_account(store)
    async with store.transaction() as transaction:
        enrolment = await totp.begin(transaction, owner, "label")
        assert await totp.activate(transaction, owner, enrolment, pyotp.TOTP(enrolment.secret).at(clock.now))
    clock.advance(seconds=60)
    return App(store, owner, enrolment.secret)


@pytest.mark.parametrize("days", [2, 400, 30_000])
async def test_a_clock_that_was_ahead_costs_nobody_the_second_factor(app: App, clock: ManualClock, days: int) -> None:
    first = app.code(clock)
    assert await app.use(first)
    clock.advance(days=days)
    assert await app.use(app.code(clock))
    clock.advance(days=-days)
    assert not await app.use(first), "a spent code stays spent"
    clock.advance(seconds=60)
    assert await app.use(app.code(clock))
    assert not await app.use(app.code(clock))
    clock.advance(seconds=30)
    assert await app.use(app.code(clock))


async def test_a_clock_that_goes_back_gives_no_spent_code_back(app: App, clock: ManualClock) -> None:
    spent = []
    for _ in range(20):
        spent.append((clock.now, app.code(clock)))
        assert await app.use(spent[-1][1])
        clock.advance(seconds=60)
    right = clock.now
    for moment, code in spent:
        clock.now = moment
        assert not await app.use(code)
    clock.now = right
    assert await app.use(app.code(clock))
