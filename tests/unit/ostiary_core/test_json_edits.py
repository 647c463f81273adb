"""An edit changes one value of a JSON text, and no other byte."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ostiary_core.errors import StrictJSONError
from ostiary_core.json_edits import REMOVED, Edits, edited

TEXT = b'{ "a" : [ 1.0, {"b": 1e2, "c": "\\u00e9"} , 12345678901234567890123, [] ],\n "d":{"a":"x"} }'


@pytest.mark.parametrize(
    ("edits", "expected"),
    [
        ({"a": {1: {"b": '"new"'}}}, TEXT.replace(b"1e2", b'"new"')),
        ({"d": {"a": "2"}, "a": {0: "{}"}}, TEXT.replace(b"1.0", b"{}").replace(b'"x"', b"2")),
        ({"a": {0: REMOVED}}, TEXT.replace(b"1.0, ", b"")),
        ({"a": {3: REMOVED}}, TEXT.replace(b", []", b"")),
        ({"a": {0: REMOVED, 1: REMOVED, 2: REMOVED, 3: REMOVED}}, b'{ "a" : [  ],\n "d":{"a":"x"} }'),
        ({"missing": "1"}, TEXT),
        ({"\u00e4": "1"}, TEXT),
    ],
)
def test_the_rest_keeps_its_bytes(edits: Edits, expected: bytes) -> None:
    assert edited(TEXT, edits) == expected


@pytest.mark.parametrize(
    ("text", "edits"),
    [
        (b'{"a": 1, "a": 2}', {"a": "3"}),
        (b'{"a": {"b": 1, "b": 2}}', {"a": {"b": "3"}}),
        (b'{"a": 1}', {"a": {"b": "1"}}),
        (b'{"a": {}}', {"a": {0: "1"}}),
        (b'{"a": [1]}', {"a": {1: "1"}}),
        (b"[]", {"a": "1"}),
        (b'{"a": 1} x', {"a": "1"}),
    ],
)
def test_a_place_that_is_ambiguous_or_not_there_is_refused(text: bytes, edits: Edits) -> None:
    with pytest.raises(StrictJSONError):
        edited(text, edits)


@given(st.lists(st.integers() | st.text(max_size=3) | st.lists(st.none(), max_size=2), max_size=7), st.data())
def test_items_are_removed_and_replaced_as_in_a_list(items: list[Any], data: st.DataObject) -> None:
    choices = data.draw(st.lists(st.sampled_from(["keep", "drop", "edit"]), min_size=len(items), max_size=len(items)))
    edits: dict[str | int, Any] = {i: REMOVED if c == "drop" else '"new"' for i, c in enumerate(choices) if c != "keep"}
    text = json.dumps({"list": items, "after": 1}).encode()

    found = json.loads(edited(text, {"list": edits} if edits else {}))

    kept = [("new" if c == "edit" else item) for item, c in zip(items, choices, strict=True) if c != "drop"]
    assert found == {"list": kept, "after": 1}
