"""Texts that are integers, where a schema takes integers and no text."""

from typing import Any

import pytest

from ostiary_core.json_schema.coercion import coerced

INTEGER = {"type": "integer"}


def one(schema: Any, text: str = "5") -> Any:
    return coerced({"a": text}, {"properties": {"a": schema}})["a"]


@pytest.mark.parametrize(
    "schema",
    [
        INTEGER,
        {"type": "number"},
        {"type": ["integer", "null"]},
        {"anyOf": [INTEGER, {"type": "null"}]},
        {"oneOf": [INTEGER, {"type": "boolean"}]},
        {"allOf": [INTEGER, {"minimum": 1}]},
        {"enum": [1, 5]},
        {"$ref": "#/properties/b"},
    ],
)
def test_a_text_becomes_an_integer_where_only_that_is_taken(schema: Any) -> None:
    assert coerced({"a": "5"}, {"properties": {"a": schema, "b": INTEGER}}) == {"a": 5}


@pytest.mark.parametrize(
    "schema",
    [
        {},
        True,
        False,
        {"type": "string"},
        {"type": ["integer", "string"]},
        {"anyOf": [INTEGER, {"type": "string"}]},
        {"anyOf": [INTEGER, {"minLength": 1}]},
        {"type": "boolean"},
        {"enum": [5, "5"]},
        {"not": {"type": "string"}},
    ],
)
def test_a_text_stays_where_text_is_taken_or_no_integer_is(schema: Any) -> None:
    assert one(schema) == "5"


@pytest.mark.parametrize("text", ["05", "+5", "5.0", "5e1", " 5", "5 ", "-0", "", "\u0665", "1" * 19, "0x5", "1_000"])
def test_only_the_one_way_to_write_an_integer_of_64_bits_is_one(text: str) -> None:
    assert one(INTEGER, text) == text


@pytest.mark.parametrize(("text", "number"), [("0", 0), ("-5", -5), ("9" * 18, 10**18 - 1)])
def test_the_integer_is_the_one_that_was_written(text: str, number: int) -> None:
    assert one(INTEGER, text) == number


def test_integers_are_found_in_items_and_members() -> None:
    schema = {
        "properties": {
            "list": {"items": INTEGER},
            "pair": {"prefixItems": [INTEGER, {"type": "string"}]},
            "map": {"additionalProperties": INTEGER},
            "old": {"items": [INTEGER], "additionalItems": {"type": "string"}},
        }
    }
    value = {"list": ["1", "x"], "pair": ["1", "2"], "map": {"k": "3"}, "old": ["4", "5"], "other": "6"}

    assert coerced(value, schema) == {
        "list": [1, "x"],
        "pair": [1, "2"],
        "map": {"k": 3},
        "old": [4, "5"],
        "other": "6",
    }


def test_the_value_itself_is_never_changed() -> None:
    value = {"a": ["5"], "b": {"c": 1}}
    found = coerced(value, {"properties": {"a": {"items": INTEGER}}})

    assert (value["a"], found["a"], found["b"] is value["b"]) == (["5"], [5], True)
    assert coerced(value, {}) is value


def test_schemas_that_lead_in_circles_change_nothing() -> None:
    schema = {"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"anyOf": [{"$ref": "#/$defs/a"}] * 2}}}

    assert coerced({"a": "5"}, {**schema, "properties": {"a": {"$ref": "#/$defs/a"}}}) == {"a": "5"}


def test_what_is_too_large_to_be_searched_in_the_loop_stays_as_it_is() -> None:
    schema = {"properties": {"a": INTEGER, "b": {"type": "array"}}}
    large = {"a": "5", "b": [0] * 100_000}
    assert coerced(large, schema) is large
    assert coerced({"a": "5", "b": [0] * 1_000}, schema)["a"] == 5
