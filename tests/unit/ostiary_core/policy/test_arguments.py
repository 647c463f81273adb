"""Constraints on arguments: what they permit, and the words for a call that does not meet them."""

from typing import Any

import pytest

from ostiary_core.contract.documents import ArgumentConfig
from ostiary_core.errors import PatternError
from ostiary_core.policy.arguments import ArgumentConstraint
from ostiary_core.policy.expressions import ExpressionResult

TRUE, FALSE, ERROR = ExpressionResult.TRUE, ExpressionResult.FALSE, ExpressionResult.ERROR


def constraint(**keywords: Any) -> ArgumentConstraint:
    return ArgumentConstraint.build(ArgumentConfig(**{"path": ["a"], **keywords}))


@pytest.mark.parametrize(
    ("keywords", "value", "expected"),
    [
        ({"enum": ["EUR", "CHF"]}, "EUR", TRUE),
        ({"enum": ["EUR", "CHF"]}, "eur", FALSE),
        ({"enum": ["EUR", 1]}, 1, TRUE),
        ({"enum": [1]}, 1.0, TRUE),
        ({"enum": [1]}, True, ERROR),
        ({"enum": [1]}, "1", ERROR),
        ({"enum": [True]}, 1, ERROR),
        ({"const": False}, False, TRUE),
        ({"const": False}, 0, ERROR),
        ({"const": False}, None, ERROR),
        ({"maximum": 1000}, 1000, TRUE),
        ({"maximum": 1000}, 1000.01, FALSE),
        ({"maximum": 1000}, "10", ERROR),
        ({"maximum": 1000}, True, ERROR),
        ({"maximum": 1000}, [10], ERROR),
        ({"minimum": 1, "maximum": 3}, 0, FALSE),
        ({"pattern": "^[A-Z]+$"}, "ABC", TRUE),
        ({"pattern": "^[A-Z]+$"}, "ABC\n", FALSE),
        ({"pattern": "b"}, "abc", TRUE),
        ({"pattern": "b"}, 5, ERROR),
        ({"pattern": "b"}, "\ud800", FALSE),
        ({"max_length": 3}, "äöü", TRUE),
        ({"max_length": 3}, "abcd", FALSE),
        ({"max_length": 3}, ["a"], ERROR),
    ],
)  # fmt: skip
def test_a_constraint_has_this_result(keywords: dict[str, Any], value: Any, expected: ExpressionResult) -> None:
    assert constraint(**keywords).evaluate({"a": value}) is expected


def test_an_absent_argument_does_not_meet_a_constraint() -> None:
    nested = constraint(path=["a", "b"], maximum=1)
    assert constraint(maximum=1).evaluate({}) is FALSE
    assert nested.evaluate({"a": {"b": 1}}) is TRUE
    absent: list[dict[str, Any]] = [{"a": {}}, {"a": [1]}, {"a": None}, {"a.b": 1}]
    for arguments in absent:
        assert nested.evaluate(arguments) is FALSE


def test_a_member_that_looks_like_the_argument_is_an_error() -> None:
    assert constraint(maximum=1).evaluate({"a": 1, "A": 99}) is ERROR
    assert constraint(maximum=1).evaluate({"A": 99}) is ERROR


def test_text_that_would_take_too_long_to_match_is_an_error() -> None:
    assert constraint(pattern="(a|b)*c").evaluate({"a": "a" * 1_000_000}) is ERROR


def test_a_constraint_that_constrains_nothing_is_refused() -> None:
    empty: list[dict[str, Any]] = [{}, {"path": []}, {"path": [], "maximum": 1}, {"pattern": "("}]
    for keywords in empty:
        with pytest.raises(PatternError):
            constraint(**keywords)


def test_the_words_say_what_the_argument_must_be() -> None:
    both = constraint(path=["order", "amount"], minimum=1, maximum=1000)
    assert both.requirement() == (
        "argument 'order.amount' must be given and be a number of at least 1 and be a number of at most 1000"
    )
    assert constraint(enum=["EUR", 1]).requirement() == "argument 'a' must be given and be one of \"EUR\", 1"
