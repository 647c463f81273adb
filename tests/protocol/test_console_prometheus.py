"""The console asks a real Prometheus for long ranges."""

import time

import aiohttp
import pytest
from prometheus import prometheus

from ostiary_operator.console.sources.prometheus import PrometheusRanges
from ostiary_operator.console.sources.protocols import SourceUnavailable


async def test_a_real_prometheus_answers_queries_over_time_and_at_one_time() -> None:
    now = int(time.time() * 1000)
    async with prometheus({}) as server, aiohttp.ClientSession() as http:
        await server.until("vector(1)")
        ranges = PrometheusRanges(http, server.url)
        (series,) = await ranges.series('label_replace(vector(42), "tool", "x", "", "")', begin=now, end=now, step=60)
        assert (series.labels, [value for _, value in series.points]) == ({"tool": "x"}, [42.0])
        (value,) = await ranges.values("vector(7)", at=now)
        assert [each for _, each in value.points] == [7.0]
        assert list(await ranges.values("vector(7) > 8", at=now)) == []
        with pytest.raises(SourceUnavailable, match=r"refuses the query: .*parse error"):
            await ranges.values("sum(", at=now)
