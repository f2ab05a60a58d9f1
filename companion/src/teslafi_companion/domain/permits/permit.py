"""The permit: an EdDSA JWT that says what one Home Assistant may control, for one Tesla account, and until when.

The signing key is derived from the key ring's root, so that every process signs alike and nothing more is stored.
"""

import base64
from datetime import datetime, timedelta
import hashlib
import json
from typing import Any, Final
from uuid import uuid4

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
import jwt

from teslafi_companion.crypto import FieldCipher
from teslafi_companion.domain.links.consent import Consent
from teslafi_companion.domain.links.links import Link
from teslafi_companion.store.database import Transaction

LIFETIME: Final = timedelta(hours=24)
KEY_OVERLAP: Final = LIFETIME + timedelta(hours=1)
"""How long the key of before a rotation stays published: no permit that it signed lives longer."""
TYPE: Final = "teslafi-permit+jwt"
_LABEL: Final = "permit-signing-key"


def signing_key(cipher: FieldCipher) -> Ed25519PrivateKey:
    """Return the key that signs permits."""
    return Ed25519PrivateKey.from_private_bytes(cipher.signing_key(_LABEL))


def public_jwks(cipher: FieldCipher, now: datetime) -> list[dict[str, str]]:
    """Return the public keys of permits that may be in use, as JWKs: before and after a rotation more than one."""
    keys = cipher.signing_keys(_LABEL, now, KEY_OVERLAP)
    return [_jwk(Ed25519PrivateKey.from_private_bytes(key)) for key in keys]


def public_jwk(cipher: FieldCipher) -> dict[str, str]:
    """Return the public key that permits are signed for."""
    return _jwk(signing_key(cipher))


def _jwk(key: Ed25519PrivateKey) -> dict[str, str]:
    """Return a public key as a JWK; its `kid` is the thumbprint (RFC 7638, 8037)."""
    raw = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    members = {"crv": "Ed25519", "kty": "OKP", "x": _encoded(raw)}
    thumbprint = hashlib.sha256(json.dumps(members, separators=(",", ":"), sort_keys=True).encode()).digest()
    return members | {"alg": "EdDSA", "use": "sig", "kid": _encoded(thumbprint)}


def _encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def issue(transaction: Transaction, to: Link, consent: Consent) -> str:
    """Sign a permit for a link, as its owner allowed; the caller has judged that it may have one."""
    now = transaction.now
    claims: dict[str, Any] = {
        "iss": transaction.settings.origin,
        "aud": to.instance.id,
        "sub": str(to.id),
        "jti": str(uuid4()),
        "iat": int(now.timestamp()),
        "exp": int((now + LIFETIME).timestamp()),
        "auth_time": int(to.proof.authenticated_at.timestamp()),
        "acr": to.proof.acr.value,
        "tesla_account": consent.request.account,
        "groups": [group.value for group in consent.request.groups],
        "vehicles": [vehicle.vin for vehicle in consent.request.vehicles],
    }
    headers = {"typ": TYPE, "kid": public_jwk(transaction.cipher)["kid"]}
    return jwt.encode(claims, signing_key(transaction.cipher), algorithm="EdDSA", headers=headers)
