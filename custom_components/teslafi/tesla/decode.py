"""From Tesla's JSON to typed snapshots and back, whatever the JSON is.

Tesla's answers differ between cars, firmware and years: keys are missing, numbers change between `0` and `0.0`, old
firmware sends `false` for a seat heater that is off, and the text `<invalid>` stands for "not available". None of that
raises here. A value of another type than documented becomes None and its path is named in `Decoded.malformed`.

The rules are tables made once from the annotations of the snapshot classes: an answer of some 280 values is decoded
once per refresh and per car. Blocks that seldom change are remembered, and are the same objects while they don't.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from operator import is_, itemgetter
import re
from types import MappingProxyType
from typing import Any, Final, TypeAliasType, cast, get_args, get_origin, get_type_hints

from .snapshot import CarState, Moment, Snapshot, VehicleRecord

type Json = bool | int | float | str | list[Json] | dict[str, Json] | None

NOTHING: Final = frozenset({"", "<invalid>"})
"""Texts by which Tesla says that there is no value. A text of blanks alone says it too."""

_INTEGERS: Final = 2**63
_FIRST_INTEGER: Final = -_INTEGERS
"""Integers from the one on and before the other are no value of a car, and would not fit the JSON of Home Assistant's
storage."""
_NUMBERS: Final = 1e12
"""Quantities from here on are no value of a car or a site: powers are in W, energies in Wh, durations in ms."""
_YEARS: Final = range(2000, 3000)
"""Years in which a moment can lie; any of them can be moved between zones."""


@dataclass(frozen=True, slots=True)
class Decoded[T]:
    """A snapshot, and the dotted paths whose value had another type than documented."""

    snapshot: T
    malformed: tuple[str, ...] = ()


class _Malformed:
    """The mark of a value that is not what Tesla documents."""


MALFORMED: Final = _Malformed()

type Reader = Callable[[object], object]


def _integer(raw: object) -> object:
    """Read a whole number. Old firmware sends a bool for 0 and 1, and any firmware may send 2.0 for 2."""
    if type(raw) is int:
        return raw if _FIRST_INTEGER <= raw < _INTEGERS else MALFORMED
    if type(raw) is bool:
        return int(raw)
    if type(raw) is float and _FIRST_INTEGER < raw < _INTEGERS and raw.is_integer():
        return int(raw)
    return MALFORMED


def number(raw: object) -> object:
    """Read a quantity as the number that was sent: an integer stays one."""
    if (type(raw) is int or type(raw) is float) and -_NUMBERS < raw < _NUMBERS:
        return raw
    return MALFORMED


def _flag(raw: object) -> object:
    """Read a bool; 0 and 1 are taken for one."""
    if type(raw) is bool:
        return raw
    if (type(raw) is int or type(raw) is float) and raw in (0, 1):
        return raw == 1
    return MALFORMED


def _text(raw: object) -> object:
    """Read a text; what stands for nothing becomes None. Text that UTF-8 cannot carry is malformed."""
    if type(raw) is not str:
        return MALFORMED
    if raw in NOTHING or raw.isspace():
        return None
    return raw if raw.isascii() or _is_utf8(raw) else MALFORMED


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _car_state(raw: object) -> object:
    """Read the state of the vehicle object."""
    text = _text(raw)
    if text is None:
        return None
    return _CAR_STATES.get(text, MALFORMED)


def _moment(raw: object) -> object:
    """Read epoch milliseconds, or the object of seconds and nanoseconds of the car's data model."""
    if type(raw) is not dict:
        return _integer(raw)
    seconds = _integer(raw.get("seconds"))
    nanoseconds = _integer(raw.get("nanos", 0))
    if not isinstance(seconds, int) or not isinstance(nanoseconds, int):
        return MALFORMED
    return _integer(seconds * 1000 + nanoseconds // 1_000_000)


def instant(raw: object) -> object:
    """Read a moment written by ISO 8601 with its zone."""
    text = _text(raw)
    if not isinstance(text, str):
        return text
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return MALFORMED
    return moment if moment.tzinfo is not None and moment.year in _YEARS else MALFORMED


_CAR_STATES: Final[Mapping[object, CarState]] = {state.value: state for state in CarState}

_READERS: Final[Mapping[object, Reader]] = {
    int: _integer,
    float: number,
    bool: _flag,
    str: _text,
    CarState: _car_state,
    Moment: _moment,
    datetime: instant,
}


@dataclass(frozen=True, slots=True, eq=False)
class _Shape:
    """How an object with certain keys is read: what stands where, and the paths that it reports."""

    scalars: tuple[tuple[str, Reader, str], ...]
    blocks: tuple[tuple[str, Block[Any]], ...]
    lists: tuple[tuple[str, Block[Any]], ...]
    paths: tuple[str, ...]
    sent: Callable[[Mapping[str, object]], tuple[object, ...]]
    """What an object says of the scalars."""


@dataclass(frozen=True, slots=True)
class _Last:
    """How a block was read last."""

    shape: _Shape
    sent: tuple[object, ...]
    inner: Mapping[str, object]
    block: Any

    def is_same(self, shape: _Shape, sent: tuple[object, ...], inner: Mapping[str, object]) -> bool:
        """Whether a block says the same again. That 1, 1.0 and true are equal does not make them the same."""
        return (
            shape is self.shape
            and sent == self.sent
            and all(map(is_, map(type, sent), map(type, self.sent), strict=True))
            and inner == self.inner
        )


type Memory = dict[str, _Last]
"""Path of a block -> how it was read last, of one car and one question."""

TIMED: Final = "timestamp"
"""The value by which a block differs each time."""


_SHAPES: Final = 16
"""Shapes of a block that are remembered: the same car sends the same keys nearly always."""


class Block[T]:
    """How one snapshot class is read from and written to a JSON object."""

    __slots__ = ("_blocks", "_direct", "_lasting", "_lists", "_model", "_scalars", "_shape", "path")

    def __init__(self, model: type[T], path: str, *, ours: frozenset[str] = frozenset({"reported"})) -> None:
        """Make the tables of a snapshot class whose values have paths that begin with `path` and a dot.

        Fields named in `ours` are not Tesla's: they are neither read nor written.
        """
        self.path = path
        self._model = model
        self._scalars: dict[str, tuple[Reader, str]] = {}
        self._blocks: dict[str, Block[Any]] = {}
        self._lists: dict[str, Block[Any]] = {}
        for name, hint in get_type_hints(model).items():
            if name in ours:
                continue
            inner = f"{path}.{name}"
            if isinstance(hint, type) and is_dataclass(hint):
                self._blocks[name] = Block(hint, inner)
            elif get_origin(hint) is tuple:
                self._lists[name] = Block(get_args(hint)[0], inner)
            else:
                self._scalars[name] = (_READERS[_of_optional(hint)], inner)
        self._direct = (
            *((name, path) for name, (_, path) in self._scalars.items()),
            *((name, block.path) for name, block in (self._blocks | self._lists).items()),
        )
        """Names and paths of the values and blocks that stand directly in this one."""
        self._lasting = TIMED not in self._scalars
        self._shape = lru_cache(_SHAPES)(self._shape_of)

    def _shape_of(self, keys: tuple[str, ...]) -> _Shape:
        """Look up each key once for all objects that have the same ones.

        The names are those of the class and not the equal ones of the answer: Python finds an argument by comparing
        names by identity, and compares texts, all of them, when that finds none.
        """
        sent = set(keys)
        scalars = tuple((name, *self._scalars[name]) for name in self._scalars if name in sent)
        return _Shape(
            scalars,
            tuple((name, block) for name, block in self._blocks.items() if name in sent),
            tuple((name, block) for name, block in self._lists.items() if name in sent),
            tuple(path for _, _, path in scalars),
            _all_of_them([name for name, _, _ in scalars]),
        )

    def read(
        self, raw: Mapping[str, object], reported: list[str], malformed: list[str], memory: Memory | None = None
    ) -> T:
        """Read a JSON object; the paths found and the paths of values of a wrong type are added to the lists."""
        shape = self._shape(tuple(raw))
        reported += shape.paths
        inner: dict[str, Any] = {}
        wrong = len(malformed)
        for key, block in shape.blocks:
            inner[key] = block.read_own(raw[key], reported, malformed, memory)
        for key, block in shape.lists:
            inner[key] = block.read_list(raw[key], reported, malformed)
        if memory is None or not self._lasting:
            return self._model(**self._values(shape, raw, malformed), **inner)
        sent = shape.sent(raw)
        last = memory.get(self.path)
        if last is not None and last.is_same(shape, sent, inner):
            return cast("T", last.block)
        known = self._model(**self._values(shape, raw, malformed), **inner)
        if len(malformed) == wrong:
            memory[self.path] = _Last(shape, sent, inner, known)
        else:
            memory.pop(self.path, None)
        return known

    def _values(self, shape: _Shape, raw: Mapping[str, object], malformed: list[str]) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for key, reader, path in shape.scalars:
            value = raw[key]
            if value is None:
                continue
            known = reader(value)
            if known is MALFORMED:
                malformed.append(path)
            elif known is not None:
                values[key] = known
        return values

    def read_own(self, raw: object, reported: list[str], malformed: list[str], memory: Memory | None = None) -> T:
        """Read what stands under this block's own key; null is a block that was not sent."""
        if type(raw) is dict:
            reported.append(self.path)
            return self.read(raw, reported, malformed, memory)
        if raw is not None:
            malformed.append(self.path)
        return self._model()

    def read_list(self, raw: object, reported: list[str], malformed: list[str]) -> tuple[T, ...]:
        """Read a list of such objects. Paths of what is missing are told of the list only, not of its entries."""
        if raw is None:
            reported.append(self.path)
            return ()
        if type(raw) is not list:
            malformed.append(self.path)
            return ()
        reported.append(self.path)
        entries: list[T] = []
        unreported: list[str] = []
        for entry in raw:
            if type(entry) is dict:
                entries.append(self.read(entry, unreported, malformed))
            else:
                malformed.append(self.path)
        return tuple(entries)

    def write(self, block: T, reported: frozenset[str] | None) -> dict[str, Json]:
        """Write the JSON object from which `read` makes the same block; with no `reported`, nulls are left out."""
        raw: dict[str, Json] = {}
        for name, (_, path) in self._scalars.items():
            value = getattr(block, name)
            if value is not None or (reported is not None and path in reported):
                raw[name] = _json(value)
        for name, inner in self._blocks.items():
            if reported is None or inner.path in reported:
                raw[name] = inner.write(getattr(block, name), reported)
        for name, inner in self._lists.items():
            if reported is None or inner.path in reported:
                raw[name] = [inner.write(entry, None) for entry in getattr(block, name)]
        return raw

    def merge(self, older: T, newer: T, reported: frozenset[str]) -> T:
        """Take each value from `newer` where the newer answer had its key (`reported`), else from `older`."""
        return self._model(**{name: getattr(newer if path in reported else older, name) for name, path in self._direct})

    def paths(self) -> tuple[str, ...]:
        """Return the paths of all values, those of inner blocks included."""
        inner = (path for block in self._blocks.values() for path in block.paths())
        return (*(path for _, path in self._scalars.values()), *inner, *(block.path for block in self._lists.values()))


def _all_of_them(names: Sequence[str]) -> Callable[[Mapping[str, object]], tuple[object, ...]]:
    """Return what takes the values of these keys from an object."""
    if len(names) > 1:
        return itemgetter(*names)
    return lambda raw: tuple(raw[name] for name in names)


def _json(value: object) -> Json:
    """Write a value as its reader reads it."""
    if isinstance(value, StrEnum):
        return value.value
    if isinstance(value, datetime):
        return value.isoformat()
    return cast("Json", value)


def _of_optional(hint: object) -> object:
    """Return X of `X | None`."""
    (kind,) = (part for part in get_args(hint) if part is not type(None))
    if not isinstance(kind, type | TypeAliasType):
        raise TypeError(f"no reader for {hint}")
    return kind


_CAPITAL: Final = re.compile(r"(?<!^)([A-Z])")


def snake_cased(raw: object, levels: int) -> object:
    """Return an answer with the keys of its first levels written as Python writes names (`feeType`: `fee_type`)."""
    if levels and type(raw) is dict:
        return {
            _CAPITAL.sub(r"_\1", key).lower() if type(key) is str else key: snake_cased(value, levels - 1)
            for key, value in raw.items()
        }
    if levels and type(raw) is list:
        return [snake_cased(entry, levels - 1) for entry in raw]
    return raw


def unwrapped(answer: object) -> object:
    """Return what stands in `response`, where Tesla puts every answer, or the object itself where it was taken out."""
    if type(answer) is dict and "response" in answer:
        return answer["response"]
    return answer


_VEHICLE: Final = Block(VehicleRecord, "vehicle")
_BLOCKS: Final[Mapping[str, Block[Any]]] = MappingProxyType(
    {
        field.name: Block(get_type_hints(Snapshot)[field.name], field.name)
        for field in fields(Snapshot)
        if field.name not in ("vehicle", "reported")
    }
)

BLOCKS: Final = frozenset(_BLOCKS)
"""Names of the blocks of an answer of `vehicle_data`."""

PATHS: Final = frozenset((*_VEHICLE.paths(), *(path for block in _BLOCKS.values() for path in block.paths())))
"""Path of every value a snapshot can hold."""


def decode_vehicle(answer: object, memory: Memory | None = None) -> Decoded[Snapshot]:
    """Decode an answer of `vehicle_data`, or a vehicle object of `/vehicles` or `/products`.

    The path of an answer that is no object at all is `response`. With the memory of what the car answered to the same
    question before, a block that says the same again is the same object.
    """
    raw = unwrapped(answer)
    if type(raw) is not dict:
        return Decoded(Snapshot(), ("response",))
    reported: list[str] = []
    malformed: list[str] = []
    vehicle = _VEHICLE.read(raw, reported, malformed, memory)
    blocks = {
        name: block.read_own(raw[name], reported, malformed, memory) for name, block in _BLOCKS.items() if name in raw
    }
    return Decoded(Snapshot(vehicle=vehicle, reported=_all_of(tuple(reported)), **blocks), tuple(malformed))


_all_of: Final = lru_cache(maxsize=4 * _SHAPES)(frozenset[str])
"""The paths as a set, the same one for all answers of one shape: cars send the same keys each time."""


def assume(snapshot: Snapshot, values: Mapping[str, object]) -> Snapshot:
    """Return the snapshot with other values at dotted paths, such as `charge_state.charge_limit_soc`."""
    for path, value in values.items():
        snapshot = _with(snapshot, path.split("."), value)
    return snapshot


def _with[T](block: T, path: Sequence[str], value: object) -> T:
    name, *rest = path
    inner = _with(getattr(block, name), rest, value) if rest else value
    return cast("T", replace(cast("Any", block), **{name: inner}))


def merge(older: Snapshot, newer: Snapshot) -> Snapshot:
    """Lay a newer answer over what was known.

    A block is taken whole from the newer answer that has it, since a key missing inside a block means that there is
    nothing (no route, no place); a block that was not sent keeps its older values. The vehicle object is sent in
    several sizes, so it is merged value by value. Everything ever reported stays reported.
    """
    reported = newer.reported
    return Snapshot(
        vehicle=_VEHICLE.merge(older.vehicle, newer.vehicle, reported),
        reported=_union(older.reported, reported) if _says_more(reported, older.reported) else older.reported,
        **{name: getattr(newer if name in reported else older, name) for name in _BLOCKS},
    )


@lru_cache(maxsize=4 * _SHAPES)
def _says_more(newer: frozenset[str], older: frozenset[str]) -> bool:
    """Whether there are paths that were never reported; the sets are large, and nearly always the same."""
    return not newer <= older


_union: Final = lru_cache(maxsize=4 * _SHAPES)(frozenset[str].union)
"""Both sets of paths as one, the same one for all cars that told the same."""
_NOTHING_KNOWN: Final = Snapshot()


def without(snapshot: Snapshot, blocks: Iterable[str]) -> Snapshot:
    """Return the snapshot with these blocks unknown. What was ever reported stays reported."""
    gone = [name for name in blocks if name in _BLOCKS]
    return replace(snapshot, **{name: getattr(_NOTHING_KNOWN, name) for name in gone}) if gone else snapshot


def encode(snapshot: Snapshot) -> dict[str, Json]:
    """Write the answer of which `decode_vehicle` makes the same snapshot, given one that came from an answer."""
    raw = _VEHICLE.write(snapshot.vehicle, snapshot.reported)
    for name, block in _BLOCKS.items():
        if name in snapshot.reported:
            raw[name] = block.write(getattr(snapshot, name), snapshot.reported)
    return raw
