"""Grants at rest: AES-256-GCM under a random key of this Home Assistant, in files of their own.

Sealed form, base64: version | key number, 4 bytes | nonce, 12 bytes | ciphertext and tag. Version and key number, the
entry's id and the grant's name are associated data, so that a sealed grant opens in its own place only. What a grant is
for, the vault does not know.

Version 0x01 is sealed with the numbered key itself. Version 0x02 is sealed with a key derived (HKDF, SHA-256) from that
key and a share that somebody else keeps: these files alone do not open it.
"""

import asyncio
from base64 import b64decode, b64encode
import binascii
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
import json
import secrets
from types import MappingProxyType
from typing import Final, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from homeassistant.core import HomeAssistant
from homeassistant.helpers.singleton import singleton
from homeassistant.util.hass_dict import HassKey

from ..const import DOMAIN, LOGGER
from ..secret import Secret
from ..tesla.grant import Grant
from .file import Contents, Later, PrivateFile, StorageFailed, async_clean_up

type Sealed = dict[str, dict[str, str]]
"""Sealed texts by the id of their config entry and their name."""

type Place = tuple[str, str]
"""Id of a config entry, and the name of what is sealed."""

KEY_FILE: Final = f"{DOMAIN}.vault_key"
GRANT_FILE: Final = f"{DOMAIN}.vault"
RETRY_SECONDS: Final = 60.0
"""Seconds after which a write that the disk did not take is tried again."""
KEY_BYTES: Final = 32
VERSION: Final = b"\x01"
SHARED_VERSION: Final = b"\x02"
HEADER_BYTES: Final = 5
NONCE_BYTES: Final = 12


class SealBroken(ValueError):
    """The sealed text cannot be opened: changed, moved to another place, or its key is lost."""


class ShareNeeded(Exception):
    """Something is sealed with a share that is not at hand."""


@dataclass(frozen=True, slots=True)
class KeyRing:
    """Keys by number; the highest seals, all open. The repr shows numbers only."""

    keys: Mapping[int, bytes] = field(repr=False)

    @classmethod
    def new(cls) -> Self:
        """Return a ring with one random key."""
        return cls({1: secrets.token_bytes(KEY_BYTES)})

    @property
    def active(self) -> int:
        """Number of the key that seals."""
        return max(self.keys)

    def with_new_key(self) -> Self:
        """Return a ring that seals with one more random key and still opens with the others."""
        return type(self)({**self.keys, self.active + 1: secrets.token_bytes(KEY_BYTES)})

    def with_active_key_only(self) -> Self:
        """Return a ring that has forgotten the older keys."""
        return type(self)({self.active: self.keys[self.active]})

    def seal(self, text: str, place: Place, share: Secret | None = None) -> str:
        """Seal a text for a place (entry id, grant name), with a share so that it opens with the share alone."""
        header = (SHARED_VERSION if share else VERSION) + self.active.to_bytes(HEADER_BYTES - 1)
        nonce = secrets.token_bytes(NONCE_BYTES)
        key = _key(self.keys[self.active], place, share)
        ciphertext = AESGCM(key).encrypt(nonce, text.encode(), _associated(header, place))
        return b64encode(header + nonce + ciphertext).decode()

    def open(self, sealed: str, place: Place, share: Secret | None = None) -> str:
        """Open what was sealed for this place with this share; raise SealBroken when that cannot be."""
        try:
            raw = b64decode(sealed, validate=True)
        except (binascii.Error, ValueError) as error:
            raise SealBroken("not a sealed text") from error
        header, nonce, ciphertext = (
            raw[:HEADER_BYTES],
            raw[HEADER_BYTES : HEADER_BYTES + NONCE_BYTES],
            raw[HEADER_BYTES + NONCE_BYTES :],
        )
        key = self.keys.get(int.from_bytes(header[1:]))
        version = SHARED_VERSION if share else VERSION
        if header[:1] != version or key is None or len(nonce) != NONCE_BYTES:
            raise SealBroken("another version, or the key is lost")
        try:
            return AESGCM(_key(key, place, share)).decrypt(nonce, ciphertext, _associated(header, place)).decode()
        except InvalidTag as error:
            raise SealBroken("changed, moved, or sealed with another key") from error

    def to_json(self) -> dict[str, str]:
        """Return what the key file holds."""
        return {str(number): b64encode(key).decode() for number, key in self.keys.items()}

    @classmethod
    def from_json(cls, data: object) -> Self:
        """Undo `to_json`; raise ValueError when there is no whole key in it."""
        if not isinstance(data, dict):
            raise ValueError("no keys")  # noqa: TRY004 - bad data, not a bad call
        keys = {int(number): b64decode(key, validate=True) for number, key in data.items()}
        if not keys or any(len(key) != KEY_BYTES or not 0 < number < 1 << 32 for number, key in keys.items()):
            raise ValueError("not whole keys")
        return cls(keys)


def needs_share(sealed: str) -> bool:
    """Say whether a sealed text opens with a share alone."""
    return _header(sealed)[:1] == SHARED_VERSION


def key_number(sealed: str) -> int:
    """Return the number of the key that a text is sealed with."""
    return int.from_bytes(_header(sealed)[1:])


def _header(sealed: str) -> bytes:
    try:
        return b64decode(sealed)[:HEADER_BYTES]
    except ValueError:
        return b""


def _key(key: bytes, place: Place, share: Secret | None) -> bytes:
    """Return the key itself, or the one derived from it and a share for one place (RFC 5869)."""
    if share is None:
        return key
    info = b"\0".join((DOMAIN.encode(), b"shared", *(part.encode() for part in place)))
    return HKDF(SHA256(), KEY_BYTES, salt=None, info=info).derive(key + b64decode(share.reveal()))


def _associated(header: bytes, place: Place) -> bytes:
    return b"\0".join((header, DOMAIN.encode(), *(part.encode() for part in place)))


class Vault:
    """All grants of one Home Assistant.

    Every change is on disk when its method returns. When the disk does not take it, it holds in memory, the owner is
    told, and it is tried again each minute and at the end.
    """

    def __init__(self, hass: HomeAssistant) -> None:
        """Use the two private files of this Home Assistant; `load` reads them."""
        self._hass = hass
        self._key_file = PrivateFile(hass, KEY_FILE)
        self._grant_file = PrivateFile(hass, GRANT_FILE)
        self._ring = KeyRing.new()
        self._ring_on_disk: KeyRing | None = None
        self._sealed: Sealed = {}
        self._removed: set[str] = set()
        self._parked: dict[str, Grant] = {}
        self._lock = asyncio.Lock()
        self._again = Later(hass, RETRY_SECONDS, self._save_again)

    async def load(self) -> None:
        """Read keys and sealed grants. A lost or damaged key file means a new key: what it sealed stays shut."""
        await async_clean_up(self._hass, KEY_FILE)
        stored = await self._key_file.load()
        self._sealed = _sealed(await self._grant_file.load())
        try:
            self._ring = self._ring_on_disk = KeyRing.from_json((stored or {}).get("keys"))
        except ValueError:
            if self._sealed or stored is not None:
                LOGGER.warning("The vault's key is lost; the owner has to sign in to Tesla again")

    async def put(self, entry_id: str, name: str, grant: Grant) -> None:
        """Seal a grant in place of the one before."""
        await self.put_text(entry_id, name, json.dumps(grant.to_plaintext()))

    async def put_text(self, entry_id: str, name: str, text: str, share: Secret | None = None) -> None:
        """Seal any other secret text in place of the one before; with a share it opens with that alone."""
        async with self._lock:
            await self._put(entry_id, name, text, share)

    async def change_text(
        self, entry_id: str, name: str, change: Callable[[str | None], str | None], share: Secret | None = None
    ) -> str | None:
        """Let `change` say what becomes of a text (None: there is none), with nobody between; return what is there.

        A text that cannot be opened counts as none.
        """
        async with self._lock:
            try:
                before = self.get_text(entry_id, name, share)
            except SealBroken:
                before = None
            after = change(before)
            if after is None and before is not None:
                await self._wipe(entry_id, name)
            elif after is not None and after != before:
                await self._put(entry_id, name, after, share)
            return None if entry_id in self._removed else after

    def get_text(self, entry_id: str, name: str, share: Secret | None = None) -> str | None:
        """Open a sealed text; None when there is none. Raise SealBroken when it cannot be opened."""
        sealed = self._sealed.get(entry_id, {}).get(name)
        return None if sealed is None else self._ring.open(sealed, (entry_id, name), share)

    def holds(self, entry_id: str, name: str) -> bool:
        """Say whether something is sealed under this name, whether it can be opened or not."""
        return name in self._sealed.get(entry_id, {})

    def get(self, entry_id: str, name: str) -> Grant | None:
        """Open a grant; None when there is none. Raise SealBroken when it cannot be opened."""
        text = self.get_text(entry_id, name)
        return None if text is None else _grant(text)

    def get_or_none(self, entry_id: str, name: str) -> Grant | None:
        """Open a grant; None also when it cannot be opened, since only a new sign-in helps."""
        try:
            return self.get(entry_id, name)
        except SealBroken as error:
            LOGGER.warning("A stored grant cannot be opened (%s); the owner has to sign in again", error)
            return None

    async def wipe(self, entry_id: str, name: str | None = None) -> None:
        """Forget one grant of an entry; without a name all of them for good, since the entry is being removed."""
        async with self._lock:
            if name is None:
                self._removed.add(entry_id)
            await self._wipe(entry_id, name)

    async def forget_others(self, entry_ids: Collection[str]) -> None:
        """Forget what belongs to none of these entries: left by a removal that the disk did not take."""
        async with self._lock:
            if orphans := self._sealed.keys() - set(entry_ids):
                self._sealed = {entry_id: kept for entry_id, kept in self._sealed.items() if entry_id not in orphans}
                await self._save()

    async def rotate_key(self, shares: Mapping[Place, Secret] = MappingProxyType({})) -> None:
        """Seal everything with a new key and forget the old one; safe to be cut off at any point.

        What the old key could not open is forgotten with it. Raise ShareNeeded or StorageFailed, with nothing changed,
        when something is sealed with a share that is not among `shares`, or the disk does not take the new key.
        """
        async with self._lock:
            for place, sealed in self._places():
                if needs_share(sealed) and place not in shares:
                    raise ShareNeeded
            await self._save_ring(self._ring.with_new_key())
            renewed: Sealed = {}
            for place, sealed in self._places():
                share = shares.get(place) if needs_share(sealed) else None
                if (text := self._open_if_possible(sealed, place, share)) is not None:
                    renewed.setdefault(place[0], {})[place[1]] = self._ring.seal(text, place, share)
            self._sealed = renewed
            await self._save()

    def park(self, account: str, grant: Grant) -> None:
        """Hold the grant of a new account, in memory alone, until its config entry has an id to seal it under."""
        self._parked[account] = grant

    async def adopt(self, entry_id: str, name: str, account: str) -> None:
        """Seal the account's parked grant, if there is one, as a grant of this entry."""
        if (grant := self._parked.pop(account, None)) is not None:
            await self.put(entry_id, name, grant)

    async def _put(self, entry_id: str, name: str, text: str, share: Secret | None) -> None:
        if entry_id in self._removed:
            LOGGER.debug("Nothing is kept of an entry that was removed")
            return
        self._sealed.setdefault(entry_id, {})[name] = self._ring.seal(text, (entry_id, name), share)
        await self._save()

    async def _wipe(self, entry_id: str, name: str | None) -> None:
        grants = self._sealed.get(entry_id, {})
        if name is not None:
            grants.pop(name, None)
        if name is None or not grants:
            self._sealed.pop(entry_id, None)
        await self._save()

    async def _save(self) -> None:
        """Bring the disk to what memory holds: a key before what it seals, a key gone after what it sealed."""
        self._again.cancel()
        try:
            if not self._sealed:
                await self._grant_file.remove()
                await self._key_file.remove()
                self._ring_on_disk = None
            else:
                if self._ring_on_disk != self._ring:
                    await self._save_ring(self._ring)
                await self._grant_file.write(self._sealed)
                await self._forget_old_keys()
        except StorageFailed:
            self._again.begin()

    async def _save_again(self) -> None:
        async with self._lock:
            await self._save()

    async def _forget_old_keys(self) -> None:
        """Let go of keys that a rotation left, once nothing on disk needs them."""
        newest = self._ring.active
        if len(self._ring.keys) > 1 and all(key_number(sealed) == newest for _, sealed in self._places()):
            await self._save_ring(self._ring.with_active_key_only())

    async def _save_ring(self, ring: KeyRing) -> None:
        """Write the key file, and seal with these keys from then on."""
        self._ring_on_disk = None
        await self._key_file.write({"keys": ring.to_json()})
        self._ring = self._ring_on_disk = ring

    def _places(self) -> list[tuple[Place, str]]:
        return [
            ((entry_id, name), sealed) for entry_id, grants in self._sealed.items() for name, sealed in grants.items()
        ]

    def _open_if_possible(self, sealed: str, place: Place, share: Secret | None) -> str | None:
        try:
            return self._ring.open(sealed, place, share)
        except SealBroken:
            return None


def _sealed(stored: Contents | None) -> Sealed:
    """Take what is of the right shape out of the file; what is not cannot be opened anyway."""
    return {
        entry_id: {name: sealed for name, sealed in grants.items() if isinstance(sealed, str)}
        for entry_id, grants in (stored or {}).items()
        if isinstance(grants, dict)
    }


def _grant(text: str) -> Grant:
    try:
        return Grant.from_plaintext(json.loads(text))
    except (KeyError, TypeError, ValueError) as error:
        raise SealBroken("not a grant of this version") from error


class VaultKeeper:
    """One place of the vault, as the keeper that a grant session works with."""

    def __init__(self, vault: Vault, entry_id: str, name: str) -> None:
        """Keep the grant `name` of this entry."""
        self._vault = vault
        self._place = (entry_id, name)

    async def load(self) -> Grant | None:
        """Open the grant; a broken seal counts as none."""
        return self._vault.get_or_none(*self._place)

    async def replace(self, before: Grant, after: Grant | None) -> Grant | None:
        """Seal `after` in place of `before` (None: wipe it), unless another grant is there by now; return that."""

        def change(text: str | None) -> str | None:
            if text is None or _grant(text) != before:
                return text
            return json.dumps(after.to_plaintext()) if after else None

        text = await self._vault.change_text(*self._place, change)
        return None if text is None else _grant(text)


_VAULT: HassKey[Vault] = HassKey(f"{DOMAIN}_vault")


@singleton(_VAULT, async_=True)
async def async_get_vault(hass: HomeAssistant) -> Vault:
    """Return the vault of this Home Assistant, loaded once."""
    vault = Vault(hass)
    await vault.load()
    if entries := hass.config_entries.async_entries(DOMAIN):
        await vault.forget_others({entry.entry_id for entry in entries})
    return vault
