"""Boundaries of latency buckets, and quantiles over their counts.

Metrics and evidence share the boundaries, and the quantile is the one of Prometheus' ``histogram_quantile``: so a
number is the same on a page, on a board and in a terminal.
"""

from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate
from typing import Final

#: The upper bounds of the buckets of an operation's duration, in seconds (conventions, MCP metrics), without infinity.
OPERATION_BOUNDARIES: Final = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120, 300)
#: The same, with smaller ones: a gateway's own answers take less than ten milliseconds.
BOUNDARIES: Final = (0.0005, 0.001, 0.002, 0.005, *OPERATION_BOUNDARIES)
#: The number of buckets: the last one has no upper bound.
BUCKETS: Final = len(BOUNDARIES) + 1


def bucket_of(seconds: float) -> int:
    """Return the index of a duration's bucket; upper bounds are inclusive, as in Prometheus."""
    return bisect_left(BOUNDARIES, seconds)


def quantile(rank: float, counts: Sequence[int]) -> float | None:
    """Return a quantile in seconds; None without observations.

    ``rank`` is above 0 and below 1; ``counts`` are those of each bucket (not cumulative). It is interpolated within its
    bucket, of which the first begins at 0; in the last bucket it is the largest boundary, since no more is known.

    Raises:
        ValueError: the rank is no quantile's, or the counts are not of these buckets.
    """
    if not 0 < rank < 1:
        raise ValueError("rank: use a number above 0 and below 1, such as 0.9")
    if len(counts) != BUCKETS:
        raise ValueError(f"counts: {BUCKETS} buckets are needed, not {len(counts)}")
    totals = list(accumulate(counts))
    if not totals[-1]:
        return None
    wanted = rank * totals[-1]
    bucket = bisect_left(totals, wanted)
    if bucket >= BUCKETS - 1:
        return BOUNDARIES[-1]
    begin, below = (BOUNDARIES[bucket - 1], totals[bucket - 1]) if bucket else (0.0, 0)
    return begin + (BOUNDARIES[bucket] - begin) * (wanted - below) / counts[bucket]
