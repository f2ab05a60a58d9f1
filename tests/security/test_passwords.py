"""New passwords: what everybody would try is refused, and judging costs strangers more than it costs us."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
import hashlib
import threading
import time

from aiohttp import web
from argon2 import PasswordHasher
from argon2.exceptions import HashingError, VerificationError
from hypothesis import example, given, settings as hypothesis_settings, strategies as st
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine
from zxcvbn import zxcvbn

from teslafi_companion.adapters.breached_passwords.adapter import RangeService
from teslafi_companion.domain.accounts import strength
from teslafi_companion.domain.accounts.passwords import PasswordRefused, Passwords, PasswordsBusy
from teslafi_companion.settings import Policy, Settings, UnsafeSetting
from teslafi_companion.store.database import Store

from ..companion.conftest import CHEAP
from ..companion.test_cli import Ended, Operator
from ..companion.web.person import OLGA, PASSWORD, Companion, Person
from .test_limits import count

WEAK = (
    "password password",
    "passwordpassword",
    "Password123 Password123",
    "Password1 Password2 Password3",
    "hunter2 hunter2 hunter2",
    "P@ssw0rd P@ssw0rd!",
    "password!password?password",
    "monkey-monkey-monkey",
    "password letmein qwerty",
    "football baseball",
    "qwerty123456qwerty",
    "qwertyuiopasdfgh",
    "drowssapdrowssap",
    "123456789012345",
    "111111111111111111",
    "2026-11-26 2026-11-26",
    "correctcorrectcorrect",
    "abcabcabcabcabcabc",
    "aaaaaaaaaaaaaaaaaaaa",
    "password1234567",
    "olga.marker 1234567",
    "TeslaFi!TeslaFi!TeslaFi",
    "----------------",
    "\u200b" * 20,
)
STRONG = (
    "nine purple teapots on a hill",
    "correct horse battery staple",
    "x7$Kp2!9vQ@4mZ8#",
    "kS9wPq2LmVx8RtZ4",
    "837465019283746",
    "zahnarzt quittung m\xf6we",
    "\u65e5\u672c\u306e\u590f\u306f\u6691\u3044\u3067\u3059\u306d\u3068\u3066\u3082\u6691\u3044\u3067\u3059",
)
CONTEXT = ("TeslaFi companion", "teslafi", "olga.marker", "example.org", OLGA)


@pytest.fixture
def passwords() -> Iterator[Passwords]:
    """Give the judge."""
    judge = Passwords(CHEAP)
    yield judge
    judge.close()


@pytest.mark.parametrize("password", WEAK, ids=ascii)
async def test_what_everybody_would_try_is_refused(passwords: Passwords, password: str) -> None:
    with pytest.raises(PasswordRefused):
        await passwords.judge(password, second_factor=False, context=CONTEXT)


@pytest.mark.parametrize("password", STRONG, ids=ascii)
async def test_what_nobody_would_try_is_taken(passwords: Passwords, password: str) -> None:
    await passwords.judge(password, second_factor=False, context=CONTEXT)


@given(
    st.sampled_from(sorted(strength.COMMON)).filter(lambda word: len(word) > 4 and word.isalpha()),
    st.sampled_from(["", " ", "-", "!", "1", " 2 ", "_._"]),
    st.integers(2, 4),
    st.sampled_from([str.lower, str.upper, str.title]),
)
@hypothesis_settings(deadline=None)
def test_a_common_password_over_and_over_stays_common(word: str, between: str, times: int, case: object) -> None:
    assert callable(case)
    assert strength.is_repeated(between.join([case(word)] * times))


SIGNS = "48({[<3691!|70$5+%2@abxyzAB "


@example(SIGNS * 9)
@example("1!|70$5+%2@" * 20)
@given(st.text(st.sampled_from(SIGNS) | st.characters(), max_size=256))
@hypothesis_settings(max_examples=200, deadline=None)
def test_judging_tries_a_bounded_number_of_readings(text: str) -> None:
    """What took 17 seconds was how many letters ambiguous signs can be: `1` for i or l, and so on, multiplied."""
    looked_at = text[: strength.JUDGED]
    assert strength.guesses(text, CONTEXT) >= 0 if looked_at else True
    seen: list[str] = []

    def watched(password: str, context: list[str]) -> dict[str, object]:
        seen.append(password)
        answer: dict[str, object] = zxcvbn(password, context)
        return answer

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(strength, "zxcvbn", watched)
        if looked_at:
            strength.guesses(text, CONTEXT)
    assert len(seen) <= 2
    for password in seen:
        assert len(password) <= 40
        assert strength.readings(password) <= 16


@pytest.mark.timeout(600)  # without its own thread nothing comes back
async def test_judging_keeps_no_sign_in_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """It has a thread, a queue and a deadline of its own."""
    judge = Passwords(replace(CHEAP, password_judge_seconds=0.05, password_judge_queue=0))
    release = False

    def slow(*_: object) -> bool:
        while not release:
            time.sleep(0.005)
        return False

    monkeypatch.setattr(strength, "is_common", slow)
    try:
        with pytest.raises(PasswordsBusy):
            await judge.judge(PASSWORD, second_factor=False, context=CONTEXT)
        # The thread still works: the next one is told at once
        with pytest.raises(PasswordsBusy):
            await judge.judge(PASSWORD, second_factor=False, context=CONTEXT)
        phc = await judge.hash(PASSWORD)
        assert await judge.verify(phc, PASSWORD)
    finally:
        release = True
        judge.close()


async def test_a_thread_that_nobody_waits_for_any_more_is_still_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever gives up again and again gets no longer queue by it."""
    judge = Passwords(replace(CHEAP, password_judge_queue=0, password_judge_seconds=600))
    begun, release = threading.Event(), threading.Event()

    def slow(*_: object) -> bool:
        begun.set()
        return release.wait()

    monkeypatch.setattr(strength, "is_common", slow)
    try:
        given_up = asyncio.create_task(judge.judge(PASSWORD, second_factor=False, context=CONTEXT))
        await asyncio.to_thread(begun.wait)
        given_up.cancel()
        await asyncio.wait([given_up])
        late = asyncio.create_task(judge.judge(PASSWORD, second_factor=False, context=CONTEXT))
        for _ in range(10):
            await asyncio.sleep(0)
        assert late.done()
        with pytest.raises(PasswordsBusy):
            await late
    finally:
        release.set()
        judge.close()


async def test_a_machine_without_memory_or_threads_is_our_trouble(monkeypatch: pytest.MonkeyPatch) -> None:
    """It says nothing about a password, and is over when the machine has recovered."""
    modest = Passwords(CHEAP)
    phc = await modest.hash(PASSWORD)

    def no_memory(fault: type[Exception]) -> Callable[..., None]:
        def refused(*_: object) -> None:
            # As argon2-cffi says it when malloc gives nothing
            raise fault("Memory allocation error")

        return refused

    with monkeypatch.context() as patch:
        patch.setattr(PasswordHasher, "verify", no_memory(VerificationError))
        patch.setattr(PasswordHasher, "hash", no_memory(HashingError))
        with pytest.raises(PasswordsBusy):
            await modest.verify(phc, PASSWORD)
        with pytest.raises(PasswordsBusy):
            await modest.hash(PASSWORD)
    assert not await modest.verify(phc, "wrong")
    assert await modest.verify(phc, PASSWORD)
    modest.close()

    def no_thread(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    tired = Passwords(CHEAP)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", no_thread)
        for _ in range(CHEAP.password_threads + CHEAP.password_queue + 1):
            with pytest.raises(PasswordsBusy):
                await tired.verify(phc, PASSWORD)
    assert await tired.verify(phc, PASSWORD)
    tired.close()


async def test_a_known_device_waits_for_no_stranger(monkeypatch: pytest.MonkeyPatch) -> None:
    judge = Passwords(replace(CHEAP, password_queue=0))
    release = threading.Event()
    phc = await judge.hash(PASSWORD)
    hasher = PasswordHasher(memory_cost=64, time_cost=1, parallelism=1)

    def matches(_self: Passwords, known: str, password: str) -> bool:
        if password == "guess":
            release.wait()
            return False
        return hasher.verify(known, password)

    monkeypatch.setattr(Passwords, "_matches", matches)
    strangers = [asyncio.create_task(judge.verify(phc, "guess")) for _ in range(CHEAP.password_threads)]
    try:
        await asyncio.sleep(0)
        with pytest.raises(PasswordsBusy):
            await judge.verify(phc, PASSWORD)
        assert await judge.verify(phc, PASSWORD, known=True)
    finally:
        release.set()
        await asyncio.gather(*strangers)
        judge.close()


async def test_nothing_is_judged_for_who_has_no_link(
    companion: Companion, olga: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The limit comes first: a stranger without a mail of ours costs no judgement, and no hash."""

    async def never(*_: object, **__: object) -> None:
        raise AssertionError

    await olga.has_account()
    monkeypatch.setattr(Passwords, "judge", never)
    monkeypatch.setattr(Passwords, "hash", never)
    strong = {"password": "4@8({[<6931!|0$5+7%2" * 3, "token": "x" * 43, "email": OLGA}
    for path in ("/sign-up", "/sign-up/confirm", "/forgotten-password", "/forgotten-password/new"):
        answer = await olga.send("POST", path, strong)
        assert answer.status in {200, 400}, path


class Ranges:
    """A stand-in for the service that knows breached passwords."""

    def __init__(self) -> None:
        """Know nothing yet."""
        self.asked: list[tuple[str, str | None]] = []
        self.breached: list[str] = []
        self.status = 200
        self.in_parts = False
        self.url = ""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Give the hashes of one range, padded."""
        prefix = request.match_info["prefix"]
        self.asked.append((prefix, request.headers.get("Add-Padding")))
        if self.status == 302:
            raise web.HTTPFound("http://127.0.0.1:1/elsewhere")
        digests = [hashlib.sha1(one.encode(), usedforsecurity=False).hexdigest().upper() for one in self.breached]
        lines = [f"{one[5:]}:3" for one in digests if one.startswith(prefix)] + ["0" * 35 + ":0"]
        if not self.in_parts:
            return web.Response(text="\r\n".join(lines), status=self.status)
        streamed = web.StreamResponse()
        await streamed.prepare(request)
        for line in ["0" * 35 + ":0"] * 200 + lines:
            await streamed.write(f"{line}\r\n".encode())
            await asyncio.sleep(0)
        return streamed


@pytest.fixture
async def ranges(socket_enabled: None, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Ranges]:
    """Serve one, which is waited for."""
    monkeypatch.setattr("teslafi_companion.adapters.breached_passwords.adapter._SECONDS", 120)
    service = Ranges()
    app = web.Application()
    app.add_routes([web.get("/range/{prefix}", service.answer)])
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    service.url = f"http://127.0.0.1:{runner.addresses[0][1]}/range/"
    yield service
    await runner.cleanup()


@pytest.mark.parametrize("in_parts", [False, True])
async def test_breached_passwords_are_asked_about_by_five_digits(store: Store, ranges: Ranges, in_parts: bool) -> None:
    """However many packets the answer comes in."""
    ranges.breached, ranges.in_parts = [PASSWORD], in_parts
    judge = Passwords(CHEAP, RangeService(store, ranges.url))
    try:
        with pytest.raises(PasswordRefused, match="breach"):
            await judge.judge(PASSWORD, second_factor=False, context=())
        await judge.judge("eleven green kettles in a cellar", second_factor=False, context=())
    finally:
        judge.close()
    assert {(len(prefix), padded) for prefix, padded in ranges.asked} == {(5, "true")}


@pytest.mark.parametrize("status", [503, 404, 302])
async def test_a_service_that_does_not_answer_refuses_nobody(store: Store, ranges: Ranges, status: int) -> None:
    ranges.status = status
    service = RangeService(store, ranges.url)
    for _ in range(3):
        assert not await service.holds(PASSWORD)
    assert await count(store, "breach_check_failed") == 1


async def test_an_account_made_by_the_operator_gets_no_breached_password_either(
    settings: Settings, engine: AsyncEngine, ranges: Ranges
) -> None:
    ranges.breached = [PASSWORD]
    operator = Operator(settings)

    async def makes(password: str) -> Ended:
        arguments = ("create-account", "new@example.org", "--password-stdin")
        url = {"TESLAFI_COMPANION_BREACHED_PASSWORDS_URL": ranges.url}
        return await operator.types(*arguments, stdin=f"{password}\n", **url)

    refused = await makes(PASSWORD)
    assert (refused.code, "data breach" in refused.errors) == (1, True)
    common = await makes("passwordpassword")
    assert (common.code, "too easy to guess" in common.errors) == (1, True)
    made = await makes("eleven green kettles in a cellar")
    assert (made.code, made.errors) == (0, "")


def test_nobody_is_asked_unless_the_operator_says_so() -> None:
    assert Settings().breached_passwords_url == ""
    assert Policy().password_judge_seconds > 0
    for address in ("http://api.example.org/range/", "https://api.example.org/range", "nowhere", "https://[/"):
        with pytest.raises(UnsafeSetting, match="breached_passwords_url"):
            Settings(breached_passwords_url=address)
