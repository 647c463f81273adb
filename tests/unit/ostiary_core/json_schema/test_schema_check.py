"""Arguments against the schema of a tool."""

from typing import Any

import pytest

from ostiary_core.json_schema.compiled_schema import SchemaVerdict
from ostiary_core.json_schema.schema_check import SchemaCheck

OPEN: dict[str, Any] = {"properties": {"city": {"type": "string"}, "days": {"type": "integer"}}}


def test_names_that_a_schema_takes_without_declaring_them_are_refused_where_that_is_demanded() -> None:
    check = SchemaCheck(OPEN)

    assert check.check({"town": "x"}).verdict is SchemaVerdict.VALID
    outcome = check.check({"dayz": 1}, refuses_unknown=True)
    assert (outcome.verdict, outcome.faults) == (SchemaVerdict.INVALID, ('/dayz: is not known; did you mean "days"?',))


@pytest.mark.parametrize(
    "schema",
    [
        {"$defs": {"a": OPEN}, "$ref": "#/$defs/a"},
        {"allOf": [OPEN]},
        {"anyOf": [{"properties": {"days": {}}}, {"properties": {"city": {}}}]},
        {"if": {}, "then": OPEN},
    ],
)
def test_names_are_declared_by_every_schema_for_the_arguments(schema: dict[str, Any]) -> None:
    check = SchemaCheck(schema)

    assert check.check({"city": "x", "days": 1}, refuses_unknown=True).verdict is SchemaVerdict.VALID
    assert check.check({"town": "x"}, refuses_unknown=True).verdict is SchemaVerdict.INVALID


@pytest.mark.parametrize("extra", [{"additionalProperties": {"type": "integer"}}, {"patternProperties": {"^x-": {}}}])
def test_a_schema_that_declares_names_by_a_rule_decides_itself(extra: dict[str, Any]) -> None:
    assert SchemaCheck({**OPEN, **extra}).check({"x-y": 1}, refuses_unknown=True).verdict is SchemaVerdict.VALID


def test_texts_become_integers_only_where_that_makes_the_arguments_valid() -> None:
    check = SchemaCheck(OPEN)

    assert check.check({"days": "5"}, coerces=True).value == {"days": 5}
    assert check.check({"days": "5"}).verdict is SchemaVerdict.INVALID
    outcome = check.check({"days": "5", "city": 7}, coerces=True)
    assert (outcome.verdict, outcome.value) == (SchemaVerdict.INVALID, {"days": "5", "city": 7})


def test_what_cannot_be_checked_is_no_fault() -> None:
    outcome = SchemaCheck({"items": {"enum": list(range(4000))}}).check([1] * 10_000)

    assert (outcome.verdict, outcome.faults) == (SchemaVerdict.UNCHECKABLE, ())
