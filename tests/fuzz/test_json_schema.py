"""Schemas of servers and values of callers: nothing fails, no verdict differs from the engine's, no value is shown."""

import json
from typing import Any

import jsonschema_rs
from hypothesis import example, given
from hypothesis import strategies as st

from ostiary_core.content.validations.valid_results import ChangedPlace, made_valid
from ostiary_core.json_schema.coercion import coerced
from ostiary_core.json_schema.compiled_schema import SchemaVerdict
from ostiary_core.json_schema.faults import UncheckableSchemaError
from ostiary_core.json_schema.price import MOST_COST, price_of
from ostiary_core.json_schema.schema_check import SchemaCheck
from ostiary_core.json_schema.wording import MOST_FAULTS

SECRET = "canary-4711"
NAMES = st.sampled_from(["a", "b", "c", "a/b", "~", "", "é", "$ref"])
SCALARS = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
TEXTS = st.sampled_from([SECRET, "5", "-7", "05", "x"])
VALUES = st.recursive(
    SCALARS | TEXTS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3), max_leaves=8
)
TYPES = st.sampled_from(["null", "boolean", "object", "array", "number", "integer", "string"])
REFERENCES = st.sampled_from(
    ["#", "#/$defs/a", "#/$defs/b", "#/properties/a", "#/nowhere", "#anchor", "https://x/y", "file:///x"]
)


def _schemas(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    several = st.lists(inner, min_size=1, max_size=3)
    by_name = st.dictionaries(NAMES, inner, max_size=3)
    return st.fixed_dictionaries(
        {},
        optional={
            "$defs": st.dictionaries(st.sampled_from("ab"), inner, max_size=2),
            "$ref": REFERENCES,
            "$anchor": st.just("anchor"),
            "$id": st.sampled_from(["https://x", "#a"]),
            "type": TYPES | st.lists(TYPES, min_size=1, max_size=2, unique=True),
            "properties": by_name,
            "patternProperties": st.dictionaries(st.sampled_from(["^a", "(", "(?=a)"]), inner, max_size=1),
            "additionalProperties": inner,
            "unevaluatedProperties": inner,
            "required": st.lists(NAMES, max_size=2, unique=True),
            "items": inner | several,
            "prefixItems": several,
            "anyOf": several,
            "oneOf": several,
            "allOf": several,
            "not": inner,
            "if": inner,
            "else": inner,
            "enum": st.lists(SCALARS | st.just("x"), min_size=1, max_size=3),
            "minLength": st.integers(0, 20),
            "pattern": st.sampled_from(["^c", "(a)\\1", "x{3}"]),
            "multipleOf": st.sampled_from([0, 1, 0.1, -1]),
            "uniqueItems": st.booleans(),
        },
    )


SCHEMAS: st.SearchStrategy[Any] = st.recursive(st.booleans() | st.just({}), _schemas, max_leaves=10)
DIALECTS = st.sampled_from(
    [None, "https://json-schema.org/draft/2020-12/schema", "http://json-schema.org/draft-07/schema#", "x"]
)


def _check(schema: Any) -> SchemaCheck | None:
    try:
        return SchemaCheck(schema)
    except UncheckableSchemaError:
        return None


@given(schema=SCHEMAS, value=VALUES, dialect=DIALECTS)
@example(schema={"$ref": "#"}, value=1, dialect=None)
@example(schema={"anyOf": [{"$ref": "#"}, {"$ref": "#"}]}, value=1, dialect=None)
def test_a_verdict_is_that_of_the_engine_and_words_hold_no_value(schema: Any, value: Any, dialect: str | None) -> None:
    if isinstance(schema, dict) and dialect is not None:
        schema = {"$schema": dialect, **schema}
    check = _check(schema)
    if check is None:
        return
    found = check.check(value)
    assert check.compiled.price.cost <= MOST_COST
    if found.verdict is SchemaVerdict.UNCHECKABLE:
        return
    engine = jsonschema_rs.validator_cls_for(schema)(schema, offline=True, validate_formats=False)
    assert engine.is_valid(value) == (found.verdict is SchemaVerdict.VALID)
    assert (found.verdict is SchemaVerdict.INVALID) == (0 < len(found.faults) <= MOST_FAULTS)
    assert SECRET not in str(found.faults)


@given(schema=SCHEMAS, value=VALUES)
def test_correcting_arguments_loses_nothing(schema: Any, value: Any) -> None:
    before = json.dumps(value)
    found = coerced(value, schema) if isinstance(schema, dict) else value
    assert json.dumps(value) == before
    assert _as_texts(found) == _as_texts(value)


def _as_texts(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _as_texts(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_as_texts(each) for each in value]
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


@given(schema=SCHEMAS, value=VALUES)
def test_a_masked_result_is_made_valid_or_reported(schema: Any, value: Any) -> None:
    check = _check(schema)
    if check is None:
        return
    places = [ChangedPlace(path, "***") for path in _paths(value)]
    if made_valid(value, check, places):
        assert check.compiled.verdict(value) is not SchemaVerdict.INVALID


def _paths(value: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    steps = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(found for step, each in steps for found in _paths(each, (*path, step)))]


@given(levels=st.integers(1, 40), keyword=st.sampled_from(["anyOf", "oneOf", "allOf"]), unevaluated=st.booleans())
def test_no_schema_that_doubles_costs_the_walk_more_than_its_bound(
    levels: int, keyword: str, unevaluated: bool
) -> None:
    extra = {"unevaluatedProperties": False} if unevaluated else {}
    each = {f"d{n}": {keyword: [{"$ref": f"#/$defs/d{n + 1}"}] * 2, **extra} for n in range(levels)}
    schema = {"$defs": {**each, f"d{levels}": {}}, "$ref": "#/$defs/d0"}
    try:
        price = price_of(schema)[0]
    except UncheckableSchemaError:
        assert levels > 6
    else:
        assert 2**levels < price.cost <= MOST_COST
