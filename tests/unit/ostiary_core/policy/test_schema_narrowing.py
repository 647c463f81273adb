"""Input schemas, narrowed to what a caller may pass."""

from typing import Any

import jsonschema  # type: ignore[import-untyped]  # it ships no types
import pytest
from visibilities import visibility_by_rules

from ostiary_core.contract.access import ArgumentConfig
from ostiary_core.policy.arguments import ArgumentConstraint, ConstrainedArguments
from ostiary_core.policy.schema_narrowing import narrowed

PAY = {
    "type": "object",
    "properties": {"amount": {"type": "number", "description": "How much"}, "to": {"type": "string"}},
}


def narrow(schema: Any, *configs: dict[str, Any]) -> Any:
    return narrowed(schema, [ArgumentConstraint.build(ArgumentConfig(**config)) for config in configs])


def test_a_constraint_joins_the_schema_of_its_argument_which_becomes_required() -> None:
    assert narrow(PAY, {"path": ["amount"], "maximum": 1000}) == {
        "type": "object",
        "properties": {
            "amount": {"type": "number", "description": "How much", "maximum": 1000},
            "to": {"type": "string"},
        },
        "required": ["amount"],
    }
    assert "required" not in PAY


SCHEMAS: list[dict[str, Any]] = [
    {"type": "object"},
    PAY,
    {"type": "object", "properties": {"amount": {"type": "integer", "maximum": 10}}, "required": ["amount"]},
    {"type": "object", "properties": {"amount": {"anyOf": [{"type": "number"}, {"type": "null"}]}}},
    {"type": "object", "properties": {"amount": {"type": ["number", "string"]}}},
    {"type": "object", "properties": {"amount": {"$ref": "#/$defs/n"}}, "$defs": {"n": {"type": "number"}}},
    {"type": "object", "properties": {"amount": True, "kind": {"enum": ["a", "b", "z"]}}},
    {"type": "object", "properties": {"o": {"type": "object", "properties": {"x": {"type": "string"}}}}},
    {"type": "object", "properties": {"o": {"$ref": "#/$defs/o"}}, "$defs": {"o": {"type": "object"}}},
]
CONSTRAINTS: list[dict[str, Any]] = [
    {"path": ["amount"], "minimum": 1, "maximum": 1000},
    {"path": ["kind"], "enum": ["a", "b"]},
    {"path": ["o", "x"], "pattern": "^[A-Z]+$", "max_length": 3},
]
ARGUMENTS: list[dict[str, Any]] = [
    {"amount": 5, "kind": "a", "o": {"x": "ABC"}},
    {"amount": 5000, "kind": "a", "o": {"x": "ABC"}},
    {"amount": "5", "kind": "a", "o": {"x": "ABC"}},
    {"amount": 5, "kind": "z", "o": {"x": "ABC"}},
    {"amount": 5, "kind": "a", "o": {"x": "abc"}},
    {"amount": 5, "kind": "a", "o": {"x": 5}},
    {"amount": 5, "kind": "a", "o": "ABC"},
    {"kind": "a"},
]


@pytest.mark.parametrize("schema", SCHEMAS)
@pytest.mark.parametrize("arguments", ARGUMENTS)
def test_a_narrowed_schema_accepts_what_the_schema_and_the_constraints_accept(
    schema: dict[str, Any], arguments: dict[str, Any]
) -> None:
    made = [ArgumentConstraint.build(ArgumentConfig(**config)) for config in CONSTRAINTS]
    result = narrowed(schema, made)
    jsonschema.Draft202012Validator.check_schema(result)
    is_permitted = all(each.evaluate(ConstrainedArguments(arguments)).value == "true" for each in made)
    accepts = jsonschema.Draft202012Validator(schema).is_valid(arguments)
    assert jsonschema.Draft202012Validator(result).is_valid(arguments) is (accepts and is_permitted)


@pytest.mark.parametrize("pattern", [r"\pL+", "(?i)a", r"\Aa\z", r"a\-b", "[[:alpha:]]", "(?P<x>a)"])
def test_a_pattern_that_clients_read_differently_is_left_out(pattern: str) -> None:
    assert "pattern" not in str(narrow(PAY, {"path": ["to"], "pattern": pattern}))


@pytest.mark.parametrize("schema", [None, True, "x", ["a"]])
def test_what_is_no_object_schema_is_returned_unchanged(schema: Any) -> None:
    assert narrow(schema, {"path": ["a"], "maximum": 1}) == schema


def test_a_schema_is_narrowed_only_where_one_rule_grants_the_tool() -> None:
    small = {"name": "small", "effect": "Allow", "arguments": [{"path": ["amount"], "maximum": 10}]}
    large = {"name": "large", "effect": "Allow", "tools": {"names": ["pay"]}, "when": "args.amount > 10"}
    assert visibility_by_rules(small).narrowed("pay", PAY) != PAY
    both = visibility_by_rules(small, large)
    assert both.narrowed("pay", PAY) == PAY
    assert both.narrowed("other", PAY) != PAY
    assert visibility_by_rules(small, {"name": "all", "effect": "Allow"}).narrowed("pay", PAY) == PAY
