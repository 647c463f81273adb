"""A stream is opened again at once after a good while, and ever later where it ends at once."""

import asyncio
from collections.abc import Callable
from typing import Any, cast

import pytest
from mcp_clients import eventually

from ostiary_gateway.errors import Refusal, UpstreamFault
from ostiary_gateway.pipeline.leg import Leg
from ostiary_gateway.pipeline.pinned_sessions.stream_reopening import StreamReopening
from ostiary_gateway.upstream import faults


class Answered:
    """The response to a GET: a stream, or none."""

    def __init__(self, content_type: str = "text/event-stream") -> None:
        self.status = 200
        self.content_type = content_type
        self.is_closed = False

    def close(self) -> None:
        self.is_closed = True

    def hold_back(self) -> None:
        """Take no more for now."""


class CallersStream:
    """The stream of a caller that waits, as far as it is needed here."""

    def __init__(self) -> None:
        self.stream = self
        self.downstream = self
        self.notices = self
        self.response: Any = None
        self.ended = self.is_ended = self.gone = False
        self.owed: frozenset[Any] = frozenset()
        self.source: Any = None

    def owe(self, primitives: frozenset[Any]) -> None:
        self.owed = primitives

    def keep_alive(self) -> None:
        """Write a comment."""

    async def flush(self) -> None:
        """Send it."""


class Scripted(StreamReopening):
    """Opens a stream as a script says, one outcome each time."""

    def __init__(self, *outcomes: Any) -> None:
        nothing: Any = None
        exchange = cast("Any", CallersStream())
        exchange.session = None
        super().__init__(exchange, Leg(nothing, None, None), nothing, nothing)
        self._outcomes = list(outcomes)

    async def _open(self) -> Any:
        outcome = self._outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses that were made, without the random part."""
    made: list[float] = []
    slept = asyncio.sleep

    async def sleep(seconds: float) -> None:
        made.append(seconds)
        await slept(0)

    monkeypatch.setattr("ostiary_gateway.pipeline.pinned_sessions.stream_reopening.asyncio.sleep", sleep)
    monkeypatch.setattr("ostiary_gateway.pipeline.pinned_sessions.stream_reopening.random.uniform", lambda low, _: low)
    return made


async def test_a_stream_that_ends_at_once_is_opened_again_ever_later(pauses: list[float]) -> None:
    streams = [Answered() for _ in range(12)]
    reopening = Scripted(*streams)
    to = cast("Any", CallersStream())

    found: list[Any] = [await reopening.response_for(to) for _ in streams]

    assert found == streams
    assert pauses == [0.0, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0, 60.0]
    assert to.owed


async def test_a_server_that_fails_is_asked_again_until_the_stream_is_there(pauses: list[float]) -> None:
    stream = Answered()
    reopening = Scripted(UpstreamFault(faults.RESET, "no"), UpstreamFault(faults.UNREACHABLE, "no"), stream)

    found: Any = await reopening.response_for(cast("Any", CallersStream()))

    assert found is stream
    assert pauses == [0.0, 0.25, 0.5]


# Made in the test: what is raised keeps its traceback, and with it the stream.
@pytest.mark.parametrize(
    "outcome", [lambda: Refusal(404, "SessionNotFound", "no"), lambda: Answered("application/json")]
)
@pytest.mark.usefixtures("pauses")
async def test_a_stream_that_a_server_has_no_more_ends(outcome: Callable[[], Any]) -> None:
    to = cast("Any", CallersStream())

    assert await Scripted(outcome()).response_for(to) is None
    assert to.ended


@pytest.mark.usefixtures("pauses")
async def test_a_stream_that_is_ended_while_it_is_opened_is_opened_no_more() -> None:
    reopening = Scripted(*[UpstreamFault(faults.RESET, "no")] * 1_000_000)
    to = cast("Any", CallersStream())
    waiting = asyncio.ensure_future(reopening.response_for(to))
    await eventually(lambda: to.response is not None)

    to.response.close()

    assert await waiting is None


@pytest.mark.usefixtures("pauses")
async def test_nothing_is_opened_for_a_caller_that_has_gone() -> None:
    to = cast("Any", CallersStream())
    to.gone = True

    assert await Scripted().response_for(to) is None
