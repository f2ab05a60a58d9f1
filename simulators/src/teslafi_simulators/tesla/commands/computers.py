"""A car's two computers as the Vehicle Command Protocol knows them: keys, epochs, clocks and counters.

Source: Tesla's protocol document (vehicle-command, pkg/protocol/protocol.md), whose worked example is a test.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
import hashlib
import hmac
import os
import struct
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from tesla_protocol.command.signatures_pb2 import SessionInfo, SignatureType, Tag
from tesla_protocol.command.universal_message_pb2 import Domain, MessageFault_E, RoutableMessage

from ..cars.car import Car

EPOCH_BYTES: Final = 16
LONGEST_LIFE: Final = 900
"""Seconds that a command may still be valid for when it arrives."""
WINDOW: Final = 32
"""How many counters the infotainment computer looks back, for messages out of order."""


def public_point(key: ec.EllipticCurvePublicKey) -> bytes:
    """Return the uncompressed point, 65 bytes."""
    return key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def shared_key(private: ec.EllipticCurvePrivateKey, public: bytes) -> bytes:
    """Return K; raise ValueError when `public` is no point of the curve."""
    other = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), public)
    # SHA-1 is the protocol's, not ours
    return hashlib.sha1(private.exchange(ec.ECDH(), other), usedforsecurity=False).digest()[:16]


def derived(key: bytes, label: str) -> bytes:
    """Return the key for "session info" or "authenticated command"."""
    return hmac.digest(key, label.encode(), "sha256")


def serialized(metadata: Mapping[int, bytes | int]) -> bytes:
    """Return metadata as tag, length, value by rising tag, ended by 0xFF; numbers are four bytes."""
    found = b""
    for tag, value in sorted(metadata.items()):
        raw = struct.pack(">I", value) if isinstance(value, int) else value
        found += bytes((tag, len(raw))) + raw
    return found + b"\xff"


def session_info_tag(key: bytes, vin: str, challenge: bytes, info: bytes) -> bytes:
    """Return the tag under which a computer tells its session."""
    metadata: dict[int, bytes | int] = {
        Tag.TAG_SIGNATURE_TYPE: bytes((SignatureType.SIGNATURE_TYPE_HMAC,)),
        Tag.TAG_PERSONALIZATION: vin.encode(),
        Tag.TAG_CHALLENGE: challenge,
    }
    return hmac.digest(derived(key, "session info"), serialized(metadata) + info, "sha256")


class ProtocolFault(Exception):
    """The message is answered with this fault; `resync` says whether the session is told anew along with it."""

    def __init__(self, fault: int, *, resync: bool = False) -> None:
        """Keep the fault."""
        super().__init__(MessageFault_E.Name(fault))
        self.fault = fault
        self.resync = resync


@dataclass(slots=True)
class Computer:
    """One domain of one car. `counters` by client key: those seen, the highest first."""

    domain: int
    vin: str
    booted_at: float
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()), repr=False)
    epoch: bytes = field(default_factory=lambda: os.urandom(EPOCH_BYTES))
    counters: dict[bytes, list[int]] = field(default_factory=dict)

    def reboot(self, now: float) -> None:
        """Begin a new epoch: clients' sessions are over."""
        self.booted_at = now
        self.epoch = os.urandom(EPOCH_BYTES)
        self.counters.clear()

    def clock(self, now: float) -> int:
        """Return seconds since the epoch began."""
        return max(int(now - self.booted_at), 0)

    def session_info(self, client: bytes, now: float) -> SessionInfo:
        """Return the session of a client as it is."""
        return SessionInfo(
            counter=max(self.counters.get(client, [0])),
            publicKey=public_point(self.key.public_key()),
            epoch=self.epoch,
            clock_time=self.clock(now),
        )

    def verify(self, message: RoutableMessage, now: float) -> bytes:
        """Return the payload of an authenticated message; raise ProtocolFault."""
        signature = message.signature_data
        if not signature.HasField("HMAC_Personalized_data"):
            raise ProtocolFault(MessageFault_E.MESSAGEFAULT_ERROR_BAD_PARAMETER)
        client = signature.signer_identity.public_key
        proof = signature.HMAC_Personalized_data
        if proof.epoch != self.epoch:
            raise ProtocolFault(MessageFault_E.MESSAGEFAULT_ERROR_INCORRECT_EPOCH, resync=True)
        metadata: dict[int, bytes | int] = {
            Tag.TAG_SIGNATURE_TYPE: bytes((SignatureType.SIGNATURE_TYPE_HMAC_PERSONALIZED,)),
            Tag.TAG_DOMAIN: bytes((self.domain,)),
            Tag.TAG_PERSONALIZATION: self.vin.encode(),
            Tag.TAG_EPOCH: proof.epoch,
            Tag.TAG_EXPIRES_AT: proof.expires_at,
            Tag.TAG_COUNTER: proof.counter,
        }
        if message.flags:
            metadata[Tag.TAG_FLAGS] = message.flags
        payload = message.protobuf_message_as_bytes
        command_key = derived(shared_key(self.key, client), "authenticated command")
        expected = hmac.digest(command_key, serialized(metadata) + payload, "sha256")
        if not hmac.compare_digest(expected, proof.tag):
            raise ProtocolFault(MessageFault_E.MESSAGEFAULT_ERROR_INVALID_SIGNATURE)
        if proof.expires_at < self.clock(now):
            raise ProtocolFault(MessageFault_E.MESSAGEFAULT_ERROR_TIME_EXPIRED, resync=True)
        if proof.expires_at > self.clock(now) + LONGEST_LIFE:
            raise ProtocolFault(MessageFault_E.MESSAGEFAULT_ERROR_TIME_TO_LIVE_TOO_LONG)
        self._count(client, proof.counter)
        return payload

    def _count(self, client: bytes, counter: int) -> None:
        """Take a counter once: in order for the security computer, within a window for the other."""
        seen = self.counters.setdefault(client, [0])
        highest = max(seen)
        late = self.domain == Domain.DOMAIN_INFOTAINMENT and highest - WINDOW < counter < highest
        if counter in seen or (counter < highest and not late):
            raise ProtocolFault(MessageFault_E.MESSAGEFAULT_ERROR_INVALID_TOKEN_OR_COUNTER, resync=True)
        seen.append(counter)
        del seen[: max(len(seen) - WINDOW, 0)]


def computer_of(car: Car, domain: int) -> Computer:
    """Return a computer of a car, which exists from the moment somebody asks."""
    found = car.computers.get(domain)
    if not isinstance(found, Computer):
        found = car.computers[domain] = Computer(domain, car.vin, car.now)
    return found
