"""Chargebee's parameters: `a[b][0]=…` in forms and queries, and the filters of its lists."""

from collections.abc import Callable, Iterable, Mapping
import json
import re
from typing import Any, Final

_PART: Final = re.compile(r"\[([^\[\]]*)\]")

type Parameters = dict[str, str]
"""Full name such as `customer[id]` -> value, as it was sent."""


class WrongParameter(Exception):
    """A parameter is missing or not understood; `name` is what Chargebee calls `param`."""

    def __init__(self, name: str, message: str) -> None:
        """Name it."""
        super().__init__(message)
        self.name = name


def path_of(name: str) -> tuple[str, ...]:
    """Return `("subscription_items", "item_price_id", "0")` for `subscription_items[item_price_id][0]`."""
    head, bracket, _ = name.partition("[")
    return (head, *_PART.findall(name)) if bracket else (head,)


def needed(parameters: Parameters, name: str) -> str:
    """Return a parameter that must not be missing or empty; raise WrongParameter."""
    value = parameters.get(name, "")
    if not value:
        raise WrongParameter(name, f"{name} : cannot be blank")
    return value


def listed(parameters: Parameters, head: str, field: str) -> list[str]:
    """Return `head[field][0…]` in their order; raise WrongParameter when there is none."""
    found = {
        int(path[2]): value for name, value in parameters.items() if _is_listed(path := path_of(name), head, field)
    }
    if not found:
        raise WrongParameter(f"{head}[{field}][0]", f"{head}[{field}][0] : cannot be blank")
    return [found[place] for place in sorted(found)]


def _is_listed(path: tuple[str, ...], head: str, field: str) -> bool:
    return path[:2] == (head, field) and len(path) == 3 and path[2].isdigit()  # noqa: PLR2004 - head, field, place


def values_of(text: str) -> list[str]:
    """Return the members of `["a", "b"]`, written as JSON or, as the Python SDK does, with single quotes."""
    try:
        found = json.loads(text.replace("'", '"'))
    except ValueError:
        raise WrongParameter("filter", "is not a list") from None
    if not isinstance(found, list):
        raise WrongParameter("filter", "is not a list")
    return [str(member) for member in found]


_TESTS: Final[Mapping[str, Callable[[Any, str], bool]]] = {
    "is": lambda value, said: str(value) == said,
    "is_not": lambda value, said: str(value) != said,
    "in": lambda value, said: str(value) in values_of(said),
    "not_in": lambda value, said: str(value) not in values_of(said),
    "after": lambda value, said: value is not None and value > int(said),
    "before": lambda value, said: value is not None and value < int(said),
}

_CONTROL: Final = frozenset({"limit", "offset", "sort_by", "include_deleted"})


def listing(
    members: Iterable[dict[str, Any]], parameters: Parameters, filters: Iterable[str], sort: str
) -> tuple[list[dict[str, Any]], str | None]:
    """Return one page of a list and the offset of the next; raise WrongParameter for what the list does not know."""
    allowed = set(filters)
    found = list(members)
    descending = True
    for name, said in parameters.items():
        head, *rest = path_of(name)
        if head == "sort_by":
            if said != sort or rest not in (["asc"], ["desc"]):
                raise WrongParameter(name, "cannot be sorted by this")
            descending = rest == ["desc"]
        elif head not in _CONTROL:
            found = _filtered(found, head, rest, said, allowed)
    found.sort(key=lambda member: (member[sort], member["id"]), reverse=descending)
    return _page(found, parameters)


def _filtered(
    members: list[dict[str, Any]], field: str, rest: list[str], said: str, allowed: set[str]
) -> list[dict[str, Any]]:
    if field not in allowed or len(rest) != 1 or rest[0] not in _TESTS:
        raise WrongParameter(field, f"{field} : is no filter of this list")
    try:
        return [member for member in members if _TESTS[rest[0]](member.get(field), said)]
    except ValueError:
        raise WrongParameter(field, f"{field} : is not a number") from None


def _page(found: list[dict[str, Any]], parameters: Parameters) -> tuple[list[dict[str, Any]], str | None]:
    limit, offset = parameters.get("limit", "10"), parameters.get("offset", "0")
    if not limit.isdigit() or not 1 <= int(limit) <= 100:  # noqa: PLR2004 - Chargebee's own bounds
        raise WrongParameter("limit", "limit : should be between 1 and 100")
    if not offset.isdigit():
        raise WrongParameter("offset", "offset : is not one that was given")
    begin, end = int(offset), int(offset) + int(limit)
    return found[begin:end], str(end) if end < len(found) else None
