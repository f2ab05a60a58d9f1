"""The token endpoint: codes, refresh tokens, partner tokens, and every refusal with status and body."""

import base64
from typing import Any

import jwt
import pytest

from teslafi_simulators.tesla.sign_in.throttle import TOKEN_REQUESTS
from teslafi_simulators.tesla.tokens import BearerRefusal, BearerRefused
from tests.simulators.tesla.sign_in.browser import REDIRECT, SCOPES, VERIFIER, Simulated, claims_of

LOGIN_REQUIRED = (401, {"error": "login_required", "error_description": "Login required"})
INVALID_GRANT = (
    401,
    {
        "error": "invalid_grant",
        "error_description": "The provided authorization grant is invalid, expired, revoked, does not match the "
        "redirection URI used in the authorization request, or was issued to another client.",
    },
)
UNKNOWN_USER = (401, {"response": None, "error": "unknown user", "error_description": ""})

NA = "https://fleet-api.prd.na.vn.cloud.tesla.com"
EU = "https://fleet-api.prd.eu.vn.cloud.tesla.com"
CN = "https://fleet-api.prd.cn.vn.cloud.tesla.cn"


async def code_for(simulated: Simulated, **changed: str | None) -> str:
    base = changed.pop("base", None)
    return (await simulated.allowed(simulated.authorize_url(base, **changed), simulated.plain))["code"]


async def owner_exchange(simulated: Simulated, code: str, **changed: str | None) -> tuple[int, Any]:
    fields: dict[str, str | None] = {
        "client_id": "ownerapi",
        "redirect_uri": "tesla://auth/callback",
        "url": simulated.addresses.owner_token("eu"),
        "client_secret": None,
        "audience": None,
    }
    return await simulated.exchange(code, **(fields | changed))


def refused_error(answer: tuple[int, Any]) -> tuple[int, str]:
    status, body = answer
    return status, body["error"]


async def test_a_fleet_code_earns_the_tokens_documented(simulated: Simulated) -> None:
    returned = await simulated.allowed(simulated.authorize_url(nonce="n-1", locale="de-DE"), simulated.guarded)
    assert returned["locale"] == "de-DE"
    status, body = await simulated.exchange(returned["code"])
    assert status == 200
    assert body.keys() == {"access_token", "refresh_token", "id_token", "expires_in", "token_type", "state"}
    assert (body["expires_in"], body["token_type"], body["state"]) == (28_800, "Bearer", "st-1")
    assert body["refresh_token"].startswith("NA_")
    now = int(simulated.clock())
    addresses = simulated.addresses
    assert claims_of(body["access_token"]) == {
        "iss": "https://auth.tesla.com/oauth2/v3/nts",
        "azp": simulated.monitoring.client_id,
        "sub": simulated.guarded.sub,
        "aud": [NA, EU, addresses.fleet("na"), addresses.fleet("eu"), "https://auth.tesla.com/oauth2/v3/userinfo"],
        "scp": sorted(SCOPES.split()),
        "amr": ["pwd", "mfa", "otp"],
        "exp": now + 28_800,
        "iat": now,
        "auth_time": now,
        "ou_code": "NA",
        "locale": "de-DE",
    }
    assert claims_of(body["id_token"])["nonce"] == "n-1"
    assert simulated.tokens.verify(body["access_token"]).region == "na"


async def test_signatures_are_checked_with_the_published_keys(simulated: Simulated) -> None:
    async with simulated.session.get(simulated.addresses.discovery) as response:
        configuration = await response.json()
    assert configuration["authorization_endpoint"] == simulated.addresses.authorize("na")
    assert configuration["token_endpoint"] == simulated.addresses.token("na")
    async with simulated.session.get(configuration["jwks_uri"]) as response:
        keys = jwt.PyJWKSet.from_dict(await response.json())
    pair = simulated.tokens.mint(simulated.plain, simulated.monitoring.client_id, frozenset(SCOPES.split()))
    key = keys[jwt.get_unverified_header(pair.access_token)["kid"]]
    options: Any = {"verify_exp": False, "verify_iat": False}
    claims = jwt.decode(pair.access_token, key, algorithms=["ES256"], audience=NA, options=options)
    assert claims["iss"] == configuration["issuer"]
    head, payload, signature = pair.access_token.split(".")
    forged = f"{head}.{payload}.{signature[:-8]}AAAAAAAA"
    with pytest.raises(jwt.InvalidSignatureError):
        jwt.decode(forged, key, algorithms=["ES256"], audience=NA, options=options)
    with pytest.raises(BearerRefused):
        simulated.tokens.verify(forged)


async def test_owner_tokens_are_of_the_other_world(simulated: Simulated) -> None:
    code = (await simulated.signed_in(simulated.owner_url(), simulated.plain)).returned["code"]
    status, body = await owner_exchange(simulated, code)
    assert status == 200
    claims = claims_of(body["access_token"])
    assert claims["iss"] == "https://auth.tesla.com/oauth2/v3"
    assert claims["azp"] == "ownerapi"
    assert claims["amr"] == ["pwd"]
    assert claims["scp"] == ["email", "offline_access", "openid"]
    assert "x-enc" in claims
    assert "https://owner-api.teslamotors.com/" in claims["aud"]
    assert body["refresh_token"].startswith("eyJ")
    bearer = simulated.tokens.verify(body["access_token"])
    assert (bearer.kind, bearer.fingerprint_ok) == ("owner", True)


async def test_the_fingerprint_of_owner_tokens_shows_in_a_claim(simulated: Simulated) -> None:
    good = simulated.tokens.mint(simulated.plain, "ownerapi", frozenset({"openid", "offline_access"}))
    simulated.tokens.app_fingerprint = False
    bad = simulated.tokens.mint(simulated.plain, "ownerapi", frozenset({"openid", "offline_access"}))
    assert not simulated.tokens.verify(bad.access_token).fingerprint_ok
    assert simulated.tokens.verify(good.access_token).fingerprint_ok
    assert claims_of(good.access_token)["x-enc"] != claims_of(bad.access_token)["x-enc"]
    override = simulated.tokens.mint(simulated.plain, "ownerapi", frozenset({"openid"}), app_fingerprint=True)
    assert simulated.tokens.verify(override.access_token).fingerprint_ok


async def test_json_is_tolerated_from_tesla_s_own_app_alone(simulated: Simulated) -> None:
    code = (await simulated.signed_in(simulated.owner_url(), simulated.plain)).returned["code"]
    body = {
        "grant_type": "authorization_code",
        "client_id": "ownerapi",
        "code": code,
        "code_verifier": VERIFIER,
        "redirect_uri": "tesla://auth/callback",
    }
    async with simulated.session.post(simulated.addresses.owner_token("eu"), json=body) as response:
        assert response.status == 200
        assert response.headers["Cache-Control"] == "no-store"
        assert (await response.json())["state"] == "st-1"
    async with simulated.session.post(
        simulated.addresses.token("eu"), json=body | {"client_id": simulated.monitoring.client_id}
    ) as response:
        assert (response.status, (await response.json())["error"]) == (400, "invalid_request")


@pytest.mark.parametrize(
    ("content_type", "sent"),
    [
        *[("application/json", sent) for sent in (b"", b"{", b"[]", b"null", b"\xff", b'{"client_id": "teslafi"}')],
        ("text/plain", b"client_id=ownerapi"),
        ("application/x-www-form-urlencoded", b"client_id=\xff"),
        ("application/x-www-form-urlencoded; charset=none-such", b"client_id=ownerapi"),
    ],
)
async def test_a_body_that_is_no_request_is_refused(simulated: Simulated, content_type: str, sent: bytes) -> None:
    async with simulated.session.post(
        simulated.addresses.owner_token("eu"), data=sent, headers={"Content-Type": content_type}
    ) as response:
        assert (response.status, (await response.json())["error"]) == (400, "invalid_request")


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"client_id": "nobody"}, "unauthorized_client"),
        ({"client_id": None}, "unauthorized_client"),
        ({"client_secret": None}, "unauthorized_client"),
        ({"client_secret": "wrong"}, "unauthorized_client"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"grant_type": None}, "unsupported_grant_type"),
        ({"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer"}, "unsupported_grant_type"),
        ({"code": None}, "invalid_request"),
        ({"code": "EU_00"}, "invalid_auth_code"),
        ({"code_verifier": None}, "invalid_auth_code"),
        ({"code_verifier": "x" * 43}, "invalid_auth_code"),
        ({"redirect_uri": None}, "invalid_request"),
        ({"redirect_uri": "http://127.0.0.1:8123/auth/external/callback"}, "invalid_redirect_url"),
        ({"audience": "https://fleet-api.example"}, "invalid_request"),
        ({"audience": CN}, "invalid_request"),
        ({"audience": ""}, "invalid_request"),
    ],
)
async def test_an_exchange_that_is_refused(simulated: Simulated, changed: dict[str, str | None], error: str) -> None:
    code = await code_for(simulated)
    assert refused_error(await simulated.exchange(**({"code": code} | changed))) == (400, error)  # type: ignore[arg-type]


async def test_a_repeated_parameter_is_refused(simulated: Simulated) -> None:
    code = await code_for(simulated)
    fields = [("grant_type", "authorization_code"), ("code", code), ("code", code), ("client_id", "teslafi-monitoring")]
    async with simulated.session.post(simulated.addresses.token("eu"), data=fields) as response:
        assert (response.status, (await response.json())["error"]) == (400, "invalid_request")


async def test_a_code_works_once(simulated: Simulated) -> None:
    code = await code_for(simulated)
    assert (await simulated.exchange(code))[0] == 200
    assert refused_error(await simulated.exchange(code)) == (400, "invalid_auth_code")


async def test_a_refused_attempt_spends_the_code_but_another_client_s_does_not(simulated: Simulated) -> None:
    code = await code_for(simulated)
    stolen = await simulated.exchange(
        code, client_id=simulated.full.client_id, client_secret=simulated.full.client_secret
    )
    assert refused_error(stolen) == (400, "invalid_auth_code")
    assert refused_error(await simulated.exchange(code, code_verifier="y" * 43)) == (400, "invalid_auth_code")
    assert refused_error(await simulated.exchange(code)) == (400, "invalid_auth_code")


@pytest.mark.parametrize("seconds", [0, 299, 300])
async def test_a_code_is_short_lived(simulated: Simulated, seconds: float) -> None:
    code = await code_for(simulated)
    simulated.clock.advance(seconds)
    assert (await simulated.exchange(code))[0] == (200 if seconds < 300 else 400)


async def test_a_code_ends_with_the_password(simulated: Simulated) -> None:
    code = await code_for(simulated)
    simulated.accounts.change_password(simulated.plain.email, "pw-new")
    assert refused_error(await simulated.exchange(code)) == (400, "invalid_auth_code")


async def test_a_code_ends_with_the_account(simulated: Simulated) -> None:
    code = await code_for(simulated)
    simulated.accounts.remove(simulated.plain.email)
    assert await simulated.exchange(code) == UNKNOWN_USER


async def test_bad_grants_of_tesla_s_own_app_are_told_in_the_old_style(simulated: Simulated) -> None:
    page = await simulated.signed_in(simulated.owner_url(), simulated.plain)
    code = page.returned["code"]
    assert (await owner_exchange(simulated, code))[0] == 200
    assert await owner_exchange(simulated, code) == INVALID_GRANT
    for wrong in ({"redirect_uri": "https://auth.tesla.com/void/callback"}, {"code_verifier": "z" * 43}):
        code = (await simulated.browser.get(simulated.owner_url())).returned["code"]
        assert await owner_exchange(simulated, code, **wrong) == INVALID_GRANT


async def test_an_open_source_application_proves_itself_by_pkce_alone(simulated: Simulated) -> None:
    code = await code_for(simulated, client_id="open-source")
    status, _ = await simulated.exchange(code, client_id="open-source", client_secret=None)
    assert status == 200


async def test_without_challenge_the_secret_is_proof_enough(simulated: Simulated) -> None:
    code = await code_for(simulated, code_challenge=None, code_challenge_method=None)
    assert (await simulated.exchange(code, code_verifier=None))[0] == 200


async def test_without_audience_the_fleet_api_will_not_take_the_token(simulated: Simulated) -> None:
    status, body = await simulated.exchange(await code_for(simulated), audience=None)
    assert status == 200
    assert claims_of(body["access_token"])["aud"] == ["https://auth.tesla.com/oauth2/v3/userinfo"]
    with pytest.raises(BearerRefused) as refused:
        simulated.tokens.verify(body["access_token"])
    assert refused.value.reason is BearerRefusal.AUDIENCE
    _, refreshed = await simulated.refresh(body["refresh_token"])
    with pytest.raises(BearerRefused):
        simulated.tokens.verify(refreshed["access_token"])


async def test_what_begins_at_fleet_auth_needs_no_audience(simulated: Simulated) -> None:
    base = simulated.addresses.authorize("eu").replace("/auth/", "/fleet-auth/")
    status, body = await simulated.exchange(await code_for(simulated, base=base), audience=None)
    assert status == 200
    assert simulated.tokens.verify(body["access_token"]).kind == "fleet"


@pytest.mark.parametrize("audience", [NA, EU])
async def test_tesla_s_own_base_addresses_are_audiences_too(simulated: Simulated, audience: str) -> None:
    status, body = await simulated.exchange(await code_for(simulated), audience=audience)
    assert status == 200
    assert simulated.tokens.verify(body["access_token"]).region == "eu"


async def test_without_offline_access_there_is_no_refresh_token(simulated: Simulated) -> None:
    code = await code_for(simulated, scope="vehicle_device_data")
    _, body = await simulated.exchange(code)
    assert body.keys() == {"access_token", "expires_in", "token_type", "state"}


async def test_third_parties_get_no_tokens_at_auth_tesla_com(simulated: Simulated) -> None:
    status, body = await simulated.exchange(await code_for(simulated), url=simulated.addresses.owner_token("eu"))
    assert (status, body["error"], body["error_description"]) == (400, "server_error", "Internal server error")


async def test_tesla_s_own_app_gets_no_tokens_at_fleet_auth(simulated: Simulated) -> None:
    code = (await simulated.signed_in(simulated.owner_url(), simulated.plain)).returned["code"]
    refused = await owner_exchange(simulated, code, url=simulated.addresses.token("eu"))
    assert refused_error(refused) == (400, "unauthorized_client")


async def test_china_is_a_world_of_its_own(simulated: Simulated) -> None:
    url = simulated.authorize_url(simulated.addresses.authorize("cn"))
    code = (await simulated.allowed(url, simulated.chinese))["code"]
    status, body = await simulated.exchange(code, url=simulated.addresses.token("cn"), audience=CN)
    assert status == 200
    claims = claims_of(body["access_token"])
    assert (claims["iss"], claims["ou_code"]) == ("https://auth.tesla.cn/oauth2/v3/nts", "CN")
    assert claims["aud"] == [CN, simulated.addresses.fleet("cn"), "https://auth.tesla.cn/oauth2/v3/userinfo"]
    assert body["refresh_token"].startswith("CN_")
    assert await simulated.refresh(body["refresh_token"]) == UNKNOWN_USER
    assert (await simulated.refresh(body["refresh_token"], url=simulated.addresses.token("cn")))[0] == 200
    code = (await simulated.browser.get(url)).returned["code"]
    assert refused_error(await simulated.exchange(code, audience=None)) == (400, "invalid_auth_code")


async def test_a_refresh_needs_neither_secret_nor_audience(simulated: Simulated) -> None:
    _, body = await simulated.exchange(await code_for(simulated))
    status, refreshed = await simulated.refresh(body["refresh_token"])
    assert status == 200
    assert refreshed.keys() == {"access_token", "refresh_token", "id_token", "expires_in", "token_type"}
    assert refreshed["refresh_token"] != body["refresh_token"]
    assert simulated.tokens.verify(refreshed["access_token"]).account_sub == simulated.plain.sub
    assert claims_of(refreshed["access_token"])["locale"] == "de-DE"


@pytest.mark.parametrize(
    ("changed", "answer"),
    [
        ({"client_secret": "wrong"}, (400, "unauthorized_client")),
        ({"client_id": "nobody"}, (400, "unauthorized_client")),
        ({"client_id": "teslafi-full"}, (401, "login_required")),
        ({"refresh_token": "EU_00"}, (401, "login_required")),
        ({"refresh_token": None}, (400, "invalid_request")),
    ],
)
async def test_a_refresh_that_is_refused(
    simulated: Simulated, changed: dict[str, str | None], answer: tuple[int, str]
) -> None:
    _, body = await simulated.exchange(await code_for(simulated))
    fields: dict[str, Any] = {"refresh_token": body["refresh_token"]} | changed
    assert refused_error(await simulated.refresh(**fields)) == answer
    assert (await simulated.refresh(body["refresh_token"]))[0] == 200


async def test_a_used_refresh_token_is_refused_once_its_successor_is_used(simulated: Simulated) -> None:
    _, first = await simulated.exchange(await code_for(simulated))
    _, second = await simulated.refresh(first["refresh_token"])
    _, third = await simulated.refresh(second["refresh_token"])
    assert await simulated.refresh(first["refresh_token"]) == LOGIN_REQUIRED
    assert (await simulated.refresh(third["refresh_token"]))[0] == 200


@pytest.mark.parametrize("seconds", [86_399, 86_400])
async def test_the_last_used_refresh_token_works_for_a_day_more(simulated: Simulated, seconds: float) -> None:
    _, first = await simulated.exchange(await code_for(simulated))
    _, lost = await simulated.refresh(first["refresh_token"])
    simulated.clock.advance(seconds)
    again = await simulated.refresh(first["refresh_token"])
    if seconds < 86_400:
        assert again[0] == 200
        assert await simulated.refresh(lost["refresh_token"]) == LOGIN_REQUIRED
        assert (await simulated.refresh(again[1]["refresh_token"]))[0] == 200
    else:
        assert again == LOGIN_REQUIRED
        assert (await simulated.refresh(lost["refresh_token"]))[0] == 200


async def test_grace_is_counted_from_the_first_use(simulated: Simulated) -> None:
    _, first = await simulated.exchange(await code_for(simulated))
    await simulated.refresh(first["refresh_token"])
    simulated.clock.advance(80_000)
    assert (await simulated.refresh(first["refresh_token"]))[0] == 200
    simulated.clock.advance(6_400)
    assert await simulated.refresh(first["refresh_token"]) == LOGIN_REQUIRED


@pytest.mark.parametrize("seconds", [90 * 86_400 - 1, 90 * 86_400])
async def test_a_refresh_token_ends_after_three_months(simulated: Simulated, seconds: float) -> None:
    _, body = await simulated.exchange(await code_for(simulated))
    simulated.clock.advance(seconds)
    answer = await simulated.refresh(body["refresh_token"])
    if seconds < 90 * 86_400:
        assert answer[0] == 200
    else:
        assert answer == LOGIN_REQUIRED


async def test_a_new_sign_in_cancels_the_one_before(simulated: Simulated) -> None:
    _, old = await simulated.exchange(await code_for(simulated))
    _, new = await simulated.exchange(await code_for(simulated))
    assert await simulated.refresh(old["refresh_token"]) == LOGIN_REQUIRED
    with pytest.raises(BearerRefused) as refused:
        simulated.tokens.verify(old["access_token"])
    assert refused.value.reason is BearerRefusal.REVOKED
    assert simulated.tokens.verify(new["access_token"]).account_sub == simulated.plain.sub
    assert (await simulated.refresh(new["refresh_token"]))[0] == 200


async def test_a_new_sign_in_leaves_other_applications_and_other_devices_alone(simulated: Simulated) -> None:
    other = simulated.tokens.mint(simulated.plain, simulated.full.client_id, frozenset(SCOPES.split()))
    phone = simulated.tokens.mint(simulated.plain, "ownerapi", frozenset({"openid", "offline_access"}))
    simulated.tokens.mint(simulated.plain, "ownerapi", frozenset({"openid", "offline_access"}))
    await simulated.exchange(await code_for(simulated))
    for pair in (other, phone):
        assert simulated.tokens.verify(pair.access_token).account_sub == simulated.plain.sub


async def test_a_changed_password_ends_every_token(simulated: Simulated) -> None:
    _, body = await simulated.exchange(await code_for(simulated))
    owner = simulated.tokens.mint(simulated.plain, "ownerapi", frozenset({"openid", "offline_access"}))
    simulated.accounts.change_password(simulated.plain.email, "pw-new")
    assert await simulated.refresh(body["refresh_token"]) == LOGIN_REQUIRED
    for access_token in (body["access_token"], owner.access_token):
        with pytest.raises(BearerRefused) as refused:
            simulated.tokens.verify(access_token)
        assert refused.value.reason is BearerRefusal.REVOKED
    assert (
        await simulated.refresh(
            owner.refresh_token or "", client_id="ownerapi", url=simulated.addresses.owner_token("eu")
        )
        == LOGIN_REQUIRED
    )


async def test_a_deleted_account_is_an_unknown_user(simulated: Simulated) -> None:
    _, body = await simulated.exchange(await code_for(simulated))
    simulated.accounts.remove(simulated.plain.email)
    assert await simulated.refresh(body["refresh_token"]) == UNKNOWN_USER
    with pytest.raises(BearerRefused):
        simulated.tokens.verify(body["access_token"])


async def partner(simulated: Simulated, **changed: str | None) -> tuple[int, Any]:
    fields: dict[str, str | None] = {
        "grant_type": "client_credentials",
        "client_id": simulated.full.client_id,
        "client_secret": simulated.full.client_secret,
        "scope": "openid vehicle_device_data",
        "audience": EU,
    }
    return await simulated.token(**(fields | changed))


async def test_a_partner_token_is_the_application_s_own(simulated: Simulated) -> None:
    status, body = await partner(simulated)
    assert status == 200
    assert body.keys() == {"access_token", "expires_in", "token_type"}
    bearer = simulated.tokens.verify(body["access_token"])
    assert (bearer.kind, bearer.region, bearer.client_id) == ("partner", "eu", simulated.full.client_id)
    assert bearer.scopes == {"openid", "vehicle_device_data"}
    assert simulated.accounts.by_sub(bearer.account_sub) is None


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"client_secret": None}, "unauthorized_client"),
        ({"client_secret": "wrong"}, "unauthorized_client"),
        ({"client_id": "open-source", "client_secret": None}, "unauthorized_client"),
        ({"client_id": "open-source", "client_secret": "x"}, "unauthorized_client"),
        ({"scope": "openid vehicle_specs"}, "invalid_scope"),
        ({"audience": "https://fleet-api.example"}, "invalid_request"),
        ({"audience": CN}, "invalid_request"),
    ],
)
async def test_a_partner_token_that_is_refused(
    simulated: Simulated, changed: dict[str, str | None], error: str
) -> None:
    assert refused_error(await partner(simulated, **changed)) == (400, error)


async def test_a_partner_token_without_audience_is_of_no_use(simulated: Simulated) -> None:
    _, body = await partner(simulated, audience=None)
    with pytest.raises(BearerRefused) as refused:
        simulated.tokens.verify(body["access_token"])
    assert refused.value.reason is BearerRefusal.AUDIENCE


async def test_server_trouble_can_be_ordered_and_passes(simulated: Simulated) -> None:
    _, body = await simulated.exchange(await code_for(simulated))
    simulated.faults.server_errors = 1
    status, trouble = await simulated.refresh(body["refresh_token"])
    assert (status, trouble["error"], trouble["error_description"]) == (400, "server_error", "Internal server error")
    assert trouble["error_uri"].startswith("https://auth.tesla.com/error/reference/")
    assert trouble["error_uri"].endswith(f"-{int(simulated.clock() * 1000)}")
    assert (await simulated.refresh(body["refresh_token"]))[0] == 200


async def test_an_application_may_ask_so_often_in_a_second(simulated: Simulated) -> None:
    for _ in range(TOKEN_REQUESTS):
        assert (await simulated.refresh("EU_00"))[0] == 401
    async with simulated.session.post(
        simulated.addresses.token("eu"),
        data={"grant_type": "refresh_token", "client_id": simulated.monitoring.client_id, "refresh_token": "EU_00"},
    ) as response:
        assert response.status == 429
        assert await response.text() == "Retry in 1 seconds"
        assert (response.headers["Retry-After"], response.headers["RateLimit-Remaining"]) == ("1", "0")
    assert (await simulated.refresh("EU_00", client_id=simulated.full.client_id))[0] == 401
    simulated.clock.advance(1)
    assert (await simulated.refresh("EU_00"))[0] == 401


async def test_access_tokens_end_after_eight_hours_or_on_demand(simulated: Simulated) -> None:
    pair = simulated.tokens.mint(simulated.plain, simulated.monitoring.client_id, frozenset(SCOPES.split()))
    simulated.clock.advance(28_799)
    assert simulated.tokens.verify(pair.access_token).scopes == set(SCOPES.split())
    simulated.clock.advance(1)
    fresh = simulated.tokens.mint(simulated.plain, simulated.full.client_id, frozenset(SCOPES.split()))
    simulated.tokens.expire(fresh.access_token)
    for access_token in (pair.access_token, fresh.access_token):
        with pytest.raises(BearerRefused) as refused:
            simulated.tokens.verify(access_token)
        assert refused.value.reason is BearerRefusal.EXPIRED


async def test_what_was_never_issued_is_unknown(simulated: Simulated) -> None:
    pair = simulated.tokens.mint(simulated.plain, simulated.monitoring.client_id, frozenset(SCOPES.split()))
    for text in ("", "nonsense", pair.refresh_token or "", pair.id_token or ""):
        with pytest.raises(BearerRefused) as refused:
            simulated.tokens.verify(text)
        assert refused.value.reason is BearerRefusal.UNKNOWN
    with pytest.raises(KeyError):
        simulated.tokens.expire("nonsense")
    with pytest.raises(KeyError):
        simulated.tokens.mint(simulated.plain, "nobody", frozenset())


async def test_all_tokens_of_an_account_can_be_ended(simulated: Simulated) -> None:
    pair = simulated.tokens.mint(simulated.plain, simulated.monitoring.client_id, frozenset(SCOPES.split()))
    other = simulated.tokens.mint(simulated.guarded, simulated.monitoring.client_id, frozenset(SCOPES.split()))
    simulated.tokens.revoke_all(simulated.plain)
    assert await simulated.refresh(pair.refresh_token or "") == LOGIN_REQUIRED
    with pytest.raises(BearerRefused):
        simulated.tokens.verify(pair.access_token)
    assert simulated.tokens.verify(other.access_token).account_sub == simulated.guarded.sub


async def test_no_secret_shows_in_a_repr(simulated: Simulated) -> None:
    pair = simulated.tokens.mint(simulated.guarded, simulated.monitoring.client_id, frozenset(SCOPES.split()))
    shown = repr((pair, simulated.guarded, simulated.monitoring))
    for secret in (
        pair.access_token,
        pair.refresh_token,
        pair.id_token,
        simulated.guarded.password,
        simulated.guarded.devices[0].secret,
        simulated.guarded.backup_passcodes[0],
        simulated.monitoring.client_secret,
    ):
        assert secret
        assert secret not in shown


@pytest.mark.parametrize("in_body", [True, False])
async def test_the_client_may_authenticate_by_basic(simulated: Simulated, in_body: bool) -> None:
    """What the OpenID configuration offers is taken (RFC 6749, section 2.3.1)."""
    async with simulated.session.get(simulated.addresses.discovery) as response:
        assert "client_secret_basic" in (await response.json())["token_endpoint_auth_methods_supported"]
    client = simulated.monitoring
    form = {
        "grant_type": "authorization_code",
        "code": await code_for(simulated),
        "redirect_uri": REDIRECT,
        "audience": simulated.addresses.fleet("na"),
        "code_verifier": VERIFIER,
        **({"client_id": client.client_id} if in_body else {}),
    }
    basic = base64.b64encode(f"{client.client_id}:{client.client_secret}".encode()).decode()
    headers = {"Authorization": f"Basic {basic}"}
    async with simulated.session.post(simulated.addresses.token("na"), data=form, headers=headers) as response:
        assert response.status == 200, await response.text()


@pytest.mark.parametrize(
    ("header", "form", "expected"),
    [
        ("Basic !!!", {}, (401, "invalid_client")),
        ("Bearer abc", {}, (401, "invalid_client")),
        ("Basic OnNlY3JldA==", {}, (401, "invalid_client")),
        (
            "Basic dGVzbGFmaS1tb25pdG9yaW5nOnRzLXNlY3JldC5tb25pdG9yaW5n",
            {"client_secret": "x"},
            (400, "invalid_request"),
        ),
        ("Basic dGVzbGFmaS1tb25pdG9yaW5nOnRzLXNlY3JldC5tb25pdG9yaW5n", {"client_id": "x"}, (400, "invalid_request")),
        ("Basic dGVzbGFmaS1tb25pdG9yaW5nOndyb25n", {}, (400, "unauthorized_client")),
    ],
    ids=["no base64", "no basic", "no client", "two secrets", "two clients", "wrong secret"],
)
async def test_basic_authentication_that_does_not_do(
    simulated: Simulated, header: str, form: dict[str, str], expected: tuple[int, str]
) -> None:
    sent = {"grant_type": "client_credentials", "scope": "openid", **form}
    headers = {"Authorization": header}
    async with simulated.session.post(simulated.addresses.token("na"), data=sent, headers=headers) as response:
        assert (response.status, (await response.json())["error"]) == expected


async def test_the_issuer_of_an_id_token_is_the_one_that_discovery_names(simulated: Simulated) -> None:
    """Without that it is no id_token of this issuer (OpenID Connect Core 1.0, section 3.1.3.7)."""
    async with simulated.session.get(simulated.addresses.discovery) as response:
        configuration = await response.json()
    async with simulated.session.get(configuration["jwks_uri"]) as response:
        keys = jwt.PyJWKSet.from_dict(await response.json())
    _, tokens = await simulated.exchange(await code_for(simulated))
    for name, audience in (("id_token", simulated.monitoring.client_id), ("access_token", None)):
        jwt.decode(
            tokens[name],
            keys.keys[0].key,
            algorithms=configuration["id_token_signing_alg_values_supported"],
            issuer=configuration["issuer"],
            audience=audience,
            options={"verify_aud": audience is not None, "verify_exp": False, "verify_iat": False},
        )
