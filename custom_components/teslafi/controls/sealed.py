"""What is sealed with the key share: the controls grant, where it is one of its own, and the command signing key."""

from dataclasses import dataclass, field
import json
from typing import Final, Self

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from ..const import CONTROLS
from ..secret import Secret
from ..storage.vault import SealBroken, Vault
from ..tesla.grant import Grant

CURVE: Final = ec.SECP256R1()


def new_command_key() -> ec.EllipticCurvePrivateKey:
    """Return a key on the curve that cars take (prime256v1)."""
    return ec.generate_private_key(CURVE)


def public_pem(key: ec.EllipticCurvePrivateKey) -> str:
    """Return the public key as the file that the owner puts at the application's domain."""
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


@dataclass(frozen=True, slots=True)
class SealedControls:
    """What commands are sent with. `grant` is None where the monitoring grant is the wider one (one application)."""

    grant: Grant | None
    key: ec.EllipticCurvePrivateKey = field(repr=False)

    def to_plaintext(self) -> str:
        """Return the text that the vault seals."""
        pem = self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
        return json.dumps({"grant": self.grant.to_plaintext() if self.grant else None, "key": pem})

    @classmethod
    def from_plaintext(cls, text: str) -> Self:
        """Undo `to_plaintext`; raise SealBroken when the text is none of its."""
        try:
            said = json.loads(text)
            key = load_pem_private_key(str(said["key"]).encode(), None)
            grant = Grant.from_plaintext(said["grant"]) if said["grant"] else None
        except (KeyError, TypeError, ValueError) as error:
            raise SealBroken("not what controls are sealed as") from error
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise SealBroken("not a command key")
        return cls(grant, key)


async def seal(vault: Vault, entry_id: str, sealed: SealedControls, share: Secret) -> None:
    """Seal what commands are sent with, so that it opens with the key share alone."""
    await vault.put_text(entry_id, CONTROLS, sealed.to_plaintext(), share)


def unseal(vault: Vault, entry_id: str, share: Secret) -> SealedControls | None:
    """Open it; None when there is none, SealBroken when the share does not open it."""
    text = vault.get_text(entry_id, CONTROLS, share)
    return None if text is None else SealedControls.from_plaintext(text)


class SealedKeeper:
    """The controls grant's place, as the keeper that a grant session works with."""

    def __init__(self, vault: Vault, entry_id: str, sealed: SealedControls, share: Secret) -> None:
        """Keep the grant of these sealed, sealed anew at each refresh."""
        self._vault = vault
        self._entry_id = entry_id
        self._arms = sealed
        self._share = share

    async def load(self) -> Grant | None:
        """Return the grant."""
        return self._arms.grant

    async def replace(self, before: Grant, after: Grant | None) -> Grant | None:
        """Seal the grant's successor, unless another was sealed meanwhile; return that.

        With None all of it is forgotten: without a grant the key is of no use either.
        """

        def change(text: str | None) -> str | None:
            if text is None or SealedControls.from_plaintext(text).grant != before:
                return text
            return SealedControls(after, self._arms.key).to_plaintext() if after else None

        text = await self._vault.change_text(self._entry_id, CONTROLS, change, self._share)
        if text is None:
            return None
        self._arms = SealedControls.from_plaintext(text)
        return self._arms.grant
