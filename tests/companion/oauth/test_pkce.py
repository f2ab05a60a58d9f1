"""PKCE as RFC 7636 has it, S256 alone."""

import string

from hypothesis import given, strategies as st
import pytest

from teslafi_companion.domain.links.pkce import challenge_of, is_challenge, is_verifier, matches

UNRESERVED = string.ascii_letters + string.digits + "-._~"


def test_appendix_b() -> None:
    verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    assert challenge_of(verifier) == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
    assert matches(verifier, "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM")
    assert not matches(verifier, "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cI")


@given(st.text(UNRESERVED, min_size=43, max_size=128), st.text(UNRESERVED, min_size=43, max_size=128))
def test_only_its_own_verifier_matches(one: str, other: str) -> None:
    assert is_challenge(challenge_of(one))
    assert matches(one, challenge_of(one))
    assert matches(other, challenge_of(one)) is (one == other)


@pytest.mark.parametrize("verifier", ["", "a" * 42, "a" * 129, "a" * 42 + " ", "a" * 42 + "ä", "a" * 43 + "\n"])
def test_what_is_no_verifier(verifier: str) -> None:
    assert not is_verifier(verifier)
    assert not matches(verifier, "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM")


@pytest.mark.parametrize(
    "challenge",
    ["", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM=", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cN", "a" * 42 + "+"],
)
def test_what_is_no_challenge(challenge: str) -> None:
    assert not is_challenge(challenge)
