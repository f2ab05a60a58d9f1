"""An authenticator in software (WebAuthn level 2, "none" attestation, ES256), as honest as a test wants."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
import hashlib
import json
import os
import struct
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from fido2 import cbor
from fido2.cose import ES256

USER_PRESENT, USER_VERIFIED, ATTESTED = 0x01, 0x04, 0x40


def b64(raw: bytes) -> str:
    """Write bytes as WebAuthn's JSON does."""
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def challenge_of(options: Mapping[str, Any]) -> str:
    """Return the challenge of what a page would ask a browser."""
    said: str = json.loads(json.dumps(dict(options)))["publicKey"]["challenge"]
    assert len(urlsafe_b64decode(said + "==")) >= 16
    return said


@dataclass
class Authenticator:
    """One passkey for one host."""

    host: str
    origin: str
    counter: int = 0
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    credential: bytes = field(default_factory=lambda: os.urandom(32))

    def _client_data(self, kind: str, challenge: str) -> bytes:
        return json.dumps({"type": kind, "challenge": challenge, "origin": self.origin, "crossOrigin": False}).encode()

    def _data(self, flags: int) -> bytes:
        return hashlib.sha256(self.host.encode()).digest() + struct.pack(">BI", flags, self.counter)

    def registers(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """Answer `navigator.credentials.create`."""
        client_data = self._client_data("webauthn.create", challenge_of(options))
        public = cbor.encode(dict(ES256.from_cryptography_key(self.key.public_key())))  # type: ignore[no-untyped-call]
        attested = bytes(16) + struct.pack(">H", len(self.credential)) + self.credential + public
        data = self._data(USER_PRESENT | USER_VERIFIED | ATTESTED) + attested
        attestation = cbor.encode({"fmt": "none", "attStmt": {}, "authData": data})
        return self._answer({"clientDataJSON": b64(client_data), "attestationObject": b64(attestation)})

    def proves(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """Answer `navigator.credentials.get`."""
        client_data = self._client_data("webauthn.get", challenge_of(options))
        data = self._data(USER_PRESENT | USER_VERIFIED)
        signed = data + hashlib.sha256(client_data).digest()
        signature = self.key.sign(signed, ec.ECDSA(hashes.SHA256()))
        return self._answer(
            {"clientDataJSON": b64(client_data), "authenticatorData": b64(data), "signature": b64(signature)}
        )

    def _answer(self, response: Mapping[str, str]) -> dict[str, Any]:
        name = b64(self.credential)
        return {
            "id": name,
            "rawId": name,
            "type": "public-key",
            "response": dict(response),
            "clientExtensionResults": {},
        }
