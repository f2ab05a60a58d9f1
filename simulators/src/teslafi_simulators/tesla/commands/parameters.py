"""Reading a command's parameters strictly: a wrong type or a missing name is refused before the car hears of it."""

from collections.abc import Collection, Mapping
import math
from typing import Any, Final

PIN_DIGITS: Final = 4
LARGEST: Final = 2**53
"""Beyond it JSON's numbers are no longer exact (RFC 8259, section 6)."""


class BadParameter(ValueError):
    """A parameter is missing, or not of its type; its text names which."""


class Parameters:
    """The parameters of one command, by name; null counts as absent."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        """Take what was sent."""
        self._values = {name: value for name, value in values.items() if value is not None}

    def __contains__(self, name: str) -> bool:
        """Tell whether a parameter was sent."""
        return name in self._values

    def sent(self) -> dict[str, Any]:
        """Return everything, for the car's own journal."""
        return dict(self._values)

    def boolean(self, name: str, default: bool | None = None) -> bool:  # noqa: FBT001 - a default is no switch
        """Return true or false."""
        value = self._values.get(name, default)
        if not isinstance(value, bool):
            raise BadParameter(name)
        return value

    def number(self, name: str, default: float | None = None) -> float:
        """Return a number."""
        value = self._values.get(name, default)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise BadParameter(name)
        if not -LARGEST <= value <= LARGEST or math.isnan(value):
            raise BadParameter(name)
        return float(value)

    def integer(self, name: str, default: int | None = None) -> int:
        """Return a whole number."""
        value = self.number(name, default)
        if value != int(value):
            raise BadParameter(name)
        return int(value)

    def text(self, name: str, default: str | None = None) -> str:
        """Return a text."""
        value = self._values.get(name, default)
        if not isinstance(value, str):
            raise BadParameter(name)
        return value

    def one_of[T](self, name: str, options: Collection[T]) -> T:
        """Return one of `options`."""
        value = self._values.get(name)
        found = next((option for option in options if option == value and type(option) is type(value)), None)
        if found is None:
            raise BadParameter(name)
        return found

    def pin(self, name: str) -> str:
        """Return four digits."""
        value = self.text(name)
        if len(value) != PIN_DIGITS or not (value.isascii() and value.isdigit()):
            raise BadParameter(name)
        return value
