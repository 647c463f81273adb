"""Ask a server's circuit breaker before a request, and tell it how that ended.

All attempts of one request count as one. What is no request passes: notifications, responses to a server's requests,
and the end of a session, which frees what the server holds. A server without a breaker costs one comparison.
"""

from contextlib import AbstractContextManager, nullcontext
from typing import Final

from ostiary_core.mcp.methods import METHODS
from ostiary_gateway.errors import Refusal, UpstreamFault
from ostiary_gateway.pipeline.exchange import Exchange
from ostiary_gateway.pipeline.leg import Leg
from ostiary_gateway.pipeline.response_head import http_fault
from ostiary_gateway.telemetry import ServerSpan, semantic_conventions
from ostiary_gateway.upstream import faults
from ostiary_gateway.upstream.circuit_breaker import CircuitBreaker, CircuitPermit
from ostiary_gateway.upstream.http1.upstream_response import UpstreamResponse
from ostiary_gateway.upstream.server import UpstreamServer

_ERROR: Final = 400
_CALL: Final = METHODS["tools/call"]
#: Why such a request is refused. It is only ever a cause, so that nothing of a request is kept with it.
_CAUSE: Final = UpstreamFault(faults.CIRCUIT_OPEN, "its circuit is open (circuitBreaker)")
_AS_REFUSED: Final = faults.refusal(_CAUSE)
_NO_PERMIT: Final = nullcontext[CircuitPermit | None](None)


class CircuitOpenError(Refusal):
    """What callers get while a circuit is open: -31003 ``CircuitOpen``.

    It has little to make, since a refusal must cost much less than the call that it spares.
    """

    status = _AS_REFUSED.status
    reason = _AS_REFUSED.reason
    message = _AS_REFUSED.message
    code = _AS_REFUSED.code
    close = _AS_REFUSED.close
    result = None
    limit = None

    def __init__(self, retry_after_ms: int) -> None:
        Exception.__init__(self, self.message)
        self.headers = {}
        self.data = {"reason": self.reason, "retryAfterMs": retry_after_ms}


def enter(breaker: CircuitBreaker, exchange: Exchange, leg: Leg, span: ServerSpan) -> None:
    """Admit a leg to its server, and keep the permit in it.

    A leg that has one already goes on with a request that was admitted before.

    Raises:
        Refusal: -31003 ``CircuitOpen``; nothing was sent.
    """
    message, server = leg.message, leg.server
    if leg.permit is not None or (exchange.request.method == "DELETE" if message is None else not message.is_request):
        return
    tool = called_tool(leg)
    if tool is None and server.sends_calls_only:
        return
    leg.permit = breaker.admit(exchange, tool=tool, is_pinned=leg.session is not None and bool(leg.session.endpoint))
    if leg.permit is None:
        if server.is_blocked:
            fault = _refused(breaker, server, span, tool)
            raise faults.refusal(fault) from fault
        _note_refused(server, span)
        raise CircuitOpenError(breaker.retry_after_ms(tool)) from _CAUSE
    if leg.permit.is_trial:
        _report(span, server, semantic_conventions.TRIAL)


def leave(leg: Leg) -> None:
    """Give the permit of a leg back, whatever came of it."""
    if leg.permit is not None:
        leg.permit.leave()
        leg.permit = None


def called_tool(leg: Leg) -> str | None:
    """Return the server's own name of the tool that a leg calls; None for any other request."""
    message = leg.message
    return message.name if message is not None and message.method is _CALL else None


def admitted(
    exchange: Exchange, server: UpstreamServer, span: ServerSpan, *, is_request: bool = True, is_pinned: bool = False
) -> AbstractContextManager[CircuitPermit | None]:
    """Return the permit of a request of the gateway's own, as a block.

    It is None where none is needed. ``is_pinned``: see :meth:`.CircuitBreaker.admit`.

    Raises:
        UpstreamFault: ``CircuitOpen``; nothing was sent.
    """
    breaker = server.breaker
    if breaker is None or not is_request or server.sends_calls_only:
        return _NO_PERMIT
    permit = breaker.admit(exchange, is_pinned=is_pinned)
    if permit is None:
        raise _refused(breaker, server, span)
    if permit.is_trial:
        _report(span, server, semantic_conventions.TRIAL)
    return permit


def note_head(permit: CircuitPermit, response: UpstreamResponse) -> None:
    """Count a stream that begins, or the status that the server answers with instead."""
    if response.status < _ERROR:
        permit.succeeded()
    else:
        permit.failed(http_fault(response))


def _refused(
    breaker: CircuitBreaker, server: UpstreamServer, span: ServerSpan, tool: str | None = None
) -> UpstreamFault:
    """Report a request that is refused, and return why."""
    _note_refused(server, span)
    return server.as_seen(breaker.refusal(tool=tool))


def _note_refused(server: UpstreamServer, span: ServerSpan) -> None:
    server.health.counts[server.as_seen(_CAUSE).kind] += 1
    _report(span, server, semantic_conventions.REFUSED)


def _report(span: ServerSpan, server: UpstreamServer, decision: str) -> None:
    span.set(semantic_conventions.OSTIARY_CIRCUIT_DECISION, decision)
    span.set(semantic_conventions.OSTIARY_CIRCUIT_SERVER, server.name)
