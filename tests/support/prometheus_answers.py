"""A source of long ranges that answers what a test says, and keeps what it was asked."""

from collections.abc import Callable, Sequence

from ostiary_operator.console.sources.protocols import LongSeries, SourceUnavailable

#: The clock of the test, in epoch milliseconds.
NOW = 1_800_000_000_000

Answer = Callable[[str], Sequence[LongSeries]]


def series(*points: float | tuple[int, float], **labels: str) -> LongSeries:
    """Return a series; a point without a time is at the time of the question."""
    return LongSeries(labels, tuple(each if isinstance(each, tuple) else (NOW, each) for each in points))


class AnsweringPrometheus:
    """Implements :class:`~ostiary_operator.console.sources.protocols.LongRanges`."""

    title = "Prometheus"

    def __init__(
        self, values: Answer = lambda _query: (), series: Answer = lambda _query: (), *, is_away: bool = False
    ) -> None:
        self.asked: list[str] = []
        self._values = values
        self._series = series
        self._is_away = is_away

    async def series(self, query: str, *, begin: int, end: int, step: int) -> Sequence[LongSeries]:
        """Return what the test says."""
        assert begin <= end
        assert step > 0
        return self._answer(query, self._series)

    async def values(self, query: str, *, at: int) -> Sequence[LongSeries]:
        """Return what the test says."""
        assert at > 0
        return self._answer(query, self._values)

    def _answer(self, query: str, answer: Answer) -> Sequence[LongSeries]:
        if self._is_away:
            raise SourceUnavailable("Prometheus does not answer: no connection")
        self.asked.append(query)
        return answer(query)
