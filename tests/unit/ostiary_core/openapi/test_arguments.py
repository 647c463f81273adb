"""Arguments of a call against the schema of its tool, with a bound on the work."""

import json
from typing import Any

import pytest

from ostiary_core.openapi.arguments import MOST_WORK, MOST_WORK_FOR_WORDS, ArgumentCheck
from ostiary_core.openapi.schema_cost import DEEPEST_ARGUMENTS, MOST_EVALUATIONS

SCHEMA = {
    "type": "object",
    "properties": {"a": {"type": "integer", "minimum": 1}, "b": {"items": {"type": "string"}}},
    "required": ["a"],
    "additionalProperties": False,
}


def fault(arguments: Any, *, evaluations: int = 3) -> str | None:
    return ArgumentCheck(SCHEMA, evaluations=evaluations).fault(arguments, json.dumps(arguments).encode())


def test_what_matches_has_no_fault() -> None:
    assert fault({"a": 1, "b": ["x"]}) is None


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"a": 0}, "a: 0 is less than the minimum of 1"),
        ({}, '"a" is a required property'),
        ({"a": 1, "c": 2}, "('c' was unexpected)"),
        ({"a": 1, "b": ["x", 2]}, "b/1: 2 is not of type"),
        ([], "is not of type"),
    ],
)
def test_a_model_is_told_what_is_wrong(arguments: Any, words: str) -> None:
    found = fault(arguments)

    assert found is not None
    assert words in found


def test_at_most_five_mistakes_are_named_and_none_at_length() -> None:
    found = fault({"a": 1, "b": [{"x": "y" * 1000}] * 2 + [1] * 10})

    assert found is not None
    assert (found.count(";"), len(found) < 2000) == (4, True)


def test_mistakes_in_large_arguments_are_not_collected() -> None:
    found = fault({"a": 1, "b": [1] * MOST_WORK_FOR_WORDS})

    assert found == "The arguments do not match the schema of the tool"


def test_arguments_whose_check_would_cost_too_much_are_refused_unseen() -> None:
    large = {"a": 1, "b": ["x"] * (MOST_WORK // MOST_EVALUATIONS)}
    many = {"a": 1, "b": ["x"] * (MOST_WORK // 64)}

    assert fault(large) is None
    assert "too large for this tool" in str(fault(large, evaluations=MOST_EVALUATIONS))
    assert "too large for this tool" in str(fault(many))


def test_a_long_text_costs_less_than_many_values() -> None:
    assert fault({"a": 1, "b": ["x" * (MOST_WORK // 4)]}) is None


def test_arguments_that_nest_too_deep_are_refused() -> None:
    def nested(levels: int) -> dict[str, Any]:
        inner: Any = 1
        for _ in range(levels):
            inner = [inner]
        return {"a": 1, "b": inner}

    check = ArgumentCheck({}, evaluations=1)
    for levels, is_deep in ((DEEPEST_ARGUMENTS - 1, False), (DEEPEST_ARGUMENTS, True)):
        arguments = nested(levels)
        found = check.fault(arguments, json.dumps(arguments).encode())
        assert (found is not None) == is_deep, found


def test_many_arguments_side_by_side_are_not_deep() -> None:
    assert fault({"a": 1, "b": []}) is None
    arguments: dict[str, Any] = {"b": [[]] * 1000}
    assert ArgumentCheck({}, evaluations=1).fault(arguments, json.dumps(arguments).encode()) is None
