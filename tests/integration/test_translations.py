"""Each language says all that English says, with the same placeholders, and the way Home Assistant's own texts do."""

from collections.abc import Iterator, Mapping
import re
from typing import Any, Final

import pytest

from tests import translations

ENGLISH: Final = "en"
LANGUAGES: Final = [language for language in translations.LANGUAGES if language != ENGLISH]
PLACEHOLDER: Final = re.compile(r"\{\w+\}")

STIFF: Final = {
    "en": re.compile(
        r"\b(watched|watching|wiped?|go away|by itself|by themselves|any more|it is tried again|takes? .* alone"
        r"|tyre|colour|cancelled|the end of my|per car and month)\b",
        re.IGNORECASE,
    ),
    "de": re.compile(r"\b(Sie|Ihr|Ihre|Ihrem|Ihren|Ihrer|Ihnen)\b(?! wird wie)"),
}
"""What a text of ours must not say: English by Home Assistant's style guide, German by its informal "du"."""


def _texts(language: str) -> Mapping[str, str]:
    return dict(_flat(translations.translations(language)))


def _flat(node: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, str]]:
    for key, value in node.items():
        if isinstance(value, str):
            yield f"{path}{key}", value
        else:
            yield from _flat(value, f"{path}{key}.")


def test_german_is_there() -> None:
    assert "de" in LANGUAGES


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_language_is_complete(language: str) -> None:
    english, other = _texts(ENGLISH), _texts(language)
    assert english.keys() - other.keys() == set(), "add these"
    assert other.keys() - english.keys() == set(), "nobody uses these"


@pytest.mark.parametrize("language", LANGUAGES)
def test_placeholders_are_the_same(language: str) -> None:
    english, other = _texts(ENGLISH), _texts(language)
    differing = [key for key, text in english.items() if _placeholders(text) != _placeholders(other[key])]
    assert differing == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_sentences_are_translated(language: str) -> None:
    """A word may be the same in both languages, a sentence is not."""
    english, other = _texts(ENGLISH), _texts(language)
    assert [key for key, text in english.items() if len(text.split()) > 3 and other[key] == text] == []


@pytest.mark.parametrize("language", [ENGLISH, *LANGUAGES])
def test_wording(language: str) -> None:
    stiff = STIFF.get(language)
    assert stiff is not None, f"say in STIFF what texts of {language} must not say"
    assert {key: text for key, text in _texts(language).items() if stiff.search(text)} == {}


def _placeholders(text: str) -> list[str]:
    return sorted(PLACEHOLDER.findall(text))
