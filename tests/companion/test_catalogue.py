"""Every text that a person sees is marked, and every language has it."""

from collections.abc import Iterator
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path
import re
from typing import Final, override

from babel.messages.pofile import write_po
from jinja2 import Environment
import pytest

from teslafi_companion.language import N_, Phrase, catalogue, languages, moment, negotiate, translate

from .catalogue import FILES, SOURCE, read, texts, updated
from .clock import START

TEMPLATES: Final = sorted([*SOURCE.rglob("templates/**/*.html"), *SOURCE.rglob("templates/**/*.txt")])
_VALUES: Final = re.compile(r"%\(\w+\)s")
_TAGS: Final = re.compile(r"</?\w+[^>]*>")
_WORD: Final = re.compile(r"[A-Za-z]{2,}")
_PATH: Final = re.compile(r"_(/[a-z-]+)+")
_SHOWN_ATTRIBUTES: Final = frozenset({"alt", "aria-label", "title", "placeholder"})


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.parent.name)
def test_every_language_has_every_text_and_no_other(file: Path) -> None:
    kept, wanted = texts(read(file)), texts(updated(file))
    assert sorted(kept) == sorted(wanted), "run script/catalogues"
    missing = [forms[0] for forms, message in kept.items() if not all(_strings(message.string)) or message.fuzzy]
    assert missing == []


def _strings(string: object) -> tuple[str, ...]:
    return tuple(string) if isinstance(string, list | tuple) else (str(string or ""),)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.parent.name)
def test_a_translation_keeps_values_and_links(file: Path) -> None:
    for forms, message in texts(read(file)).items():
        for translated in _strings(message.string):
            assert set(_VALUES.findall(translated)) == set(_VALUES.findall(forms[-1])), translated
            assert sorted(_TAGS.findall(translated)) == sorted(_TAGS.findall(forms[-1])), translated
            assert translated.strip() == translated
            assert translated[-1:] in {*".?!:", forms[-1][-1:]} or forms[-1][-1:] not in ".:?", translated


class Shown(HTMLParser):
    """Collects what a page shows."""

    def __init__(self) -> None:
        """Begin with nothing."""
        super().__init__()
        self.texts: list[str] = []

    @override
    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    @override
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.texts += [value or "" for name, value in attrs if name in _SHOWN_ATTRIBUTES]


def unmarked(source: str) -> Iterator[str]:
    """Yield the words of a template that stand outside of every mark."""
    page, marked, said = "", False, list[tuple[str, str]]()
    for _, kind, value in Environment(autoescape=True, extensions=["jinja2.ext.i18n"]).lex(source):
        if kind == "block_begin":
            said = []
        elif kind == "name" and said == [] and value in {"trans", "endtrans"}:
            marked = value == "trans"
        if kind in {"name", "string", "operator"}:
            said.append((kind, value))
            yield from _unmarked_string(said)
        if kind == "data" and not marked:
            page += value
        elif kind in {"variable_begin", "block_begin"}:
            page += "_"
    shown = Shown()
    shown.feed(page)
    for text in shown.texts:
        if _WORD.search(_PATH.sub("", text)):
            yield text.strip()


def _unmarked_string(said: list[tuple[str, str]]) -> Iterator[str]:
    """Yield the last token of an expression if it is a sentence, or a label, that is no argument of `_`."""
    kind, value = said[-1]
    if kind != "string" or said[-3:-1] == [("name", "_"), ("operator", "(")]:
        return
    text = value[1:-1]
    if text[:1].isupper() or (" " in text.strip() and "=" not in text):
        yield text


@pytest.mark.parametrize("file", TEMPLATES, ids=lambda file: str(file.relative_to(SOURCE)))
def test_no_template_holds_an_unmarked_sentence(file: Path) -> None:
    assert list(unmarked(file.read_text("utf-8"))) == []


@pytest.mark.parametrize(
    "source",
    [
        "<p>Sign in</p>",
        "<p>{% trans %}a{% endtrans %} <strong>Sign in</strong></p>",
        "{% if x %}Sign{% endif %}",
        '<img alt="A key">',
        '<a aria-label="Remove {{ name }}">{{ _("x") }}</a>',
        '{{ field("name", "Name") }}',
        '{{ field("name", hint="at least " ~ 15) }}',
    ],
)
def test_an_unmarked_sentence_is_found(source: str) -> None:
    assert list(unmarked(source))


def test_a_missing_text_is_found(tmp_path: Path) -> None:
    file = tmp_path / "de" / "companion.po"
    file.parent.mkdir()
    (language,) = [one for one in FILES if one.parent.name == "de"]
    known = read(language)
    known.delete("Sign in")
    content = BytesIO()
    write_po(content, known)
    file.write_bytes(content.getvalue())
    assert not texts(updated(file))["Sign in",].string
    with pytest.raises(AssertionError, match="run script/catalogues"):
        test_every_language_has_every_text_and_no_other(file)


@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        ("", "en"),
        ("de", "de"),
        ("de-AT,de;q=0.9,en;q=0.8", "de"),
        ("en-US,en;q=0.9,de;q=0.8", "en"),
        ("tlh,de;q=0.5,en;q=0.4", "de"),
        ("tlh", "en"),
        ("de;q=0", "en"),
        ("*", "en"),
        ("de;q=nan,en;q=1", "en"),
        ("de;q=x", "en"),
        (";;,,;q=,de", "de"),
        ("DE", "de"),
        ("../../etc", "en"),
    ],
)
def test_a_browser_s_language(accepted: str, language: str) -> None:
    assert negotiate(accepted) == language


def test_phrases_are_translated_with_their_values() -> None:
    phrase = Phrase("Use at most %(most)s characters.", most=256)
    assert phrase == "Use at most 256 characters."
    assert translate("de", str(ValueError(phrase))) == "Verwenden Sie höchstens 256 Zeichen."
    assert translate("de", N_("Sign in")) == "Anmelden"
    assert translate("de", "100 % of what nobody marked") == "100 % of what nobody marked"
    assert translate("de", "") == ""
    assert translate("xx", "Sign in") == "Sign in"
    assert catalogue("xx").ugettext("Sign in") == "Sign in"


def test_moments_are_written_as_a_language_does() -> None:
    assert moment("en", START) == "November 23, 2026, 12:00 UTC"
    assert moment("de", START) == "23. November 2026, 12:00 UTC"
    assert {"de": "Deutsch", "en": "English"}.items() <= languages().items()
