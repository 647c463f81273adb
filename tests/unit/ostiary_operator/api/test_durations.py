import pytest
import re2
from hypothesis import given
from hypothesis import strategies as st

from ostiary_operator.api.durations import DURATION_PATTERN, MILLISECONDS, Duration, LimitWindow, between

#: The longest that four terms of five digits can say.
LONGEST = 99_999 * 3_600_000 * 4
TERMS = st.lists(st.tuples(st.integers(0, 99_999), st.sampled_from(sorted(MILLISECONDS))), min_size=1, max_size=4)


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [
        ("0s", 0),
        ("5ms", 5),
        ("10s", 10_000),
        ("1h30m", 5_400_000),
        ("30m1h", 5_400_000),
        ("1s1s", 2_000),
        ("007s", 7_000),
    ],
)
def test_a_duration_is_the_sum_of_its_terms(text: str, milliseconds: int) -> None:
    assert Duration.parse(text) == Duration(milliseconds)


@pytest.mark.parametrize(
    "text", ["", "5", "s", "1.5s", "-1s", "1d", "1S", " 1s", "1s ", "1s\n", "100000s", "1s1s1s1s1s"]
)
def test_what_gateway_api_would_not_take_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration"):
        Duration.parse(text)


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [(0, "0s"), (90_000, "1m30s"), (3_600_000, "1h"), (61_001, "1m1s1ms"), (86_400_000, "24h")],
)
def test_a_duration_prints_itself_in_the_canonical_form(milliseconds: int, text: str) -> None:
    assert str(Duration(milliseconds)) == text


@given(st.integers(0, 99_999 * 3_600_000))
def test_what_is_printed_is_read_back(milliseconds: int) -> None:
    text = str(Duration(milliseconds))

    assert re2.search(DURATION_PATTERN, text)
    assert Duration.parse(text) == Duration(milliseconds)


@given(TERMS)
def test_any_terms_add_up(terms: list[tuple[int, str]]) -> None:
    text = "".join(f"{count}{unit}" for count, unit in terms)
    assert Duration.parse(text).milliseconds == sum(count * MILLISECONDS[unit] for count, unit in terms)


@given(TERMS)
def test_every_duration_can_be_printed(terms: list[tuple[int, str]]) -> None:
    duration = Duration.parse("".join(f"{count}{unit}" for count, unit in terms))
    assert duration.milliseconds <= LONGEST
    assert str(duration)


def test_seconds_are_for_asyncio() -> None:
    assert Duration.parse("1500ms").seconds == 1.5


def test_the_bounds_of_a_duration_are_included() -> None:
    rule = between("10ms", "1m")
    assert [rule.holds(Duration.parse(text)) for text in ("9ms", "10ms", "60s", "61s")] == [False, True, True, False]


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [("1s", 1_000), ("1500ms", 1_500), ("1d", 86_400_000), ("31d", 2_678_400_000), ("744h", 2_678_400_000)],
)
def test_a_window_of_a_limit_may_be_written_in_days(text: str, milliseconds: int) -> None:
    assert LimitWindow.parse(text).milliseconds == milliseconds
    assert LimitWindow.parse(str(LimitWindow.parse(text))) == LimitWindow.parse(text)


@pytest.mark.parametrize("text", ["0d", "32d", "01d", "1d12h", "-1d", "1.5d", "d", "1D"])
def test_no_other_days_are_a_window(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration"):
        LimitWindow.parse(text)
