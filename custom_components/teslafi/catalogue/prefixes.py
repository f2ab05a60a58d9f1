"""Words that Tesla's data model gives a prefix and that cars send without it."""

from collections.abc import Mapping


def prefixed(prefix: str, states: Mapping[str, str]) -> dict[str, str]:
    """Return the texts with and without the prefix that the car's data model gives them."""
    return dict(states) | {f"{prefix}{text}": state for text, state in states.items()}
