"""New keys for what is handed out: permits and refresh tokens of before run out, and nobody has to link again."""

from datetime import timedelta
from typing import Any

import jwt
import pytest

from teslafi_companion.domain.accounts.step_up import Purpose
from teslafi_companion.domain.links.tokens import read_refresh_token, refresh_token
from teslafi_companion.domain.permits.permit import public_jwks
from teslafi_companion.rotation import rotate_keys
from teslafi_companion.store.database import Store
from teslafi_companion.store.keyring import refresh_cipher

from ..clock import ManualClock
from ..oauth.linking import Browser, Http, error_of, links, refresh
from .holder import Holder

pytestmark = pytest.mark.slow


async def at_once(_span: timedelta) -> None:
    """Wait for nobody."""


async def published(http: Http) -> dict[str, Any]:
    """Return the published keys by their identifier."""
    async with http.get("/api/v1/permit-keys") as response:
        return {key["kid"]: key for key in (await response.json())["keys"]}


def key_of(permit: str) -> str:
    kid: str = jwt.get_unverified_header(permit)["kid"]
    return kid


async def test_the_old_key_stays_published_as_long_as_its_permits_live(
    store: Store, http: Http, holder: Holder, clock: ManualClock
) -> None:
    old = (await holder.permit())["permit"]
    await rotate_keys(store, settle=at_once)
    new = (await holder.permit())["permit"]
    assert key_of(new) != key_of(old)
    assert set(await published(http)) == {key_of(old), key_of(new)}
    clock.advance(hours=24)
    assert set(await published(http)) == {key_of(old), key_of(new)}
    clock.advance(hours=1)
    assert set(await published(http)) == {key_of(new)}


async def test_the_new_key_is_published_before_it_signs(store: Store) -> None:
    before = {key["kid"] for key in public_jwks(store.cipher, store.clock())}
    seen = []

    async def others_learn(_span: timedelta) -> None:
        await refresh_cipher(store)
        seen.append({key["kid"] for key in public_jwks(store.cipher, store.clock())})

    await rotate_keys(store, settle=others_learn)
    assert before < seen[0]
    assert len(seen[0]) == 2


async def test_a_link_outlives_a_rotation_and_gets_tokens_of_the_new_root(
    store: Store, holder: Holder, clock: ManualClock
) -> None:
    old_cipher = store.cipher
    await rotate_keys(store, settle=at_once)
    clock.advance(days=29)
    renewed = await holder.refreshed()
    assert read_refresh_token(old_cipher, renewed.refresh, clock.now) is None
    assert read_refresh_token(store.cipher, renewed.refresh, clock.now) is not None
    (link,) = await links(store, holder.owner)
    forged = refresh_token(old_cipher, link.family, link.generation)
    clock.advance(days=1)
    assert error_of(await refresh(store, forged)) == "invalid_grant"
    assert len(await links(store, holder.owner)) == 1
    await renewed.refreshed()


async def test_after_two_rotations_the_first_root_signs_nothing_more(
    store: Store, holder: Holder, clock: ManualClock
) -> None:
    first = store.cipher
    await rotate_keys(store, settle=at_once)
    clock.advance(days=31)
    await rotate_keys(store, settle=at_once)
    (link,) = await links(store, holder.owner)
    assert error_of(await refresh(store, refresh_token(first, link.family, link.generation))) == "invalid_grant"
    assert len(public_jwks(store.cipher, clock.now)) == 2


async def test_with_a_leaked_key_nothing_of_before_counts(store: Store, http: Http, holder: Holder) -> None:
    old = (await holder.permit())["permit"]
    await rotate_keys(store, settle=at_once, leaked=True)
    assert key_of(old) not in await published(http)
    assert error_of(await refresh(store, holder.refresh)) == "invalid_grant"


async def test_a_form_that_was_open_meanwhile_still_works(store: Store, http: Http, holder: Holder) -> None:
    browser = await Browser.signed_in(store, http, holder.owner, Purpose.LINK)
    await rotate_keys(store, settle=at_once)
    (link,) = await links(store, holder.owner)
    assert (await browser.send(f"/links/{link.id}/lock")).status == 303
