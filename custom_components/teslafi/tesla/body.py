"""What Tesla's HTTP answers say: bodies, read with a limit, and how long to wait."""

from collections.abc import Mapping
from typing import Final

import aiohttp

from .errors import UnexpectedAnswer

MOST_BYTES: Final = 2 * 1024 * 1024
"""Size of the largest body that is read: ten times the largest answer seen. Parsing it does not hold up the loop."""


async def body_of(response: aiohttp.ClientResponse) -> bytes:
    """Read a body; raise UnexpectedAnswer when it does not end."""
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > MOST_BYTES:
            raise UnexpectedAnswer("Tesla's answer does not end")
    return bytes(body)


def waits_said(headers: Mapping[str, str], body: bytes) -> tuple[str | None, ...]:
    """Return where a 429 may say how long to wait, the best first."""
    return headers.get("Retry-After"), headers.get("RateLimit-Reset"), body.decode(errors="replace").strip()
