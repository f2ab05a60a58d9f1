"""Field encryption: a key-encryption key wraps data keys, and data keys seal single fields.

A sealed field is `0x01 | key number (4 bytes, big endian) | nonce (12) | ciphertext | tag (16)`. Its associated data
are the first five bytes and the place it belongs to (table, column, row, owner), so that a field copied to another
row, column or account does not open. Keys appear in no `repr` and no exception.
"""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
import hashlib
import hmac
import json
import os
from pathlib import Path
import secrets
import stat
import struct
import tempfile
from typing import Final, NamedTuple, Protocol
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from teslafi_companion.text import json_bytes

KEY_BYTES: Final = 32
_VERSION: Final = b"\x01"
_HEADER_BYTES: Final = 5
_NONCE_BYTES: Final = 12
_TAG_BYTES: Final = 16
_SERVICE: Final = "companion"
# A key of 32 random bytes holds fewer than 12 distinct ones with a chance below 2^-90: less is a typed phrase.
_FEWEST_DISTINCT_BYTES: Final = 12


class KeyFault(Exception):
    """A key is missing, unsafe or not the one that the database was sealed with; the text says what to do."""


class RootUnknown(Exception):
    """Something was keyed by a root that this process does not have: not learnt of yet, or wiped since."""


class SealBroken(Exception):
    """A sealed field is damaged, was moved from another place, or names a key that is not in the key ring."""


class Place(NamedTuple):
    """Where a sealed field lives; sealing binds the field to it."""

    table: str
    column: str
    row: UUID
    owner: UUID

    def associated_data(self, header: bytes) -> bytes:
        """Return the bytes that are authenticated together with the field."""
        return header + "\0".join((_SERVICE, self.table, self.column, str(self.row), str(self.owner))).encode()


def token_hash(token: str) -> bytes:
    """Return what is stored of a random token of at least 128 bit: its SHA-256 (ASVS 6.5.2)."""
    return hashlib.sha256(token.encode()).digest()


def new_token() -> str:
    """Return 256 random bits, URL-safe."""
    return secrets.token_urlsafe(32)


@dataclass(frozen=True)
class SigningRoot:
    """A root of what is handed out: refresh tokens, permits, form tokens. The one before stays good for a while."""

    number: int
    key: bytes = field(repr=False)
    replaced_at: datetime | None = None


@dataclass(frozen=True)
class IndexRoot:
    """A root of blind indexes and of the audit chain. Rows that were written by one before it are still found.

    One that is `announced` may be in use in another process already.
    """

    number: int
    key: bytes = field(repr=False)
    replaced_at: datetime | None = None
    announced: bool = False


class FieldCipher:
    """The opened key ring: seals and opens fields, and derives the keys of indexes, message codes and signatures."""

    def __init__(
        self,
        keys: Mapping[int, bytes],
        active: int,
        roots: Sequence[IndexRoot],
        *,
        signing: Sequence[SigningRoot] = (),
        wrapped: Mapping[int, tuple[bytes, bytes]] | None = None,
    ) -> None:
        """Take data keys by number, the number that seals, and the roots of indexes, the one in use first.

        `signing` has the root that signs first; without any the root of indexes signs. `wrapped` is the form in which
        the key ring keeps each number's key, with that key.
        """
        self._ciphers = {number: AESGCM(key) for number, key in keys.items()}
        self._wrapped = dict(wrapped or {})
        self._roots = tuple(roots)
        self._signing = tuple(signing) or (SigningRoot(roots[0].number, roots[0].key),)
        self._derived: dict[tuple[int, str], bytes] = {}
        self.active = active

    def opened(self, number: int, wrapped: bytes) -> bytes | None:
        """Return a key that was opened from this wrapped form already, so that nobody has to be asked for it again."""
        known, key = self._wrapped.get(number, (b"", b""))
        return key if known == wrapped else None

    def __repr__(self) -> str:
        """Show key numbers, never keys."""
        return f"FieldCipher(keys={sorted(self._ciphers)}, active={self.active})"

    def seal(self, value: bytes, place: Place) -> bytes:
        """Encrypt `value` for `place` with the active key."""
        header = _VERSION + struct.pack(">I", self.active)
        nonce = os.urandom(_NONCE_BYTES)
        return header + nonce + self._ciphers[self.active].encrypt(nonce, value, place.associated_data(header))

    def open(self, sealed: bytes, place: Place) -> bytes:
        """Decrypt what was sealed for `place`; raises SealBroken."""
        number = key_number(sealed)
        cipher = self._ciphers.get(number)
        if cipher is None:
            raise SealBroken(f"a field of {place.table} is sealed with key {number}, which is not in the key ring")
        header, nonce = sealed[:_HEADER_BYTES], sealed[_HEADER_BYTES : _HEADER_BYTES + _NONCE_BYTES]
        try:
            return cipher.decrypt(nonce, sealed[_HEADER_BYTES + _NONCE_BYTES :], place.associated_data(header))
        except InvalidTag:
            raise SealBroken(f"a field of {place.table}.{place.column} does not open: damaged or moved") from None

    def seal_json(self, value: object, place: Place) -> bytes:
        """Encrypt a JSON value for `place`."""
        return self.seal(json_bytes(value), place)

    def open_json[Value](self, sealed: bytes, place: Place, kind: type[Value]) -> Value:
        """Decrypt a JSON value that was sealed for `place` and is of `kind`."""
        value = json.loads(self.open(sealed, place))
        if not isinstance(value, kind):
            raise SealBroken(f"a field of {place.table}.{place.column} does not hold what it should")
        return value

    @property
    def index_root(self) -> int:
        """Return the number of the root that new indexes are made with."""
        return self._roots[0].number

    def mac(self, label: str, message: bytes) -> bytes:
        """Return the HMAC-SHA-256 of a message under the label's own key, for a new blind index."""
        return self.mac_of(self.index_root, label, message)

    def mac_of(self, root: int, label: str, message: bytes) -> bytes:
        """Return the same by the root of this number; raises RootUnknown."""
        return hmac.digest(self._derived_key(root, self._root_key(root), label), message, "sha256")

    def _root_key(self, number: int) -> bytes:
        for root in self._roots:
            if root.number == number:
                return root.key
        raise RootUnknown(f"root {number} is not in the key ring")

    def roots(self, since: datetime) -> list[int]:
        """Return the numbers of the roots that were in use after a moment, the present one first."""
        used = (root for root in self._roots if not root.announced)
        return [root.number for root in used if root.replaced_at is None or root.replaced_at > since]

    def macs(self, label: str, message: bytes) -> list[bytes]:
        """Return all the blind indexes that a row may be kept under, the one of the root in use first."""
        return [self.mac_of(root.number, label, message) for root in self._roots]

    def signing_keys(self, label: str, now: datetime, overlap: timedelta) -> list[bytes]:
        """Return the keys for one purpose that count now, the one to sign with first.

        What a key that was replaced has signed counts for `overlap` more; what an announced one signs, already.
        """
        return [
            self._derived_key(root.number, root.key, label)
            for root in self._signing
            if root.replaced_at is None or now - root.replaced_at < overlap
        ]

    def signing_key(self, label: str) -> bytes:
        """Return the 32-byte key that signs for one purpose."""
        return self._derived_key(self._signing[0].number, self._signing[0].key, label)

    def _derived_key(self, number: int, root: bytes, label: str) -> bytes:
        """Return the 32-byte key for one purpose (HKDF-Expand, SHA-256, of a root with the label)."""
        if (number, label) not in self._derived:
            info = f"{_SERVICE}:{label}:v1".encode()
            self._derived[number, label] = HKDFExpand(SHA256(), KEY_BYTES, info).derive(root)
        return self._derived[number, label]


def key_number(sealed: bytes) -> int:
    """Return the number of the key that a field is sealed with; raises SealBroken for anything but our format."""
    if len(sealed) < _HEADER_BYTES + _NONCE_BYTES + _TAG_BYTES or sealed[:1] != _VERSION:
        raise SealBroken("a field is not in the sealed format")
    number: int = struct.unpack(">I", sealed[1:_HEADER_BYTES])[0]
    return number


def key_prefix(number: int) -> bytes:
    """Return the first bytes of every field that is sealed with this key."""
    return _VERSION + struct.pack(">I", number)


class KeyEncryptionKey(Protocol):
    """Wraps the data keys; lives outside the database."""

    @property
    def name(self) -> str:
        """Return what the key ring stores to tell key-encryption keys apart; reveals nothing of the key."""

    async def wrap(self, key: bytes, context: str) -> bytes:
        """Encrypt a data key for one context (its number and use)."""

    async def unwrap(self, wrapped: bytes, context: str) -> bytes:
        """Decrypt a data key; raises KeyFault when the key or the context is another."""


@dataclass(frozen=True, repr=False)
class LocalKey:
    """A key-encryption key that this process holds: from a file or from the environment."""

    secret: bytes

    @property
    def name(self) -> str:
        """Return a fingerprint of the key."""
        return "local:" + hmac.digest(self.secret, b"companion:key-name", "sha256").hex()[:16]

    async def wrap(self, key: bytes, context: str) -> bytes:
        """Encrypt with AES-256-GCM, the context as associated data."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + AESGCM(self.secret).encrypt(nonce, key, context.encode())

    async def unwrap(self, wrapped: bytes, context: str) -> bytes:
        """Decrypt; raises KeyFault."""
        try:
            return AESGCM(self.secret).decrypt(wrapped[:_NONCE_BYTES], wrapped[_NONCE_BYTES:], context.encode())
        except InvalidTag:
            raise KeyFault("A data key does not open with this key: the database was sealed with another.") from None


def decode_key(text: str, origin: str) -> bytes:
    """Return the 32 bytes of a key in base64; raises KeyFault for anything shorter, longer or guessable."""
    try:
        key = base64.b64decode(text.strip(), validate=True)
    except ValueError:
        # Not base64, or not even ASCII
        raise KeyFault(f"The key in {origin} is not base64: make one with `openssl rand -base64 32`.") from None
    if len(key) != KEY_BYTES:
        raise KeyFault(f"The key in {origin} has {len(key)} bytes instead of 32: use `openssl rand -base64 32`.")
    if len(set(key)) < _FEWEST_DISTINCT_BYTES:
        raise KeyFault(f"The key in {origin} is not random: make one with `openssl rand -base64 32`.")
    return key


def read_key_file(path: Path) -> LocalKey:
    """Read a key-encryption key from a file that is its owner's alone; raises KeyFault."""
    try:
        status = path.stat()
    except FileNotFoundError:
        raise KeyFault(f"The key file {path} is missing: put it back, or restore it from where you keep it.") from None
    if status.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise KeyFault(f"The key file {path} can be read by others: run `chmod 600 {path}`.")
    if status.st_uid not in {0, os.geteuid()}:
        raise KeyFault(f"The key file {path} belongs to another user: make it belong to the one who runs the service.")
    return LocalKey(decode_key(path.read_text(encoding="ascii", errors="replace"), str(path)))


def create_key_file(path: Path) -> None:
    """Write a fresh key, readable by its owner alone; raises FileExistsError rather than touch an existing one."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor, written = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    with os.fdopen(descriptor, "wb") as file:
        file.write(base64.b64encode(os.urandom(KEY_BYTES)) + b"\n")
        file.flush()
        os.fsync(file.fileno())
    # Whole or not at all: another process may be waiting to read it
    try:
        os.link(written, path)
    finally:
        Path(written).unlink()
