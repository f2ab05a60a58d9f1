"""Clients that nobody here wrote, unmodified but for the base address."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import aiohttp
from homeassistant.components.application_credentials import ClientCredential, async_import_client_credential
from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.setup import async_setup_component
import httpx
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry  # type: ignore[import-untyped]
import requests
from tesla_fleet_api import TeslaFleetApi
import tesla_fleet_api.const
from tesla_fleet_api.exceptions import Forbidden, InvalidRegion, NotFound, VehicleOffline
from teslajsonpy.controller import Controller  # type: ignore[import-untyped]
import teslapy  # type: ignore[import-untyped] # it carries none

from teslafi_simulators.tesla import TeslaSimulator
from teslafi_simulators.tesla.scenario import ANNAS_MODEL_3, ANNAS_MODEL_Y, ANNAS_SITE

from .conftest import SCOPES


@pytest.fixture
def api(http: aiohttp.ClientSession, tesla: TeslaSimulator, token: str) -> TeslaFleetApi:
    """Return tesla-fleet-api in front of the simulator."""
    return TeslaFleetApi(http, access_token=token, server=tesla.addresses.fleet("na"))


async def test_tesla_fleet_api_reads_the_account(api: TeslaFleetApi, tesla: TeslaSimulator) -> None:
    """Products, cars, the user, the region."""
    assert (await api.products())["count"] == 3
    assert (await api.user.me())["response"]["email"] == "anna@example.com"
    assert (await api.user.region())["response"]["fleet_api_base_url"] == tesla.addresses.fleet("na")
    assert (await api.user.orders())["response"] == []
    assert (await api.user.feature_config())["response"]["signaling"]["enabled"]
    assert await api.status() == "ok"


async def test_tesla_fleet_api_reads_a_car(api: TeslaFleetApi) -> None:
    """Every read call of a car."""
    car = api.vehicles.createFleet(ANNAS_MODEL_3)
    assert (await car.vehicle())["response"]["vin"] == ANNAS_MODEL_3
    assert (await car.list())["count"] == 2
    data = (await car.vehicle_data(["charge_state", "drive_state", "location_data"]))["response"]
    assert data["charge_state"]["battery_level"]
    assert data["drive_state"]["latitude"]
    assert (await car.wake_up())["response"]["state"] == "online"
    assert (await car.mobile_enabled())["response"]["result"] is True
    assert (await car.nearby_charging_sites())["response"]["superchargers"]
    assert (await car.release_notes())["response"]["response"]["release_notes"]
    assert (await car.service_data())["response"] == {}
    assert (await car.recent_alerts())["response"]["recent_alerts"]
    assert (await car.drivers())["response"] == []
    assert (await car.fleet_telemetry_config_get())["response"]["synced"] is False
    status = (await car.fleet_status([ANNAS_MODEL_3]))["response"]
    assert status["vehicle_info"][ANNAS_MODEL_3]["vehicle_command_protocol_required"] is True


async def test_tesla_fleet_api_reads_charging_and_energy(api: TeslaFleetApi) -> None:
    """Charging history and the calls of an energy site."""
    assert (await api.charging.history())["response"]["data"][0]["invoices"][0]["contentId"]
    site = api.energySites.create(ANNAS_SITE)
    live = (await site.live_status())["response"]
    assert live["solar_power"] + live["battery_power"] + live["grid_power"] == pytest.approx(live["load_power"], abs=2)
    assert (await site.site_info())["response"]["components"]["solar"] is True
    assert (await site.energy_history("day"))["response"]["time_series"]


async def test_tesla_fleet_api_understands_the_refusals(
    api: TeslaFleetApi, http: aiohttp.ClientSession, tesla: TeslaSimulator, token: str
) -> None:
    """Asleep, forbidden, unknown, out of region."""
    with pytest.raises(VehicleOffline):
        await api.vehicles.createFleet(ANNAS_MODEL_Y).vehicle_data()
    with pytest.raises(NotFound):
        await api.vehicles.createFleet("5YJ3E1EA7KF999999").vehicle()
    with pytest.raises(Forbidden):
        await api.vehicles.createFleet(ANNAS_MODEL_3).door_unlock()
    with pytest.raises(InvalidRegion):
        await TeslaFleetApi(http, access_token=token, server=tesla.addresses.fleet("eu")).products()


@pytest.fixture
def _cores_addresses(tesla: TeslaSimulator) -> Iterator[None]:
    """Point tesla-fleet-api's tables to the simulator, and back."""
    servers, tokens = dict(tesla_fleet_api.const.SERVERS), dict(tesla_fleet_api.const.TOKEN_URLS)
    for region in tesla_fleet_api.const.SERVERS:
        tesla_fleet_api.const.SERVERS[region] = tesla.addresses.fleet(region)
        tesla_fleet_api.const.TOKEN_URLS[region] = tesla.addresses.token(region)
    yield
    tesla_fleet_api.const.SERVERS.update(servers)
    tesla_fleet_api.const.TOKEN_URLS.update(tokens)


@pytest.fixture
def hass_config_dir(tmp_path: Path) -> str:
    """Give core's integration a folder for its key."""
    return str(tmp_path)


@pytest.mark.usefixtures("_cores_addresses")
async def test_home_assistants_own_tesla_fleet(hass: HomeAssistant, tesla: TeslaSimulator) -> None:
    """Core's integration sets up against it: its entities show the simulated car."""
    assert await async_setup_component(hass, "application_credentials", {})
    await async_import_client_credential(hass, "tesla_fleet", ClientCredential("core-tesla-fleet", "x"), "core")
    # Core reads the token's end by the machine's clock.
    pair = tesla.control.mint("anna@example.com", "core-tesla-fleet", SCOPES)
    data = {"auth_implementation": "core", "token": {**pair.answer(), "expires_at": 9e9}}
    entry = MockConfigEntry(domain="tesla_fleet", unique_id="anna", data=data, version=1, minor_version=2)
    entry.add_to_hass(hass)
    await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()
    assert entry.state is ConfigEntryState.LOADED
    levels = [state for state in hass.states.async_all("sensor") if state.entity_id.endswith("_battery_level")]
    shown = {state.state for state in levels}
    assert str(tesla.control.car(ANNAS_MODEL_3).data["charge_state"]["battery_level"]) in shown
    assert len(hass.states.async_all()) > 50


async def test_teslapy_reads_a_car(tesla: TeslaSimulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """TeslaPy lists the products of an account and reads a car through the Owner API."""
    monkeypatch.setattr(teslapy, "BASE_URL", f"{tesla.addresses.owner_api}/")
    pair = tesla.control.mint("anna@example.com", "ownerapi", {"openid", "email", "offline_access"})
    with teslapy.Tesla("anna@example.com", cache_loader=dict, cache_dumper=lambda _cache: None) as client:
        client.token = {**pair.answer(), "expires_at": 9e9}
        listed = await asyncio.to_thread(client.api, "PRODUCT_LIST")
        assert [product.get("vin") for product in listed["response"]][:2] == [ANNAS_MODEL_3, ANNAS_MODEL_Y]
        number = listed["response"][0]["id"]
        data = await asyncio.to_thread(client.api, "VEHICLE_DATA", {"vehicle_id": number})
        assert data["response"]["charge_state"]["battery_level"]
        with pytest.raises(requests.exceptions.HTTPError) as refused:
            await asyncio.to_thread(client.api, "VEHICLE_LIST")
    assert "412" in str(refused.value)


class AtTheSimulator(httpx.AsyncBaseTransport):
    """Takes what is meant for Tesla's hosts to the simulator's prefixes, as a name server and a proxy would."""

    def __init__(self, tesla: TeslaSimulator) -> None:
        """Send to this simulator."""
        self._prefixes = {
            "auth.tesla.com": tesla.addresses.sso("na"),
            "owner-api.teslamotors.com": tesla.addresses.owner_api,
        }
        self._network = httpx.AsyncHTTPTransport()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send the request with nothing but its address changed."""
        target = f"{self._prefixes[request.url.host]}{request.url.raw_path.decode()}"
        return await self._network.handle_async_request(
            httpx.Request(request.method, target, headers=request.headers, stream=request.stream)
        )

    async def aclose(self) -> None:
        """Close the connections."""
        await self._network.aclose()


async def test_teslajsonpy_reads_a_car(tesla: TeslaSimulator) -> None:
    """Teslajsonpy refreshes, lists the account's cars and reads one through the Owner API."""
    pair = tesla.control.mint("anna@example.com", "ownerapi", {"openid", "email", "offline_access"})
    session = httpx.AsyncClient(transport=AtTheSimulator(tesla))
    controller = Controller(session, refresh_token=pair.refresh_token)
    tokens = await controller.connect(include_energysites=False)
    assert tokens["refresh_token"] != pair.refresh_token
    cars = await controller.generate_car_objects()
    assert set(cars) == {ANNAS_MODEL_3, ANNAS_MODEL_Y}
    await controller.update(vins={ANNAS_MODEL_3}, force=True)
    car = tesla.control.car(ANNAS_MODEL_3).data
    assert cars[ANNAS_MODEL_3].battery_level == car["charge_state"]["battery_level"]
    assert cars[ANNAS_MODEL_3].odometer == car["vehicle_state"]["odometer"]
    await controller.disconnect()
