"""Writes what documents repeat of the code: actions, rooms (docs/architecture.md), promises (docs/hosting.md).

`--check` writes nothing and fails where a document differs.
"""

from collections.abc import Iterator, Mapping
import json
from pathlib import Path
import sys
from typing import Any, Final

import yaml

ROOT: Final = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from custom_components.teslafi import PLATFORMS  # noqa: E402 - found through the line above
from tests.hosting.promises import FIELD, PROMISES  # noqa: E402
from tests.house.arrows import Arrows, module_arrows, room_arrows  # noqa: E402

COMPONENT: Final = ROOT / "custom_components" / "teslafi"
ACTIONS: Final = ROOT / "docs" / "actions.md"
ARCHITECTURE: Final = ROOT / "docs" / "architecture.md"
HOSTING: Final = ROOT / "docs" / "hosting.md"

ACTIONS_HEAD: Final = """# Actions

Actions that send commands work while [controls](../README.md#controls) are on; otherwise they fail with a message
that says what to do. If you set a code for sensitive commands, add it as `code`, or enter it first with
`teslafi.confirm_code`.

This page is made from the action descriptions by `script/documents`.
"""


def actions_page() -> str:
    """Return docs/actions.md: each action with its fields, in the words that Home Assistant shows."""
    texts = json.loads((COMPONENT / "translations" / "en.json").read_text("utf-8"))["services"]
    declared = yaml.safe_load((COMPONENT / "services.yaml").read_text("utf-8"))
    return ACTIONS_HEAD + "".join(f"\n{_action(name, text, declared[name] or {})}" for name, text in texts.items())


def _action(name: str, text: Mapping[str, Any], declared: Mapping[str, Any]) -> str:
    lines = [f"## `teslafi.{name}`", "", text["description"], ""]
    fields = dict(_fields(declared.get("fields", {})))
    if fields:
        lines += ["| Field | Required | Description |", "| --- | --- | --- |"]
        lines += [
            f"| `{field}` | {'yes' if needed else 'no'} | {text['fields'][field]['description']} |"
            for field, needed in fields.items()
        ]
        lines.append("")
    return "\n".join(lines)


def _fields(declared: Mapping[str, Any]) -> Iterator[tuple[str, bool]]:
    """Yield each field and whether it is required; fields of a section stand among the others."""
    for name, field in declared.items():
        if isinstance(field, dict) and "fields" in field:
            yield from _fields(field["fields"])
        else:
            yield name, bool((field or {}).get("required"))


def rooms_picture() -> str:
    """Return the rooms of the integration as a Mermaid flowchart: an arrow leads to what is imported.

    Platforms are one box, and an arrow that follows from others is left out.
    """
    arrows: Arrows = {}
    for room, targets in room_arrows(module_arrows(COMPONENT)).items():
        arrows.setdefault(_box(room), set()).update(_box(target) for target in targets)
    for room, targets in arrows.items():
        targets.discard(room)
    lines = [
        f"  {room} --> {target}"
        for room in sorted(arrows)
        for target in sorted(arrows[room])
        if not any(target in _reached(other, arrows) for other in arrows[room] - {target})
    ]
    return "\n".join(["```mermaid", "flowchart TD", *lines, "```"])


def _box(room: str) -> str:
    return "platforms" if room in {platform.value for platform in PLATFORMS} else room or "setup"


def _reached(room: str, arrows: Arrows) -> set[str]:
    reached: set[str] = set()
    waiting = list(arrows.get(room, ()))
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached.add(name)
            waiting.extend(arrows.get(name, ()))
    return reached


def architecture_page() -> str:
    """Return docs/architecture.md with today's picture in it."""
    return _with(ARCHITECTURE, "rooms", rooms_picture())


def promises_table() -> str:
    """Return the field's promises about hosting, with what keeps each here and the name that its test goes by."""
    lines = ["| Promise | Kept by | Test |", "| --- | --- | --- |"]
    for said, keepers in FIELD:
        for number, name in enumerate(keepers):
            kept = " ".join((PROMISES[name].__doc__ or "").split())
            lines.append(f"| {'' if number else said} | {kept} | `{name}` |")
    others = sorted(set(PROMISES) - {name for _, keepers in FIELD for name in keepers})
    for number, name in enumerate(others):
        kept = " ".join((PROMISES[name].__doc__ or "").split())
        lines.append(f"| {'' if number else 'Beyond them'} | {kept} | `{name}` |")
    return "\n".join(lines)


def hosting_page() -> str:
    """Return docs/hosting.md with today's promises in it."""
    return _with(HOSTING, "promises", promises_table())


def _with(document: Path, name: str, made: str) -> str:
    """Return a document with the part of this name made anew."""
    begin, end = f"<!-- {name}: made by script/documents -->", f"<!-- end of {name} -->"
    head, _, rest = document.read_text("utf-8").partition(begin)
    _, _, tail = rest.partition(end)
    return f"{head}{begin}\n\n{made}\n\n{end}{tail}"


def main() -> int:
    """Write the documents, or with --check tell which differ; return the exit code."""
    made = {ACTIONS: actions_page(), ARCHITECTURE: architecture_page(), HOSTING: hosting_page()}
    differing = [path for path, text in made.items() if not path.exists() or path.read_text("utf-8") != text]
    if "--check" in sys.argv[1:]:
        for path in differing:
            print(f"{path.relative_to(ROOT)} is not what the code says: run script/documents")
        return bool(differing)
    for path in differing:
        path.write_text(made[path], "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
