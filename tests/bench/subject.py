"""One integration with so many cars, in a process of its own: sets up, refreshes, prints its figures as JSON.

`python -m tests.bench.subject INTEGRATION SIMULATOR_URL CARS`, the token answer as JSON on standard input. Two are no
integrations: `bare` are the library's two calls alone, of which a refresh consists in both integrations; `registry` is
what Home Assistant's registry takes for as many entities as ours registers.
"""

import asyncio
from collections.abc import Awaitable, Callable
from copy import replace
import gc
import json
from pathlib import Path
import sys
import tempfile
import time
from typing import Any, Final

import aiohttp
from homeassistant import loader
from homeassistant.components.application_credentials import ClientCredential, async_import_client_credential
from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.helpers import device_registry as dr, entity_registry as er
from homeassistant.helpers.storage import Store
from homeassistant.setup import async_setup_component
from pytest_homeassistant_custom_component.common import (  # type: ignore[import-untyped]
    MockConfigEntry,
    async_test_home_assistant,
)
from tesla_fleet_api import TeslaFleetApi
import tesla_fleet_api.const
from tesla_fleet_api.tesla import VehicleFleet

from custom_components.teslafi.coordinators.journal import get_journal
from custom_components.teslafi.polling import rule
from custom_components.teslafi.storage.vault import async_get_vault
from custom_components.teslafi.tesla.grant import Grant
from custom_components.teslafi.tesla.reader import CLASSIC_ENDPOINTS, LOCATION_ENDPOINT, SCHEDULE_ENDPOINTS
from teslafi_simulators.tesla.addresses import Addresses
from tests.live.home_assistant import http_settings
from tests.live.ports import free_port
from tests.live.simulated_tesla import use_simulator

ROUNDS: Final = 28
"""Each way of looking. Tesla, and so the simulator, answers sixty data requests a minute for each car."""

ENTRIES: Final = 126
"""Entities that TeslaFi registers for each of these cars, nearly all of them disabled."""

type Refresh = Callable[[], Awaitable[None]]
type Wish = Callable[[], None]
type Measure = Callable[[list[Refresh], Wish, Refresh], Awaitable[dict[str, float]]]
"""Takes what looks at each car, what makes a look due, and what waits until all of it is done."""


def _resident_megabytes() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 1e6


async def _teslafi(hass: HomeAssistant, url: str, token: dict[str, Any]) -> MockConfigEntry:
    use_simulator(url)
    grant = Grant.from_answer(token, client_id="teslafi-monitoring", now=time.time())
    (await async_get_vault(hass)).park(grant.account, grant)
    data = {"method": "token", "region": "global", "requested_scopes": [], "declined_scopes": []}
    return MockConfigEntry(domain="teslafi", unique_id=grant.account, data=data)


async def _tesla_fleet(hass: HomeAssistant, url: str, token: dict[str, Any]) -> MockConfigEntry:
    addresses = Addresses(url)
    for region in tesla_fleet_api.const.SERVERS:
        tesla_fleet_api.const.SERVERS[region] = addresses.fleet(region)
        tesla_fleet_api.const.TOKEN_URLS[region] = addresses.token(region)
    await async_import_client_credential(hass, "tesla_fleet", ClientCredential("core-tesla-fleet", "x"), "core")
    data = {"auth_implementation": "core", "token": {**token, "expires_at": time.time() + 28800}}
    return MockConfigEntry(domain="tesla_fleet", unique_id="account", data=data, version=1, minor_version=2)


def _refreshes(entry: MockConfigEntry) -> list[Refresh]:
    """Return what looks at each car."""
    if entry.domain == "tesla_fleet":
        return [car.coordinator.async_refresh for car in entry.runtime_data.vehicles]
    # A person's wishes are held to a few a minute; this is no person
    rule.LOOKS_A_MINUTE = rule.STATES_A_MINUTE = sys.maxsize  # type: ignore[misc]
    return [coordinator.async_refresh for coordinator in entry.runtime_data.vehicles.values()]


def _wish(entry: MockConfigEntry, *, state_known: bool) -> Wish:
    """Return what makes a look at each car due, as time does; core asks for its state each time.

    Ours doesn't if an answer lately told it: `state_known`, as in a drive, where each minute brings one.
    """

    def wish() -> None:
        for coordinator in entry.runtime_data.vehicles.values():
            if not state_known:
                memory = coordinator._memory  # noqa: SLF001 - time that passes would take half a minute a look
                coordinator._memory = memory.with_polling(replace(memory.polling, state_at=None))  # noqa: SLF001
            coordinator.want_look()

    return _nothing if entry.domain == "tesla_fleet" else wish


async def measure(
    integration: str, url: str, cars: int, token: dict[str, Any], refreshed: Measure, *, journal: bool = False
) -> dict[str, Any]:
    """Return seconds, megabytes and counts, and what `refreshed` finds; with `journal`, it is written at once."""
    with tempfile.TemporaryDirectory() as folder:
        async with async_test_home_assistant(config_dir=folder) as hass:
            hass.data.pop(loader.DATA_CUSTOM_COMPONENTS)
            # Home Assistant's own port may be another's on this machine
            await Store[dict[str, Any]](hass, 2, "http", minor_version=2).async_save(http_settings(free_port()))
            assert await async_setup_component(hass, "application_credentials", {})
            entry = await (_teslafi if integration == "teslafi" else _tesla_fleet)(hass, url, token)
            entry.add_to_hass(hass)
            # What both import is not what setting up a car costs.
            await loader.async_get_integration(hass, integration)
            memory, wall, cpu = _resident_megabytes(), time.perf_counter(), time.process_time()
            await hass.config_entries.async_setup(entry.entry_id)
            await hass.async_block_till_done()
            figures: dict[str, Any] = {
                "setup_s": time.perf_counter() - wall,
                "setup_cpu_s": time.process_time() - cpu,
                "memory_mb": _resident_megabytes() - memory,
                "entities": len(hass.states.async_entity_ids()),
            }
            assert entry.state is ConfigEntryState.LOADED, entry.state
            # Entities are registered once; each later start of Home Assistant finds them
            await hass.config_entries.async_unload(entry.entry_id)
            gc.collect()  # a start of Home Assistant has no first set-up's leavings to collect
            cpu = time.process_time()
            await hass.config_entries.async_setup(entry.entry_id)
            await hass.async_block_till_done()
            figures["again_cpu_s"] = time.process_time() - cpu
            assert entry.state is ConfigEntryState.LOADED, entry.state

            async def settled() -> None:
                await hass.async_block_till_done()
                if journal and integration == "teslafi":
                    await get_journal(hass).async_flush()

            for name, state_known in (("refresh", False), ("look", True)):
                refreshes = _refreshes(entry)
                assert len(refreshes) == cars
                wish = _wish(entry, state_known=state_known)
                times = await refreshed(refreshes, wish, settled)
                figures |= {f"{name}_{key}": value for key, value in times.items()}
            await hass.config_entries.async_unload(entry.entry_id)
            await hass.async_stop(force=True)
    return figures


async def measure_bare(url: str, cars: int, token: dict[str, Any], refreshed: Measure) -> dict[str, Any]:
    """Return what the library's calls cost by themselves."""
    async with aiohttp.ClientSession() as http:
        api = TeslaFleetApi(http, token["access_token"], server=Addresses(url).fleet("na"))
        products = (await api.products())["response"]
        vehicles = [VehicleFleet(api, product["vin"]) for product in products]
        assert len(vehicles) == cars

        def looking(vehicle: VehicleFleet[TeslaFleetApi]) -> Refresh:
            async def look() -> None:
                await vehicle.vehicle()
                await vehicle.vehicle_data([*CLASSIC_ENDPOINTS, *SCHEDULE_ENDPOINTS, LOCATION_ENDPOINT])

            return look

        times = await refreshed([looking(vehicle) for vehicle in vehicles], _nothing, _settled)
        return {f"refresh_{key}": value for key, value in times.items()}


async def measure_registry(cars: int) -> dict[str, Any]:
    """Return what it costs to register so many disabled entities by Home Assistant's own function."""
    with tempfile.TemporaryDirectory() as folder:
        async with async_test_home_assistant(config_dir=folder) as hass:
            entry = MockConfigEntry(domain="teslafi")
            entry.add_to_hass(hass)
            devices, entities = dr.async_get(hass), er.async_get(hass)
            memory, cpu = _resident_megabytes(), time.process_time()
            for car in range(cars):
                device = devices.async_get_or_create(
                    config_entry_id=entry.entry_id, identifiers={("teslafi", f"{car:017}")}, name=f"Car {car}"
                )
                for number in range(ENTRIES):
                    entities.async_get_or_create(
                        "sensor",
                        "teslafi",
                        f"{car:017}-some_state_some_value_{number}",
                        config_entry=entry,
                        device_id=device.id,
                        disabled_by=er.RegistryEntryDisabler.INTEGRATION,
                        has_entity_name=True,
                        object_id_base=f"Name of value {number}",
                        original_name=f"Name of value {number}",
                        translation_key=f"some_state_some_value_{number}",
                    )
            await hass.async_block_till_done()
            figures = {"setup_cpu_s": time.process_time() - cpu, "memory_mb": _resident_megabytes() - memory}
            await hass.async_stop(force=True)
    return figures


def _nothing() -> None:
    """Make nothing due: each call asks."""


async def _settled() -> None:
    """Wait for nothing: nobody listens."""


async def timed(refreshes: list[Refresh], wish: Wish, settled: Refresh) -> dict[str, float]:
    """Look at every car again and again; they drive, so that values change each time."""
    # What setting up left to be collected is not what a refresh costs: refreshes alone lead to a full collection
    # once in thousands.
    gc.collect()
    wall = cpu = 0.0
    for _ in range(ROUNDS):
        wish()
        wall_before, cpu_before = time.perf_counter(), time.process_time()
        await asyncio.gather(*(refresh() for refresh in refreshes))
        await settled()
        wall += time.perf_counter() - wall_before
        cpu += time.process_time() - cpu_before
    times = ROUNDS * len(refreshes)
    return {"cpu_ms": cpu / times * 1000, "wall_ms": wall / times * 1000}


async def main(integration: str, url: str, cars: int, token: dict[str, Any]) -> dict[str, Any]:
    """Return the figures of an integration, of the bare calls, or of the bare registry."""
    if integration == "registry":
        return await measure_registry(cars)
    if integration == "bare":
        return await measure_bare(url, cars, token, timed)
    return await measure(integration, url, cars, token, timed)


if __name__ == "__main__":
    print(json.dumps(asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), json.load(sys.stdin)))))
