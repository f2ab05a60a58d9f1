"""Goes through the companion's pages as a person with a browser would: signs in, confirms, allows the link."""

from html import unescape
import re
from typing import Final

import aiohttp
from yarl import URL

from .companion import EMAIL, PASSWORD, LiveCompanion
from .tesla_pages import SignInFailed

PAGES_AT_MOST: Final = 8


async def allow(companion: LiveCompanion, url: str) -> None:
    """Follow the pages from `url` on, and the way back to Home Assistant; raise SignInFailed."""
    jar = aiohttp.CookieJar(unsafe=True)
    timeout = aiohttp.ClientTimeout(total=60)
    async with aiohttp.ClientSession(cookie_jar=jar, timeout=timeout) as browser:
        response = await browser.get(url)
        for _ in range(PAGES_AT_MOST):
            text = await response.text()
            if response.url.origin() != URL(companion.url):
                if not response.ok:
                    raise SignInFailed(f"Home Assistant did not take the way back: {response.status}")
                return
            action, fields = _form(text)
            code = companion.unused_code() if "code" in fields else ""
            typed = {"email": EMAIL, "password": PASSWORD, "code": code, "answer": "allow"}
            filled = fields | {name: value for name, value in typed.items() if name in {*fields, "answer"}}
            response = await browser.post(
                response.url.join(URL(action, encoded=True)), data=filled, headers={"Origin": companion.url}
            )
    raise SignInFailed("the pages go on without end")


def _form(text: str) -> tuple[str, dict[str, str]]:
    """Return the address and fields of the page's first form that is not for signing out."""
    for head, body in re.findall(r"<form method=\"post\" action=\"([^\"]*)\"[^>]*>(.*?)</form>", text, re.DOTALL):
        if head != "/sign-out":
            fields = {}
            for tag in re.findall(r"<input[^>]*>", body):
                name, value = re.search(r'name="([^"]*)"', tag), re.search(r'value="([^"]*)"', tag)
                if name:
                    fields[name[1]] = unescape(value[1]) if value else ""
            return unescape(head), fields
    raise SignInFailed(re.sub(r"<[^>]+>|\s+", " ", text))
