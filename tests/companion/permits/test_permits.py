"""Permits and key shares over HTTP, on both databases: what is permitted, and each way in which it ends."""

import base64
from dataclasses import replace
from datetime import datetime, timedelta
import hashlib
from typing import Any
from uuid import UUID

import jwt
import pytest
from sqlalchemy import select

from teslafi_companion.audit import record
from teslafi_companion.domain.accounts import account, factors
from teslafi_companion.domain.accounts.step_up import Method, Purpose
from teslafi_companion.domain.accounts.visitor import Visitor
from teslafi_companion.domain.links.access import find_caller
from teslafi_companion.domain.links.consent import find
from teslafi_companion.domain.links.scopes import Acr
from teslafi_companion.domain.permits.judge import Refusal, judge
from teslafi_companion.domain.permits.permit import TYPE, public_jwks
from teslafi_companion.http.api import controls as controls_api
from teslafi_companion.http.api.controls import PERMITS, REPORTED
from teslafi_companion.rotation import rotate_keys
from teslafi_companion.store.database import Store
from teslafi_companion.store.tables import controls

from ..clock import ManualClock
from ..oauth.linking import (
    BROWSER,
    DETAILS,
    ELSEWHERE,
    HOME,
    INSTANCE,
    Browser,
    Http,
    bearer,
    events,
    letters,
    link_up,
    links,
    make_account,
    subjects,
)
from .holder import Holder, link_with_controls

pytestmark = pytest.mark.slow


async def at_once(_span: timedelta) -> None:
    """Wait for nobody."""


ISSUER = "http://localhost:8080"


async def verified(http: Http, permit: str, now: datetime) -> dict[str, Any]:
    """Return the claims of a permit, verified with the published keys as anybody would."""
    async with http.get("/api/v1/permit-keys") as response:
        keys = jwt.PyJWKSet.from_dict(await response.json())
    key = keys[jwt.get_unverified_header(permit)["kid"]]
    claims: dict[str, Any] = jwt.decode(
        permit,
        key,
        algorithms=["EdDSA"],
        audience=INSTANCE.id,
        issuer=ISSUER,
        options={"require": ["exp", "iat", "aud", "iss", "sub", "jti"], "verify_exp": False, "verify_iat": False},
    )
    assert claims["iat"] <= now.timestamp() < claims["exp"]
    return claims


async def test_a_permit_says_who_may_what_and_until_when(
    store: Store, http: Http, holder: Holder, clock: ManualClock
) -> None:
    body = await holder.permit()
    claims = await verified(http, body["permit"], clock.now)
    (link,) = await links(store, holder.owner)
    assert claims["sub"] == str(link.id)
    assert (claims["tesla_account"], claims["groups"]) == (DETAILS["account"], DETAILS["groups"])
    assert claims["vehicles"] == ["5YJ3E1EA7KF000001"]
    assert claims["exp"] - claims["iat"] == 24 * 3600 == body["expires_in"]
    assert claims["auth_time"] == int(clock.now.timestamp())
    assert len(base64.b64decode(body["key_share"])) == 32


async def test_a_permit_is_a_token_that_any_library_reads(
    store: Store, http: Http, holder: Holder, clock: ManualClock
) -> None:
    """Its header and claims have the registered names; its key is named by its thumbprint (RFC 7638, 8037)."""
    permit = (await holder.permit())["permit"]
    (key,) = public_jwks(store.cipher, clock.now)
    assert set(key) == {"crv", "kty", "x", "alg", "use", "kid"}
    assert (key["crv"], key["kty"], key["alg"], key["use"]) == ("Ed25519", "OKP", "EdDSA", "sig")
    members = f'{{"crv":"Ed25519","kty":"OKP","x":"{key["x"]}"}}'
    assert key["kid"] == base64.urlsafe_b64encode(hashlib.sha256(members.encode()).digest()).decode().rstrip("=")
    assert jwt.get_unverified_header(permit) == {"alg": "EdDSA", "typ": TYPE, "kid": key["kid"]}
    claims = await verified(http, permit, clock.now)
    assert claims["acr"] == Acr.SECOND_FACTOR.value
    assert UUID(claims["jti"])
    assert claims["jti"] != (await verified(http, (await holder.permit())["permit"], clock.now))["jti"]


async def test_an_unpadded_key_is_published(store: Store, clock: ManualClock) -> None:
    """Whatever the key: base64url without padding (RFC 7515)."""
    for _ in range(5):
        await rotate_keys(store, settle=at_once)
        for key in public_jwks(store.cipher, clock.now):
            assert len(base64.urlsafe_b64decode(key["x"] + "=")) == 32
            assert "=" not in key["x"] + key["kid"]


async def test_a_changed_permit_is_recognised(http: Http, holder: Holder, clock: ManualClock) -> None:
    permit = (await holder.permit())["permit"]
    head, payload, signature = permit.split(".")
    claims = jwt.decode(permit, options={"verify_signature": False}) | {"groups": ["security"]}
    forged = jwt.encode(claims, "x" * 32, algorithm="HS256").split(".")[1]
    for changed in (f"{head}.{forged}.{signature}", f"{head}.{payload}.{signature[:-4]}AAAA"):
        with pytest.raises(jwt.InvalidSignatureError):
            await verified(http, changed, clock.now)


async def test_renewals_keep_the_share_and_a_new_consent_changes_it(
    store: Store, http: Http, holder: Holder, clock: ManualClock
) -> None:
    first = await holder.permit()
    clock.advance(hours=12)
    renewed = await (await holder.refreshed()).permit()
    assert renewed["key_share"] == first["key_share"]
    assert renewed["permit"] != first["permit"]
    again = await link_with_controls(store, http, holder.owner)
    assert (await again.permit())["key_share"] != first["key_share"]


async def test_the_owner_is_told(store: Store, holder: Holder) -> None:
    assert "Controls of your car were allowed" in await subjects(store)
    letter = next(letter for letter in await letters(store) if letter.subject == "Controls of your car were allowed")
    assert "Charging: start and stop charging" in letter.text
    assert "http://localhost:8080/links" in letter.text
    assert "controls_allowed" in await events(store)


async def test_a_link_without_consent_gets_none(store: Store, http: Http) -> None:
    holder = await link_with_controls(store, http, request=None)
    assert await holder.refused() == "controls-not-allowed"


async def test_without_second_factor_there_is_none(store: Store, http: Http, holder: Holder) -> None:
    async with store.transaction() as transaction:
        owner = await account.load(transaction, holder.owner)
        assert owner is not None
        await factors.remove_totp(transaction, owner, BROWSER)
    assert await holder.refused() == "second-factor-missing"
    weak = await link_with_controls(store, http, await make_account(store, "weak@example.org"), acr=Acr.PASSWORD)
    assert await weak.refused() == "second-factor-missing"


async def test_a_proof_by_password_alone_is_not_enough(store: Store, http: Http) -> None:
    weak = await link_with_controls(store, http, acr=Acr.PASSWORD)
    assert await weak.refused() == "proof-outdated"


async def test_a_changed_password_ends_it_until_the_owner_allows_it_again(
    store: Store, http: Http, holder: Holder
) -> None:
    async with store.transaction() as transaction:
        await account.set_password(transaction, holder.owner, "$argon2id$new", BROWSER, how="in a test")
    assert await holder.refused() == "proof-outdated"


async def judged(store: Store, holder: Holder, visitor: Visitor) -> Refusal | None:
    """Ask for a permit from somewhere, with the access token."""
    async with store.transaction() as transaction:
        caller = await find_caller(transaction, holder.access)
        assert caller is not None
        refusal, _ = await judge(transaction, caller, await find(transaction, caller.link.id), visitor)
    return refusal


async def test_an_address_that_changes_locks_nothing(store: Store, holder: Holder) -> None:
    """A router got another address over night, or the other protocol was quicker."""
    for address in ("203.0.113.50", "2001:db8::1", "203.0.113.51", "192.0.2.7", "2001:db8:7::1"):
        assert await judged(store, holder, Visitor(address)) is None


async def test_a_permit_given_elsewhere_is_noticed_when_the_home_is_heard_of_again(
    store: Store, holder: Holder
) -> None:
    """A thief's one strike with a fresh copy gets through; the original's next use tells the owner and locks."""
    assert await judged(store, holder, HOME) is None
    assert await judged(store, holder, ELSEWHERE) is None
    assert await judged(store, holder, HOME) is Refusal.SUSPICIOUS
    assert await judged(store, holder, ELSEWHERE) is Refusal.SUSPICIOUS
    assert (await subjects(store)).count("A linked Home Assistant looks unusual") == 1


async def test_a_suspicious_link_gets_none_until_the_owner_confirms_it(
    store: Store, http: Http, holder: Holder, clock: ManualClock
) -> None:
    """One page, one code: neither linked again nor allowed anew, and the share that seals at home stays the same."""
    first = await holder.permit()
    clock.advance(days=31)
    late = await holder.refreshed()
    assert await late.refused() == "link-suspicious"
    assert "A linked Home Assistant looks unusual" in await subjects(store)
    (link,) = await links(store, holder.owner)
    page = f"/links/{link.id}/confirm"

    browser = await Browser.signed_in(store, http, holder.owner)
    assert page in (await browser.open("/links")).text
    asks = await browser.open(page)
    assert asks.location.startswith("/step-up?purpose=confirm-link")
    step_up = (await browser.open(asks.location)).text
    assert 'name="code"' in step_up
    assert 'name="password"' not in step_up
    assert (await browser.send(page)).location.startswith("/step-up?purpose=confirm-link")
    assert await late.refused() == "link-suspicious"

    proved = await Browser.signed_in(store, http, holder.owner, Purpose.UNUSUAL, method=Method.CODE)
    shown = (await proved.open(page)).text
    assert "after a long silence" in shown
    assert "127.0.0.0/24" in shown
    assert (await proved.send(page)).location == "/links?done=confirmed"
    assert (await late.permit())["key_share"] == first["key_share"]
    assert (await subjects(store))[-1] == "A linked Home Assistant was confirmed"
    assert (await proved.send(page)).status == 404


async def test_another_purpose_s_proof_and_another_s_account_confirm_nothing(
    store: Store, http: Http, holder: Holder, clock: ManualClock
) -> None:
    clock.advance(days=31)
    late = await holder.refreshed()
    (link,) = await links(store, holder.owner)
    stranger = await make_account(store, "stranger@example.org")
    for owner, purpose in ((holder.owner, Purpose.LINK), (stranger, Purpose.UNUSUAL)):
        browser = await Browser.signed_in(store, http, owner, purpose)
        await browser.send(f"/links/{link.id}/confirm")
    assert await late.refused() == "link-suspicious"


async def test_the_home_assistant_locks(store: Store, holder: Holder) -> None:
    assert (await holder.ask("DELETE", "controls"))[0] == 204
    assert await holder.refused() == "controls-not-allowed"
    status, body = await holder.ask("GET", "status")
    assert (status, body["controls"]) == (200, None)
    async with store.reading() as transaction:
        assert await transaction.first(select(controls)) is None
    assert "controls_locked" in await events(store)
    assert (await holder.ask("DELETE", "controls"))[0] == 204


async def test_the_owner_locks_on_the_links_page(store: Store, http: Http, holder: Holder) -> None:
    browser = await Browser.signed_in(store, http, holder.owner)
    page = await browser.open("/links")
    assert "Controls are on" in page.text
    assert "Cars: <strong>Roadrunner</strong>" in page.text, "and not once more by the name of the account"
    (link,) = await links(store, holder.owner)
    assert (await browser.send(f"/links/{link.id}/lock")).status == 303
    assert "Controls are on" not in (await browser.open("/links")).text
    assert await holder.refused() == "controls-not-allowed"
    assert (await holder.ask("GET", "status"))[0] == 200
    assert (await browser.send(f"/links/{link.id}/lock")).status == 404


async def test_nobody_locks_for_somebody_else(store: Store, http: Http, holder: Holder) -> None:
    stranger = await make_account(store, "stranger@example.org")
    browser = await Browser.signed_in(store, http, stranger)
    (link,) = await links(store, holder.owner)
    assert (await browser.send(f"/links/{link.id}/lock")).status == 404
    await holder.permit()


async def test_linking_again_without_controls_ends_them(store: Store, http: Http, holder: Holder) -> None:
    again = await link_with_controls(store, http, holder.owner, request=None)
    assert await again.refused() == "controls-not-allowed"
    async with store.reading() as transaction:
        assert await transaction.first(select(controls)) is None


async def test_an_ended_link_takes_its_share_along(store: Store, holder: Holder) -> None:
    assert (await holder.ask("DELETE", "link"))[0] == 204
    async with store.reading() as transaction:
        assert await transaction.first(select(controls)) is None
    assert (await holder.ask("POST", "permit"))[0] == 401


async def test_the_share_is_sealed_and_survives_new_keys(store: Store, holder: Holder) -> None:
    first = await holder.permit()

    async def at_once(_span: timedelta) -> None:
        """Wait for nobody."""

    await rotate_keys(store, settle=at_once)
    assert (await holder.permit())["key_share"] == first["key_share"]
    async with store.reading() as transaction:
        row = await transaction.first(select(controls))
    assert row is not None
    for hidden in (base64.b64decode(first["key_share"]), first["key_share"].encode(), b"5YJ3E1EA7KF000001"):
        assert hidden not in row.sealed


COMMAND = {
    "at": "2026-11-23T12:00:00+00:00",
    "command": "door_unlock",
    "vehicle": "000001",
    "user": "Pia",
    "result": "succeeded",
    "answer": "",
}


async def test_commands_join_the_audit_log(store: Store, http: Http, holder: Holder) -> None:
    status, _ = await holder.ask("POST", "commands", {"commands": [COMMAND, COMMAND | {"result": "refused"}]})
    assert status == 204
    assert (await events(store)).count("command") == 2
    browser = await Browser.signed_in(store, http, holder.owner)
    page = (await browser.open("/account/activity")).text
    assert "<strong>Unlock doors</strong> \N{EN DASH} done<br>" in page
    assert "Roadrunner ·" in page
    assert "Car …" not in page, "the owner knows it by its name"
    assert "by Pia" in page
    why = COMMAND | {"command": "<b>", "result": "refused", "reason": "key_not_paired", "answer": "raw words"}
    await holder.ask("POST", "commands", {"commands": [why]})
    await holder.ask("POST", "commands", {"commands": [why | {"reason": "of a newer version"}]})
    await holder.ask("POST", "commands", {"commands": [COMMAND | {"vehicle": "999999"}]})
    page = (await browser.open("/account/activity?kind=commands")).text
    assert "Car …999999 ·" in page, "of none that it knows"
    assert "<strong>&lt;b&gt;</strong> \N{EN DASH} refused: not paired<br>" in page
    assert "refused: raw words<br>" in page
    async with store.transaction() as transaction:
        # As version 0.1.0 wrote it, and as nobody should
        earlier = {"instance": "Home", **COMMAND, "result": "refused", "answer": "not_charging"}
        record(transaction, "command", account_id=holder.owner, detail=earlier)
        record(transaction, "command", account_id=holder.owner, detail={"command": 7})
        record(transaction, "command", account_id=holder.owner)
    shown = await browser.open("/account/activity")
    assert shown.status == 200
    assert "refused: not_charging<br>" in shown.text


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"commands": []},
        {"commands": [COMMAND] * 101},
        {"commands": ["door_unlock"]},
        {"commands": [COMMAND | {"answer": "x" * 201}]},
        {"commands": [COMMAND | {"at": "yesterday"}]},
        [],
    ],
    ids=["nothing", "none", "too many", "text", "too long", "no time", "list"],
)
async def test_malformed_commands_are_refused(store: Store, holder: Holder, body: object) -> None:
    status, problem = await holder.ask("POST", "commands", body)
    assert (status, problem["type"]) == (400, "urn:teslafi:problem:malformed")
    assert "command" not in await events(store)


async def test_no_link_fills_the_log(store: Store, http: Http, holder: Holder, clock: ManualClock) -> None:
    """Anybody may have an account and link what they wrote: what it is given and what it reports is bounded."""
    for _ in range(PERMITS.attempts):
        assert (await holder.ask("POST", "permit"))[0] == 200
    for path, body in (("permit", None), ("status", {"permit": True})):
        async with http.post(f"/api/v1/{path}", headers=bearer(holder.access), json=body) as answer:
            assert (answer.status, answer.headers["Retry-After"]) == (429, "600")
            assert (await answer.json(content_type="application/problem+json"))["status"] == 429
    assert (await holder.ask("POST", "status", {"permit": False}))[0] == 200
    assert (await events(store)).count("permit_issued") == PERMITS.attempts
    clock.advance(hours=1)
    holder = await holder.refreshed()
    assert (await holder.ask("POST", "permit"))[0] == 200
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(controls_api, "REPORTED", replace(REPORTED, attempts=250))
        answers = [(await holder.ask("POST", "commands", {"commands": [COMMAND] * 100}))[0] for _ in range(4)]
        assert answers == [204, 204, 429, 429]
        # None of a refused report was taken: it is sent again as a whole
        assert (await events(store)).count("command") == 200
        assert (await holder.ask("POST", "commands", {"commands": [COMMAND] * 50}))[0] == 204
        assert (await holder.ask("POST", "commands", {"commands": [COMMAND]}))[0] == 429


async def test_commands_need_controls(store: Store, http: Http) -> None:
    owner = await make_account(store, second_factor=True)
    await link_up(store, owner)
    holder = await link_with_controls(store, http, owner, request=None)
    assert (await holder.ask("POST", "commands", {"commands": [COMMAND]}))[0] == 403
