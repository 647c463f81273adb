"""The answer on its way back: a whole JSON document, or a stream of events as it comes, each as the caller may see it.

Nothing of a stream is held back but the event that is arriving. A caller who goes away cancels his request in the
modern era (the server detects that and cancels us); in the legacy era the upstream's work goes on and is read to its
end, because there a lost connection is not a cancellation.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import aclosing
from typing import Any, Final

import aiohttp
from aiohttp import web

from ostiary_core import strict_json
from ostiary_core.mcp.revisions import LEGACY_REVISIONS
from ostiary_core.policy.visibility import Visibility
from ostiary_gateway import sse
from ostiary_gateway.errors import UpstreamFault
from ostiary_gateway.line import answers
from ostiary_gateway.line.answers import Outcome
from ostiary_gateway.line.exchange import Exchange, Message
from ostiary_gateway.line.forward import EVENT_STREAM, JSON
from ostiary_gateway.line.shape import shape_result, shape_streamed
from ostiary_gateway.line.streams import OpenStream
from ostiary_gateway.session import Session
from ostiary_gateway.upstream import faults
from ostiary_gateway.upstream.server import as_fault

#: A comment is sent into a stream that is silent for so long, in seconds.
KEEP_ALIVE_SECONDS: Final = 15.0
_STREAM_HEADERS: Final = {"Content-Type": EVENT_STREAM, "Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
#: What can be wrong with the caller's connection while we write; the upstream is not to blame.
CALLER_GONE: Final = (ConnectionResetError, aiohttp.ClientConnectionResetError)

#: Gives the session header for an answer to initialize.
SealSession = Callable[[Session], str]


async def read_whole(response: aiohttp.ClientResponse, *, limit: int, idle: float) -> bytes:
    """Read a body of at most ``limit`` bytes, with at most ``idle`` seconds of silence.

    Raises:
        UpstreamFault: too large, silent for too long, or broken off.
    """
    chunks: list[bytes] = []
    size = 0
    async with aclosing(_chunks(response, idle=idle)) as body:
        async for chunk in body:
            size += len(chunk)
            if size > limit:
                raise UpstreamFault(faults.TOO_LARGE, f"the answer is larger than {limit} bytes")
            chunks.append(chunk)
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


async def _chunks(response: aiohttp.ClientResponse, *, idle: float | None) -> AsyncGenerator[bytes, None]:
    try:
        while True:
            async with asyncio.timeout(idle):
                chunk = await response.content.readany()
            if not chunk:
                return
            yield chunk
    except (TimeoutError, aiohttp.ClientError, OSError) as error:
        raise as_fault(error) from error


async def relay_json(
    exchange: Exchange, response: aiohttp.ClientResponse, *, seal: SealSession
) -> tuple[web.Response, Outcome]:
    """Return the answer for a JSON document, and how it ended.

    Raises:
        UpstreamFault: the document is not the answer to the request.
    """
    request = exchange.message
    if request is None or not request.is_request:
        raise UpstreamFault(faults.INVALID, "a document where none can be answered")
    limit = exchange.snapshot.settings.bounds.message_bytes
    text = await read_whole(response, limit=limit, idle=exchange.selected.idle_seconds)
    message = answers.read(text)
    if not answers.answers(message, request.id) and not _is_rejection(message, response.status):
        raise UpstreamFault(faults.INVALID, "the answer is not the answer to the request")
    headers = {"Content-Type": JSON, **_session_header(exchange, response, message, seal)}
    text = shape_result(request.method, text, exchange.routed.visibility)
    return web.Response(body=text, status=response.status, headers=headers), answers.outcome(message)


def _is_rejection(message: dict[str, Any], status: int) -> bool:
    """Say whether an HTTP error carries a JSON-RPC error that names no request, as for one that could not be read."""
    return status >= 400 and message.get("id") is None and isinstance(message.get("error"), dict)


def _session_header(
    exchange: Exchange, response: aiohttp.ClientResponse, message: dict[str, Any], seal: SealSession
) -> dict[str, str]:
    """Seal the session that an answer to initialize opens; a server may also keep none."""
    request = exchange.message
    if request is None or request.method is None or request.method.name != "initialize":
        return {}
    result = message.get("result")
    if not isinstance(result, dict):
        return {}
    revision = result.get("protocolVersion")
    if revision not in LEGACY_REVISIONS:
        raise UpstreamFault(faults.INVALID, "the server negotiated a revision that has no handshake")
    upstream_id = response.headers.get("Mcp-Session-Id")
    return {"Mcp-Session-Id": seal(Session(upstream_id, revision))} if upstream_id is not None else {}


class EventRelay:
    """Relays one event stream. ``stream`` is set where it stays open and is judged again (a GET, a listen)."""

    def __init__(
        self, exchange: Exchange, response: aiohttp.ClientResponse, *, stream: OpenStream | None, seal: SealSession
    ) -> None:
        self.outcome: Outcome | None = None
        self._exchange = exchange
        self._response = response
        self._stream = stream
        self._seal = seal
        self._answer = web.StreamResponse(status=200, headers=_STREAM_HEADERS)
        self._splitter = sse.BlockSplitter(limit=exchange.snapshot.settings.bounds.message_bytes)
        self._idle = None if stream is not None else exchange.selected.idle_seconds
        self._resumable = False
        self._caller_gone = False

    async def run(self) -> web.StreamResponse:
        """Relay until the upstream ends, and return what was sent.

        Raises:
            UpstreamFault: the upstream failed before anything was sent to the caller.
        """
        try:
            await self._relay()
        except UpstreamFault as fault:
            if not self._answer.prepared:
                raise
            await self._say_broken(fault)
        else:
            await self._say_ended()
        if not self._answer.prepared:
            await self._prepare()
        if not self._caller_gone:
            await self._quietly(self._answer.write_eof())
        return self._answer

    async def _relay(self) -> None:
        if not self._opens_session():
            await self._prepare()
        held = b""
        async with aclosing(self._chunks()) as chunks:
            async for chunk in chunks:
                shaped = held + b"".join(map(self._shaped, self._split(chunk)))
                if not self._answer.prepared and self.outcome is None:
                    held = shaped
                    continue
                held = b""
                if not self._answer.prepared:
                    await self._prepare()
                if shaped:
                    await self._write(shaped)

    def _split(self, chunk: bytes) -> Iterator[bytes]:
        try:
            yield from self._splitter.feed(chunk)
        except sse.BlockTooLargeError as error:
            raise UpstreamFault(faults.TOO_LARGE, str(error)) from error

    def _opens_session(self) -> bool:
        """An answer to initialize is held until its revision is known: the session header stands before it."""
        message = self._exchange.message
        return message is not None and message.method is not None and message.method.name == "initialize"

    async def _chunks(self) -> AsyncGenerator[bytes, None]:
        """Yield what arrives. Silence is filled with comments, for as long as the stream may be silent."""
        silent = 0.0
        patience = KEEP_ALIVE_SECONDS if self._idle is None else min(KEEP_ALIVE_SECONDS, self._idle)
        while True:
            try:
                async with asyncio.timeout(patience):
                    chunk = await self._response.content.readany()
            except TimeoutError as error:
                silent += patience
                if self._idle is not None and silent >= self._idle:
                    raise as_fault(error) from error
                await self._keep_alive()
                continue
            except (aiohttp.ClientError, OSError) as error:
                if self._stream is not None and self._stream.ended:
                    return
                raise as_fault(error) from error
            if not chunk:
                return
            silent = 0.0
            yield chunk

    async def _keep_alive(self) -> None:
        if self._answer.prepared and self._splitter.between_blocks:
            await self._write(sse.KEEP_ALIVE)

    def _shaped(self, block: bytes) -> bytes:
        """Return a block as the caller may see it; empty drops it."""
        data = sse.data_of(block)
        self._resumable = self._resumable or b"id:" in block
        if data is None:
            return block
        request = self._exchange.message
        message = answers.read(data)
        if request is not None and request.is_request and answers.answers(message, request.id):
            shaped = self._shaped_answer(request, data, message)
        else:
            shaped = shape_streamed(message, data, self._visibility())
        if shaped is None:
            return b""
        return block if shaped is data else sse.with_data(block, shaped)

    def _shaped_answer(self, request: Message, data: bytes, message: dict[str, Any]) -> bytes | None:
        if self.outcome is not None:
            return None  # one request has one answer, whatever a server sends
        self.outcome = answers.outcome(message)
        self._answer.headers.update(_session_header(self._exchange, self._response, message, self._seal))
        return shape_result(request.method, data, self._visibility())

    def _visibility(self) -> Visibility:
        proxy = self._stream.proxy if self._stream is not None else self._exchange.routed
        return proxy.visibility

    async def _say_ended(self) -> None:
        """A stream that ended without the answer: ours to end (a listen), or broken off by the upstream."""
        message = self._exchange.message
        if self._stream is not None and self._stream.ended and message is not None:
            meta = {"io.modelcontextprotocol/subscriptionId": message.id}
            result = {"resultType": "complete", "_meta": meta}
            await self._write(sse.event(strict_json.dumps({"jsonrpc": "2.0", "id": message.id, "result": result})))
            self.outcome = Outcome()
            return
        await self._say_broken(UpstreamFault(faults.RESET, "the stream ended without the answer"))

    async def _say_broken(self, fault: UpstreamFault) -> None:
        """Tell a caller who waits for an answer that there will be none, unless he can resume the stream."""
        message = self._exchange.message
        if self.outcome is not None or message is None or not message.is_request or self._resumable:
            return
        refusal = faults.refusal(fault)
        error = {"code": refusal.code, "message": refusal.message, "data": refusal.data}
        self.outcome = Outcome(refusal.code, refusal.message)
        if not self._answer.prepared:
            await self._prepare()
        await self._write(sse.event(strict_json.dumps({"jsonrpc": "2.0", "id": message.id, "error": error})))

    async def _prepare(self) -> None:
        await self._quietly(self._answer.prepare(self._exchange.request))

    async def _write(self, data: bytes) -> None:
        if not self._caller_gone:
            await self._quietly(self._answer.write(data))

    async def _quietly(self, writing: Awaitable[Any]) -> None:
        """Write to the caller. Once he is gone the upstream is only read to its end, see the module's docstring."""
        try:
            await writing
        except CALLER_GONE:
            self._caller_gone = True
