"""What the stages of the pipeline tell the debug capture of a proxy.

All of it runs only for a request whose :attr:`Exchange.debug` is set. It never waits, and cannot fail a request.
"""

from collections.abc import Iterator
from time import time
from typing import Any, Final

from ostiary_core.policy.decision import Decision
from ostiary_gateway.debug_capture.captured_exchange import CapturedExchange
from ostiary_gateway.debug_capture.captures import DebugCaptures
from ostiary_gateway.errors import Refusal
from ostiary_gateway.pipeline.authorize import DeniedError
from ostiary_gateway.pipeline.exchange import Exchange
from ostiary_gateway.pipeline.open_streams import OpenStreams
from ostiary_gateway.telemetry import ServerSpan, semantic_conventions

_OUTCOMES: Final = {
    None: "Ok",
    semantic_conventions.TOOL_ERROR: "ToolError",
    semantic_conventions.CANCELLED: "Cancelled",
}
_ANSWERED_BY_UPSTREAM: Final = "Error"


def begin(exchange: Exchange, captures: DebugCaptures) -> None:
    """Capture an exchange, if its proxy's capture is not over and has room for it."""
    capture = captures.of(exchange.proxy)
    number = capture.ring.begin() if capture is not None else 0
    if capture is None or not number:
        exchange.debug = None
        return
    exchange.debug = CapturedExchange(
        capture.ring,
        number=number,
        at=time(),
        has_contents=capture.has_contents,
        credentials=_credentials(exchange),
        masks=exchange.proxy.record_masks,
    )
    if exchange.request.method != "POST":
        exchange.debug.asks("stream", method=exchange.request.method)


def capture_streams(streams: OpenStreams, captures: DebugCaptures) -> None:
    """Capture the open streams of proxies that have a capture since this swap, and no others."""
    for exchange in (stream.exchange for stream in streams):
        if exchange.proxy.debug_capture is None:
            exchange.debug = None
        elif exchange.debug is None:
            begin(exchange, captures)
            if exchange.debug is not None:
                decoded(exchange, exchange.debug)


def decoded(exchange: Exchange, debug: CapturedExchange) -> None:
    """Take the message of the caller."""
    message = exchange.message
    if message is None:
        return
    if message.method is None:
        debug.asks("response", identifier=message.body.get("id"))
        debug.answers(message.body)
        return
    kind = "request" if message.is_request else "notification"
    debug.asks(kind, identifier=message.id, method=message.method.name, name=message.name, params=message.params)


def answered(exchange: Exchange, message: dict[str, Any]) -> None:
    """Take the response, as the caller gets it: for the span, and for the capture."""
    if exchange.captured is not None:
        exchange.captured.take(message)
    if exchange.debug is not None:
        _hide_credentials(exchange, exchange.debug)
        exchange.debug.answers(message)


def answered_text(exchange: Exchange, debug: CapturedExchange, text: bytes) -> None:
    """Take a response that was not parsed, as the caller gets it."""
    _hide_credentials(exchange, debug)
    debug.answers_text(text)


def sent(exchange: Exchange, debug: CapturedExchange, text: bytes) -> None:
    """Take a message of the server that is no response to the request, as the caller gets it."""
    _hide_credentials(exchange, debug)
    debug.sends(text, at=time())


def _hide_credentials(exchange: Exchange, debug: CapturedExchange) -> None:
    """Hide what the servers were sent to prove who calls: they may repeat it."""
    for server in exchange.proxy.servers:
        debug.hide(server.credential.sent())


def refused(debug: CapturedExchange, refusal: Refusal) -> None:
    """Take a response of our own."""
    debug.refused(code=refusal.code, reason=refusal.reason, message=refusal.message)
    if isinstance(refusal, DeniedError):
        _decided(debug, refusal.decision)


def finished(span: ServerSpan, exchange: Exchange, debug: CapturedExchange) -> None:
    """Keep the record of an exchange that has ended, however it did."""
    if exchange.decision is not None:
        _decided(debug, exchange.decision)
    debug.finish(
        outcome="Refused" if debug.is_refused else _OUTCOMES.get(span.error_type, _ANSWERED_BY_UPSTREAM),
        caller=exchange.principal.consumer or exchange.principal.id,
        seconds=span.elapsed,
        trace_id=span.trace_id,
        status=span.http_status,
        error=span.error_type or "",
    )


def _decided(debug: CapturedExchange, decision: Decision) -> None:
    debug.decided(allowed=decision.allowed, policy=decision.policy, rule=decision.rule, reason=decision.reason.value)


def _credentials(exchange: Exchange) -> Iterator[str]:
    """Yield what the caller proves itself with, and its session: a server may repeat it."""
    headers, authenticator = exchange.request.headers, exchange.proxy.authenticator
    named = authenticator.headers if authenticator is not None else ()
    for name in {"authorization", "cookie", "mcp-session-id", "proxy-authorization", *named}:
        value = headers.get(name, "")
        yield value
        yield from (word for word in value.replace(";", " ").replace("=", " ").split(" ") if word != value)
