"""What a linked Home Assistant may do, and how freshly and strongly its owner must have been recognised."""

from collections.abc import Collection, Iterable
from typing import Final

from teslafi_companion.domain.words import Acr, Scope
from teslafi_companion.language import N_

from .faults import INVALID_SCOPE, OAuthFault

__all__ = ["STATUS", "WORDS", "Acr", "Scope", "parse_scopes", "stored", "written"]

WORDS: Final = {
    Scope.ACCOUNT: N_("See your masked email address and whether two-factor authentication is on"),
    Scope.LINK: N_("See and end its own link to this account"),
    Scope.CONTROLS: N_("Ask for permits to control your car"),
}
"""How the consent page puts a scope: “It will be able to: …”."""

STATUS: Final = frozenset({Scope.ACCOUNT, Scope.LINK})
"""What a link can be given at first; `controls` is asked for separately, by a link that exists."""


def parse_scopes(text: str | None, allowed: Collection[Scope] = tuple(Scope)) -> frozenset[Scope]:
    """Return the scopes of a request, `STATUS` when it names none; raises OAuthFault."""
    words = (text or "").split(" ")
    if not text:
        return STATUS
    if any(word not in allowed for word in words):
        raise OAuthFault(INVALID_SCOPE, f"scope is made of {written(allowed)}, separated by single spaces")
    scopes = frozenset(Scope(word) for word in words)
    if Scope.CONTROLS in scopes and len(scopes) > 1:
        raise OAuthFault(INVALID_SCOPE, "controls is asked for alone, by a Home Assistant that is linked")
    return scopes


def written(scopes: Iterable[Scope]) -> str:
    """Return scopes as a parameter has them: sorted, separated by spaces."""
    return " ".join(sorted(scopes))


def stored(text: str) -> frozenset[Scope]:
    """Return scopes that were kept as written."""
    return frozenset(Scope(word) for word in text.split())
