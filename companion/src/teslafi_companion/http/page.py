"""Answers for people: pages out of templates, redirects, cookies."""

from typing import Final
from urllib.parse import urlsplit

from aiohttp import web

from teslafi_companion.domain.accounts.account import Account
from teslafi_companion.language import negotiate
from teslafi_companion.settings import Settings

from .received import cookie, header
from .services import services

_SECTIONS: Final = ("/account/security", "/account/sessions", "/account/activity", "/links", "/account")
_DEVICE_SECONDS: Final = 180 * 24 * 3600


def language_of(request: web.Request, owner: Account | None = None) -> str:
    """Return the language of a page: the one that the account has chosen, or what suits the browser."""
    chosen = owner.language if owner is not None else None
    return chosen or negotiate(header(request, "Accept-Language") or "")


async def render(request: web.Request, template: str, *, status: int = 200, **context: object) -> web.Response:
    """Return a page. `visit` in the context makes it a page of somebody who is signed in."""
    owner = getattr(context.get("visit"), "owner", None)
    language = language_of(request, owner if isinstance(owner, Account) else None)
    page = services(request).templates[language].get_template(template)
    headers = {"Content-Language": language, "Vary": "Accept-Language"}
    text = page.render(
        {"visit": None, "error": None, "here": request.path, "section": _section(request.path)} | context
    )
    return web.Response(text=text, status=status, content_type="text/html", headers=headers)


def _section(path: str) -> str:
    """Return the page of the menu that a page belongs to."""
    return next((one for one in _SECTIONS if path == one or path.startswith(f"{one}/")), "")


def see(path: str) -> web.Response:
    """Send the browser to a page of ours by GET."""
    return web.Response(status=303, headers={"Location": path})


def own_path(text: str, otherwise: str = "/account") -> str:
    """Return a path of this service to go back to; whatever else was asked for is replaced."""
    try:
        parts = urlsplit(text)
    except ValueError:
        return otherwise
    plain = text.isprintable() and "\\" not in text and not text.startswith("//")
    return text if plain and text.startswith("/") and not parts.scheme and not parts.netloc else otherwise


class Cookie:
    """A cookie of ours: only over TLS and for this host alone, wherever the service is reached by https."""

    def __init__(self, name: str, seconds: int | None = None) -> None:
        """Name it; without `seconds` it goes when the browser is closed."""
        self._name = name
        self._seconds = seconds

    def _full_name(self, settings: Settings) -> str:
        return f"__Host-{self._name}" if _secure(settings) else self._name

    def read(self, request: web.Request) -> str | None:
        """Return what the browser sent."""
        return cookie(request, self._full_name(services(request).settings))

    def set(self, request: web.Request, response: web.StreamResponse, value: str) -> None:
        """Give it to the browser."""
        settings = services(request).settings
        response.set_cookie(
            self._full_name(settings),
            value,
            max_age=self._seconds,
            path="/",
            secure=_secure(settings),
            httponly=True,
            samesite="Lax",
        )

    def clear(self, request: web.Request, response: web.StreamResponse) -> None:
        """Take it away again."""
        settings = services(request).settings
        response.del_cookie(
            self._full_name(settings), path="/", secure=_secure(settings), httponly=True, samesite="Lax"
        )


def _secure(settings: Settings) -> bool:
    # Plain http is this machine alone (settings.py), where some browsers take no cookie that is for TLS
    return settings.base_url.startswith("https:")


SESSION: Final = Cookie("session")
PENDING: Final = Cookie("sign-in")
DEVICE: Final = Cookie("device", _DEVICE_SECONDS)
