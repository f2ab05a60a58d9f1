"""The words of both houses are the contract's."""

from importlib.resources import files
from pathlib import Path
import subprocess
import sys
from typing import Any, Final

import pytest
import yaml

from teslafi_companion.http.pages.command_words import COMMANDS, REASONS, RESULTS
from teslafi_companion.language import translate
from tests.translations import LANGUAGES, translations

ROOT: Final = Path(__file__).parents[2]
CONTRACT: Final = ROOT / "contract" / "companion-api.yaml"
RELEASED: Final = sorted((ROOT / "contract" / "released").glob("*.yaml"))


def test_the_modules_of_words_are_made_from_the_contract() -> None:
    made = _run(ROOT / "script" / "contract_words.py", "--check")
    assert made.returncode == 0, made.stdout + made.stderr


def test_a_module_that_differs_is_found(tmp_path: Path) -> None:
    """The check itself can fail."""
    for name in ("contract", "script", "custom_components/teslafi/link", "companion/src/teslafi_companion/domain"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "contract" / CONTRACT.name).write_bytes(CONTRACT.read_bytes())
    script = tmp_path / "script" / "contract_words.py"
    script.write_bytes((ROOT / "script" / "contract_words.py").read_bytes())
    assert _run(script).returncode == 0
    words = tmp_path / "custom_components" / "teslafi" / "link" / "words.py"
    words.write_text(words.read_text().replace("energy", "energetic"))
    made = _run(script, "--check")
    assert made.returncode == 1
    assert "link/words.py" in made.stdout


def test_the_companion_serves_the_one_contract() -> None:
    assert files("teslafi_companion.http.api").joinpath("openapi.yaml").read_bytes() == CONTRACT.read_bytes()


@pytest.mark.parametrize("released", RELEASED, ids=lambda path: path.stem)
def test_nothing_that_was_released_is_taken_away(released: Path) -> None:
    """Within a version of the API operations, fields and words are added, never taken away."""
    before, today = (yaml.safe_load(path.read_text("utf-8")) for path in (released, CONTRACT))
    for path, operations in before["paths"].items():
        assert operations.keys() <= today["paths"].get(path, {}).keys(), path
    assert set(_words(before)) <= set(_words(today))
    for name, schema in before["components"]["schemas"].items():
        assert set(schema.get("properties", {})) <= set(today["components"]["schemas"][name].get("properties", {})), (
            name
        )


def _run(*command: Path | str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - our own script
        [sys.executable, *command], check=False, capture_output=True, text=True
    )


def _words(node: Any) -> list[str]:  # noqa: ANN401 - any part of a document
    if isinstance(node, dict):
        own = [str(word) for word in node.get("enum", [])] if isinstance(node.get("enum"), list) else []
        return own + [word for value in node.values() for word in _words(value)]
    return [word for value in node for word in _words(value)] if isinstance(node, list) else []


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(
    ("subject", "words"),
    [("command", COMMANDS), ("result", RESULTS), ("reason", REASONS)],
    ids=lambda one: str(one)[:7],
)
def test_the_companion_tells_commands_as_home_assistant_does(
    language: str, subject: str, words: dict[str, str]
) -> None:
    said = translations(language)["selector"][subject]["options"]
    assert {name: translate(language, text) for name, text in words.items()} == said
