"""The weight of a JSON text, estimated from its bytes, is that of its parsed tree."""

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ostiary_core import json_weight, strict_json
from ostiary_core.json_weight import UNIT

values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(alphabet=st.sampled_from('a\\",:[{}]é\n')),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(alphabet=st.sampled_from('k\\",:[{')), inner),
)


def weight_of(value: Any) -> int:
    """The weight of a tree: one for each object, array and member, a quarter for each further element."""
    if isinstance(value, dict):
        return UNIT + sum(UNIT + weight_of(each) for each in value.values()) + max(0, len(value) - 1)
    if isinstance(value, list):
        return UNIT + sum(map(weight_of, value)) + max(0, len(value) - 1)
    return 0


def weight(text: bytes) -> int:
    return max(json_weight.weigh(text), default=0)


@given(values, st.booleans())
@example({'\\"': ["\\\\", '"', "[[{"]}, False)
def test_a_text_weighs_what_its_tree_holds_and_the_cheap_bound_is_never_less(value: Any, ascii_only: bool) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only).encode()
    assert weight(text) == weight_of(value)
    assert json_weight.at_most(text) >= weight_of(value)


@pytest.mark.parametrize("inside", ["\\", '"', '\\"', "[{:,", 'x\\"]', "é"])
@pytest.mark.parametrize("shift", [0, 1, 2])
def test_a_slice_never_ends_between_a_backslash_and_what_it_escapes(inside: str, shift: int) -> None:
    value = {"pad": "p" * shift, "text": inside * 200_000, "after": [1, 2]}
    assert weight(json.dumps(value, ensure_ascii=False).encode()) == weight_of(value)


def test_a_large_text_full_of_punctuation_weighs_next_to_nothing() -> None:
    text = strict_json.dumps({"code": 'if (x[1]) { return {"a": b, "c": d}; }\n' * 50_000})
    assert weight(text) == 2 * UNIT
    assert json_weight.at_most(text) > 200_000 * UNIT


def test_a_string_that_does_not_end_weighs_nothing_and_ends_all_the_same() -> None:
    assert weight(b'["' + b"[" * 200_000) == UNIT
    assert weight(b"\\" * 200_001) == 0
