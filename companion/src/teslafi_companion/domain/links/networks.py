"""Networks as links know them: coarse enough that a provider's new address is not yet another network."""

from ipaddress import IPv6Address, ip_address, ip_network
from typing import Final

from teslafi_companion.store.database import Transaction

_IPV4_PREFIX: Final = 24
_IPV6_PREFIX: Final = 48


def network_of(address: str) -> str:
    """Return the /24 or /48 that an address lies in."""
    parsed = ip_address(address)
    if isinstance(parsed, IPv6Address):
        if parsed.ipv4_mapped is None:
            return str(ip_network((parsed, _IPV6_PREFIX), strict=False))
        parsed = parsed.ipv4_mapped
    return str(ip_network((parsed, _IPV4_PREFIX), strict=False))


def network_mac(transaction: Transaction, address: str) -> bytes:
    """Return the keyed hash of an address' network: comparable, not readable."""
    return transaction.cipher.mac("link-network", network_of(address).encode())
