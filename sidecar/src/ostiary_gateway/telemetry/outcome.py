"""Which results of a span are errors, on which side, and their ``error.type``.

**The SERVER side** (the gateway answers an agent). The five codes of :data:`CALLER_CODES` say that the message itself
was wrong: the code is recorded, but the span is no error. Every other code is an error, and its number as text is the
``error.type``.

*Our own refusals count as errors.* -31001 (denied) is the caller's fault as -32602 is, but the list of such codes is
closed, and operators look for refusals: as an error, a refusal appears in every view by ``error.type``, and its number
distinguishes it from real faults (-31003, -31004) and from failed tools, even where the caller gets ``isError`` in
place of that code. Views that should not count refusals exclude that one value, or read ``ostiary.access.decision``. A
name that the caller may not even see is answered with -32602 exactly as an unknown name is; then only the decision's
attributes show the difference.

**The CLIENT side** (the gateway calls an upstream). Every code is an error.

A response with ``isError`` is ``tool_error`` on both. Responses below MCP (401, 404, a redirect) are named by their
HTTP status. A caller that disconnected before its response is ``caller_left``; after the response, the response's own
result is reported, however soon the caller disconnects. A request that its caller cancelled, and that was not answered
with a result, is ``cancelled``. Other exceptions are named by their class; every kind of timeout is ``timeout``. The
text of an exception is never recorded: it may quote what a caller or an upstream sent.
"""

import asyncio
from typing import Final

from ostiary_gateway.errors import CallerGone, UpstreamFault
from ostiary_gateway.telemetry import names

#: Parse error, invalid request, method not found, invalid params, resource not found (legacy).
CALLER_CODES: Final = frozenset((-32700, -32600, -32601, -32602, -32002))


def server_error_type(code: int) -> str | None:
    """The ``error.type`` of a JSON-RPC code in our response, ``None`` if it is no error here."""
    return None if code in CALLER_CODES else str(code)


def exception_type(error: BaseException) -> str:
    """The ``error.type`` of an exception.

    It is a fault's kind, ``caller_left``, ``timeout``, or the class's name.
    """
    if isinstance(error, UpstreamFault):
        return error.kind
    if isinstance(error, asyncio.CancelledError | CallerGone):
        return names.CALLER_LEFT
    if isinstance(error, TimeoutError):
        return names.TIMEOUT
    return type(error).__name__
