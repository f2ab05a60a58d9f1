"""JSON from strangers: read whole, or refused by one fault, whatever it holds."""

from contextlib import suppress
import json

from hypothesis import given, settings, strategies as st
import pytest

from teslafi_companion.text import json_bytes, parse_json


@pytest.mark.parametrize(
    "text",
    [
        *("NaN", "Infinity", "-Infinity", "1e999", "-1e999", '[1, {"a": 1e400}]', "9" * 5000, "-" + "9" * 5000),
        *('"\\ud800"', '{"\\udfff": 1}', '"\\u0000"', "[" * 100_000, '{"a":' * 100_000, "[" * 51 + "]" * 51),
        *("", "{", "[1,]", "{1: 2}", "'a'", "\ufeff[]", "true false", "\x00", "01", "+1", "²"),
    ],
    ids=lambda text: ascii(text[:20]),
)
def test_what_is_no_json_of_ours_is_one_fault(text: str) -> None:
    for said in (text, text.encode("utf-8", "surrogatepass")):
        with pytest.raises(ValueError):  # noqa: PT011 - its text is the caller's
            parse_json(said)


@pytest.mark.parametrize("raw", [b"\xff", b"\xed\xa0\x80", b'"\xc3"', "[]".encode("utf-16"), b"\x80[]"])
def test_what_is_no_utf_8_is_one_fault(raw: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the same
        parse_json(raw)


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
)


@given(ANYTHING)
@settings(max_examples=200)
def test_what_is_read_can_be_written_and_read_again(value: object) -> None:
    with suppress(ValueError):
        read = parse_json(json.dumps(value))
        written = json_bytes(read)
        assert parse_json(written) == read
        json.loads(written, parse_constant=pytest.fail)
