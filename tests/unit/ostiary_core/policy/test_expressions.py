"""Conditions in CEL: what is accepted, and what a result means."""

from typing import Any
from unittest import mock

import pytest

from ostiary_core.errors import ExpressionError
from ostiary_core.policy.expressions import MAX_CHARACTERS, Expression, ExpressionContext, ExpressionResult
from ostiary_core.policy.principal import ANONYMOUS, Principal

TRUE, FALSE, ERROR = ExpressionResult.TRUE, ExpressionResult.FALSE, ExpressionResult.ERROR
AGENT = Principal(
    id="agent",
    method="jwt",
    consumer="team/agent",
    groups=frozenset({"support", "eu"}),
    scopes=frozenset({"tickets:read"}),
    claims={"region": "eu", "level": 3, "verified": True, "roles": [{"name": "lead"}], "email": "a@example.com"},
)


def evaluate(source: str, principal: Principal = AGENT, **message: dict[str, Any]) -> ExpressionResult:
    expression = Expression.compile(source)
    if not expression.needs_message:
        assert not message
        return expression.evaluate(ExpressionContext.of_principal(principal))
    values: dict[str, Any] = {"args": {}, "headers": {}, "request": {}} | message
    return expression.evaluate(ExpressionContext.of_message(principal, **values))


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("true", TRUE),
        ("false", FALSE),
        ("authenticated", TRUE),
        ("consumer == 'team/agent'", TRUE),
        ("'support' in groups", TRUE),
        ("'finance' in groups", FALSE),
        ("'tickets:read' in scopes", TRUE),
        ("groups.exists(g, g.startsWith('sup'))", TRUE),
        ("claims.region == 'eu' && claims.level >= 3", TRUE),
        ("claims.level == 3.0", TRUE),
        ("claims.level == '3'", FALSE),
        ("claims.verified == true", TRUE),
        ("claims.roles.exists(r, r.name == 'lead')", TRUE),
        ("has(claims.region)", TRUE),
        ("has(claims.nope)", FALSE),
        ("claims.nope == 'x'", ERROR),
        ("claims.nope == 'x' || true", TRUE),
        ("claims.?nope.orValue('none') == 'none'", TRUE),
        ("claims.region < 3", ERROR),
        ("claims.email.endsWith('@example.com')", TRUE),
        ("claims.email.matches('^[a-z]+@example[.]com$')", TRUE),
        ("claims.email.lowerAscii() == 'a@example.com'", TRUE),
        ("1 / (claims.level - 3) == 1", ERROR),
    ],
)  # fmt: skip
def test_an_expression_over_the_principal_has_this_result(source: str, expected: ExpressionResult) -> None:
    assert evaluate(source) is expected


@pytest.mark.parametrize(
    ("source", "args", "expected"),
    [
        ("args.amount < 1000", {"amount": 999}, TRUE),
        ("args.amount < 1000", {"amount": 1000}, FALSE),
        ("args.amount < 1000", {"amount": 999.5}, TRUE),
        ("args.amount < 1000", {"amount": "999"}, ERROR),
        ("args.amount < 1000", {"amount": True}, ERROR),
        ("args.amount < 1000", {"amount": None}, ERROR),
        ("args.amount < 1000", {}, ERROR),
        ("args.amount == 10", {"amount": "10"}, FALSE),
        ("args.flag == true", {"flag": 1}, FALSE),
        ("args.to == claims.email", {"to": "a@example.com"}, TRUE),
        ("args.a.b.c == 1", {"a": {"b": {"c": 1}}}, TRUE),
        ("args.a.b.c == 1", {"a": {"b": [1]}}, ERROR),
        ("args.items.all(i, i.price < 5)", {"items": [{"price": 1}, {"price": 4}]}, TRUE),
        ("args.items.all(i, i.price < 5)", {"items": [{"price": 1}, {}]}, ERROR),
        ("args.text == 'x'", {"text": "\ud800"}, ERROR),
        ("args.number == 1", {"number": 2**70}, ERROR),
    ],
)
def test_an_expression_over_the_arguments_has_this_result(
    source: str, args: dict[str, Any], expected: ExpressionResult
) -> None:
    assert evaluate(source, args=args) is expected


def test_headers_and_the_request_are_texts() -> None:
    assert (
        evaluate("headers['x-team'] == 'a' && request.name == 'pay'", headers={"x-team": "a"}, request={"name": "pay"})
        is TRUE
    )
    assert evaluate("headers['x-team'] == 'a'") is ERROR


def test_the_anonymous_caller_has_no_identity() -> None:
    assert evaluate("!authenticated && consumer == '' && groups == [] && scopes == []", ANONYMOUS) is TRUE
    assert evaluate("claims.sub == 'x'", ANONYMOUS) is ERROR


@pytest.mark.parametrize(
    ("source", "needs_message"),
    [("'a' in groups", False), ("args.x == 1", True), ("headers['a'] == ''", True), ("request.name == ''", True)],
)
def test_an_expression_states_whether_it_reads_the_message(source: str, needs_message: bool) -> None:
    assert Expression.compile(source).needs_message is needs_message
    if needs_message:
        with pytest.raises(ExpressionError):
            Expression.compile(source, principal_only=True)


@pytest.mark.parametrize(
    ("source", "line", "column", "problem"),
    [
        ("claims.a ==", 1, 12, "Syntax error: mismatched input '<EOF>'"),
        ("true &&\n  nope == 1", 2, 3, "undeclared reference to 'nope'"),
        ("groups.exists(g, g == 1)", 1, 20, "found no matching overload for '_==_' applied to '(string, int)'"),
        ("size(groups) > 1u", 1, 14, "found no matching overload for '_>_' applied to '(int, uint)'"),
        ("math.greatest(1, 2) == 2", 1, 1, "undeclared reference to 'math'"),
        ("consumer", 0, 0, "returns string, and must return bool"),
        ("args.flag", 0, 0, "returns dyn, and must return bool: compare it, as in args.urgent == true"),
        ("", 1, 1, "Syntax error"),
        ("'" + "a" * MAX_CHARACTERS + "' == ''", 0, 0, "is longer than 4096 characters"),
    ],
)  # fmt: skip
def test_a_bad_expression_is_refused_with_its_place(source: str, line: int, column: int, problem: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        Expression.compile(source)
    assert (caught.value.line, caught.value.column) == (line, column)
    assert caught.value.problem.startswith(problem)
    assert "INVALID_ARGUMENT" not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "bomb",
    [
        "[[1, 1]].map(x, [x, x]).map(x, [x, x]).all(x, x == x)",
        "['a'].map(x, x + x)[0].size() > 3",
        "args.s.replace('a', 'aaaaaaaa').replace('a', 'aaaaaaaa') == ''",
        "[args.s, args.s].join(args.s) == ''",
        "'%s%s'.format([args.s, args.s]) == ''",
        "args.s + args.s + args.s == ''",
        "[[1]].exists(x, [[x, x]].exists(y, [y, y] == [y, y]))",
        "claims.?a.optMap(x, [x, x]).hasValue()",
        "{'a': args.s} == {}",
        "args.s.matches(args.pattern)",
        "args.s.matches('(a{100}){100}')",
        " && ".join(["groups.all(a, a == a)"] * 9),
        "(" * 400 + "true" + ")" * 400,
        "!" * 1000 + "true" + " && groups.all(a, " * 40,
    ],
)
def test_an_expression_that_could_build_large_values_is_refused(bomb: str) -> None:
    with pytest.raises(ExpressionError):
        Expression.compile(bomb)


def test_one_expression_iterates_only_over_what_it_can_judge_in_time() -> None:
    nested = "args.a.all(x, args.a.all(y, x == y))"
    assert evaluate(nested, args={"a": [1] * 50}) is TRUE
    assert evaluate(nested, args={"a": [1] * 10_000}) is ERROR
    assert evaluate("args.s.contains('b')", args={"s": "a" * 100_000}) is ERROR


@pytest.mark.parametrize(
    "source",
    [
        " && ".join(["args == args"] * 200),
        f"[{', '.join(['args'] * 300)}] == [{', '.join(['args'] * 300)}]",
        f"[{', '.join(['args'] * 300)}].all(x, x == x)",
        "args.a.all(x, args == args)",
        f"[{', '.join(['1'] * 1_000)}].all(x, args == args)",
        " && ".join(["args.s.indexOf(args.t) == 0"] * 100),
        " && ".join(["args.s.matches('(ab?c?d?e?){1,30}')"] * 80),
    ],
)
def test_an_expression_that_reads_large_arguments_too_often_is_not_judged(source: str) -> None:
    large = {"a": [1] * 8_000, "s": "a" * 16_000, "t": "a" * 8_000 + "b"}
    assert evaluate(source, args={"a": [1], "s": "a", "t": "a"}) is TRUE
    assert evaluate(source, args=large) is ERROR


def test_all_expressions_of_a_message_share_one_budget() -> None:
    expression = Expression.compile("args == args")
    context = ExpressionContext.of_message(ANONYMOUS, args={"a": [1] * 30_000}, headers={}, request={})

    results = [expression.evaluate(context) for _ in range(500)]

    assert results[0] is TRUE
    assert results[-1] is ERROR


def test_an_expression_costs_what_the_variables_that_it_reads_take() -> None:
    expression = Expression.compile("request.method == 'x' && args.tags.exists(tag, tag == 'urgent')")
    headers = {f"x-{number}": "x" * 100 for number in range(500)}
    args = {"tags": ["low", "urgent"]}
    context = ExpressionContext.of_message(ANONYMOUS, args=args, headers=headers, request={"method": "x"})

    assert {expression.evaluate(context) for _ in range(500)} == {TRUE}


def test_values_that_are_too_large_are_never_given_to_the_engine() -> None:
    huge = {f"m{number}": [number] for number in range(100_000)}
    context = ExpressionContext.of_message(ANONYMOUS, args=huge, headers={}, request={})

    with mock.patch.object(ExpressionContext, "activation", new_callable=mock.PropertyMock) as given:
        assert Expression.compile("true || args.a == 1").evaluate(context) is ERROR

    given.assert_not_called()


@pytest.mark.parametrize("depth", [1_000, 100_000])
def test_arguments_that_are_nested_deeply_are_not_judged(depth: int) -> None:
    nested: dict[str, Any] = {}
    for _ in range(depth):
        nested = {"a": nested}
    assert evaluate("!has(args.b)", args=nested) is ERROR


@pytest.mark.parametrize("twin", ["Amount", "AMOUNT", "amounT"])
def test_a_member_that_looks_like_one_that_is_read_is_an_error(twin: str) -> None:
    assert evaluate("args.amount < 10", args={"amount": 1, "other": 1}) is TRUE
    assert evaluate("args.amount < 10", args={"amount": 1, twin: 99}) is ERROR
    assert evaluate("!has(args.amount) || args.amount < 10", args={twin: 99}) is ERROR
