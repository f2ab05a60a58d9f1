"""What a thief can do with a copy of the whole configuration folder: open it with our own code, and not command."""

from contextlib import AsyncExitStack
import json
from pathlib import Path
import shutil

import aiohttp
from homeassistant.core import HomeAssistant
import pytest

from custom_components.teslafi.const import CONTROLS, LINK, MONITORING
from custom_components.teslafi.controls.sealed import SealedControls, unseal
from custom_components.teslafi.secret import Secret
from custom_components.teslafi.storage.vault import SealBroken, Vault, async_get_vault

from .keeper import Keeper

pytestmark = pytest.mark.slow


async def stolen(hass: HomeAssistant, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Vault:
    """Copy the configuration folder, and open its vault with this project's own code."""
    await hass.async_block_till_done(wait_background_tasks=True)
    copy = folder.parent / f"{folder.name}-copy"
    await hass.async_add_executor_job(shutil.copytree, folder / ".storage", copy / ".storage")
    monkeypatch.setattr(hass.config, "config_dir", str(copy))
    vault = Vault(hass)
    await vault.load()
    return vault


async def test_a_copy_opens_what_watches_and_not_what_commands(
    hass: HomeAssistant, keeper: Keeper, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stack: AsyncExitStack
) -> None:
    share = keeper.controls.gate.share
    assert share is not None
    sealed = unseal(await async_get_vault(hass), keeper.entry.entry_id, share)
    assert sealed is not None
    await stack.aclose()
    vault = await stolen(hass, tmp_path, monkeypatch)
    entry_id = keeper.entry.entry_id
    monitoring = vault.get(entry_id, MONITORING)
    assert monitoring is not None
    assert not monitoring.can_command, "what a thief can open does not command: Tesla itself would refuse"
    assert vault.get_text(entry_id, LINK) is not None
    for attempt in (None, Secret("A" * 43 + "="), Secret("")):
        with pytest.raises(SealBroken):
            vault.get_text(entry_id, CONTROLS, attempt)
    with pytest.raises(SealBroken):
        unseal(vault, entry_id, Secret("A" * 43 + "="))


async def test_the_copy_holds_neither_grant_nor_key_nor_share_nor_permit_in_clear(
    hass: HomeAssistant, keeper: Keeper, tmp_path: Path
) -> None:
    gate = keeper.controls.gate
    assert gate.share is not None
    sealed = unseal(await async_get_vault(hass), keeper.entry.entry_id, gate.share)
    assert sealed is not None
    assert sealed.grant is not None
    assert sealed.grant.refresh_token is not None
    pem = json.loads(sealed.to_plaintext())["key"]
    secrets = [
        sealed.grant.access_token.reveal(),
        sealed.grant.refresh_token.reveal(),
        gate.share.reveal(),
        *[line for line in pem.splitlines() if "KEY" not in line],
    ]
    await keeper.unlock()
    await hass.async_block_till_done(wait_background_tasks=True)
    folder = tmp_path / ".storage"
    texts = {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}
    assert texts
    for file, content in texts.items():
        for secret in secrets:
            assert secret.encode() not in content, file
    assert gate.share.reveal() not in repr(gate.__dict__)
    assert pem.splitlines()[1] not in repr(sealed)


async def test_a_stolen_access_token_of_the_monitoring_grant_is_refused_by_tesla(
    hass: HomeAssistant, keeper: Keeper
) -> None:
    """Two applications: Tesla itself says no, whatever our code says."""
    monitoring = (await async_get_vault(hass)).get(keeper.entry.entry_id, MONITORING)
    assert monitoring is not None
    url = f"{keeper.tesla.addresses.fleet('na')}/api/1/vehicles/5YJ3E1EA7KF000001/command/door_unlock"
    headers = {"Authorization": f"Bearer {monitoring.access_token.reveal()}"}
    async with aiohttp.ClientSession() as http, http.post(url, headers=headers) as answer:
        assert answer.status == 403
        assert (await answer.json())["error"] == "Unauthorized missing scopes"
    assert keeper.car().executed == []


async def test_what_is_sealed_for_one_entry_opens_for_no_other(hass: HomeAssistant, keeper: Keeper) -> None:
    """Neither in another place, nor with the share under another name."""
    vault = await async_get_vault(hass)
    share = keeper.controls.gate.share
    assert share is not None
    sealed = vault._sealed[keeper.entry.entry_id][CONTROLS]  # noqa: SLF001 - as a thief who edits files
    vault._sealed["another"] = {CONTROLS: sealed, MONITORING: sealed}  # noqa: SLF001
    for name in (CONTROLS, MONITORING):
        with pytest.raises(SealBroken):
            vault.get_text("another", name, share)
    assert SealedControls.from_plaintext(vault.get_text(keeper.entry.entry_id, CONTROLS, share) or "").grant is not None
