"""Requests as strangers make them: every route, and all that HTTP lets one say, wrong."""

import base64
from collections.abc import Iterable
from dataclasses import dataclass
import gzip
import json
from pathlib import Path
import re
from typing import Any, Final
from urllib.parse import quote_from_bytes

from aiohttp import web
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

import teslafi_companion

from .served import OLGA, PRICE, WEBHOOKS, Served

HOUSE: Final = Path(teslafi_companion.__file__).parent

VALUES: Final = (
    b"",
    b"\xff",
    b"\xed\xa0\x80",
    b"\x00",
    b"%ff",
    b"%00",
    b"%",
    b"\r\n",
    b"a" * 5000,
    b"9" * 400,
    b"1e999",
    b"NaN",
    b"-1",
    b"\xc2\xb2",
    "\u202e\u200b\u2028\ufeff".encode(),
    "\U0001f600".encode() * 50,
    b"=?utf-8?q?a=0d=0ab?=@example.org",
    b"a@" + b"\xf0\x9f\x98\x80" * 40,
    b"[]",
    b"[[]]",
    b"{}",
    b"null",
    b"true",
    b'"\\ud800"',
    b"[" * 3000,
    b'{"a":' * 2000,
    b'{"id": [], "rawId": {}, "response": {"clientDataJSON": "x", "authenticatorData": "AA"}, "type": 1}',
    b'{"id": "AA", "rawId": "AA", "type": "public-key", "response": {"clientDataJSON": "e30", "signature": "AA"}}',
    b'{"id": "AA", "response": {"clientDataJSON": "e30", "authenticatorData": "AA", "attestationObject": "oA"}}',
    b'[{"type": "teslafi_controls", "account": "a", "account_name": "x", "groups": [[]], "vehicles": [{"vin": []}]}]',
    b"1900-01-01T00:00:00",
    b"9999-12-31T23:59:59.999999+14:00",
    b"00000000-0000-7000-8000-000000000000",
    b"//evil.example",
    b"\\\\evil",
    b"javascript:alert(1)",
    b"'; DROP TABLE account; --",
    b"<script>alert(1)</script>",
    b"{{ 7 * 7 }}",
    b"Bearer \xff",
    b"Basic " + b"A" * 3000,
    b"Bearer " + b"a" * 43,
    b"::ffff:1.2.3.4%eth0",
    b"fe80::1%\xff",
    b"1.2.3.4, \xff, 5.6.7.8",
    # What takes parsers long that look at the rest of a text for each of its signs
    b";" * 8000,
    b"application/x-www-form-urlencoded" + b"; a=b" * 1500,
    b'a="' + b'\\"' * 3900,
    b"(" * 8000,
    b"," * 8000,
)
HEADERS: Final = (
    b"User-Agent",
    b"X-Forwarded-For",
    b"Authorization",
    b"Origin",
    b"Sec-Fetch-Site",
    b"Cookie",
    b"Accept",
    b"Accept-Language",
    b"Host",
    b"Expect",
    b"Range",
    b"If-None-Match",
    b"If-Modified-Since",
    b"Upgrade",
    b"Content-Encoding",
    b"Content-Type",
    b"Transfer-Encoding",
    b"X-CSRF-Token",
    b"X-HTTP-Method-Override",
    b"Forwarded",
    b"Referer",
    b"\xff",
    b"",
)
KINDS: Final = (
    b"application/x-www-form-urlencoded",
    b"application/x-www-form-urlencoded; charset=utf-8",
    b"application/x-www-form-urlencoded; charset=utf-7",
    b"application/x-www-form-urlencoded; charset=punycode",
    b"application/x-www-form-urlencoded; charset=unicode_escape",
    b"application/x-www-form-urlencoded; charset=base64",
    b"application/x-www-form-urlencoded; charset=utf-16",
    b"application/x-www-form-urlencoded; charset=\xff",
    b"application/json",
    b"application/json; charset=utf-32",
    b"application/json; charset=idna",
    b"multipart/form-data; boundary=x",
    b"multipart/form-data",
    b"multipart/form-data; boundary=" + b"x" * 200,
    b"multipart/mixed; boundary=x",
    b"text/plain",
    b"\xff/\xff",
    b"application",
    b"",
)
METHODS: Final = (b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"OPTIONS", b"PATCH", b"TRACE", b"CONNECT", b"BREW")


def field_names() -> list[bytes]:
    """Return every name of a field that the companion's templates and code know."""
    found = set()
    for path in HOUSE.rglob("*"):
        if path.suffix not in {".html", ".py"}:
            continue
        text = path.read_text(encoding="utf-8")
        found.update(re.findall(r'name="([a-z_]+)"', text))
        found.update(re.findall(r'(?:typed|_needed|\.get)\((?:request, |form, )?"([a-z_]+)"', text))
        found.update(re.findall(r'^    "([a-z_]+)",$', text, re.MULTILINE) if path.name == "authorize.py" else ())
    return sorted(name.encode() for name in found)


def routes_of(app: web.Application) -> list[tuple[str, str]]:
    """Return the methods and paths that an application serves, in a fixed order."""
    return sorted({(route.method, resource.canonical) for resource in app.router.resources() for route in resource})


NAMES: Final = field_names()
BYTES: Final[SearchStrategy[bytes]] = st.one_of(
    st.sampled_from(VALUES),
    st.binary(max_size=60),
    st.text(max_size=30).map(lambda text: text.encode("utf-8", "replace")),
)
JSON: Final[SearchStrategy[Any]] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from([name.decode() for name in NAMES]) | st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=12,
)


@dataclass(frozen=True)
class Hostile:
    """One request, as bytes."""

    said: bytes

    def __repr__(self) -> str:
        """Show enough to see what it was."""
        return f"Hostile({self.said[:700]!r}{'…' if len(self.said) > 700 else ''})"


def true_values(served: Served) -> dict[bytes, bytes]:
    """Return what a form could hold rightly, by field."""
    keys = served.keys
    return {
        b"csrf": keys.csrf.encode(),
        b"email": OLGA.encode(),
        b"password": b"nine purple teapots on a hill",
        b"price": PRICE.encode(),
        b"client_id": b"home-assistant",
        b"refresh_token": keys.refresh.encode(),
        b"grant_type": b"refresh_token",
        b"answer": b"allow",
        b"next": b"/account",
        b"purpose": b"change-factors",
        b"code": b"000000",
        b"redirect_uri": b"https://my.home-assistant.io/redirect/oauth",
        b"response_type": b"code",
        b"code_challenge_method": b"S256",
        b"code_challenge": b"x" * 43,
        b"scope": b"account link",
        b"state": b"x",
        b"instance_name": b"Home",
        b"instance_id": b"instance-0123456789",
    }


@st.composite
def requests(draw: DrawFn, served: Served, method: str, path: str) -> Hostile:
    """Make a request to a route that is wrong in some places and right in the others."""
    right = true_values(served)
    right[b"token"] = draw(st.sampled_from([link.encode() for link in served.keys.links.values()]))
    target = b"".join(
        quote_from_bytes(draw(BYTES)).encode() or b"x" if part.startswith("{") else part.encode()
        for part in re.split(r"(\{[^}]*\})", path.replace("{keeper}", "chargebee"))
    )
    if query := draw(_pairs(right)):
        target += b"?" + b"&".join(query)
    wanted = method.encode() if method != "*" else b"GET"
    lines = [draw(st.sampled_from(METHODS)) if draw(st.integers(0, 9)) == 0 else wanted]
    head = [b"Connection: close"]
    if draw(st.integers(0, 9)):
        head.append(b"Host: localhost")
    if draw(st.integers(0, 9)):
        head += [b"Origin: " + served.settings.origin.encode()]
    if draw(st.integers(0, 4)):
        head += [b"Cookie: " + served.keys.cookies.encode()]
    if draw(st.integers(0, 2)):
        basic = WEBHOOKS if "webhooks" in path else ""
        head += [_authorization(served, basic)]
    head += [
        name + b": " + value
        for name, value in draw(st.lists(st.tuples(st.sampled_from(HEADERS), BYTES), max_size=draw(st.integers(0, 3))))
        if b"\n" not in value and b"\r" not in value
    ]
    body = b"" if wanted in {b"GET", b"HEAD"} and draw(st.booleans()) else draw(_body(right))
    head += draw(_framing(body)) if body else []
    framed = body if not any(line.lower().startswith(b"transfer-encoding") for line in head) else draw(_chunks(body))
    return Hostile(b"\r\n".join([b" ".join([*lines, target, b"HTTP/1.1"]), *head]) + b"\r\n\r\n" + framed)


def _authorization(served: Served, basic: str) -> bytes:
    if not basic:
        return b"Authorization: Bearer " + served.keys.access.encode()
    return b"Authorization: Basic " + base64.b64encode(basic.encode())


@st.composite
def _pairs(draw: DrawFn, right: dict[bytes, bytes]) -> list[bytes]:
    """Make name=value pairs: true ones and hostile ones, some of them several times, some without a sign between."""
    pairs = []
    for name in draw(st.lists(st.sampled_from(NAMES), max_size=8)):
        value = right.get(name, b"x") if draw(st.integers(0, 2)) else draw(BYTES)
        pairs.append(name + b"=" + (quote_from_bytes(value).encode() if draw(st.integers(0, 9)) else _one_word(value)))
    if draw(st.integers(0, 2)):
        pairs += [name + b"=" + quote_from_bytes(value).encode() for name, value in right.items()]
    return pairs


def _one_word(value: bytes) -> bytes:
    return re.sub(rb"[\x00-\x20#&]", b"+", value)


@st.composite
def _body(draw: DrawFn, right: dict[bytes, bytes]) -> bytes:
    match draw(st.sampled_from(["form", "form", "form", "json", "raw", "multipart", "gzip", "large"])):
        case "form":
            return b"&".join(draw(_pairs(right)))
        case "json":
            return _dumped(draw(JSON))
        case "multipart":
            return draw(_multipart(right))
        case "gzip":
            return gzip.compress(b"a=" + b"b" * 100_000)
        case "large":
            return b"a=" + b"b" * draw(st.sampled_from([65_530, 65_536, 70_000, 1_100_000]))
    return draw(BYTES)


def _dumped(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")


@st.composite
def _multipart(draw: DrawFn, right: dict[bytes, bytes]) -> bytes:
    parts = []
    for name in draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=4)):
        more = draw(
            st.sampled_from(
                [
                    b"",
                    b"Content-Type: text/plain; charset=punycode\r\n",
                    b"Content-Transfer-Encoding: base64\r\n",
                    b"Content-Encoding: gzip\r\n",
                    b"Content-Type: multipart/mixed; boundary=y\r\n",
                    b"\xff: \xff\r\n",
                ]
            )
        )
        said = b'Content-Disposition: form-data; name="' + name + b'"\r\n' if draw(st.integers(0, 5)) else b""
        parts.append(b"--x\r\n" + said + more + b"\r\n" + (right.get(name) or draw(BYTES)) + b"\r\n")
    return b"".join(parts) + draw(st.sampled_from([b"--x--\r\n", b"--x", b""]))


@st.composite
def _framing(draw: DrawFn, body: bytes) -> list[bytes]:
    kind = [b"Content-Type: " + draw(st.sampled_from(KINDS if draw(st.booleans()) else KINDS[:1]))]
    length = draw(
        st.sampled_from([b"%d" % len(body)] * 30 + [b"%d" % max(0, len(body) - 5), b"-1", b"\xff", b"1" * 40])
    )
    if draw(st.integers(0, 5)) == 0:
        return [*kind, b"Transfer-Encoding: chunked"]
    return [*kind, b"Content-Length: " + length]


@st.composite
def _chunks(draw: DrawFn, body: bytes) -> bytes:
    whole = b"%x\r\n" % len(body) + body + b"\r\n0\r\n\r\n"
    return draw(st.sampled_from([whole, whole, b"zz\r\n" + body, b"-5\r\n\r\n", b"f" * 30 + b"\r\n", b"0\r\n\r\n"]))


def all_cases(served: Served, routes: Iterable[tuple[str, str]]) -> SearchStrategy[Hostile]:
    """Make requests to any of some routes."""
    return st.sampled_from(sorted(routes)).flatmap(lambda route: requests(served, *route))
