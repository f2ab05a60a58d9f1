"""Secrets stay secret: after each scenario every file, log line, state, flow and download is searched for them."""

import json
import logging
from pathlib import Path

from freezegun.api import FrozenDateTimeFactory
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
import pytest

from custom_components.teslafi.diagnostics import async_get_config_entry_diagnostics
from teslafi_simulators.tesla import TeslaSimulator
from teslafi_simulators.tesla.tokens import Authorization, TokenPair

from .owner import ANNA, ERIK, EVERYTHING, Owner
from .test_watching import pass_time


class Secrets:
    """Every token, code and password that the simulator gives out or takes."""

    def __init__(self, tesla: TeslaSimulator, monkeypatch: pytest.MonkeyPatch) -> None:
        """Watch the simulator's token store."""
        self.found: set[str] = set()
        store = tesla.tokens
        for account in tesla.accounts:
            self.found.add(account.password)
            self.found.update(account.backup_passcodes)
        issue_code, tokens = store.issue_code, store._tokens  # noqa: SLF001 - watches every token

        def watched_code(authorization: Authorization) -> str:
            code = issue_code(authorization)
            self.found.add(code)
            return code

        def watched_tokens(line: object) -> TokenPair:
            pair = tokens(line)  # type: ignore[arg-type] # its own kind
            self.found.update(text for text in (pair.access_token, pair.refresh_token, pair.id_token) if text)
            return pair

        monkeypatch.setattr(store, "issue_code", watched_code)
        monkeypatch.setattr(store, "_tokens", watched_tokens)

    def in_text(self, text: str) -> list[str]:
        """Return what of it stands in a text, in clear or as the signed part of a JWT."""
        return [secret[:12] for secret in self.found if secret in text or secret.rsplit(".", 1)[-1] in text]


@pytest.fixture
def secrets(tesla: TeslaSimulator, monkeypatch: pytest.MonkeyPatch) -> Secrets:
    """Collect this test's secrets."""
    return Secrets(tesla, monkeypatch)


@pytest.fixture(autouse=True)
def _everything_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """Write at DEBUG, all loggers."""
    caplog.set_level(logging.DEBUG)


def search_files(folder: Path, secrets: Secrets) -> list[str]:
    """Return the files under the configuration folder that hold a secret."""
    return [
        path.name
        for path in folder.rglob("*")
        if path.is_file() and secrets.in_text(path.read_bytes().decode(errors="replace"))
    ]


async def search(hass: HomeAssistant, tmp_path: Path, secrets: Secrets, caplog: pytest.LogCaptureFixture) -> None:
    """Fail if any secret is anywhere."""
    assert len(secrets.found) > 8
    await hass.async_block_till_done(wait_background_tasks=True)
    assert search_files(tmp_path, secrets) == []
    assert secrets.in_text(caplog.text) == []
    states = json.dumps([state.as_dict() for state in hass.states.async_all()], default=str)
    assert secrets.in_text(states) == []
    for entry in hass.config_entries.async_entries("teslafi"):
        assert secrets.in_text(repr(entry.as_dict()) + repr(entry.data) + repr(entry.options)) == []
        if hasattr(entry, "runtime_data"):
            diagnostics = await async_get_config_entry_diagnostics(hass, entry)
            assert secrets.in_text(json.dumps(diagnostics, default=str)) == []
            assert (
                secrets.in_text(
                    repr(entry.runtime_data)
                    + repr(vars(entry.runtime_data.account))
                    + repr(vars(entry.runtime_data.account.reader))
                )
                == []
            )
    flows = hass.config_entries.flow.async_progress()
    assert secrets.in_text(repr(flows)) == []


async def test_the_search_finds_what_is_there(
    hass: HomeAssistant, owner: Owner, secrets: Secrets, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A search that cannot fail would prove nothing."""
    await owner.sign_in()
    secret = next(text for text in secrets.found if text.startswith("NA_"))
    (tmp_path / "leak.txt").write_text(f"token={secret}")
    assert search_files(tmp_path, secrets) == ["leak.txt"]
    assert secrets.in_text(f"a line with {secret}")


async def test_signing_in_and_a_day(
    hass: HomeAssistant,
    owner: Owner,
    secrets: Secrets,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    freezer: FrozenDateTimeFactory,
) -> None:
    """Sign-in with two-factor, three renewals, a reload, a key rotation."""
    entry = await owner.sign_in()
    await pass_time(hass, freezer, 86400, step=1800)
    await hass.config_entries.async_reload(entry.entry_id)
    flow = await hass.config_entries.flow.async_init(
        "teslafi", context={"source": "reconfigure", "entry_id": entry.entry_id}
    )
    await owner.answer(await owner.choose(flow, "rotate_key"), {})
    await search(hass, tmp_path, secrets, caplog)


async def test_a_pasted_token(
    hass: HomeAssistant, owner: Owner, secrets: Secrets, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Refused ones as well: what was typed is in no log and in no form."""
    tokens = owner.token()
    flow = await owner.begin("token")
    owner.tesla.control.fault(path="*/api/1/products", kind="status", status=500)
    flow = await owner.answer(flow, {"access_token": tokens["access_token"]})
    assert flow["type"] is FlowResultType.FORM
    assert secrets.in_text(repr(flow)) == []
    flow = await owner.answer(flow, tokens)
    assert flow["type"] is FlowResultType.CREATE_ENTRY
    await search(hass, tmp_path, secrets, caplog)


async def test_a_sign_in_that_fails(
    hass: HomeAssistant, owner: Owner, secrets: Secrets, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Between Tesla's answer and the vault nothing is left behind."""
    flow = await owner.answer(await owner.begin("sign_in"), EVERYTHING)
    owner.tesla.control.fault(path="*/api/1/products", kind="malformed", times=None)
    flow = await owner.at_tesla(flow)
    assert flow["reason"] == "cannot_connect"
    owner.tesla.control.clear_faults()
    await owner.sign_in(ERIK)
    await search(hass, tmp_path, secrets, caplog)


async def test_a_flow_that_waits(
    hass: HomeAssistant, owner: Owner, secrets: Secrets, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A grant that waits for the owner's confirmation is in memory alone."""
    flow = await owner.answer(await owner.begin("sign_in"), EVERYTHING)
    flow = await owner.at_tesla(flow, untick=["vehicle_location"])
    assert flow["type"] is FlowResultType.MENU
    handler = hass.config_entries.flow._progress[flow["flow_id"]]  # noqa: SLF001 - looks into the waiting flow
    assert secrets.in_text(repr(vars(handler))) == []
    await search(hass, tmp_path, secrets, caplog)


async def test_a_password_change(
    hass: HomeAssistant,
    owner: Owner,
    secrets: Secrets,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    freezer: FrozenDateTimeFactory,
) -> None:
    """A dead grant leaves nothing, and neither does the sign-in after it."""
    await owner.sign_in()
    owner.tesla.control.change_password(ANNA, "a-new-password-anna")
    secrets.found.add("a-new-password-anna")
    await pass_time(hass, freezer, 300, step=60)
    (flow,) = hass.config_entries.flow.async_progress_by_handler("teslafi")
    step = await owner.at_tesla(await owner.choose(flow, "sign_in_again"))
    assert step["reason"] == "reauth_successful"
    await search(hass, tmp_path, secrets, caplog)
