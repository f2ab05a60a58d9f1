"""The JSON API over HTTP, on both databases."""

from datetime import timedelta
from importlib.resources import files
from pathlib import Path
from typing import Any

from aiohttp import web
import pytest
import yaml

from teslafi_companion.domain.links.access import Caller
from teslafi_companion.domain.links.links import Proof
from teslafi_companion.domain.links.scopes import Acr, Scope
from teslafi_companion.domain.links.tokens import Tokens
from teslafi_companion.http.api.access import linked
from teslafi_companion.http.api.routes import routes
from teslafi_companion.http.oauth.endpoints import endpoints
from teslafi_companion.store.database import Store

from ..clock import START, ManualClock
from ..oauth.linking import (
    INSTANCE,
    OWNER,
    Http,
    bearer,
    link_up,
    links,
    make_account,
    refresh,
    served,
    subjects,
)

CONTRACT = Path(__file__).parents[3] / "contract" / "companion-api.yaml"


async def ask(http: Http, method: str, path: str, token: str | None = None) -> tuple[int, dict[str, Any], str]:
    """Return status, problem or JSON, and the challenge."""
    async with http.request(method, path, headers=bearer(token) if token else {}) as response:
        body = await response.json(content_type=None) if response.status != 204 else {}
        if response.status >= 400:
            assert response.content_type == "application/problem+json"
            assert body["status"] == response.status
        return response.status, body, response.headers.get("WWW-Authenticate", "")


async def test_about(http: Http) -> None:
    status, body, _ = await ask(http, "GET", "/api/v1/about")
    assert (status, body) == (200, {"product": "teslafi-companion", "version": "0.1.0", "api": 1})


async def test_status(store: Store, http: Http, clock: ManualClock) -> None:
    owner = await make_account(store, second_factor=True)
    given = await link_up(store, owner)
    clock.advance(minutes=5)
    status, body, _ = await ask(http, "GET", "/api/v1/status", given.access)
    assert status == 200
    assert body.pop("subscription") == {
        "required": False,
        "access": True,
        "reason": "not_required",
        "renews": False,
        "until": None,
        "manage_url": "http://localhost:8080/account#subscription",
    }
    assert body == {
        "controls": None,
        "link": {
            "id": str((await links(store, owner))[0].id),
            "instance_name": INSTANCE.name,
            "linked_at": START.isoformat(),
            "last_contact": clock.now.isoformat(),
            "scopes": ["account:read", "link:read"],
        },
        "account": {"email": "p…@example.org", "two_factor": True, "two_factor_methods": ["totp"]},
    }
    assert (await links(store, owner))[0].contact_at == clock.now
    assert OWNER not in str(body)


async def test_status_without_a_second_factor(store: Store, http: Http) -> None:
    given = await link_up(store, await make_account(store))
    _, body, _ = await ask(http, "GET", "/api/v1/status", given.access)
    assert (body["account"]["two_factor"], body["account"]["two_factor_methods"]) == (False, [])


async def test_unlinking(store: Store, http: Http) -> None:
    owner = await make_account(store)
    given = await link_up(store, owner)
    assert (await ask(http, "DELETE", "/api/v1/link", given.access))[0] == 204
    assert await links(store, owner) == []
    status, body, challenge = await ask(http, "GET", "/api/v1/status", given.access)
    assert (status, body["type"]) == (401, "urn:teslafi:problem:token-refused")
    assert 'error="invalid_token"' in challenge
    assert (await subjects(store))[-1] == "A Home Assistant was unlinked"


@pytest.mark.parametrize(("method", "path"), [("GET", "/api/v1/status"), ("DELETE", "/api/v1/link")])
async def test_without_a_token_and_with_a_wrong_one(
    store: Store, http: Http, clock: ManualClock, method: str, path: str
) -> None:
    given = await link_up(store, await make_account(store))
    status, body, challenge = await ask(http, method, path)
    assert (status, body["type"]) == (401, "urn:teslafi:problem:token-missing")
    assert challenge == 'Bearer realm="teslafi-companion"'
    assert (await ask(http, method, path, "wrong"))[1]["type"] == "urn:teslafi:problem:token-refused"
    assert (await ask(http, method, path, given.refresh))[1]["type"] == "urn:teslafi:problem:token-refused"
    clock.advance(minutes=15)
    assert (await ask(http, method, path, given.access))[1]["type"] == "urn:teslafi:problem:token-refused"


async def test_a_cookie_or_another_scheme_is_no_token(store: Store, http: Http) -> None:
    given = await link_up(store, await make_account(store))
    for headers in (
        {"Cookie": f"__Host-session={given.access}"},
        {"Authorization": f"Basic {given.access}"},
        {"Authorization": given.access},
        {"Authorization": f"Bearer {given.access} x"},
    ):
        async with http.get("/api/v1/status", headers=headers) as response:
            assert (await response.json(content_type=None))["type"] == "urn:teslafi:problem:token-missing"
    async with http.get("/api/v1/status", params={"access_token": given.access}) as response:
        assert response.status == 401


async def test_a_token_of_less_scope(store: Store, http: Http) -> None:
    given = await link_up(store, await make_account(store))
    less = await refresh(store, given.refresh, scopes=frozenset({Scope.LINK}))
    assert isinstance(less, Tokens)
    status, body, challenge = await ask(http, "GET", "/api/v1/status", less.access)
    assert (status, body["type"]) == (403, "urn:teslafi:problem:scope-missing")
    assert 'error="insufficient_scope", scope="account:read link:read"' in challenge
    assert (await ask(http, "DELETE", "/api/v1/link", less.access))[0] == 204


@pytest.mark.usefixtures("socket_enabled")
async def test_a_demand_for_a_fresh_proof(store: Store, clock: ManualClock) -> None:
    @linked(Scope.LINK, acr=Acr.SECOND_FACTOR, max_age=timedelta(seconds=300))
    async def guarded(_request: web.Request, _caller: Caller) -> web.Response:
        return web.json_response({})

    owner = await make_account(store, second_factor=True)
    weak = await link_up(store, owner)
    async with served(store, web.get("/guarded", guarded)) as http:
        status, body, challenge = await ask(http, "GET", "/guarded", weak.access)
        assert (status, body["type"]) == (401, "urn:teslafi:problem:step-up-needed")
        assert challenge == (
            'Bearer realm="teslafi-companion", error="insufficient_user_authentication", '
            'acr_values="urn:teslafi:second-factor", max_age="300"'
        )
        strong = await link_up(store, owner, proof=Proof(clock.now, Acr.SECOND_FACTOR, 1))
        clock.advance(seconds=300)
        assert (await ask(http, "GET", "/guarded", strong.access))[0] == 200
        clock.advance(seconds=1)
        assert (await ask(http, "GET", "/guarded", strong.access))[0] == 401


NOT_THERE = [
    ("GET", "/api/v1/nothing", 404),
    ("GET", "/api/", 404),
    ("POST", "/api/v2/status", 404),
    ("PUT", "/api/v1/status", 405),
    ("PUT", "/api/v1/about", 405),
    ("GET", "/api/v1/link", 405),
]


async def test_what_is_not_there(http: Http, subtests: pytest.Subtests) -> None:
    for method, path, status in NOT_THERE:
        with subtests.test(method=method, path=path):
            assert (await ask(http, method, path))[0] == status


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
async def test_a_refused_method_says_which_are_taken(http: Http) -> None:
    for path, allowed in (("/api/v1/status", "GET, HEAD, POST"), ("/api/v1/link", "DELETE")):
        async with http.patch(path) as response:
            assert (response.status, response.headers["Allow"]) == (405, allowed)


async def test_the_contract_is_served_as_it_is_documented(http: Http) -> None:
    async with http.get("/api/v1/openapi.yaml") as response:
        served = await response.read()
        assert response.content_type == "application/yaml"
    assert served == CONTRACT.read_bytes()
    assert served == files("teslafi_companion.http.api").joinpath("openapi.yaml").read_bytes()


def test_the_contract_knows_every_route() -> None:
    documented = {
        (method.upper(), path)
        for path, operations in yaml.safe_load(CONTRACT.read_text())["paths"].items()
        for method in operations
    }
    served = {(route.method, route.path) for route in (*endpoints(), *routes()) if route.method != "*"}
    assert served == documented
