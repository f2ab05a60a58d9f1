"""Grants at rest."""

from base64 import b64decode, b64encode
from collections.abc import Callable
import json
from pathlib import Path
import stat

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from homeassistant.core import HomeAssistant
from hypothesis import given, strategies as st
import pytest

from custom_components.teslafi.secret import Secret
from custom_components.teslafi.storage import file
from custom_components.teslafi.storage.vault import (
    KeyRing,
    SealBroken,
    ShareNeeded,
    Vault,
    VaultKeeper,
    key_number,
    needs_share,
)
from custom_components.teslafi.tesla.grant import Grant, Kind

PLACE = ("entry-1", "monitoring")


def grant(access: str = "ACCESS-MARKER", refresh: str | None = "REFRESH-MARKER") -> Grant:
    """Return a grant with these tokens."""
    return Grant(
        kind=Kind.FLEET,
        client_id="client",
        account="account-1",
        region="eu",
        scopes=frozenset({"vehicle_device_data", "offline_access"}),
        access_token=Secret(access),
        refresh_token=Secret(refresh) if refresh else None,
        expires_at=1_800_000_000.0,
        issued_at=1_790_000_000.0,
    )


@given(text=st.text(), entry=st.text(), name=st.text())
def test_what_is_sealed_opens_in_its_place(text: str, entry: str, name: str) -> None:
    """Any text comes back from its own place, and the sealed form does not contain it."""
    ring = KeyRing.new()
    sealed = ring.seal(text, (entry, name))
    assert ring.open(sealed, (entry, name)) == text
    if len(text) > 3:
        assert text not in sealed


@given(where=st.integers(0, 10_000), bit=st.integers(0, 7))
def test_one_changed_bit_breaks_the_seal(where: int, bit: int) -> None:
    """Version, key number, nonce, ciphertext, tag: all of it is authenticated."""
    ring = KeyRing.new()
    raw = bytearray(b64decode(ring.seal("a text of some length", PLACE)))
    raw[where % len(raw)] ^= 1 << bit
    with pytest.raises(SealBroken):
        ring.open(b64encode(raw).decode(), PLACE)


@pytest.mark.parametrize("place", [("entry-2", "monitoring"), ("entry-1", "controls"), ("entry-1monitoring", "")])
def test_a_sealed_text_does_not_open_elsewhere(place: tuple[str, str]) -> None:
    """A grant that is moved to another entry or name stays shut."""
    ring = KeyRing.new()
    with pytest.raises(SealBroken):
        ring.open(ring.seal("text", PLACE), place)


@given(junk=st.text())
def test_junk_is_refused(junk: str) -> None:
    """Whatever stands in the file, opening it fails in one way only."""
    with pytest.raises(SealBroken):
        KeyRing.new().open(junk, PLACE)


def test_the_same_text_is_sealed_differently_each_time() -> None:
    """Nonces are random."""
    ring = KeyRing.new()
    assert len({ring.seal("text", PLACE) for _ in range(100)}) == 100


def test_keys_are_not_in_the_repr() -> None:
    """A ring in a log shows nothing."""
    ring = KeyRing.new()
    assert "keys" not in repr(ring)
    assert str(ring.keys[1]) not in repr(ring)


@pytest.mark.parametrize(
    "data",
    [
        None,
        {},
        [],
        {"keys": 1},
        {"1": "not base64!"},
        {"1": b64encode(b"short").decode()},
        {"x": "AAAA"},
        {"0": "AA=="},
    ],
)
def test_a_damaged_key_file_is_no_key(data: object) -> None:
    """A ring is made of whole keys or not at all."""
    with pytest.raises(ValueError, match=r".*"):
        KeyRing.from_json(data)


async def loaded(hass: HomeAssistant) -> Vault:
    """Return a vault that has read its files."""
    vault = Vault(hass)
    await vault.load()
    return vault


def files(hass: HomeAssistant) -> list[Path]:
    """Return the vault's files."""
    return [Path(hass.config.path(".storage", name)) for name in ("teslafi.vault", "teslafi.vault_key")]


async def test_a_grant_survives_a_restart(hass: HomeAssistant) -> None:
    """What was put is on disk when put returns: sealed, private, and open to the next run."""
    await (await loaded(hass)).put(*PLACE, grant())
    for path in files(hass):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert "MARKER" not in path.read_text()
    assert (await loaded(hass)).get(*PLACE) == grant()


async def test_a_lost_key_means_no_grant(hass: HomeAssistant, storage: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Without its key a grant cannot be opened; the owner signs in again, and that is sealed with a new key."""
    await (await loaded(hass)).put(*PLACE, grant())
    (storage / "teslafi.vault_key").unlink()
    vault = await loaded(hass)
    with pytest.raises(SealBroken):
        vault.get(*PLACE)
    assert await VaultKeeper(vault, *PLACE).load() is None
    assert "sign in" in caplog.text
    await vault.put(*PLACE, grant("second"))
    assert (await loaded(hass)).get(*PLACE) == grant("second")


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"version": 1, "minor_version": 1, "key": "x", "data": {"keys": 7}}']
)
async def test_a_damaged_key_file_does_not_crash(hass: HomeAssistant, storage: Path, content: str) -> None:
    """Any content of the key file ends in a working vault."""
    await (await loaded(hass)).put(*PLACE, grant())
    (storage / "teslafi.vault_key").write_text(content)
    assert (await loaded(hass)).get_or_none(*PLACE) is None


async def test_another_homes_key_does_not_open(hass: HomeAssistant, storage: Path) -> None:
    """A wrong key is as good as none."""
    await (await loaded(hass)).put(*PLACE, grant())
    key_file = storage / "teslafi.vault_key"
    stored = json.loads(key_file.read_text())
    stored["data"]["keys"] = KeyRing.new().to_json()
    key_file.write_text(json.dumps(stored))
    assert (await loaded(hass)).get_or_none(*PLACE) is None


async def test_the_key_is_rotated(hass: HomeAssistant) -> None:
    """After a rotation the grants open, the sealed text and the key are others, and the old key is gone."""
    vault = await loaded(hass)
    await vault.put(*PLACE, grant())
    await vault.put("entry-2", "monitoring", grant("other"))
    before = [path.read_text() for path in files(hass)]
    await vault.rotate_key()
    after = [path.read_text() for path in files(hass)]
    assert all(old != new for old, new in zip(before, after, strict=True))
    old_key = next(iter(json.loads(before[1])["data"]["keys"].values()))
    assert old_key not in after[1]
    again = await loaded(hass)
    assert again.get(*PLACE) == grant()
    assert again.get("entry-2", "monitoring") == grant("other")


async def test_a_rotation_may_be_cut_off_anywhere(hass: HomeAssistant, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between any two writes of a rotation, what is on disk opens."""
    vault = await loaded(hass)
    await vault.put(*PLACE, grant())
    states: list[list[str]] = []

    def watched(path: Path, text: str) -> None:
        write(path, text)
        states.append([path.read_text() for path in files(hass)])

    write = file._write  # noqa: SLF001 - watches the order of writes
    monkeypatch.setattr(file, "_write", watched)
    await vault.rotate_key()
    monkeypatch.undo()
    assert len(states) == 3
    for contents in states:
        for path, content in zip(files(hass), contents, strict=True):
            path.write_text(content)
        assert (await loaded(hass)).get(*PLACE) == grant()


async def test_wiping_leaves_the_others(hass: HomeAssistant) -> None:
    """A dead grant goes, the other grants of the entry and other entries stay."""
    vault = await loaded(hass)
    await vault.put(*PLACE, grant())
    await vault.put("entry-1", "controls", grant("controls"))
    await vault.put("entry-2", "monitoring", grant("other"))
    await vault.wipe(*PLACE)
    again = await loaded(hass)
    assert again.get(*PLACE) is None
    assert again.get("entry-1", "controls") == grant("controls")
    await again.wipe("entry-1")
    last = await loaded(hass)
    assert last.get("entry-1", "controls") is None
    assert last.get("entry-2", "monitoring") == grant("other")


async def test_a_parked_grant_is_adopted_once(hass: HomeAssistant, storage: Path) -> None:
    """The grant of a new account waits in memory, on no disk, until its entry takes it."""
    vault = await loaded(hass)
    vault.park("account-1", grant())
    assert not (storage / "teslafi.vault").exists()
    await vault.adopt("entry-1", "monitoring", "account-1")
    assert vault.get(*PLACE) == grant()
    await vault.wipe(*PLACE)
    await vault.adopt("entry-1", "monitoring", "account-1")
    assert vault.get(*PLACE) is None


async def test_a_grant_of_another_version_counts_as_none(hass: HomeAssistant) -> None:
    """A sealed text that opens but is no grant leads to a new sign-in."""
    vault = await loaded(hass)
    vault._sealed = {"entry-1": {"monitoring": vault._ring.seal('{"kind": "?"}', PLACE)}}  # noqa: SLF001
    assert vault.get_or_none(*PLACE) is None


SHARE = Secret(b64encode(b"s" * 32).decode())
OTHER_SHARE = Secret(b64encode(b"o" * 32).decode())
SHARED = ("entry-1", "controls")


@pytest.mark.parametrize("number", [1, 2, 255, 256, 70_000, (1 << 32) - 1])
@pytest.mark.parametrize("share", [None, SHARE], ids=["alone", "shared"])
def test_the_form_on_disk_is_the_one_that_is_documented(number: int, share: Secret | None) -> None:
    """Worked out anew from the module's own words: what an older version sealed opens in a newer one."""
    key = bytes(range(32))
    ring = KeyRing({number: key})
    raw = b64decode(ring.seal("text", SHARED, share))
    version, numbered, nonce, sealed = raw[:1], raw[1:5], raw[5:17], raw[17:]
    assert (version, numbered) == (b"\x02" if share else b"\x01", number.to_bytes(4))
    if share:
        info = b"teslafi\x00shared\x00entry-1\x00controls"
        key = HKDF(SHA256(), 32, salt=None, info=info).derive(key + b"s" * 32)
    associated = version + numbered + b"\x00teslafi\x00entry-1\x00controls"
    assert AESGCM(key).decrypt(nonce, sealed, associated) == b"text"
    assert ring.open(ring.seal("text", SHARED, share), SHARED, share) == "text"
    assert key_number(ring.seal("text", SHARED, share)) == number
    assert needs_share(ring.seal("text", SHARED, share)) is (share is not None)


def test_what_is_sealed_with_a_share_opens_with_that_alone() -> None:
    ring = KeyRing.new()
    sealed = ring.seal("text", SHARED, SHARE)
    for place, share in ((SHARED, None), (SHARED, OTHER_SHARE), (PLACE, SHARE)):
        with pytest.raises(SealBroken):
            ring.open(sealed, place, share)
    with pytest.raises(SealBroken):
        ring.open(ring.seal("text", SHARED), SHARED, SHARE)


@pytest.mark.parametrize("spoiled", ["!", " ", "\n", "=", "é"])
def test_base64_with_anything_in_it_is_refused(spoiled: str) -> None:
    ring = KeyRing.new()
    with pytest.raises(SealBroken):
        ring.open(spoiled + ring.seal("text", PLACE), PLACE)
    with pytest.raises(ValueError, match=r".*"):
        KeyRing.from_json({"1": spoiled + b64encode(b"k" * 32).decode()})


@pytest.mark.parametrize(
    ("number", "fits"), [("0", False), ("1", True), (str((1 << 32) - 1), True), (str(1 << 32), False)]
)
def test_numbers_of_keys_fit_their_place(number: str, *, fits: bool) -> None:
    data = {number: b64encode(b"k" * 32).decode()}
    if fits:
        assert KeyRing.from_json(data).to_json() == data
    else:
        with pytest.raises(ValueError, match=r".*"):
            KeyRing.from_json(data)


def test_a_new_key_has_the_next_number() -> None:
    ring = KeyRing.new().with_new_key()
    assert sorted(ring.keys) == [1, 2]
    assert {len(key) for key in ring.keys.values()} == {32}
    assert list(ring.with_active_key_only().keys) == [2]


async def test_a_rotation_needs_every_share_and_keeps_what_it_seals(hass: HomeAssistant) -> None:
    vault = await loaded(hass)
    await vault.put(*PLACE, grant())
    await vault.put_text(*SHARED, "armed", SHARE)
    before = [path.read_text() for path in files(hass)]
    with pytest.raises(ShareNeeded):
        await vault.rotate_key()
    assert [path.read_text() for path in files(hass)] == before
    await vault.rotate_key({SHARED: SHARE, PLACE: OTHER_SHARE})
    again = await loaded(hass)
    assert again.get(*PLACE) == grant()
    assert again.get_text(*SHARED, SHARE) == "armed"
    with pytest.raises(SealBroken):
        again.get_text(*SHARED)


async def test_a_change_sees_what_is_there_and_nothing_else(hass: HomeAssistant) -> None:
    """With its share, without it, and for a text that is not there; the entry's other texts stay."""
    vault = await loaded(hass)
    await vault.put_text(*SHARED, "first", SHARE)
    await vault.put_text("entry-1", "link", "linked")
    seen: list[str | None] = []

    def becomes(text: str | None) -> Callable[[str | None], str | None]:
        def change(before: str | None) -> str | None:
            seen.append(before)
            return text

        return change

    assert await vault.change_text(*SHARED, becomes("second"), SHARE) == "second"
    assert await vault.change_text(*SHARED, becomes(None), OTHER_SHARE) is None
    assert vault.holds(*SHARED)
    assert await vault.change_text("entry-1", "nothing", becomes(None)) is None
    assert await vault.change_text(*SHARED, becomes(None), SHARE) is None
    assert seen == ["first", None, None, "second"]
    assert not vault.holds(*SHARED)
    assert (await loaded(hass)).get_text("entry-1", "link") == "linked"
    await vault.wipe("entry-1")
    assert await vault.change_text(*SHARED, becomes("late"), SHARE) is None
    assert not vault.holds(*SHARED)


async def test_an_unchanged_text_is_not_written_and_a_changed_one_once(
    hass: HomeAssistant, monkeypatch: pytest.MonkeyPatch
) -> None:
    vault = await loaded(hass)
    await vault.put_text(*PLACE, "first")
    written: list[str] = []
    write = file._write  # noqa: SLF001 - counts writes

    def watched(path: Path, text: str) -> None:
        written.append(path.name)
        write(path, text)

    monkeypatch.setattr(file, "_write", watched)
    await vault.change_text(*PLACE, lambda text: text)
    assert written == []
    await vault.change_text(*PLACE, lambda _: "second")
    await vault.put_text(*PLACE, "third")
    assert written == ["teslafi.vault", "teslafi.vault"]


async def test_a_first_start_tells_of_no_lost_key(
    hass: HomeAssistant, storage: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A key that is gone is told once, when something was sealed with it or its file is there and damaged."""
    vault = await loaded(hass)
    assert "key is lost" not in caplog.text
    await vault.put(*PLACE, grant())
    (storage / "teslafi.vault_key").unlink()
    await loaded(hass)
    assert caplog.text.count("key is lost") == 1
    caplog.clear()
    (storage / "teslafi.vault").unlink()
    (storage / "teslafi.vault_key").write_text('{"version": 1, "minor_version": 1, "key": "x", "data": {"keys": 7}}')
    await loaded(hass)
    assert caplog.text.count("key is lost") == 1
