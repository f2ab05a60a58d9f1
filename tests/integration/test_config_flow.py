"""Signing in: on Tesla's pages with two-factor, with a pasted token, again after an end, and all that is refused."""

from collections.abc import Callable
from datetime import timedelta
import json
from typing import Any, Final
from urllib.parse import parse_qs, urlparse

from freezegun.api import FrozenDateTimeFactory
from homeassistant.config_entries import SOURCE_REAUTH, SOURCE_USER, ConfigEntry, ConfigEntryState, ConfigFlowResult
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers.translation import async_load_integrations
from hypothesis import given, strategies as st
import jwt
import pytest

from custom_components.teslafi.const import DOMAIN, MONITORING
from custom_components.teslafi.flow.token import KEPT, sorted_out
from custom_components.teslafi.polling.pace import USUAL_MONTH, Mode
from custom_components.teslafi.secret import Secret
from custom_components.teslafi.storage.vault import async_get_vault
from custom_components.teslafi.tesla.grant import Grant
from custom_components.teslafi.tesla.requests import Category
from custom_components.teslafi.tesla.servers import Server
from custom_components.teslafi.tesla.token import TokenEndpoint
from teslafi_simulators.tesla import TeslaSimulator

from .owner import ANNA, BO, ERIK, EVERYTHING, READ_SCOPES, Owner


async def stored_scopes(hass: HomeAssistant, entry: ConfigEntry) -> frozenset[str]:
    """Return what the entry's grant allows."""
    grant = (await async_get_vault(hass)).get(entry.entry_id, MONITORING)
    assert grant is not None
    return grant.scopes


def fields(flow: ConfigFlowResult) -> list[Any]:
    """Return the fields of the form that is shown."""
    schema = flow["data_schema"]
    assert schema is not None
    return list(schema.schema)


async def test_sign_in_with_two_factor(hass: HomeAssistant, owner: Owner) -> None:
    """The whole way: menu, choice, Tesla's pages with a passcode, an entry with cars and a sealed grant."""
    flow = await owner.begin("sign_in")
    assert flow["type"] is FlowResultType.FORM
    flow = await owner.answer(flow, EVERYTHING)
    flow = await owner.at_tesla(flow)
    assert flow["type"] is FlowResultType.CREATE_ENTRY
    assert flow["title"] == "Tesla (Roadrunner, Snowball)"
    entry = flow["result"]
    await hass.async_block_till_done(wait_background_tasks=True)
    assert entry.state is ConfigEntryState.LOADED
    account = owner.tesla.accounts.by_email(ANNA)
    assert account is not None
    assert entry.unique_id == account.sub
    assert dict(entry.data) == {
        "method": "sign_in",
        "region": "global",
        "requested_scopes": ["energy_device_data", "vehicle_location"],
        "declined_scopes": [],
        "auth_implementation": "teslafi-monitoring",
    }
    assert await stored_scopes(hass, entry) == READ_SCOPES
    assert hass.states.get("device_tracker.roadrunner") is not None


async def test_what_tesla_is_asked_for(hass: HomeAssistant, owner: Owner) -> None:
    """Read scopes alone, the password each time, consent to what is missing, PKCE with SHA-256."""
    flow = await owner.answer(await owner.begin("sign_in"), {**EVERYTHING, "vehicle_location": False})
    query = {name: values[0] for name, values in parse_qs(urlparse(flow["url"]).query).items()}
    assert query["scope"].split() == ["openid", "offline_access", "vehicle_device_data", "energy_device_data"]
    assert query["prompt"] == "login"
    assert query["prompt_missing_scopes"] == "true"
    assert query["code_challenge_method"] == "S256"
    assert query["redirect_uri"] == Owner.REDIRECT


async def test_each_flow_has_a_verifier_of_its_own(owner: Owner) -> None:
    """Two flows never share a PKCE challenge."""
    challenges = set()
    for _ in range(3):
        flow = await owner.answer(await owner.begin("sign_in"), EVERYTHING)
        challenges.add(parse_qs(urlparse(flow["url"]).query)["code_challenge"][0])
    assert len(challenges) == 3


@pytest.mark.parametrize(
    ("untick", "step"),
    [
        (["vehicle_location"], "no_location"),
        (["energy_device_data"], "no_energy"),
        (["vehicle_location", "energy_device_data"], "no_location_no_energy"),
    ],
)
async def test_an_unticked_scope_is_honoured(hass: HomeAssistant, owner: Owner, untick: list[str], step: str) -> None:
    """A sentence says what will be missing, and it is not created."""
    flow = await owner.answer(await owner.begin("sign_in"), EVERYTHING)
    flow = await owner.at_tesla(flow, untick=untick)
    assert flow["type"] is FlowResultType.MENU
    assert flow["step_id"] == step
    flow = await owner.choose(flow, "go_on_without")
    assert flow["type"] is FlowResultType.CREATE_ENTRY
    assert flow["result"].data["declined_scopes"] == sorted(untick)
    await hass.async_block_till_done(wait_background_tasks=True)
    place = hass.states.get("device_tracker.roadrunner")
    assert (place is None) is ("vehicle_location" in untick)
    power = hass.states.get("sensor.anna_s_home_solar_power")
    assert (power is None) is ("energy_device_data" in untick)
    assert hass.states.get("sensor.roadrunner_battery_level") is not None


async def test_what_was_unticked_can_be_shared_after_all(owner: Owner) -> None:
    flow = await owner.answer(await owner.begin("sign_in"), EVERYTHING)
    flow = await owner.at_tesla(flow, untick=["vehicle_location"])
    flow = await owner.answer(await owner.choose(flow, "sign_in"), EVERYTHING)
    flow = await owner.at_tesla(flow)
    assert flow["type"] is FlowResultType.CREATE_ENTRY
    assert flow["result"].data["declined_scopes"] == []


async def test_reading_vehicle_data_is_needed(owner: Owner) -> None:
    """Without it there is nothing to watch."""
    flow = await owner.answer(await owner.begin("sign_in"), EVERYTHING)
    flow = await owner.at_tesla(flow, untick=["vehicle_device_data"])
    assert flow["type"] is FlowResultType.ABORT
    assert flow["reason"] == "scope_missing"


async def test_the_owner_turns_back_at_tesla(hass: HomeAssistant, owner: Owner) -> None:
    """Cancelling on Tesla's page is told as what it is."""
    flow = await owner.answer(await owner.begin("sign_in"), EVERYTHING)
    state = parse_qs(urlparse(flow["url"]).query)["state"][0]
    await owner.come_back({"state": state, "error": "access_denied"})
    flow = await hass.config_entries.flow.async_configure(flow["flow_id"])
    assert flow["type"] is FlowResultType.ABORT
    assert flow["reason"] == "sign_in_canceled"


async def test_without_application_home_assistant_asks_for_one(
    hass: HomeAssistant, tesla: TeslaSimulator, current_request_with_host: None
) -> None:
    """The frontend opens its dialog on this reason."""
    owner = Owner(hass, tesla)
    flow = await owner.answer(await owner.begin("sign_in"), EVERYTHING)
    assert flow["type"] is FlowResultType.ABORT
    assert flow["reason"] == "missing_credentials"


async def test_with_two_applications_the_owner_chooses(hass: HomeAssistant, owner: Owner) -> None:
    """Each is offered by its name."""
    await owner.bring_application("teslafi-controls")
    flow = await owner.answer(await owner.begin("sign_in"), EVERYTHING)
    assert flow["step_id"] == "pick_implementation"
    flow = await owner.answer(flow, {"implementation": "teslafi-controls"})
    flow = await owner.at_tesla(flow)
    assert flow["type"] is FlowResultType.CREATE_ENTRY
    assert flow["result"].data["auth_implementation"] == "teslafi-controls"
    assert await stored_scopes(hass, flow["result"]) == READ_SCOPES


async def test_an_application_without_secret(hass: HomeAssistant, tesla: TeslaSimulator, owner: Owner) -> None:
    """Open-source applications have PKCE in place of a secret."""
    await owner.bring_application("open-source")
    flow = await owner.answer(await owner.begin("sign_in"), EVERYTHING)
    flow = await owner.answer(flow, {"implementation": "open-source"})
    flow = await owner.at_tesla(flow)
    assert flow["type"] is FlowResultType.CREATE_ENTRY


@pytest.mark.parametrize(
    ("email", "region", "stored"), [(ANNA, "global", "na"), (ERIK, "global", "eu"), (BO, "china", "cn")]
)
async def test_every_region(hass: HomeAssistant, owner: Owner, email: str, region: str, stored: str) -> None:
    """North America, Europe, China: the grant goes to the account's own server."""
    flow = await owner.answer(await owner.begin("sign_in"), {**EVERYTHING, "region": region})
    flow = await owner.at_tesla(flow, email)
    assert flow["type"] is FlowResultType.CREATE_ENTRY
    entry = flow["result"]
    await hass.async_block_till_done(wait_background_tasks=True)
    assert entry.state is ConfigEntryState.LOADED
    grant = (await async_get_vault(hass)).get(entry.entry_id, MONITORING)
    assert grant is not None
    assert grant.region == stored


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ({"kind": "status", "status": 503}, "cannot_connect"),
        ({"kind": "drop", "times": 2}, "cannot_connect"),  # aiohttp asks once more by itself
        ({"kind": "html"}, "cannot_connect"),
        ({"kind": "truncated"}, "cannot_connect"),
        ({"kind": "status", "status": 429}, "rate_limited"),
        (
            {"kind": "status", "status": 403, "body": {"response": None, "error": "account disabled: EXCEEDED_LIMIT"}},
            "billing_limit_reached",
        ),
    ],
)
async def test_tesla_has_trouble_while_signing_in(owner: Owner, fault: dict[str, Any], reason: str) -> None:
    """Each kind is told, nothing is stored, and the next attempt works."""
    owner.tesla.control.fault(path="*/api/1/products", **fault)
    flow = await owner.answer(await owner.begin("sign_in"), EVERYTHING)
    flow = await owner.at_tesla(flow)
    assert flow["type"] is FlowResultType.ABORT
    assert flow["reason"] == reason
    assert await owner.sign_in()


async def test_a_wrong_client_secret(hass: HomeAssistant, tesla: TeslaSimulator, owner: Owner) -> None:
    """The owner mistyped it: Tesla refuses the exchange."""
    application = tesla.applications.by_client_id("teslafi-monitoring")
    assert application is not None
    application.client_secret = "another"
    flow = await owner.answer(await owner.begin("sign_in"), EVERYTHING)
    flow = await owner.at_tesla(flow)
    assert flow["type"] is FlowResultType.ABORT
    assert flow["reason"] == "token_request_refused"


async def test_the_same_account_twice(hass: HomeAssistant, owner: Owner) -> None:
    """A second entry is refused. Tesla ended the first grant meanwhile, so the first entry goes on with the new one."""
    entry = await owner.sign_in()
    before = (await async_get_vault(hass)).get(entry.entry_id, MONITORING)
    flow = await owner.answer(await owner.begin("sign_in"), EVERYTHING)
    flow = await owner.at_tesla(flow)
    assert flow["type"] is FlowResultType.ABORT
    assert flow["reason"] == "already_configured"
    await hass.async_block_till_done(wait_background_tasks=True)
    assert len(hass.config_entries.async_entries(DOMAIN)) == 1
    after = (await async_get_vault(hass)).get(entry.entry_id, MONITORING)
    assert after != before
    assert entry.state is ConfigEntryState.LOADED
    assert not hass.config_entries.flow.async_progress()


async def test_two_accounts(hass: HomeAssistant, owner: Owner) -> None:
    """Two owners, two entries."""
    assert await owner.sign_in(ANNA)
    assert await owner.sign_in(ERIK)
    assert len(hass.config_entries.async_entries(DOMAIN)) == 2


async def paste(owner: Owner, typed: dict[str, str]) -> ConfigFlowResult:
    """Go to the form for tokens and submit this."""
    flow = await owner.begin("token")
    assert flow["step_id"] == "token"
    return await owner.answer(flow, typed)


async def test_a_pasted_token_pair(hass: HomeAssistant, owner: Owner) -> None:
    """Account, region and scopes are read from it; the refresh token is redeemed at once."""
    tokens = owner.token()
    flow = await paste(owner, tokens)
    assert flow["type"] is FlowResultType.CREATE_ENTRY
    entry = flow["result"]
    await hass.async_block_till_done(wait_background_tasks=True)
    assert entry.state is ConfigEntryState.LOADED
    assert entry.data["method"] == "token"
    grant = (await async_get_vault(hass)).get(entry.entry_id, MONITORING)
    assert grant is not None
    assert grant.region == "eu"
    assert grant.refresh_token is not None
    assert grant.refresh_token.reveal() != tokens["refresh_token"]


async def test_an_access_token_alone(hass: HomeAssistant, owner: Owner) -> None:
    """It works until it is over."""
    tokens = owner.token()
    flow = await paste(
        owner, {"access_token": f'  "Bearer {tokens["access_token"][:40]}\n{tokens["access_token"][40:]}"\n'}
    )
    assert flow["type"] is FlowResultType.CREATE_ENTRY


async def test_a_refresh_token_alone_needs_its_client(owner: Owner) -> None:
    """An opaque refresh token does not tell its application; the form asks, and then it works."""
    tokens = owner.token()
    flow = await paste(owner, {"refresh_token": tokens["refresh_token"]})
    assert flow["errors"] == {"client_id": "client_id_needed"}
    flow = await owner.answer(flow, {"refresh_token": tokens["refresh_token"], "client_id": "teslafi-monitoring"})
    assert flow["type"] is FlowResultType.CREATE_ENTRY


async def test_a_token_of_teslas_own_app(hass: HomeAssistant, owner: Owner) -> None:
    """As far as Tesla still takes it: accepted, with the warning that it can do more than read."""
    tokens = owner.token(client_id="ownerapi", scopes={"openid", "email", "offline_access"})
    flow = await paste(owner, tokens)
    assert flow["step_id"] == "can_command"
    flow = await owner.answer(flow, {})
    assert flow["type"] is FlowResultType.CREATE_ENTRY
    await hass.async_block_till_done(wait_background_tasks=True)
    assert hass.states.get("sensor.oldtimer_battery_level") is not None


async def test_a_token_that_tesla_no_longer_takes_from_others(owner: Owner) -> None:
    """The closing is told plainly."""
    tokens = owner.token(client_id="ownerapi", scopes={"openid", "email", "offline_access"}, app_fingerprint=False)
    flow = await paste(owner, {"access_token": tokens["access_token"]})
    assert flow["errors"] == {"base": "owner_api_closed"}


async def test_a_token_that_can_command_is_warned_about(owner: Owner) -> None:
    """It is accepted, and the sentence comes before."""
    tokens = owner.token(client_id="teslafi-controls", scopes={*READ_SCOPES, "vehicle_cmds"})
    flow = await paste(owner, tokens)
    assert flow["step_id"] == "can_command"
    flow = await owner.answer(flow, {})
    assert flow["type"] is FlowResultType.CREATE_ENTRY


CLIENT: Final = "teslafi-monitoring"
KEY = "nobody's key, and long enough for HS256"


async def test_refused_tokens(owner: Owner) -> None:
    """Each has its own sentence, the typed value is not shown again, and a good token works in the same flow."""
    good = owner.token()
    elsewhere = owner.token(BO)
    owner.tesla.accounts.remove(BO)
    expired = jwt.encode({"sub": "x", "exp": owner.now() - 5, "azp": "teslafi-monitoring"}, KEY, algorithm="HS256")
    foreign = jwt.encode(
        {"sub": "x", "exp": owner.now() + 500, "azp": "a", "scp": ["vehicle_device_data"]}, KEY, algorithm="HS256"
    )
    refused: list[tuple[dict[str, str], dict[str, str]]] = [
        ({}, {"base": "token_needed"}),
        ({"access_token": "  "}, {"base": "token_needed"}),
        ({"access_token": "nonsense"}, {"access_token": "token_malformed"}),
        ({"refresh_token": "with blanks in it"}, {"refresh_token": "token_malformed"}),
        ({"refresh_token": "short"}, {"refresh_token": "token_malformed"}),
        ({"access_token": expired}, {"access_token": "token_expired"}),
        ({"access_token": foreign}, {"base": "token_revoked"}),
        ({"refresh_token": "NA_" + "0" * 40, "client_id": "teslafi-monitoring"}, {"base": "token_revoked"}),
        ({"refresh_token": elsewhere["refresh_token"], "client_id": "teslafi-monitoring"}, {"base": "wrong_region"}),
        ({"refresh_token": good["refresh_token"], "client_id": "nobody"}, {"base": "token_request_refused"}),
    ]
    flow = await owner.begin("token")
    for typed, errors in refused:
        flow = await owner.answer(flow, typed)
        assert flow["type"] is FlowResultType.FORM, typed
        assert flow["errors"] == errors, typed
        shown = {str(key): key.description["suggested_value"] for key in fields(flow) if key.description}
        assert set(shown) <= set(typed), "what was typed stays"
        assert {shown[name] for name in shown if name != "client_id"} <= {KEPT}, "and is not sent back"
    flow = await owner.answer(flow, good)
    assert flow["type"] is FlowResultType.CREATE_ENTRY


async def test_an_error_costs_no_typing(owner: Owner) -> None:
    """The fields come back filled with marks; submitted as they are, they stand for what was typed."""
    good = owner.token()
    typed = {"refresh_token": good["refresh_token"]}
    flow = await owner.answer(await owner.begin("token"), typed)
    assert flow["errors"] == {"client_id": "client_id_needed"}
    flow = await owner.answer(flow, {"refresh_token": KEPT, "client_id": "teslafi-monitoring"})
    assert flow["type"] is FlowResultType.CREATE_ENTRY


async def test_a_refresh_token_is_spent_once_however_often_it_is_submitted(
    owner: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tesla has trouble after it was redeemed: submitting again goes on with what came of it."""
    redeem, redeemed = TokenEndpoint.redeem, []

    async def counted(self: TokenEndpoint, token: Secret, client_id: str, server: Server) -> Grant:
        redeemed.append(client_id)
        return await redeem(self, token, client_id, server)

    monkeypatch.setattr(TokenEndpoint, "redeem", counted)
    good = owner.token()
    owner.tesla.control.fault(path="*/products", kind="status", status=503, times=2)
    flow = await owner.answer(await owner.begin("token"), good)
    for name in ("access_token", "refresh_token"):
        assert flow["errors"] == {"base": "cannot_connect"}, name
        flow = await owner.answer(flow, {"access_token": KEPT, "refresh_token": KEPT})
    assert flow["type"] is FlowResultType.CREATE_ENTRY
    assert len(redeemed) == 1


PASTED: Final[dict[str, Callable[[str, str], dict[str, str]]]] = {
    "swapped": lambda access, refresh: {"access_token": refresh, "refresh_token": access},
    "the refresh token in the wrong field": lambda _, refresh: {"access_token": refresh, "client_id": CLIENT},
    "the access token in the wrong field": lambda access, _: {"refresh_token": access},
    "JSON in one field": lambda access, refresh: {
        "access_token": json.dumps({"access_token": access, "refresh_token": refresh, "expires_in": 28800}, indent=2)},
    "JSON in the other": lambda access, refresh: {
        "refresh_token": json.dumps({"response": {"access_token": access, "refresh_token": refresh}})},
    "a token broken over lines in JSON": lambda access, refresh: {
        "access_token": f'{{"access_token": "{access[:50]}\n   {access[50:]}", "refresh_token":"{refresh}"}}'},
    "one member": lambda access, _: {"access_token": f'"access_token": "{access}",'},
    "a query": lambda access, refresh: {"access_token": f"access_token={access}&refresh_token={refresh}"},
    "variables": lambda access, refresh: {"access_token": f"access_token='{access}'\nrefresh_token='{refresh}'"},
    "a header": lambda access, _: {"access_token": f"Authorization: Bearer {access}"},
    "the client as well": lambda _, refresh: {
        "refresh_token": json.dumps({"refresh_token": refresh, "client_id": CLIENT})},
}  # fmt: skip


@pytest.mark.parametrize("paste_as", PASTED.values(), ids=PASTED)
async def test_a_token_is_recognized_however_it_is_pasted(
    owner: Owner, paste_as: Callable[[str, str], dict[str, str]]
) -> None:
    good = owner.token()
    flow = await owner.answer(await owner.begin("token"), paste_as(good["access_token"], good["refresh_token"]))
    assert flow["type"] is FlowResultType.CREATE_ENTRY, flow["errors"]


@given(st.fixed_dictionaries({name: st.text() for name in ("access_token", "refresh_token", "client_id")}))
def test_whatever_is_pasted_is_sorted_without_a_stumble(typed: dict[str, str]) -> None:
    """Nothing is invented: each result is made of what was typed."""
    found = sorted_out(typed)
    assert found.keys() == typed.keys()
    letters = set("".join(typed.values()))
    assert set("".join(found.values())) <= letters


async def test_characters_that_no_token_has(owner: Owner) -> None:
    for text in ("eyJ\ud800", "eyJ\u202e.x.y", "NA_" + "\N{CYRILLIC SMALL LETTER A}" * 30):
        flow = await owner.answer(await owner.begin("token"), {"refresh_token": text})
        assert flow["errors"] in ({"refresh_token": "token_malformed"}, {"access_token": "token_malformed"})


async def test_a_token_without_vehicle_data(owner: Owner) -> None:
    """The scope is named in the sentence."""
    tokens = owner.token(ANNA, {"openid", "offline_access", "energy_device_data"})
    flow = await paste(owner, tokens)
    assert flow["errors"] == {"base": "scope_missing"}


async def test_a_withdrawn_consent(owner: Owner) -> None:
    """A refresh token whose consent is gone has a sentence of its own."""
    tokens = owner.token()
    owner.tesla.control.withdraw_consent(ERIK, "teslafi-monitoring")
    flow = await paste(owner, tokens)
    assert flow["errors"] == {"base": "consent_withdrawn"}


async def again(hass: HomeAssistant, entry: ConfigEntry) -> ConfigFlowResult:
    """Start the flow that asks to sign in again."""
    return await hass.config_entries.flow.async_init(
        DOMAIN, context={"source": SOURCE_REAUTH, "entry_id": entry.entry_id}, data=entry.data
    )


async def test_signing_in_again_keeps_everything(hass: HomeAssistant, owner: Owner) -> None:
    """Same entities, same entry, a new grant; Tesla is asked for what was granted before and no more."""
    flow = await owner.answer(await owner.begin("sign_in"), EVERYTHING)
    flow = await owner.choose(await owner.at_tesla(flow, untick=["vehicle_location"]), "go_on_without")
    entry = flow["result"]
    await hass.async_block_till_done(wait_background_tasks=True)
    registry = er.async_get(hass)
    entities = {one.unique_id: one.entity_id for one in er.async_entries_for_config_entry(registry, entry.entry_id)}
    flow = await owner.choose(await again(hass, entry), "sign_in_again")
    scope = parse_qs(urlparse(flow["url"]).query)["scope"][0].split()
    assert scope == ["openid", "offline_access", "vehicle_device_data", "energy_device_data"]
    flow = await owner.at_tesla(flow)
    assert flow["reason"] == "reauth_successful"
    await hass.async_block_till_done(wait_background_tasks=True)
    assert entry.state is ConfigEntryState.LOADED
    assert entities == {
        one.unique_id: one.entity_id for one in er.async_entries_for_config_entry(registry, entry.entry_id)
    }
    assert entry.data["requested_scopes"] == ["energy_device_data", "vehicle_location"]
    assert "vehicle_location" not in await stored_scopes(hass, entry)


@pytest.mark.parametrize("way", ["sign_in_again", "token"])
async def test_another_account_is_refused(hass: HomeAssistant, owner: Owner, way: str) -> None:
    """Signing in again is for the same owner."""
    entry = await owner.sign_in(ANNA)
    before = await stored_scopes(hass, entry)
    flow = await owner.choose(await again(hass, entry), way)
    if way == "token":
        flow = await owner.answer(flow, owner.token(ERIK))
    else:
        flow = await owner.at_tesla(flow, ERIK)
    assert flow["type"] is FlowResultType.ABORT
    assert flow["reason"] == "wrong_account"
    assert await stored_scopes(hass, entry) == before


async def test_a_token_in_place_of_a_sign_in(hass: HomeAssistant, owner: Owner) -> None:
    """The way to sign in can change; entities stay."""
    entry = await owner.sign_in(ERIK)
    flow = await owner.choose(await again(hass, entry), "token")
    flow = await owner.answer(flow, owner.token(ERIK))
    assert flow["reason"] == "reauth_successful"
    await hass.async_block_till_done(wait_background_tasks=True)
    assert entry.data["method"] == "token"
    assert entry.state is ConfigEntryState.LOADED


async def test_reconfiguring_adds_and_takes_away(hass: HomeAssistant, owner: Owner) -> None:
    """The form begins with what is shared now; both ways Tesla's grant follows."""
    entry = await owner.sign_in(vehicle_location=False)
    for shared in (True, False):
        flow = await hass.config_entries.flow.async_init(
            DOMAIN, context={"source": "reconfigure", "entry_id": entry.entry_id}
        )
        flow = await owner.choose(flow, "sign_in")
        assert [str(key) for key in fields(flow)] == ["region", "vehicle_location", "energy_device_data"]
        assert flow["data_schema"] is not None
        assert flow["data_schema"]({})["vehicle_location"] is not shared
        flow = await owner.at_tesla(await owner.answer(flow, {**EVERYTHING, "vehicle_location": shared}))
        assert flow["reason"] == "reconfigure_successful"
        await hass.async_block_till_done(wait_background_tasks=True)
        assert ("vehicle_location" in await stored_scopes(hass, entry)) is shared


async def test_the_key_is_renewed_from_the_menu(hass: HomeAssistant, owner: Owner) -> None:
    """After it the grant opens as before, sealed anew."""
    entry = await owner.sign_in()
    before = await stored_scopes(hass, entry)
    flow = await hass.config_entries.flow.async_init(
        DOMAIN, context={"source": "reconfigure", "entry_id": entry.entry_id}
    )
    flow = await owner.choose(flow, "rotate_key")
    flow = await owner.answer(flow, {})
    assert flow["reason"] == "key_rotated"
    assert await stored_scopes(hass, entry) == before


async def test_the_budget_is_an_option(hass: HomeAssistant, owner: Owner) -> None:
    """It is shown again when the options are opened again, and can be emptied."""
    others = {
        "polling_mode": "balanced",
        "currency": "EUR",
        "learn_habits": True,
        "journal_positions": "exact",
        "journal_months": 13,
        "free_supercharging": False,
        "show_tokens": False,
    }
    entry = await owner.sign_in()
    flow = await hass.config_entries.options.async_init(entry.entry_id)
    flow = await hass.config_entries.options.async_configure(flow["flow_id"], {"monthly_budget": 5})
    assert flow["type"] is FlowResultType.CREATE_ENTRY
    assert entry.options == {"monthly_budget": 5, **others}
    flow = await hass.config_entries.options.async_init(entry.entry_id)
    _, budget, *_ = fields(flow)
    assert budget.description == {"suggested_value": 5}
    placeholders = flow["description_placeholders"]
    assert placeholders is not None
    assert placeholders["look"] == "0.002"
    hass.config.language = "de"
    await async_load_integrations(hass, {DOMAIN})
    german = await hass.config_entries.options.async_init(entry.entry_id)
    placeholders = german["description_placeholders"]
    assert placeholders is not None
    assert placeholders["look"] == "0,002"
    await hass.config_entries.options.async_configure(flow["flow_id"], {})
    assert entry.options == others


async def test_the_end_of_the_tokens_is_shown_to_whoever_asked_for_it(hass: HomeAssistant, owner: Owner) -> None:
    """Off by default; on, the options have a page with four characters of each token and nothing more of them."""
    entry = await owner.sign_in()
    options = hass.config_entries.options
    flow = await options.async_init(entry.entry_id)
    assert flow["step_id"] == "settings"
    await options.async_configure(flow["flow_id"], {"show_tokens": True})

    grant = (await async_get_vault(hass)).get(entry.entry_id, MONITORING)
    assert grant is not None
    assert grant.refresh_token is not None
    flow = await options.async_init(entry.entry_id)
    assert flow["menu_options"] == ["settings", "tokens"]
    flow = await options.async_configure(flow["flow_id"], {"next_step_id": "tokens"})
    shown = flow["description_placeholders"]
    assert shown is not None
    for name, token in (("access_token", grant.access_token), ("refresh_token", grant.refresh_token)):
        assert shown[name] == f"…{token.reveal()[-4:]}"
        assert token.reveal()[-5:] not in repr(flow)
    flow = await options.async_configure(flow["flow_id"], {})
    assert flow["step_id"] == "settings"

    await (await async_get_vault(hass)).wipe(entry.entry_id)
    flow = await options.async_init(entry.entry_id)
    flow = await options.async_configure(flow["flow_id"], {"next_step_id": "tokens"})
    assert flow["reason"] == "no_tokens"


async def test_each_mode_says_what_it_would_cost_this_account(
    hass: HomeAssistant, owner: Owner, freezer: FrozenDateTimeFactory
) -> None:
    """Estimated from the looks of the last days, in the mode used so far; on the first day, an average."""
    entry = await owner.sign_in()
    options = hass.config_entries.options
    flow = await options.async_init(entry.entry_id)
    shown = flow["description_placeholders"]
    assert shown is not None
    cars = len(entry.runtime_data.vehicles)
    assert {mode: shown[mode.value] for mode in Mode} == {mode: f"{USUAL_MONTH[mode] * cars:.2f}" for mode in Mode}
    budget = entry.runtime_data.budget
    vin = next(iter(entry.runtime_data.vehicles))
    before = sum(sum(ledger.days.values()) for ledger in budget.ledgers.values())
    for _ in range(50 - before):
        budget.count(vin, Category.DATA)
    freezer.tick(timedelta(days=1))
    shown = (await options.async_init(entry.entry_id))["description_placeholders"]
    assert shown is not None
    assert shown["balanced"] == "3.00"
    assert float(shown["economy"]) < 3 < float(shown["detailed"])


async def test_the_first_step_is_a_menu(hass: HomeAssistant) -> None:
    """Two ways, nothing else."""
    flow = await hass.config_entries.flow.async_init(DOMAIN, context={"source": SOURCE_USER})
    assert flow["menu_options"] == ["sign_in", "token", "feed"]


async def test_tesla_sends_no_token(owner: Owner) -> None:
    """An answer to the code that holds no token is told as trouble."""
    flow = await owner.answer(await owner.begin("sign_in"), EVERYTHING)
    owner.tesla.control.fault(path="*/oauth2/v3/token", kind="status", status=200, body={"access_token": "no JWT"})
    flow = await owner.at_tesla(flow)
    assert flow["type"] is FlowResultType.ABORT
    assert flow["reason"] == "cannot_connect"


async def test_tesla_does_not_tell_the_region(hass: HomeAssistant, owner: Owner) -> None:
    """The token's own region is enough when `users/region` refuses."""
    owner.tesla.control.fault(
        path="*/users/region", kind="status", status=403, body={"error": "Unauthorized missing scopes"}
    )
    entry = await owner.sign_in(ERIK)
    grant = (await async_get_vault(hass)).get(entry.entry_id, MONITORING)
    assert grant is not None
    assert grant.region == "eu"


async def test_tesla_names_another_region(hass: HomeAssistant, owner: Owner) -> None:
    """`users/region` is believed when it names one of Tesla's servers."""
    body = {"response": {"region": "na", "fleet_api_base_url": owner.tesla.addresses.fleet("na")}}
    owner.tesla.control.fault(path="*/users/region", kind="status", status=200, body=body)
    flow = await owner.answer(await owner.begin("sign_in"), EVERYTHING)
    flow = await owner.at_tesla(flow, ERIK)
    grant = (await async_get_vault(hass)).get(flow["result"].entry_id, MONITORING)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert grant is not None
    assert flow["result"].state is ConfigEntryState.LOADED


async def test_a_token_renewed_while_it_is_examined(hass: HomeAssistant, owner: Owner) -> None:
    """Tesla refuses the access token at once: the renewed grant is the one that is kept."""
    owner.tesla.control.fault(path="*/api/1/products", kind="status", status=401)
    entry = await owner.sign_in(ERIK)
    assert entry.state is ConfigEntryState.LOADED


async def test_another_kind_of_sign_in_does_not_replace_the_first(hass: HomeAssistant, owner: Owner) -> None:
    """A second entry by another application is refused, and the first grant, which lives on, is kept."""
    entry = await owner.sign_in(ERIK)
    before = (await async_get_vault(hass)).get(entry.entry_id, MONITORING)
    flow = await paste(owner, owner.token(ERIK, client_id="open-source"))
    assert flow["reason"] == "already_configured"
    assert (await async_get_vault(hass)).get(entry.entry_id, MONITORING) == before
