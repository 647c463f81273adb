"""Quotas: exactly the amount in each window, and windows that tile the calendar of every time zone."""

import math
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ostiary_core.limits.quota import Period, Quota, QuotaCount, add, count_at, give_back, take, window_of

NOW = 1_790_000_000.0
ZONES = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "America/Havana",
    "America/St_Johns",
    "Asia/Kolkata",
    "Asia/Beirut",
    "Africa/Cairo",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "Pacific/Kiritimati",
]


def at(text: str, zone: str = "UTC") -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()


def calendar(period: Period, zone: str = "UTC", amount: int = 3) -> Quota:
    return Quota(amount, period=period, zone=ZoneInfo(zone))


def test_exactly_the_amount_is_admitted_and_the_next_request_is_told_when() -> None:
    quota, count = Quota(3, 3600.0), None
    for left in (2, 1, 0):
        decision = take(quota, count, 1, NOW)
        assert (decision.allowed, decision.remaining) == (True, left)
        count = decision.counted
    refused = take(quota, count, 1, NOW + 600)
    assert (refused.allowed, refused.remaining, refused.retry_after) == (False, 0, 3000.0)
    assert refused.reset_at == NOW + 3600
    assert take(quota, count, 1, NOW + 3600).allowed


def test_more_than_the_whole_quota_is_never_possible_and_says_so() -> None:
    assert take(Quota(3, 3600.0), None, 4, NOW).retry_after == math.inf


@given(steps=st.lists(st.tuples(st.floats(-3000, 5000), st.integers(0, 4)), max_size=80), amount=st.integers(1, 20))
def test_no_window_admits_more_than_the_amount_whatever_the_clock_does(
    steps: list[tuple[float, int]], amount: int
) -> None:
    quota, now, count = Quota(amount, 3600.0), NOW, None
    admitted: dict[float, int] = {}
    for step, units in steps:
        now += step
        decision = take(quota, count, units, now)
        count = decision.counted
        if decision.allowed:
            admitted[count.window.start] = admitted.get(count.window.start, 0) + units
            assert admitted[count.window.start] <= amount
            assert decision.remaining == amount - count.used


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("period", Period)
@settings(max_examples=25)
@given(now=st.floats(0, 4e9))
def test_a_time_is_in_its_window_and_the_next_window_begins_at_its_end(zone: str, period: Period, now: float) -> None:
    quota = calendar(period, zone)
    window = window_of(quota, now)
    assert window.start <= now < window.end
    following = window_of(quota, window.end)
    assert following.start <= window.end < following.end
    if period is not Period.HOUR:
        assert following.start == window.end
        assert window_of(quota, window.start) == window
        assert window_of(quota, math.nextafter(window.end, 0)) == window


@pytest.mark.parametrize(
    ("day", "hours"), [("2026-03-29", 23), ("2026-03-30", 24), ("2026-10-25", 25)], ids=["spring", "plain", "autumn"]
)
def test_a_day_is_as_long_as_the_clocks_of_its_time_zone_make_it(day: str, hours: int) -> None:
    window = window_of(calendar(Period.DAY, "Europe/Berlin"), at(f"{day}T12:00", "Europe/Berlin"))
    assert window.end - window.start == hours * 3600
    assert window.start == at(f"{day}T00:00", "Europe/Berlin")


def test_both_hours_with_one_name_in_autumn_are_windows_of_their_own() -> None:
    quota = calendar(Period.HOUR, "Europe/Berlin")
    first = window_of(quota, at("2026-10-25T00:30"))
    second = window_of(quota, at("2026-10-25T01:30"))
    assert first.end == second.start
    assert (first.end - first.start, second.end - second.start) == (3600, 3600)


def test_a_day_whose_midnight_does_not_exist_begins_when_the_clock_is_changed() -> None:
    zone = "Asia/Beirut"  # at midnight of the last Sunday in March clocks go to 01:00
    window = window_of(calendar(Period.DAY, zone), at("2026-03-29T12:00", zone))
    assert window.start == at("2026-03-29T01:00", zone)
    assert window.end - window.start == 23 * 3600


def test_an_hour_of_a_zone_with_half_hours_begins_there_on_the_hour() -> None:
    window = window_of(calendar(Period.HOUR, "Asia/Kolkata"), at("2026-05-05T10:45", "Asia/Kolkata"))
    assert window.start == at("2026-05-05T10:00", "Asia/Kolkata")


def test_a_week_begins_on_monday_and_a_month_on_its_first() -> None:
    moment = at("2026-11-29T12:00")
    week, month = (window_of(calendar(period), moment) for period in (Period.WEEK, Period.MONTH))
    assert (week.start, week.end) == (at("2026-11-23T00:00"), at("2026-11-30T00:00"))
    assert (month.start, month.end) == (at("2026-11-01T00:00"), at("2026-12-01T00:00"))


def test_a_quota_of_a_day_is_whole_again_at_midnight() -> None:
    quota = calendar(Period.DAY, "Europe/Berlin", amount=1)
    evening = at("2026-11-29T23:59:59", "Europe/Berlin")
    used = take(quota, None, 1, evening)
    assert not take(quota, used.counted, 1, evening).allowed
    assert take(quota, used.counted, 1, evening).retry_after == 1
    assert take(quota, used.counted, 1, evening + 1).allowed


def test_a_clock_that_goes_back_over_midnight_admits_nothing_twice() -> None:
    quota = calendar(Period.DAY, amount=1)
    midnight = at("2026-11-30T00:00")
    count = take(quota, None, 1, midnight - 1).counted
    count = take(quota, count, 1, midnight).counted
    again = take(quota, count, 1, midnight - 2)
    assert not again.allowed
    assert again.reset_at == midnight + 86_400


def test_units_given_back_count_only_in_the_window_that_they_were_taken_in() -> None:
    quota = Quota(5, 3600.0)
    count = take(quota, None, 2, NOW).counted
    assert give_back(count, 2, taken_at=NOW).used == 0
    later = take(quota, count, 3, NOW + 4000).counted
    assert give_back(later, 2, taken_at=NOW).used == 3


def test_a_result_that_costs_more_than_is_left_refuses_the_next_call_until_the_window_ends() -> None:
    quota = Quota(10, 3600.0)
    count = add(quota, take(quota, None, 1, NOW).counted, 50, NOW)
    refused = take(quota, count, 1, NOW + 1)
    assert (refused.allowed, refused.remaining) == (False, 0)
    assert refused.reset_at == NOW + 3600


def test_a_changed_limit_keeps_what_was_used_where_its_window_still_covers_it() -> None:
    morning = at("2026-11-29T08:00")
    day = take(calendar(Period.DAY), None, 2, morning).counted
    assert count_at(calendar(Period.MONTH), day, morning).used == 2
    assert count_at(Quota(3, 7200.0), take(Quota(3, 3600.0), None, 2, NOW).counted, NOW + 5000) == QuotaCount(
        2, window_of(Quota(3, 7200.0), NOW)
    )


def test_an_instant_has_the_same_window_whichever_zone_it_is_written_in() -> None:
    moment = datetime(2026, 6, 1, 12, tzinfo=UTC).timestamp()
    assert window_of(calendar(Period.DAY), moment).start == at("2026-06-01T00:00")
