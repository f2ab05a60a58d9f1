"""What Tesla offers beside live data, against the simulator: actions that answer, and what they cost."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from freezegun.api import FrozenDateTimeFactory
from homeassistant.config_entries import ConfigEntry, ConfigFlowResult
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.helpers import device_registry as dr
import probatio
import pytest
from pytest_homeassistant_custom_component.typing import WebSocketGenerator  # type: ignore[import-untyped]

from custom_components.teslafi.const import CONF_MONTHLY_BUDGET, DOMAIN, MONITORING
from custom_components.teslafi.response_actions import ACTIONS
from custom_components.teslafi.storage.vault import async_get_vault
from custom_components.teslafi.tesla.requests import Category
from teslafi_simulators.tesla import TeslaSimulator
from teslafi_simulators.tesla.cars.car import State
from teslafi_simulators.tesla.scenario import ANNAS_MODEL_3, ANNAS_MODEL_Y, ANNAS_SITE

from .owner import ANNA, READ_SCOPES, Owner
from .test_config_flow import fields
from .test_watching import pass_time

CHARGING = "vehicle_charging_cmds"


@pytest.fixture(autouse=True)
def _at_a_quiet_time(freezer: FrozenDateTimeFactory) -> None:
    """Stand in the middle of a month."""
    freezer.move_to("2026-11-16 12:00:00")


async def sharing(owner: Owner) -> ConfigEntry:
    """Set up Anna's account with a token that reads the charging history."""
    flow = await owner.answer(
        await owner.begin("token"),
        owner.token(ANNA, {*READ_SCOPES, CHARGING}, client_id="teslafi-controls"),
    )
    assert flow["step_id"] == "can_command"
    flow = await owner.answer(flow, {})
    await owner.hass.async_block_till_done(wait_background_tasks=True)
    entry: ConfigEntry = flow["result"]
    return entry


async def ask(hass: HomeAssistant, name: str, vin: str = ANNAS_MODEL_3, **data: object) -> Mapping[str, Any]:
    """Call an action for a car; return what it answers."""
    (entry,) = hass.config_entries.async_entries(DOMAIN)
    device = dr.async_get(hass).async_get_device_by_identifier((DOMAIN, vin), entry.entry_id)
    assert device is not None
    answer = await hass.services.async_call(
        DOMAIN, name, {"device_id": device.id, **data}, blocking=True, return_response=True
    )
    assert answer is not None
    return answer


def counted(entry: ConfigEntry, vin: str) -> int:
    """Return what is in the ledger of questions beside live data."""
    pages = entry.runtime_data.budget.ledger(vin).pages
    return sum(page.get(Category.DETAILS, 0) for page in pages.values())


def billed(owner: Owner, part: str) -> int:
    """Count what Tesla billed for addresses that end so."""
    return sum(1 for one in owner.tesla.state.billing.exchanges if one.path.endswith(part) and one.usd)


async def test_paid_sessions(hass: HomeAssistant, owner: Owner) -> None:
    """With energy, fees and what they come to, the newest first; counted as Tesla bills them."""
    entry = await sharing(owner)
    answer = await ask(hass, "get_charging_history")
    assert answer["complete"] is True
    newest, parked, free = answer["sessions"]
    assert newest["site"] == "Truckee, CA"
    assert (newest["energy_kwh"], newest["cost"], newest["currency"]) == (38.0, 15.96, "USD")
    assert newest["start"].startswith("2026-11-13T12:00:00")
    assert {fee["type"]: fee["total"] for fee in parked["fees"]} == {"CHARGING": 18.59, "PARKING": 6.0}
    assert parked["cost"] == 24.59
    assert (free["cost"], free["invoices"]) == (0, [])
    assert counted(entry, ANNAS_MODEL_3) == billed(owner, "/charging/history") == 1


async def test_sessions_of_a_span(hass: HomeAssistant, owner: Owner) -> None:
    """A moment without a zone is Home Assistant's."""
    await sharing(owner)
    answer = await ask(hass, "get_charging_history", start="2026-10-01 00:00:00", end="2026-11-01 00:00:00")
    assert [session["energy_kwh"] for session in answer["sessions"]] == [44.25]


async def test_an_invoice_becomes_a_file(hass: HomeAssistant, owner: Owner, tmp_path: Path) -> None:
    """Where Home Assistant may write; what mails and chats can take."""
    await sharing(owner)
    hass.config.allowlist_external_dirs = {str(tmp_path)}
    (invoice,) = (await ask(hass, "get_charging_history"))["sessions"][0]["invoices"]
    path = tmp_path / "bills" / "one.pdf"
    answer = await ask(hass, "download_charging_invoice", content_id=invoice["content_id"], filename=str(path))
    assert path.read_bytes().startswith(b"%PDF-")
    assert answer == {"filename": str(path), "bytes": path.stat().st_size}


@pytest.mark.parametrize("filename", ["/etc/one.pdf", "/proc/one.pdf", "\0.pdf", "../../one.pdf", "a/" * 3000 + ".pdf"])
async def test_no_file_elsewhere(hass: HomeAssistant, owner: Owner, filename: str) -> None:
    """What is not allowed is not even asked for."""
    await sharing(owner)
    with pytest.raises(ServiceValidationError) as refused:
        await ask(hass, "download_charging_invoice", content_id="file-1", filename=filename)
    assert refused.value.translation_key == "path_not_allowed"
    assert billed(owner, "/invoice/file-1") == 0


async def test_files_are_pdf(hass: HomeAssistant, owner: Owner, tmp_path: Path) -> None:
    """No invoice takes the place of something else."""
    await sharing(owner)
    hass.config.allowlist_external_dirs = {str(tmp_path)}
    with pytest.raises(probatio.Invalid):
        await ask(hass, "download_charging_invoice", content_id="file-1", filename=str(tmp_path / "configuration.yaml"))


async def test_a_disk_that_takes_nothing(hass: HomeAssistant, owner: Owner, tmp_path: Path) -> None:
    """Is said."""
    await sharing(owner)
    hass.config.allowlist_external_dirs = {str(tmp_path)}
    (tmp_path / "full.pdf").mkdir()
    (invoice,) = (await ask(hass, "get_charging_history"))["sessions"][0]["invoices"]
    with pytest.raises(HomeAssistantError) as refused:
        await ask(
            hass,
            "download_charging_invoice",
            content_id=invoice["content_id"],
            filename=str(tmp_path / "full.pdf"),
        )
    assert refused.value.translation_key == "file_not_written"


async def test_an_unknown_invoice_stops_no_other(hass: HomeAssistant, owner: Owner, tmp_path: Path) -> None:
    """It says something about the id alone."""
    await sharing(owner)
    hass.config.allowlist_external_dirs = {str(tmp_path)}
    for content_id in ("file-99", "../history", "file-99"):
        with pytest.raises(ServiceValidationError) as refused:
            await ask(hass, "download_charging_invoice", content_id=content_id, filename=str(tmp_path / "a.pdf"))
        assert refused.value.translation_key == "no_such_invoice"
    assert billed(owner, "/invoice/file-99") == 1
    (invoice,) = (await ask(hass, "get_charging_history"))["sessions"][0]["invoices"]
    await ask(hass, "download_charging_invoice", content_id=invoice["content_id"], filename=str(tmp_path / "a.pdf"))


@pytest.mark.parametrize("name", [name for name in ACTIONS if "charging_" in name and "sites" not in name])
async def test_what_is_not_shared_is_not_asked_for(
    hass: HomeAssistant, owner: Owner, name: str, tmp_path: Path
) -> None:
    """With read scopes alone."""
    await owner.sign_in()
    data = {"content_id": "file-1", "filename": str(tmp_path / "a.pdf")} if name.startswith("download") else {}
    owner.tesla.state.requests.clear()
    with pytest.raises(ServiceValidationError) as refused:
        await ask(hass, name, **data)
    assert refused.value.translation_key == "charging_history_not_shared"
    assert not [path for _, path in owner.tesla.state.requests if "/dx/" in path]


async def test_chargers_nearby(hass: HomeAssistant, owner: Owner) -> None:
    """No more than asked for."""
    await owner.sign_in()
    answer = await ask(hass, "get_nearby_charging_sites", count=2)
    assert len(answer["superchargers"]) == 2
    first = answer["superchargers"][0]
    assert {"name", "distance_miles", "available_stalls", "total_stalls", "latitude", "longitude"} <= first.keys()
    with pytest.raises(probatio.Invalid):
        await ask(hass, "get_nearby_charging_sites", count=0)


async def test_a_sleeping_car_is_not_asked(hass: HomeAssistant, owner: Owner) -> None:
    """Chargers nearby need the car; Tesla bills the refusal, and what is known costs nothing."""
    await owner.sign_in()
    owner.tesla.state.requests.clear()
    with pytest.raises(HomeAssistantError) as refused:
        await ask(hass, "get_nearby_charging_sites", ANNAS_MODEL_Y)
    assert refused.value.translation_key == "vehicle_asleep"
    assert owner.tesla.state.requests == []
    assert owner.tesla.control.car(ANNAS_MODEL_Y).state is State.ASLEEP


async def test_alerts_service_warranty_options(
    hass: HomeAssistant, owner: Owner, freezer: FrozenDateTimeFactory
) -> None:
    """Of a sleeping car too: Tesla has them."""
    await owner.sign_in()
    car = owner.tesla.control.car(ANNAS_MODEL_Y)
    answers = {name: await ask(hass, f"get_{name}", ANNAS_MODEL_Y) for name in ("recent_alerts", "warranty")}
    assert answers["recent_alerts"]["alerts"][0] == {
        "name": "Name_Of_The_Alert",
        "time": "2026-11-16T11:00:00+00:00",
        "text": "additional description text",
        "audience": ["service-fix", "customer"],
    }
    assert [one["years"] for one in answers["warranty"]["active"]] == [4, 8]
    options = (await ask(hass, "get_vehicle_options", ANNAS_MODEL_Y))["options"]
    assert "Autopilot" in {option["name"] for option in options}
    assert (await ask(hass, "get_service_status", ANNAS_MODEL_Y))["in_service"] is False
    car.set_value("in_service", value=True)
    freezer.tick(61)
    answer = await ask(hass, "get_service_status", ANNAS_MODEL_Y)
    assert answer["in_service"] is True
    assert answer["visit_number"] == "SV12345678"
    assert answer["expected_ready"].startswith("2026-11-22T")
    assert car.state is State.ASLEEP


async def test_nothing_beyond_the_budget(hass: HomeAssistant, owner: Owner) -> None:
    """It is the owner's limit, whoever asks."""
    entry = await owner.sign_in()
    hass.config_entries.async_update_entry(entry, options={CONF_MONTHLY_BUDGET: 0.001})
    owner.tesla.state.requests.clear()
    with pytest.raises(ServiceValidationError) as refused:
        await ask(hass, "get_recent_alerts")
    assert refused.value.translation_key == "budget_reached"
    assert owner.tesla.state.requests == []


async def test_many_at_once_stay_within_the_budget(hass: HomeAssistant, owner: Owner) -> None:
    """What a question may cost is reserved before it is sent."""
    owner.tesla.control.wake(ANNAS_MODEL_3)
    entry = await owner.sign_in()
    spent = entry.runtime_data.budget.cost
    hass.config_entries.async_update_entry(entry, options={CONF_MONTHLY_BUDGET: spent + 0.0101})
    questions = (ask(hass, "get_nearby_charging_sites", radius=radius) for radius in range(1, 51))
    answers = await asyncio.gather(*questions, return_exceptions=True)
    refused = [answer for answer in answers if isinstance(answer, ServiceValidationError)]
    assert {answer.translation_key for answer in refused} == {"budget_reached"}
    assert 1 <= billed(owner, "/nearby_charging_sites") == 50 - len(refused) <= 5


async def test_a_question_that_is_asked_twice_stays_within_the_budget(hass: HomeAssistant, owner: Owner) -> None:
    """Tesla bills the answer to a dead access token as well as the one to its successor."""
    entry = await owner.sign_in()
    budget = entry.runtime_data.budget
    price = budget.price(Category.DETAILS)
    limit = budget.cost + 1.5 * price
    hass.config_entries.async_update_entry(entry, options={CONF_MONTHLY_BUDGET: limit})
    assert owner.tesla.control.expire_access_tokens(ANNA) > 0
    with pytest.raises(ServiceValidationError, match="budget is used up"):
        await ask(hass, "get_warranty")
    assert budget.cost <= limit
    hass.config_entries.async_update_entry(entry, options={CONF_MONTHLY_BUDGET: limit + price})
    assert (await ask(hass, "get_warranty"))["active"]
    assert budget.cost == pytest.approx(limit + price / 2)


PAID: Final[Mapping[str, Mapping[str, Any]]] = {
    "get_charging_history": {"start": "2026-10-01 00:00:00"},
    "apply_charging_history": {},
    "get_nearby_charging_sites": {"radius": 20},
    "get_recent_alerts": {},
    "get_service_status": {},
    "get_warranty": {},
    "get_vehicle_options": {},
}
"""Every action that Tesla bills, but for the one that saves a file."""


@pytest.fixture
async def awake(owner: Owner) -> ConfigEntry:
    """Set up an account that shares everything, with a car that is awake."""
    owner.tesla.control.car(ANNAS_MODEL_3).set_value("vehicle_state.sentry_mode", value=True)
    owner.tesla.control.wake(ANNAS_MODEL_3)
    return await sharing(owner)


def test_every_action_is_tried() -> None:
    assert {*PAID, "download_charging_invoice"} == set(ACTIONS)


async def test_an_automation_in_a_loop_is_billed_once_a_minute(
    hass: HomeAssistant,
    owner: Owner,
    awake: ConfigEntry,
    freezer: FrozenDateTimeFactory,
    subtests: pytest.Subtests,
) -> None:
    """Fifty at once, and more one after the other; a minute later Tesla is asked anew."""
    for name, data in PAID.items():
        with subtests.test(name):
            freezer.tick(61)
            before = counted(awake, ANNAS_MODEL_3)
            answers = await asyncio.gather(*(ask(hass, name, **data) for _ in range(50)))
            once = counted(awake, ANNAS_MODEL_3) - before
            assert 1 <= once <= 2
            for _ in range(5):
                assert await ask(hass, name, **data) == answers[0]
                freezer.tick(11.9)
            assert await ask(hass, name, **data) == answers[0]
            assert counted(awake, ANNAS_MODEL_3) - before == once
            freezer.tick(1)
            await ask(hass, name, **data)
            assert counted(awake, ANNAS_MODEL_3) - before == 2 * once


async def test_another_question_is_another_answer(hass: HomeAssistant, owner: Owner, awake: ConfigEntry) -> None:
    """Other arguments, another car, another endpoint: none is answered from the memory of the first."""
    before = billed(owner, "/nearby_charging_sites")
    wishes: list[dict[str, Any]] = [{"radius": 20}, {"radius": 21}, {"count": 1, "radius": 20}, {"count": 20}, {}]
    for more in wishes:
        await ask(hass, "get_nearby_charging_sites", **more)
    assert billed(owner, "/nearby_charging_sites") - before == 5
    spans: list[dict[str, Any]] = [{}, {"start": "2026-10-01 00:00:00"}, {"end": "2026-10-01 00:00:00"}]
    for span in spans:
        await ask(hass, "get_charging_history", **span)
    assert billed(owner, "/charging/history") == 3
    for vin in (ANNAS_MODEL_3, ANNAS_MODEL_Y):
        await ask(hass, "get_warranty", vin)
    assert billed(owner, "/warranty/details") == 2
    assert len(awake.runtime_data.vehicles[ANNAS_MODEL_3].details.memory.questions) == 9


async def test_questions_are_forgotten(
    hass: HomeAssistant, owner: Owner, awake: ConfigEntry, freezer: FrozenDateTimeFactory
) -> None:
    for radius in range(1, 40):
        await ask(hass, "get_nearby_charging_sites", radius=radius)
        freezer.tick(3)
    assert len(awake.runtime_data.vehicles[ANNAS_MODEL_3].details.memory.questions) <= 21


async def test_a_failure_is_shared_and_not_remembered(hass: HomeAssistant, owner: Owner, awake: ConfigEntry) -> None:
    """Who asks while the question is under way hears that it failed; who asks later asks Tesla."""
    owner.tesla.control.fault(path="*/recent_alerts", kind="status", status=500, times=1)
    owner.tesla.state.requests.clear()
    ends = await asyncio.gather(*(ask(hass, "get_recent_alerts") for _ in range(20)), return_exceptions=True)
    assert {type(end) for end in ends} == {HomeAssistantError}
    asked = [one for one in owner.tesla.state.requests if "recent_alerts" in str(one)]
    assert len(asked) == 1
    assert (await ask(hass, "get_recent_alerts"))["alerts"]


async def test_a_refusal_is_not_repeated_at_once(
    hass: HomeAssistant, owner: Owner, freezer: FrozenDateTimeFactory
) -> None:
    """Tesla bills it; the wait that Tesla names holds for whoever asks, and for this endpoint alone."""
    await owner.sign_in()
    owner.tesla.control.fault(
        path="*/recent_alerts", kind="status", status=429, headers={"Retry-After": "600"}, times=1
    )
    for _ in range(5):
        with pytest.raises(HomeAssistantError) as refused:
            await ask(hass, "get_recent_alerts")
        assert refused.value.translation_key == "tesla_rate_limited"
    assert billed(owner, "/recent_alerts") == 1
    await ask(hass, "get_warranty")
    await pass_time(hass, freezer, 700, step=350)
    assert (await ask(hass, "get_recent_alerts"))["alerts"]


async def test_a_site_is_no_car(hass: HomeAssistant, owner: Owner) -> None:
    """It says so."""
    await owner.sign_in()
    with pytest.raises(ServiceValidationError) as refused:
        await ask(hass, "get_warranty", str(ANNAS_SITE))
    assert refused.value.translation_key == "no_such_vehicle"


async def reconfigure(hass: HomeAssistant, entry: ConfigEntry) -> ConfigFlowResult:
    """Open *Reconfigure*."""
    return await hass.config_entries.flow.async_init(
        DOMAIN, context={"source": "reconfigure", "entry_id": entry.entry_id}
    )


async def granted(hass: HomeAssistant, entry: ConfigEntry) -> frozenset[str]:
    """Return the scopes of the entry's grant."""
    grant = (await async_get_vault(hass)).get(entry.entry_id, MONITORING)
    assert grant is not None
    return grant.scopes


@pytest.fixture
async def registered(hass: HomeAssistant, tesla: TeslaSimulator, current_request_with_host: None) -> Owner:
    """Return an owner whose application is registered for charging as well."""
    person = Owner(hass, tesla)
    await person.bring_application("core-tesla-fleet")
    return person


async def share(hass: HomeAssistant, owner: Owner, entry: ConfigEntry, **how: Any) -> ConfigFlowResult:  # noqa: ANN401
    """Go the way to the charging history."""
    flow = await owner.choose(await reconfigure(hass, entry), "charging_history")
    assert flow["type"] is FlowResultType.FORM
    assert flow["step_id"] == "charging_history"
    flow = await owner.answer(flow, {})
    return await owner.at_tesla(flow, **how)


async def test_the_scope_is_asked_on_wish_alone(hass: HomeAssistant, registered: Owner) -> None:
    """Not when setting up; by its own way, once; then history is there, and it can be left out again."""
    flow = await registered.begin("sign_in")
    assert CHARGING not in {str(key) for key in fields(flow)}
    entry = await registered.sign_in()
    assert await granted(hass, entry) == READ_SCOPES
    flow = await share(hass, registered, entry)
    assert flow["reason"] == "reconfigure_successful"
    await hass.async_block_till_done(wait_background_tasks=True)
    assert await granted(hass, entry) == {*READ_SCOPES, CHARGING}
    assert len((await ask(hass, "get_charging_history"))["sessions"]) == 3
    flow = await reconfigure(hass, entry)
    assert "charging_history" not in flow["menu_options"]
    flow = await registered.choose(flow, "sign_in")
    assert CHARGING in {str(key) for key in fields(flow)}


async def test_the_owner_declines_at_tesla(hass: HomeAssistant, registered: Owner) -> None:
    """It is said, everything else stays, and it can be asked for again."""
    entry = await registered.sign_in()
    flow = await share(hass, registered, entry, untick=[CHARGING])
    assert flow["step_id"] == "no_charging_history"
    flow = await registered.answer(flow, {})
    assert flow["reason"] == "reconfigure_successful"
    await hass.async_block_till_done(wait_background_tasks=True)
    assert await granted(hass, entry) == READ_SCOPES
    assert entry.data["declined_scopes"] == [CHARGING]
    assert "charging_history" in (await reconfigure(hass, entry))["menu_options"]


async def test_an_application_without_the_scope(hass: HomeAssistant, owner: Owner) -> None:
    """Tesla refuses it, and the grant of before goes on."""
    entry = await owner.sign_in()
    flow = await owner.choose(await reconfigure(hass, entry), "charging_history")
    flow = await owner.answer(flow, {})
    flow = await owner.at_tesla(flow)
    assert flow["type"] is FlowResultType.ABORT
    assert await granted(hass, entry) == READ_SCOPES


async def notes(hass: HomeAssistant, client: Any) -> Any:  # noqa: ANN401 - a websocket's client and what it hears
    """Open the update of Anna's car, as Home Assistant's frontend does."""
    await client.send_json_auto_id({"type": "update/release_notes", "entity_id": "update.roadrunner_software"})
    return await client.receive_json()


async def test_release_notes_are_asked_when_somebody_opens_the_update(
    hass: HomeAssistant, owner: Owner, hass_ws_client: WebSocketGenerator, freezer: FrozenDateTimeFactory
) -> None:
    """Of the installed software once, of an offered one once more; nothing while nobody looks."""
    entry = await owner.sign_in()
    await pass_time(hass, freezer, 300)
    client = await hass_ws_client(hass)
    assert counted(entry, ANNAS_MODEL_3) == 0
    for _ in range(3):
        answer = await notes(hass, client)
        assert answer["result"].startswith("## Charging\n\n**Plan ahead**\n\nSchedules can be set")
    assert counted(entry, ANNAS_MODEL_3) == billed(owner, "/release_notes") == 1
    car = owner.tesla.control.car(ANNAS_MODEL_3)
    car.set_value("vehicle_state.software_update.status", "available")
    car.set_value("vehicle_state.software_update.version", "2026.44.1")
    await entry.runtime_data.vehicles[ANNAS_MODEL_3].async_request_refresh()
    await hass.async_block_till_done(wait_background_tasks=True)
    assert (await notes(hass, client))["result"] is not None
    assert billed(owner, "/release_notes") == 2


@pytest.mark.parametrize(
    ("status", "key"), [(403, "tesla_refused"), (500, "tesla_unreachable"), (408, "vehicle_asleep")]
)
async def test_release_notes_that_tesla_does_not_give(
    hass: HomeAssistant, owner: Owner, hass_ws_client: WebSocketGenerator, status: int, key: str
) -> None:
    """The frontend hears why, and nothing else of the car suffers."""
    await owner.sign_in()
    owner.tesla.control.fault(path="*/release_notes", kind="status", status=status, times=None)
    answer = await notes(hass, await hass_ws_client(hass))
    assert answer["success"] is False
    assert answer["error"]["translation_key"] == key, answer["error"]
    state = hass.states.get("update.roadrunner_software")
    assert state is not None
    assert state.state != "unavailable"
