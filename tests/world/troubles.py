"""What can go wrong between the integration and Tesla: status, body, header, moment, endpoint, from a seed.

The lists hold every form that was documented or recorded (Fleet API reference, sections "Response codes" and "Limits"),
and forms that only a gateway, a faulty release or somebody on the way would send.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from random import Random
from typing import Any, Final

from teslafi_simulators.tesla.control import Control

ENDPOINTS: Final = {
    "products": "*/api/1/products",
    "state": "*/api/1/vehicles/*",
    "vehicle_data": "*/vehicle_data",
    "live_status": "*/live_status",
    "site_info": "*/site_info",
    "calendar_history": "*/calendar_history",
    "token": "*/oauth2/v3/token",
    "everything": "*",
}
"""Patterns by name; `state` is also what a car's data are asked by, as an outage of the vehicles' service is."""

COMMANDS: Final = {
    "command": "*/command/*",
    "signed_command": "*/signed_command",
    "wake_up": "*/wake_up",
    "backup": "*/energy_sites/*/backup",
    "vehicles": "*/api/1/vehicles/*",
    "anything": "*",
}
"""Patterns by name of what a press of a button meets."""

STATUSES: Final = (
    200, 204, 301, 302, 307, 400, 401, 402, 403, 404, 405, 406, 408, 412, 418, 421, 422, 423, 424, 429, 451, 499, 500,
    501, 502, 503, 504, 520, 540, 599,
)  # fmt: skip


def error(text: str) -> dict[str, Any]:
    """Return Tesla's error body."""
    return {"response": None, "error": text, "error_description": ""}


BODIES: Final[Mapping[str, Any]] = {
    "none": None,
    "empty text": "",
    "page": "<!doctype html><title>Access denied</title>",
    "plain words": "upstream connect error or disconnect/reset before headers",
    "retry in": "Retry in 37829 seconds",
    "null": "null",
    "number": 7,
    "list": [],
    "empty object": {},
    "empty answer": {"response": None},
    "text for answer": {"response": "ok"},
    "list for answer": {"response": [[1], {"vin": None}]},
    "object for list": {"response": {"vin": 5, "state": ["online"]}},
    "half JSON": '{"response": {"state": "online"',
    "not_found": error("not_found"),
    "asleep": error("vehicle unavailable: vehicle is offline or asleep"),
    "time-out": {"error": '{"error": "timeout"}'},
    "mobile access": error("mobile_access_disabled"),
    "scopes": error("Unauthorized missing scopes"),
    "limit": error("account disabled: EXCEEDED_LIMIT"),
    "login": {"error": "login_required", "error_description": "Login required"},
    "revoked": {"error": "User revoked consent", "error_description": ""},
    "expired": error("token expired (401)"),
    "in service": error("vehicle is currently in service"),
    "unregistered": error("Account x must be registered in the current region."),
    "region": error("user out of region, use base URL: https://fleet-api.prd.eu.vn.cloud.tesla.com, see https://x"),
    "region elsewhere": error("user out of region, use base URL: https://evil.example, see https://x"),
    "error of another type": {"response": None, "error": {"code": 17}, "error_description": []},
    "upstream": error("upstream internal error"),
}

HEADERS: Final[Mapping[str, Mapping[str, str]]] = {
    "none": {},
    "seconds": {"Retry-After": "45"},
    "long": {"Retry-After": "37829"},
    "zero": {"Retry-After": "0"},
    "negative": {"Retry-After": "-5"},
    "absurd": {"Retry-After": "9" * 30},
    "not finite": {"Retry-After": "inf"},
    "date": {"Retry-After": "Mon, 16 Nov 2026 13:30:00 GMT"},
    "past date": {"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"},
    "words": {"Retry-After": "soon"},
    "digits of others": {"Retry-After": "\u0661\u0662"},
    "rate limit": {"RateLimit-Limit": "60", "RateLimit-Remaining": "0", "RateLimit-Reset": "50"},
    "wrong type": {"Content-Type": "text/html"},
    "no type": {"Content-Type": "application/octet-stream"},
    "moved": {"Location": "/elsewhere/moved"},
    "moved in a circle": {"Location": ""},
}

SELDOM: Final = ("drop", "malformed", "truncated", "html", "cut", "garbage", "segments", "redirect", "deep", "large")
KINDS: Final = (*("status",) * 6, *SELDOM)
"""What is drawn from: most of what goes wrong is an answer with a status."""

MOMENTS: Final[Mapping[str, Mapping[str, Any]]] = {
    "for ever": {"times": None},
    "once": {"times": 1},
    "five times": {"times": 5},
    "after the third": {"skip": 3, "times": None},
    "every fault after ten": {"skip": 10, "times": 20},
}

NO_ANSWER: Final = frozenset({"drop", "garbage", "malformed", "html", "redirect", "status", "large", "deep"})
"""Kinds that can strike before Tesla has heard of the request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """One fault to be ordered, with the words by which a table or a failing seed tells of it."""

    name: str
    endpoint: str
    kind: str = "status"
    how: Mapping[str, Any] = field(default_factory=dict)

    def order(self, control: Control) -> None:
        """Order it at a simulator."""
        control.fault(path=(ENDPOINTS | COMMANDS)[self.endpoint], kind=self.kind, **self.how)


def drawn(random: Random, *, most: int = 3, endpoints: Mapping[str, str] = ENDPOINTS) -> list[Trouble]:
    """Draw troubles that hold at the same time."""
    return [_one(random, endpoints) for _ in range(random.randint(1, most))]


def _one(random: Random, endpoints: Mapping[str, str]) -> Trouble:
    endpoint, kind = random.choice(sorted(endpoints)), random.choice(KINDS)
    moment = random.choice(sorted(MOMENTS))
    how: dict[str, Any] = dict(MOMENTS[moment])
    words = [endpoint, kind, moment]
    if kind in NO_ANSWER:
        how["executes"] = random.random() < 0.5
        words.append("carried out" if how["executes"] else "not carried out")
    if kind in MORE:
        more, told = MORE[kind](random)
        how |= more
        words += told
    if endpoints is COMMANDS and kind == "status" and _denies(how):
        # Tesla does not say that it did nothing and do it
        how["executes"] = False
    return Trouble(name=" · ".join(words), endpoint=endpoint, kind=kind, how=how)


def _denies(how: Mapping[str, Any]) -> bool:
    """Say whether an answer means that nothing was done; 408 "timeout" is an awake car's silence."""
    refused = HTTPStatus.BAD_REQUEST <= how["status"] < HTTPStatus.INTERNAL_SERVER_ERROR
    return refused and not (how["status"] == HTTPStatus.REQUEST_TIMEOUT and how["body"] == BODIES["time-out"])


def _status(random: Random) -> tuple[dict[str, Any], list[str]]:
    status, body = random.choice(STATUSES), random.choice(sorted(BODIES))
    header = random.choice(sorted(HEADERS))
    how = {"status": status, "body": BODIES[body], "headers": HEADERS[header]}
    return how, [str(status), body, f"header {header}"]


def _redirect(random: Random) -> tuple[dict[str, Any], list[str]]:
    status = random.choice((301, 302, 303, 307, 308))
    return {"status": status}, [str(status)]


MORE: Final[Mapping[str, Callable[[Random], tuple[dict[str, Any], list[str]]]]] = {
    "deep": lambda random: ({"depth": random.choice((500, 100_000))}, []),
    "large": lambda random: ({"size": random.choice((100_000, 3_000_000))}, []),
    "redirect": _redirect,
    "segments": lambda _: ({"pause": 0.01}, []),
    "status": _status,
}
"""What a kind is further described by."""
