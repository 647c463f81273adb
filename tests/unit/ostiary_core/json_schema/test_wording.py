"""What is wrong with a value, in words for a model."""

from typing import Any

import pytest

from ostiary_core.json_schema.compiled_schema import CompiledSchema, SchemaVerdict
from ostiary_core.json_schema.wording import MOST_FAULTS, SchemaWords

SECRET = "4111111111111111"
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "city": {"type": "string", "minLength": 2, "pattern": "^[a-z]"},
        "days": {"anyOf": [{"type": "integer", "minimum": 1}, {"type": "null"}]},
        "unit": {"enum": ["celsius", "kelvin"]},
        "place": {
            "type": "object",
            "properties": {"lat": {"type": "number"}},
            "required": ["lat"],
            "additionalProperties": False,
        },
        "filter": {"anyOf": [{"type": "object", "required": ["a"]}, {"type": "string", "pattern": "^x"}]},
        "tags": {"type": "array", "items": {"type": "string", "maxLength": 5}, "uniqueItems": True, "maxItems": 3},
    },
    "required": ["city"],
    "additionalProperties": False,
}


def faults(value: Any, schema: dict[str, Any] = SCHEMA) -> list[str]:
    compiled = CompiledSchema(schema)
    assert compiled.verdict(value) is SchemaVerdict.INVALID
    return SchemaWords(compiled).faults(value)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({}, "/city: is missing, and required; expected string"),
        ({"city": "x"}, "/city: expected at least 2 characters"),
        ({"city": "XX"}, '/city: expected text that matches "^[a-z]"'),
        ({"city": "xx", "days": "5"}, "/days: expected null or integer"),
        ({"city": "xx", "days": 0}, "/days: expected at least 1"),
        ({"city": "xx", "unit": SECRET}, '/unit: expected one of "celsius", "kelvin"'),
        ({"city": "xx", "units": SECRET}, '/units: is not known; did you mean "unit"?'),
        ({"city": "xx", "place": {}}, '/place: the member "lat" is missing'),
        ({"city": "xx", "place": {"lat": SECRET}}, "/place/lat: expected number"),
        ({"city": "xx", "place": {"lat": 1, "lon": SECRET}}, '/place: does not take "lon"'),
        ({"city": "xx", "filter": SECRET}, "/filter: matches none of the schema's alternatives"),
        ({"city": "xx", "tags": ["a", SECRET]}, "/tags/1: expected at most 5 characters"),
        ({"city": "xx", "tags": ["a", "a"]}, "/tags: expected items that differ from each other"),
        ([SECRET], "the whole value: expected object"),
    ],
)
def test_a_fault_is_a_pointer_and_what_is_expected_but_never_the_value(value: Any, words: str) -> None:
    found = faults(value)

    assert found == [words]
    assert SECRET not in str(found)


def test_names_that_resemble_none_are_answered_with_the_known_ones() -> None:
    schema = {"properties": {"a": {}, "b": {}}, "additionalProperties": False}

    assert faults({"zzz": 1}, schema) == ['/zzz: is not known; known are "a", "b"']


def test_several_faults_are_named_up_to_a_bound() -> None:
    found = faults({"days": "x", "unit": 1, "place": 1, "tags": 1, "filter": 1, "zzz": 1})

    assert len(found) == MOST_FAULTS


def test_a_name_is_written_as_one_short_printable_line() -> None:
    found = faults({"city": "xx", "a/b~c\n" + "x" * 1000: 1})

    assert found[0].startswith("/a~1b~0c?xxx")
    assert len(found[0]) < 300


def test_what_only_fits_together_is_said_to_be_so() -> None:
    schema = {"properties": {"a": {}, "b": {}}, "oneOf": [{"required": ["a"]}, {"required": ["b"]}]}

    assert faults({}, schema) == ["the values do not fit each other"]


def test_words_cost_no_more_where_alternatives_refer_to_themselves() -> None:
    """The engine collects the faults of each branch, which doubles with each level: here 2**100 of them."""
    branch = {"type": "object", "properties": {"x": {"$ref": "#/$defs/a"}}}
    schema = {
        "$defs": {"a": {"anyOf": [branch, {**branch, "minProperties": 1}]}},
        "properties": {"x": {"$ref": "#/$defs/a"}},
    }
    value: Any = 1
    for _ in range(100):
        value = {"x": value}

    assert faults(value, schema)[0].startswith("/x")


def test_references_that_lead_to_parts_which_words_leave_out_are_no_fault() -> None:
    schema = {"x-parts": {"n": {"type": "integer"}}, "properties": {"a": {"$ref": "#/x-parts/n"}}}

    assert faults({"a": SECRET}, schema) == ["the values do not fit each other"]


def test_of_a_large_value_only_its_own_type_is_said() -> None:
    large = ["x" * 10] * 20_000
    schema = {"type": "object", "properties": {"a": {"type": "string"}, "b": {"items": {"type": "integer"}}}}
    faults = SchemaWords(CompiledSchema(schema)).faults({"a": large, "b": large})
    assert faults == ["/a: expected string", "/b: does not match the schema, and is too large to say where"]
