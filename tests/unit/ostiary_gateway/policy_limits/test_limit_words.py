"""What a model reads at a limit, and what a program reads."""

from typing import Any

import pytest
from limits import DAY_MS, NOW, charge, compiled_limit

from ostiary_gateway.policy_limits.limit_words import (
    duration_words,
    limit_data,
    limit_words,
    listed_words,
    window_words,
)
from ostiary_gateway.policy_limits.store import Exhaustion, Unit


def exhaustion(units: int = 1, **given: Any) -> Exhaustion:
    members = given.pop("limit", {"requests": 100})
    members = {
        "unit": Unit.REQUESTS,
        "limit": 100,
        "remaining": 0,
        "retry_at": NOW + 11_500,
        "reset_at": NOW + 11_500,
    } | {
        "charge": charge(compiled_limit(**members), units=units),
        **given,
    }
    return Exhaustion(**members)


WORDS = {
    "a quota": (
        exhaustion(),
        (
            "Limit reached: get_weather cannot be called now. 100 requests are allowed per day, and all 100 are used. "
            "It is possible again at 2026-11-30T15:11:40Z, in 3 h 12 min. "
            "Do not call it before then; go on with other work."
        ),
    ),
    "a rate": (
        exhaustion(limit={"requests": 1, "window": 60_000}, retry_at=NOW + 2.4),
        (
            "Limit reached: get_weather cannot be called now. 100 requests are allowed per minute, "
            "and all 100 are used. It is possible again at 2026-11-30T12:00:03Z, in 3 s. "
            "Wait until then before you call it again."
        ),
    ),
    "a budget": (
        exhaustion(5, unit=Unit.COST, remaining=2, limit={"budget": 100, "period": "Month"}),
        (
            "Limit reached: get_weather costs 5, and the budget is 100 per month, of which 2 are left. "
            "It is possible again at 2026-11-30T15:11:40Z, in 3 h 12 min. "
            "Do not call it before then; go on with other work."
        ),
    ),
    "more than a whole budget": (
        exhaustion(500, unit=Unit.COST, remaining=100, retry_at=None, limit={"budget": 100}),
        (
            "Limit reached: get_weather costs 500, and the budget is 100 per day, of which 100 are left. "
            "It can never be called like this: ask for less."
        ),
    ),
    "requests in flight": (
        exhaustion(unit=Unit.CONCURRENCY, retry_at=None, reset_at=None),
        (
            "Limit reached: get_weather cannot be called now. 100 requests at a time are allowed, "
            "and as many are in flight. Call it again once another call has ended."
        ),
    ),
    "a large request": (
        exhaustion(unit=Unit.REQUEST_BYTES, retry_at=None, reset_at=None),
        (
            "get_weather was not called: the request is larger than the 100 bytes that are allowed here. "
            "Send less in one call."
        ),
    ),
    "a large response": (
        exhaustion(unit=Unit.RESPONSE_BYTES, retry_at=None, reset_at=None),
        (
            "The answer of get_weather is larger than the 100 bytes that are allowed here, and is withheld. "
            "It may have been carried out. Ask for less, or for a smaller part."
        ),
    ),
    "a store that failed": (
        exhaustion(retry_at=None, reset_at=None, store_failed=True),
        "get_weather cannot be called now: this gateway cannot count its calls at the moment. Try again in a moment.",
    ),
}


@pytest.mark.parametrize("case", WORDS)
def test_a_model_reads_what_is_exhausted_and_what_to_do(case: str) -> None:
    found, words = WORDS[case]
    found = found._replace(limit=100)
    assert limit_words(found, "get_weather", NOW) == words


def test_a_program_reads_the_same_as_data() -> None:
    assert limit_data(exhaustion(), NOW) == {
        "unit": "requests",
        "limit": 100,
        "remaining": 0,
        "retryAfterMs": 11_500_000,
        "resetAt": "2026-11-30T15:11:40Z",
    }
    busy = limit_data(exhaustion(unit=Unit.CONCURRENCY, retry_at=None, reset_at=None), NOW)
    assert (busy["retryAfterMs"], busy["resetAt"]) == (1000, None)
    never = limit_data(exhaustion(unit=Unit.COST, retry_at=None), NOW)
    assert never["retryAfterMs"] is None


def test_a_list_says_until_when_a_tool_must_not_be_called() -> None:
    words = (
        "Do not call this tool until 2026-11-30T15:11:40Z: its limit is reached (0 of 100 requests per day are left)."
    )
    assert listed_words(exhaustion()) == words


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({"window": DAY_MS}, "day"),
        ({"window": 7 * DAY_MS}, "7 days"),
        ({"window": 3_600_000}, "hour"),
        ({"window": 90_000}, "90 seconds"),
        ({"window": 1000}, "second"),
        ({"period": "Week"}, "week"),
    ],
)
def test_a_window_is_named_by_its_largest_whole_unit(members: dict[str, Any], words: str) -> None:
    assert window_words(compiled_limit(requests=1, **members)) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(1, "1 s"), (59, "59 s"), (60, "1 min"), (3599, "59 min 59 s"), (3601, "1 h 1 min"), (90_000, "1 d 1 h")],
)
def test_a_duration_has_two_units_at_most(seconds: int, words: str) -> None:
    assert duration_words(seconds) == words
