"""Digests of definitions: equal for equal definitions, whatever way they took."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ostiary_core import strict_json
from ostiary_core.definitions.definition_digest import definition_digest, digests_of

_TOOL = {"name": "add", "description": "Adds two numbers.", "inputSchema": {"type": "object"}}


def test_the_order_of_members_makes_no_difference() -> None:
    assert definition_digest(_TOOL) == definition_digest(dict(reversed(_TOOL.items())))


@pytest.mark.parametrize(
    "change",
    [
        {"description": "Adds two numbers. "},
        {"description": "Adds two numbers.\u200b"},
        {"annotations": {"readOnlyHint": True}},
        {"_meta": {"ui": "x"}},
        {"inputSchema": {"type": "object", "default": None}},
        {"unknown": 1},
    ],
)
def test_each_change_of_a_member_changes_it(change: dict[str, object]) -> None:
    assert definition_digest(_TOOL | change) != definition_digest(_TOOL)


def test_true_is_not_one() -> None:
    assert definition_digest({"name": "a", "x": True}) != definition_digest({"name": "a", "x": 1})


@pytest.mark.parametrize(
    ("one", "other"), [("1.0", "1"), ("-0.0", "0"), ("1e3", "1000"), ("[1E+2]", "[100]"), ('{"a": 2.50}', '{"a": 2.5}')]
)
def test_a_number_counts_by_its_value_since_an_api_server_writes_it_in_its_own_way(one: str, other: str) -> None:
    assert definition_digest(json.loads(one)) == definition_digest(json.loads(other))


def test_a_text_that_looks_like_a_number_stays_a_text() -> None:
    assert definition_digest({"name": "1.0"}) != definition_digest({"name": "1"})


@pytest.mark.parametrize("hostile", ["\ud800", {"a": "\udfff"}, {"n": 2**70}])
def test_what_has_no_canonical_form_has_no_digest(hostile: object) -> None:
    assert definition_digest(hostile) is None
    assert digests_of([hostile]) == []


def test_deep_nesting_has_no_digest_and_is_no_crash() -> None:
    value: object = 1.0
    for _ in range(5000):
        value = [value]
    assert definition_digest(value) is None


_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=16,
)


@given(_JSON)
def test_what_was_written_and_read_again_has_the_same_digest(value: object) -> None:
    found = definition_digest(value)
    assert found is not None
    assert definition_digest(strict_json.loads(strict_json.dumps(value))) == found
