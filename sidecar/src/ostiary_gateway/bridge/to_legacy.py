"""Write a modern client's request as a legacy server reads it.

A modern request carries what a legacy server is told once, when its session is opened. So the gateway opens sessions
with the capabilities of its callers, and a request in one keeps only its own params (2025-11-25, Lifecycle). What a
caller wrote under the specification's own keys of ``_meta`` means nothing to a legacy server, and is not sent.
"""

import enum
from collections.abc import Mapping
from typing import Any, Final

from ostiary_core.mcp.meta_keys import META_CLIENT_CAPABILITIES, META_CLIENT_INFO, META_LOG_LEVEL, without_own_keys
from ostiary_core.mcp.methods import NOTIFICATION_PREFIX
from ostiary_core.mcp.protocol_revisions import NEWEST_LEGACY_REVISION
from ostiary_gateway.bridge.declarations import client_capabilities, implementation
from ostiary_gateway.bridge.to_modern import LOG_LEVELS

#: The members of params that no legacy server knows, or that it gives another meaning.
_MODERN_MEMBERS: Final = frozenset({"inputResponses", "requestState", "task"})
_TOKEN: Final = "progressToken"  # noqa: S105  the name of a member
_ORDER: Final = ("debug", "info", "notice", "warning", "error", "critical", "alert", "emergency")


class LegacyHandling(enum.Enum):
    """What becomes of a modern message whose server is legacy."""

    FORWARDED = "forwarded"  # sent in a session, in its own form
    DISCOVERED = "discovered"  # answered with what the handshake of a session said
    LISTENED = "listened"  # becomes the stream of a session, and subscriptions in it
    ACCEPTED = "accepted"  # a notification that has no receiver
    REFUSED = "refused"  # not bridged: the method does not exist here


def legacy_handling(method: str) -> LegacyHandling:
    """Return what becomes of a modern client's message with this method."""
    if method == "server/discover":
        return LegacyHandling.DISCOVERED
    if method == "subscriptions/listen":
        return LegacyHandling.LISTENED
    if method.startswith(NOTIFICATION_PREFIX):
        return LegacyHandling.ACCEPTED
    return LegacyHandling.REFUSED if method.startswith("tasks/") else LegacyHandling.FORWARDED


def legacy_client_capabilities(meta: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a modern client declares in its request, as ``initialize`` declares it."""
    return client_capabilities(meta.get(META_CLIENT_CAPABILITIES))


def initialize_params(meta: Mapping[str, Any], *, gateway: Mapping[str, Any]) -> dict[str, Any]:
    """Return the params of the ``initialize`` that opens a session for a modern caller.

    ``gateway`` names the client where the caller does not say its name.
    """
    return {
        "protocolVersion": NEWEST_LEGACY_REVISION,
        "capabilities": legacy_client_capabilities(meta),
        "clientInfo": dict(implementation(meta.get(META_CLIENT_INFO)) or gateway),
    }


def legacy_params(params: Mapping[str, Any], *, token: str | None) -> dict[str, Any]:
    """Return the params of a request in a session.

    ``token`` stands for the caller's progress token: sessions are shared by calls, whose tokens may be equal.
    """
    meta = without_own_keys(params.get("_meta"))
    if _TOKEN in meta and token is not None:
        meta[_TOKEN] = token
    kept = {name: each for name, each in params.items() if name not in _MODERN_MEMBERS and name != "_meta"}
    return {**kept, "_meta": meta} if meta else kept


def progress_token(params: Mapping[str, Any]) -> str | int | None:
    """Return the caller's progress token; None without one."""
    meta = params.get("_meta")
    token = meta.get(_TOKEN) if isinstance(meta, dict) else None
    return token if type(token) in (str, int) else None


def log_level(params: Mapping[str, Any]) -> str:
    """Return the level from which a caller wants log messages; empty for none at all."""
    meta = params.get("_meta")
    level = meta.get(META_LOG_LEVEL) if isinstance(meta, dict) else None
    return level if isinstance(level, str) and level in LOG_LEVELS else ""


def is_logged(level: Any, *, wanted: str) -> bool:
    """Return whether a message of this level is one that the caller of a request wants."""
    return bool(wanted) and isinstance(level, str) and level in LOG_LEVELS and _rank(level) >= _rank(wanted)


def is_lower(level: str, *, than: str) -> bool:
    """Return whether a log level lets more messages through than another.

    The empty one lets none.
    """
    return bool(level) and (not than or _rank(level) < _rank(than))


def _rank(level: str) -> int:
    return _ORDER.index(level)
