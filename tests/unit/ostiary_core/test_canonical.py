import hashlib
import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ostiary_core.canonical import canonical, digest

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


def reversed_keys(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: reversed_keys(value[key]) for key in reversed(list(value))}
    return [reversed_keys(item) for item in value] if isinstance(value, list) else value


@given(VALUES)
def test_the_order_of_keys_never_changes_a_byte(value: Any) -> None:
    assert canonical(reversed_keys(value)) == canonical(value)


@given(VALUES)
def test_it_is_what_the_standard_library_writes_sorted_and_tight(value: Any) -> None:
    expected = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)

    assert json.loads(canonical(value)) == value
    if "\x7f" not in expected and "\\" not in expected:  # the two spell control characters differently
        assert canonical(value) == expected.encode()


def test_keys_sort_by_code_point_beyond_the_basic_plane_too() -> None:
    assert canonical({"\U0001f600": 1, "\uffee": 2, "a": 3}) == '{"a":3,"\uffee":2,"\U0001f600":1}'.encode()


def test_a_digest_is_sha_256_in_lower_case_hexadecimal() -> None:
    assert digest(b"x") == hashlib.sha256(b"x").hexdigest()
    assert len(digest(b"")) == 64
