"""What people type into forms."""

from aiohttp import web


async def typed(request: web.Request, name: str) -> str:
    """Return a field's text; "" when it was not sent, or is a file."""
    value = (await request.post()).get(name, "")
    return value if isinstance(value, str) else ""
