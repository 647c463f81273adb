import json
import math
from contextlib import suppress
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ostiary_core import strict_json
from ostiary_core.errors import StrictJSONError
from ostiary_core.steps import run_steps
from ostiary_core.strict_json import dumps, loads

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
)
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20)


@given(VALUES)
def test_what_it_wrote_it_reads_back(value: Any) -> None:
    assert loads(dumps(value)) == value


@given(VALUES)
def test_what_it_wrote_the_standard_library_reads_alike(value: Any) -> None:
    assert json.loads(dumps(value)) == value


@given(VALUES, st.sampled_from([None, 2]), st.booleans())
def test_escapes_and_white_space_of_others_do_not_matter(value: Any, indent: int | None, ascii_only: bool) -> None:
    text = json.dumps(value, indent=indent, ensure_ascii=ascii_only).encode()

    assert loads(text) == value


@given(st.dictionaries(st.text(), st.integers(0, 9), min_size=1))
def test_the_order_of_keys_is_kept(value: dict[str, int]) -> None:
    assert list(loads(dumps(value))) == list(value)


@given(st.binary())
def test_any_bytes_give_a_value_or_the_one_error(text: bytes) -> None:
    try:
        value = loads(text)
    except StrictJSONError:
        return
    assert value == json.loads(text)


@pytest.mark.parametrize(
    "text",
    [
        b'{"a": 1, "a": 1}',
        b'{"a": 1, "\\u0061": 2}',
        b'{"params": {"name": "read", "n\\u0061me": "delete"}}',
        b'[{"b": {"c": 1, "c": 2}}]',
    ],
)
def test_a_duplicate_key_is_refused_however_it_is_spelt(text: bytes) -> None:
    with pytest.raises(StrictJSONError, match="uplicate key"):
        loads(text)


@pytest.mark.parametrize("text", [b'"\xff"', b'"\xc0\x80"', b'"\xed\xa0\x80"', b'"\xf5\x80\x80\x80"', b'{"\xff": 1}'])
def test_bad_utf_8_is_refused(text: bytes) -> None:
    with pytest.raises(StrictJSONError):
        loads(text)


@pytest.mark.parametrize("text", [rb'"\ud800"', rb'"\ude00"', rb'"\ud800x"', rb'"\ud800A"', rb'{"\udfff": 1}'])
def test_a_lone_surrogate_is_refused(text: bytes) -> None:
    with pytest.raises(StrictJSONError):
        loads(text)


def test_a_pair_of_surrogates_is_one_character() -> None:
    assert loads(rb'"\ud83d\ude00"') == "\N{GRINNING FACE}"


@pytest.mark.parametrize(
    "text", [b"NaN", b"Infinity", b"-Infinity", b"1e400", b"-1E400", b"[1.0e+400]", b"9" * 400 + b".0"]
)
def test_a_number_that_is_not_finite_is_refused(text: bytes) -> None:
    with pytest.raises(StrictJSONError):
        loads(text)


@pytest.mark.parametrize("number", [2**64, -(2**63) - 1, 10**400, -(10**30)])
def test_an_integer_beyond_64_bits_is_refused_at_every_depth(number: int) -> None:
    for shape in ("%d", "[%d]", '{"a": {"b": [1, %d]}}'):
        with pytest.raises(StrictJSONError):
            loads((shape % number).encode())


@pytest.mark.parametrize("number", [2**64 - 1, -(2**63), 2**53 + 1, 10**18])
def test_an_integer_within_64_bits_keeps_its_value(number: int) -> None:
    assert loads(str(number).encode()) == number


NUMBER = st.from_regex(r"-?(0|[1-9][0-9]{0,25})(\.[0-9]{1,25})?([eE][+-]?[0-9]{1,5})?", fullmatch=True)


@given(NUMBER, st.sampled_from(["%s", "[%s]", '{"a":%s}', '{"a": [1,%s ,2]}']))
def test_a_number_that_passes_is_in_range_however_it_is_written(number: str, shape: str) -> None:
    exact = Decimal(number)
    whole = not set(number) & set(".eE")
    fits = -(2**63) <= exact <= 2**64 - 1 if whole else math.isfinite(float(exact))

    try:
        loads((shape % number).encode())
    except StrictJSONError:
        assert not fits
    else:
        assert fits


@pytest.mark.parametrize("number", ["1" * 17 + "e99", "9" * 17 + ".9E+99", "1e+0000400", "1E400", "0.1e309", "1e0308"])
def test_the_quick_search_for_unsafe_numbers_agrees_with_the_full_check(number: str) -> None:
    with suppress(StrictJSONError):
        assert math.isfinite(loads(number.encode()))


def test_many_digits_within_a_string_are_just_text() -> None:
    text = "1e999 " + "9" * 400

    assert loads(dumps({"a": text})) == {"a": text}


def test_200_levels_pass_and_more_are_refused() -> None:
    assert loads(b"[" * 200 + b"]" * 200)
    for depth in (202, 100_000):
        with pytest.raises(StrictJSONError):
            loads(b"[" * depth + b"]" * depth)


ALMOST = b"""1 2|{} x|[1,]|{"a":1,}|'a'|01|1.|.5|+1|nul|\xef\xbb\xbf1|"\t"|/**/1|1\x00|| """.split(b"|")


@pytest.mark.parametrize("text", ALMOST)
def test_what_is_almost_json_is_refused(text: bytes) -> None:
    with pytest.raises(StrictJSONError):
        loads(text)


@pytest.mark.parametrize("value", [2**64, "\ud800", {1: 2}, object(), {"a": {1, 2}}])
def test_values_that_json_cannot_express_are_not_written(value: Any) -> None:
    with pytest.raises(StrictJSONError):
        dumps(value)


def test_a_small_number_may_round_to_zero() -> None:
    assert math.copysign(1, loads(b"-1e-400")) == -1


@given(VALUES)
def test_a_text_as_we_write_it_is_read_as_the_strict_parser_reads_it(value: Any) -> None:
    text = dumps(value)

    assert strict_json._as_we_write(text) in (strict_json._parsed(text), strict_json._DIFFERENT)
    assert loads(text) == strict_json._parsed(text)


@pytest.mark.parametrize(
    "text",
    [
        b'{"a":1,"a":1}',
        b'{"a":1,"\\u0061":1}',
        b"[NaN]",
        b"[Infinity]",
        b"[1e999]",
        b"[-1e999]",
        b"[18446744073709551616]",
        b"[-9223372036854775809]",
        b'["\\ud800"]',
        b'["\xff"]',
        b"[1,]",
        b"[1]]",
        b"\xef\xbb\xbf[1]",
    ],
)
def test_what_only_looks_as_if_we_had_written_it_is_refused(text: bytes) -> None:
    assert strict_json._as_we_write(text) is strict_json._DIFFERENT
    for read in (loads, lambda found: run_steps(strict_json.loading(found))):
        with pytest.raises(StrictJSONError):
            read(text)


@pytest.mark.parametrize("text", [b"[1.10]", b'{"a": 1}', b'["\\u0041"]', b"[-0]", b"[1E5]", b' {"a":1}', b'["\\/"]'])
def test_what_we_would_write_otherwise_is_read_by_the_strict_parser(text: bytes) -> None:
    assert strict_json._as_we_write(text) is strict_json._DIFFERENT
    assert loads(text) == strict_json._parsed(text)
