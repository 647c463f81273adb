"""Expressions for values: what they may build, and that a failure is never taken for a value."""

from typing import Any

import pytest

from ostiary_core.errors import ExpressionError, TransformError
from ostiary_core.policy.message_conditions import Call
from ostiary_core.policy.principal import Principal
from ostiary_core.policy.value_expression import MessageValues, ValueExpression

PRINCIPAL = Principal("p", "jwt", claims={"org": "acme", "level": 3})


def call(arguments: dict[str, Any] | None = None) -> Call:
    request = {"method": "tools/call", "name": "find", "host": "h", "path": "/p"}
    return Call(PRINCIPAL, arguments=arguments or {}, headers={"x-team": "red"}, request=request)


def value(source: str, arguments: dict[str, Any] | None = None, **options: bool) -> Any:
    return ValueExpression.compile(source, **options).evaluate(MessageValues(call(arguments)))


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("claims.org", "acme"),
        ("claims.level + 1", 4),
        ("1.5", 1.5),
        ("null", None),
        ('"tenant-" + string(claims.org)', "tenant-acme"),
        ('{"org": claims.org, "tags": [args.a, "x"]}', {"org": "acme", "tags": ["A", "x"]}),
        ("headers[?'x-team'].orValue('none')", "red"),
        ("args.rows.filter(row, row.ok)", [{"ok": True}]),
    ],
)
def test_a_value_of_json_is_returned(source: str, expected: Any) -> None:
    assert value(source, {"a": "A", "rows": [{"ok": True}, {"ok": False}]}) == expected


@pytest.mark.parametrize("source", ["claims.nope", "1 / 0", "[claims.nope]", '"x" + claims.nope'])
def test_a_failure_is_not_taken_for_its_words(source: str) -> None:
    with pytest.raises(TransformError):
        value(source)


@pytest.mark.parametrize("source", ["0.0 / 0.0", "{1: 2}", "optional.of(claims.org)", "[b'abc']"])
def test_what_json_does_not_have_is_no_value(source: str) -> None:
    with pytest.raises((TransformError, ExpressionError)):
        value(source)


@pytest.mark.parametrize("source", ["b'abc'", "timestamp('2026-01-01T00:00:00Z')", "duration('3s')"])
def test_a_type_that_json_does_not_have_is_refused_when_compiled(source: str) -> None:
    with pytest.raises(ExpressionError, match="convert it with string"):
        ValueExpression.compile(source)


def test_a_header_must_be_a_text() -> None:
    with pytest.raises(ExpressionError, match="must return a string"):
        ValueExpression.compile("1 + 1", is_text=True)


@pytest.mark.parametrize(
    "source", ["args.rows.map(r, r.a)", "args.rows.all(r, r.a + r.b == '')", "args.rows.exists(r, {'a': r} == r)"]
)
def test_nothing_grows_in_a_macro(source: str) -> None:
    with pytest.raises(ExpressionError):
        ValueExpression.compile(source)


def test_a_text_that_is_doubled_again_and_again_is_refused() -> None:
    doubled = ValueExpression.compile(" + ".join(["string(args.a)"] * 20))
    with pytest.raises(TransformError):
        doubled.evaluate(MessageValues(call({"a": "x" * 60_000})))


def test_what_does_not_read_a_large_message_is_evaluated_all_the_same() -> None:
    large = {"text": "x" * 200_000, "kept": "k"}
    assert value("claims.org", large) == "acme"
    assert value("args.kept", large) == "k"
    with pytest.raises(TransformError):
        value("args.text", large)


def test_all_expressions_of_one_message_share_a_budget() -> None:
    values = MessageValues(call({"a": "x" * 60_000}))
    contains = ValueExpression.compile("args.a.contains('yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy')")

    def evaluate_often() -> None:
        for _ in range(1000):
            contains.evaluate(values)

    with pytest.raises(TransformError):
        evaluate_often()


def test_a_member_in_another_case_is_not_guessed() -> None:
    with pytest.raises(TransformError):
        value("args.tenant", {"tenant": "a", "Tenant": "b"})
