"""Signs in on the simulator's pages as a person with a browser would, by filling in one form after the other."""

from collections.abc import Collection
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Final, override

import aiohttp
from yarl import URL

PAGES_AT_MOST: Final = 8


@dataclass
class Form:
    """A page's form: where it goes, its values, the scopes it offers and its text."""

    action: str = ""
    values: dict[str, str] = field(default_factory=dict)
    scopes: list[str] = field(default_factory=list)
    buttons: list[tuple[str, str]] = field(default_factory=list)


class _FormParser(HTMLParser):
    """Collects the page's first form."""

    def __init__(self) -> None:
        super().__init__()
        self.form: Form | None = None
        self.text = ""

    @override
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        said = {name: value or "" for name, value in attrs}
        if tag == "form" and self.form is None:
            self.form = Form(said.get("action", ""))
        elif self.form is not None and tag == "input":
            self._input(self.form, said)
        elif self.form is not None and tag == "button":
            self.form.buttons.append((said.get("name", ""), said.get("value", "")))

    def _input(self, form: Form, said: dict[str, str]) -> None:
        if said.get("type") == "checkbox":
            if "checked" in said and "disabled" not in said:
                form.scopes.append(said["value"])
        elif name := said.get("name"):
            form.values[name] = said.get("value", "")

    @override
    def handle_data(self, data: str) -> None:
        self.text += data


class SignInFailed(Exception):
    """The pages did not lead back; the text of the last one."""


async def sign_in(
    session: aiohttp.ClientSession,
    url: str,
    *,
    email: str,
    password: str,
    passcode: str | None = None,
    untick: Collection[str] = (),
) -> URL:
    """Follow the pages from `url` on; return the address that the application gets back. Raise SignInFailed.

    The redirect back is not followed: whoever calls hands it to the application.
    """
    typed = {"identity": email, "credential": password, "passcode": passcode or ""}
    response = await session.get(url, allow_redirects=False)
    for _ in range(PAGES_AT_MOST):
        where = response.url
        if response.status in (301, 302, 303, 307):
            target = where.join(URL(response.headers["Location"], encoded=True))
            response.release()
            if target.origin() != where.origin() or "code" in target.query or "error" in target.query:
                return target
            response = await session.get(target, allow_redirects=False)
            continue
        parser = _FormParser()
        parser.feed(await response.text())
        if parser.form is None:
            raise SignInFailed(parser.text)
        action = where.join(URL(parser.form.action)) if parser.form.action else where
        response = await session.post(action, data=_filled(parser.form, typed, untick), allow_redirects=False)
    raise SignInFailed("the pages go on without end: a wrong password or passcode?")


def _filled(form: Form, typed: dict[str, str], untick: Collection[str]) -> list[tuple[str, str]]:
    values = {name: typed.get(name, value) for name, value in form.values.items()}
    scopes = [("scope", scope) for scope in form.scopes if scope not in untick]
    go_on = next(button for button in form.buttons if button[0] != "cancel")
    return [*values.items(), *scopes, go_on]
