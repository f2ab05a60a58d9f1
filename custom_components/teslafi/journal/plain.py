"""Dataclasses of the journal as JSON and back: what a state is kept as between runs."""

from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from enum import StrEnum
from functools import lru_cache
from types import UnionType
from typing import Any, TypeAliasType, get_args, get_origin, get_type_hints

import orjson


class NotUnderstood(ValueError):
    """The JSON is not what `to_json` wrote."""


def to_json(value: object) -> str:
    """Return a value as the text of a JSON object; it is written with each look at a car."""
    # Reasons are words of an enumeration, and keys
    return orjson.dumps(value, default=_as_list, option=orjson.OPT_NON_STR_KEYS).decode()


def _as_list(value: object) -> list[object]:
    """Return a named tuple's values, which orjson does not write by itself."""
    if isinstance(value, tuple):
        return list(value)
    raise TypeError(type(value).__name__)


def from_json[T](wanted: type[T], text: str) -> T:
    """Undo `to_json`, also of earlier versions, which left nulls out; raise NotUnderstood when it is something else."""
    try:
        made = _read(wanted, orjson.loads(text))
    except (TypeError, KeyError, ValueError, AttributeError) as error:
        raise NotUnderstood(f"not a {wanted.__name__}") from error
    if not isinstance(made, wanted):
        raise NotUnderstood(f"not a {wanted.__name__}")
    return made


@lru_cache(maxsize=64)
def _hints(wanted: type) -> Mapping[str, Any]:
    return get_type_hints(wanted)


def _read(wanted: Any, raw: Any) -> Any:  # noqa: ANN401 - it reads any annotation of the journal
    while isinstance(wanted, TypeAliasType):
        wanted = wanted.__value__
    if isinstance(wanted, UnionType):
        return _read_union(get_args(wanted), raw)
    if (origin := get_origin(wanted)) is not None:
        return _read_container(origin, get_args(wanted), raw)
    if is_dataclass(wanted) and isinstance(wanted, type):
        hints = _hints(wanted)
        return wanted(**{name: _read(hints[name], content) for name, content in raw.items()})
    return _read_scalar(wanted, raw)


def _read_scalar(wanted: Any, raw: Any) -> Any:  # noqa: ANN401 - the same
    if isinstance(wanted, type) and issubclass(wanted, StrEnum):
        return wanted(raw)
    if isinstance(wanted, type) and issubclass(wanted, tuple):
        hints = _hints(wanted)
        return wanted(*(_read(hint, content) for hint, content in zip(hints.values(), raw, strict=True)))
    if wanted is float and type(raw) is int:
        return float(raw)
    if type(raw) is not wanted:
        raise TypeError(wanted)
    return raw


def _read_union(options: Sequence[Any], raw: Any) -> Any:  # noqa: ANN401 - the same
    if raw is None:
        return None
    chosen = [option for option in options if option is not type(None)]
    if len(chosen) > 1:
        chosen = [option for option in chosen if _kind(option) == raw["kind"]]
    return _read(chosen[0], raw)


def _kind(option: Any) -> str:  # noqa: ANN401 - the same
    return next(str(field.default) for field in fields(option) if field.name == "kind")


def _read_container(origin: Any, inside: Sequence[Any], raw: Any) -> Any:  # noqa: ANN401 - the same
    if origin is tuple:
        return tuple(_read(hint, content) for hint, content in zip(inside, raw, strict=True))
    if issubclass(origin, Mapping):
        return {key: _read(inside[1], content) for key, content in raw.items()}
    return tuple(_read(inside[0], content) for content in raw)
