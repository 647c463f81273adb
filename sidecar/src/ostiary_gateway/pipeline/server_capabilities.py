"""Declare ``listChanged`` in a server's response where the gateway itself sends them.

Clients look at the capability before they listen for changes (specification, Capabilities). It is declared for governed
lists, since those change with a policy, and only where there is a stream to send the notification on: in a session, or
where the server itself declares some notification and so accepts ``subscriptions/listen``. The response of a server
whose lists are not governed keeps its bytes.
"""

from typing import Any, Final

from ostiary_core import strict_json
from ostiary_core.errors import StrictJSONError
from ostiary_core.mcp.methods import Primitive
from ostiary_gateway.pipeline.exchange import Exchange
from ostiary_gateway.pipeline.pinned_definitions.pinned_instructions import with_approved_description

_HANDSHAKE: Final = "initialize"
_DISCOVER: Final = "server/discover"


def with_list_changed(exchange: Exchange, text: bytes, message: dict[str, Any], *, in_session: bool) -> bytes:
    """Return a response with ``listChanged`` declared for each governed list of its server.

    ``message`` is the parsed ``text``; ``in_session`` says whether it opens a session. Instructions that no lock
    approves are left out. Every other response is returned unchanged.
    """
    request = exchange.message
    method = request.method_name if request is not None else ""
    if method not in (_HANDSHAKE, _DISCOVER):
        return text
    if exchange.visibility.definitions is not None:
        text, message = with_approved_description(exchange, text, message)
    result = message.get("result")
    capabilities = result.get("capabilities") if isinstance(result, dict) else None
    if not isinstance(result, dict) or not isinstance(capabilities, dict):
        return text
    if not (in_session if method == _HANDSHAKE else _declares_a_notification(capabilities)):
        return text
    more = _missing(capabilities, exchange.governed_lists)
    return _written({**message, "result": {**result, "capabilities": {**capabilities, **more}}}, text) if more else text


def _declares_a_notification(capabilities: dict[str, Any]) -> bool:
    offered = [each for each in capabilities.values() if isinstance(each, dict)]
    return any(each.get("listChanged") is True or each.get("subscribe") is True for each in offered)


def _missing(capabilities: dict[str, Any], governed: frozenset[Primitive]) -> dict[str, Any]:
    found = {primitive.value: capabilities.get(primitive.value) for primitive in Primitive if primitive in governed}
    return {
        name: {**offered, "listChanged": True}
        for name, offered in found.items()
        if isinstance(offered, dict) and offered.get("listChanged") is not True
    }


def _written(message: dict[str, Any], text: bytes) -> bytes:
    try:
        return strict_json.dumps(message)
    except StrictJSONError:
        return text  # text that is not strict JSON keeps its bytes
