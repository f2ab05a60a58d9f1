"""What the owner grants to an application, what is remembered of it, and how it is taken back."""

import pytest

from teslafi_simulators.tesla.addresses import Addresses
from teslafi_simulators.tesla.tokens import BearerRefusal, BearerRefused
from tests.simulators.tesla.sign_in.browser import SCOPES, Page, Simulated, claims_of

DATA_ONLY = "openid offline_access vehicle_device_data"


async def granted(simulated: Simulated, **changed: str | None) -> set[str]:
    """Sign in with all that is offered; return what the access token may do."""
    returned = await simulated.allowed(simulated.authorize_url(**changed), simulated.plain)
    status, body = await simulated.exchange(returned["code"])
    assert status == 200
    return set(claims_of(body["access_token"])["scp"])


async def test_all_but_the_two_of_the_sign_in_itself_can_be_unticked(simulated: Simulated) -> None:
    page = await simulated.signed_in(simulated.authorize_url(), simulated.plain)
    assert set(page.scopes) == set(SCOPES.split()) - {"openid", "offline_access"}
    assert all("checked" in box.attrs for box in page.soup.find_all("input", attrs={"name": "scope"}))
    back = await simulated.browser.tick(page, ["vehicle_device_data"], decision="allow")
    _, body = await simulated.exchange(back.returned["code"])
    assert claims_of(body["access_token"])["scp"] == ["offline_access", "openid", "vehicle_device_data"]


async def test_a_scope_that_was_not_offered_is_not_granted(simulated: Simulated) -> None:
    page = await simulated.signed_in(simulated.authorize_url(scope=DATA_ONLY), simulated.plain)
    back = await simulated.browser.tick(page, ["vehicle_device_data", "vehicle_location"], decision="allow")
    _, body = await simulated.exchange(back.returned["code"])
    assert "vehicle_location" not in claims_of(body["access_token"])["scp"]
    assert simulated.plain.consents == {simulated.monitoring.client_id: frozenset(DATA_ONLY.split())}


async def test_require_requested_scopes_takes_the_choice_away(simulated: Simulated) -> None:
    page = await simulated.signed_in(simulated.authorize_url(require_requested_scopes="true"), simulated.plain)
    assert all("disabled" in box.attrs for box in page.soup.find_all("input", attrs={"name": "scope"}))
    back = await simulated.browser.tick(page, [], decision="allow")
    _, body = await simulated.exchange(back.returned["code"])
    assert set(claims_of(body["access_token"])["scp"]) == set(SCOPES.split())


async def test_an_old_consent_is_silently_used_again_without_the_new_scopes(simulated: Simulated) -> None:
    assert await granted(simulated, scope=DATA_ONLY) == set(DATA_ONLY.split())
    page = await simulated.password_given(simulated.authorize_url(prompt="login"), simulated.plain)
    assert page.status == 302
    _, body = await simulated.exchange(page.returned["code"])
    assert set(claims_of(body["access_token"])["scp"]) == set(DATA_ONLY.split())


async def test_prompt_missing_scopes_asks_for_the_missing_ones_alone(simulated: Simulated) -> None:
    await granted(simulated, scope=DATA_ONLY)
    page = await simulated.browser.get(simulated.authorize_url(prompt_missing_scopes="true"))
    assert set(page.scopes) == {"vehicle_location", "energy_device_data"}
    back = await simulated.browser.tick(page, ["vehicle_location"], decision="allow")
    _, body = await simulated.exchange(back.returned["code"])
    assert set(claims_of(body["access_token"])["scp"]) == {*DATA_ONLY.split(), "vehicle_location"}
    again = await simulated.browser.get(simulated.authorize_url(prompt_missing_scopes="true"))
    assert again.scopes == ["energy_device_data"]
    nothing_missing = await simulated.browser.get(
        simulated.authorize_url(scope=DATA_ONLY, prompt_missing_scopes="true")
    )
    assert "code" in nothing_missing.returned


async def test_a_token_carries_no_scope_that_its_sign_in_did_not_ask_for(simulated: Simulated) -> None:
    assert await granted(simulated) == set(SCOPES.split())
    assert await granted(simulated, scope=DATA_ONLY) == set(DATA_ONLY.split())


async def test_consent_is_kept_per_application(simulated: Simulated) -> None:
    await granted(simulated)
    page = await simulated.browser.get(simulated.authorize_url(client_id=simulated.full.client_id))
    assert simulated.full.name in page.text
    assert page.scopes


async def test_tesla_s_own_app_needs_no_consent(simulated: Simulated) -> None:
    page = await simulated.signed_in(simulated.owner_url(), simulated.guarded)
    assert page.status == 302
    assert simulated.guarded.consents == {}


def consent_url(simulated: Simulated, client_id: str = "", back_url: str = "http://127.0.0.1:8123/config") -> str:
    client_id = client_id or simulated.monitoring.client_id
    return f"{simulated.addresses.consent('eu')}?revoke_client_id={client_id}&back_url={back_url}"


async def signed_in_at_consent_page(simulated: Simulated) -> Page:
    return await simulated.signed_in(consent_url(simulated), simulated.plain)


async def test_reduced_consent_counts_from_the_next_access_token_on(simulated: Simulated) -> None:
    pair = simulated.tokens.mint(simulated.plain, simulated.monitoring.client_id, frozenset(SCOPES.split()))
    page = await signed_in_at_consent_page(simulated)
    assert set(page.scopes) == set(SCOPES.split()) - {"openid", "offline_access"}
    saved = await simulated.browser.tick(page, ["vehicle_device_data"], decision="save")
    assert saved.scopes == ["vehicle_device_data"]
    assert simulated.tokens.verify(pair.access_token).scopes == set(SCOPES.split())
    assert pair.refresh_token is not None
    status, body = await simulated.refresh(pair.refresh_token)
    assert (status, set(claims_of(body["access_token"])["scp"])) == (200, set(DATA_ONLY.split()))
    assert simulated.tokens.verify(body["access_token"]).scopes == set(DATA_ONLY.split())


async def test_withdrawn_consent_ends_both_tokens_and_is_asked_for_again(simulated: Simulated) -> None:
    pair = simulated.tokens.mint(simulated.plain, simulated.monitoring.client_id, frozenset(SCOPES.split()))
    page = await signed_in_at_consent_page(simulated)
    gone = await simulated.browser.fill(page, decision="revoke")
    assert gone.text_at("status") == "Access removed."
    with pytest.raises(BearerRefused) as refused:
        simulated.tokens.verify(pair.access_token)
    assert refused.value.reason is BearerRefusal.REVOKED
    assert pair.refresh_token is not None
    assert await simulated.refresh(pair.refresh_token) == (
        401,
        {"error": "User revoked consent", "error_description": ""},
    )
    page = await simulated.browser.get(simulated.authorize_url())
    assert set(page.scopes) == set(SCOPES.split()) - {"openid", "offline_access"}
    await simulated.browser.tick(page, page.scopes, decision="allow")
    assert (await simulated.refresh(pair.refresh_token))[0] == 401


async def test_a_code_is_worth_nothing_once_consent_is_withdrawn(simulated: Simulated) -> None:
    returned = await simulated.allowed(simulated.authorize_url(), simulated.plain)
    simulated.tokens.revoke_consent(simulated.plain, simulated.monitoring.client_id)
    assert (await simulated.exchange(returned["code"]))[1]["error"] == "User revoked consent"


async def test_the_consent_page_knows_its_way_back_and_no_harmful_one(simulated: Simulated) -> None:
    page = await signed_in_at_consent_page(simulated)
    assert "no access" in page.text
    link = page.soup.find("a", string="Back")
    assert link is not None
    assert link["href"] == "http://127.0.0.1:8123/config"
    page = await simulated.browser.get(consent_url(simulated, back_url="javascript:alert(1)"))
    assert page.soup.find("a", string="Back") is None


async def test_the_consent_page_asks_for_the_passcode_too(simulated: Simulated) -> None:
    simulated.tokens.mint(simulated.guarded, simulated.monitoring.client_id, frozenset(SCOPES.split()))
    page = await simulated.password_given(consent_url(simulated), simulated.guarded)
    assert "passcode" in page.inputs
    assert page.scopes == []
    page = await simulated.browser.follow(page, "Use a backup passcode")
    page = await simulated.browser.fill(page, backup_code="7QKWM2XPA")
    assert page.scopes


async def test_a_decision_before_the_sign_in_changes_nothing(simulated: Simulated) -> None:
    pair = simulated.tokens.mint(simulated.guarded, simulated.monitoring.client_id, frozenset(SCOPES.split()))
    page = await simulated.password_given(consent_url(simulated), simulated.guarded)
    await simulated.browser.fill(page, decision="revoke")
    assert simulated.tokens.verify(pair.access_token).account_sub == simulated.guarded.sub


async def test_a_forged_decision_is_refused(simulated: Simulated) -> None:
    pair = simulated.tokens.mint(simulated.plain, simulated.monitoring.client_id, frozenset(SCOPES.split()))
    page = await signed_in_at_consent_page(simulated)
    refused = await simulated.browser.fill(page, decision="revoke", _csrf="guessed")
    assert refused.status == 403
    assert simulated.tokens.verify(pair.access_token).account_sub == simulated.plain.sub


async def test_the_consent_page_ends_with_its_transaction(simulated: Simulated) -> None:
    simulated.tokens.mint(simulated.plain, simulated.monitoring.client_id, frozenset(SCOPES.split()))
    page = await signed_in_at_consent_page(simulated)
    simulated.clock.advance(901)
    await simulated.browser.fill(page, decision="revoke")
    assert simulated.monitoring.client_id in simulated.plain.consents


@pytest.mark.parametrize("client_id", ["nobody", "ownerapi"])
async def test_the_consent_page_knows_third_parties_alone(simulated: Simulated, client_id: str) -> None:
    assert (await simulated.browser.get(consent_url(simulated, client_id))).status == 400


async def test_a_chinese_account_manages_its_consent_in_china(simulated: Simulated) -> None:
    page = await simulated.browser.get(consent_url(simulated))
    page = await simulated.browser.fill(page, identity=simulated.chinese.email)
    assert page.status == 303
    assert page.location is not None
    assert page.location.startswith(simulated.addresses.consent("cn"))


def test_every_address_has_its_place_on_the_one_port() -> None:
    addresses = Addresses("http://127.0.0.1:8100")
    assert addresses.authorize("eu") == "http://127.0.0.1:8100/auth/oauth2/v3/authorize"
    assert addresses.authorize("cn") == "http://127.0.0.1:8100/auth-cn/oauth2/v3/authorize"
    assert addresses.token("na") == "http://127.0.0.1:8100/fleet-auth/oauth2/v3/token"
    assert addresses.token("cn") == "http://127.0.0.1:8100/auth-cn/oauth2/v3/token"
    assert addresses.owner_token("eu") == "http://127.0.0.1:8100/auth/oauth2/v3/token"
    assert addresses.fleet("na") == "http://127.0.0.1:8100/fleet/na"
    assert addresses.owner_api == "http://127.0.0.1:8100/owner-api"
    assert addresses.control == "http://127.0.0.1:8100/control"
