import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ostiary_core.errors import PatternError
from ostiary_core.policy.name_matcher import ANY_NAME, NameMatcher

# An alphabet of everything that expressions give a meaning to, so that a slip in quoting shows.
TEXT = st.text(alphabet="ab*.?+|()[]{}^$\\/QE-_\n\x00é\U0001f600", max_size=8)


def wildcard_reference(name: str, text: str) -> bool:
    return re.fullmatch(".*".join(map(re.escape, name.split("*"))), text, re.DOTALL) is not None


@given(st.lists(TEXT, min_size=1, max_size=8), TEXT)
def test_names_match_as_exact_text_with_runs_for_stars(names: list[str], text: str) -> None:
    expected = any(wildcard_reference(name, text) for name in names)

    assert NameMatcher.build(names, None).matches(text) is expected


@given(st.lists(TEXT, min_size=1, max_size=8))
def test_matchers_of_the_same_exact_names_are_equal_whatever_their_order(names: list[str]) -> None:
    exact = [name.replace("*", "") for name in names]

    assert NameMatcher.build(exact, None) == NameMatcher.build([*reversed(exact), exact[0]], None)


@given(TEXT)
def test_a_name_matches_itself_and_any_filling_of_its_stars(name: str) -> None:
    matcher = NameMatcher.build([name], None)

    assert matcher.matches(name)
    assert matcher.matches(name.replace("*", "\n anything **"))


@given(st.lists(st.sampled_from(["a", "b+", "(?i)c", "^d$", "x|yz", "[0-9]{2}", "e.*"]), max_size=5), TEXT)
def test_patterns_match_the_whole_name_each_on_its_own(patterns: list[str], text: str) -> None:
    expected = any(re.fullmatch(f"(?:{p})" if "(?i)" not in p else p, text) is not None for p in patterns)

    assert NameMatcher.build(None, patterns).matches(text) is expected


def test_neither_names_nor_patterns_means_every_name() -> None:
    assert NameMatcher.build(None, None) is ANY_NAME
    assert ANY_NAME.matches("")
    assert ANY_NAME.matches("anything")


def test_a_lone_star_means_every_name() -> None:
    assert NameMatcher.build(["a", "*"], None).matches("b\nc")


def test_empty_lists_match_nothing() -> None:
    assert not NameMatcher.build([], None).matches("")
    assert not NameMatcher.build([], []).matches("a")


def test_names_and_patterns_are_joined() -> None:
    matcher = NameMatcher.build(["read", "list_*"], ["get_[a-z]+"])

    assert [n for n in ("read", "list_x", "get_x", "get_1", "reads") if matcher.matches(n)] == [
        "read",
        "list_x",
        "get_x",
    ]


def test_names_compare_by_code_point() -> None:
    matcher = NameMatcher.build(["caf\u00e9", "Read"], None)

    assert matcher.matches("caf\u00e9")
    assert not matcher.matches("cafe\u0301")
    assert not matcher.matches("read")


def test_a_pattern_does_not_end_before_a_newline() -> None:
    assert not NameMatcher.build(None, ["delete$"]).matches("delete\n")


def test_the_longer_branch_of_a_pattern_counts_too() -> None:
    assert NameMatcher.build(None, ["get|get_users"]).matches("get_users")


@pytest.mark.parametrize("pattern", ["(", "a)(?:b", "[a", "a++", r"\1", "(?=a)", "(?<!a)b", "a{2000}", "\\"])
def test_a_pattern_that_cannot_work_is_refused_and_named(pattern: str) -> None:
    with pytest.raises(PatternError, match=re.escape(repr(pattern))):
        NameMatcher.build(None, ["fine", pattern])


@pytest.mark.parametrize("patterns", [[r"\Qdelete.", r"\Qdrop\E"], [r"\Qdrop\E", r"\Qdelete."], [r"\Qdelete.", "drop"]])
def test_an_open_quotation_ends_with_its_own_pattern(patterns: list[str]) -> None:
    # Joined carelessly, the first would quote its way into the second, and the rule would match neither.
    matcher = NameMatcher.build(["other_*"], patterns)

    assert all(matcher.matches(name) for name in ("delete.", "drop", "other_1"))
    assert not matcher.matches("deletex")


def test_a_flag_ends_with_its_own_pattern() -> None:
    matcher = NameMatcher.build(None, ["(?i)read", "write"])

    assert matcher.matches("READ")
    assert not matcher.matches("WRITE")


def test_patterns_that_are_too_large_together_are_refused_briefly() -> None:
    with pytest.raises(PatternError, match="too large together") as caught:
        NameMatcher.build(None, [rf"x{number}\pL{{2}}" for number in range(32)])
    assert len(str(caught.value)) < 200


def test_a_hostile_name_takes_linear_time() -> None:
    # Backtracking engines need 2**40 steps for this; the test would run into its timeout.
    assert not NameMatcher.build(None, ["(a+)+b"]).matches("a" * 100_000)
    assert not NameMatcher.build(["*a*a*a*a*a*a*a*a*b"], None).matches("a" * 100_000)
