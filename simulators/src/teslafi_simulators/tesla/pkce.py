"""Proof Key for Code Exchange (RFC 7636), method S256."""

import base64
import hashlib


def challenge_of(verifier: str) -> str:
    """Return the code challenge: base64url of the verifier's SHA-256, without padding (RFC 7636, section 4.2)."""
    digest = hashlib.sha256(verifier.encode(errors="surrogatepass")).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
