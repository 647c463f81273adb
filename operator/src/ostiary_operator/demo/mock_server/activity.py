"""Counts the messages that the server gets, to show what passed a gateway."""

from collections import Counter
from typing import Any, Final

from mcp.server.context import CallNext, HandlerResult, ServerRequestContext

_MAX_KINDS: Final = 100
"""Names come from clients. After this many different names, further ones are counted together."""

_MAX_LENGTH: Final = 128
"""Longer names, which no tool has, are counted together."""

_OTHER: Final = "(other)"


class Activity:
    """A middleware of the MCP server that counts messages by method and tool calls by name."""

    def __init__(self) -> None:
        self._methods: Counter[str] = Counter()
        self._calls: Counter[str] = Counter()
        self._running: Counter[str] = Counter()

    async def __call__(self, ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        """Count one message and pass it on."""
        _count(self._methods, ctx.method)
        if ctx.method != "tools/call":
            return await call_next(ctx)
        name = _count(self._calls, str((ctx.params or {}).get("name")))
        self._running[name] += 1
        try:
            return await call_next(ctx)
        finally:
            # Also when the client disconnected: then the call was cancelled.
            self._running[name] -= 1

    def report(self) -> dict[str, dict[str, int]]:
        """Return counts of messages by method, and of tool calls (all, and running) by name."""
        return {"methods": dict(self._methods), "calls": dict(self._calls), "running": dict(+self._running)}


def _count(counter: Counter[str], name: str) -> str:
    known = name in counter or (len(counter) < _MAX_KINDS and len(name) <= _MAX_LENGTH)
    key = name if known else _OTHER
    counter[key] += 1
    return key
