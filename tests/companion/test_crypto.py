"""A sealed field opens in its place and nowhere else; a key file that others can read is not used."""

import base64
import hmac
import os
from pathlib import Path
import re
import tempfile
from uuid import UUID, uuid4

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given, strategies as st
import pytest

from teslafi_companion.crypto import (
    FieldCipher,
    IndexRoot,
    KeyFault,
    LocalKey,
    Place,
    SealBroken,
    create_key_file,
    decode_key,
    key_number,
    new_token,
    read_key_file,
)

KEYS = {1: os.urandom(32), 2: os.urandom(32)}
CIPHER = FieldCipher(KEYS, 2, [IndexRoot(0, os.urandom(32))])
HERE = Place("totp", "sealed", uuid4(), uuid4())


@given(st.binary(max_size=300))
def test_what_is_sealed_opens_in_its_place(value: bytes) -> None:
    sealed = CIPHER.seal(value, HERE)
    assert CIPHER.open(sealed, HERE) == value
    assert len(sealed) == len(value) + 33
    assert key_number(sealed) == 2
    if len(value) > 3:
        assert value not in sealed


@pytest.mark.parametrize(
    "elsewhere",
    [
        HERE._replace(table="passkey"),
        HERE._replace(column="sealed_email"),
        HERE._replace(row=UUID(int=1)),
        HERE._replace(owner=UUID(int=1)),
    ],
)
def test_a_field_moved_elsewhere_does_not_open(elsewhere: Place) -> None:
    with pytest.raises(SealBroken, match="damaged or moved"):
        CIPHER.open(CIPHER.seal(b"secret", HERE), elsewhere)


@given(st.integers(min_value=0, max_value=8 * (33 + 6) - 1))
def test_no_bit_of_a_field_can_be_changed(bit: int) -> None:
    sealed = bytearray(CIPHER.seal(b"secret", HERE))
    sealed[bit // 8] ^= 1 << bit % 8
    with pytest.raises(SealBroken):
        CIPHER.open(bytes(sealed), HERE)


@given(st.binary(max_size=60))
def test_anything_but_the_sealed_format_is_an_error(value: bytes) -> None:
    with pytest.raises(SealBroken):
        CIPHER.open(value, HERE)


def test_a_number_of_another_key_in_the_ring_is_noticed() -> None:
    sealed = bytearray(CIPHER.seal(b"secret", HERE))
    sealed[4] = 1
    with pytest.raises(SealBroken):
        CIPHER.open(bytes(sealed), HERE)


def test_equal_values_are_sealed_differently_and_indexed_equally() -> None:
    assert CIPHER.seal(b"x", HERE) != CIPHER.seal(b"x", HERE)
    assert CIPHER.mac("email-index", b"a@example.org") == CIPHER.mac("email-index", b"a@example.org")
    assert CIPHER.mac("email-index", b"a") != CIPHER.mac("recovery-code", b"a")


def test_keys_appear_in_no_repr() -> None:
    shown = repr(CIPHER) + repr(LocalKey(KEYS[1]))
    assert "keys=[1, 2]" in shown
    for key in KEYS.values():
        assert repr(key) not in shown
        assert base64.b64encode(key).decode() not in shown


async def test_a_wrapped_key_opens_for_its_context_and_key_alone() -> None:
    kek = LocalKey(os.urandom(32))
    wrapped = await kek.wrap(KEYS[1], "1:field")
    assert await kek.unwrap(wrapped, "1:field") == KEYS[1]
    with pytest.raises(KeyFault):
        await kek.unwrap(wrapped, "0:root")
    with pytest.raises(KeyFault):
        await LocalKey(os.urandom(32)).unwrap(wrapped, "1:field")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("correct horse battery staple", "not base64"),
        (base64.b64encode(b"short").decode(), "has 5 bytes instead of 32"),
        (base64.b64encode(b"a" * 32).decode(), "not random"),
        (base64.b64encode(bytes(range(64))).decode(), "has 64 bytes"),
    ],
)
def test_a_typed_phrase_is_no_key(text: str, sentence: str) -> None:
    with pytest.raises(KeyFault, match=sentence) as caught:
        decode_key(text, "the test")
    assert text not in str(caught.value)


def test_what_is_too_short_to_be_sealed_has_no_key() -> None:
    sealed = CIPHER.seal(b"", HERE)
    assert key_number(sealed) == 2
    for length in range(len(sealed)):
        with pytest.raises(SealBroken):
            key_number(sealed[:length])


def test_a_key_file_that_holds_none_is_named(tmp_path: Path) -> None:
    path = tmp_path / "companion.key"
    path.touch(mode=0o600)
    path.write_text("no key", encoding="ascii")
    with pytest.raises(KeyFault, match=re.escape(str(path))):
        read_key_file(path)


def test_a_key_file_is_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "deeper" / "keys" / "companion.key"
    with pytest.raises(KeyFault, match="is missing"):
        read_key_file(path)
    create_key_file(path)
    assert path.stat().st_mode & 0o777 == 0o600
    first = read_key_file(path).secret
    with pytest.raises(FileExistsError):
        create_key_file(path)
    assert read_key_file(path).secret == first
    path.chmod(0o640)
    with pytest.raises(KeyFault, match="chmod 600"):
        read_key_file(path)


def test_a_key_file_and_its_folder_are_made_by_their_owner_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the umask; and nowhere else, not even for a moment."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    before = os.umask(0)
    try:
        create_key_file(tmp_path / "keys" / "companion.key")
    finally:
        os.umask(before)
    assert (tmp_path / "keys").stat().st_mode & 0o777 == 0o700
    assert [path.name for path in (tmp_path / "keys").iterdir()] == ["companion.key"]


@pytest.mark.parametrize("content", ["\xe4" * 44, "A" * 10 + "!" + "B" * 33 + "=", "A!" * 22, ""])
def test_a_key_file_of_anything_else_is_refused_with_a_sentence(tmp_path: Path, content: str) -> None:
    path = tmp_path / "companion.key"
    path.write_bytes(content.encode("latin-1"))
    path.chmod(0o600)
    with pytest.raises(KeyFault):
        read_key_file(path)


def test_what_is_between_the_signs_of_a_key_is_not_ignored() -> None:
    """A key that somebody mangled is not another key that works."""
    right = base64.b64encode(bytes(range(32))).decode()
    assert decode_key(f" {right}\n", "the test") == bytes(range(32))
    with pytest.raises(KeyFault, match="not base64"):
        decode_key(f"{right[:7]}!{right[7:]}", "the test")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
@pytest.mark.parametrize("owner", [1, 1000])
def test_a_key_file_of_another_user_is_refused(tmp_path: Path, owner: int) -> None:
    path = tmp_path / "companion.key"
    create_key_file(path)
    os.chown(path, owner, -1)
    with pytest.raises(KeyFault, match="another user"):
        read_key_file(path)


def test_tokens_have_256_bits() -> None:
    tokens = {new_token() for _ in range(100)}
    assert len(tokens) == 100
    assert {len(base64.urlsafe_b64decode(token + "=")) for token in tokens} == {32}


def test_formats_stay_what_they_are() -> None:
    """Restated from their description: what an earlier version sealed, indexed and signed has to be found."""
    key, root = bytes(range(32)), bytes(range(1, 33))
    cipher = FieldCipher({7: key}, 7, [IndexRoot(0, root)])
    place = Place("totp", "sealed", UUID(int=1), UUID(int=2))
    bound_to = b"\x01\0\0\0\x07companion\0totp\0sealed\0" + f"{UUID(int=1)}\0{UUID(int=2)}".encode()
    sealed = b"\x01\0\0\0\x07" + bytes(12) + AESGCM(key).encrypt(bytes(12), b"secret", bound_to)
    assert cipher.open(sealed, place) == b"secret"
    derived = hmac.digest(root, b"companion:email-index:v1\x01", "sha256")
    assert cipher.mac("email-index", b"x") == hmac.digest(derived, b"x", "sha256")
    assert cipher.signing_key("refresh-token") == hmac.digest(root, b"companion:refresh-token:v1\x01", "sha256")
