"""Registering the application on the way: the key that Home Assistant serves, each answer of Tesla's, and going on."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final

from aiohttp import web
from aiohttp.test_utils import TestClient
from homeassistant.config_entries import ConfigEntryState, ConfigFlowResult
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.setup import async_setup_component
import pytest

from custom_components.teslafi.controls.sealed import new_command_key, public_pem
from custom_components.teslafi.public_key import own_domain, public_keys
from custom_components.teslafi.tesla import pairing
from custom_components.teslafi.tesla.pairing import KEY_PATH, point_of
from teslafi_simulators.tesla import TeslaSimulator
from teslafi_simulators.tesla.applications import Application

from .owner import ERIK, EVERYTHING, READ_SCOPES, Owner, offered_key

DOMAIN: Final = "monitoring.example"

type Client = TestClient[Any, Any]


@pytest.fixture
async def home(hass: HomeAssistant, owner: Owner, hass_client_no_auth: Callable[[], Awaitable[Client]]) -> Client:
    """Return the way a stranger reaches this Home Assistant, to which the application's domain leads."""
    hass.config.external_url = f"https://{DOMAIN}"
    # A test client's server takes no paths later, unlike Home Assistant's
    assert await async_setup_component(hass, "teslafi", {})
    public_keys(hass)
    client = await hass_client_no_auth()
    owner.tesla.control.serve_domain(DOMAIN, str(client.make_url("")).rstrip("/"))
    application(owner).regions = set()
    return client


def application(owner: Owner, client_id: str = "teslafi-monitoring") -> Application:
    """Return an application as Tesla knows it."""
    found = owner.tesla.applications.by_client_id(client_id)
    assert found is not None
    return found


async def unregistered(owner: Owner, email: str = ERIK) -> ConfigFlowResult:
    """Sign in with an application that is registered nowhere."""
    flow = await owner.at_tesla(await owner.answer(await owner.begin("sign_in"), EVERYTHING), email)
    assert flow["type"] is FlowResultType.FORM
    assert flow["step_id"] == "register_application"
    return flow


def domain_shown(flow: ConfigFlowResult) -> str:
    """Return the domain that the form is filled with."""
    assert flow["data_schema"] is not None
    return str(flow["data_schema"]({})["domain"])


async def test_the_flow_registers_and_goes_on(hass: HomeAssistant, owner: Owner, home: Client) -> None:
    """412, the own address as the domain, the key served and fetched, both regions, and the entry is there."""
    flow = await unregistered(owner)
    assert domain_shown(flow) == DOMAIN
    flow = await owner.answer(flow, {"domain": DOMAIN})
    assert flow["type"] is FlowResultType.CREATE_ENTRY
    await hass.async_block_till_done(wait_background_tasks=True)
    entry = flow["result"]
    assert entry.state is ConfigEntryState.LOADED
    assert application(owner).regions == {"eu", "na"}
    key = entry.data["registration"]["public_key"]
    assert entry.data["registration"] == {"client_id": "teslafi-monitoring", "domain": DOMAIN, "public_key": key}
    assert application(owner).public_key == point_of(key).hex()
    served = await home.get(KEY_PATH)
    assert (served.status, await served.text()) == (200, key)
    assert served.headers["Cache-Control"] == "no-store"
    await hass.config_entries.async_remove(entry.entry_id)
    assert (await home.get(KEY_PATH)).status == 404, "nobody uses it any more"


async def test_nothing_is_served_before_and_after_a_flow_that_came_to_nothing(
    hass: HomeAssistant, owner: Owner, home: Client
) -> None:
    flow = await unregistered(owner)
    served = await home.get(KEY_PATH)
    assert (served.status, await served.text()) == (200, offered_key(flow))
    file = await home.get(f"{KEY_PATH}?flow={flow['flow_id']}")
    assert await file.text() == offered_key(flow)
    assert file.headers["Content-Disposition"] == 'attachment; filename="com.tesla.3p.public-key.pem"'
    for hostile in ("x", "../x", flow["flow_id"][:-1], "%00", "a" * 5000):
        assert (await home.get(f"{KEY_PATH}?flow={hostile}")).status in {400, 404}
    for method in ("post", "put", "delete"):
        assert (await getattr(home, method)(KEY_PATH)).status == 405
    hass.config_entries.flow.async_abort(flow["flow_id"])
    assert (await home.get(KEY_PATH)).status == 404
    assert (await home.get(f"{KEY_PATH}?flow={flow['flow_id']}")).status == 404


def _taken(owner: Owner) -> None:
    """Another application has the domain."""
    other = application(owner, "teslafi-controls")
    other.domain, other.public_key, other.regions = DOMAIN, "04", {"na"}


def _new_secret(owner: Owner) -> None:
    application(owner).client_secret = "changed meanwhile"


REFUSED: Final[list[tuple[str, Callable[[Owner], object], str, dict[str, str]]]] = [
    ("424", lambda owner: owner.tesla.control.serve_domain(DOMAIN, "http://127.0.0.1:9"), DOMAIN,
     {"domain": "key_not_found"}),
    ("not the application's domain", lambda _: None, "elsewhere.example", {"domain": "key_not_found"}),
    ("of another application", _taken, DOMAIN, {"domain": "domain_taken"}),
    ("origin not allowed", lambda owner: owner.tesla.control.fault(
        path="*/partner_accounts", kind="status", status=412, body={"error": "origin"}), DOMAIN,
     {"domain": "origin_not_allowed"}),
    ("wrong secret", _new_secret, DOMAIN, {"base": "wrong_secret"}),
    ("Tesla has trouble", lambda owner: owner.tesla.control.fault(
        path="*/partner_accounts", kind="status", status=503), DOMAIN, {"base": "registration_failed"}),
    ("no domain", lambda _: None, "http://x y", {"domain": "no_domain"}),
    ("an address", lambda _: None, "127.0.0.1", {"domain": "no_domain"}),
]  # fmt: skip


@pytest.mark.parametrize(("before", "typed", "errors"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
async def test_each_refusal_has_its_sentence_and_the_flow_stays(
    owner: Owner, home: Client, before: Callable[[Owner], object], typed: str, errors: dict[str, str]
) -> None:
    flow = await unregistered(owner)
    secret, others = application(owner).client_secret, application(owner, "teslafi-controls")
    kept = others.domain, others.public_key, others.regions
    before(owner)
    flow = await owner.answer(flow, {"domain": typed})
    assert flow["errors"] == errors
    assert domain_shown(flow) == typed, "what was typed stays"
    # The obstacle is gone: the same flow goes on
    application(owner).client_secret = secret
    others.domain, others.public_key, others.regions = kept
    owner.tesla.control.clear_faults()
    owner.tesla.control.serve_domain(DOMAIN, str(home.make_url("")).rstrip("/"))
    flow = await owner.answer(flow, {"domain": f" https://{DOMAIN.upper()}/ "})
    assert flow["type"] is FlowResultType.CREATE_ENTRY


async def test_tesla_registered_it_and_does_not_know_yet(owner: Owner, home: Client) -> None:
    flow = await unregistered(owner)
    owner.tesla.control.fault(path="*/products", kind="status", status=412, body={"error": "must be registered"})
    flow = await owner.answer(flow, {"domain": DOMAIN})
    assert flow["errors"] == {"base": "registration_pending"}
    assert (await owner.answer(flow, {"domain": DOMAIN}))["type"] is FlowResultType.CREATE_ENTRY


async def test_the_other_region_may_refuse(owner: Owner, home: Client) -> None:
    flow = await unregistered(owner)
    owner.tesla.control.fault(path="*/partner_accounts", kind="status", status=403, skip=1, executes=False)
    flow = await owner.answer(flow, {"domain": DOMAIN})
    assert flow["type"] is FlowResultType.CREATE_ENTRY
    assert application(owner).regions == {"eu"}


async def test_without_a_secret_it_cannot_be_registered(
    hass: HomeAssistant, tesla: TeslaSimulator, current_request_with_host: None
) -> None:
    owner = Owner(hass, tesla)
    await owner.bring_application("open-source")
    application(owner, "open-source").regions = set()
    flow = await owner.at_tesla(await owner.answer(await owner.begin("sign_in"), EVERYTHING), ERIK)
    assert (flow["type"], flow["reason"]) == (FlowResultType.ABORT, "not_registered")


async def test_a_pasted_token_of_the_own_application_leads_there_too(owner: Owner, home: Client) -> None:
    """Its secret is among the application credentials."""
    flow = await owner.begin("token")
    flow = await owner.answer(flow, owner.token(ERIK, READ_SCOPES))
    assert flow["step_id"] == "register_application"
    flow = await owner.answer(flow, {"domain": DOMAIN})
    assert flow["type"] is FlowResultType.CREATE_ENTRY
    assert application(owner).regions == {"eu", "na"}


async def test_a_pasted_token_of_a_foreign_application(owner: Owner) -> None:
    application(owner, "core-tesla-fleet").regions = set()
    flow = await owner.begin("token")
    flow = await owner.answer(flow, owner.token(ERIK, READ_SCOPES, client_id="core-tesla-fleet"))
    assert flow["errors"] == {"base": "not_registered"}


SEEN: Final[dict[str, tuple[Callable[[str], web.Response], dict[str, str] | None]]] = {
    "our key": (lambda pem: web.Response(text=pem), None),
    "our key, other line ends": (lambda pem: web.Response(text=pem.replace("\n", "\r\n")), None),
    "another key": (lambda _: web.Response(text=public_pem(new_command_key())), {"domain": "key_other"}),
    "a sign-in page": (lambda _: web.Response(status=302, headers={"Location": "/login"}), {"domain": "key_hidden"}),
    "a page": (lambda _: web.Response(text="<html>Welcome</html>"), {"domain": "key_hidden"}),
    "nothing": (lambda _: web.Response(status=404), {"domain": "key_hidden"}),
    "not text": (lambda _: web.Response(body=b"\xff\xfe\x00"), {"domain": "key_hidden"}),
    "endless": (lambda pem: web.Response(body=b" " * 1_000_000 + pem.encode()), {"domain": "key_hidden"}),
}


@pytest.fixture
async def seen(monkeypatch: pytest.MonkeyPatch, socket_enabled: None) -> AsyncIterator[list[Any]]:
    """Be the application's domain as it is seen from Home Assistant; the answer is the only item."""
    answers: list[Any] = []

    async def answer(_request: web.Request) -> web.Response:
        response: web.Response = answers[0]()
        return response

    app = web.Application()
    app.router.add_get(KEY_PATH, answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    port = runner.addresses[0][1]
    monkeypatch.setattr(pairing, "key_address", lambda _: f"http://127.0.0.1:{port}{KEY_PATH}")
    yield answers
    await runner.cleanup()


@pytest.mark.parametrize(("answer", "errors"), SEEN.values(), ids=SEEN)
async def test_what_can_be_seen_from_here_is_said_before_tesla_is_asked(
    owner: Owner, home: Client, seen: list[Any], answer: Callable[[str], web.Response], errors: dict[str, str] | None
) -> None:
    flow = await unregistered(owner)
    pem = offered_key(flow)
    seen.append(lambda: answer(pem))
    owner.tesla.control.reset_counters()
    flow = await owner.answer(flow, {"domain": DOMAIN})
    asked = [path for _, path in owner.tesla.state.requests if path.endswith("/partner_accounts")]
    if errors is None:
        assert flow["type"] is FlowResultType.CREATE_ENTRY
        assert len(asked) == 2
    else:
        assert (flow["errors"], asked) == (errors, [])


@pytest.mark.parametrize(
    ("external", "domain"),
    [("https://ha.example.org", "ha.example.org"), ("https://ha.example.org:8123", None),
     ("http://ha.example.org", None), ("https://203.0.113.7", None), (None, None)],
)  # fmt: skip
def test_the_domain_that_is_offered(hass: HomeAssistant, external: str | None, domain: str | None) -> None:
    """Tesla comes by name, over https, to the usual port."""
    hass.config.external_url = external
    assert own_domain(hass) == domain
