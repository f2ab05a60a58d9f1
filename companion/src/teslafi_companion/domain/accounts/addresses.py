"""E-mail addresses: what is taken for one, how it is found without being readable, how it is shown."""

import re
from typing import Final
import unicodedata

from teslafi_companion.crypto import FieldCipher

_LONGEST: Final = 254
_SHAPE: Final = re.compile(
    r"[^\s@\x00-\x1f\x7f<>,;:\"()\[\]\\]{1,64}@[^\s@\x00-\x1f\x7f<>,;:\"()\[\]\\.]+(\.[^\s@\x00-\x1f\x7f<>,;:\"()\[\]\\.]+)*"
)


class AddressRefused(Exception):
    """What was typed is not an e-mail address; the text says what to do."""


def parse_address(text: str) -> str:
    """Return an address in Unicode's composed form (NFC), its domain in lower case; raises AddressRefused."""
    address = unicodedata.normalize("NFC", text.strip())
    if len(address) > _LONGEST or not _SHAPE.fullmatch(address):
        raise AddressRefused("Write your e-mail address in the form name@example.org.")
    local, _, domain = address.rpartition("@")
    return f"{local}@{domain.lower()}"


def address_index(cipher: FieldCipher, address: str) -> bytes:
    """Return the blind index by which an address is found, whatever the case it was typed in."""
    return cipher.mac("email-index", unicodedata.normalize("NFC", address.casefold()).encode())


def masked(address: str) -> str:
    """Return an address so that its owner knows it and nobody else does: `p…@example.org`."""
    local, _, domain = address.rpartition("@")
    return f"{local[:1]}…@{domain}"
