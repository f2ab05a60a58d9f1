"""TeslaFi.com's feed on one port of loopback: one car for each token, records as recorded, refusals with status 200.

Strict where TeslaFi is: fifteen requests a minute, then 429; a command is refused unless its box was ticked, which here
none is.
"""

from collections import defaultdict
from collections.abc import Callable
import copy
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
import json
from pathlib import Path
import time
from typing import Any, Final, Self

from aiohttp import web

SAMPLES: Final = Path(__file__).parent / "samples"
LIMIT: Final = 15
WINDOW: Final = 60.0
NOT_ENABLED: Final = "This command is not enabled in your TeslaFi Settings - API. Please enable and try again."
READS: Final = frozenset({"", "lastGood", "lastGoodTemp"})
HAS_DATA: Final = "battery_level"

type Record = dict[str, Any]


def recorded(name: str) -> Record:
    """Return a recorded feed by the words in its file's name, such as `charging` or `asleep`."""
    (path,) = SAMPLES.glob(f"*_{name}_*.json")
    record: Record = json.loads(path.read_text())
    return record


@dataclass(slots=True)
class FeedAccount:
    """A token, what its car told last, and what it told when it last had data."""

    token: str
    record: Record
    last_good: Record = field(default_factory=dict)


class TeslaFiFeedSimulator:
    """Start it, use `url`, change `accounts`, stop it. Also an async context manager."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, zone: tzinfo = UTC) -> None:
        """Begin without accounts; `zone` is theirs, in which TeslaFi writes its dates."""
        self.zone = zone
        self.accounts: dict[str, FeedAccount] = {}
        self.requests: list[tuple[str, str]] = []
        """Path with its query, and the `Authorization` of every request."""
        self.answer: web.Response | None = None
        """What every request gets, whoever asks: for trouble."""
        self.url = ""
        self._clock = clock
        self._asked: defaultdict[str, list[float]] = defaultdict(list)
        self._runner: web.AppRunner | None = None

    def add(self, token: str, record: Record) -> FeedAccount:
        """Add a token whose car tells this."""
        account = self.accounts[token] = FeedAccount(token, {})
        self.tell(token, record)
        return account

    def tell(self, token: str, record: Record, date: datetime | None = None) -> None:
        """Let TeslaFi see something else of a token's car now, or at `date` of the account's time zone."""
        account = self.accounts[token]
        account.record = copy.deepcopy(record) | {"Date": f"{date or datetime.now(self.zone):%Y-%m-%d %H:%M:%S}"}
        if record.get(HAS_DATA) is not None:
            account.last_good = copy.deepcopy(record)

    async def start(self) -> None:
        """Serve on a free port."""
        app = web.Application()
        app.add_routes([web.get("/feed.php", self._feed)])
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}/feed.php"

    async def stop(self) -> None:
        """End all connections."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def __aenter__(self) -> Self:
        """Start."""
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop."""
        await self.stop()

    async def _feed(self, request: web.Request) -> web.StreamResponse:
        authorization = request.headers.get("Authorization", "")
        self.requests.append((request.path_qs, authorization))
        if self.answer is not None:
            return _anew(self.answer)
        token = authorization.removeprefix("Bearer ") or request.query.get("token", "")
        account = self.accounts.get(token)
        if account is None:
            return web.json_response({"response": {"result": "unauthorized"}})
        left, reset = self._left(token)
        if left < 0:
            return web.Response(status=429, headers={"Retry-After": str(reset)})
        command = request.query.get("command", "")
        if command not in READS:
            return web.Response(text=NOT_ENABLED)
        record = account.record if command == "" else account.last_good or account.record
        limits = {"limit": LIMIT, "remaining": left, "reset_in_seconds": reset}
        return web.json_response({**record, "rate_limit": limits})

    def _left(self, token: str) -> tuple[int, int]:
        now = self._clock()
        asked = self._asked[token] = [at for at in self._asked[token] if now - at < WINDOW]
        reset = max(int(WINDOW - (now - asked[0])), 1) if asked else int(WINDOW)
        if len(asked) >= LIMIT:
            return -1, reset
        asked.append(now)
        return LIMIT - len(asked), reset


def _anew(answer: web.Response) -> web.Response:
    """Return the same answer, which aiohttp sends once alone."""
    headers = {
        name: value for name, value in answer.headers.items() if name not in {"Content-Length", "Date", "Server"}
    }
    return web.Response(status=answer.status, body=answer.body, headers=headers)
