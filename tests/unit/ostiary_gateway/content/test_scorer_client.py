"""Asking scorers: by the rules of upstream servers, within a time, and not again and again where they fail."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from scorers import LOOPBACK, ScorerOfTests, scorer

from ostiary_core.content.scoring.scorer_texts import ScorerError
from ostiary_core.contract.guards import ScorerConfig
from ostiary_gateway.content.scorer_client import Scorers

REQUEST = {"version": 1, "direction": "Results", "texts": [{"place": "/result", "text": "hello"}]}


@pytest.fixture(name="scorer")
async def _served() -> AsyncIterator[ScorerOfTests]:
    async with scorer() as served:
        yield served


def config(url: str, *, timeout: int = 60_000) -> ScorerConfig:
    return ScorerConfig(
        url=url,
        timeout=timeout,
        max_bytes=1000,
        on_failure="Block",
        sends="Masked",
    )


async def test_a_scorer_is_asked_and_its_spans_are_returned(scorer: ScorerOfTests) -> None:
    scorer.answer = lambda _: {"verdict": "Flag", "spans": [{"text": 0, "start": 1, "end": 3}]}
    assert await Scorers().ask(config(scorer.url), REQUEST, addresses=LOOPBACK) == [(0, 1, 3)]
    assert scorer.asked == [REQUEST]


async def test_a_scorer_on_a_forbidden_address_is_not_connected_to(scorer: ScorerOfTests) -> None:
    with pytest.raises(ScorerError):
        await Scorers().ask(config(scorer.url), REQUEST)
    assert scorer.asked == []


@pytest.mark.parametrize("url", ["http://scorer.example/score", "ftp://localhost/", "http://u:p@localhost/", "http://"])
async def test_a_url_that_is_not_permitted_is_an_error(url: str) -> None:
    with pytest.raises(ScorerError):
        await Scorers().ask(config(url), REQUEST, addresses=LOOPBACK)


async def test_a_scorer_that_hangs_is_given_up(scorer: ScorerOfTests) -> None:
    hanging = asyncio.Event()

    async def hang() -> Any:
        await hanging.wait()
        return {"verdict": "Pass"}

    scorer.answer = lambda _: hang()
    with pytest.raises(ScorerError, match="no complete response"):
        await Scorers().ask(config(scorer.url, timeout=50), REQUEST, addresses=LOOPBACK)
    hanging.set()


@pytest.mark.parametrize(
    "answer",
    [
        web.Response(status=500),
        web.Response(status=302, headers={"Location": "http://169.254.169.254/"}),
        web.Response(text="no json"),
        web.Response(text='{"verdict":"Flag","spans":[{"text":0,"start":0,"end":99}]}'),
        web.Response(text='{"verdict":"Pass","verdict":"Flag"}'),
        web.Response(text='{"verdict":"Flag","spans":[' + "1," * 300_000 + "1]}"),
    ],
    ids=["error", "redirect", "no JSON", "points outside", "duplicate keys", "huge"],
)
async def test_an_answer_that_cannot_be_used_is_a_failure(scorer: ScorerOfTests, answer: web.Response) -> None:
    scorer.answer = lambda _: answer
    with pytest.raises(ScorerError):
        await Scorers().ask(config(scorer.url), REQUEST, addresses=LOOPBACK)


async def test_a_scorer_that_fails_is_not_asked_for_a_time_and_then_tried_again(scorer: ScorerOfTests) -> None:
    now = [100.0]
    scorers = Scorers(clock=lambda: now[0])
    scorer.answer = lambda _: web.Response(status=503)
    for _ in range(12):
        with pytest.raises(ScorerError):
            await scorers.ask(config(scorer.url), REQUEST, addresses=LOOPBACK)
    assert len(scorer.asked) == 10
    scorer.answer = lambda _: {"verdict": "Pass"}
    with pytest.raises(ScorerError, match="failed too often"):
        await scorers.ask(config(scorer.url), REQUEST, addresses=LOOPBACK)
    now[0] += 6
    assert await scorers.ask(config(scorer.url), REQUEST, addresses=LOOPBACK) is None
    assert await scorers.ask(config(scorer.url), REQUEST, addresses=LOOPBACK) is None


async def test_few_requests_wait_for_one_scorer(scorer: ScorerOfTests) -> None:
    go_on = asyncio.Event()

    async def hang() -> Any:
        await go_on.wait()
        return {"verdict": "Pass"}

    scorer.answer = lambda _: hang()
    scorers = Scorers()
    asking = [asyncio.ensure_future(scorers.ask(config(scorer.url), REQUEST, addresses=LOOPBACK)) for _ in range(64)]
    await asyncio.sleep(0)
    with pytest.raises(ScorerError, match="wait for the scorer"):
        await scorers.ask(config(scorer.url), REQUEST, addresses=LOOPBACK)
    go_on.set()
    assert set(await asyncio.gather(*asking)) == {None}
    scorers.close()
