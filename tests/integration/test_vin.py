"""A VIN is one VIN in whatever form Tesla, the companion or a file writes it."""

import aiohttp
from aiohttp import web
from hypothesis import given, strategies as st
import pytest

from custom_components.teslafi.storage.last_values import Stored
from custom_components.teslafi.tesla.vin import vin_of

from .scripted import ScriptedServer
from .test_blame import VIN, valid
from .test_redirects import Asker, http, tesla  # noqa: F401 - fixtures
from .test_session import Shelf, session_of

blanks = st.text(" \t\n", max_size=2)
FORMS = [VIN, VIN.lower(), f" {VIN}\n", VIN[:8].lower() + VIN[8:]]


@given(st.text("0123456789ABCDEFGHJKLMNPRSTUVWXYZ", min_size=1, max_size=17), blanks, blanks, st.randoms())
def test_every_form_of_a_vin_is_the_same(vin: str, before: str, after: str, random: object) -> None:
    written = "".join(random.choice((letter, letter.lower())) for letter in vin)  # type: ignore[attr-defined]
    assert vin_of(before + written + after) == vin == vin_of(vin)
    kept = {"vehicles": {written: {}}, "ledgers": {before + vin: {}}, "absences": {written + after: [1.0, 2.0]}}
    stored = Stored.from_json(kept)
    assert {*stored.vehicles} == {*stored.ledgers} == {*stored.absences} == {vin}


@pytest.mark.parametrize("form", FORMS)
async def test_tesla_may_write_it_in_any_form(
    tesla: ScriptedServer,  # noqa: F811
    http: aiohttp.ClientSession,  # noqa: F811
    form: str,
) -> None:
    """In the list of products, among the cars that know the key, and in the status of the fleet."""
    asker = Asker(http, await session_of(Shelf(valid()), http))
    tesla.answers = [web.json_response({"response": [{"vin": form, "state": "online"}, {"vin": " "}, {"vin": None}]})]
    assert {*(await asker.reader.products()).vehicles} == {VIN}
    tesla.answers = [web.json_response({"response": {"key_paired_vins": [form, None, 7]}})]
    assert await asker.paired() == {VIN}
    tesla.answers = [web.json_response({"response": {"vehicle_info": {form: {"discounted_device_data": True}}}})]
    assert await asker.reader.discounted([VIN], lambda _: None) == {VIN}
