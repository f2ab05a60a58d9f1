"""E-mail addresses: one canonical form, how it is found without being readable, how it is shown.

Taken are an ASCII dot-atom (RFC 5322, 3.2.3) in front of the @ and a host name behind it, internationalized ones in
their ASCII form (IDNA 2008, UTS 46). Not taken, though mail systems may know them: quoted local parts, address
literals, and local parts beyond ASCII (RFC 6531), which many servers still refuse. RFC 2047 words are atoms by their
signs, but Python, like others, decodes them when a letter is built: no mailbox is named like that.
"""

import re
from typing import Final
import unicodedata

import idna

from teslafi_companion.crypto import FieldCipher
from teslafi_companion.language import N_

_LONGEST: Final = 254
_LONGEST_LOCAL: Final = 64
_ATOM: Final = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LOCAL: Final = re.compile(rf"{_ATOM}(?:\.{_ATOM})*", re.ASCII)
_LABEL: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)
_ENCODED_WORD: Final = "=?"
_ACE: Final = "xn--"
EMAIL_INDEX: Final = "email-index"


class AddressRefused(Exception):
    """What was typed is not an e-mail address; the text says what to do."""


def parse_address(text: str) -> str:
    """Return an address in its canonical form: the host in lower case and ASCII. Raises AddressRefused."""
    local, at, host = text.strip().rpartition("@")
    refusal = AddressRefused(N_("Enter your email address in the form name@example.org."))
    if not at or len(text) > _LONGEST or len(local) > _LONGEST_LOCAL:
        raise refusal
    if not _LOCAL.fullmatch(local) or _ENCODED_WORD in local:
        raise refusal
    address = f"{local}@{_ascii_host(host, refusal)}"
    if len(address) > _LONGEST:
        raise refusal
    return address


def _ascii_host(host: str, refusal: AddressRefused) -> str:
    try:
        # What is ASCII goes by the rules of host names: of those that are registered, some break IDNA's
        name = host.lower() if host.isascii() else idna.encode(host, uts46=True, std3_rules=True).decode()
        labels = name.split(".")
        for label in labels:
            if label.startswith(_ACE):
                idna.decode(label)
    except UnicodeError:  # idna's own error is one
        raise refusal from None
    if not all(_LABEL.fullmatch(label) for label in labels) or labels[-1].isdigit():
        raise refusal
    return name


def parse_known(text: str) -> str:
    """Return an address under which somebody may have an account: the canonical form, or one that 0.1.0 took.

    That version took local parts beyond ASCII as well; whoever signed up with one still comes in. Raises
    AddressRefused.
    """
    try:
        return parse_address(text)
    except AddressRefused:
        address = unicodedata.normalize("NFC", text.strip())
        local, at, host = address.rpartition("@")
        if not (at and local and host) or len(text) > _LONGEST or not address.isprintable() or address.isascii():
            raise
        return f"{local}@{host.lower()}"


def indexed_form(address: str) -> bytes:
    """Return what the blind index of an address is made of, whatever the case it was typed in."""
    return unicodedata.normalize("NFC", address.casefold()).encode()


def address_index(cipher: FieldCipher, address: str) -> bytes:
    """Return the blind index by which an address is found."""
    return cipher.mac(EMAIL_INDEX, indexed_form(address))


def indexes_of(cipher: FieldCipher, address: str) -> frozenset[bytes]:
    """Return the blind indexes that an address may be kept under, by each root: today's, and its host in Unicode.

    Version 0.1.0 kept host names as they were typed. Two hosts can share an old index: see `is_same`.
    """
    local, _, host = address.rpartition("@")
    spellings = (address, f"{local}@{_unicode_host(host)}")
    return frozenset(index for one in spellings for index in cipher.macs(EMAIL_INDEX, indexed_form(one)))


def is_same(one: str, other: str) -> bool:
    """Say whether two known addresses are the same mailbox, whatever the spelling of the host and the case."""
    try:
        return parse_known(one).casefold() == parse_known(other).casefold()
    except AddressRefused:
        return False


def _unicode_host(host: str) -> str:
    try:
        return idna.decode(host)
    except UnicodeError:
        return host


def masked(address: str) -> str:
    """Return an address so that its owner knows it and nobody else does: `p…@example.org`."""
    local, _, domain = address.rpartition("@")
    return f"{local[:1]}…@{domain}"
