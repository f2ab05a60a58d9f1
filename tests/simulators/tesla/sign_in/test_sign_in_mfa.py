"""The form with hidden inputs and the JSON endpoints of 2020 and 2021, as recorded by timdorr/tesla-api."""

from typing import Any

import pytest

from teslafi_simulators.tesla.addresses import Region
from teslafi_simulators.tesla.sign_in.throttle import ATTEMPTS
from tests.simulators.tesla.sign_in.browser import Page, Simulated, query_of


async def password_posted(simulated: Simulated) -> Page:
    """Post e-mail and password at once, as programs did."""
    page = await simulated.browser.get(simulated.owner_url())
    account = simulated.guarded
    return await simulated.browser.fill(page, identity=account.email, credential=account.password)


def mfa_url(simulated: Simulated, path: str, region: Region = "na") -> str:
    return f"{simulated.addresses.authorize(region)}/mfa/{path}"


async def post_json(simulated: Simulated, path: str, body: object) -> tuple[int, Any]:
    async with simulated.session.post(mfa_url(simulated, path), json=body) as response:
        return response.status, await response.json()


async def factors(simulated: Simulated, transaction_id: str) -> tuple[int, Any]:
    url = f"{mfa_url(simulated, 'factors')}?transaction_id={transaction_id}"
    async with simulated.session.get(url) as response:
        return response.status, await response.json()


async def test_without_device_the_one_post_ends_in_a_redirect(simulated: Simulated) -> None:
    page = await simulated.browser.get(simulated.owner_url())
    account = simulated.plain
    back = await simulated.browser.fill(page, identity=account.email, credential=account.password)
    assert back.status == 302
    assert "code" in back.returned


async def test_the_recorded_flow_with_a_passcode(simulated: Simulated) -> None:
    page = await password_posted(simulated)
    assert page.status == 200
    assert "passcode" in page.text
    transaction_id = page.inputs["transaction_id"]
    status, listed = await factors(simulated, transaction_id)
    assert status == 200
    assert [device["name"] for device in listed["data"]] == ["Device #1", "Device #2"]
    device = simulated.guarded.devices[1]
    assert listed["data"][1] == {
        "dispatchRequired": False,
        "id": device.id,
        "name": "Device #2",
        "factorType": "token:software",
        "factorProvider": "TESLA",
        "securityLevel": 1,
        "activatedAt": "2026-09-21T14:13:20.000Z",
        "updatedAt": "2026-09-21T14:13:20.000Z",
    }
    said = {
        "transaction_id": transaction_id,
        "factor_id": device.id,
        "passcode": device.passcode(simulated.clock()),
    }
    status, verified = await post_json(simulated, "verify", said)
    assert status == 200
    assert verified["data"].keys() == {
        "id",
        "challengeId",
        "factorId",
        "passCode",
        "approved",
        "flagged",
        "valid",
        "createdAt",
        "updatedAt",
    }
    assert (verified["data"]["valid"], verified["data"]["passCode"]) == (True, said["passcode"])
    back = await simulated.browser.post(page.url, {"transaction_id": transaction_id})
    assert back.status == 302
    assert back.location is not None
    assert query_of(back.location).keys() == {"code", "state", "issuer"}


async def test_a_wrong_passcode_is_answered_200_and_not_valid(simulated: Simulated) -> None:
    page = await password_posted(simulated)
    transaction_id = page.inputs["transaction_id"]
    first, second = simulated.guarded.devices
    for passcode in ("000000", second.passcode(simulated.clock())):
        said = {"transaction_id": transaction_id, "factor_id": first.id, "passcode": passcode}
        status, verified = await post_json(simulated, "verify", said)
        assert (status, verified["data"]["valid"], verified["data"]["approved"]) == (200, False, True)
    back = await simulated.browser.post(page.url, {"transaction_id": transaction_id})
    assert (back.status, back.location) == (200, None)
    assert "passcode" in back.inputs


async def test_the_recorded_flow_with_a_backup_passcode(simulated: Simulated) -> None:
    page = await password_posted(simulated)
    transaction_id = page.inputs["transaction_id"]
    said = {"transaction_id": transaction_id, "backup_code": "wrong"}
    status, attempted = await post_json(simulated, "backupcodes/attempt", said)
    assert (status, attempted["data"]["valid"], attempted["data"]["attemptsRemaining"]) == (200, False, ATTEMPTS - 1)
    said["backup_code"] = "3HZRJVC6D"
    status, attempted = await post_json(simulated, "backupcodes/attempt", said)
    assert status == 200
    assert attempted["data"] == {
        "valid": True,
        "reason": None,
        "message": None,
        "enrolled": True,
        "generatedAt": "2026-09-21T14:13:20.000Z",
        "codesRemaining": 1,
        "attemptsRemaining": 10,
        "locked": False,
    }
    assert (await simulated.browser.post(page.url, {"transaction_id": transaction_id})).status == 302


async def test_attempts_run_out(simulated: Simulated) -> None:
    page = await password_posted(simulated)
    said = {"transaction_id": page.inputs["transaction_id"], "backup_code": "wrong"}
    answers = [await post_json(simulated, "backupcodes/attempt", said) for _ in range(ATTEMPTS)]
    attempted = answers[-1][1]
    assert (attempted["data"]["attemptsRemaining"], attempted["data"]["locked"]) == (0, True)
    _, attempted = await post_json(simulated, "backupcodes/attempt", said | {"backup_code": "3HZRJVC6D"})
    assert attempted["data"]["valid"] is False
    assert attempted["data"]["codesRemaining"] == 2


@pytest.mark.parametrize("body", [None, [], "text", {"transaction_id": 7}, {"transaction_id": "12345678"}])
async def test_outside_of_a_sign_in_nothing_is_told(simulated: Simulated, body: object) -> None:
    for path in ("verify", "backupcodes/attempt"):
        status, answer = await post_json(simulated, path, body)
        assert (status, answer["error"]) == (400, "invalid_request")
    assert (await factors(simulated, "12345678"))[0] == 400


async def test_before_the_password_no_device_is_told(simulated: Simulated) -> None:
    page = await simulated.browser.get(simulated.owner_url())
    page = await simulated.browser.fill(page, identity=simulated.guarded.email)
    assert (await factors(simulated, page.inputs["transaction_id"]))[0] == 400


async def test_another_browser_cannot_join_in(simulated: Simulated) -> None:
    page = await password_posted(simulated)
    simulated.session.cookie_jar.clear()
    assert (await factors(simulated, page.inputs["transaction_id"]))[0] == 400


@pytest.mark.parametrize("host", ["/auth", "/auth-cn"])
async def test_the_old_callback_leads_to_page_not_found(simulated: Simulated, host: str) -> None:
    page = await simulated.browser.get(f"{simulated.addresses.base_url}{host}/void/callback?code=1")
    assert page.status == 302
    async with simulated.session.get(page.url) as response:
        assert response.status == 404
        assert response.url.path == f"{host}/static/404.html"
        assert "Page Not Found" in await response.text()
