"""What Tesla's HTTP answers say: bodies, read with a limit, and how long to wait."""

from collections.abc import Mapping
from typing import Final

import aiohttp

from .errors import RateLimited, UnexpectedAnswer, rate_limited
from .retry_after import epoch_of

MOST_BYTES: Final = 2 * 1024 * 1024
"""Size of the largest body that is read: ten times the largest answer seen. Parsing it does not hold up the loop."""


async def body_of(response: aiohttp.ClientResponse) -> bytes:
    """Read a body; raise UnexpectedAnswer when it does not end."""
    chunks: list[bytes] = []
    size = 0
    while chunk := await response.content.readany():
        chunks.append(chunk)
        size += len(chunk)
        if size > MOST_BYTES:
            raise UnexpectedAnswer("Tesla's answer does not end")
        if response.content.at_eof():
            break
    return b"".join(chunks)


def limited(headers: Mapping[str, str], body: bytes) -> RateLimited:
    """Return the error for a 429, whose headers or body may say how long to wait, the best first."""
    text = body.decode(errors="replace").strip()
    return rate_limited(
        headers.get("Retry-After"), headers.get("RateLimit-Reset"), text, at=epoch_of(headers.get("Date"))
    )
