"""The messages in a response of a legacy server, one after the other."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from time import monotonic
from typing import Any

from ostiary_gateway import sse
from ostiary_gateway.errors import UpstreamFault
from ostiary_gateway.media_types import EVENT_STREAM
from ostiary_gateway.pipeline import jsonrpc
from ostiary_gateway.pipeline.exchange import Exchange
from ostiary_gateway.pipeline.large_messages import limit_of, process_large
from ostiary_gateway.pipeline.sse_transport import UpstreamEvents
from ostiary_gateway.upstream import faults
from ostiary_gateway.upstream.http1.upstream_response import UpstreamResponse
from ostiary_gateway.upstream.server import UpstreamServer


@dataclass(frozen=True, slots=True)
class MessageLimits:
    """The limits of one message: its bytes, and its weight.

    Large ones queue for the turn of ``proxy``.
    """

    size: int
    weight: int
    proxy: str

    @classmethod
    def of(cls, exchange: Exchange) -> "MessageLimits":
        """Return the limits that are in force for an exchange."""
        bounds = exchange.snapshot.settings.bounds
        return cls(bounds.message_bytes, limit_of(bounds), exchange.proxy.uid)


async def messages_of(
    response: UpstreamResponse, server: UpstreamServer, limits: MessageLimits, *, may_idle: bool = False
) -> AsyncGenerator[tuple[bytes, dict[str, Any]]]:
    """Yield each message with its text, of a stream of events or of one document.

    ``may_idle`` for a stream that may be silent for days.

    Raises:
        UpstreamFault: the response is too large, no JSON, breaks off, or does not go on in time.
    """
    is_stream = response.content_type == EVENT_STREAM and response.status < 300
    idle = float("inf") if may_idle else server.idle_seconds
    texts = _events(response, limits, idle) if is_stream else _document(response, limits, server.request_seconds)
    async for text in texts:
        yield text, await process_large(jsonrpc.reading_within(text, limits.weight), text=text, proxy=limits.proxy)


async def _events(response: UpstreamResponse, limits: MessageLimits, idle_seconds: float) -> AsyncGenerator[bytes]:
    events = UpstreamEvents(limit=limits.size)
    while chunk := await _chunk(response, idle_seconds):
        for block in events.feed(chunk):
            event = sse.read(block)
            if event.data is not None and event.is_message:
                yield event.data
    if events.is_document and (rest := events.rest()):
        yield rest


async def _document(response: UpstreamResponse, limits: MessageLimits, seconds: float) -> AsyncGenerator[bytes]:
    chunks: list[bytes] = []
    size = 0
    until = monotonic() + seconds
    while chunk := await _chunk(response, max(0.0, until - monotonic())):
        size += len(chunk)
        if size > limits.size:
            words = f"the answer has more than {limits.size} bytes (bounds.messageBytes)"
            raise UpstreamFault(faults.TOO_LARGE, words)
        chunks.append(chunk)
    yield b"".join(chunks)


async def _chunk(response: UpstreamResponse, seconds: float) -> bytes:
    if (ready := response.ready()) is not None:
        return ready
    try:
        return await response.read_some(seconds)
    except TimeoutError as error:
        raise faults.idle_timeout() from error
