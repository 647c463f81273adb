import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import PydanticCustomError

from ostiary_core.policy.names import NameMatcher
from ostiary_operator.api.patterns import MAX_MEMORY, check_together, defect

#: Each is as large as a single expression may be, or nearly so.
LARGE = [r"\pL{10}", "(.{0,30}){30}", ".{0,500}.{0,500}", "(a{0,900})(a{0,900})", r"[^\x00-\x{ffff}]{1000}", ".{1000}"]


@pytest.mark.parametrize("pattern", ["a", "(?i)read_.*", r"\Q*.*", "(?P<a>x)(?P<a>y)", "x{1000}", *LARGE])
def test_what_the_gateway_can_run_is_no_defect(pattern: str) -> None:
    assert defect(pattern) is None
    NameMatcher.build(None, [pattern])


@pytest.mark.parametrize("pattern", [r"\pL{100}", "(a{0,1000})" * 23, ".{1000}" * 36])
def test_a_short_expression_can_be_too_large(pattern: str) -> None:
    assert len(pattern) <= 256
    assert "too large" in (defect(pattern) or "")


@pytest.mark.parametrize("pattern", [r"\C", r"a\C", r"\\\C", "(?P<é>a)", "(?<a-b>c)"])
def test_what_the_api_server_refuses_is_a_defect_here(pattern: str) -> None:
    assert defect(pattern)


def test_an_escaped_backslash_before_a_c_is_no_half_character() -> None:
    assert defect(r"\\C") is None


@pytest.mark.parametrize("pattern", LARGE)
def test_a_full_list_of_the_largest_expressions_is_judged_as_the_gateway_will(pattern: str) -> None:
    patterns = [f"{pattern}{index:02d}" for index in range(32)]
    check_together(["a*" * 2048], patterns)
    NameMatcher.build(["a*" * 2048], patterns)


def test_names_that_do_not_fit_into_one_matcher_are_refused_together() -> None:
    names = [f"{'*é' * 254}{index:03d}" for index in range(128)]
    with pytest.raises(PydanticCustomError, match="too large together"):
        check_together(names * 20, None)


@pytest.mark.parametrize("pattern", LARGE)
def test_what_is_not_even_tried_always_fits(pattern: str) -> None:
    NameMatcher.build(["é*" * 2048], [f"{pattern}{index}" for index in range(8)])


def test_the_bound_of_one_expression_lets_a_full_list_fit() -> None:
    assert 32 * MAX_MEMORY <= 8 << 20


@given(st.text(max_size=256))
def test_no_text_crashes_the_check(pattern: str) -> None:
    reason = defect(pattern)
    assert reason is None or reason
