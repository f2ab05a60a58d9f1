"""A text that must not be shown: no repr, log line, format or copy on disk of it by accident."""

from hmac import compare_digest
from typing import Final, NoReturn, final, override

SHOWN: Final = 4
"""Characters of a masked text."""
LONG: Final = 32
"""Length from which four characters give nothing away; every token of Tesla's is longer."""


@final
class Secret:
    """Hold a token or a password; `reveal` is the only way to its text, the one word to search for in a review."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        """Wrap the text."""
        self._text = text

    def reveal(self) -> str:
        """Return the text, for the request or the cipher that needs it."""
        return self._text

    def masked(self) -> str:
        """Return the last four characters behind an ellipsis; of a short text, nothing of it."""
        return f"…{self._text[-SHOWN:]}" if len(self._text) >= LONG else "…"

    @override
    def __repr__(self) -> str:
        return "Secret(hidden)"

    @override
    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return compare_digest(self._text.encode(), other._text.encode())

    @override
    def __hash__(self) -> int:
        return hash((Secret, self._text))

    @override
    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not pickled or copied into files")
