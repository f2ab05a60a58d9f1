"""Who may open what: every route of the application, and everyone who may come to it."""

from collections.abc import Mapping
from typing import Final
from uuid import UUID

from aiohttp import web
import pytest

from teslafi_companion.store.database import new_id
from teslafi_companion.store.tables import link, passkey

from ..oauth.linking import link_up
from .person import OLGA, PASSWORD, Companion, Person

ERIK: Final = "erik.marker@example.org"

OPEN: Final = "open"
"""To everybody."""
SIGNED: Final = "signed in"
"""To whoever is signed in; the others are sent to sign in."""
FRESH: Final = "fresh"
"""To whoever is signed in and has just proved it; the others are sent to do so."""
LINKED: Final = "linked"
"""To a linked Home Assistant by its token; the others get 401."""
PENDING: Final = "pending"
"""To whoever has typed the right password."""

ROUTES: Final[Mapping[tuple[str, str], str]] = {
    ("GET", "/"): OPEN,
    ("GET", "/healthz"): OPEN,
    ("GET", "/readyz"): OPEN,
    ("GET", "/.well-known/security.txt"): OPEN,
    ("GET", "/static/{name}"): OPEN,
    ("GET", "/sign-up"): OPEN,
    ("POST", "/sign-up"): OPEN,
    ("GET", "/sign-up/confirm"): OPEN,
    ("POST", "/sign-up/confirm"): OPEN,
    ("GET", "/sign-in"): OPEN,
    ("POST", "/sign-in"): OPEN,
    ("GET", "/sign-in/second-factor"): PENDING,
    ("POST", "/sign-in/second-factor"): PENDING,
    ("POST", "/sign-out"): SIGNED,
    ("GET", "/forgotten-password"): OPEN,
    ("POST", "/forgotten-password"): OPEN,
    ("GET", "/forgotten-password/new"): OPEN,
    ("POST", "/forgotten-password/new"): OPEN,
    ("GET", "/account"): SIGNED,
    ("POST", "/account/language"): SIGNED,
    ("GET", "/account/email"): FRESH,
    ("POST", "/account/email"): FRESH,
    ("GET", "/account/email/confirm"): OPEN,
    ("POST", "/account/email/confirm"): OPEN,
    ("GET", "/account/password"): FRESH,
    ("POST", "/account/password"): FRESH,
    ("GET", "/account/sessions"): SIGNED,
    ("POST", "/account/sessions/others/end"): SIGNED,
    ("POST", "/account/sessions/everywhere/end"): SIGNED,
    ("POST", "/account/sessions/{session}/end"): SIGNED,
    ("GET", "/account/activity"): SIGNED,
    ("GET", "/account/export"): FRESH,
    ("POST", "/account/export"): FRESH,
    ("GET", "/account/delete"): FRESH,
    ("POST", "/account/delete"): FRESH,
    ("POST", "/account/subscription/checkout"): SIGNED,
    ("GET", "/account/subscription/return"): SIGNED,
    ("GET", "/account/subscription/portal"): FRESH,
    ("POST", "/account/subscription/portal"): FRESH,
    ("GET", "/account/subscription/portal/return"): SIGNED,
    ("GET", "/account/security"): SIGNED,
    ("POST", "/account/security/notices"): SIGNED,
    ("GET", "/account/security/app"): FRESH,
    ("POST", "/account/security/app"): FRESH,
    ("GET", "/account/security/app/remove"): FRESH,
    ("POST", "/account/security/app/remove"): FRESH,
    ("GET", "/account/security/recovery-codes"): FRESH,
    ("POST", "/account/security/recovery-codes"): FRESH,
    ("POST", "/account/security/recovery-codes/kept"): SIGNED,
    ("GET", "/account/security/passkeys/new"): FRESH,
    ("POST", "/account/security/passkeys/new"): FRESH,
    ("GET", "/account/security/passkeys/{passkey}/remove"): FRESH,
    ("POST", "/account/security/passkeys/{passkey}/remove"): FRESH,
    ("POST", "/account/security/keep"): SIGNED,
    ("GET", "/step-up"): SIGNED,
    ("POST", "/step-up"): SIGNED,
    # The authorization server refuses what is no request of a client before it asks anybody to sign in
    ("GET", "/oauth/authorize"): OPEN,
    ("POST", "/oauth/authorize"): OPEN,
    ("GET", "/device"): SIGNED,
    ("POST", "/device"): SIGNED,
    ("GET", "/device/{id}"): SIGNED,
    ("POST", "/device/{id}"): SIGNED,
    ("GET", "/links"): SIGNED,
    ("GET", "/links/{id}/confirm"): FRESH,
    ("POST", "/links/{id}/confirm"): FRESH,
    ("POST", "/links/{id}/end"): SIGNED,
    ("POST", "/links/{id}/lock"): SIGNED,
    ("POST", "/oauth/token"): OPEN,
    ("POST", "/oauth/revoke"): OPEN,
    ("POST", "/oauth/device_authorization"): OPEN,
    ("GET", "/.well-known/oauth-authorization-server"): OPEN,
    ("GET", "/api/v1/about"): OPEN,
    ("GET", "/api/v1/openapi.yaml"): OPEN,
    ("GET", "/api/v1/status"): LINKED,
    ("POST", "/api/v1/status"): LINKED,
    ("DELETE", "/api/v1/link"): LINKED,
    ("GET", "/api/v1/permit-keys"): OPEN,
    ("POST", "/api/v1/permit"): LINKED,
    ("DELETE", "/api/v1/controls"): LINKED,
    ("POST", "/api/v1/commands"): LINKED,
    # By a password of its own, which tests/companion/billing tries
    ("POST", "/webhooks/{keeper}"): OPEN,
}

NOBODYS: Final = str(UUID(int=7))
FILLED: Final = {"session": NOBODYS, "passkey": NOBODYS, "id": NOBODYS, "name": "companion.css", "rest": "nothing"}


def routes_of(companion: Companion) -> set[tuple[str, str]]:
    """Return the methods and paths that the application serves; HEAD goes with GET, `*` only refuses."""
    found = set()
    for route in companion.server.app.router.routes():
        assert isinstance(route.resource, web.Resource)
        if route.method not in {"HEAD", "*"}:
            found.add((route.method, route.resource.canonical))
    return found


def test_the_table_has_every_route(companion: Companion) -> None:
    """A new route is not served before it was thought about here."""
    assert routes_of(companion) == set(ROUTES)


def address(path: str) -> str:
    """Return a path with somebody else's, or nobody's, identifiers in it."""
    for name, value in FILLED.items():
        path = path.replace(f"{{{name}}}", value)
    return path


async def refusals(person: Person, form: Mapping[str, str]) -> dict[tuple[str, str], str]:
    """Try every route; return how each received this person: where it sent him, or the status."""
    received = {}
    for method, path in ROUTES:
        if path == "/sign-out":
            continue
        answer = await person.send(method, address(path), form if method == "POST" else None)
        location = answer.headers.get("Location", "")
        sent_to = location.partition("?")[0]
        received[method, path] = sent_to if sent_to in {"/sign-in", "/step-up"} else str(answer.status)
    return received


EXPECTED: Final = {OPEN: "in", SIGNED: "/sign-in", FRESH: "/sign-in", PENDING: "/sign-in", LINKED: "401"}


async def test_nobody(companion: Companion) -> None:
    """Without a session, everything that is not open leads to the sign-in form."""
    for (method, path), received in (await refusals(companion.person(), {})).items():
        expected = EXPECTED[ROUTES[method, path]]
        assert (received == expected) if expected != "in" else received not in {"/sign-in", "/step-up"}, (method, path)


async def test_half_signed_in(companion: Companion, olga: Person) -> None:
    """The right password alone opens the second factor's page and nothing else."""
    await olga.has_account()
    await olga.signs_in()
    await olga.sets_up_app()
    half = companion.person()
    await half.signs_in()
    for (method, path), received in (await refusals(half, {})).items():
        kind = ROUTES[method, path]
        if kind == PENDING:
            assert received in {"200", "400"}, (method, path)
        else:
            expected = EXPECTED[kind]
            ok = received == expected if expected != "in" else received not in {"/sign-in", "/step-up"}
            assert ok, (method, path, received)


async def test_signed_in_with_a_stale_proof(companion: Companion, olga: Person) -> None:
    """Every page that changes what protects the account asks for a fresh proof; others' identifiers lead nowhere."""
    await olga.has_account()
    await olga.signs_in()
    await olga.opens("/account/export")
    await olga.confirms()
    olga.clock.advance(minutes=6)
    await olga.opens("/account/security")
    csrf = olga.page.form("/account/security/notices").values["csrf"]
    for (method, path), received in (await refusals(olga, {"csrf": csrf})).items():
        kind = ROUTES[method, path]
        if kind == FRESH:
            assert received == "/step-up", (method, path, received)
        elif kind == LINKED:
            assert received == "401", (method, path, received)
        elif "{" in path and kind == SIGNED:
            assert received == "404", (method, path, received)
        else:
            assert received not in {"/step-up", "500"}, (method, path, received)


async def test_another_accounts_identifiers(companion: Companion, olga: Person) -> None:
    """Sessions, links and passkeys of one account cannot be named by another."""
    await olga.has_account()
    await olga.signs_in()
    link_id, passkey_id = await things_of(olga)
    erik = await companion.person().has_account(ERIK)
    await erik.signs_in(ERIK)
    page = await olga.opens("/account/sessions")
    session_id = page.text.split('id="session-')[1].split('"')[0]
    await erik.opens("/account/sessions")
    csrf = erik.page.form("/sign-out").values["csrf"]
    answer = await erik.send("POST", f"/account/sessions/{session_id}/end", {"csrf": csrf})
    assert answer.status == 404
    assert (await erik.send("POST", f"/links/{link_id}/end", {"csrf": csrf})).status == 404
    await erik.opens(f"/account/security/passkeys/{passkey_id}/remove")
    assert (await erik.confirms()).status == 404
    csrf = (await erik.opens("/account/sessions")).form("/sign-out").values["csrf"]
    remove = f"/account/security/passkeys/{passkey_id}/remove"
    assert (await erik.send("POST", remove, {"csrf": csrf})).status == 404
    assert (await olga.opens("/account")).heading == "Your account"
    async with olga.store.reading() as transaction:
        assert len(await transaction.rows(link.select())) == 1
        assert len(await transaction.rows(passkey.select())) == 1


async def things_of(person: Person) -> tuple[UUID, UUID]:
    """Give an account a link and a passkey; return their identifiers."""
    async with person.store.transaction() as transaction:
        owner, row = await person.account(transaction), new_id()
        await transaction.execute(
            passkey.insert().values(
                id=row,
                account_id=owner,
                credential_index=b"index",
                sign_count=0,
                created_at=transaction.now,
                sealed=transaction.seal({"name": "A key"}, passkey, row, owner),
            )
        )
    await link_up(person.store, owner)
    async with person.store.reading() as transaction:
        return (await transaction.rows(link.select()))[0].id, row


async def test_forms_of_other_sites_and_sessions_are_refused(companion: Companion, olga: Person) -> None:
    """A form counts only from our own page, in the same session."""
    await olga.has_account()
    await olga.signs_in()
    await olga.opens("/account/security")
    form = olga.page.form("/account/security/notices").values
    path = "/account/security/notices"
    refused = [
        await olga.send("POST", path, form, Origin="https://evil.example"),
        await olga.send("POST", path, form, **{"Sec-Fetch-Site": "cross-site"}),
        await olga.send("POST", path, form, **{"Sec-Fetch-Site": "same-site"}),
        await olga.send("POST", path, form, **{"Sec-Fetch-Site": "none"}),
        await olga.send("POST", path, {}),
        await olga.send("POST", path, form | {"csrf": "0" * 64}),
        await olga.send("POST", path, form | {"csrf": "é"}),
    ]
    assert [answer.status for answer in refused] == [403] * len(refused)
    other = companion.person()
    await other.signs_in()
    assert (await other.send("POST", path, form)).status == 403
    assert (await olga.send("POST", path, form, **{"Sec-Fetch-Site": "same-origin"})).status == 303
    no_origin = await olga.client.post(path, data=form, allow_redirects=False)
    assert no_origin.status == 403


async def test_a_get_changes_nothing(companion: Companion, olga: Person) -> None:
    """Opening every page leaves the account as it was, but for a key that waits for its first code."""
    await olga.has_account()
    await olga.signs_in()
    await olga.opens("/account")
    before = await olga.send("GET", "/account")
    for method, path in ROUTES:
        if method == "GET":
            await olga.send("GET", address(path))
    after = await olga.send("GET", "/account")
    assert after.text == before.text


async def test_a_cookie_is_no_key_for_programs(olga: Person) -> None:
    """The API does not take a browser's session."""
    await olga.has_account()
    await olga.signs_in()
    assert (await olga.send("GET", "/api/v1/status")).status == 401


async def test_a_made_up_session_is_none(olga: Person) -> None:
    """Neither a random token nor a row's identifier opens anything."""
    await olga.has_account()
    for token in ("x", str(new_id()), "a" * 43):
        olga.client.session.cookie_jar.update_cookies({"session": token}, olga.client.make_url("/"))
        assert (await olga.opens("/account")).heading == "Sign in"


@pytest.mark.parametrize("size", [64 * 1024 + 1, 10 * 1024 * 1024])
async def test_a_body_of_any_size_is_refused_politely(olga: Person, size: int) -> None:
    """What is larger than any form is not read to its end."""
    answer = await olga.send("POST", "/sign-in", {"email": OLGA, "password": "x" * size, "next": PASSWORD})
    assert answer.status == 413
    assert answer.heading == "Too large"
