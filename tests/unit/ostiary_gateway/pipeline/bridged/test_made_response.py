"""A response that the gateway makes is a document or a stream, at the pace of its caller, and ends with it."""

import asyncio
from collections.abc import AsyncGenerator

import pytest
from waiting import for_ever

from ostiary_core.mcp import codes
from ostiary_gateway.errors import Refusal, UpstreamFault
from ostiary_gateway.pipeline.bridged import made_response as module
from ostiary_gateway.pipeline.bridged.made_response import MadeMessage, made_response
from ostiary_gateway.upstream import faults
from ostiary_gateway.upstream.http1.upstream_response import HIGH_WATER, UpstreamResponse

LAST = MadeMessage(b'{"last":1}', is_last=True, status=404)


class Messages:
    """Messages, and whether they were ended."""

    def __init__(self, *messages: MadeMessage, end: Exception | None = None, waits: bool = False) -> None:
        self.given = 0
        self.ended = asyncio.Event()
        self._messages = messages
        self._end = end
        self._waits = waits

    async def __call__(self) -> AsyncGenerator[MadeMessage]:
        try:
            for message in self._messages:
                self.given += 1
                yield message
            if self._waits:
                await for_ever()
            if self._end is not None:
                raise self._end
        finally:
            self.ended.set()


async def body(response: UpstreamResponse) -> bytes:
    """All of a response."""
    found = b""
    while chunk := await response.read_some(float("inf")):
        found += chunk
    return found


async def test_a_first_message_that_is_the_last_is_a_document_with_its_status() -> None:
    messages = Messages(LAST)
    response = await made_response(messages())
    assert (response.status, response.content_type) == (404, "application/json")
    assert await body(response) == LAST.text
    assert messages.ended.is_set()


async def test_several_messages_are_events() -> None:
    response = await made_response(Messages(MadeMessage(b'{\n"one":1}'), LAST)())
    assert (response.status, response.content_type) == (200, "text/event-stream")
    assert await body(response) == b'event: message\ndata: { "one":1}\n\nevent: message\ndata: {"last":1}\n\n'


async def test_a_slow_first_message_begins_a_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PATIENCE_SECONDS", 0)
    messages = Messages(waits=True)
    response = await made_response(messages())
    assert response.content_type == "text/event-stream"
    response.close()
    await messages.ended.wait()


async def test_closing_a_response_ends_its_messages() -> None:
    messages = Messages(MadeMessage(b"{}"), waits=True)
    response = await made_response(messages())
    await response.read_some(float("inf"))
    response.close()
    await messages.ended.wait()


async def test_a_caller_that_goes_away_before_the_first_message_ends_them() -> None:
    messages = Messages(waits=True)
    opening = asyncio.ensure_future(made_response(messages()))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    opening.cancel()
    await asyncio.gather(opening, return_exceptions=True)
    assert messages.ended.is_set()


async def test_a_slow_caller_slows_the_messages() -> None:
    messages = Messages(*(MadeMessage(b"x" * HIGH_WATER) for _ in range(10)), LAST)
    response = await made_response(messages())
    for _ in range(100):
        await asyncio.sleep(0)
    assert messages.given < 5
    assert len(await body(response)) > 10 * HIGH_WATER


@pytest.mark.parametrize(
    "error",
    [UpstreamFault(faults.RESET, "it broke off"), Refusal(200, "TooMany", "Too many", code=codes.LIMITED)],
)
async def test_a_failure_before_the_first_message_is_raised(error: Exception) -> None:
    with pytest.raises(type(error)):
        await made_response(Messages(end=error)())


async def test_a_failure_after_it_breaks_the_stream_off() -> None:
    response = await made_response(Messages(MadeMessage(b"{}"), end=UpstreamFault(faults.RESET, "it broke off"))())
    with pytest.raises(UpstreamFault, match="broke off"):
        await body(response)


async def test_no_message_at_all_is_a_fault() -> None:
    with pytest.raises(UpstreamFault, match="without an answer"):
        await made_response(Messages()())


def test_a_message_passes_between_replicas_as_it_is() -> None:
    for message in (LAST, MadeMessage(b""), MadeMessage(b"\x00\xff")):
        assert MadeMessage.unpacked(message.packed()) == message
