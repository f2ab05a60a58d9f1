"""Where to report a weakness, for people who look and for programs that ask (RFC 9116)."""

from datetime import UTC

from aiohttp import web

from teslafi_companion.settings import Settings

from .services import services

PATH = "/.well-known/security.txt"


def written(settings: Settings) -> str | None:
    """Return the file; None if no contact is set."""
    expiry = settings.security_expiry
    if expiry is None:
        return None
    lines = [
        *(f"Contact: {contact}" for contact in settings.security_contact),
        f"Expires: {expiry.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}",
        f"Canonical: {settings.origin}{PATH}",
    ]
    if settings.security_policy:
        lines.append(f"Policy: {settings.security_policy}")
    if settings.security_languages:
        lines.append(f"Preferred-Languages: {', '.join(settings.security_languages)}")
    return "".join(f"{line}\n" for line in lines)


async def security_txt(request: web.Request) -> web.Response:
    """Answer with the file."""
    text = written(services(request).settings)
    if text is None:
        raise web.HTTPNotFound
    return web.Response(text=text, content_type="text/plain", charset="utf-8")


def routes() -> list[web.RouteDef]:
    """Return the route of the file."""
    return [web.get(PATH, security_txt)]
