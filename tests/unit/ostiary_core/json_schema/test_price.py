"""What a schema costs at worst, before the engine sees it."""

from typing import Any

import pytest

from ostiary_core.json_schema.compiled_schema import CompiledSchema
from ostiary_core.json_schema.faults import UncheckableSchemaError
from ostiary_core.json_schema.price import DEEPEST, MOST_BYTES, MOST_COST, price_of


def reference(name: object) -> dict[str, Any]:
    return {"$ref": f"#/$defs/{name}"}


def doubled(levels: int, keyword: str = "anyOf", **extra: Any) -> dict[str, Any]:
    """Definitions that each refer twice to the next: 2**levels evaluations of one value."""
    each = {f"d{level}": {keyword: [reference(f"d{level + 1}")] * 2, **extra} for level in range(levels)}
    return {"$defs": {**each, f"d{levels}": {"type": "string"}}, **reference("d0")}


def nested(levels: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "object"}
    for _ in range(levels - 1):
        schema = {"properties": {"a": schema}}
    return schema


def cost(schema: Any) -> int:
    return price_of(schema)[0].cost


def refusal(schema: Any) -> str:
    with pytest.raises(UncheckableSchemaError) as caught:
        CompiledSchema(schema)
    return str(caught.value)


def test_each_schema_costs_one_and_a_reference_costs_what_it_leads_to() -> None:
    item = {"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "integer"}}}

    assert cost({"properties": {"x": item}}) == 4
    assert cost({"$defs": {"item": item}, "properties": {"x": reference("item"), "y": reference("item")}}) == 9
    assert cost({"$defs": {"item": item}}) == 1


@pytest.mark.parametrize("keyword", ["anyOf", "oneOf", "allOf"])
def test_definitions_that_double_are_refused_before_they_reach_the_engine(keyword: str) -> None:
    assert cost(doubled(8, keyword)) < MOST_COST
    assert refusal(doubled(14, keyword)) == "costs too much to check"


@pytest.mark.parametrize("keyword", ["unevaluatedProperties", "unevaluatedItems"])
def test_what_looks_for_unevaluated_values_counts_twice_on_each_level(keyword: str) -> None:
    assert cost({"allOf": [{}], keyword: False}) == 2 * cost({"allOf": [{}, {}]}) == 6
    assert refusal(doubled(9, "oneOf", **{keyword: False})) == "costs too much to check"


def test_a_branch_within_a_branch_that_looks_for_unevaluated_values_is_refused() -> None:
    schema: dict[str, Any] = {"type": "object"}
    for _ in range(13):
        schema = {"if": schema, "then": {}, "else": {}, "unevaluatedProperties": False}

    assert refusal(schema) == "costs too much to check"


def test_a_schema_that_refers_to_itself_is_followed_once() -> None:
    tree = {"$defs": {"n": {"properties": {"left": reference("n"), "right": reference("n")}}}, **reference("n")}

    assert cost(tree) == 6
    assert CompiledSchema(tree).validator.is_valid({"left": {"right": {}}})


def test_circles_that_share_members_are_not_priced_by_what_another_entry_found() -> None:
    """Each level is a circle of two, entered at both; what one entry finds misses what the other finds."""
    levels = 16
    definitions: dict[str, Any] = {f"x{levels}": {}}
    for level in range(levels):
        definitions[f"x{level}"] = {"allOf": [reference(f"a{level}"), reference(f"b{level}")]}
        definitions[f"a{level}"] = {"properties": {"p": reference(f"b{level}")}, "allOf": [reference(f"x{level + 1}")]}
        definitions[f"b{level}"] = {"properties": {"p": reference(f"a{level}")}, "allOf": [reference(f"x{level + 1}")]}

    assert refusal({"$defs": definitions, **reference("x0")}) in (
        "costs too much to check",
        f"nests deeper than {DEEPEST} levels",
    )


def test_depth_is_that_of_the_expanded_schema() -> None:
    chain = {f"d{level}": reference(f"d{level + 1}") for level in range(DEEPEST)}

    assert cost(nested(DEEPEST)) == DEEPEST
    assert refusal(nested(DEEPEST + 1)) == f"nests deeper than {DEEPEST} levels"
    assert refusal({"$defs": {**chain, f"d{DEEPEST}": {}}, **reference("d0")}) == f"nests deeper than {DEEPEST} levels"


def test_a_part_that_was_priced_near_the_root_is_too_deep_where_it_is_used_again() -> None:
    half = nested(DEEPEST // 2)
    deep: dict[str, Any] = reference("half")
    for _ in range(DEEPEST // 2):
        deep = {"properties": {"a": deep}}

    assert (
        refusal({"$defs": {"half": half}, "allOf": [reference("half"), deep]}) == f"nests deeper than {DEEPEST} levels"
    )


def test_a_schema_larger_than_the_bound_is_refused() -> None:
    assert refusal({"description": "x" * MOST_BYTES}) == f"is larger than {MOST_BYTES} bytes"


def test_patterns_cost_more_than_schemas_since_the_engine_compiles_them_slowly() -> None:
    many: dict[str, Any] = {"patternProperties": {f"x{number}.*y": {} for number in range(500)}}

    assert cost({"pattern": "^a"}) > cost({"type": "string", "minLength": 1})
    assert refusal(many) == "costs too much to check"


@pytest.mark.parametrize(
    "reference",
    [
        "https://example.com/schema.json",
        "file:///etc/passwd",
        "other.json#/a",
        "//host/x",
        "http://json-schema.org/draft-07/schema#",
    ],
)
def test_references_out_of_the_document_are_refused(reference: str) -> None:
    assert refusal({"properties": {"a": {"$ref": reference}}}) == "refers to something outside of it"


@pytest.mark.parametrize(
    "reference", ["#/$defs/b", "#/$defs/a/x", "#/anyOf/1", "#/anyOf/01", "#/anyOf/-1", "#a", 5, None]
)
def test_references_to_nothing_are_refused(reference: object) -> None:
    schema = {"$defs": {"a": {}}, "anyOf": [{}], "properties": {"a": {"$ref": reference}}}

    assert refusal(schema) == "refers to a place that it does not have"


@pytest.mark.parametrize(
    "reference", ["#/$defs/a~1b%20c", "https://example.com/s#/$defs/a~1b%20c", "#/x/properties/a", "#named", "#"]
)
def test_references_within_the_document_are_followed(reference: str) -> None:
    schema = {
        "$id": "https://example.com/s",
        "$defs": {"a/b c": {"allOf": [{}, {}]}, "n": {"$anchor": "named", "allOf": [{}, {}]}},
        "x": {"properties": {"a": {"allOf": [{}, {}]}}},
    }

    assert cost({**schema, "properties": {"p": {"$ref": reference}}}) == (3 if reference == "#" else 5)
    assert CompiledSchema({**schema, "properties": {"p": {"$ref": reference}}}).validator.is_valid({"p": {}})


def test_a_schema_within_with_an_identity_of_its_own_is_refused() -> None:
    embedded = {"$defs": {"a": {"$id": "urn:other", "properties": {"b": reference("c")}}}}

    for use in (reference("a"), reference("a/properties/b")):
        assert refusal({**embedded, "properties": {"x": use}}) == "has a schema within it with an $id of its own"


@pytest.mark.parametrize(
    "schema", [{"properties": {"a": 5}}, {"anyOf": 5}, {"not": [1]}, {"type": "text"}, {"minimum": "a"}]
)
def test_what_is_no_schema_is_refused(schema: dict[str, Any]) -> None:
    assert refusal(schema) in ("holds a value where a schema must be", "is not a valid schema of its dialect")


@pytest.mark.parametrize("pattern", ["(?=a)b", r"(a)\1", "a{1000}{1000}", "("])
def test_patterns_that_cannot_be_compared_in_linear_time_are_refused(pattern: str) -> None:
    assert refusal({"properties": {"a": {"pattern": pattern}}}) == "is not a valid schema of its dialect"
