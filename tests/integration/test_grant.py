"""Grants and what an access token says about itself."""

import time
from typing import Any

from hypothesis import given, strategies as st
import jwt
import pytest

from custom_components.teslafi.tesla.grant import Claims, Grant, Kind, TokenMalformed
from custom_components.teslafi.tesla.servers import OWNER_API, SERVERS, region_at

NOW = 1_790_000_000.0
KEY = "a key of nobody's, since claims are read without verifying"


def access_token(**claims: object) -> str:
    """Return a token shaped like Tesla's, with these claims changed."""
    usual = {
        "iss": "https://auth.tesla.com/oauth2/v3/nts",
        "azp": "client-1",
        "sub": "account-1",
        "aud": ["https://fleet-api.prd.na.vn.cloud.tesla.com", "https://auth.tesla.com/oauth2/v3/userinfo"],
        "scp": ["vehicle_device_data", "offline_access", "openid"],
        "exp": NOW + 28800,
        "iat": NOW,
        "ou_code": "EU",
    }
    return jwt.encode({**usual, **claims}, KEY, algorithm="HS256")


def test_claims_are_read() -> None:
    """Account, client, region, scopes, end and kind come out of the token."""
    claims = Claims.of(access_token())
    assert (claims.account, claims.client_id, claims.region) == ("account-1", "client-1", "eu")
    assert claims.scopes == {"vehicle_device_data", "offline_access", "openid"}
    assert claims.expires_at == NOW + 28800
    assert claims.kind is Kind.FLEET


@pytest.mark.parametrize(
    ("changed", "region"),
    [
        ({"ou_code": "NA"}, "na"),
        ({"ou_code": "eu"}, "eu"),
        ({"ou_code": "CN"}, "cn"),
        ({"ou_code": None, "iss": "https://auth.tesla.cn/oauth2/v3"}, "cn"),
        ({"ou_code": "XX"}, "na"),
        ({"ou_code": 7}, "na"),
    ],
)
def test_the_region_is_read(changed: dict[str, Any], region: str) -> None:
    """`ou_code` tells it; China also by its issuer; what is unknown counts as North America."""
    assert Claims.of(access_token(**changed)).region == region


def test_a_token_of_teslas_own_app_is_known() -> None:
    """Its client is `ownerapi`; it goes to the other interface and can always command."""
    answer = {"access_token": access_token(azp="ownerapi", scp=["openid", "email", "offline_access"])}
    grant = Grant.from_answer(answer, client_id="", now=NOW)
    assert grant.kind is Kind.OWNER
    assert grant.server == OWNER_API["global"]
    assert grant.can_command
    assert grant.reads_location


@pytest.mark.parametrize(
    "token",
    [
        "",
        "eyJ",
        "not a token",
        "a.b.c",
        access_token(sub=None),
        access_token(sub=""),
        access_token(exp="soon"),
        jwt.encode({"sub": "x"}, KEY, algorithm="HS256"),
        jwt.encode({"exp": NOW}, KEY, algorithm="HS256"),
    ],
)
def test_what_is_no_token_is_refused(token: str) -> None:
    """One exception for all of it, without the text of the token."""
    with pytest.raises(TokenMalformed) as refused:
        Claims.of(token)
    assert not token or token not in str(refused.value)


@given(text=st.text())
def test_any_text_is_a_token_or_refused(text: str) -> None:
    """Nothing that is pasted raises anything else."""
    with pytest.raises(TokenMalformed):
        Claims.of(text)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(claims=st.dictionaries(st.sampled_from(["sub", "exp", "azp", "scp", "ou_code", "iss", "aud", "iat"]), JSON))
def test_any_claims_are_read_or_refused(claims: dict[str, Any]) -> None:
    """Claims of any type make a token or TokenMalformed."""
    try:
        token = jwt.encode(claims, KEY, algorithm="HS256")
    except TypeError, ValueError, OverflowError:
        return
    try:
        read = Claims.of(token)
    except TokenMalformed:
        return
    assert read.account
    assert read.region in SERVERS


def test_a_refreshed_grant_keeps_what_tesla_does_not_repeat() -> None:
    """The refresh token stays when none comes; so do the corrected region and the time of issue."""
    first = Grant.from_answer(
        {"access_token": access_token(), "refresh_token": "EU_first", "expires_in": 28800}, client_id="c", now=NOW
    ).moved_to("na")
    second = Grant.from_answer(
        {"access_token": access_token(), "expires_in": 1000}, client_id="c", now=NOW + 5, before=first
    )
    assert second.refresh_token == first.refresh_token
    assert (second.region, second.issued_at, second.expires_at) == ("na", NOW, NOW + 1005)


def test_the_end_is_the_tokens_own_when_the_answer_is_silent() -> None:
    """`expires_in` is relied on, else `exp`."""
    grant = Grant.from_answer({"access_token": access_token()}, client_id="c", now=NOW)
    assert grant.expires_at == NOW + 28800


@pytest.mark.parametrize("scope", ["vehicle_cmds", "vehicle_charging_cmds", "energy_cmds"])
def test_command_scopes_are_seen(scope: str) -> None:
    """Any of the three makes a grant one that can command."""
    reading = Grant.from_answer({"access_token": access_token()}, client_id="c", now=NOW)
    commanding = Grant.from_answer({"access_token": access_token(scp=["openid", scope])}, client_id="c", now=NOW)
    assert not reading.can_command
    assert commanding.can_command


def test_a_grant_shows_no_token() -> None:
    """Its repr can stand in a log."""
    grant = Grant.from_answer(
        {"access_token": access_token(), "refresh_token": "EU_MARKER"}, client_id="c", now=time.time()
    )
    assert "MARKER" not in repr(grant)
    assert grant.access_token.reveal() not in repr(grant)


def test_only_teslas_addresses_are_regions() -> None:
    """An address out of an error text is looked up, not believed."""
    assert region_at("https://fleet-api.prd.eu.vn.cloud.tesla.com") == "eu"
    assert region_at("https://fleet-api.prd.eu.vn.cloud.tesla.com/") == "eu"
    for other in ("https://fleet-api.prd.eu.vn.cloud.tesla.com.evil.example", "http://127.0.0.1", ""):
        assert region_at(other) is None
