"""Trouble on demand: what a network, a gateway, a car or somebody on the way can do to an exchange.

A fault has a place (path, method, car), a moment (after so many requests, between two times), a kind, and how often it
strikes. What each kind does stands at `Kind`; the package's docstring shows how to order them.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
import fnmatch
import json
import time
from typing import Any, Final, Literal, get_args

from aiohttp import web

type Kind = Literal[
    "delay",
    "drop",
    "status",
    "malformed",
    "truncated",
    "html",
    "values",
    "segments",
    "cut",
    "redirect",
    "large",
    "deep",
    "garbage",
]
"""What happens, after `seconds` of waiting (by the event loop's clock) in each case:

`delay` nothing else. `drop` the connection is closed without a byte: the answer is lost. `status` the answer is one of
`status`, `headers` and `body` (text, JSON, or nothing). `malformed`, `truncated`, `html` the right status with a body
that is none. `values` fields of the answer (`vehicle_state.software_update.status`) are replaced, by any type.
`segments` the right answer in two TCP segments, `pause` seconds apart. `cut` half of the answer, then the connection is
closed. `redirect` to `location` with `status`. `large` a valid body of `size` bytes. `deep` a body of `depth` lists in
each other. `garbage` bytes that are no HTTP.
"""

KINDS: Final = frozenset(get_args(Kind.__value__))

NEEDS_AN_ANSWER: Final = frozenset({"delay", "truncated", "values", "segments", "cut"})
"""Kinds that change the right answer, and cannot do without it."""

ELSEWHERE: Final = "/elsewhere"
"""Where a `redirect` leads if nothing else is said: whatever comes there is kept for the test to see."""

MOVED: Final = 307
TRANSFER: Final = frozenset({"content-length", "content-type", "transfer-encoding"})


@dataclass(slots=True, kw_only=True)
class Fault:
    """One fault. `path` is a pattern of the request's path (`*/vehicle_data`), `method` and `vin` narrow it down.

    It lets `skip` requests pass and then strikes `times` times, None for ever, between the moments `begins` and `ends`
    (epoch seconds by the simulator's clock). With `executes` the request is carried out all the same, which is what
    makes an answer lost; without, Tesla never hears of it. A car in `vin` also stands for requests by its number.
    """

    path: str
    kind: Kind
    method: str | None = None
    vin: str | None = None
    skip: int = 0
    times: int | None = 1
    begins: float | None = None
    ends: float | None = None
    executes: bool = True
    seconds: float = 0.0
    pause: float = 0.05
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    values: Mapping[str, Any] = field(default_factory=dict)
    location: str = f"{ELSEWHERE}/moved"
    size: int = 10_000_000
    depth: int = 100_000

    def __post_init__(self) -> None:
        """Refuse a kind that there is not, and one that needs an answer which is never made."""
        if self.kind not in KINDS:
            raise ValueError(f"no fault of the kind {self.kind}")
        if not self.executes and self.kind in NEEDS_AN_ANSWER:
            raise ValueError(f"{self.kind} needs the right answer: it executes")

    def fits(self, asked: Asked) -> bool:
        """Tell whether the fault is for this request at this moment."""
        return (
            fnmatch.fnmatch(asked.path, self.path)
            and self.method in (None, asked.method)
            and self.vin in (None, asked.vin)
            and (self.begins is None or asked.at >= self.begins)
            and (self.ends is None or asked.at < self.ends)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a fault is held against. `vin`: the car that the request is about, "" for none."""

    path: str
    method: str = "GET"
    vin: str = ""
    at: float = 0.0


class Faults:
    """The faults that wait for a request."""

    def __init__(self) -> None:
        """Begin with none."""
        self._waiting: list[Fault] = []

    def add(self, fault: Fault) -> None:
        """Let a fault wait."""
        self._waiting.append(fault)

    def clear(self) -> None:
        """Call all of them off."""
        self._waiting.clear()

    def take(self, asked: Asked) -> Fault | None:
        """Return the first fault for this request, one stroke fewer left; those that still let it pass count it."""
        for fault in list(self._waiting):
            if not fault.fits(asked):
                continue
            if fault.skip > 0:
                fault.skip -= 1
                continue
            if fault.times is not None:
                fault.times -= 1
                if fault.times <= 0:
                    self._waiting.remove(fault)
            return fault
        return None


type Strike = Callable[[Fault, web.Request, web.Response], Awaitable[web.StreamResponse]]


async def apply_fault(fault: Fault, request: web.Request, response: web.Response) -> web.StreamResponse:
    """Return what becomes of a response that this fault strikes."""
    await asyncio.sleep(fault.seconds)
    return await STRIKES[fault.kind](fault, request, response)


async def _untouched(_fault: Fault, _request: web.Request, response: web.Response) -> web.StreamResponse:
    return response


async def _drop(_fault: Fault, request: web.Request, response: web.Response) -> web.StreamResponse:
    if request.transport is not None:
        request.transport.close()
    return response


async def _status(fault: Fault, _request: web.Request, _response: web.Response) -> web.StreamResponse:
    status = 500 if fault.status is None else fault.status
    if fault.body is None:
        return web.Response(status=status, headers=fault.headers)
    is_text = isinstance(fault.body, str)
    body, kind = (fault.body, "text/plain") if is_text else (json.dumps(fault.body), "application/json")
    return web.Response(body=body.encode(), status=status, headers={"Content-Type": kind, **fault.headers})


def _with_body(fault: Fault, response: web.Response, body: str, kind: str = "application/json") -> web.Response:
    """Return the response with another body; `status` and `headers` of the fault go before its own."""
    headers = {"Content-Type": kind, **fault.headers}
    return web.Response(body=body.encode(), headers=headers, status=fault.status or response.status)


async def _truncated(fault: Fault, _request: web.Request, response: web.Response) -> web.StreamResponse:
    text = response.text or ""
    return _with_body(fault, response, text[: len(text) // 2])


async def _malformed(fault: Fault, _request: web.Request, response: web.Response) -> web.StreamResponse:
    return _with_body(fault, response, '{"response": ')


async def _html(fault: Fault, _request: web.Request, response: web.Response) -> web.StreamResponse:
    return _with_body(fault, response, "<html>Access denied</html>", "text/html")


async def _large(fault: Fault, _request: web.Request, response: web.Response) -> web.StreamResponse:
    return _with_body(fault, response, json.dumps({"response": {"padding": "x" * fault.size}}))


async def _deep(fault: Fault, _request: web.Request, response: web.Response) -> web.StreamResponse:
    return _with_body(fault, response, f'{{"response": {"[" * fault.depth}{"]" * fault.depth}}}')


async def _redirect(fault: Fault, _request: web.Request, _response: web.Response) -> web.StreamResponse:
    return web.Response(status=fault.status or MOVED, headers={"Location": fault.location, **fault.headers})


async def _garbage(_fault: Fault, request: web.Request, response: web.Response) -> web.StreamResponse:
    if request.transport is not None:
        request.transport.write(b"\x16\x03\x01 this is no HTTP\r\n\r\n")
        request.transport.close()
    return response


async def _begin(request: web.Request, response: web.Response) -> tuple[web.StreamResponse, bytes, bytes]:
    """Send the head of a response; return it with the two halves of its body."""
    body = response.body if isinstance(response.body, bytes) else b""
    headers = {name: value for name, value in response.headers.items() if name.lower() not in TRANSFER}
    begun = web.StreamResponse(status=response.status, headers=headers)
    begun.content_type, begun.content_length = response.content_type, len(body)
    await begun.prepare(request)
    half = len(body) // 2
    return begun, body[:half], body[half:]


async def _segments(fault: Fault, request: web.Request, response: web.Response) -> web.StreamResponse:
    begun, first, rest = await _begin(request, response)
    await begun.write(first)
    # In a thread: the loop's own clock may stand still in a test, and nothing would ever come after the pause
    await asyncio.to_thread(time.sleep, fault.pause)
    await begun.write(rest)
    await begun.write_eof()
    return begun


async def _cut(_fault: Fault, request: web.Request, response: web.Response) -> web.StreamResponse:
    begun, first, _ = await _begin(request, response)
    await begun.write(first)
    if request.transport is not None:
        request.transport.close()
    return begun


STRIKES: Final[Mapping[Kind, Strike]] = {
    "cut": _cut,
    "deep": _deep,
    "delay": _untouched,
    "drop": _drop,
    "garbage": _garbage,
    "html": _html,
    "large": _large,
    "malformed": _malformed,
    "redirect": _redirect,
    "segments": _segments,
    "status": _status,
    "truncated": _truncated,
    "values": _untouched,
}


def with_values(fault: Fault | None, answer: Any) -> Any:  # noqa: ANN401 - JSON
    """Return the answer with a fault's `values` in place."""
    if fault is None or fault.kind != "values" or not isinstance(answer, dict):
        return answer
    copy = deepcopy(answer)
    for path, value in fault.values.items():
        *blocks, name = path.split(".")
        place = copy
        for block in blocks:
            place = place.setdefault(block, {})
        place[name] = value
    return copy
