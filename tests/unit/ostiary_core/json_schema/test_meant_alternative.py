"""Words about a member that is meant to be one alternative of a union."""

from typing import Any

import pytest

from ostiary_core.json_schema.compiled_schema import CompiledSchema
from ostiary_core.json_schema.meant_alternative import meant_alternative
from ostiary_core.json_schema.wording import SchemaWords

FIRST = {"type": "object", "properties": {"kind": {"const": "a"}, "n": {"type": "integer"}}, "required": ["kind", "n"]}
SECOND = {"type": "object", "properties": {"kind": {"const": "b"}, "s": {"type": "string"}}, "required": ["kind", "s"]}
UNION = {"oneOf": [{"$ref": "#/$defs/A"}, {"$ref": "#/$defs/B"}]}
ROOT: dict[str, Any] = {
    "$defs": {"A": FIRST, "B": SECOND},
    "type": "object",
    "properties": {"item": UNION, "x": {"type": "string"}},
}


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        ({"kind": "a"}, '/item: the member "n" is missing'),
        ({"kind": "a", "n": "5"}, "/item/n: expected integer"),
        ({"kind": "b", "s": 1}, "/item/s: expected string"),
        ({"kind": "c"}, "/item: matches none of the schema's alternatives"),
    ],
)
def test_words_are_about_the_alternative_that_is_meant(value: Any, fault: str) -> None:
    words = SchemaWords(CompiledSchema({**ROOT, "properties": {**ROOT["properties"], "other": UNION}}))
    assert words.faults({"item": value}) == [fault]
    assert words.faults({"other": value}) == [fault.replace("/item", "/other")]


def test_what_names_no_alternative_or_a_reference_to_itself_is_meant_to_be_none() -> None:
    looped = {"$defs": {"A": {"$ref": "#/$defs/A"}}, "properties": {"item": {"oneOf": [{"$ref": "#/$defs/A"}]}}}
    assert meant_alternative(looped, "item", {"kind": "a"}) is None
    assert meant_alternative(ROOT, "x", {"kind": "a"}) is None
    assert meant_alternative({}, "x", {"kind": "a"}) is None
