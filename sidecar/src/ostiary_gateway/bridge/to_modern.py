"""Write a legacy client's request as a modern server reads it.

A modern request carries everything that a legacy client told once: its capabilities and name when it opened its
session, the log level when it set one (2026-07-28, Per-request protocol fields). What a client wrote itself under the
specification's own keys is dropped: it would replace what the session says.
"""

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from ostiary_core.mcp.protocol_revisions import META_CLIENT_CAPABILITIES, META_PROTOCOL_VERSION

#: The revision that a bridged request has.
REVISION: Final = "2026-07-28"
META_CLIENT_INFO: Final = "io.modelcontextprotocol/clientInfo"
META_LOG_LEVEL: Final = "io.modelcontextprotocol/logLevel"
#: The prefix of keys that only the specification defines.
_OWN_KEYS: Final = "io.modelcontextprotocol/"
_TASKS: Final = "io.modelcontextprotocol/tasks"
#: What a client of either era may declare; ``tasks`` is not bridged.
_CAPABILITIES: Final = ("roots", "sampling", "elicitation", "experimental")
#: Members of params that a modern server gives another meaning, or none: tasks, and the rounds of an input.
_NOT_BRIDGED: Final = frozenset({"task", "inputResponses", "requestState"})


class Handling(enum.Enum):
    """What becomes of a legacy message whose server is modern."""

    FORWARDED = "forwarded"  # sent to the server, in its own form
    LOCAL = "local"  # answered by the gateway: the modern era has no such method
    ACCEPTED = "accepted"  # a notification that has no receiver
    REFUSED = "refused"  # not bridged: the method does not exist here


_LOCAL: Final = frozenset({"initialize", "ping", "logging/setLevel", "resources/subscribe", "resources/unsubscribe"})
_TASK_METHODS: Final = "tasks/"
_NOTIFICATIONS: Final = "notifications/"
#: The logging levels of both eras (RFC 5424).
LOG_LEVELS: Final = frozenset({"debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"})


@dataclass(frozen=True, slots=True)
class LegacyClient:
    """What a legacy client has told of itself in its session.

    ``capabilities`` and ``info`` are those of its ``initialize``; ``log_level`` is the one it set, empty without one.
    A request without a session comes from a client that has told nothing.
    """

    capabilities: Mapping[str, Any] = field(default_factory=dict)
    info: Mapping[str, Any] | None = None
    log_level: str = ""


def handling(method: str) -> Handling:
    """Return what becomes of a legacy client's message with this method."""
    if method in _LOCAL:
        return Handling.LOCAL
    if method.startswith(_NOTIFICATIONS):
        return Handling.ACCEPTED
    return Handling.REFUSED if method.startswith(_TASK_METHODS) else Handling.FORWARDED


def modern_capabilities(capabilities: Mapping[str, Any]) -> dict[str, Any]:
    """Return the capabilities of a legacy client as a modern one declares them.

    Nothing is added: a server may ask only for what the client itself declared. Members of another type are dropped,
    since a server would refuse every request for them.
    """
    declared = {name: capabilities[name] for name in _CAPABILITIES if isinstance(capabilities.get(name), dict)}
    extensions = capabilities.get("extensions")
    if isinstance(extensions, dict):
        kept = {name: each for name, each in extensions.items() if isinstance(each, dict) and name != _TASKS}
        if kept:
            declared["extensions"] = kept
    return declared


def envelope(client: LegacyClient) -> dict[str, Any]:
    """Return the members of ``_meta`` that every modern request of this client has."""
    members: dict[str, Any] = {
        META_PROTOCOL_VERSION: REVISION,
        META_CLIENT_CAPABILITIES: modern_capabilities(client.capabilities),
    }
    if client.info is not None and _is_implementation(client.info):
        members[META_CLIENT_INFO] = dict(client.info)
    if client.log_level:
        members[META_LOG_LEVEL] = client.log_level
    return members


def modern_params(params: Mapping[str, Any], client: LegacyClient) -> dict[str, Any]:
    """Return the params of a modern request.

    They are those of the legacy one, with the envelope. The progress token stays that of the client.
    """
    written = params.get("_meta")
    meta = {name: each for name, each in written.items() if not _is_own(name)} if isinstance(written, dict) else {}
    kept = {name: each for name, each in params.items() if name not in _NOT_BRIDGED}
    return {**kept, "_meta": {**meta, **envelope(client)}}


def modern_request(body: Mapping[str, Any], client: LegacyClient) -> dict[str, Any]:
    """Return a legacy request as a modern one, with the same id."""
    params = body.get("params")
    return {**body, "params": modern_params(params if isinstance(params, dict) else {}, client)}


def _is_own(key: str) -> bool:
    return key.startswith(_OWN_KEYS)


def _is_implementation(info: Mapping[str, Any]) -> bool:
    """Return whether a name of a client has the members that a modern server requires."""
    return isinstance(info.get("name"), str) and isinstance(info.get("version"), str)
