"""Answer a legacy client's ``initialize`` with what a modern server tells of itself.

That is the result of ``server/discover``.
"""

from collections.abc import Mapping
from typing import Any, Final

from ostiary_core.mcp.protocol_revisions import LEGACY_REVISIONS, NEWEST_LEGACY_REVISION

META_SERVER_INFO: Final = "io.modelcontextprotocol/serverInfo"
#: The name of a server that does not tell its own: an initialize result must hold one.
_UNNAMED: Final[Mapping[str, Any]] = {"name": "unnamed", "version": "0"}
#: What a server of either era may declare; ``tasks`` is not bridged.
_CAPABILITIES: Final = ("completions", "experimental", "logging", "prompts", "resources", "tools")
_TASKS: Final = "io.modelcontextprotocol/tasks"
_WITH_LISTS: Final = ("prompts", "resources", "tools")


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
    """Return how a modern server names itself in a result.

    It is for display only, and never a basis of a decision.
    """
    meta = result.get("_meta")
    for info in (meta.get(META_SERVER_INFO) if isinstance(meta, dict) else None, result.get("serverInfo")):
        if isinstance(info, dict) and isinstance(info.get("name"), str) and isinstance(info.get("version"), str):
            return info
    return _UNNAMED


def legacy_capabilities(capabilities: Any, *, keeps_notes: bool) -> dict[str, Any]:
    """Return the capabilities of a modern server that a legacy client may use."""
    if not isinstance(capabilities, dict):
        return {}
    offered = {name: dict(each) for name in _CAPABILITIES if isinstance(each := capabilities.get(name), dict)}
    extensions = capabilities.get("extensions")
    if isinstance(extensions, dict):
        kept = {name: each for name, each in extensions.items() if isinstance(each, dict) and name != _TASKS}
        if kept:
            offered["extensions"] = kept
    if not keeps_notes:
        offered.pop("logging", None)
        offered.get("resources", {}).pop("subscribe", None)
    return offered


def has_changes(capabilities: Any) -> bool:
    """Return whether a server declares any notification of changes.

    Such a server accepts ``subscriptions/listen``.
    """
    if not isinstance(capabilities, dict):
        return False
    offered = [each for name in _WITH_LISTS if isinstance(each := capabilities.get(name), dict)]
    return any(each.get("listChanged") is True or each.get("subscribe") is True for each in offered)
