"""What our texts call by the name that Home Assistant's own pages have for it, has that name in each language."""

from collections.abc import Iterator, Mapping
import json
from pathlib import Path
import re
from typing import Any, Final

import hass_frontend
import pytest

from tests import translations

LABELS: Final = {
    "Add dashboard": "panel.config.lovelace.dashboards.picker.add_dashboard",
    "Application credentials": "panel.config.application_credentials.caption",
    "Community dashboards": "panel.config.lovelace.dashboards.dialog_new.heading.custom",
    "Devices & services": "panel.config.dashboard.devices.main",
    "Reconfigure": "panel.config.integrations.config_entry.reconfigure",
    "Submit": "panel.config.integrations.config_flow.submit",
}
"""English label -> its place in the texts of Home Assistant's frontend."""


def flat(node: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, str]]:
    """Yield the place of each text, and the text."""
    for key, value in node.items():
        place = f"{path}.{key}" if path else key
        if isinstance(value, Mapping):
            yield from flat(value, place)
        else:
            yield place, value


def of_home_assistant(language: str) -> dict[str, str]:
    """Return the texts of the installed frontend, which has a file for each of its parts."""
    files = (Path(hass_frontend.where()) / "static" / "translations").rglob(f"{language}-*.json")
    texts = (flat(json.loads(file.read_text("utf-8"))) for file in files)
    return {place.removeprefix("ui."): text for part in texts for place, text in part}


def says(text: str, label: str) -> bool:
    """Tell whether a text has a label, however it is capitalized."""
    return re.search(rf"\b{re.escape(label)}\b", text, re.IGNORECASE) is not None


@pytest.mark.parametrize("language", translations.LANGUAGES)
def test_labels_of_home_assistants_pages_are_those_that_a_person_sees(language: str) -> None:
    """A button that is called *OK* there is no *Absenden* here."""
    theirs, english = of_home_assistant(language), dict(flat(translations.translations()))
    ours = dict(flat(translations.translations(language)))
    for label, place in LABELS.items():
        named = [key for key, text in english.items() if says(text, label)]
        assert named, label
        wrong = {key: ours[key] for key in named if not says(ours[key], theirs[place])}
        assert not wrong, f"{label} is {theirs[place]} in Home Assistant"
