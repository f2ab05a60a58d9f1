"""Answers that nobody documents: seeded changes of JSON, of bytes, of statuses and of headers."""

from base64 import b64decode, b64encode
from collections.abc import Awaitable, Callable, Generator
from contextlib import AbstractAsyncContextManager
from copy import deepcopy
import json
from random import Random
from types import TracebackType
from typing import Any, Final, Self

import aiohttp
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

ODD: Final[tuple[Callable[[], object], ...]] = (
    lambda: None,
    lambda: True,
    lambda: False,
    lambda: 0,
    lambda: -1,
    lambda: -0.0,
    lambda: 1e308,
    lambda: float("inf"),
    lambda: float("nan"),
    lambda: 2**63,
    lambda: -(10**30),
    lambda: 10**400,
    lambda: "",
    lambda: " ",
    lambda: "²",
    lambda: "<invalid>",
    lambda: "1",
    lambda: "9999-12-31T23:59:59+14:00",
    lambda: "0001-01-01T00:00:00-23:59",
    lambda: "\x00",
    lambda: "\ud800",
    lambda: "\u202e\u200b",
    lambda: "x" * 5000,
    list,
    dict,
    lambda: [None],
    lambda: [[[[]]]],
    lambda: {"": {"": None}},
    lambda: {"response": {"response": {}}},
)
"""Values that stand where another was documented."""

BODIES: Final[tuple[bytes, ...]] = (
    b"",
    b"null",
    b"true",
    b"0",
    b'"text"',
    b"[]",
    b"{}",
    b'{"response": null}',
    b'{"response": ""}',
    b'{"response": []}',
    b'{"response": {}}',
    b'{"response": "bm9wZQ=="}',
    b'{"response": null, "error": "upstream"}',
    b'{"error": "upstream internal error"}',
    b'{"response": {"result": false, "reason": "could_not_wake_buses"}}',
    b"<html><body>Access denied</body></html>",
    b"NaN",
    b"\xff\xfe\x00",
    b"\xef\xbb\xbf{}",
    b"[" * 100_000,
    b'{"response":' * 50_000,
    b'{"response": ' + b"9" * 5000 + b"}",
    b'{"a": 1, "a": 2}',
)
"""Whole bodies."""

TYPES: Final = (
    "application/json",
    "application/json; charset=utf-8",
    "application/json; charset=punycode",
    "application/json; charset=rot13",
    "application/json-seq",
    "text/html",
    "text/plain; charset=utf-16",
    "",
    ";;;",
)
STATUSES: Final = (200, 201, 204, 206, 301, 302, 307, 400, 401, 402, 403, 404, 405, 406, 408, 412, 418, 421, 422, 423)
STATUSES_MORE: Final = (424, 425, 429, 451, 499, 500, 502, 503, 504, 540, 599)


class Mangler:
    """Changes answers by a seed."""

    def __init__(self, seed: int) -> None:
        """Begin with a seed; the same one gives the same changes."""
        self.random = Random(seed)  # noqa: S311 - nothing secret

    def json(self, payload: object) -> object:
        """Change a few places of a payload."""
        payload = deepcopy(payload)
        for _ in range(self.random.choice((1, 1, 2, 3, 8, 40))):
            payload = self._changed(payload, whole=0.02)
        return payload

    def _changed(self, payload: object, *, whole: float = 0.04) -> object:
        """Go down at random, and change what is there; `whole` is how likely it is changed as a whole."""
        if isinstance(payload, dict) and payload and self.random.random() > whole:
            key = self.random.choice(list(payload))
            act = self.random.random()
            if act < whole:
                del payload[key]
            elif act < 1.5 * whole:
                payload[f"{key}_new"] = self.random.choice(ODD)()
            else:
                payload[key] = self._changed(payload[key])
            return payload
        if isinstance(payload, list) and payload and self.random.random() < 0.8:
            place = self.random.randrange(len(payload))
            if self.random.random() < 0.2:
                payload.insert(place, self.random.choice(ODD)())
            else:
                payload[place] = self._changed(payload[place])
            return payload
        return self.random.choice(ODD)()

    def damaged(self, body: bytes) -> bytes:
        """Damage a body, or put another in its place."""
        act = self.random.randrange(4)
        if act == 0 or not body:
            return self.random.choice(BODIES)
        place = self.random.randrange(len(body))
        if act == 1:
            return body[:place]
        if act == 2:
            changed = bytearray(body)
            for _ in range(self.random.choice((1, 1, 4, 30))):
                changed[self.random.randrange(len(changed))] = self.random.randrange(256)
            return bytes(changed)
        return body[:place] + self.random.randbytes(self.random.choice((1, 8, 200))) + body[place:]

    def body(self, body: bytes) -> bytes:
        """Change a body that may be JSON."""
        if self.random.random() < 0.15:
            return self.damaged(body)
        try:
            return json.dumps(self.json(json.loads(body))).encode(errors="surrogatepass")
        except ValueError:
            return self.damaged(body)

    def status(self) -> int:
        """Return a status, mostly 200."""
        return 200 if self.random.random() < 0.9 else self.random.choice((*STATUSES, *STATUSES_MORE))

    def content_type(self) -> str:
        """Return a content type, mostly JSON's."""
        return TYPES[0] if self.random.random() < 0.95 else self.random.choice(TYPES)


class Content:
    """A body as it comes from a connection."""

    def __init__(self, body: bytes) -> None:
        """Hold it."""
        self._body = body

    async def readany(self) -> bytes:
        """Return its next piece."""
        piece, self._body = self._body[:65_536], self._body[65_536:]
        return piece

    def at_eof(self) -> bool:
        """Whether all of it was read."""
        return not self._body


class Response:
    """As much of aiohttp's answer as is looked at."""

    def __init__(self, url: str, status: int, content_type: str, body: bytes) -> None:
        """Be this answer."""
        self.url = URL(url)
        self.status = status
        self.headers = CIMultiDictProxy(CIMultiDict({"Content-Type": content_type, "Retry-After": "²"}))
        self.content_type = content_type.partition(";")[0].strip().lower() or "application/octet-stream"
        self.content = Content(body)

    async def __aenter__(self) -> Self:
        """Be open already."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Have nothing to close."""


class Sent(AbstractAsyncContextManager[Response]):
    """A request under way: awaited or entered, as aiohttp's."""

    def __init__(self, answer: Callable[[], Awaitable[Response]]) -> None:
        """Get the answer when it is asked for."""
        self._answer = answer

    def __await__(self) -> Generator[Any, None, Response]:
        """Wait for the answer."""
        return self._answer().__await__()

    async def __aenter__(self) -> Response:
        """Wait for the answer."""
        return await self._answer()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Have nothing to close."""


class MangledSession:
    """A client session whose answers are changed on their way; `bodies` gives what is changed where nobody is asked."""

    def __init__(self, mangler: Mangler, body: Callable[[str], bytes]) -> None:
        """Answer each address with a changed `body`."""
        self._mangler = mangler
        self._body = body

    def request(self, _method: str, url: str, **_options: object) -> Sent:
        """Answer a request."""

        async def answer() -> Response:
            mangler = self._mangler
            return Response(url, mangler.status(), mangler.content_type(), mangler.body(self._body(url)))

        return Sent(answer)

    def post(self, url: str, **options: object) -> Sent:
        """Answer a request."""
        return self.request("POST", url, **options)


class MangledTesla:
    """A client session that asks a real server and changes its answers when `mangles` says so."""

    def __init__(self, http: aiohttp.ClientSession, mangler: Mangler) -> None:
        """Ask with this session."""
        self._http = http
        self._mangler = mangler
        self.mangles = True
        self.billed = 0
        self.bodies: list[bytes] = []

    def request(self, method: str, url: str, **options: Any) -> Sent:  # noqa: ANN401 - as aiohttp's
        """Ask, and change what is answered."""

        async def answer() -> Response:
            async with self._http.request(method, url, **options) as real:
                body = await real.read()
                status, content_type = real.status, real.headers.get("Content-Type", "")
            self.billed += status < 500
            if self.mangles and status == 200:
                body = self._mangled(body)
                self.bodies.append(body)
            return Response(url, status, content_type, body)

        return Sent(answer)

    def _mangled(self, body: bytes) -> bytes:
        """Change the JSON, or the bytes of the protocol's message inside."""
        said = json.loads(body)
        packed = said.get("response")
        if isinstance(packed, str) and packed and self._mangler.random.random() < 0.7:
            message = self._mangler.damaged(b64decode(packed))
            return json.dumps({"response": b64encode(message).decode()}).encode()
        return self._mangler.body(body)
