"""The endpoints for programs, over HTTP and on both databases."""

import asyncio
import logging

from aiohttp import FormData
import pytest

from teslafi_companion.settings import MY_HOME_ASSISTANT
from teslafi_companion.store.database import Store

from ..clock import ManualClock
from .linking import (
    CLIENT,
    INSTANCE,
    VERIFIER,
    Http,
    bearer,
    code_form,
    link_up,
    links,
    make_account,
    make_code,
    post,
    refresh_form,
    subjects,
)

DEVICE = {"client_id": CLIENT.id, "instance_name": INSTANCE.name, "instance_id": INSTANCE.id}


async def test_metadata(http: Http) -> None:
    async with http.get("/.well-known/oauth-authorization-server") as response:
        assert response.status == 200
        metadata = await response.json()
    origin = "http://localhost:8080"
    assert metadata["issuer"] == origin
    assert metadata["code_challenge_methods_supported"] == ["S256"]
    assert metadata["authorization_response_iss_parameter_supported"] is True
    for name in ("authorization", "token", "device_authorization", "revocation"):
        assert metadata[f"{name}_endpoint"].startswith(f"{origin}/oauth/")


async def test_tokens_for_a_code(store: Store, http: Http) -> None:
    owner = await make_account(store)
    status, tokens = await post(http, "/oauth/token", code_form(await make_code(store, owner)))
    assert status == 200
    assert {name: tokens[name] for name in ("token_type", "expires_in", "scope")} == {
        "token_type": "Bearer",
        "expires_in": 900,
        "scope": "account:read link:read",
    }
    assert len(tokens["access_token"]) == 43
    status, next_tokens = await post(http, "/oauth/token", refresh_form(tokens["refresh_token"]))
    assert status == 200
    assert next_tokens["refresh_token"] != tokens["refresh_token"]


BAD_TOKEN_REQUESTS: dict[str, tuple[dict[str, str | None], str]] = {
    "no grant": ({"grant_type": None}, "invalid_request"),
    "password grant": ({"grant_type": "password"}, "unsupported_grant_type"),
    "client credentials": ({"grant_type": "client_credentials"}, "unsupported_grant_type"),
    "no client": ({"client_id": None}, "invalid_client"),
    "another client": ({"client_id": "evil"}, "invalid_client"),
    "no code": ({"code": None}, "invalid_request"),
    "empty code": ({"code": ""}, "invalid_request"),
    "wrong code": ({"code": "wrong"}, "invalid_grant"),
    "endless code": ({"code": "x" * 3000}, "invalid_request"),
    "no address": ({"redirect_uri": None}, "invalid_request"),
    "another address": ({"redirect_uri": MY_HOME_ASSISTANT + "?"}, "invalid_grant"),
    "no verifier": ({"code_verifier": None}, "invalid_request"),
    "another verifier": ({"code_verifier": VERIFIER[::-1]}, "invalid_grant"),
    "verifier with a line break": ({"code_verifier": VERIFIER + "\n"}, "invalid_grant"),
    "device grant without a code": (
        {"grant_type": "urn:ietf:params:oauth:grant-type:device_code"},
        "invalid_request",
    ),
    "wrong device code": (
        {"grant_type": "urn:ietf:params:oauth:grant-type:device_code", "device_code": "wrong"},
        "invalid_grant",
    ),
    "no refresh token": ({"grant_type": "refresh_token"}, "invalid_request"),
    "wrong refresh token": ({"grant_type": "refresh_token", "refresh_token": "wrong"}, "invalid_grant"),
    "unknown scope": ({"grant_type": "refresh_token", "refresh_token": "wrong", "scope": "root"}, "invalid_scope"),
}


async def test_bad_token_requests(store: Store, http: Http, subtests: pytest.Subtests) -> None:
    code = await make_code(store, await make_account(store))
    for name, (changes, error) in BAD_TOKEN_REQUESTS.items():
        form = {key: value for key, value in (code_form(code) | changes).items() if value is not None}
        with subtests.test(name):
            status, body = await post(http, "/oauth/token", form)
            assert (status, body["error"]) == (400, error)
    assert (await post(http, "/oauth/token", code_form(code)))[0] == 200


async def test_a_parameter_that_comes_twice(store: Store, http: Http) -> None:
    form = FormData([*code_form("code").items(), ("code", "other")])
    async with http.post("/oauth/token", data=form) as response:
        assert (response.status, (await response.json())["error"]) == (400, "invalid_request")


NO_FORMS = [
    ("application/json", b'{"grant_type": "refresh_token"}'),
    ("multipart/form-data; boundary=x", b"--x--"),
    ("application/x-www-form-urlencoded; charset=no-such", b"grant_type=x"),
    ("application/x-www-form-urlencoded", b"grant_type=\xff\xfe"),
    ("application/x-www-form-urlencoded", b""),
]


async def test_a_body_that_is_no_form(http: Http, subtests: pytest.Subtests) -> None:
    for content_type, body in NO_FORMS:
        with subtests.test(content_type=content_type, body=body):
            async with http.post("/oauth/token", data=body, headers={"Content-Type": content_type}) as response:
                assert (response.status, (await response.json())["error"]) == (400, "invalid_request")


async def test_a_form_of_another_kind(http: Http) -> None:
    form = FormData(refresh_form("wrong"), default_to_multipart=True)
    async with http.post("/oauth/token", data=form) as response:
        assert (response.status, (await response.json())["error"]) == (400, "invalid_request")


async def test_a_client_that_authenticates_itself_is_refused(http: Http) -> None:
    headers = {"Authorization": "Basic aG9tZS1hc3Npc3RhbnQ6"}
    async with http.post("/oauth/token", data=code_form("code"), headers=headers) as response:
        assert (response.status, (await response.json())["error"]) == (401, "invalid_client")
        assert response.headers["WWW-Authenticate"].startswith("Basic ")


async def test_get_is_no_way_to_the_token_endpoint(http: Http) -> None:
    async with http.get("/oauth/token", params=code_form("code")) as response:
        assert response.status == 405


async def test_fifty_parallel_codes_refreshes_and_polls_over_http(store: Store, http: Http, clock: ManualClock) -> None:
    owner = await make_account(store)
    form = code_form(await make_code(store, owner))
    answers = await asyncio.gather(*[post(http, "/oauth/token", form) for _ in range(50)])
    (tokens,) = [body for status, body in answers if status == 200]
    clock.advance(minutes=10)
    form = refresh_form(tokens["refresh_token"])
    answers = await asyncio.gather(*[post(http, "/oauth/token", form) for _ in range(50)])
    assert {status for status, _ in answers} == {200}
    (successor,) = {body["refresh_token"] for _, body in answers}
    assert successor != tokens["refresh_token"]
    assert (await post(http, "/oauth/token", refresh_form(successor)))[0] == 200
    assert len(await links(store, owner)) == 1


async def test_a_network_that_guesses_is_told_to_wait_while_links_live_on(
    store: Store, http: Http, clock: ManualClock
) -> None:
    given = await link_up(store, await make_account(store))
    answers = [await post(http, "/oauth/token", refresh_form("wrong")) for _ in range(31)]
    assert [status for status, _ in answers] == [400] * 30 + [429]
    assert answers[-1][1]["error"] == "temporarily_unavailable"
    status, _ = await post(http, "/oauth/token", refresh_form(given.refresh))
    assert status == 200
    clock.advance(minutes=1)
    assert (await post(http, "/oauth/token", refresh_form("wrong")))[0] == 400


async def test_device_authorization(store: Store, http: Http) -> None:
    status, codes = await post(http, "/oauth/device_authorization", DEVICE)
    assert status == 200
    assert codes["verification_uri"] == "http://localhost:8080/device"
    assert "verification_uri_complete" not in codes
    assert (codes["expires_in"], codes["interval"]) == (600, 5)
    form = {
        "grant_type": "urn:ietf:params:oauth:grant-type:device_code",
        "client_id": CLIENT.id,
        "device_code": codes["device_code"],
    }
    assert (await post(http, "/oauth/token", form))[1]["error"] == "authorization_pending"
    assert (await post(http, "/oauth/token", form))[1]["error"] == "slow_down"


BAD_DEVICE_REQUESTS = [
    ({"client_id": "evil"}, "invalid_client"),
    ({"scope": "controls"}, "invalid_scope"),
    ({"scope": "root"}, "invalid_scope"),
    ({"scope": "account:read  link:read"}, "invalid_scope"),
    ({"instance_name": ""}, "invalid_request"),
    ({"instance_name": "Home\u202eevil"}, "invalid_request"),
    ({"instance_name": "two\nlines"}, "invalid_request"),
    ({"instance_name": "x" * 201}, "invalid_request"),
    ({"instance_id": ""}, "invalid_request"),
    ({"instance_id": "short"}, "invalid_request"),
    ({"instance_id": "not a word, but long"}, "invalid_request"),
]


async def test_bad_device_requests(http: Http, subtests: pytest.Subtests) -> None:
    for changes, error in BAD_DEVICE_REQUESTS:
        with subtests.test(**changes):
            status, body = await post(http, "/oauth/device_authorization", DEVICE | changes)
            assert (status, body["error"]) == (400, error)


async def test_a_network_begins_no_more_than_ten_device_grants_a_minute(http: Http, clock: ManualClock) -> None:
    statuses = [(await post(http, "/oauth/device_authorization", DEVICE))[0] for _ in range(11)]
    assert statuses == [200] * 10 + [429]
    clock.advance(minutes=1)
    assert (await post(http, "/oauth/device_authorization", DEVICE))[0] == 200


async def test_revocation(store: Store, http: Http) -> None:
    owner = await make_account(store)
    given = await link_up(store, owner)
    for token in ("unknown", given.refresh, given.refresh):
        async with http.post("/oauth/revoke", data={"client_id": CLIENT.id, "token": token}) as response:
            assert (response.status, await response.text()) == (200, "")
    assert await links(store, owner) == []
    async with http.get("/api/v1/status", headers=bearer(given.access)) as response:
        assert response.status == 401
    assert (await post(http, "/oauth/token", refresh_form(given.refresh)))[1]["error"] == "invalid_grant"
    assert (await subjects(store))[-1] == "A Home Assistant was unlinked"
    async with http.post("/oauth/revoke", data={"client_id": CLIENT.id}) as response:
        assert (response.status, (await response.json())["error"]) == (400, "invalid_request")


async def test_no_token_is_in_the_logs(store: Store, http: Http, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.INFO, "sqlalchemy.engine")
    owner = await make_account(store)
    code = await make_code(store, owner)
    _, tokens = await post(http, "/oauth/token", code_form(code))
    _, codes = await post(http, "/oauth/device_authorization", DEVICE)
    await post(http, "/oauth/token", refresh_form(tokens["refresh_token"]))
    async with http.get("/api/v1/status", headers=bearer(tokens["access_token"])) as response:
        assert response.status == 200
    secrets = (code, tokens["access_token"], tokens["refresh_token"], codes["device_code"], codes["user_code"])
    assert len(caplog.text) > 1000
    assert [secret for secret in (*secrets, VERIFIER, INSTANCE.name) if secret in caplog.text] == []
