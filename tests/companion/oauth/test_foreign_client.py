"""A client that nobody here wrote (oauthlib) walks through every grant, pages included."""

from typing import Any
from urllib.parse import urlsplit

from oauthlib.oauth2 import DeviceClient, WebApplicationClient
from oauthlib.oauth2.rfc6749.errors import CustomOAuth2Error, InvalidGrantError
import pytest

from teslafi_companion.domain.accounts.step_up import Purpose
from teslafi_companion.settings import MY_HOME_ASSISTANT
from teslafi_companion.store.database import Store

from ..clock import ManualClock
from .linking import CLIENT, INSTANCE, Browser, Http, bearer, make_account

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
NAMED = {"instance_name": INSTANCE.name, "instance_id": INSTANCE.id}
SCOPES = ["account:read", "link:read"]


@pytest.fixture(autouse=True)
def _loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tell oauthlib, which asks for TLS everywhere, that here everything stays on loopback."""
    monkeypatch.setenv("OAUTHLIB_INSECURE_TRANSPORT", "1")


async def send(http: Http, path: str, body: str) -> str:
    async with http.post(path, data=body, headers=FORM) as response:
        return await response.text()


async def status_of(http: Http, client: Any) -> int:  # noqa: ANN401 - oauthlib carries no types
    _, headers, _ = client.add_token("https://companion.example/api/v1/status", headers={})
    assert headers == bearer(client.access_token)
    async with http.get("/api/v1/status", headers=headers) as response:
        return response.status


async def test_code_with_pkce_refresh_and_revocation(store: Store, http: Http, clock: ManualClock) -> None:
    client = WebApplicationClient(CLIENT.id)
    verifier = client.create_code_verifier(64)
    uri = client.prepare_request_uri(
        "http://localhost:8080/oauth/authorize",
        redirect_uri=MY_HOME_ASSISTANT,
        scope=SCOPES,
        state="state-of-home-assistant",
        code_challenge=client.create_code_challenge(verifier, "S256"),
        code_challenge_method="S256",
        **NAMED,
    )
    browser = await Browser.signed_in(store, http, await make_account(store), Purpose.LINK)
    parts = urlsplit(uri)
    answer = await browser.send(f"{parts.path}?{parts.query}", answer="allow")
    code = client.parse_request_uri_response(answer.location, state="state-of-home-assistant")["code"]

    body = client.prepare_request_body(code=code, redirect_uri=MY_HOME_ASSISTANT, code_verifier=verifier)
    tokens = client.parse_request_body_response(await send(http, "/oauth/token", body), scope=SCOPES)
    assert tokens["expires_in"] == 900
    assert await status_of(http, client) == 200
    clock.advance(minutes=15)
    assert await status_of(http, client) == 401

    body = client.prepare_refresh_body(refresh_token=tokens["refresh_token"], client_id=CLIENT.id)
    renewed = client.parse_request_body_response(await send(http, "/oauth/token", body))
    assert renewed["refresh_token"] != tokens["refresh_token"]
    assert await status_of(http, client) == 200

    _, _, body = client.prepare_token_revocation_request(
        "https://companion.example/oauth/revoke", renewed["refresh_token"], client_id=CLIENT.id
    )
    assert await send(http, "/oauth/revoke", body) == ""
    assert await status_of(http, client) == 401
    body = client.prepare_refresh_body(refresh_token=renewed["refresh_token"], client_id=CLIENT.id)
    refusal = await send(http, "/oauth/token", body)
    with pytest.raises(InvalidGrantError):
        client.parse_request_body_response(refusal)


async def test_the_device_grant(store: Store, http: Http, clock: ManualClock) -> None:
    client = DeviceClient(CLIENT.id, scope=SCOPES)
    uri = client.prepare_request_uri("https://companion.example/oauth/device_authorization", **NAMED)
    async with http.post("/oauth/device_authorization", data=urlsplit(uri).query, headers=FORM) as response:
        codes = await response.json()
    polling = client.prepare_request_body(device_code=codes["device_code"], include_client_id=True)
    waiting = await send(http, "/oauth/token", polling)
    with pytest.raises(CustomOAuth2Error, match="authorization_pending"):
        client.parse_request_body_response(waiting)

    browser = await Browser.signed_in(store, http, await make_account(store), Purpose.LINK)
    entered = await browser.send("/device", user_code=codes["user_code"].lower())
    assert (await browser.send(entered.location, answer="allow")).status == 200

    clock.advance(seconds=codes["interval"])
    tokens = client.parse_request_body_response(await send(http, "/oauth/token", polling), scope=SCOPES)
    assert tokens["token_type"] == "Bearer"
    assert await status_of(http, client) == 200
