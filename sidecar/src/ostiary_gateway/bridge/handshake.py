"""Answer a legacy client's ``initialize`` with what a modern server tells of itself.

That is the result of ``server/discover``.
"""

from collections.abc import Mapping
from typing import Any

from ostiary_core.mcp.meta_keys import META_SERVER_INFO
from ostiary_core.mcp.protocol_revisions import LEGACY_REVISIONS, NEWEST_LEGACY_REVISION
from ostiary_gateway.bridge.declarations import UNNAMED, implementation, server_capabilities


def negotiated_revision(asked: Any) -> str:
    """Return the revision of a session: the one that the client asks for.

    It is our newest where that one has no handshake.
    """
    return asked if isinstance(asked, str) and asked in LEGACY_REVISIONS else NEWEST_LEGACY_REVISION


def initialize_result(discovered: Mapping[str, Any], *, asked: Any, keeps_notes: bool) -> dict[str, Any]:
    """Return the result of ``initialize``.

    ``discovered`` is the result of ``server/discover``, ``asked`` the revision that the client asks for.
    ``keeps_notes`` says whether the gateway can remember a log level and subscriptions of the session: otherwise they
    are not advertised.
    """
    result: dict[str, Any] = {
        "protocolVersion": negotiated_revision(asked),
        "capabilities": legacy_capabilities(discovered.get("capabilities"), keeps_notes=keeps_notes),
        "serverInfo": dict(server_info(discovered)),
    }
    instructions = discovered.get("instructions")
    if isinstance(instructions, str):
        result["instructions"] = instructions
    return result


def server_info(result: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return how a modern server names itself in a result."""
    meta = result.get("_meta")
    info = implementation(meta.get(META_SERVER_INFO)) if isinstance(meta, dict) else None
    return info or implementation(result.get("serverInfo")) or UNNAMED


def legacy_capabilities(capabilities: Any, *, keeps_notes: bool) -> dict[str, Any]:
    """Return the capabilities of a modern server that a legacy client may use."""
    offered = server_capabilities(capabilities)
    if not keeps_notes:
        offered.pop("logging", None)
        offered.get("resources", {}).pop("subscribe", None)
    return offered
