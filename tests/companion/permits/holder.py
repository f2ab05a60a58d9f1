"""A Home Assistant that was allowed controls, and what it does with its link."""

from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from teslafi_companion.domain.links.controls_request import ControlsRequest, of_json
from teslafi_companion.domain.links.links import Proof
from teslafi_companion.domain.links.scopes import Acr, Scope
from teslafi_companion.store.database import Store

from ..oauth.linking import (
    DETAILS,
    INSTANCE,
    Http,
    approval_of,
    bearer,
    code_form,
    make_account,
    make_code,
    post,
    refresh_form,
)

REQUEST: ControlsRequest = of_json(DETAILS)


@dataclass(frozen=True)
class Holder:
    """The link of one Home Assistant, over HTTP."""

    store: Store
    http: Http
    owner: UUID
    access: str
    refresh: str

    async def ask(self, method: str, path: str, json: object = None) -> tuple[int, dict[str, Any]]:
        """Ask with the access token; return status and body."""
        headers = bearer(self.access)
        async with self.http.request(method, f"/api/v1/{path}", headers=headers, json=json) as response:
            return response.status, {} if response.status == 204 else await response.json(content_type=None)

    async def permit(self) -> dict[str, Any]:
        """Return a permit with its share."""
        status, body = await self.ask("POST", "permit")
        assert status == 200, body
        return body

    async def refused(self) -> str:
        """Return the problem by which a permit is refused."""
        status, body = await self.ask("POST", "permit")
        assert status in {401, 403}, body
        kind: str = body["type"]
        return kind.rpartition(":")[2]

    async def refreshed(self) -> Holder:
        """Renew the tokens."""
        status, tokens = await post(self.http, "/oauth/token", refresh_form(self.refresh))
        assert status == 200
        return replace(self, access=tokens["access_token"], refresh=tokens["refresh_token"])


async def link_with_controls(
    store: Store,
    http: Http,
    owner: UUID | None = None,
    *,
    acr: Acr = Acr.SECOND_FACTOR,
    request: ControlsRequest | None = REQUEST,
) -> Holder:
    """Link a Home Assistant and allow it controls."""
    owner = owner or await make_account(store, second_factor=True)
    await _redeem(store, http, owner)
    if request is None:
        return await _redeem(store, http, owner)
    proof = Proof(store.clock(), acr, 1)
    return await _redeem(store, http, owner, scopes=frozenset({Scope.CONTROLS}), proof=proof, controls=request)


async def _redeem(store: Store, http: Http, owner: UUID, **changes: object) -> Holder:
    approval = approval_of(store, owner, INSTANCE, **changes)
    code = await make_code(store, owner, approval.instance, **changes)
    status, tokens = await post(http, "/oauth/token", code_form(code))
    assert status == 200
    return Holder(store, http, owner, tokens["access_token"], tokens["refresh_token"])
