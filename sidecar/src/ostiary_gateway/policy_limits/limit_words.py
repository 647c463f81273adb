"""What a caller is told at a limit: sentences for a model, data for programs.

Neither names a policy or a limit. ``docs/reference/limit-errors.md`` documents the data.
"""

from datetime import UTC, datetime
from itertools import pairwise
from math import ceil
from typing import Any, Final

from ostiary_core.limits.compiled_limit import CompiledLimit
from ostiary_gateway.policy_limits.store import Exhaustion, Unit

#: The member of ``_meta`` that holds the data in results and in lists.
META: Final = "dev.ostiary/limit"
#: Milliseconds after which a request in flight, or a failed store, is worth another try.
_SOON_MS: Final = 1000
_UNITS: Final = (("day", 86_400), ("hour", 3600), ("minute", 60), ("second", 1))
_SHORT: Final = (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1))
_LATER: Final = "Do not call it before then; go on with other work."
_SHORTLY: Final = "Wait until then before you call it again."
#: From this many seconds on, waiting is no option for an agent.
_LONG_WAIT: Final = 30


def limit_data(found: Exhaustion, now: float) -> dict[str, Any]:
    """Return the machine-readable part of an answer; members without a value are null."""
    return {
        "unit": found.unit.value,
        "limit": found.limit,
        "remaining": found.remaining,
        "retryAfterMs": retry_after_ms(found, now),
        "resetAt": None if found.reset_at is None else timestamp(found.reset_at),
    }


def retry_after_ms(found: Exhaustion, now: float) -> int | None:
    """Return after how many milliseconds the request may succeed; None where it never can."""
    if found.retry_at is not None:
        return max(1, ceil((found.retry_at - now) * 1000))
    return _SOON_MS if found.store_failed or found.unit is Unit.CONCURRENCY else None


def timestamp(seconds: float) -> str:
    """Return a time in epoch seconds as RFC 3339 in UTC, rounded up to seconds."""
    return datetime.fromtimestamp(ceil(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def limit_words(found: Exhaustion, what: str, now: float) -> str:
    """Return the sentences for a model; ``what`` names the tool or the method that is refused."""
    return f"{_reason(found, what)} {_advice(found, now)}"


def _reason(found: Exhaustion, what: str) -> str:
    if found.store_failed:
        return f"{what} cannot be called now: this gateway cannot count its calls at the moment."
    if found.unit is Unit.CONCURRENCY:
        return f"Limit reached: {what} cannot be called now. {_may_be_in_flight(found.limit)}"
    if found.unit is Unit.REQUEST_BYTES:
        return f"{what} was not called: the request is larger than the {found.limit} bytes that are allowed here."
    if found.unit is Unit.RESPONSE_BYTES:
        return f"The answer of {what} is larger than the {found.limit} bytes that are allowed here, and is withheld."
    per = window_words(found.charge.limit)
    if found.unit is Unit.REQUESTS:
        return f"Limit reached: {what} cannot be called now. {_requests(found.limit)} per {per}, and {_used(found)}."
    costs = f"{what} costs {found.charge.units}, and the budget is {found.limit} per {per}"
    return f"Limit reached: {costs}, of which {found.remaining} {'is' if found.remaining == 1 else 'are'} left."


def _requests(limit: int) -> str:
    return "1 request is allowed" if limit == 1 else f"{limit} requests are allowed"


def _used(found: Exhaustion) -> str:
    if found.remaining:
        return f"{found.remaining} of them {'is' if found.remaining == 1 else 'are'} left"
    return "it is used" if found.limit == 1 else f"all {found.limit} are used"


def _may_be_in_flight(limit: int) -> str:
    if limit == 1:
        return "1 request at a time is allowed, and one is in flight."
    return f"{limit} requests at a time are allowed, and as many are in flight."


def _advice(found: Exhaustion, now: float) -> str:
    if found.unit is Unit.REQUEST_BYTES:
        return "Send less in one call."
    if found.unit is Unit.RESPONSE_BYTES:
        return "It may have been carried out. Ask for less, or for a smaller part."
    if found.unit is Unit.CONCURRENCY:
        return "Call it again once another call has ended."
    if found.retry_at is None:
        return "Try again in a moment." if found.store_failed else "It can never be called like this: ask for less."
    seconds = max(1, ceil(found.retry_at - now))
    when = f"It is possible again at {timestamp(found.retry_at)}, in {duration_words(seconds)}."
    return f"{when} {_LATER if seconds >= _LONG_WAIT else _SHORTLY}"


def window_words(limit: CompiledLimit) -> str:
    """Return the window of a limit as in "100 per day"."""
    if limit.quota is not None and limit.quota.period is not None:
        return limit.quota.period.value.lower()
    length = limit.rate.window if limit.rate is not None else limit.quota.length if limit.quota is not None else 1.0
    seconds = max(1, round(length))
    name, size = next((name, size) for name, size in _UNITS if seconds % size == 0)
    return name if seconds == size else f"{seconds // size} {name}s"


def duration_words(seconds: int) -> str:
    """Return a duration by its two largest units, such as ``3 h 12 min``.

    It is rounded up to the smaller of them.
    """
    for (name, size), (lower, part) in pairwise(_SHORT):
        if seconds >= size:
            whole, rest = divmod(ceil(seconds / part) * part, size)
            return f"{whole} {name} {rest // part} {lower}" if rest else f"{whole} {name}"
    return f"{seconds} s"


def listed_words(found: Exhaustion) -> str:
    """Return the sentence that a list of tools adds to the description of an exhausted tool."""
    per = window_words(found.charge.limit)
    until = "" if found.reset_at is None else f" until {timestamp(found.reset_at)}"
    what = "requests" if found.unit is Unit.REQUESTS else "units of cost"
    left = f"{found.remaining} of {found.limit} {what} per {per} are left"
    return f"Do not call this tool{until}: its limit is reached ({left})."
