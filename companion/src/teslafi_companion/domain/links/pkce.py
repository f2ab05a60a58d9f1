"""Proof Key for Code Exchange (RFC 7636), method S256 alone."""

import base64
import hashlib
import hmac
import re
from typing import Final

METHOD: Final = "S256"
_VERIFIER: Final = re.compile(r"[A-Za-z0-9._~-]{43,128}", re.ASCII)
# SHA-256 is 256 bit: of the last character's six bits the lowest two are always zero
_CHALLENGE: Final = re.compile(r"[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]", re.ASCII)


def is_verifier(text: str) -> bool:
    """Say whether a text has the form of a verifier (RFC 7636, 4.1)."""
    return _VERIFIER.fullmatch(text) is not None


def is_challenge(text: str) -> bool:
    """Say whether a text has the form of an S256 challenge: base64url of 32 bytes, without padding."""
    return _CHALLENGE.fullmatch(text) is not None


def challenge_of(verifier: str) -> str:
    """Return the S256 challenge of a verifier (RFC 7636, 4.2)."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode("ascii")).digest()).rstrip(b"=").decode()


def matches(verifier: str, challenge: str) -> bool:
    """Say whether whoever knows the verifier made the challenge."""
    return is_verifier(verifier) and hmac.compare_digest(challenge_of(verifier), challenge)
