"""The integration's translations as its tests read them."""

from functools import cache
import json
from pathlib import Path
from typing import Any, Final

import custom_components.teslafi

FOLDER: Final = Path(custom_components.teslafi.__file__).parent / "translations"
LANGUAGES: Final = tuple(sorted(path.stem for path in FOLDER.glob("*.json")))


@cache
def translations(language: str = "en") -> dict[str, Any]:
    """Return all texts of a language, as the file has them."""
    texts: dict[str, Any] = json.loads((FOLDER / f"{language}.json").read_text("utf-8"))
    return texts
