"""Write the changes that a legacy server announces as a modern client subscribes to them.

``subscriptions/listen`` asks for kinds of changes and for resources; a legacy session announces all of the first on one
stream, and the second after ``resources/subscribe``.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from ostiary_core import strict_json
from ostiary_core.mcp.meta_keys import META_SERVER_INFO, META_SUBSCRIPTION
from ostiary_core.mcp.protocol_revisions import MODERN_REVISIONS
from ostiary_gateway.bridge.declarations import UNNAMED, implementation, server_capabilities
from ostiary_gateway.bridge.from_modern import COMPLETE, written

#: By the member of a filter: the capability that announces such changes, and their notification.
_KINDS: Final = {
    "toolsListChanged": ("tools", "notifications/tools/list_changed"),
    "promptsListChanged": ("prompts", "notifications/prompts/list_changed"),
    "resourcesListChanged": ("resources", "notifications/resources/list_changed"),
}
_UPDATED: Final = "notifications/resources/updated"
_RESOURCES: Final = "resourceSubscriptions"


def discover_result(handshake: Mapping[str, Any]) -> dict[str, Any]:
    """Return the result of ``server/discover`` for a legacy server.

    ``handshake`` is its answer to ``initialize``.
    """
    result: dict[str, Any] = {
        "resultType": COMPLETE,
        "supportedVersions": sorted(MODERN_REVISIONS, reverse=True),
        "capabilities": server_capabilities(handshake.get("capabilities")),
        "ttlMs": 0,
        "cacheScope": "private",
        "_meta": {META_SERVER_INFO: dict(server_name(handshake))},
    }
    instructions = handshake.get("instructions")
    return {**result, "instructions": instructions} if isinstance(instructions, str) else result


def server_name(handshake: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return how a legacy server names itself."""
    return implementation(handshake.get("serverInfo")) or UNNAMED


def honoured(wanted: Mapping[str, Any], capabilities: Mapping[str, Any]) -> dict[str, Any]:
    """Return the part of a listen's filter that a server with these capabilities can announce."""
    found: dict[str, Any] = {
        kind: True
        for kind, (name, _) in _KINDS.items()
        if wanted.get(kind) is True and _declares(capabilities, name, "listChanged")
    }
    resources = wanted.get(_RESOURCES)
    if isinstance(resources, list) and _declares(capabilities, "resources", "subscribe"):
        found[_RESOURCES] = [uri for uri in resources if isinstance(uri, str)]
    return found


def _declares(capabilities: Mapping[str, Any], name: str, what: str) -> bool:
    offered = capabilities.get(name)
    return isinstance(offered, dict) and offered.get(what) is True


def acknowledged(subscription: str | int, filter_: Mapping[str, Any]) -> bytes:
    """Return the first message of a listen's stream: what of its filter is honoured."""
    params = {"notifications": dict(filter_), "_meta": {META_SUBSCRIPTION: subscription}}
    return strict_json.dumps({"jsonrpc": "2.0", "method": "notifications/subscriptions/acknowledged", "params": params})


def subscribed_uris(filter_: Mapping[str, Any]) -> Sequence[str]:
    """Return the resources of a filter that is honoured."""
    return tuple(filter_.get(_RESOURCES, ()))


def is_change(message: Mapping[str, Any]) -> bool:
    """Return whether a message announces a change."""
    method = message.get("method")
    return "id" not in message and (method == _UPDATED or any(method == sent for _, sent in _KINDS.values()))


def change(message: Mapping[str, Any], *, subscription: str | int, filter_: Mapping[str, Any]) -> bytes | None:
    """Return a server's notification as a listener gets it.

    It is None for one that the listener did not ask for. A server may name a resource below the one that was subscribed
    to (2025-11-25, Subscriptions).
    """
    method, params = message.get("method"), message.get("params")
    given: dict[str, Any] = params if isinstance(params, dict) else {}
    is_wanted = (
        _is_wanted_resource(given.get("uri"), filter_.get(_RESOURCES, ()))
        if method == _UPDATED
        else any(method == sent and filter_.get(kind) is True for kind, (_, sent) in _KINDS.items())
    )
    if not is_wanted or "id" in message:
        return None
    meta = given.get("_meta")
    tagged = {**(meta if isinstance(meta, dict) else {}), META_SUBSCRIPTION: subscription}
    return written({"jsonrpc": "2.0", "method": method, "params": {**given, "_meta": tagged}})


def _is_wanted_resource(uri: Any, subscribed: Sequence[str]) -> bool:
    return isinstance(uri, str) and any(uri == each or uri.startswith(each.rstrip("/") + "/") for each in subscribed)
