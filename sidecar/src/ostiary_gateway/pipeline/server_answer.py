"""What a server answers to a request of the gateway's own.

It comes as a document, or as a stream of events.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

from ostiary_core.mcp import codes
from ostiary_gateway import sse
from ostiary_gateway.errors import UpstreamFault
from ostiary_gateway.limits.checks import reserve_response_bytes
from ostiary_gateway.media_types import EVENT_STREAM, JSON
from ostiary_gateway.pipeline import jsonrpc
from ostiary_gateway.pipeline.exchange import Exchange
from ostiary_gateway.pipeline.large_messages import limit_of, process_large
from ostiary_gateway.pipeline.pinned_sessions.session_endpoint import key_of_sender
from ostiary_gateway.pipeline.response_head import retry_after_ms
from ostiary_gateway.pipeline.sse_transport import UpstreamEvents
from ostiary_gateway.upstream import faults, redirects
from ostiary_gateway.upstream.http1.upstream_response import UpstreamResponse
from ostiary_gateway.upstream.server import UpstreamServer

_FOREVER: Final = float("inf")
#: Answers to a request that a server sends in the midst of its response to ours.
AnswerServer = Callable[[dict[str, Any]], Awaitable[None]]
#: The most requests of a server that are answered while it answers one of ours.
_MOST_ASKED: Final = 8


@dataclass(frozen=True, slots=True)
class ServerAnswer:
    """The answer to a request of the gateway's own.

    ``message`` is the JSON-RPC response, empty where the server answered with an HTTP status alone (and to a
    notification), and ``text`` its JSON. ``session_id`` is the session that it opens, None without one. ``words`` says
    why there is no response, for the operator. ``endpoint`` is the key of the endpoint that answered, empty where the
    server has one place only.
    """

    status: int
    message: dict[str, Any]
    session_id: str | None = None
    text: bytes = b""
    retry_after_ms: int | None = None
    words: str = ""
    endpoint: bytes = b""

    @property
    def result(self) -> dict[str, Any] | None:
        """The result, None for an error and for a status alone."""
        found = self.message.get("result")
        return found if isinstance(found, dict) else None

    @property
    def error_code(self) -> int | None:
        """The code of a JSON-RPC error, None for a result and for a status alone."""
        error = self.message.get("error")
        return int(error["code"]) if isinstance(error, dict) else None


def fault_of(server: UpstreamServer, answer: ServerAnswer) -> UpstreamFault | None:
    """Return the fault that an answer without a result shows; None for one with a result."""
    if answer.result is not None:
        return None
    if (code := answer.error_code) is not None:
        return UpstreamFault(faults.UNAVAILABLE, f"the server answered with the JSON-RPC error {code}")
    return status_fault(server, answer)


def status_fault(server: UpstreamServer, answer: ServerAnswer) -> UpstreamFault:
    """Return the fault that the HTTP error status of an answer shows."""
    status, words, credential = answer.status, answer.words, server.credential
    if status in (401, 407):
        return UpstreamFault(credential.refused_by(status), words, of_caller=credential.is_of_caller)
    if status in (403, 421):
        return UpstreamFault(faults.HOST_REFUSED, f"{words} (the gateway sends Host: {server.host})")
    if status == 429 or (status >= 500 and status != 501):
        return UpstreamFault(faults.UNAVAILABLE, words, retry_after_ms=answer.retry_after_ms, http_status=status)
    return UpstreamFault(faults.REDIRECTED if 300 <= status < 400 else faults.INVALID, words)


def refused(message: dict[str, Any]) -> dict[str, Any]:
    """Return the answer to a request that a server sends to the gateway itself."""
    answer: dict[str, Any] = {"jsonrpc": "2.0", "id": jsonrpc.id_of(message)}
    if message.get("method") == "ping":
        return {**answer, "result": {}}
    return {**answer, "error": {"code": codes.METHOD_NOT_FOUND, "message": "The gateway itself answers no requests"}}


async def read_answer(
    exchange: Exchange, response: UpstreamResponse, *, own_id: str | None, answer_server: AnswerServer
) -> ServerAnswer:
    """Read the answer to the request with this id, None for a notification.

    At most ``bounds.messageBytes`` are read, of one message or of a stream; they count for the exchange.

    Raises:
        UpstreamFault: it is too large, broken off, compressed, or not a response to the request.
    """
    if response.encoded:
        raise UpstreamFault(faults.INVALID, "the response is compressed, which was not requested")
    status = response.status
    if own_id is None or (status >= 300 and response.content_type != JSON):
        return _status_alone(response)
    if response.content_type == EVENT_STREAM:
        message, text = await _from_events(exchange, response, own_id, answer_server)
    else:
        text = b"".join([piece async for piece in _pieces(exchange, response)])
        message = await _parsed(exchange, text)
        if status >= 300 and _is_error_of_any(message):
            message["id"] = own_id  # it came on this request's connection
    if not jsonrpc.is_response_to(message, own_id):
        if status >= 300:
            return _status_alone(response)
        raise UpstreamFault(faults.INVALID, "the response does not answer the request")
    return ServerAnswer(
        status,
        message,
        response.header("mcp-session-id"),
        text,
        retry_after_ms(response),
        endpoint=key_of_sender(response),
    )


def _status_alone(response: UpstreamResponse) -> ServerAnswer:
    words = f"the upstream answered HTTP {response.status}"
    if 300 <= response.status < 400:
        words += f" and redirects to {redirects.shown(response.header('location'))}"
    session = response.header("mcp-session-id")
    return ServerAnswer(response.status, {}, session, retry_after_ms=retry_after_ms(response), words=words)


def _is_error_of_any(message: dict[str, Any]) -> bool:
    return "method" not in message and "result" not in message and jsonrpc.is_error(message.get("error"))


async def _pieces(exchange: Exchange, response: UpstreamResponse) -> AsyncIterator[bytes]:
    """Yield a body piece by piece, and count it.

    Raises:
        UpstreamFault: it is larger than a message may be, or broken off.
    """
    most, size = exchange.snapshot.settings.bounds.message_bytes, 0
    while chunk := await response.read_some(_FOREVER) if (ready := response.ready()) is None else ready:
        size += len(chunk)
        if size > most:
            raise UpstreamFault(
                faults.TOO_LARGE, f"the answer has {size} bytes or more, and may have {most} (bounds.messageBytes)"
            )
        reserve_response_bytes(exchange.reservation, len(chunk))
        yield chunk


async def _from_events(
    exchange: Exchange, response: UpstreamResponse, own_id: str, answer_server: AnswerServer
) -> tuple[dict[str, Any], bytes]:
    """Read events until the response comes; notifications of the server are of no interest."""
    events = UpstreamEvents(limit=exchange.snapshot.settings.bounds.message_bytes)
    asked = 0
    async for chunk in _pieces(exchange, response):
        for block in events.feed(chunk):
            event = sse.read(block)
            if event.data is None or not event.is_message:
                continue
            message = await _parsed(exchange, event.data)
            if jsonrpc.is_response_to(message, own_id):
                return message, event.data
            if "method" in message and "id" in message and asked < _MOST_ASKED:
                asked += 1
                await answer_server(message)
    if events.is_document and (text := events.rest()):
        return await _parsed(exchange, text), text
    raise UpstreamFault(faults.RESET, "the stream ended without the answer")


async def _parsed(exchange: Exchange, text: bytes) -> dict[str, Any]:
    limit = limit_of(exchange.snapshot.settings.bounds)
    return await process_large(jsonrpc.reading_within(text, limit), text=text, proxy=exchange.proxy.uid)
