"""Letters: each is a template with the blocks `subject`, `text` and, if it has more to say at the end, `closing`.

No notice carries a token or an action of one click; only the letters that somebody asked for hold a link, and that link
opens a page with a button, because mail scanners open links.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache, partial
from html import escape
import re
from typing import Final

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from teslafi_companion.language import catalogue, moment, translate
from teslafi_companion.settings import Settings

from .outbox import Mail

_LONGEST_VALUE: Final = 200
_NOT_YOU: Final = "_not_you.txt"


@dataclass(frozen=True)
class Letter:
    """A letter before it is written out: its template, what it says there, a table of facts, an address to open."""

    template: str
    values: Mapping[str, object] = field(default_factory=dict)
    facts: Sequence[tuple[str, str | datetime]] = ()
    """Labels and values; both are translated where they are marked texts."""
    link: str | None = field(default=None, repr=False)
    is_notice: bool = False
    """Whether it ends with what to do if it was somebody else."""


@cache
def _templates(language: str) -> Environment:
    # Plain text: what becomes HTML is escaped when it does
    environment = Environment(
        loader=PackageLoader("teslafi_companion.mail"),
        autoescape=False,  # noqa: S701 - see above
        undefined=StrictUndefined,
        extensions=["jinja2.ext.i18n"],
    )
    environment.policies["ext.i18n.trimmed"] = True
    environment.install_gettext_translations(catalogue(language), newstyle=True)  # type: ignore[attr-defined] # i18n adds it
    environment.filters["t"] = partial(translate, language)
    return environment


def write(settings: Settings, to: str, letter: Letter, language: str) -> Mail:
    """Write a letter out in a language, as plain text and as the same in simple HTML."""
    templates = _templates(language)
    name = settings.service_name
    context = {key: _value(value) for key, value in letter.values.items()} | {"origin": settings.origin}
    template = templates.get_template(f"{letter.template}.txt")
    opening, closing = _paragraphs(template, "text", context), _paragraphs(template, "closing", context)
    if letter.is_notice:
        closing += _paragraphs(templates.get_template(_NOT_YOU), "closing", context)
    facts = [(translate(language, label), _shown(language, value)) for label, value in letter.facts]
    return Mail(
        to,
        f"{name}: {_block(template, 'subject', context)}",
        _as_text(opening, facts, letter.link, [*closing, f"{name} · {settings.base_url}"]),
        _as_html(opening, facts, letter.link, [*closing, f"{name} · {settings.base_url}"]),
    )


def _block(template: Template, name: str, context: Mapping[str, object]) -> str:
    block = template.blocks.get(name)
    return "" if block is None else "".join(block(template.new_context(dict(context)))).strip()


def _paragraphs(template: Template, name: str, context: Mapping[str, object]) -> list[str]:
    parts = re.split(r"\n\s*\n", _block(template, name, context))
    return [" ".join(part.split()) for part in parts if part.strip()]


def _as_text(opening: Sequence[str], facts: Sequence[tuple[str, str]], link: str | None, closing: Sequence[str]) -> str:
    table = "\n".join(f"{label}: {value}" for label, value in facts)
    return "\n\n".join(part for part in (*opening, table, link or "", *closing) if part) + "\n"


def _as_html(opening: Sequence[str], facts: Sequence[tuple[str, str]], link: str | None, closing: Sequence[str]) -> str:
    html = [f"<p>{escape(paragraph)}</p>" for paragraph in opening]
    if facts:
        rows = "".join(f"<tr><td>{escape(label)}</td><td>{escape(value)}</td></tr>" for label, value in facts)
        html.append(f"<table>{rows}</table>")
    if link:
        html.append(f'<p><a href="{escape(link)}">{escape(link)}</a></p>')
    return "".join([*html, *(f"<p>{escape(paragraph)}</p>" for paragraph in closing)])


def _value(value: object) -> object:
    """Return a stranger's text on one line and of bounded length; other values as they are."""
    if not isinstance(value, str):
        return value
    return "".join(sign if sign.isprintable() else " " for sign in value)[:_LONGEST_VALUE]


def _shown(language: str, value: str | datetime) -> str:
    if isinstance(value, datetime):
        return moment(language, value)
    return str(_value(translate(language, value)))
