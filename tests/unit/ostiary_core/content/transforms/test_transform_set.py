"""Transformations together: order does not matter, a failure changes nothing, and Shadow only counts."""

from dataclasses import dataclass, field
from typing import Any

import pytest

from ostiary_core.content.rule_scope import RuleScope
from ostiary_core.content.transforms.compiled_transform import CompiledTransform, common_place
from ostiary_core.content.transforms.transform_set import TransformSet
from ostiary_core.contract.content import Direction
from ostiary_core.contract.transforms import TransformConfig
from ostiary_core.errors import ExpressionError, PatternError, TransformError
from ostiary_core.policy.message_conditions import Call
from ostiary_core.policy.principal import Principal

PRINCIPAL = Principal("p", "jwt", claims={"org": "acme"})


@dataclass
class Rules:
    """Rules of one name."""

    transforms: list[CompiledTransform] = field(default_factory=list)


def config(**members: Any) -> TransformConfig:
    return TransformConfig.model_validate({"name": "t", **members})


def transforms(*members: dict[str, Any], scope: RuleScope | None = None) -> TransformSet:
    built: Any = [CompiledTransform.build(config(**each), scope or RuleScope("team/policy")) for each in members]
    return TransformSet(Rules(built))


def call(arguments: dict[str, Any] | None = None) -> Call:
    return Call(PRINCIPAL, arguments=arguments or {}, headers={}, request={})


def at(*place: str, value: str) -> dict[str, Any]:
    return {"path": list(place), "value": value}


def test_arguments_are_set_defaulted_and_removed() -> None:
    changes = {
        "set": [at("tenant", value="claims.org")],
        "default": [at("limit", value="10"), at("sort", value="'asc'")],
        "remove": [["debug"]],
    }
    found = transforms({"arguments": changes})
    given = {"tenant": "evil", "sort": "desc", "debug": True, "q": "x"}
    assert found.arguments(given, call(given)) == {"tenant": "acme", "sort": "desc", "q": "x", "limit": 10}
    assert given["tenant"] == "evil"


def test_expressions_read_the_arguments_as_they_came_in_any_order() -> None:
    one = {"arguments": {"set": [at("a", value="args.b")]}}
    two = {"arguments": {"set": [at("b", value="args.a")]}}
    given = {"a": 1, "b": 2}
    for found in (transforms(one, two), transforms(two, one)):
        assert found.arguments(given, call(given)) == {"a": 2, "b": 1}


def test_a_value_that_cannot_be_made_is_an_error_and_never_skipped() -> None:
    found = transforms({"arguments": {"set": [at("tenant", value="claims.tenant")]}})
    with pytest.raises(TransformError):
        found.arguments({}, call())


def test_a_default_is_not_evaluated_where_there_is_a_value() -> None:
    found = transforms({"arguments": {"default": [at("tenant", value="claims.tenant")]}})
    assert found.arguments({"tenant": "t"}, call()) == {"tenant": "t"}


def test_results_read_the_result_and_the_request() -> None:
    found = transforms({"results": {"set": [at("_meta", "note", value="string(result.n) + string(args.q)")]}})
    assert found.reads_call
    assert found.result({"n": 1}, call({"q": "x"})) == {"n": 1, "_meta": {"note": "1x"}}


def test_headers_are_texts_without_line_ends() -> None:
    headers = {
        "set": [{"name": "x-tenant", "value": "claims.org"}],
        "default": [{"name": "x-mode", "value": "'fast'"}],
        "remove": ["x-debug"],
    }
    made = transforms({"headers": headers}).headers(call())
    assert made is not None
    assert made.given({}) == {"x-tenant": "acme", "x-mode": "fast"}
    assert made.given({"x-mode": "slow", "x-tenant": "evil", "x-debug": "1"}) == {"x-tenant": "acme", "x-mode": "slow"}
    split = transforms({"headers": {"set": [{"name": "x-tenant", "value": "args.t"}]}})
    for bad in ("a\r\nHost: b", "ü", " a", "x" * 5000, 3):
        with pytest.raises(TransformError):
            split.headers(call({"t": bad}))


def test_a_header_of_the_gateway_does_not_compile() -> None:
    with pytest.raises(PatternError, match="credential"):
        transforms({"headers": {"set": [{"name": "authorization", "value": "'x'"}]}})


def test_an_invalid_expression_names_its_field() -> None:
    with pytest.raises(ExpressionError) as error:
        transforms({"arguments": {"set": [at("a", value="claims.(")]}})
    assert error.value.field == "arguments.set[0].value"


def test_shadow_changes_nothing_and_is_counted() -> None:
    scope = RuleScope("team/policy", "rule", is_shadow=True)
    found = transforms({"arguments": {"set": [at("a", value="1")]}}, scope=scope)
    assert not found.changes_arguments
    assert found.arguments({"q": 1}, call()) == {"q": 1}
    (finding,) = found.shadows[Direction.ARGUMENTS]
    assert (finding.rule, finding.is_shadow) == ("rule", True)
    assert found.shadows[Direction.RESULTS] == ()


def test_what_is_removed_goes_from_any_result_that_could_be_meant() -> None:
    found = transforms({"results": {"set": [at("a", value="1")], "remove": [["b", "c"]]}})
    result = {"b": {"c": 1, "d": 2}}
    assert found.removed(result) == {"b": {"d": 2}}
    assert found.removed({"d": 2}) == {"d": 2}


@pytest.mark.parametrize(
    ("first", "second", "place"),
    [
        ({"arguments": {"set": [at("a", value="1")]}}, {"arguments": {"remove": [["a"]]}}, "arguments/a"),
        (
            {"arguments": {"set": [at("a", "b", value="1")]}},
            {"arguments": {"default": [at("a", value="1")]}},
            "arguments/a/b",
        ),
        ({"arguments": {"set": [at("a", value="1")]}}, {"results": {"set": [at("a", value="1")]}}, ""),
        ({"results": {"set": [at("a", value="1")]}}, {"results": {"set": [at("b", value="1")]}}, ""),
        (
            {"headers": {"set": [{"name": "x-a", "value": "'1'"}]}},
            {"headers": {"default": [{"name": "x-a", "value": "'2'"}]}},
            "header x-a",
        ),
    ],
)
def test_two_that_may_set_one_place_are_found(first: dict[str, Any], second: dict[str, Any], place: str) -> None:
    assert common_place(config(**first), config(**second)) == place


def test_one_that_sets_a_place_twice_is_found() -> None:
    twice = config(arguments={"set": [at("a", value="1")], "remove": [["a", "b"]]})
    assert common_place(twice, twice) == "arguments/a"
    once = config(arguments={"set": [at("a", value="1")], "remove": [["b"]]}, headers={"remove": ["x-a"]})
    assert common_place(once, once) == ""
