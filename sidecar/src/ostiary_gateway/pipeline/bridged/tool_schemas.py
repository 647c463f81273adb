"""Read a modern server's list of tools to learn which arguments a tool mirrors in headers.

A legacy client knows nothing of ``Mcp-Param-*`` (2026-07-28, Custom Headers), so the gateway writes these headers. It
knows them from the lists that passed; a server that refuses a call because of them is asked for its list again.
"""

from typing import Any, Final

from ostiary_core.mcp.methods import METHODS
from ostiary_gateway.bridge.to_modern import REVISION
from ostiary_gateway.errors import UpstreamFault
from ostiary_gateway.pipeline.exchange import Exchange
from ostiary_gateway.pipeline.large_messages import process_large
from ostiary_gateway.pipeline.list_observation import observing
from ostiary_gateway.pipeline.own_request import OwnRequest
from ostiary_gateway.pipeline.server_request import ask
from ostiary_gateway.telemetry import ServerSpan
from ostiary_gateway.upstream.server import UpstreamServer

_LIST: Final = METHODS["tools/list"]
#: The most pages that are read for one tool, and the seconds for each.
_PAGES: Final = 16
_SECONDS: Final = 5.0


async def read_tool_schema(exchange: Exchange, server: UpstreamServer, tool: str, span: ServerSpan) -> bool:
    """Read the list of a server's tools up to one tool; return whether it was there.

    What the list says is remembered (:mod:`ostiary_gateway.pipeline.list_observation`).
    """
    params: dict[str, Any] = {}
    seen: set[str] = set()
    for _ in range(_PAGES):
        try:
            request = OwnRequest(_LIST.name, params, REVISION)
            answer = await ask(exchange, server, request, span=span, seconds=_SECONDS)
        except UpstreamFault:
            return False
        result = answer.result or {}
        learning = observing(exchange, server, _LIST, answer.text, answer.message)
        await process_large(learning, text=answer.text, proxy=exchange.proxy.uid)
        if _holds(result.get("tools"), tool):
            return True
        cursor = result.get("nextCursor")
        if not isinstance(cursor, str) or cursor in seen:
            return False
        seen.add(cursor)
        params = {"cursor": cursor}
    return False


def _holds(tools: Any, name: str) -> bool:
    return isinstance(tools, list) and any(isinstance(each, dict) and each.get("name") == name for each in tools)
