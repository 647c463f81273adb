"""Whether a value matches a schema, within a bound on the work."""

from typing import Any

import pytest

from ostiary_core.json_schema.compiled_schema import MOST_WORK, CompiledSchema, SchemaVerdict
from ostiary_core.json_schema.faults import UncheckableSchemaError

DRAFT_7 = "http://json-schema.org/draft-07/schema#"
DRAFT_2019 = "https://json-schema.org/draft/2019-09/schema"
DRAFT_2020 = "https://json-schema.org/draft/2020-12/schema"


def verdict(schema: dict[str, Any], value: Any) -> SchemaVerdict:
    return CompiledSchema(schema).verdict(value)


def test_a_value_matches_or_does_not() -> None:
    assert verdict({"type": "integer"}, 5) is SchemaVerdict.VALID
    assert verdict({"type": "integer"}, "5") is SchemaVerdict.INVALID


@pytest.mark.parametrize(
    "dialect", [DRAFT_7, DRAFT_7.removesuffix("#"), "https://json-schema.org/draft-07/schema", DRAFT_2019]
)
def test_a_declared_dialect_gives_keywords_their_meaning(dialect: str) -> None:
    schema = {"items": [{"type": "integer"}], "additionalItems": False}

    assert verdict({"$schema": dialect, **schema}, [1]) is SchemaVerdict.VALID
    assert verdict({"$schema": dialect, **schema}, [1, 2]) is SchemaVerdict.INVALID


def test_2020_12_is_the_default_dialect() -> None:
    schema = {"prefixItems": [{"type": "integer"}], "items": False}

    assert verdict(schema, [1, 2]) is verdict({"$schema": DRAFT_2020, **schema}, [1, 2]) is SchemaVerdict.INVALID
    assert verdict({"$schema": DRAFT_7, "prefixItems": [{"type": "integer"}]}, ["a"]) is SchemaVerdict.VALID


@pytest.mark.parametrize(
    "dialect", ["http://json-schema.org/draft-04/schema#", "https://example.com/own", "", 5, None, []]
)
def test_other_dialects_are_not_used(dialect: object) -> None:
    with pytest.raises(UncheckableSchemaError, match="dialect"):
        CompiledSchema({"$schema": dialect})


def test_formats_are_not_asserted() -> None:
    assert verdict({"format": "email"}, "none") is SchemaVerdict.VALID


def test_the_work_for_one_value_is_bounded_by_the_price_and_its_nodes() -> None:
    costly = {"items": {"allOf": [{"enum": list(range(1000))}] * 4}}

    assert verdict(costly, [1] * 10) is SchemaVerdict.VALID
    assert verdict(costly, [1] * (MOST_WORK // 100)) is SchemaVerdict.UNCHECKABLE
    assert verdict({"items": {}}, [1] * (MOST_WORK // 100)) is SchemaVerdict.VALID


def test_a_long_text_next_to_a_small_property_with_a_pattern_is_affordable() -> None:
    schema = {"properties": {"path": {"pattern": "^/[a-z0-9/]{1,200}$"}, "content": {"type": "string"}}}
    long = "x" * MOST_WORK

    assert verdict(schema, {"path": "/a", "content": long}) is SchemaVerdict.VALID
    assert verdict(schema, {"path": long, "content": ""}) is SchemaVerdict.UNCHECKABLE
    assert verdict({**schema, "anyOf": [{}]}, {"path": "/a", "content": long}) is SchemaVerdict.UNCHECKABLE


def test_values_that_other_readers_would_not_read_alike_are_not_checked() -> None:
    deep: Any = 1
    for _ in range(400):
        deep = [deep]

    for value in (deep, {"a": 2**70}, {"a": "\ud800"}):
        assert verdict({"type": "object"}, value) is SchemaVerdict.UNCHECKABLE


def test_a_definition_that_refers_to_itself_twice_is_checked_in_time_that_does_not_double() -> None:
    """The engine keeps what it found for a value: 200 levels would else be 2**200 evaluations."""
    branch = {"type": "object", "properties": {"x": {"$ref": "#/$defs/a"}}}
    schema = {"$defs": {"a": {"anyOf": [branch, {**branch, "minProperties": 1}]}}, "$ref": "#/$defs/a"}
    value: Any = 1
    for _ in range(150):
        value = {"x": value}

    assert verdict(schema, value) is SchemaVerdict.INVALID
