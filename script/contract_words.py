"""Writes the words of the companion's contract as Python, for the integration and for the companion.

`contract/companion-api.yaml` is their only source. `--check` writes nothing and fails where a module differs.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
import sys
from typing import Any, Final

import yaml

ROOT: Final = Path(__file__).parents[1]
CONTRACT: Final = ROOT / "contract" / "companion-api.yaml"
TARGETS: Final = (
    ROOT / "custom_components" / "teslafi" / "link" / "words.py",
    ROOT / "companion" / "src" / "teslafi_companion" / "domain" / "words.py",
)
ENUMS: Final = ("Scope", "Acr", "TwoFactorMethod", "SubscriptionReason", "Group", "ProblemType", "Refusal")
HEAD: Final = '''"""The words of the contract between a linked Home Assistant and the companion.

Made from contract/companion-api.yaml by script/contract; edit that.
"""

from enum import StrEnum
from typing import Final

'''


def words_module(contract: Mapping[str, Any]) -> str:
    """Return the module's text: constants, then one enum for each schema of `ENUMS`."""
    schemas = contract["components"]["schemas"]
    about = schemas["About"]["properties"]
    constants = {
        "PRODUCT": about["product"]["const"],
        "API_VERSION": about["api"]["const"],
        "CLIENT_ID": schemas["ClientId"]["const"],
        "PROBLEM": schemas["ProblemType"]["x-prefix"],
    }
    lines = [f"{name}: Final = {_literal(value)}" for name, value in constants.items()]
    enums = ["\n".join(_enum(name, schemas[name])) for name in ENUMS]
    return HEAD + "\n".join(lines) + "\n\n\n" + "\n\n\n".join(enums) + "\n"


def _enum(name: str, schema: Mapping[str, Any]) -> Iterator[str]:
    yield f"class {name}(StrEnum):"
    yield f'    """{" ".join(schema["description"].split())}"""'
    yield ""
    names = schema.get("x-names", {})
    for value in schema["enum"]:
        member = names.get(value) or value.removeprefix(schema.get("x-prefix", "")).replace("-", "_").upper()
        # ruff takes the words password and token for secrets
        noqa = "  # noqa: S105 - a name" if any(word in member for word in ("PASSWORD", "TOKEN")) else ""
        yield f"    {member} = {_literal(value)}{noqa}"


def _literal(value: str | int) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value)


def main() -> int:
    """Write both modules, or with --check tell which differ; return the exit code."""
    text = words_module(yaml.safe_load(CONTRACT.read_text("utf-8")))
    differing = [path for path in TARGETS if not path.exists() or path.read_text("utf-8") != text]
    if "--check" in sys.argv[1:]:
        for path in differing:
            print(f"{path.relative_to(ROOT)} differs from the contract: run script/contract")
        return bool(differing)
    for path in differing:
        path.write_text(text, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
