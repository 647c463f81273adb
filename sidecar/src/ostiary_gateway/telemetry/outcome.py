"""How a span ended, in the words of the conventions: which codes are errors, on which side, and what they are called.

**The SERVER side** (the gateway answers an agent). The five codes of :data:`CALLER_CODES` say that the message itself
was wrong: their number is recorded, but the span is no error. Every other code is one, and its number as text is the
``error.type``.

*Our own refusals count among the others.* -31001 (denied) is the caller's fault as -32602 is, but the list of such
codes is closed, and a refusal is what an operator looks for: as an error it shows in every view by ``error.type``, and
its number keeps it apart from real faults (-31003, -31004) and from tools that failed, also where the caller is told
``isError`` in place of that code. Views that should not count refusals exclude that one value, or read
``ostiary.access.decision``. What a caller may not even see answers -32602 exactly as an unknown name does; then the
decision's attributes alone tell.

**The CLIENT side** (the gateway asks an upstream). Every code is an error.

A successful answer with ``isError`` is ``tool_error`` on both. Answers below MCP (401, 404, a redirect) are named by
their HTTP status. A caller that went away before its answer was there is ``caller_left``; once it is there, how that
ended is told, however soon its caller closes. A request that its caller cancelled, and that was not answered with a
result, is ``cancelled``. What breaks off otherwise is named by its exception's class; every kind of time-out is
``timeout``. The text of an exception is never recorded: it may quote what a caller or an upstream sent.
"""

import asyncio
from typing import Final

from ostiary_gateway.errors import CallerGone, UpstreamFault
from ostiary_gateway.telemetry import names

#: Parse error, invalid request, method not found, invalid params, resource not found (legacy).
CALLER_CODES: Final = frozenset((-32700, -32600, -32601, -32602, -32002))


def server_error_type(code: int) -> str | None:
    """The ``error.type`` of a JSON-RPC error code that we answered, ``None`` if it is no error of this side."""
    return None if code in CALLER_CODES else str(code)


def exception_type(error: BaseException) -> str:
    """The ``error.type`` of what broke off: a fault's kind, ``caller_left``, ``timeout``, or the class's name."""
    if isinstance(error, UpstreamFault):
        return error.kind
    if isinstance(error, asyncio.CancelledError | CallerGone):
        return names.CALLER_LEFT
    if isinstance(error, TimeoutError):
        return names.TIMEOUT
    return type(error).__name__
