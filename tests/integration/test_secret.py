"""A secret is shown by no accident."""

import copy
import pickle

import pytest

from custom_components.teslafi.secret import Secret

MARKER = "MARKER-5b1c"


def test_no_text_form_shows_it() -> None:
    """Logs, exceptions, debuggers and f-strings use these."""
    secret = Secret(MARKER)
    for shown in (repr(secret), str(secret), f"{secret}", f"{secret!r}", "%s" % secret, repr([secret])):  # noqa: UP031
        assert MARKER not in shown
    assert secret.reveal() == MARKER


def test_it_is_not_copied_into_files() -> None:
    """Neither pickle nor copy gets at the text."""
    for attempt in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError):
            attempt(Secret(MARKER))


def test_equality_is_of_the_text() -> None:
    """Two secrets of one text are one; a plain text is none."""
    assert Secret("a") == Secret("a")
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert len({Secret("a"), Secret("a"), Secret("b")}) == 2


def test_a_mask_shows_four_characters_of_a_long_text_and_none_of_a_short_one() -> None:
    """A passcode or a short password would be given away by its end."""
    assert Secret("x" * 60 + "wxyz").masked() == "…wxyz"
    assert Secret(MARKER).masked() == "…"
