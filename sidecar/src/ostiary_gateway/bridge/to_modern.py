"""Write a legacy client's request as a modern server reads it.

A modern request carries everything that a legacy client told once: its capabilities and name when it opened its
session, the log level when it set one (2026-07-28, Per-request protocol fields). What a client wrote itself under the
specification's own keys is dropped: it would replace what the session says.
"""

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from ostiary_core.mcp.meta_keys import (
    META_CLIENT_CAPABILITIES,
    META_CLIENT_INFO,
    META_LOG_LEVEL,
    META_PROTOCOL_VERSION,
    without_own_keys,
)
from ostiary_core.mcp.methods import NOTIFICATION_PREFIX
from ostiary_gateway.bridge.declarations import client_capabilities, implementation

#: The revision that a bridged request has.
REVISION: Final = "2026-07-28"
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
    if method.startswith(NOTIFICATION_PREFIX):
        return Handling.ACCEPTED
    return Handling.REFUSED if method.startswith(_TASK_METHODS) else Handling.FORWARDED


def envelope(client: LegacyClient) -> dict[str, Any]:
    """Return the members of ``_meta`` that every modern request of this client has."""
    members: dict[str, Any] = {
        META_PROTOCOL_VERSION: REVISION,
        META_CLIENT_CAPABILITIES: client_capabilities(client.capabilities),
    }
    if info := implementation(client.info):
        members[META_CLIENT_INFO] = dict(info)
    if client.log_level:
        members[META_LOG_LEVEL] = client.log_level
    return members


def modern_params(params: Mapping[str, Any], client: LegacyClient) -> dict[str, Any]:
    """Return the params of a modern request.

    They are those of the legacy one, with the envelope. The progress token stays that of the client.
    """
    meta = without_own_keys(params.get("_meta"))
    kept = {name: each for name, each in params.items() if name not in _NOT_BRIDGED}
    return {**kept, "_meta": {**meta, **envelope(client)}}


def modern_request(body: Mapping[str, Any], client: LegacyClient) -> dict[str, Any]:
    """Return a legacy request as a modern one, with the same id."""
    params = body.get("params")
    return {**body, "params": modern_params(params if isinstance(params, dict) else {}, client)}
