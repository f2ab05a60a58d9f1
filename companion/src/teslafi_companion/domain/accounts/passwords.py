"""Passwords: which are taken, and hashing them with argon2id in threads of their own behind a bounded queue."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import BoundedSemaphore
from typing import Protocol
import unicodedata

from argon2 import PasswordHasher
from argon2.exceptions import HashingError, VerificationError, VerifyMismatchError

from teslafi_companion.language import N_, Phrase
from teslafi_companion.settings import Policy

from . import strength


class PasswordRefused(Exception):
    """A new password does not protect; the text says why and what to do."""


class PasswordsBusy(Exception):
    """So many passwords are being checked that this one would have to wait too long, or what one needs is not there."""


def normalised(password: str) -> str:
    """Return a password in Unicode's composed form (NFC), the one change that is ever made to it."""
    return unicodedata.normalize("NFC", password)


def too_long(password: str, policy: Policy) -> bool:
    """Say whether a password is beyond what is hashed at all; none is ever cut."""
    return len(password) > policy.password_maximum or len(password.encode()) > policy.password_maximum_bytes


class BreachedPasswords(Protocol):
    """Knows passwords that were found in other services' breaches."""

    async def holds(self, password: str) -> bool:
        """Say whether a password is among them; False as well when it cannot be found out."""


class _Workers:
    """Threads with a bounded queue: who would have to wait too long is told so at once."""

    def __init__(self, threads: int, queue: int, name: str) -> None:
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._seats = BoundedSemaphore(threads + queue)

    async def run[**Arguments, Answer](
        self, function: Callable[Arguments, Answer], *args: Arguments.args, **kwargs: Arguments.kwargs
    ) -> Answer:
        if not self._seats.acquire(blocking=False):
            raise PasswordsBusy
        try:
            work = self._threads.submit(function, *args, **kwargs)
        except RuntimeError as fault:
            # The system has no thread left for it
            self._seats.release()
            raise PasswordsBusy from fault
        # The seat is free when the thread is, also if whoever waited for it has given up
        work.add_done_callback(lambda _: self._seats.release())
        return await asyncio.wrap_future(work)

    def close(self) -> None:
        """End the threads when their work is done."""
        self._threads.shutdown(wait=True, cancel_futures=True)


class Passwords:
    """Hashes, verifies and judges passwords; 64 MiB each, so never more at once than there are threads.

    Judging has a thread of its own: it never keeps a sign-in waiting. So have known devices: strangers who guess as
    fast as they can wait for each other, not the owner for them.
    """

    def __init__(self, policy: Policy, breached: BreachedPasswords | None = None) -> None:
        """Start the threads; `breached` is asked about new passwords, if somebody is to be."""
        self._policy = policy
        self._hasher = PasswordHasher(
            time_cost=policy.argon2_passes,
            memory_cost=policy.argon2_memory_kib,
            parallelism=policy.argon2_lanes,
            hash_len=32,
            salt_len=16,
        )
        self._hashing = _Workers(policy.password_threads, policy.password_queue, "password")
        self._known = _Workers(1, policy.password_queue, "password-known")
        self._judging = _Workers(1, policy.password_judge_queue, "password-strength")
        self._breached = breached
        self._dummy: str | None = None

    async def hash(self, password: str) -> str:
        """Return the PHC string of a password; raises PasswordsBusy."""
        return await self._hashing.run(self._hash, normalised(password))

    def _hash(self, password: str) -> str:
        try:
            return self._hasher.hash(password)
        except HashingError as fault:
            # No memory for it now
            raise PasswordsBusy from fault

    async def verify(self, phc: str | None, password: str, *, known: bool = False) -> bool:
        """Say whether a password is right; without a PHC string it takes as long and says no. Raises PasswordsBusy."""
        if phc is None and self._dummy is None:
            self._dummy = await self.hash("a password that nobody has")
        password = normalised(password)
        if too_long(password, self._policy):
            # As long as for any other wrong one, without hashing what somebody sent by the megabyte
            password, phc = "", None
        expected = phc if phc is not None else self._dummy or await self.hash("a password that nobody has")
        workers = self._known if known else self._hashing
        right = await workers.run(self._matches, expected, password)
        return right and phc is not None

    def _matches(self, phc: str, password: str) -> bool:
        try:
            return self._hasher.verify(phc, password)
        except VerifyMismatchError:
            return False
        except VerificationError as fault:
            # No memory for it now: nobody has looked whether it is right
            raise PasswordsBusy from fault

    def needs_rehash(self, phc: str) -> bool:
        """Say whether a PHC string was made with other parameters than today's."""
        return self._hasher.check_needs_rehash(phc)

    async def judge(self, password: str, *, second_factor: bool, context: Sequence[str]) -> None:
        """Refuse a new password that is too short, too long or easy to guess; raises PasswordRefused, PasswordsBusy.

        `context` are words an attacker would try first: the service's name, the parts of the e-mail address.
        """
        password, policy = normalised(password), self._policy
        least = policy.password_minimum_with_second_factor if second_factor else policy.password_minimum
        if len(password) < least:
            raise PasswordRefused(
                Phrase(
                    "Use at least %(least)s characters. A sentence that only you would say is easy to remember.",
                    least=least,
                )
            )
        if too_long(password, policy):
            raise PasswordRefused(Phrase("Use at most %(most)s characters.", most=policy.password_maximum))
        letters = strength.core(password)
        if (not letters and not any(sign.isdigit() for sign in password)) or letters in map(strength.core, context):
            raise PasswordRefused(
                N_("This password is too similar to your address or the name of this service. Choose another one.")
            )
        try:
            async with asyncio.timeout(policy.password_judge_seconds):
                weak = await self._judging.run(self._is_weak, password, tuple(context))
        except TimeoutError:
            raise PasswordsBusy from None
        if weak:
            raise PasswordRefused(N_("This password is too easy to guess. Choose a longer or less common one."))
        if self._breached is not None and await self._breached.holds(password):
            raise PasswordRefused(N_("This password was found in a data breach. Choose another one."))

    def _is_weak(self, password: str, context: Sequence[str]) -> bool:
        return (
            strength.is_common(password)
            or strength.is_repeated(password)
            or strength.guesses(password, context) < self._policy.password_guesses
        )

    def close(self) -> None:
        """End the threads when their work is done."""
        self._hashing.close()
        self._known.close()
        self._judging.close()


def context_words(service_name: str, address: str) -> tuple[str, ...]:
    """Return the words that a password of this account must not be."""
    local, _, domain = address.rpartition("@")
    return (
        service_name,
        "teslafi",
        "companion",
        "homeassistant",
        local,
        domain,
        domain.split(".", maxsplit=1)[0],
        address,
    )
