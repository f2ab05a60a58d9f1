"""Trouble on demand: what a network, a gateway or a car can do to an answer."""

import asyncio
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field
import fnmatch
from typing import Any, Final, Literal, get_args

from aiohttp import web

type Kind = Literal["delay", "drop", "status", "malformed", "truncated", "html", "values"]

KINDS: Final = frozenset(get_args(Kind.__value__))


@dataclass(slots=True, kw_only=True)
class Fault:
    """One fault. `path` is a pattern of the request's path (`*/vehicle_data`); it strikes `times` times, None for ever.

    `delay`: `seconds` pass first. `drop`: the request is carried out, the connection closed. `status`: answered with
    `status`, `headers` and `body` (text, or JSON). `malformed`, `truncated`, `html`: the right status, a broken body.
    `values`: fields of the answer (`vehicle_state.software_update.status`) replaced, by values of any type.

    A fault of one car names it in its path: `*/5YJ3E1EA7KF000001/vehicle_data`.
    """

    path: str
    kind: Kind
    times: int | None = 1
    seconds: float = 0.0
    status: int = 500
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    values: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse a kind that there is not."""
        if self.kind not in KINDS:
            raise ValueError(f"no fault of the kind {self.kind}")


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

    def take(self, path: str) -> Fault | None:
        """Return the first fault for this path, one stroke fewer left."""
        for fault in self._waiting:
            if fnmatch.fnmatch(path, fault.path):
                if fault.times is not None:
                    fault.times -= 1
                    if fault.times <= 0:
                        self._waiting.remove(fault)
                return fault
        return None


async def apply_fault(fault: Fault, request: web.Request, response: web.Response) -> web.StreamResponse:
    """Return what becomes of a response that this fault strikes."""
    match fault.kind:
        case "delay":
            await asyncio.sleep(fault.seconds)
            return response
        case "drop":
            if request.transport is not None:
                request.transport.close()
            return response
        case "truncated":
            text = response.text or ""
            return web.Response(text=text[: len(text) // 2], content_type="application/json", status=response.status)
        case "malformed":
            return web.Response(text='{"response": ', content_type="application/json", status=response.status)
        case "html":
            return web.Response(text="<html>Access denied</html>", content_type="text/html", status=response.status)
        case _:
            return _answered(fault)


def _answered(fault: Fault) -> web.Response:
    if isinstance(fault.body, str):
        return web.Response(text=fault.body, status=fault.status, headers=fault.headers)
    if fault.body is None:
        return web.Response(status=fault.status, headers=fault.headers)
    return web.json_response(fault.body, status=fault.status, headers=fault.headers)


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
