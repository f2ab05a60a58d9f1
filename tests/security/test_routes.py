"""Whatever is sent to whatever route: never a 5xx, never a count taken back, never a background death."""

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from aiohttp import helpers
from hypothesis import HealthCheck, Phase, given, settings as hypothesis_settings
import pytest
from pytest_socket import enable_socket

from ..companion.conftest import new_postgresql
from .hostile import HOUSE, METHODS, VALUES, Hostile, requests, routes_of
from .raw import Answer, request
from .served import OLGA, Served, serving

EXAMPLES: Final = {"sqlite": 6, "postgresql": 2}
"""For each route; `script/fuzz companion` tries as many as it has time for. How input is read is the same on both."""

ALWAYS: Final = {
    "server": "companion",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def served(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Serve one companion for all requests of this file, on either database."""
    # Asked for before the fixture of a single test could allow it
    enable_socket()
    database = None
    if request.param == "postgresql":
        database = new_postgresql(request.getfixturevalue("postgresql"))
    with serving(tmp_path_factory.mktemp("served"), database) as served:
        yield served


def check(served: Served, said: bytes) -> Answer:
    """Send a request, and hold what came of it against the rules."""
    answer = served.send(said)
    assert 100 <= answer.status < 500, (answer.status, said[:1500], served.troubles())
    assert served.troubles() == [], said[:1500]
    assert answer.headers.get("server") == "companion", said[:300]
    assert b"Traceback" not in answer.body
    return answer


@pytest.mark.slow
@pytest.mark.usefixtures("socket_enabled")
def test_no_input_to_any_route_gives_a_5xx(served: Served, subtests: pytest.Subtests) -> None:
    routes = routes_of(served.app)
    assert len(routes) > 60
    for number, (method, path) in enumerate(routes):

        @given(requests(served, method, path))
        @hypothesis_settings(
            max_examples=EXAMPLES[served.settings.database_url.get_backend_name()],
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        def no_5xx(hostile: Hostile) -> None:
            check(served, hostile.said)

        with subtests.test(f"{method} {path}"):
            no_5xx()
        # Some routes sign out, delete the account, end the link
        if number % 4 == 3 or path in {"/sign-out", "/account/delete"}:
            served.do(served.open_doors())
    assert served.degraded() == {}


@pytest.mark.usefixtures("socket_enabled")
def test_what_is_no_http_is_answered_with_our_headers(served: Served) -> None:
    """And without the server's version, and without what was sent."""
    for said in (
        b"MARKER\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /\xff\x00 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nMARKER\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nA: b\x00c\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"A: " + b"b" * 20_000 + b"\r\n\r\n",
        b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: MARKER\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: MARKER\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"\x00" * 100 + b"\r\n\r\n",
    ):
        answer = check(served, said)
        assert answer.status == 400, said[:60]
        assert {name: answer.headers.get(name) for name in ALWAYS} == ALWAYS, said[:60]
        assert b"MARKER" not in answer.body
        assert b"aiohttp" not in answer.body + repr(answer.headers).encode()


@pytest.mark.usefixtures("socket_enabled")
def test_an_expectation_that_nobody_knows_is_ignored(served: Served) -> None:
    """Aiohttp answers it before any middleware, by a text that holds it: 500 for what is no UTF-8."""
    for expectation in (b"\xff", b"\xec\x41", b"something", b"", b"100-continue\xff"):
        for path in (b"/sign-in", b"/nothing", b"/account", b"/api/v1/status"):
            check(served, request(b"GET", path, b"", b"Expect: " + expectation))
            check(served, request(b"POST", path, b"a=b", b"Expect: " + expectation))


@pytest.mark.usefixtures("socket_enabled")
@pytest.mark.parametrize(
    "authority", [b"xn--a", b"xn--a:80", b"[::1", b"\xff", b"a." * 500, b"user:word@x", b"x:99999"]
)
def test_the_authority_of_a_target_is_nobodys_business(served: Served, authority: bytes) -> None:
    """Aiohttp decodes it while it makes the request, and ended the connection without a word where it is no name."""
    for method, said in ((b"GET", b" HTTP/1.1\r\nHost: x"), (b"POST", b" HTTP/1.1"), (b"GET", b" HTTP/1.0")):
        target = b"http://" + authority + b"/sign-in"
        answer = check(served, method + b" " + target + said + b"\r\nConnection: close\r\n\r\n")
        assert answer.status in {200, 400, 403}, answer
    assert check(served, b"CONNECT " + authority + b" HTTP/1.1\r\nConnection: close\r\n\r\n").status in {400, 404, 405}


@pytest.mark.usefixtures("socket_enabled")
def test_no_long_kind_of_a_body_is_read(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """Python's parser looks at all the rest for each semicolon: the event loop stood still for half a second."""
    parsed: list[int] = []
    parse = helpers.parse_content_type

    def watched(raw: str) -> tuple[str, Mapping[str, str]]:
        parsed.append(len(raw))
        return parse(raw)

    monkeypatch.setattr(helpers, "parse_content_type", watched)
    origin = b"Origin: " + served.settings.origin.encode()
    for kind in (
        b";" * 8000,
        b"application/x-www-form-urlencoded" + b"; a=b" * 1500,
        b"application/json;" + b" " * 7000,
    ):
        for path in (b"/sign-in", b"/oauth/token", b"/api/v1/commands", b"/webhooks/chargebee", b"/account/delete"):
            check(served, request(b"POST", path, b"a=b", origin, form=kind))
    assert check(served, request(b"POST", b"/sign-in", b"email=a", origin, form=b";" * 8000)).status == 415
    assert max(parsed, default=0) <= 256


@pytest.mark.usefixtures("socket_enabled")
def test_every_status_is_counted_as_one(served: Served) -> None:
    """A raised refusal has the status of its answer, and a stranger's inventions make no labels."""
    for method in METHODS:
        for path in (b"/", b"/sign-in", b"/account", b"/nothing", b"/api/v1/status", b"/oauth/token"):
            check(served, request(method, path, b"a=b"))
    check(served, request(b"POST", b"/sign-in", b"a=b", b"Origin: http://evil.example"))
    figures = [
        sample.labels
        for metric in served.parts.metrics.registry.collect()
        for sample in metric.samples
        if sample.name == "companion_requests_total"
    ]
    assert {int(labels["status"]) for labels in figures} >= {200, 403, 404, 405}
    assert all(200 <= int(labels["status"]) < 500 for labels in figures)
    assert {labels["method"] for labels in figures} <= {
        "GET",
        "HEAD",
        "POST",
        "PUT",
        "PATCH",
        "DELETE",
        "OPTIONS",
        "(other)",
    }


@pytest.mark.usefixtures("socket_enabled")
@pytest.mark.parametrize("header", [b"User-Agent", b"X-Forwarded-For", b"Accept", b"Referer", b"Cookie"])
def test_no_hostile_value_takes_a_reservation_back(served: Served, header: bytes) -> None:
    """Each guess that was judged is counted, whatever came along with it."""
    served.do(served.open_doors())
    form = f"email={OLGA}&password=wrong&next=/".encode()
    origin = b"Origin: " + served.settings.origin.encode()
    judged = 0
    for value in VALUES:
        if b"\n" in value or b"\x00" in value:
            continue
        before = served.do(served.attempts())
        answer = check(served, request(b"POST", b"/sign-in", form, origin, header + b": " + value))
        counted = served.do(served.attempts()) - before
        if answer.status == 400 and b"Address or password is not correct" in answer.body:
            # The network, its day, and the account as long as it is not locked
            assert counted in {2, 3}, value
            judged += 1
        else:
            assert answer.status in {400, 429}, value
            assert counted >= 0
    assert judged >= 3


READS: Final = frozenset(
    {"headers", "query", "cookies", "content", "path_qs", "query_string", "raw_headers", "rel_url"}
)
ASKS: Final = frozenset({"post", "text", "json", "read", "multipart"})


def test_one_module_reads_what_strangers_send() -> None:
    """Everywhere else text is valid: received.py has made it so."""
    found = []
    for path in sorted((HOUSE / "http").rglob("*.py")):
        if path.name == "received.py":
            continue
        found += [f"{path.relative_to(HOUSE)}:{line} {what}" for line, what in _reads(path)]
    assert found == []


def _reads(path: Path) -> Iterator[tuple[int, str]]:
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    # Whether a body has come is no reading of it
    looks = {id(node.value) for node in nodes if isinstance(node, ast.Attribute) and node.attr == "is_eof"}
    for node in nodes:
        match node:
            case ast.Attribute(value=ast.Name(id="request"), attr=name) if name in READS and id(node) not in looks:
                yield node.lineno, f"request.{name}"
