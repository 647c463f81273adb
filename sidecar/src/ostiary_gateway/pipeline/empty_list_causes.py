"""Why a caller got an empty list.

Its server lists nothing, or policies hide all that it lists. An agent without tools reports nothing, and both look the
same. The response of a server whose list is empty keeps its bytes; one that policies have emptied says so in ``_meta``.
Both are counted and logged. A caller learns no name from it, only that there is something that it may not see.
"""

from collections.abc import Mapping
from typing import Any

from ostiary_core import strict_json
from ostiary_core.mcp.methods import Method
from ostiary_gateway.catalogue.unavailable import FILTERED_TO_EMPTY, UPSTREAM_EMPTY, with_cause
from ostiary_gateway.pipeline.exchange import Exchange
from ostiary_gateway.telemetry.empty_lists import EMPTY_LISTS


def listed_items(method: Method, message: Mapping[str, Any]) -> int:
    """Return the number of items of a list, before it is filtered."""
    result = message.get("result")
    items = result.get(method.list_key) if isinstance(result, dict) else None
    return len(items) if isinstance(items, list) else 0


def cause_of_empty(exchange: Exchange, method: Method, message: Mapping[str, Any], *, listed: int) -> str:
    """Return why a filtered list is empty; "" if it is not, or is one page of several.

    ``listed`` is the number of its items before.
    """
    result, request = message.get("result"), exchange.message
    if not isinstance(result, dict) or result.get(method.list_key) != [] or "nextCursor" in result:
        return ""
    if request is None or "cursor" in request.params:
        return ""
    return FILTERED_TO_EMPTY if listed else UPSTREAM_EMPTY


def explained(text: bytes, message: Mapping[str, Any], cause: str) -> bytes:
    """Return a list with the cause where policies have emptied it.

    Every other list keeps its bytes.

    ``message`` is what ``text`` was written from.
    """
    if cause != FILTERED_TO_EMPTY:
        return text
    return strict_json.dumps({**message, "result": with_cause(message["result"], cause)})


def note_empty(exchange: Exchange, cause: str) -> None:
    """Count and log an empty list."""
    message = exchange.message
    method = message.method_name if message is not None else ""
    EMPTY_LISTS.note(exchange.proxy.identity, method, cause)
