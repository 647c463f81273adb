"""Long ranges from a Prometheus, or from what has its address."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from web_application import serving_application

from ostiary_core.secret_bytes import SecretBytes
from ostiary_operator.console.sources.prometheus import PrometheusRanges, PrometheusUrlError
from ostiary_operator.console.sources.protocols import LongSeries, SourceUnavailable

AT = 1_800_000_000_000
Serve = Callable[[Callable[[web.Request], Awaitable[web.StreamResponse]]], Awaitable[PrometheusRanges]]


def matrix(*series: tuple[Mapping[str, str], list[list[Any]]]) -> dict[str, Any]:
    result = [{"metric": metric, "values": values} for metric, values in series]
    return {"status": "success", "data": {"resultType": "matrix", "result": result}}


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(aiohttp.ClientSession())

        async def start(handler: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> PrometheusRanges:
            app = web.Application()
            app.router.add_route("*", "/prom/api/v1/{path}", handler)
            origin = await stack.enter_async_context(serving_application(app))
            return PrometheusRanges(http, f"{origin}/prom/", token=SecretBytes(b"secret-token"))

        yield start


def answering(document: Any, *, status: int = 200) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def handler(_: web.Request) -> web.StreamResponse:
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        return web.Response(body=body, status=status)

    return handler


async def series(ranges: PrometheusRanges) -> list[LongSeries]:
    return list(await ranges.series("up", begin=AT, end=AT + 3_600_000, step=60))


async def test_series_have_their_labels_and_points_and_what_is_no_number_is_left_out(serve: Serve) -> None:
    values = [[1_800_000_000, "1.5"], [1_800_000_060.5, "NaN"], [1_800_000_120, "+Inf"], [1_800_000_180, "2"]]
    ranges = await serve(answering(matrix(({"__name__": "up", "tool": "x"}, values))))
    assert await series(ranges) == [LongSeries({"tool": "x"}, ((AT, 1.5), (AT + 180_000, 2.0)))]


async def test_samples_and_times_that_no_chart_can_show_are_left_out(serve: Serve) -> None:
    values = [[1_800_000_000, "1e308"], [1_800_000_060, "-1e308"], [1e308, "1"], [-1, "1"], [1_800_000_180, "2"]]
    ranges = await serve(answering(matrix(({}, values))))
    assert await series(ranges) == [LongSeries({}, ((AT + 180_000, 2.0),))]


async def test_the_query_is_sent_as_a_form_with_the_token_and_whole_steps(serve: Serve) -> None:
    seen: list[tuple[str, dict[str, Any], str]] = []

    async def handler(request: web.Request) -> web.Response:
        seen.append((request.path, dict(await request.post()), request.headers["Authorization"]))
        return web.json_response(matrix())

    ranges = await serve(handler)
    await ranges.series("up", begin=AT + 59_999, end=AT + 3_600_001, step=60)
    form = {"query": "up", "start": "1800000000", "end": "1800003600", "step": "60"}
    assert seen == [("/prom/api/v1/query_range", form, "Bearer secret-token")]


async def test_values_at_one_time_are_series_of_one_point(serve: Serve) -> None:
    vector = {"resultType": "vector", "result": [{"metric": {"a": "b"}, "value": [1_800_000_000, "7"]}]}
    ranges = await serve(answering({"status": "success", "data": vector}))
    assert list(await ranges.values("up", at=AT)) == [LongSeries({"a": "b"}, ((AT, 7.0),))]


async def test_viewers_of_the_same_minute_share_an_answer(serve: Serve) -> None:
    asked: list[str] = []

    async def handler(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.json_response(matrix())

    ranges = await serve(handler)
    for more in (0, 1_000, 30_000):
        await ranges.series("up", begin=AT + more, end=AT + 3_600_000 + more, step=60)
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ({"status": "error", "errorType": "bad_data", "error": "parse \x1b[2J error"}, 400, "refuses the query: parse"),
        (b"<html>welcome</html>", 200, "is it Prometheus"),
        (b"[" * 100_000, 200, "is it Prometheus"),
        ({"status": "success", "data": {"resultType": "scalar", "result": [1, "2"]}}, 200, "is it Prometheus"),
        ({"status": "success"}, 200, "is it Prometheus"),
        (matrix(*[({"n": str(n)}, []) for n in range(1_001)]), 200, "is it Prometheus"),
        (b"", 401, "refuses the console with 401"),
        (b"", 302, "is it Prometheus"),
        (b" " * 9_000_000, 200, "more than 8388608 bytes"),
    ],
)
async def test_what_cannot_be_used_is_told_in_one_line(serve: Serve, body: Any, status: int, said: str) -> None:
    ranges = await serve(answering(body, status=status))
    with pytest.raises(SourceUnavailable, match=said) as found:
        await series(ranges)
    assert str(found.value).isprintable()
    assert "secret-token" not in str(found.value)


async def test_one_that_is_away_is_named() -> None:
    async with aiohttp.ClientSession() as http:
        ranges = PrometheusRanges(http, "http://127.0.0.1:1")
        with pytest.raises(SourceUnavailable, match=r"Prometheus at 127\.0\.0\.1:1 does not answer"):
            await series(ranges)


@pytest.mark.parametrize("url", ["", "prometheus:9090", "ftp://prometheus", "http://", "http://a:b@prom", "http://x:y"])
async def test_a_url_that_cannot_be_used_is_refused_at_once(url: str) -> None:
    async with aiohttp.ClientSession() as http:
        with pytest.raises(PrometheusUrlError, match="the URL of Prometheus must"):
            PrometheusRanges(http, url)
