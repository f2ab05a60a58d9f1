"""Requests byte for byte, as no client library would send them."""

import asyncio
from dataclasses import dataclass
from urllib.parse import urlencode

from ..companion.web.person import Person

SECONDS = 120


@dataclass(frozen=True)
class Answer:
    """What came back; status 0 when the connection ended without an answer."""

    status: int
    headers: dict[str, str]
    body: bytes


def answer_of(received: bytes) -> Answer:
    """Read the first answer out of what a connection gave."""
    head, _, body = received.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    words = lines[0].split(" ", 2)
    if len(words) < 2 or not words[1].isdigit():
        return Answer(0, {}, received)
    said = (line.partition(":") for line in lines[1:])
    return Answer(int(words[1]), {name.strip().lower(): value.strip() for name, _, value in said}, body)


def request(
    method: bytes, target: bytes, body: bytes = b"", *headers: bytes, form: bytes = b"application/x-www-form-urlencoded"
) -> bytes:
    """Write a request down; headers of the same name come as often as they are given."""
    content = [b"Content-Type: " + form, b"Content-Length: %d" % len(body)] if body else []
    lines = [method + b" " + target + b" HTTP/1.1", b"Host: localhost", b"Connection: close", *content, *headers]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


async def exchange(port: int, said: bytes) -> Answer:
    """Send bytes and read until the other side closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        async with asyncio.timeout(SECONDS):
            writer.write(said)
            await writer.drain()
            return answer_of(await reader.read())
    except ConnectionError:
        return Answer(0, {}, b"")
    finally:
        writer.close()


async def post(person: Person, path: str, form: dict[str, str], *headers: bytes) -> Answer:
    """Send a form with this browser's cookies and headers of one's own."""
    cookies = "; ".join(f"{one.key}={one.value}" for one in person.client.session.cookie_jar)
    said = [b"Origin: " + person.store.settings.origin.encode(), b"Cookie: " + cookies.encode(), *headers]
    port = person.client.server.port
    assert port is not None
    return await exchange(port, request(b"POST", path.encode(), urlencode(form).encode(), *said))
