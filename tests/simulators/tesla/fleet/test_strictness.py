"""Where Tesla is strict, and where it is not, the simulator is the same."""

import aiohttp
import pytest

from teslafi_simulators.tesla import TeslaSimulator
from teslafi_simulators.tesla.scenario import ANNAS_MODEL_3, ANNAS_SITE, ERIKS_MODEL_S

from .test_fleet_api import ask


async def test_sites_are_listed_whatever_the_scopes_and_refused_without_theirs(
    http: aiohttp.ClientSession, tesla: TeslaSimulator
) -> None:
    token = tesla.control.mint("anna@example.com", "core-tesla-fleet", {"openid", "vehicle_device_data"}).access_token
    _, body, _ = await ask(http, tesla, token, "products")
    assert ANNAS_SITE in [product.get("energy_site_id") for product in body["response"]]
    history = ("calendar_history?kind=energy&period=day", "telemetry_history?kind=charge")
    for read in ("live_status", "site_info", *history):
        status, body, _ = await ask(http, tesla, token, f"energy_sites/{ANNAS_SITE}/{read}")
        assert (status, body["error"]) == (403, "Unauthorized missing scopes"), read
    status, body, _ = await ask(http, tesla, token, f"energy_sites/{ANNAS_SITE}/backup", method="POST")
    assert (status, body["error"]) == (403, "Unauthorized missing scopes")


async def test_any_host_tells_an_account_its_region(
    http: aiohttp.ClientSession, tesla: TeslaSimulator, token: str
) -> None:
    for host in ("na", "eu", "cn"):
        status, body, _ = await ask(http, tesla, token, "users/region", region=host)
        assert (status, body["response"]["region"]) == (200, "na")
        assert body["response"]["fleet_api_base_url"] == tesla.addresses.fleet("na")
    assert (await ask(http, tesla, token, "products", region="eu"))[0] == 421


NO_JSON = {
    "cut off": b"[",
    "NaN": b'{"percent": NaN}',
    "Infinity": b'{"percent": Infinity}',
    "no UTF-8": b"\xff\xfe",
    "deep": b"[" * 100_000,
    "long number": b'{"percent": ' + b"9" * 5000 + b"}",
}


@pytest.mark.parametrize("body", NO_JSON.values(), ids=NO_JSON)
async def test_a_body_that_is_no_json(http: aiohttp.ClientSession, tesla: TeslaSimulator, body: bytes) -> None:
    token = tesla.control.mint("erik@example.com", "core-tesla-fleet", {"vehicle_cmds"}).access_token
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    url = f"{tesla.addresses.fleet('eu')}/api/1/vehicles/{ERIKS_MODEL_S}/command/set_charge_limit"
    async with http.post(url, headers=headers, data=body) as response:
        assert (response.status, (await response.json())["error"]) == (406, "not_a_JSON_request")


@pytest.mark.parametrize("moment", [1_539_465_730_000, "1539465730000", None])
async def test_a_shared_place_may_carry_its_moment_as_number_or_text(
    http: aiohttp.ClientSession, tesla: TeslaSimulator, token: str, moment: object
) -> None:
    value = {"android.intent.extra.TEXT": "Main Street 1"}
    sent = {"type": "share_ext_content_raw", "value": value, "locale": "en-US", "timestamp_ms": moment}
    url = f"{tesla.addresses.fleet('na')}/api/1/vehicles/{ANNAS_MODEL_3}/command/navigation_request"
    headers = {"Authorization": f"Bearer {token}"}
    async with http.post(url, headers=headers, json=sent) as response:
        assert (await response.json())["response"] == {"result": True, "reason": "", "queued": True}
    async with http.post(url, headers=headers, json=sent | {"timestamp_ms": "now"}) as response:
        assert (response.status, (await response.json())["error"]) == (400, "invalid_field")
