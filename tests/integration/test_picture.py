"""The car's picture: our own drawing in the color of its paint, the same for whoever asks."""

import re
from typing import Any, Final
from xml.etree import ElementTree as ET

from homeassistant.core import HomeAssistant
from homeassistant.setup import async_setup_component
from hypothesis import given, strategies as st
import pytest
from pytest_homeassistant_custom_component.typing import (  # type: ignore[import-untyped]
    ClientSessionGenerator,
)

from custom_components.teslafi.catalogue.models import MODELS, trim_of
from custom_components.teslafi.catalogue.paint import BARE, PAINTS, UNKNOWN, paint_of
from custom_components.teslafi.const import DOMAIN
from custom_components.teslafi.picture import OUTLINE, SHAPES, drawing, picture_path
from custom_components.teslafi.tesla.snapshot import Snapshot, VehicleConfig

from .recorded import MODEL_3, VIN, RecordedReader, look_again, watch, watch_car

COLOR: Final = re.compile(r"[0-9a-f]{6}")


def picture(hass: HomeAssistant) -> str:
    """Return where the picture of the recorded car is."""
    (state,) = [one for one in hass.states.async_all("device_tracker") if "entity_picture" in one.attributes]
    return str(state.attributes["entity_picture"])


async def test_the_car_has_its_color_on_the_map(hass: HomeAssistant) -> None:
    """From its configuration, as soon as that is known; a destination is no car."""
    entry, reader = await watch_car(hass, MODEL_3, every_entity=True)
    paint = PAINTS[reader.cars[VIN]["vehicle_config"]["exterior_color"].lower()]
    states = {state.entity_id: state for state in hass.states.async_all("device_tracker")}
    assert states["device_tracker.test"].attributes["entity_picture"] == f"/api/teslafi/car/model_3/{paint}.svg"
    assert "entity_picture" not in states["device_tracker.test_destination"].attributes
    reader.cars[VIN]["vehicle_config"]["exterior_color"] = "RedMulticoat"
    reader.cars[VIN]["drive_state"]["latitude"] += 0.1
    await look_again(hass, entry)
    assert picture(hass).endswith(f"/{PAINTS['redmulticoat']}.svg")


async def test_a_car_that_was_never_read_has_a_picture(hass: HomeAssistant) -> None:
    await watch(hass, RecordedReader({VIN: {"vin": VIN, "state": "asleep"}}, {}))
    assert picture(hass) == picture_path(None, UNKNOWN).replace("/car/car/", "/car/model_x/")


@pytest.mark.parametrize("model", SHAPES)
async def test_every_model_is_drawn_without_a_token(
    hass: HomeAssistant, hass_client_no_auth: ClientSessionGenerator, model: str
) -> None:
    """Cards fetch pictures without one. Nothing in it is anybody's, and nothing runs."""
    assert await async_setup_component(hass, DOMAIN, {})
    client = await hass_client_no_auth()
    answer = await client.get(f"/api/teslafi/car/{model}/9c1b22.svg")
    assert answer.status == 200
    assert answer.content_type == "image/svg+xml"
    assert answer.headers["Content-Security-Policy"] == "default-src 'none'"
    drawn = await answer.text()
    assert "#9c1b22" in drawn
    assert "script" not in drawn
    assert ET.fromstring(drawn).tag.endswith("svg")  # noqa: S314 - our own


def luminance(color: str) -> float:
    """Return the relative luminance of WCAG 2.2."""
    levels = [int(color[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    red, green, blue = (level / 12.92 if level <= 0.04045 else ((level + 0.055) / 1.055) ** 2.4 for level in levels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("card", ["ffffff", "fafafa", "1c1c1c", "111111"])
def test_every_paint_is_seen_on_light_and_dark_cards(card: str) -> None:
    """By the outline, in WCAG's contrast for what is no text (1.4.11)."""
    assert f"#{OUTLINE}" in drawing("model_3", PAINTS["solidblack"])
    dark, light = sorted((luminance(card), luminance(OUTLINE)))
    assert (light + 0.05) / (dark + 0.05) >= 3


@pytest.mark.parametrize(
    "path",
    [
        "model_3/9c1b2.svg",
        "model_3/9c1b22a.svg",
        "model_3/9C1B22.svg",
        "model_3/\u0661\u0661\u0661\u0661\u0661\u0661.svg",
        "model_3/%22%2F%3E%3Cscript%3E.svg",
        "model_3/url(x).svg",
        "roadrunner/9c1b22.svg",
        "..%2F..%2Fsecrets/9c1b22.svg",
        "MODEL_3/9c1b22.svg",
        "__class__/9c1b22.svg",
    ],
)
async def test_nothing_else_is(hass: HomeAssistant, hass_client_no_auth: ClientSessionGenerator, path: str) -> None:
    """Home Assistant itself turns down what looks like an attack."""
    assert await async_setup_component(hass, DOMAIN, {})
    client = await hass_client_no_auth()
    assert (await client.get(f"/api/teslafi/car/{path}")).status in (400, 404)


@given(st.none() | st.text(), st.none() | st.text(), st.none() | st.sampled_from([*MODELS.values(), "Semi", "<b>"]))
def test_any_paint_makes_a_picture_that_exists(name: str | None, numbers: str | None, model: str | None) -> None:
    config = VehicleConfig(exterior_color=name, paint_color_override=numbers)
    color = paint_of(Snapshot(vehicle_config=config), model)
    assert COLOR.fullmatch(color)
    assert picture_path(model, color).split("/")[4] in SHAPES


@pytest.mark.parametrize(
    ("config", "model", "color"),
    [
        ({"exterior_color": "DeepBlue"}, "Model 3", PAINTS["deepblue"]),
        ({"exterior_color": "Midnight Silver"}, "Model 3", PAINTS["midnightsilver"]),
        ({"exterior_color": "NewestHue", "paint_color_override": "19,20,22,0.8,0.04"}, "Model Y", "131416"),
        ({"paint_color_override": "0,0,0,0,0"}, "Model Y", UNKNOWN),
        ({"paint_color_override": "300,20,22,0.8"}, "Model Y", UNKNOWN),
        ({"paint_color_override": "1.5,20,22"}, "Model Y", UNKNOWN),
        ({}, "Cybertruck", BARE["Cybertruck"]),
        ({}, None, UNKNOWN),
    ],
)
def test_paints(config: dict[str, Any], model: str | None, color: str) -> None:
    assert paint_of(Snapshot(vehicle_config=VehicleConfig(**config)), model) == color


@pytest.mark.parametrize(
    ("car_type", "badge", "words"),
    [
        ("model3", "74d", "Long Range AWD"),
        ("model3", "P74D", "Performance"),
        ("modely", "74d", "Long Range AWD"),
        ("models", "p85d", "P85D"),
        ("lychee", "p100d", "Plaid"),
        ("tamarind", "100d", "Long Range"),
        ("models2", "p100d", "P100D"),
        ("model3", None, None),
        (None, "74d", "74D"),
    ],
)
def test_trims_in_words(car_type: str | None, badge: str | None, words: str | None) -> None:
    snapshot = Snapshot(vehicle_config=VehicleConfig(car_type=car_type, trim_badging=badge))
    assert trim_of(snapshot) == words
