"""A picture of a car from its side, in the color of its paint: our own drawing, made from model and color.

It is open to whoever asks, as pictures in Home Assistant's cards are fetched without a token, and says nothing of
anybody's car: every model exists in every color.
"""

from collections.abc import Mapping
from http import HTTPStatus
import re
from typing import Final

from aiohttp import web
from homeassistant.helpers.http import HomeAssistantView

from .const import DOMAIN

_SEDAN: Final = (
    "M6 62c0-5 3-8 9-9l12-3c8-7 17-11 27-11 11 0 19 4 27 11l8 2c4 1 6 4 6 8v3c0 2-1 3-3 3H9c-2 0-3-1-3-3z",
    "M31 50c6-5 13-8 20-8v8zM54 42c8 0 14 3 20 8H54z",
)
_SUV: Final = (
    "M6 61c0-6 3-10 9-11l10-3c8-9 17-14 29-14 13 0 21 5 29 14l6 3c4 2 6 5 6 9v4c0 2-1 3-3 3H9c-2 0-3-1-3-3z",
    "M29 47c6-7 13-11 22-11v11zM54 36c10 0 17 4 23 11H54z",
)
_TRUCK: Final = (
    "M4 62l3-11 39-21 49 18 1 14c0 2-1 3-3 3H7c-2 0-3-1-3-3z",
    "M28 45l18-10v10zM49 35l25 9-25 1z",
)
SHAPES: Final[Mapping[str, tuple[str, str]]] = {
    "model_3": _SEDAN,
    "model_s": _SEDAN,
    "model_x": _SUV,
    "model_y": _SUV,
    "cybertruck": _TRUCK,
    "car": _SEDAN,
}
"""Model -> the outlines of its body and of its windows in a square of 100."""

OUTLINE: Final = "868b90"
"""Stands out from light and from dark cards, whatever the paint: a black car on a dark one is seen by it alone."""

_COLOR: Final = re.compile(r"[0-9a-f]{6}", re.ASCII)
_HEADERS: Final = {
    "Cache-Control": "public, max-age=86400",
    "Content-Security-Policy": "default-src 'none'",
    "X-Content-Type-Options": "nosniff",
}


def picture_path(model: str | None, color: str) -> str:
    """Return where the picture of a car is: `model` as the catalogue names it, `color` as six hexadecimal digits."""
    name = (model or "").lower().replace(" ", "_")
    return f"/api/{DOMAIN}/car/{name if name in SHAPES else 'car'}/{color}.svg"


def drawing(model: str, color: str) -> str:
    """Draw a car."""
    body, windows = SHAPES[model]
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 100 100">'
        f'<path d="{body}" fill="#{color}" stroke="#{OUTLINE}" stroke-width="1.6"/>'
        f'<path d="{windows}" fill="#2b3238" fill-opacity=".85"/>'
        '<g fill="#22262a" stroke="#c3c7ca" stroke-width="2.4">'
        '<circle cx="25" cy="66" r="8"/><circle cx="77" cy="66" r="8"/></g></svg>'
    )


class CarPicture(HomeAssistantView):
    """Answers with the drawing of a model in a color."""

    url = f"/api/{DOMAIN}/car/{{model}}/{{color}}.svg"
    name = f"api:{DOMAIN}:car"
    requires_auth = False

    async def get(self, _request: web.Request, model: str, color: str) -> web.Response:
        """Draw it, or say that there is no such car."""
        if model not in SHAPES or not _COLOR.fullmatch(color):
            return web.Response(status=HTTPStatus.NOT_FOUND)
        return web.Response(text=drawing(model, color), content_type="image/svg+xml", headers=_HEADERS)
