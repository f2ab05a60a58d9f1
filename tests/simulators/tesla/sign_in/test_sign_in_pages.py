"""E-mail, password and passcode pages: what lets an owner in, and what does not."""

from urllib.parse import urlsplit

import aiohttp
from aiohttp import CookieJar
import pytest

from teslafi_simulators.tesla.accounts import Account, MfaDevice
from teslafi_simulators.tesla.sign_in.throttle import ATTEMPTS, PAUSE
from tests.simulators.tesla.sign_in.browser import REDIRECT, Browser, Page, Simulated


def asks_for(page: Page) -> str | None:
    """Return which of the pages this is, by the input that only it has."""
    named = {"passcode", "backup_code", "credential", "identity"} & page.inputs.keys()
    if page.soup.find("button", string="Allow"):
        named.add("consent")
    return next(iter(named)) if len(named) == 1 else None


async def test_the_pages_follow_one_another(simulated: Simulated) -> None:
    first = await simulated.browser.get(simulated.authorize_url())
    password = await simulated.browser.fill(first, identity=simulated.guarded.email)
    passcode = await simulated.browser.fill(password, credential=simulated.guarded.password)
    shown = simulated.accounts.current_passcode(simulated.guarded.email)
    assert shown is not None
    consent = await simulated.browser.fill(passcode, passcode=shown)
    assert [asks_for(page) for page in (first, password, passcode, consent)] == [
        "identity",
        "credential",
        "passcode",
        "consent",
    ]
    for page in (first, password, passcode, consent):
        assert page.text_at("note") == "Simulated Tesla sign-in \N{EN DASH} not tesla.com"
    assert consent.status == 200
    back = await simulated.browser.tick(consent, consent.scopes, decision="allow")
    assert back.status == 302
    assert back.location is not None
    assert back.location.startswith(f"{REDIRECT}?")
    assert back.returned.keys() == {"code", "state", "issuer"}
    assert back.returned["state"] == "st-1"
    assert back.returned["code"].startswith("NA_")
    assert back.returned["issuer"] == f"{simulated.addresses.sso('na')}/oauth2/v3"


async def test_hidden_inputs_and_cookie_are_those_recorded(simulated: Simulated) -> None:
    page = await simulated.browser.get(simulated.authorize_url())
    hidden = {str(entry["name"]): str(entry["value"]) for entry in page.soup.find_all("input", type="hidden")}
    assert hidden.keys() == {"_csrf", "_phase", "_process", "transaction_id", "cancel"}
    assert (hidden["_phase"], hidden["_process"], hidden["cancel"]) == ("authenticate", "1", "")
    assert len(hidden["transaction_id"]) == 8
    cookie = page.headers["Set-Cookie"]
    assert cookie.startswith("tesla-auth.sid=")
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie


async def test_without_device_no_passcode_is_asked_for(simulated: Simulated) -> None:
    page = await simulated.password_given(simulated.authorize_url(), simulated.plain)
    assert asks_for(page) == "consent"


@pytest.mark.parametrize("email", ["plain@example.com", "nobody@example.com"])
async def test_a_wrong_password_shows_the_page_again(simulated: Simulated, email: str) -> None:
    page = await simulated.browser.get(simulated.authorize_url())
    page = await simulated.browser.fill(page, identity=email)
    page = await simulated.browser.fill(page, credential="wrong")
    assert asks_for(page) == "credential"
    assert page.problem is not None
    assert "check your email and password" in page.problem.lower()
    assert "wrong" not in page.text


async def test_a_wrong_passcode_shows_the_page_again(simulated: Simulated) -> None:
    page = await simulated.password_given(simulated.authorize_url(), simulated.guarded)
    page = await simulated.browser.fill(page, passcode="000000")
    assert asks_for(page) == "passcode"
    assert page.problem == "Invalid passcode. Try again."


async def test_either_device_makes_passcodes_and_old_ones_do_not_do(simulated: Simulated) -> None:
    page = await simulated.password_given(simulated.authorize_url(), simulated.guarded)
    passcode = simulated.guarded.devices[1].passcode(simulated.clock())
    simulated.clock.advance(90)
    page = await simulated.browser.fill(page, passcode=passcode)
    assert asks_for(page) == "passcode"
    page = await simulated.browser.fill(page, passcode=simulated.guarded.devices[1].passcode(simulated.clock()))
    assert asks_for(page) == "consent"


async def test_a_passcode_counts_for_its_own_account_alone(simulated: Simulated) -> None:
    other = simulated.accounts.add(
        Account(email="o@example.com", password="pw-o", region="na", full_name="O", devices=[MfaDevice("Device #1")])
    )
    consent = await simulated.signed_in(simulated.authorize_url(), simulated.guarded)
    assert asks_for(consent) == "consent"
    page = await simulated.browser.fill(consent, identity=other.email, credential=other.password)
    assert asks_for(page) == "passcode"


async def test_a_backup_passcode_works_once(simulated: Simulated) -> None:
    page = await simulated.password_given(simulated.authorize_url(prompt="login"), simulated.guarded)
    page = await simulated.browser.follow(page, "Use a backup passcode")
    assert asks_for(page) == "backup_code"
    wrong = await simulated.browser.fill(page, backup_code="ABCDEFGHI")
    assert asks_for(wrong) == "backup_code"
    assert wrong.problem is not None
    assert asks_for(await simulated.browser.fill(wrong, backup_code="3HZRJVC6D")) == "consent"
    again = await simulated.password_given(simulated.authorize_url(prompt="login"), simulated.guarded)
    again = await simulated.browser.follow(again, "Use a backup passcode")
    assert asks_for(await simulated.browser.fill(again, backup_code="3HZRJVC6D")) == "backup_code"
    assert asks_for(await simulated.browser.follow(again, "Use a passcode from your authenticator app")) == "passcode"


async def test_passwords_are_throttled_until_time_has_passed(simulated: Simulated) -> None:
    page = await simulated.browser.get(simulated.authorize_url())
    page = await simulated.browser.fill(page, identity=simulated.plain.email)
    for _ in range(ATTEMPTS):
        page = await simulated.browser.fill(page, credential="wrong")
        assert page.status == 200
    page = await simulated.browser.fill(page, credential=simulated.plain.password)
    assert (page.status, asks_for(page)) == (429, "credential")
    simulated.clock.advance(PAUSE)
    page = await simulated.password_given(simulated.authorize_url(), simulated.plain)
    assert asks_for(page) == "consent"


async def test_passcodes_are_throttled_over_all_browsers(simulated: Simulated) -> None:
    page = await simulated.password_given(simulated.authorize_url(), simulated.guarded)
    for _ in range(ATTEMPTS):
        page = await simulated.browser.fill(page, passcode="000000")
    async with aiohttp.ClientSession(cookie_jar=CookieJar(unsafe=True)) as session:
        simulated.browser = Browser(session)
        page = await simulated.signed_in(simulated.authorize_url(), simulated.guarded)
        assert (page.status, asks_for(page)) == (429, "passcode")
        page = await simulated.browser.follow(page, "Use a backup passcode")
        page = await simulated.browser.fill(page, backup_code="3HZRJVC6D")
        assert page.status == 429
    assert "3HZRJVC6D" in simulated.guarded.backup_passcodes


async def test_a_locked_account_stays_out(simulated: Simulated) -> None:
    simulated.plain.locked = True
    page = await simulated.password_given(simulated.authorize_url(), simulated.plain)
    assert (page.status, asks_for(page)) == (403, "credential")
    assert page.problem == "Your account is locked. Reset your password to unlock it."


async def test_a_captcha_must_be_solved(simulated: Simulated) -> None:
    simulated.plain.captcha = "k7Rm"
    page = await simulated.browser.get(simulated.authorize_url())
    page = await simulated.browser.fill(page, identity=simulated.plain.email)
    assert "captcha" in page.inputs
    page = await simulated.browser.fill(page, credential=simulated.plain.password, captcha="k7Rn")
    assert page.problem == "The characters do not match. Try again."
    page = await simulated.browser.fill(page, credential=simulated.plain.password, captcha="k7Rm")
    assert asks_for(page) == "consent"


@pytest.mark.parametrize("csrf", ["", "guessed"])
async def test_a_form_without_the_pages_own_value_is_refused(simulated: Simulated, csrf: str) -> None:
    page = await simulated.browser.get(simulated.authorize_url())
    refused = await simulated.browser.fill(page, identity=simulated.plain.email, credential="x", _csrf=csrf)
    assert refused.status == 403
    assert refused.location is None


async def test_a_transaction_belongs_to_its_browser(simulated: Simulated) -> None:
    consent = await simulated.password_given(simulated.authorize_url(), simulated.plain)
    async with aiohttp.ClientSession(cookie_jar=CookieJar(unsafe=True)) as session:
        stolen = await Browser(session).tick(consent, consent.scopes, decision="allow")
    assert stolen.location is None
    assert asks_for(stolen) == "identity"
    assert simulated.plain.consents == {}


async def test_a_transaction_ends_after_a_while(simulated: Simulated) -> None:
    consent = await simulated.password_given(simulated.authorize_url(prompt="login"), simulated.plain)
    simulated.clock.advance(901)
    page = await simulated.browser.tick(consent, consent.scopes, decision="allow")
    assert (page.location, asks_for(page), page.problem) == (None, "identity", "Your session ended. Sign in again.")


async def test_cancel_goes_back_without_a_code(simulated: Simulated) -> None:
    for page in (
        await simulated.browser.get(simulated.authorize_url()),
        await simulated.password_given(simulated.authorize_url(), simulated.plain),
    ):
        back = await simulated.browser.fill(page, cancel="cancel")
        assert back.status == 302
        assert {"error": "access_denied", "state": "st-1"}.items() <= back.returned.items()
        assert "code" not in back.returned
    assert simulated.plain.consents == {}


async def test_a_signed_in_browser_is_known_again_unless_login_is_demanded(simulated: Simulated) -> None:
    await simulated.allowed(simulated.authorize_url(), simulated.plain)
    assert "code" in (await simulated.browser.get(simulated.authorize_url())).returned
    assert asks_for(await simulated.browser.get(simulated.authorize_url(prompt="login"))) == "identity"
    other = await simulated.browser.get(simulated.authorize_url(login_hint=simulated.guarded.email))
    assert (asks_for(other), other.inputs["identity"]) == ("identity", simulated.guarded.email)


@pytest.mark.parametrize("seconds", [86_400, 0])
async def test_a_signed_in_browser_is_forgotten(simulated: Simulated, seconds: float) -> None:
    await simulated.allowed(simulated.authorize_url(), simulated.plain)
    if seconds:
        simulated.clock.advance(seconds)
    else:
        simulated.accounts.change_password(simulated.plain.email, "pw-new")
    assert asks_for(await simulated.browser.get(simulated.authorize_url())) == "identity"


async def test_a_password_changed_half_way_must_be_given_again(simulated: Simulated) -> None:
    passcode_page = await simulated.password_given(simulated.authorize_url(), simulated.guarded)
    simulated.accounts.change_password(simulated.guarded.email, "pw-new")
    shown = simulated.accounts.current_passcode(simulated.guarded.email)
    assert shown is not None
    assert asks_for(await simulated.browser.fill(passcode_page, passcode=shown)) == "credential"


@pytest.mark.parametrize("hosts", [("na", "cn"), ("cn", "eu")])
async def test_an_account_of_the_other_deployment_is_sent_there(simulated: Simulated, hosts: tuple[str, str]) -> None:
    asked = simulated.addresses.authorize("cn" if hosts[0] == "cn" else "na")
    account = simulated.chinese if hosts[1] == "cn" else simulated.plain
    hinted = await simulated.browser.get(simulated.authorize_url(asked, login_hint=account.email))
    typed = await simulated.browser.fill(
        await simulated.browser.get(simulated.authorize_url(asked)), identity=account.email
    )
    for page in (hinted, typed):
        assert page.status == 303
        assert page.location is not None
        assert page.location.split("?")[0] == simulated.addresses.authorize(account.region)
        assert {"login_hint": account.email, "state": "st-1", "redirect_uri": REDIRECT}.items() <= page.returned.items()
    assert hinted.location is not None
    page = await simulated.browser.get(hinted.location)
    assert page.inputs["identity"] == account.email
    page = await simulated.browser.fill(page)
    page = await simulated.browser.fill(page, credential=account.password)
    back = await simulated.browser.tick(page, page.scopes, decision="allow")
    assert back.returned["issuer"] == f"{simulated.addresses.sso(account.region)}/oauth2/v3"
    assert back.returned["code"].startswith(f"{account.region.upper()}_")


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        ({"client_id": None}, "We don't recognize this 'client_id'."),
        ({"client_id": "nobody"}, "We don't recognize this 'client_id'."),
        ({"redirect_uri": None}, "The 'redirect_uri' supplied is not registered for this 'client_id'."),
        ({"redirect_uri": f"{REDIRECT}/"}, "The 'redirect_uri' supplied is not registered for this 'client_id'."),
        ({"state": None}, "The 'state' parameter is required."),
        ({"state": ""}, "The 'state' parameter is required."),
    ],
)
async def test_a_request_that_cannot_be_sent_back_is_shown_to_the_owner(
    simulated: Simulated, changed: dict[str, str | None], text: str
) -> None:
    page = await simulated.browser.get(simulated.authorize_url(**changed))
    assert (page.status, page.location, page.problem) == (400, None, text)


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_type": None}, "unsupported_response_type"),
        ({"scope": None}, "invalid_request"),
        ({"scope": "openid vehicle_cmds"}, "invalid_scope"),
        ({"scope": "openid made_up"}, "invalid_scope"),
        ({"client_id": "teslafi-full", "scope": "openid vehicle_specs"}, "invalid_scope"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge_method": None}, "invalid_request"),
        ({"client_id": "open-source", "code_challenge": None}, "invalid_request"),
    ],
)
async def test_a_wrong_request_goes_back_to_the_application(
    simulated: Simulated, changed: dict[str, str | None], error: str
) -> None:
    page = await simulated.browser.get(simulated.authorize_url(**changed))
    assert page.status == 302
    assert {"error": error, "state": "st-1"}.items() <= page.returned.items()
    assert urlsplit(page.location).netloc == "my.home-assistant.io"


async def test_tesla_s_own_app_lost_its_old_redirect(simulated: Simulated) -> None:
    refused = await simulated.browser.get(simulated.owner_url(redirect_uri="https://auth.tesla.com/void/callback"))
    assert (refused.status, refused.problem) == (
        400,
        "The 'redirect_uri' supplied is not registered for this 'client_id'.",
    )
    back = await simulated.signed_in(simulated.owner_url(locale="en-US"), simulated.guarded)
    assert back.location is not None
    assert back.location.startswith("tesla://auth/callback?code=")
    assert back.returned.keys() == {"code", "state", "issuer", "locale"}
    assert len(bytes.fromhex(back.returned["code"])) == 30


async def test_tesla_s_own_app_is_not_served_at_fleet_auth(simulated: Simulated) -> None:
    page = await simulated.browser.get(simulated.owner_url().replace("/auth/", "/fleet-auth/"))
    assert (page.status, page.problem) == (400, "We don't recognize this 'client_id'.")


async def test_pages_forbid_script_frames_and_caches(simulated: Simulated) -> None:
    page = await simulated.browser.get(simulated.authorize_url(login_hint='"><script>alert(1)</script>'))
    assert page.soup.find("script") is None
    assert page.headers["Cache-Control"] == "no-store"
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in page.headers["Content-Security-Policy"]


async def test_a_form_that_is_none_is_a_bad_request(simulated: Simulated) -> None:
    async with simulated.session.post(
        simulated.authorize_url(),
        data=b"identity=x",
        headers={"Content-Type": "application/x-www-form-urlencoded; charset=none-such"},
    ) as response:
        assert response.status == 400
