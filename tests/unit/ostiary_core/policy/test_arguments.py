"""Constraints on arguments: what they permit, and the words for a call that does not meet them."""

from typing import Any

import pytest

from ostiary_core.contract.access import ArgumentConfig
from ostiary_core.errors import PatternError
from ostiary_core.policy.arguments import ArgumentConstraint, ConstrainedArguments
from ostiary_core.policy.expressions import ExpressionResult

TRUE, FALSE, ERROR = ExpressionResult.TRUE, ExpressionResult.FALSE, ExpressionResult.ERROR


def constraint(**keywords: Any) -> ArgumentConstraint:
    return ArgumentConstraint.build(ArgumentConfig(**{"path": ["a"], **keywords}))


def judged(made: ArgumentConstraint, arguments: dict[str, Any]) -> ExpressionResult:
    return made.evaluate(ConstrainedArguments(arguments))


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
    assert judged(constraint(**keywords), {"a": value}) is expected


def test_an_absent_argument_does_not_meet_a_constraint() -> None:
    nested = constraint(path=["a", "b"], maximum=1)
    assert judged(constraint(maximum=1), {}) is FALSE
    assert judged(nested, {"a": {"b": 1}}) is TRUE
    absent: list[dict[str, Any]] = [{"a": {}}, {"a": [1]}, {"a": None}, {"a.b": 1}]
    for arguments in absent:
        assert judged(nested, arguments) is FALSE


def test_a_member_that_looks_like_the_argument_is_an_error() -> None:
    assert judged(constraint(maximum=1), {"a": 1, "A": 99}) is ERROR
    assert judged(constraint(maximum=1), {"A": 99}) is ERROR


def test_text_that_would_take_too_long_to_match_is_an_error() -> None:
    assert judged(constraint(pattern="(a|b)*c"), {"a": "a" * 1_000_000}) is ERROR


def test_a_constraint_that_constrains_nothing_is_refused() -> None:
    empty: list[dict[str, Any]] = [{}, {"path": []}, {"path": [], "maximum": 1}, {"pattern": "("}]
    for keywords in empty:
        with pytest.raises(PatternError):
            constraint(**keywords)


@pytest.mark.parametrize(
    ("keywords", "nothing"),
    [
        ({"minimum": 2, "maximum": 1}, True),
        ({"minimum": 1, "maximum": 1}, False),
        ({"minimum": 1, "max_length": 1}, True),
        ({"enum": [1, 20], "maximum": 10}, False),
        ({"enum": ["1", True], "maximum": 10}, True),
        ({"enum": ["a", "b"], "const": "c"}, True),
        ({"enum": ["a", 5], "pattern": "^a", "max_length": 3}, False),
        ({"const": "abcd", "max_length": 3}, True),
    ],
)
def test_keywords_that_contradict_each_other_permit_nothing(keywords: dict[str, Any], nothing: bool) -> None:
    assert constraint(**keywords).permits_nothing is nothing


def test_the_words_say_what_the_argument_must_be() -> None:
    both = constraint(path=["order", "amount"], minimum=1, maximum=1000)
    assert both.requirement() == (
        "argument 'order.amount' must be given and be a number of at least 1 and be a number of at most 1000"
    )
    assert constraint(enum=["EUR", 1]).requirement() == "argument 'a' must be given and be one of \"EUR\", 1"


def test_the_words_name_another_spelling_of_the_argument() -> None:
    small = constraint(path=["amount"], maximum=10)

    assert small.requirement(ConstrainedArguments({"amount": 5, "Amount": 50})) == (
        "argument 'amount' must be given in exactly this spelling, without another that differs only in upper and "
        "lower case, and be a number of at most 10"
    )
    assert small.requirement(ConstrainedArguments({"amount": 50})) == (
        "argument 'amount' must be given and be a number of at most 10"
    )


class CountedName(str):
    """A name that counts how often its form without case is computed."""

    __slots__ = ()
    folded = 0

    def casefold(self) -> str:
        CountedName.folded += 1
        return super().casefold()


def test_the_names_of_members_are_compared_once_for_all_constraints_of_a_message() -> None:
    arguments = ConstrainedArguments({CountedName(f"m{number}"): 1 for number in range(4_000)})

    assert {constraint(path=[f"m{number}"], maximum=1).evaluate(arguments) for number in range(1_000)} == {TRUE}

    assert CountedName.folded == 4_000


def test_an_object_of_more_members_than_can_be_compared_in_time_is_an_error() -> None:
    members = {f"m{number}": 1 for number in range(4_096)}
    assert judged(constraint(maximum=1), {**members, "a": 1}) is ERROR
    assert judged(constraint(path=["b", "a"], maximum=1), {"b": {**members, "a": 1}}) is ERROR
    assert judged(constraint(maximum=1), {"a": 1, "b": {**members, "c": 1}}) is TRUE


def test_all_patterns_of_a_message_share_one_budget() -> None:
    arguments = ConstrainedArguments({"a": "a" * 20_000})
    costly = constraint(pattern="(a|b|c|d)*(e|f|g)*a$")

    results = [costly.evaluate(arguments) for _ in range(1_000)]

    assert results[0] is TRUE
    assert results[-1] is ERROR
