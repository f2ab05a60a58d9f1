"""The pages on which an owner allows, sees and ends links, over HTTP and on both databases."""

from html import escape
import json
from urllib.parse import quote, urlencode
from uuid import UUID, uuid4

import pytest
from yarl import URL

from teslafi_companion.domain.accounts.step_up import Method, Purpose
from teslafi_companion.domain.links.controls_request import INVALID_DETAILS
from teslafi_companion.domain.links.pkce import challenge_of
from teslafi_companion.settings import MY_HOME_ASSISTANT
from teslafi_companion.store.database import Store

from ..clock import ManualClock
from .linking import (
    CHALLENGE,
    CLIENT,
    DETAILS,
    INSTANCE,
    VERIFIER,
    Browser,
    Http,
    code_form,
    events,
    link_up,
    links,
    make_account,
    post,
    subjects,
)

ISSUER = "http://localhost:8080"
REQUEST = {
    "response_type": "code",
    "client_id": CLIENT.id,
    "redirect_uri": MY_HOME_ASSISTANT,
    "scope": "account:read link:read",
    "state": "eyJ.state.of-home-assistant",
    "code_challenge": CHALLENGE,
    "code_challenge_method": "S256",
    "instance_name": INSTANCE.name,
    "instance_id": INSTANCE.id,
}
CONTROLS: dict[str, str | None] = {
    "scope": "controls",
    "acr_values": "urn:teslafi:second-factor",
    "max_age": "300",
    "authorization_details": json.dumps([DETAILS]),
}


def detailed(**changes: object) -> dict[str, str | None]:
    """Return a request for controls whose details differ in something."""
    return CONTROLS | {"authorization_details": json.dumps([DETAILS | changes])}


DEVICE = {"client_id": CLIENT.id, "instance_name": INSTANCE.name, "instance_id": INSTANCE.id}


def authorize(**changes: str | None) -> str:
    parameters = {name: value for name, value in (REQUEST | changes).items() if value is not None}
    return f"/oauth/authorize?{urlencode(parameters)}"


def answer_of(location: str) -> dict[str, str]:
    """Return the answer that a redirect to the client carries."""
    assert location.startswith(f"{MY_HOME_ASSISTANT}?")
    return dict(URL(location).query)


async def test_an_owner_allows_a_link(store: Store, http: Http) -> None:
    owner = await make_account(store)
    browser = await Browser.signed_in(store, http, owner, Purpose.LINK)
    page = await browser.open(authorize())
    assert page.status == 200
    words = (INSTANCE.name, "not verified", "whether two-factor authentication is on", "my.home-assistant.io")
    for word in words:
        assert word in page.text
    assert "form-action 'self' https://my.home-assistant.io;" in page.headers["Content-Security-Policy"]
    sent = await browser.send(authorize(), answer="allow")
    assert sent.status == 303
    answer = answer_of(sent.location)
    assert (answer["state"], answer["iss"]) == (REQUEST["state"], ISSUER)
    assert set(answer) == {"code", "state", "iss"}
    status, _ = await post(http, "/oauth/token", code_form(answer["code"]))
    assert status == 200
    assert [link.instance for link in await links(store, owner)] == [INSTANCE]


async def test_an_owner_refuses(store: Store, http: Http) -> None:
    browser = await Browser.signed_in(store, http, await make_account(store), Purpose.LINK)
    for fields in ({"answer": "deny"}, {}, {"answer": "Allow"}):
        answer = answer_of((await browser.send(authorize(), **fields)).location)
        assert (answer["error"], answer["state"], answer["iss"]) == ("access_denied", REQUEST["state"], ISSUER)
        assert "code" not in answer
    assert "link_denied" in await events(store)


async def test_signing_in_and_a_fresh_proof_come_first(store: Store, http: Http, clock: ManualClock) -> None:
    async with http.get(authorize(), allow_redirects=False) as response:
        assert response.status == 303
        assert URL(response.headers["Location"]).path == "/sign-in"
        assert URL(URL(response.headers["Location"]).query["next"]).query == REQUEST
    owner = await make_account(store)
    for browser in (
        await Browser.signed_in(store, http, owner),
        await Browser.signed_in(store, http, owner, Purpose.FACTORS),
    ):
        for page in (await browser.open(authorize()), await browser.send(authorize(), answer="allow")):
            there = URL(page.location)
            assert (page.status, there.path, there.query["purpose"]) == (303, "/step-up", "link")
            assert URL(there.query["next"]).query == REQUEST
    browser = await Browser.signed_in(store, http, owner, Purpose.LINK)
    clock.advance(minutes=5, seconds=1)
    assert URL((await browser.send(authorize(), answer="allow")).location).path == "/step-up"


async def test_a_younger_proof_can_be_demanded(store: Store, http: Http, clock: ManualClock) -> None:
    browser = await Browser.signed_in(store, http, await make_account(store), Purpose.LINK)
    clock.advance(seconds=100)
    assert (await browser.open(authorize(max_age="100"))).status == 200
    assert URL((await browser.open(authorize(max_age="99"))).location).path == "/step-up"


async def test_a_form_of_another_session_or_site_is_refused(store: Store, http: Http) -> None:
    browser = await Browser.signed_in(store, http, await make_account(store), Purpose.LINK)
    assert (await browser.send(authorize(), csrf="wrong", answer="allow")).status == 403
    assert (await browser.send(authorize(), site="cross-site", answer="allow")).status == 403


NEVER_REDIRECTED: dict[str, dict[str, str | None]] = {
    "no client": {"client_id": None},
    "another client": {"client_id": "evil"},
    "no address": {"redirect_uri": None},
    "another address": {"redirect_uri": "https://evil.example/"},
    "longer path": {"redirect_uri": f"{MY_HOME_ASSISTANT}/x"},
    "added query": {"redirect_uri": f"{MY_HOME_ASSISTANT}?x=1"},
    "other scheme": {"redirect_uri": MY_HOME_ASSISTANT.replace("https", "http")},
    "other case": {"redirect_uri": MY_HOME_ASSISTANT.replace("my.", "My.")},
    "user part": {"redirect_uri": MY_HOME_ASSISTANT.replace("my.", "my.home-assistant.io@evil.example/")},
    "trailing space": {"redirect_uri": f"{MY_HOME_ASSISTANT} "},
    "script": {"redirect_uri": "javascript:alert(1)"},
}


async def test_what_never_leads_to_a_redirect(store: Store, http: Http, subtests: pytest.Subtests) -> None:
    browser = await Browser.signed_in(store, http, await make_account(store), Purpose.LINK)
    for name, changes in NEVER_REDIRECTED.items():
        path = authorize(**changes)
        for page in (await browser.open(path), await browser.send(path, answer="allow")):
            with subtests.test(name):
                assert (page.status, page.location) == (400, "")
                assert "Start again in Home Assistant" in page.text


async def test_an_address_that_comes_twice_never_leads_to_a_redirect(store: Store, http: Http) -> None:
    browser = await Browser.signed_in(store, http, await make_account(store), Purpose.LINK)
    page = await browser.open(f"{authorize()}&redirect_uri={quote(MY_HOME_ASSISTANT)}")
    assert (page.status, page.location) == (400, "")


TOLD_TO_THE_CLIENT: dict[str, tuple[dict[str, str | None], str]] = {
    "implicit grant": ({"response_type": "token"}, "unsupported_response_type"),
    "no response type": ({"response_type": None}, "unsupported_response_type"),
    "fragment": ({"response_mode": "fragment"}, "invalid_request"),
    "no state": ({"state": None}, "invalid_request"),
    "empty state": ({"state": ""}, "invalid_request"),
    "endless state": ({"state": "x" * 2001}, "invalid_request"),
    "state with a line break": ({"state": "x\r\ny"}, "invalid_request"),
    "no challenge": ({"code_challenge": None}, "invalid_request"),
    "short challenge": ({"code_challenge": "x" * 42}, "invalid_request"),
    "plain": ({"code_challenge_method": "plain"}, "invalid_request"),
    "no method": ({"code_challenge_method": None}, "invalid_request"),
    "unknown scope": ({"scope": "root"}, "invalid_scope"),
    "two blanks": ({"scope": "account:read  link:read"}, "invalid_scope"),
    "controls with others": (CONTROLS | {"scope": "controls link:read"}, "invalid_scope"),
    "controls without a second factor": ({"scope": "controls"}, "invalid_request"),
    "controls before the link": (CONTROLS | {"max_age": None}, "invalid_scope"),
    "controls of nothing": (CONTROLS | {"authorization_details": None}, INVALID_DETAILS),
    "details that are no JSON": (CONTROLS | {"authorization_details": "[{"}, INVALID_DETAILS),
    "details without end": (CONTROLS | {"authorization_details": "1" * 4001}, INVALID_DETAILS),
    "two details": (CONTROLS | {"authorization_details": json.dumps([DETAILS, DETAILS])}, INVALID_DETAILS),
    "details of another type": (detailed(type="openid_credential"), INVALID_DETAILS),
    "an unknown group": (detailed(groups=["charging", "everything"]), INVALID_DETAILS),
    "no group": (detailed(groups=[]), INVALID_DETAILS),
    "no account": (detailed(account=""), INVALID_DETAILS),
    "a vehicle without VIN": (detailed(vehicles=[{"name": "Roadrunner"}]), INVALID_DETAILS),
    "vehicles that are no list": (detailed(vehicles="all"), INVALID_DETAILS),
    "a name that turns the writing round": (detailed(account_name="\u202eelttoB"), INVALID_DETAILS),
    "max_age": ({"max_age": "-1"}, "invalid_request"),
    "no name": ({"instance_name": None}, "invalid_request"),
    "long name": ({"instance_name": "x" * 201}, "invalid_request"),
    "name in two lines": ({"instance_name": "a\nb"}, "invalid_request"),
    "name written backwards": ({"instance_name": "a\u202eb"}, "invalid_request"),
    "no identifier": ({"instance_id": None}, "invalid_request"),
    "short identifier": ({"instance_id": "x" * 15}, "invalid_request"),
    "odd identifier": ({"instance_id": "x" * 20 + "<"}, "invalid_request"),
    "request object": ({"request": "eyJ"}, "request_not_supported"),
    "request address": ({"request_uri": "https://evil.example/"}, "request_uri_not_supported"),
}


async def test_what_is_told_to_the_client(store: Store, http: Http, subtests: pytest.Subtests) -> None:
    owner = await make_account(store, second_factor=True)
    browser = await Browser.signed_in(store, http, owner, Purpose.LINK, method=Method.CODE)
    for name, (changes, error) in TOLD_TO_THE_CLIENT.items():
        for page in (
            await browser.open(authorize(**changes)),
            await browser.send(authorize(**changes), answer="allow"),
        ):
            with subtests.test(name):
                answer = answer_of(page.location)
                assert (answer["error"], answer["iss"]) == (error, ISSUER)
                assert answer.get("state") == (REQUEST["state"] if "state" not in changes else None)
                assert "code" not in answer


async def test_a_parameter_that_comes_twice(store: Store, http: Http) -> None:
    browser = await Browser.signed_in(store, http, await make_account(store), Purpose.LINK)
    other = challenge_of(VERIFIER[::-1])
    page = await browser.open(f"{authorize()}&code_challenge={other}")
    assert answer_of(page.location)["error"] == "invalid_request"
    page = await browser.open(f"{authorize()}&state=other")
    assert "state" not in answer_of(page.location)


async def test_controls_need_a_second_factor_and_a_link(store: Store, http: Http) -> None:
    owner = await make_account(store)
    await link_up(store, owner)
    browser = await Browser.signed_in(store, http, owner, Purpose.CONTROLS)
    page = await browser.open(authorize(**CONTROLS))
    assert page.status == 200
    assert "requires two-factor authentication" in page.text
    assert 'value="allow"' not in page.text
    sent = await browser.send(authorize(**CONTROLS), answer="allow")
    assert answer_of(sent.location)["error"] == "unmet_authentication_requirements"


async def test_controls_are_given_for_a_second_factor_proved_for_them(store: Store, http: Http) -> None:
    owner = await make_account(store, second_factor=True)
    await link_up(store, owner)
    for purpose, method in ((Purpose.LINK, Method.CODE), (Purpose.CONTROLS, Method.PASSWORD)):
        browser = await Browser.signed_in(store, http, owner, purpose, method=method)
        page = await browser.send(authorize(**CONTROLS), answer="allow")
        assert URL(page.location).path == "/step-up"
        assert URL(page.location).query["purpose"] == "controls"
    browser = await Browser.signed_in(store, http, owner, Purpose.CONTROLS, method=Method.CODE)
    shown = (await browser.open(authorize(**CONTROLS))).text
    for word in (INSTANCE.name, "Tesla (Roadrunner)", "5YJ3E1EA7KF000001", "Charging: start and stop", "Climate:"):
        assert word in shown
    assert "Locks and openings" not in shown
    code = answer_of((await browser.send(authorize(**CONTROLS), answer="allow")).location)["code"]
    _, tokens = await post(http, "/oauth/token", code_form(code))
    assert tokens["scope"] == "account:read controls link:read"
    (link,) = await links(store, owner)
    assert link.proof.acr == "urn:teslafi:second-factor"


async def test_a_name_is_shown_as_text(store: Store, http: Http) -> None:
    name = '<script>alert("1")</script>'
    browser = await Browser.signed_in(store, http, await make_account(store), Purpose.LINK)
    page = await browser.open(authorize(instance_name=name))
    assert page.status == 200
    assert "<script>" not in page.text
    assert escape(name).replace("&quot;", "&#34;") in page.text


async def begin_device(http: Http) -> dict[str, str]:
    status, codes = await post(http, "/oauth/device_authorization", DEVICE)
    assert status == 200
    return codes


async def poll(http: Http, codes: dict[str, str]) -> str | None:
    grant = "urn:ietf:params:oauth:grant-type:device_code"
    form = {"grant_type": grant, "client_id": CLIENT.id, "device_code": codes["device_code"]}
    error: str | None = (await post(http, "/oauth/token", form))[1].get("error")
    return error


async def test_a_device_is_allowed(store: Store, http: Http, clock: ManualClock) -> None:
    owner = await make_account(store)
    codes = await begin_device(http)
    clock.advance(minutes=3)
    browser = await Browser.signed_in(store, http, owner, Purpose.LINK)
    assert "Did someone send you a code" in (await browser.open("/device")).text
    entered = await browser.send("/device", user_code=codes["user_code"].replace("-", " ").lower())
    assert entered.status == 303
    page = await browser.open(entered.location)
    for words in (INSTANCE.name, "127.0.0.1", "3 minutes ago", "not verified"):
        assert words in page.text
    assert "another network" not in page.text
    assert await poll(http, codes) == "authorization_pending"
    assert "can be linked" in (await browser.send(entered.location, answer="allow")).text
    assert await poll(http, codes) is None
    assert [link.instance for link in await links(store, owner)] == [INSTANCE]
    assert (await browser.send(entered.location, answer="allow")).status == 404


async def test_a_device_is_refused(store: Store, http: Http) -> None:
    codes = await begin_device(http)
    browser = await Browser.signed_in(store, http, await make_account(store))
    entered = await browser.send("/device", user_code=codes["user_code"])
    assert "was refused" in (await browser.send(entered.location, answer="deny")).text
    assert await poll(http, codes) == "access_denied"


async def test_allowing_a_device_needs_a_fresh_proof(store: Store, http: Http) -> None:
    owner = await make_account(store)
    codes = await begin_device(http)
    browser = await Browser.signed_in(store, http, owner, Purpose.FACTORS)
    entered = await browser.send("/device", user_code=codes["user_code"])
    for page in (await browser.open(entered.location), await browser.send(entered.location, answer="allow")):
        there = URL(page.location)
        assert (page.status, there.path, there.query["purpose"]) == (303, "/step-up", "link")
        assert there.query["next"] == entered.location
    assert await poll(http, codes) == "authorization_pending"


async def test_a_request_from_another_network_is_pointed_out(
    store: Store, http: Http, monkeypatch: pytest.MonkeyPatch
) -> None:
    codes = await begin_device(http)
    browser = await Browser.signed_in(store, http, await make_account(store), Purpose.LINK)
    entered = await browser.send("/device", user_code=codes["user_code"])
    monkeypatch.setattr("teslafi_companion.domain.links.devices.network_of", str)
    assert "another network" not in (await browser.open(entered.location)).text
    monkeypatch.setattr("teslafi_companion.domain.links.devices.network_of", lambda _address: uuid4().hex)
    assert "comes from a different network than yours" in (await browser.open(entered.location)).text


async def test_a_claimed_request_is_out_of_another_account_s_reach(store: Store, http: Http) -> None:
    codes = await begin_device(http)
    browser = await Browser.signed_in(store, http, await make_account(store), Purpose.LINK)
    entered = await browser.send("/device", user_code=codes["user_code"])
    stranger = await Browser.signed_in(store, http, await make_account(store, "stranger@example.org"), Purpose.LINK)
    assert (await stranger.send("/device", user_code=codes["user_code"])).status == 400
    assert (await stranger.open(entered.location)).status == 404
    assert (await stranger.send(entered.location, answer="allow")).status == 404
    assert (await browser.open(entered.location)).status == 200


async def test_guessing_user_codes_is_stopped(store: Store, http: Http) -> None:
    codes = await begin_device(http)
    browser = await Browser.signed_in(store, http, await make_account(store), Purpose.LINK)
    statuses = [(await browser.send("/device", user_code="BBBB-BBBB")).status for _ in range(6)]
    assert statuses == [400] * 5 + [429]
    page = await browser.send("/device", user_code=codes["user_code"])
    assert page.status == 429
    assert "too many wrong codes" in page.text


async def test_the_links_page(store: Store, http: Http) -> None:
    owner, stranger = await make_account(store), await make_account(store, "stranger@example.org")
    await link_up(store, owner)
    (link,) = await links(store, owner)
    mine = await Browser.signed_in(store, http, owner)
    theirs = await Browser.signed_in(store, http, stranger)
    page = await mine.open("/links")
    assert INSTANCE.name in page.text
    assert "November 23, 2026, 12:00 UTC" in page.text
    empty = await theirs.open("/links")
    assert INSTANCE.name not in empty.text
    assert "No Home Assistant is linked" in empty.text
    assert (await theirs.send(f"/links/{link.id}/end")).status == 404
    assert (await mine.send(f"/links/{link.id}/end", csrf="wrong")).status == 403
    assert len(await links(store, owner)) == 1
    assert (await mine.send(f"/links/{link.id}/end")).location == "/links?done=ended"
    assert "The link was ended." in (await mine.open("/links?done=ended")).text
    assert await links(store, owner) == []
    assert (await mine.send(f"/links/{link.id}/end")).status == 404
    assert (await subjects(store))[-1] == "A Home Assistant was unlinked"


PAGES = [
    ("GET", "/device"),
    ("POST", "/device"),
    ("GET", f"/device/{UUID(int=0)}"),
    ("POST", f"/device/{UUID(int=0)}"),
    ("GET", "/links"),
    ("POST", f"/links/{UUID(int=0)}/end"),
    ("GET", authorize()),
    ("POST", authorize()),
]


async def test_nobody_sees_a_page_without_signing_in(http: Http, subtests: pytest.Subtests) -> None:
    headers = {"Sec-Fetch-Site": "same-origin"}
    for method, path in PAGES:
        with subtests.test(method=method, path=path):
            url = URL(path, encoded=True)
            async with http.request(method, url, headers=headers, allow_redirects=False) as response:
                assert (response.status, URL(response.headers["Location"]).path) == (303, "/sign-in")


async def test_a_request_that_is_not_there(store: Store, http: Http) -> None:
    browser = await Browser.signed_in(store, http, await make_account(store), Purpose.LINK)
    assert (await browser.open("/device/nothing")).status == 404
    assert (await browser.open(f"/device/{UUID(int=0)}")).status == 404
    assert (await browser.send("/links/nothing/end")).status == 404
