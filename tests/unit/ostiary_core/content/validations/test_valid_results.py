"""Results that a mask has changed are valid for their clients, or there are none."""

from typing import Any

import pytest

from ostiary_core.content.validations.valid_results import ChangedPlace, becoming_valid, made_valid
from ostiary_core.json_schema.schema_check import SchemaCheck

MASKED = "[card]"
SAME = "************1111"


def valid(schema: dict[str, Any], value: Any, *paths: tuple[str | int, ...]) -> Any:
    """Return the value as it is made valid; None where that is not possible."""
    places = [ChangedPlace(path, SAME) for path in paths]
    return value if made_valid(value, SchemaCheck(schema), places) else None


def one(schema: Any, **more: Any) -> Any:
    found = valid({"properties": {"a": schema}, **more}, {"a": MASKED}, ("a",))
    return found if found is None else found.get("a", "absent")


def test_a_masked_text_stays_where_it_is_valid() -> None:
    assert one({"type": "string"}) == MASKED
    assert one({}) == MASKED


@pytest.mark.parametrize(
    ("schema", "candidate"),
    [
        ({"type": "string", "minLength": 16}, SAME),
        ({"type": "string", "pattern": "^[0-9*]{16}$"}, SAME),
        ({"type": "integer"}, 0),
        ({"type": "number", "minimum": 0}, 0),
        ({"type": ["integer", "null"]}, None),
        ({"type": "boolean"}, False),
        ({"type": "array", "items": {}}, []),
        ({"type": "string", "maxLength": 3}, ""),
        ({"enum": ["visa", "none"]}, "absent"),
        ({"type": "integer", "minimum": 1}, "absent"),
    ],
)
def test_the_first_candidate_that_is_valid_takes_its_place(schema: Any, candidate: Any) -> None:
    assert one(schema) == candidate


def test_a_required_member_without_a_valid_candidate_leaves_no_result() -> None:
    assert one({"enum": ["visa"]}, required=["a"]) is None


def test_the_root_is_never_replaced() -> None:
    assert valid({"type": "integer"}, MASKED, ()) is None
    assert valid({"type": "string"}, MASKED, ()) == MASKED


def test_each_of_several_places_gets_what_is_valid_there() -> None:
    schema = {
        "properties": {"n": {"type": "integer"}, "e": {"enum": ["x"]}, "t": {"type": "string"}, "m": {"minLength": 10}}
    }
    value = dict.fromkeys("netm", MASKED)

    assert valid(schema, value, ("n",), ("e",), ("t",), ("m",)) == {"n": 0, "t": MASKED, "m": SAME}


def test_a_thousand_items_are_made_valid_together() -> None:
    schema = {"items": {"properties": {"n": {"type": "integer"}}, "required": ["n"]}}
    value = [{"n": MASKED} for _ in range(1000)]

    assert valid(schema, value, *[(number, "n") for number in range(1000)]) == [{"n": 0}] * 1000


def test_places_under_alternatives_are_tried_one_after_the_other() -> None:
    schema = {
        "properties": {
            "a": {"anyOf": [{"type": "integer"}, {"type": "object", "required": ["b"]}]},
            "c": {"type": "string"},
        }
    }

    assert valid(schema, {"a": MASKED, "c": MASKED}, ("a",), ("c",)) == {"a": 0, "c": MASKED}


def test_a_renamed_key_that_the_schema_does_not_take_is_removed() -> None:
    schema = {"properties": {"a": {}}, "additionalProperties": False}

    assert valid(schema, {"a": 1, MASKED: 2}, (MASKED,)) == {"a": 1}


def test_a_fault_that_no_mask_made_leaves_no_result() -> None:
    assert valid({"properties": {"a": {}, "b": {"type": "integer"}}}, {"a": MASKED, "b": "x"}, ("a",)) is None


def test_others_may_run_between_the_verdicts_of_one_result() -> None:
    names = [f"a{number}" for number in range(8)]
    schema = {"properties": {name: {"type": "integer"} for name in names}}
    value: dict[str, Any] = dict.fromkeys(names, MASKED)
    places = [ChangedPlace((name,), SAME) for name in names]
    pauses = len(list(becoming_valid(value, SchemaCheck(schema), places)))
    assert value == dict.fromkeys(names, 0)
    assert pauses >= len(names)
