"""Networks as links know them: coarse enough that a provider's new address is not yet another network.

A home changes its network over night and speaks IPv4 and IPv6 by turns: neither says anything about a copy. What a copy
cannot avoid is that the original goes on beside it, so that two networks of one protocol are used by turns.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Any, Final

from teslafi_companion.store.database import Transaction

_IPV4_PREFIX: Final = 24
_IPV6_PREFIX: Final = 48
TURNS: Final = timedelta(days=1)
"""How soon a network must be used again for that to be a turn."""
MOST: Final = 12
"""How many networks of a link are remembered: those used last."""


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
    return mac_of_network(transaction, network_of(address))


def mac_of_network(transaction: Transaction, network: str) -> bytes:
    """Return the keyed hash of a network."""
    return transaction.cipher.mac("link-network", network.encode())


@dataclass(frozen=True)
class Seen:
    """A network that a link was used from.

    `returned_at` is when a turn led back to it, `permit_at` when a permit was given there. The owner has said of a
    `vouched` one that it is theirs.
    """

    network: str
    seen_at: datetime
    returned_at: datetime | None = None
    permit_at: datetime | None = None
    vouched: bool = False

    @property
    def version(self) -> int:
        """Return 4 or 6."""
        return ip_network(self.network).version

    def to_json(self) -> dict[str, Any]:
        """Return what is sealed with the link."""
        moments = {"seen": self.seen_at, "returned": self.returned_at, "permit": self.permit_at}
        said = {name: moment.isoformat() for name, moment in moments.items() if moment is not None}
        return {"network": self.network, **said, "vouched": self.vouched}


def of_json(said: Mapping[str, Any]) -> Seen:
    """Undo `to_json`."""

    def moment(name: str) -> datetime | None:
        return datetime.fromisoformat(said[name]) if name in said else None

    return Seen(
        said["network"],
        datetime.fromisoformat(said["seen"]),
        moment("returned"),
        moment("permit"),
        vouched=said["vouched"],
    )


def contact(known: Sequence[Seen], network: str, now: datetime) -> tuple[tuple[Seen, ...], bool]:
    """Return the networks after a contact from one of them, the last used first, and whether they were used by turns.

    One way back, as after a line that failed for an hour, is no sign yet, unless a permit was given meanwhile where the
    link is not any more.
    """
    here = next((one for one in known if one.network == network), Seen(network, now))
    others = [one for one in known if one.network != network]
    left = next((one for one in known if one.version == here.version), here)
    is_turn = left is not here and here in known and now - here.seen_at <= TURNS
    trusted = left.vouched and here.vouched
    left_with_permit = left.permit_at is not None and left.permit_at >= here.seen_at
    left_was_returned_to = left.returned_at is not None and now - left.returned_at <= TURNS
    by_turns = is_turn and not trusted and (left_with_permit or left_was_returned_to)
    returned_at = now if is_turn else here.returned_at
    return (replace(here, seen_at=now, returned_at=returned_at), *others)[:MOST], by_turns
