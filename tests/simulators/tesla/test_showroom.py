"""The simulator's page for people: codes that work, buttons that do what they say."""

from collections.abc import AsyncIterator

import aiohttp
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
import pytest

from teslafi_simulators.tesla import TeslaSimulator
from teslafi_simulators.tesla.clock import ManualClock
from teslafi_simulators.tesla.scenario import ANNAS_MODEL_3, ANNAS_MODEL_Y
from teslafi_simulators.tesla.showroom import BUTTONS, OtherAccount

pytestmark = pytest.mark.usefixtures("socket_enabled")


@pytest.fixture
async def tesla() -> AsyncIterator[TeslaSimulator]:
    """Be Tesla at one moment: a code is over after thirty seconds, maybe between a page and a look at it."""
    async with TeslaSimulator(clock=ManualClock(1_795_435_200.0), scenario="showroom") as simulator:
        yield simulator


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


async def page_of(tesla: TeslaSimulator, http: aiohttp.ClientSession) -> str:
    async with http.get(f"{tesla.url}/") as response:
        assert response.status == 200
        return await response.text()


async def press(tesla: TeslaSimulator, http: aiohttp.ClientSession, action: str, vin: str, **more: str) -> int:
    async with http.post(f"{tesla.url}/showroom/{action}", data={"vin": vin, **more}) as response:
        return response.status


async def test_it_shows_who_can_sign_in_and_every_car(tesla: TeslaSimulator, http: aiohttp.ClientSession) -> None:
    tesla.other_accounts.append(OtherAccount("Companion", "owner@example.org", "<secret>", lambda: "123456"))
    page = await page_of(tesla, http)
    assert str(tesla.accounts.current_passcode("anna@example.com")) in page
    assert "&lt;secret&gt;" in page
    assert "<secret>" not in page
    assert all(car.vin in page for car in tesla.garage)


async def test_each_button_works_on_a_car_that_sleeps(tesla: TeslaSimulator, http: aiohttp.ClientSession) -> None:
    for action in BUTTONS:
        assert await press(tesla, http, action, ANNAS_MODEL_Y) == 200, action
    assert await press(tesla, http, "fly", ANNAS_MODEL_Y) == 400
    assert await press(tesla, http, "drive", "nobody's") == 400


async def test_they_do_what_they_say(tesla: TeslaSimulator, http: aiohttp.ClientSession) -> None:
    await press(tesla, http, "open", ANNAS_MODEL_Y)
    await press(tesla, http, "pressure", ANNAS_MODEL_Y)
    state = tesla.control.car(ANNAS_MODEL_Y).data["vehicle_state"]
    assert (state["df"], state["locked"], state["tpms_soft_warning_fl"]) == (1, False, True)
    await press(tesla, http, "drive", ANNAS_MODEL_Y)
    assert "driving to Office" in await page_of(tesla, http)


async def test_a_key_is_hosted_and_paired(tesla: TeslaSimulator, http: aiohttp.ClientSession) -> None:
    key = ec.generate_private_key(ec.SECP256R1()).public_key()
    public_pem = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    assert await press(tesla, http, "pair", ANNAS_MODEL_3, client_id="teslafi-controls") == 400
    async with http.get(f"{tesla.url}/showroom/key") as response:
        assert "teslafi-controls" in await response.text()
    assert await press(tesla, http, "key", "", client_id="teslafi-controls", pem="no key") == 400
    assert await press(tesla, http, "key", "", client_id="teslafi-controls", pem=public_pem) == 200
    assert "Pair the key of teslafi-controls" in await page_of(tesla, http)
    assert await press(tesla, http, "pair", ANNAS_MODEL_3, client_id="teslafi-controls") == 200
    assert len(tesla.control.car(ANNAS_MODEL_3).keys) == 1


def test_the_cars_are_as_people_know_them() -> None:
    garage = TeslaSimulator(scenario="showroom").garage
    told = {car.vin: car.data for car in garage}
    assert told[ANNAS_MODEL_3]["vehicle_config"]["car_type"] == "model3"
    assert not told[ANNAS_MODEL_3]["vehicle_config"]["sun_roof_installed"]
    assert told[ANNAS_MODEL_3]["charge_schedule_data"]["charge_schedules"]
    assert told[ANNAS_MODEL_Y]["vehicle_config"]["car_type"] == "modely"
    home = told[ANNAS_MODEL_Y]["drive_state"]
    assert (home["latitude"], home["longitude"]) == (37.4, -122.1)
    assert all(data["drive_state"]["latitude"] > 30 for data in told.values()), "no car in the sea"


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:1", "https://"])
async def test_another_sites_page_presses_nothing(
    tesla: TeslaSimulator, http: aiohttp.ClientSession, origin: str
) -> None:
    for action in (*BUTTONS, "pair", "key"):
        address = f"{tesla.url}/showroom/{action}"
        async with http.post(address, data={"vin": ANNAS_MODEL_3}, headers={"Origin": origin}) as response:
            assert response.status == 403, action
    own = {"Origin": tesla.url}
    async with http.post(f"{tesla.url}/showroom/sleep", data={"vin": ANNAS_MODEL_3}, headers=own) as response:
        assert response.status == 200


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"\xff\xfe=\xff", "application/x-www-form-urlencoded"),
        (b"vin=%ff%00", "application/x-www-form-urlencoded; charset=utf-7"),
        (b"vin=x", "application/x-www-form-urlencoded; charset=nothing"),
        (b"--", "multipart/form-data; boundary=x"),
        (b"--", "multipart/form-data"),
        (b"", "text/plain"),
    ],
)
async def test_an_odd_form_is_refused(
    tesla: TeslaSimulator, http: aiohttp.ClientSession, body: bytes, kind: str
) -> None:
    for action in ("drive", "pair", "key", "nothing"):
        address = f"{tesla.url}/showroom/{action}"
        async with http.post(address, data=body, headers={"Content-Type": kind}) as response:
            assert response.status == 400, action
