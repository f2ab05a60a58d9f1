"""What comes in by HTTP, made valid in one place: no other module reads a request's headers, address or body.

A header, cookie or address that is no UTF-8 is read with replacement characters: it decides nothing where they matter.
A body that is not what it says it is, is refused. Forms are urlencoded alone: no page of ours sends files.
"""

from http import HTTPStatus
from typing import Any, Final
from urllib.parse import parse_qsl

from aiohttp import hdrs, web
from aiohttp.http import HttpProcessingError
from aiohttp.typedefs import Handler
from multidict import MultiDict

from teslafi_companion.text import is_valid, parse_json, valid

LARGEST_BODY: Final = 64 * 1024
"""More than any form of ours holds."""
_FORM: Final = "application/x-www-form-urlencoded"
_JSON: Final = "application/json"
_CHARSETS: Final = frozenset({"utf-8", "utf8"})
_LONGEST_HEADER: Final = 4096
_LONGEST_KIND: Final = 256
_MOST_FIELDS: Final = 100
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_BODY: Final = web.RequestKey("body", bytes)


class Malformed(Exception):
    """A body is not what it should be; the text is for whoever writes the client."""

    def __init__(self, why: str, status: HTTPStatus = HTTPStatus.BAD_REQUEST) -> None:
        """Take a sentence and the status that fits."""
        super().__init__(why)
        self.status = status


def method(request: web.BaseRequest) -> str:
    """Return the method, one of a few words: whoever counts or logs it keeps no stranger's inventions."""
    return request.method if request.method in _METHODS else "(other)"


def header(request: web.BaseRequest, name: str) -> str | None:
    """Return the first header of a name."""
    text = request.headers.get(name)
    return None if text is None else valid(text, _LONGEST_HEADER)


def header_lines(request: web.BaseRequest, name: str) -> list[str]:
    """Return all headers of a name."""
    return [valid(text, _LONGEST_HEADER) for text in request.headers.getall(name, [])]


def cookie(request: web.BaseRequest, name: str) -> str | None:
    """Return what a browser keeps for us; ours are ASCII, anything else is none of them."""
    text = request.cookies.get(name)
    return text if text is not None and text.isascii() and is_valid(text) else None


def query(request: web.BaseRequest) -> MultiDict[str]:
    """Return the parameters behind the address's question mark."""
    return MultiDict((valid(name), valid(text)) for name, text in request.query.items())


def path_and_query(request: web.BaseRequest) -> str:
    """Return the address that was asked for, without scheme and host."""
    return valid(request.path_qs)


def _kind(request: web.BaseRequest) -> tuple[str, str]:
    """Return the type and charset of the body; nothing for a header that is too long to be one.

    Python's parser looks at all the rest for each semicolon: 8 KiB of them took half a second.
    """
    if len(request.headers.get(hdrs.CONTENT_TYPE, "")) > _LONGEST_KIND:
        return "", ""
    return request.content_type, (request.charset or "utf-8").lower()


def is_form(request: web.BaseRequest) -> bool:
    """Say whether the body is a form."""
    return _kind(request)[0] == _FORM


async def body(request: web.Request, most: int = LARGEST_BODY) -> bytes:
    """Return the body, of at most `most` bytes; raises Malformed."""
    if _BODY in request:
        return request[_BODY]
    received = bytearray()
    try:
        async for chunk in request.content.iter_chunked(64 * 1024):
            received += chunk
            if len(received) > most:
                raise Malformed("the body is too large", HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    except (HttpProcessingError, web.RequestPayloadError) as fault:
        raise Malformed("the body cannot be read") from fault
    request[_BODY] = bytes(received)
    return request[_BODY]


def _check_kind(request: web.BaseRequest, kind: str) -> None:
    said, charset = _kind(request)
    if said != kind or charset not in _CHARSETS:
        raise Malformed(f"the body is {kind} in UTF-8", HTTPStatus.UNSUPPORTED_MEDIA_TYPE)


async def form(request: web.Request) -> MultiDict[str]:
    """Return the fields of a form, each as often as it was sent; none without a body. Raises Malformed."""
    if not request.body_exists or not (sent := await body(request)):
        return MultiDict()
    _check_kind(request, _FORM)
    try:
        fields = parse_qsl(
            sent.decode(), keep_blank_values=True, strict_parsing=False, errors="strict", max_num_fields=_MOST_FIELDS
        )
    except ValueError:
        raise Malformed("the body is not a form in UTF-8") from None
    if not all(is_valid(name) and is_valid(text) for name, text in fields):
        raise Malformed("a field holds what is no character")
    return MultiDict(fields)


async def typed(request: web.Request, name: str) -> str:
    """Return a field's text; "" when it was not sent. Raises Malformed."""
    return (await form(request)).get(name, "")


async def document(request: web.Request, most: int = LARGEST_BODY) -> Any:  # noqa: ANN401 - whatever it holds
    """Return the JSON of a body; raises Malformed."""
    _check_kind(request, _JSON)
    try:
        return parse_json(await body(request, most))
    except ValueError as fault:
        raise Malformed("the body is not JSON") from fault


@web.middleware
async def plain(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse a body that is compressed, which nobody who should send us one does: a small one could be a large one."""
    if request.headers.get(hdrs.CONTENT_ENCODING, "identity").lower() != "identity":
        raise web.HTTPUnsupportedMediaType
    return await handler(request)
