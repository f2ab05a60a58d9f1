"""Reads who imports whom out of the source, imports for types alone included, and finds circles.

Nothing is imported or run: what counts is what stands in the files. Modules are named within their package
(`cars.car`), the package's own `__init__` is "".
"""

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

type Arrows = dict[str, set[str]]
"""Importer -> what it imports."""


def module_arrows(root: Path) -> Arrows:
    """Return which module of the package in the folder `root` imports which other module of the same package."""
    files = {_name(path.relative_to(root)): path for path in sorted(root.rglob("*.py"))}
    return {
        name: {target for target in _targets(path, name, root.name, frozenset(files)) if target != name}
        for name, path in files.items()
    }


def room_arrows(arrows: Arrows) -> Arrows:
    """Return the arrows between rooms: what lies directly in the package, a module or a folder with all in it."""
    rooms: Arrows = {}
    for name, targets in arrows.items():
        room = _room(name)
        rooms.setdefault(room, set()).update(_room(target) for target in targets if _room(target) != room)
    return rooms


def circles(arrows: Mapping[str, set[str]]) -> list[list[str]]:
    """Return the groups of names that lead back to themselves (strongly connected components), each sorted."""
    reached = {name: _reached(name, arrows) for name in arrows}
    found = {frozenset(other for other in reached[name] if name in reached.get(other, ())) for name in arrows}
    return sorted(sorted(group) for group in found if group)


def differences(arrows: Arrows, allowed: Mapping[str, frozenset[str]]) -> list[str]:
    """Return a sentence for each arrow that `allowed` does not have, and for each of `allowed` that nobody uses."""
    new = [
        f"{name or '__init__'} imports {target or '__init__'}"
        for name in sorted(arrows)
        for target in sorted(arrows[name] - allowed.get(name, frozenset()))
    ]
    unused = [
        f"{name or '__init__'} no longer imports {target or '__init__'}: take it out of the table"
        for name in sorted(allowed)
        for target in sorted(allowed[name] - arrows.get(name, set()))
    ]
    return new + unused


def _reached(start: str, arrows: Mapping[str, set[str]]) -> set[str]:
    reached: set[str] = set()
    waiting = list(arrows[start])
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached.add(name)
            waiting.extend(arrows.get(name, ()))
    return reached


def _room(name: str) -> str:
    return name.partition(".")[0]


def _name(path: Path) -> str:
    parts = path.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _targets(path: Path, name: str, package: str, known: frozenset[str]) -> Iterator[str]:
    inside = name.split(".") if name else []
    folder = inside if path.name == "__init__.py" else inside[:-1]
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from _resolved(alias.name, (), package, known)
        elif isinstance(node, ast.ImportFrom):
            names = tuple(alias.name for alias in node.names)
            if not node.level:
                yield from _resolved(node.module or "", names, package, known)
            elif node.level <= len(folder) + 1:
                base = [*folder[: len(folder) + 1 - node.level], *([node.module] if node.module else [])]
                yield from _within(".".join(base), names, known)


def _resolved(module: str, names: tuple[str, ...], package: str, known: frozenset[str]) -> Iterator[str]:
    """Yield what an absolute import reaches inside `package`, wherever that lies (`custom_components.teslafi`)."""
    parts = module.split(".")
    if package in parts:
        yield from _within(".".join(parts[parts.index(package) + 1 :]), names, known)


def _within(module: str, names: tuple[str, ...], known: frozenset[str]) -> Iterator[str]:
    """Yield the submodules that are imported by name, and the module itself when a name is none of them."""
    submodules = {name: f"{module}.{name}" if module else name for name in names}
    found = [submodules[name] for name in names if submodules[name] in known]
    yield from found
    if len(found) < len(names) or not names:
        yield module
