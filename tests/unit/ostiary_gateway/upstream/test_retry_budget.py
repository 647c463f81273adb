"""A server gets at most a share of its requests again."""

from hypothesis import given
from hypothesis import strategies as st

from ostiary_core.contract.server_resilience import RetryBudgetConfig
from ostiary_gateway.upstream.retry_budget import MINIMUM, RetryBudget


def budget(percent: int = 20, interval: int = 10_000) -> RetryBudget:
    return RetryBudget(RetryBudgetConfig(percent=percent, interval=interval))


def taken(budget: RetryBudget, now: float, *, most: int = 10_000) -> int:
    """How many requests may be sent again now."""
    return next((count for count in range(most) if not budget.take(now)), most)


def test_a_server_with_few_requests_may_get_ten_again_in_an_interval() -> None:
    each = budget()
    each.note_request(0.0)
    assert taken(each, 1.0) == MINIMUM
    assert taken(each, 9.9) == 0


def test_a_server_with_many_requests_gets_the_share_of_them_again() -> None:
    each = budget(percent=20)
    for _ in range(1000):
        each.note_request(0.0)
    assert taken(each, 1.0) == 200


def test_no_request_is_repeated_with_a_budget_of_nothing() -> None:
    assert not budget(percent=0).take(0.0)


def test_requests_and_repeated_ones_count_less_as_the_interval_goes_by() -> None:
    each = budget(percent=20)
    for _ in range(1000):
        each.note_request(0.0)
    assert taken(each, 0.0) == 200
    assert taken(each, 15.0) == 0  # half of both is left, so the share is used up still
    assert taken(each, 20.0) == MINIMUM


def test_what_was_long_ago_is_forgotten() -> None:
    each = budget(percent=50)
    for _ in range(1000):
        each.note_request(0.0)
    assert taken(each, 1000.0) == MINIMUM


@given(
    st.lists(st.tuples(st.floats(0, 3), st.booleans()), max_size=400),
    st.integers(1, 100),
)
def test_no_interval_of_requests_is_repeated_beyond_its_share(events: list[tuple[float, bool]], percent: int) -> None:
    """Over two whole intervals, at most the share of the requests in three, or the minimum of each."""
    each, now, requests, repeated = budget(percent=percent, interval=1000), 0.0, [0.0], list[float]()
    for pause, is_first in events:
        now += pause
        if is_first:
            each.note_request(now)
            requests.append(now)
        elif each.take(now):
            repeated.append(now)
    for end in repeated:
        within = sum(end - 1 <= at <= end for at in repeated)
        near = sum(end - 3 <= at <= end for at in requests)
        assert within <= 2 * max(MINIMUM, percent / 100 * near) + 1
