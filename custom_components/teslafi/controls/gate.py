"""The gate: shut until the companion gives a permit and its key share opens what commands are sent with.

The only place that makes a commander. It asks for the permit, holds it and the share in memory alone, and knows at any
time why it is shut. Nothing here is about Home Assistant.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, Protocol

import aiohttp
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

from ..const import CONTROLS
from ..link.client import CheckedIn, CompanionError, PermitRefused, SignedPermit, Unlinked
from ..secret import Secret
from ..storage.vault import SealBroken, Vault
from ..tesla.commander import Answer, Commander, Count, Hold, Look, WakingTold
from ..tesla.errors import CommandRefused, SignInRequired
from ..tesla.session import GrantSession
from ..tesla.token import TokenEndpoint
from .commands import COMMANDS, SITE_COMMANDS, WAKE
from .groups import ControlGroup
from .permit import Expected, Fault, Moment, Permit, PermitFaulty, verified
from .sealed import SealedControls, SealedKeeper, unseal

PATIENCE: Final = 2.0
"""Seconds that a command waits for the companion's answer while its permit counts."""
PER_MINUTE: Final = 30
"""Commands that Tesla takes for a car in a minute ("Billing and limits")."""


class Lock(StrEnum):
    """Why the gate is shut; each has its own sentence."""

    STARTING = "starting"
    UNLINKED = "unlinked"
    NOT_ALLOWED = "not_allowed"
    SECOND_FACTOR = "second_factor"
    PROOF_OUTDATED = "proof_outdated"
    SUSPICIOUS = "suspicious"
    SUBSCRIPTION = "subscription"
    UNREACHABLE = "unreachable"
    PERMIT_INVALID = "permit_invalid"
    OTHER_INSTANCE = "other_instance"
    OTHER_ACCOUNT = "other_account"
    CLOCK = "clock"
    SEAL_BROKEN = "seal_broken"
    GRANT_ENDED = "grant_ended"


REFUSALS: Final[Mapping[str, Lock]] = {
    "controls-not-allowed": Lock.NOT_ALLOWED,
    "scope-missing": Lock.NOT_ALLOWED,
    "second-factor-missing": Lock.SECOND_FACTOR,
    "proof-outdated": Lock.PROOF_OUTDATED,
    "link-suspicious": Lock.SUSPICIOUS,
    "subscription-needed": Lock.SUBSCRIPTION,
}
"""The companion's problem -> why the gate is shut."""

FAULTS: Final[Mapping[Fault, Lock]] = {
    Fault.INVALID: Lock.PERMIT_INVALID,
    Fault.OTHER_INSTANCE: Lock.OTHER_INSTANCE,
    Fault.OTHER_ACCOUNT: Lock.OTHER_ACCOUNT,
    Fault.CLOCK: Lock.CLOCK,
    Fault.EXPIRED: Lock.CLOCK,
}
"""A permit that just came and is over already tells of a clock that is wrong."""


class GateShut(Exception):
    """No command can be sent; `lock` tells why."""

    def __init__(self, lock: Lock) -> None:
        """Keep the reason."""
        super().__init__(lock.value)
        self.lock = lock


class Forbidden(Exception):
    """The gate is open, but not for this; `key` is the translation key of the sentence."""

    def __init__(self, key: str) -> None:
        """Keep the sentence."""
        super().__init__(key)
        self.key = key


class CompanionSide(Protocol):
    """The companion, as the gate asks it."""

    async def check_in(self, *, permit: bool) -> CheckedIn:
        """Say whether controls are still allowed, and give a permit where asked; raise CompanionError."""


@dataclass(frozen=True, slots=True)
class GateContext:
    """What the gate works with besides the companion."""

    http: aiohttp.ClientSession
    endpoint: TokenEndpoint
    vault: Vault
    entry_id: str
    monitoring: GrantSession
    look: Look
    waking_told: WakingTold
    now: Callable[[], Moment]
    create_task: Callable[[Coroutine[Any, Any, Any], str], asyncio.Task[Any]]
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep


@dataclass(slots=True)
class _Open:
    """What there is while the gate is open."""

    permit: Permit
    share: Secret
    commander: Commander
    session: GrantSession
    key: EllipticCurvePrivateKey = field(repr=False)


class Gate:
    """One config entry's gate."""

    def __init__(self, companion: CompanionSide, expected: Expected, context: GateContext) -> None:
        """Begin shut."""
        self._companion = companion
        self._expected = expected
        self._context = context
        self._open: _Open | None = None
        self._lock = Lock.STARTING
        self._sentence = ""
        self._renewal: asyncio.Task[None] | None = None
        self._companion_answers = True
        self._sent: dict[str, deque[float]] = {}

    @property
    def lock(self) -> Lock | None:
        """Why it is shut; None while it is open."""
        if self._open is None:
            return self._lock
        now = self._context.now()
        if self._open.permit.holds(now):
            return None
        return Lock.CLOCK if now.wall < self._open.permit.issued_at else Lock.UNREACHABLE

    @property
    def sentence(self) -> str:
        """What the companion said about a refusal, for the owner."""
        return self._sentence

    @property
    def permit(self) -> Permit | None:
        """The permit, while the gate is open."""
        return self._open.permit if self._open and self.lock is None else None

    @property
    def share(self) -> Secret | None:
        """The key share, while it is in memory."""
        return self._open.share if self._open else None

    @property
    def session(self) -> GrantSession | None:
        """The grant that commands are sent with, while the gate is open; to ask about keys, never to command."""
        return self._open.session if self._open and self.lock is None else None

    @property
    def command_key(self) -> EllipticCurvePrivateKey | None:
        """The command key, while the gate is open."""
        return self._open.key if self._open and self.lock is None else None

    async def renew(self) -> None:
        """Ask for a permit when half of the one at hand is over, else whether the consent is still there.

        Whoever asks while a question is under way waits for its answer.
        """
        await asyncio.shield(self._question())

    def _question(self) -> asyncio.Task[None]:
        if self._renewal is None or self._renewal.done():
            self._renewal = self._context.create_task(self._ask_companion(), "teslafi controls permit")
        return self._renewal

    async def _ask_companion(self) -> None:
        due = self._open is None or self._open.permit.is_due(self._context.now())
        try:
            checked = await self._companion.check_in(permit=due)
        except Unlinked:
            await self._shut(Lock.UNLINKED)
            return
        except CompanionError:
            self._companion_answers = False
            # Until its permit ends, an open gate stays open
            ended = Lock.UNREACHABLE if self._open is None else self.lock
            if ended is not None:
                await self._shut(ended)
            return
        self._companion_answers = True
        await self._apply(checked, due=due)

    async def _apply(self, checked: CheckedIn, *, due: bool) -> None:
        """Open, stay open or shut, as the companion's answer says."""
        try:
            if checked.refused is not None:
                raise checked.refused
            if checked.permit is not None:
                await self._open_with(checked.permit)
            elif due or not checked.status.controls:
                await self._shut(Lock.NOT_ALLOWED)
        except PermitRefused as refusal:
            await self._shut(REFUSALS.get(refusal.reason, Lock.PERMIT_INVALID), refusal.sentence)
        except PermitFaulty as faulty:
            await self._shut(FAULTS[faulty.fault])
        except SealBroken:
            await self._shut(Lock.SEAL_BROKEN)

    async def _open_with(self, signed: SignedPermit) -> None:
        permit = verified(signed.jwt, signed.keys, self._expected, self._context.now())
        if self._open is not None and self._open.share == signed.key_share:
            self._open.permit = permit
            return
        if not self._context.vault.holds(self._context.entry_id, CONTROLS):
            await self._shut(Lock.GRANT_ENDED)
            return
        sealed = unseal(self._context.vault, self._context.entry_id, signed.key_share)
        if sealed is None:
            raise SealBroken("nothing is sealed for controls")
        await self._forget_opened()
        self._open = await self._opened(permit, signed.key_share, sealed)

    async def _opened(self, permit: Permit, share: Secret, sealed: SealedControls) -> _Open:
        context = self._context
        session = context.monitoring
        if sealed.grant is not None:
            keeper = SealedKeeper(context.vault, context.entry_id, sealed, share)
            session = GrantSession(keeper, context.endpoint, lambda: context.now().wall, context.create_task)
            await session.load()
        commander = Commander(context.http, session, sealed.key, context.look, context.sleep, context.waking_told)
        return _Open(permit, share, commander, session, sealed.key)

    async def _shut(self, lock: Lock, sentence: str = "") -> None:
        """Forget permit, share, grant and key."""
        self._lock = lock
        self._sentence = sentence
        await self._forget_opened()

    async def _forget_opened(self) -> None:
        opened, self._open = self._open, None
        if opened is not None:
            await opened.commander.close()
            if opened.session is not self._context.monitoring:
                await opened.session.close()

    async def close(self) -> None:
        """Forget everything that is in memory."""
        self._cancel_question()
        await self._shut(Lock.STARTING)

    async def wipe(self) -> None:
        """Forget everything, on disk as well."""
        self._cancel_question()
        await self._shut(Lock.NOT_ALLOWED)
        await self._context.vault.wipe(self._context.entry_id, CONTROLS)

    async def command(
        self,
        vin: str,
        name: str,
        parameters: Mapping[str, Any],
        count: Count,
        *,
        signed: bool,
        waking: Hold = nullcontext,
    ) -> Answer:
        """Send a command to a car; raise GateShut, Forbidden or a TeslaError. It is woken within `waking` alone.

        The companion is asked first whether the owner still allows it, so that a lock there holds from that moment on.
        """
        command = COMMANDS.get(name)
        if command is None and name != WAKE:
            raise Forbidden("command_unknown")
        opened = await self._open_now()
        if vin not in opened.permit.vehicles:
            raise Forbidden("vehicle_not_allowed")
        if command is not None and command.group not in opened.permit.groups:
            raise Forbidden("group_not_allowed")
        self._keep_pace(vin)
        try:
            if command is None:
                with waking():
                    await opened.commander.wake(vin, count)
                return {"result": True}
            return await opened.commander.send(
                vin, name, parameters, count, signed=signed, still_allowed=self._open_now, waking=waking
            )
        except CommandRefused as refusal:
            if command is not None and refusal.reason in command.done:
                return {"result": True, "reason": refusal.reason}
            raise
        except SignInRequired:
            await self._grant_ended(opened)
            raise

    async def command_site(self, site_id: int, name: str, parameters: Mapping[str, Any]) -> Answer:
        """Send a command to an energy site; raise as `command` does."""
        if name not in SITE_COMMANDS:
            raise Forbidden("command_unknown")
        opened = await self._open_now()
        if ControlGroup.ENERGY not in opened.permit.groups:
            raise Forbidden("group_not_allowed")
        self._keep_pace(str(site_id))
        try:
            return await opened.commander.send_to_site(site_id, name, parameters)
        except SignInRequired:
            await self._grant_ended(opened)
            raise

    def _cancel_question(self) -> None:
        """See to it that no answer opens the gate anew."""
        renewal, self._renewal = self._renewal, None
        if renewal is not None and renewal is not asyncio.current_task():
            renewal.cancel()

    async def _open_now(self) -> _Open:
        if self._open is not None and self.lock is None:
            await self._ask_briefly()
        if (lock := self.lock) is not None:
            raise GateShut(lock)
        if self._open is None:
            raise GateShut(self._lock)
        return self._open

    async def _ask_briefly(self) -> None:
        """Ask whether controls are still allowed, so that a lock at the companion holds from that moment on.

        The permit at hand counts where no answer comes. After one silence no command waits until an answer came.
        """
        question = self._question()
        if not self._companion_answers:
            return
        await asyncio.wait({question}, timeout=PATIENCE)
        if not question.done():
            self._companion_answers = False
        elif not question.cancelled():
            await question

    async def _grant_ended(self, opened: _Open) -> None:
        """Tesla ended the grant that commands are sent with; where it is the monitoring one, that sees to itself."""
        if opened.session is not self._context.monitoring:
            await self._shut(Lock.GRANT_ENDED)

    def _keep_pace(self, target: str) -> None:
        """Stay within Tesla's limit of a minute; raise Forbidden at the command too many."""
        now = self._context.now().steady
        recent = self._sent.setdefault(target, deque(maxlen=PER_MINUTE))
        if len(recent) == PER_MINUTE and now - recent[0] < 60:  # noqa: PLR2004 - a minute
            raise Forbidden("too_many_commands")
        recent.append(now)
