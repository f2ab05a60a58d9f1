"""The second factor as a rule: what each change ends, what the log and the owner are told, the operator's way out."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from uuid import UUID, uuid4

import pyotp
import pytest

from teslafi_companion.domain.accounts import account, factors, lockout, passkeys, recovery, sessions, throttle, totp
from teslafi_companion.domain.accounts.account import Account
from teslafi_companion.domain.accounts.factors import CredentialsChanged
from teslafi_companion.domain.accounts.step_up import Method
from teslafi_companion.domain.accounts.throttle import Reservation
from teslafi_companion.domain.accounts.visitor import Visitor
from teslafi_companion.store.database import Store

from ..clock import ManualClock
from ..oauth.linking import link_up, links
from .authenticator import Authenticator
from .noted import Event, count_of, events_of, letters_of

ADDRESS = "olga@example.org"
HERE = Visitor("192.0.2.7", "Mozilla/5.0 (X11; Linux x86_64) Firefox/150.0")
SESSION = "a-session-token"


async def made(store: Store, address: str = ADDRESS) -> UUID:
    async with store.transaction() as transaction:
        owner = await account.create(transaction, address, "phc")
    assert owner is not None
    return owner


async def owner_of(store: Store, identifier: UUID) -> Account:
    async with store.reading() as transaction:
        owner = await account.load(transaction, identifier)
    assert owner is not None
    return owner


async def opened(store: Store, owner: UUID) -> UUID:
    async with store.transaction() as transaction:
        _, row = await sessions.open_session(transaction, owner, ("pwd",), HERE)
    return row


async def live(store: Store, owner: UUID) -> set[UUID]:
    async with store.reading() as transaction:
        return {one.id for one in await sessions.sessions_of(transaction, owner)}


@pytest.fixture
async def olga(store: Store) -> UUID:
    """Return an account."""
    return await made(store)


@pytest.fixture
async def keep(store: Store, olga: UUID) -> UUID:
    """Return the session that changes factors; there is another one."""
    await opened(store, olga)
    return await opened(store, olga)


@pytest.fixture
def device(store: Store) -> Authenticator:
    """Return an authenticator on the companion's own page."""
    return Authenticator(store.settings.host, store.settings.origin)


async def enrols(store: Store, identifier: UUID, keep: UUID) -> str:
    """Set up an app; return its secret."""
    owner = await owner_of(store, identifier)
    async with store.transaction() as transaction:
        enrolment = await totp.begin(transaction, identifier, "label")
    async with store.transaction() as transaction:
        code = pyotp.TOTP(enrolment.secret).at(transaction.now)
        spaced = f" {code[:3]} {code[3:]} "
        assert await factors.enrol_totp(transaction, owner, enrolment, spaced, HERE, keep=keep)
    return enrolment.secret


async def adds_passkey(store: Store, identifier: UUID, keep: UUID, device: Authenticator) -> UUID:
    owner = await owner_of(store, identifier)
    async with store.transaction() as transaction:
        options = await passkeys.begin_registration(transaction, owner, SESSION)
    async with store.transaction() as transaction:
        answer = device.registers(options)
        await factors.add_passkey(transaction, owner, SESSION, answer, "Key", HERE, keep=keep)
        return (await passkeys.passkeys_of(transaction, identifier))[-1].id


async def makes_codes(store: Store, identifier: UUID, keep: UUID) -> list[str]:
    owner = await owner_of(store, identifier)
    async with store.transaction() as transaction:
        return await factors.new_recovery_codes(transaction, owner, HERE, keep=keep)


async def removes_app(store: Store, identifier: UUID, keep: UUID) -> bool:
    owner = await owner_of(store, identifier)
    async with store.transaction() as transaction:
        return await factors.remove_totp(transaction, owner, HERE, keep=keep)


async def removes_passkey(store: Store, identifier: UUID, keep: UUID, passkey: UUID) -> bool:
    owner = await owner_of(store, identifier)
    async with store.transaction() as transaction:
        return await factors.remove_passkey(transaction, owner, passkey, HERE, keep=keep)


async def told(store: Store, identifier: UUID) -> str:
    """Return the last letter: it went to the owner and says from where."""
    about, letter = (await letters_of(store))[-1]
    assert (about, letter["to"]) == (identifier, ADDRESS)
    return letter["text"]


async def codes_left(store: Store, identifier: UUID) -> int:
    async with store.reading() as transaction:
        return await recovery.left(transaction, identifier)


async def version(store: Store, identifier: UUID) -> int:
    return (await owner_of(store, identifier)).credential_version


async def test_setting_up_an_app(store: Store, olga: UUID, keep: UUID) -> None:
    before = await count_of(store)
    await enrols(store, olga, keep)
    assert (await owner_of(store, olga)).has_totp
    assert await events_of(store, before) == [
        Event("sessions_ended", olga, "account", "success", {"count": 1}),
        Event("totp_enrolled", olga, "account", "success", HERE.detail()),
    ]
    assert await live(store, olga) == {keep}
    assert await version(store, olga) == 2
    text = await told(store, olga)
    assert "An authenticator app was added" in text
    assert "192.0.2.7" in text
    assert "Firefox (Linux)" in text


async def test_a_wrong_first_code_sets_up_nothing(store: Store, olga: UUID, keep: UUID) -> None:
    owner = await owner_of(store, olga)
    before = await count_of(store)
    async with store.transaction() as transaction:
        enrolment = await totp.begin(transaction, olga, "label")
        right = pyotp.TOTP(enrolment.secret).at(transaction.now)
        wrong = f"{(int(right) + 1) % 1_000_000:06}"
        assert not await factors.enrol_totp(transaction, owner, enrolment, wrong, HERE, keep=keep)
    assert not (await owner_of(store, olga)).has_second_factor
    assert await events_of(store, before) == []
    assert await version(store, olga) == 1
    assert len(await live(store, olga)) == 2


async def test_adding_and_removing_a_passkey(store: Store, olga: UUID, keep: UUID, device: Authenticator) -> None:
    before = await count_of(store)
    added = await adds_passkey(store, olga, keep, device)
    assert [one.event for one in await events_of(store, before)] == ["sessions_ended", "passkey_added"]
    assert await live(store, olga) == {keep}
    assert "A passkey was added" in await told(store, olga)
    await makes_codes(store, olga, keep)
    await opened(store, olga)
    assert not await removes_passkey(store, olga, keep, uuid4())
    before = await count_of(store)
    assert await removes_passkey(store, olga, keep, added)
    assert await events_of(store, before) == [
        Event("sessions_ended", olga, "account", "success", {"count": 1}),
        Event("passkey_removed", olga, "account", "success", HERE.detail()),
    ]
    assert await live(store, olga) == {keep}
    assert await codes_left(store, olga) == 0, "recovery codes go with the last factor"
    text = await told(store, olga)
    assert "A passkey was removed" in text
    assert "192.0.2.7" in text


async def test_recovery_codes_go_with_the_last_factor_alone(
    store: Store, olga: UUID, keep: UUID, device: Authenticator
) -> None:
    await enrols(store, olga, keep)
    await adds_passkey(store, olga, keep, device)
    codes = await makes_codes(store, olga, keep)
    assert await removes_app(store, olga, keep)
    assert await codes_left(store, olga) == len(codes)
    one_left = await told(store, olga)
    assert "authenticator app was removed" in one_left
    assert "no longer has two-factor" not in one_left
    assert not await removes_app(store, olga, keep), "there is none any more"
    async with store.reading() as transaction:
        (left,) = await passkeys.passkeys_of(transaction, olga)
    assert await removes_passkey(store, olga, keep, left.id)
    assert await codes_left(store, olga) == 0
    assert "no longer has two-factor" in await told(store, olga)


async def test_new_recovery_codes_replace_the_old_ones(store: Store, olga: UUID, keep: UUID) -> None:
    await enrols(store, olga, keep)
    old = await makes_codes(store, olga, keep)
    await opened(store, olga)
    before = await count_of(store)
    new = await makes_codes(store, olga, keep)
    assert len(new) == 8
    assert set(new).isdisjoint(old)
    assert await events_of(store, before) == [
        Event("sessions_ended", olga, "account", "success", {"count": 1}),
        Event("recovery_codes_made", olga, "account", "success", HERE.detail()),
    ]
    assert await live(store, olga) == {keep}
    text = await told(store, olga)
    assert "8 new recovery codes" in text
    assert "192.0.2.7" in text
    assert not any(code in text for code in new)
    async with store.transaction() as transaction:
        assert not await recovery.use(transaction, olga, old[0])
        assert await recovery.use(transaction, olga, new[0])


async def test_what_a_link_was_allowed_outlasts_an_added_factor_and_no_other_change(
    store: Store, olga: UUID, keep: UUID, device: Authenticator
) -> None:
    await link_up(store, olga)
    other = await made(store, "erik@example.org")
    await link_up(store, other)

    async def dated(identifier: UUID) -> int:
        (one,) = await links(store, identifier)
        return one.proof.credential_version

    await enrols(store, olga, keep)
    assert (await dated(olga), await version(store, olga)) == (2, 2)
    added = await adds_passkey(store, olga, keep, device)
    assert (await dated(olga), await version(store, olga)) == (3, 3)
    await enrols(store, olga, keep)
    assert (await dated(olga), await version(store, olga)) == (3, 4), "an app in place of another one is a change"
    await adds_passkey(store, olga, keep, Authenticator(store.settings.host, store.settings.origin))
    assert (await dated(olga), await version(store, olga)) == (3, 5), "what was outdated before stays so"
    await removes_passkey(store, olga, keep, added)
    assert (await dated(olga), await version(store, olga)) == (3, 6)
    assert await dated(other) == 1


@pytest.mark.parametrize("change", ["app", "removal"])
async def test_a_page_of_before_another_change_changes_nothing(
    store: Store, olga: UUID, keep: UUID, change: str
) -> None:
    await enrols(store, olga, keep)
    old = await owner_of(store, olga)
    await enrols(store, olga, keep)

    async def changes() -> None:
        async with store.transaction() as transaction:
            if change == "removal":
                await factors.remove_totp(transaction, old, HERE, keep=keep)
                return
            enrolment = await totp.begin(transaction, olga, "label")
            code = pyotp.TOTP(enrolment.secret).at(transaction.now)
            await factors.enrol_totp(transaction, old, enrolment, code, HERE, keep=keep)

    before = await count_of(store)
    with pytest.raises(CredentialsChanged):
        await changes()
    assert await events_of(store, before) == []
    assert (await owner_of(store, olga)).has_totp


async def reserved(store: Store, owner: Account) -> Reservation:
    reservation = await factors.reserve(store, owner, lockout.at_step_up(owner), HERE)
    assert reservation is not None
    return reservation


async def test_a_right_factor_forgives_the_wrong_ones_before_it(store: Store, olga: UUID, keep: UUID) -> None:
    secret = await enrols(store, olga, keep)
    (code, *_) = await makes_codes(store, olga, keep)
    owner = await owner_of(store, olga)
    store.clock.advance(minutes=2)  # type: ignore[attr-defined]
    before = await count_of(store)
    for number in range(4):
        reservation = await reserved(store, owner)
        async with store.transaction() as transaction:
            wrong = f"{(int(pyotp.TOTP(secret).at(transaction.now)) + 1 + number) % 1_000_000:06}"
            assert not await factors.prove(transaction, reservation, owner, Method.CODE, wrong, HERE)
    failed = Event("second_factor_failed", olga, "account", "failure", HERE.detail() | {"method": "otp"})
    assert await events_of(store, before) == [failed] * 4
    reservation = await reserved(store, owner)
    before = await count_of(store)
    async with store.transaction() as transaction:
        right = pyotp.TOTP(secret).at(transaction.now)
        spaced = f"{right[:3]} {right[3:]}"
        assert await factors.prove(transaction, reservation, owner, Method.CODE, spaced, HERE)
    assert await events_of(store, before) == []
    for _ in range(4):
        await reserved(store, owner)
    reservation = await reserved(store, owner)
    mails = len(await letters_of(store))
    async with store.transaction() as transaction:
        assert await factors.prove(transaction, reservation, owner, Method.RECOVERY_CODE, code, HERE)
    assert await events_of(store, before) == [
        Event("recovery_code_used", olga, "account", "success", HERE.detail() | {"left": 7})
    ]
    assert len(await letters_of(store)) == mails + 1
    text = await told(store, olga)
    assert "7" in text
    assert "192.0.2.7" in text.replace("You have 7", "")


@pytest.mark.parametrize(
    ("method", "proof"),
    [
        (Method.CODE, {"code": "123456"}),
        (Method.PASSKEY, "123456"),
        (Method.PASSKEY, {}),
        (Method.RECOVERY_CODE, {}),
        (Method.PASSWORD, "123456"),
    ],
)
async def test_what_is_no_proof_of_its_method_is_wrong(
    store: Store, olga: UUID, keep: UUID, method: Method, proof: object
) -> None:
    await enrols(store, olga, keep)
    owner = await owner_of(store, olga)
    reservation = await reserved(store, owner)
    async with store.transaction() as transaction:
        assert not await factors.prove(transaction, reservation, owner, method, proof, HERE, bound_to=SESSION)  # type: ignore[arg-type]


async def test_a_passkey_proves_for_the_session_that_it_was_asked_in(
    store: Store, olga: UUID, keep: UUID, device: Authenticator
) -> None:
    await adds_passkey(store, olga, keep, device)
    owner = await owner_of(store, olga)
    for bound_to, right in (("another session", False), (SESSION, True)):
        reservation = await reserved(store, owner)
        async with store.transaction() as transaction:
            answer = device.proves(await passkeys.begin_proof(transaction, olga, SESSION))
        async with store.transaction() as transaction:
            proved = await factors.prove(
                transaction, reservation, owner, Method.PASSKEY, answer, HERE, bound_to=bound_to
            )
        assert proved == right


async def test_the_owner_is_warned_when_few_codes_are_left(store: Store, olga: UUID, keep: UUID) -> None:
    await enrols(store, olga, keep)
    owner = await owner_of(store, olga)
    texts = []
    for code in await makes_codes(store, olga, keep):
        reservation = await reserved(store, owner)
        async with store.transaction() as transaction:
            assert await factors.prove(transaction, reservation, owner, Method.RECOVERY_CODE, code, HERE)
        texts.append(await told(store, olga))
    low = store.settings.policy.recovery_codes_low
    warned = ["before they run out" in text for text in texts]
    assert warned == [False] * (7 - low) + [True] * (low + 1)


async def test_that_the_counter_is_locked_is_noted_once_an_hour(store: Store, olga: UUID, clock: ManualClock) -> None:
    owner = await owner_of(store, olga)
    for _ in range(5):
        await reserved(store, owner)
    before = await count_of(store)
    for _ in range(3):
        assert await factors.reserve(store, owner, lockout.at_step_up(owner), HERE) is None
    locked = Event("second_factor_locked", olga, "account", "failure", HERE.detail())
    assert await events_of(store, before) == [locked]
    for _ in range(5):
        await throttle.reserve(store, [lockout.at_reset(owner)])
    assert await factors.reserve(store, owner, lockout.at_reset(owner), HERE) is None
    assert await events_of(store, before) == [locked] * 2, "each counter is noted by itself"
    clock.advance(hours=1)
    while await factors.reserve(store, owner, lockout.at_step_up(owner), HERE) is not None:
        pass
    assert await events_of(store, before) == [locked] * 3


async def removal_due(store: Store, identifier: UUID) -> object:
    async with store.reading() as transaction:
        return await factors.removal_due(transaction, identifier)


async def carried_out(store: Store) -> int:
    async with store.transaction() as transaction:
        return await factors.remove_due(transaction)


@pytest.fixture
async def lost(store: Store, olga: UUID, keep: UUID, device: Authenticator) -> Callable[[], Awaitable[object]]:
    """Give the account every factor; return the operator's order to remove them."""
    await enrols(store, olga, keep)
    await adds_passkey(store, olga, keep, device)
    await makes_codes(store, olga, keep)

    async def order() -> object:
        owner = await owner_of(store, olga)
        async with store.transaction() as transaction:
            return await factors.ask_removal(transaction, owner)

    return order


async def test_the_operators_removal(
    store: Store, olga: UUID, lost: Callable[[], Awaitable[object]], clock: ManualClock
) -> None:
    other = await made(store, "erik@example.org")
    before, delay = await count_of(store), store.settings.policy.operator_recovery_delay
    assert await lost() == clock.now + delay
    due = clock.now + delay
    asked = Event("factor_removal_asked", olga, "operator", "success", {"due": due.isoformat()})
    assert await events_of(store, before) == [asked]
    assert "…@example.org" in await told(store, olga)
    assert f"{due:%H:%M}" in await told(store, olga)
    assert (await removal_due(store, olga), await removal_due(store, other)) == (due, None)
    clock.advance(hours=1)
    assert await lost() == clock.now + delay, "a second order begins anew"
    clock.advance(seconds=(delay - timedelta(seconds=1)).total_seconds())
    assert await carried_out(store) == 0
    owner = await owner_of(store, olga)
    for _ in range(6):
        await throttle.reserve(store, [lockout.at_step_up(owner)])
    clock.advance(seconds=1)
    await opened(store, olga)
    kept = await opened(store, other)
    before = await count_of(store)
    assert await carried_out(store) == 1
    assert [(one.event, one.account, one.actor) for one in await events_of(store, before)] == [
        ("sessions_ended", olga, "account"),
        ("account_unlocked", olga, "operator"),
        ("factors_removed", olga, "operator"),
    ]
    after = await owner_of(store, olga)
    assert (after.has_totp, after.passkeys, await codes_left(store, olga)) == (False, 0, 0)
    assert after.credential_version == owner.credential_version + 1
    assert await live(store, olga) == set()
    assert await live(store, other) == {kept}
    assert await version(store, other) == 1
    assert (await throttle.reserve(store, [lockout.at_step_up(owner)])).admitted
    assert await removal_due(store, olga) is None
    assert await told(store, olga)
    assert await carried_out(store) == 0


@pytest.mark.parametrize("actor", ["account", "operator"])
async def test_the_removal_is_called_off(
    store: Store, olga: UUID, lost: Callable[[], Awaitable[object]], clock: ManualClock, actor: str
) -> None:
    other = await made(store, "erik@example.org")
    await lost()
    before = await count_of(store)
    async with store.transaction() as transaction:
        assert not await factors.keep_factors(transaction, other)
    assert await events_of(store, before) == []
    async with store.transaction() as transaction:
        assert await factors.keep_factors(transaction, olga, actor=actor)  # type: ignore[arg-type]
    assert await events_of(store, before) == [Event("factor_removal_called_off", olga, actor, "success", {})]
    clock.advance(days=30)
    assert await carried_out(store) == 0
    assert (await owner_of(store, olga)).has_second_factor


async def test_the_removal_of_a_deleted_account_harms_nobody(
    store: Store, olga: UUID, lost: Callable[[], Awaitable[object]], clock: ManualClock
) -> None:
    await lost()
    async with store.transaction() as transaction:
        await account.end(transaction, await owner_of(store, olga), HERE)
    clock.advance(days=30)
    assert await carried_out(store) == 0
