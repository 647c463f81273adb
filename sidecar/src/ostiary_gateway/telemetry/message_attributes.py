"""What spans of both kinds say of their message, and their names.

Texts of callers and servers are cut, to limit memory.
"""

from typing import Final

from ostiary_core.mcp.codes import INVALID_PARAMS
from ostiary_core.mcp.methods import METHODS
from ostiary_gateway.telemetry import semantic_conventions, span_record
from ostiary_gateway.telemetry.span_record import AttributeValue

_NAME_LIMIT: Final = 256

_COMMON: Final[dict[str, AttributeValue]] = {
    semantic_conventions.NETWORK_TRANSPORT: semantic_conventions.TCP,
    semantic_conventions.NETWORK_PROTOCOL_NAME: semantic_conventions.HTTP,
}


def _constants(method: str) -> dict[str, AttributeValue]:
    operation = (
        {semantic_conventions.GEN_AI_OPERATION_NAME: semantic_conventions.EXECUTE_TOOL}
        if method == "tools/call"
        else {}
    )
    return {semantic_conventions.MCP_METHOD_NAME: method, **operation, **_COMMON}


#: Attributes that depend on the method only, copied into each span. Only these methods may name a span.
KNOWN_METHODS: Final = {method: _constants(method) for method in {*METHODS, *semantic_conventions.SERVER_METHODS}}


def message_attributes(
    method: str | None, target: str | None, protocol_version: str | None, *, limit: int
) -> dict[str, AttributeValue]:
    """Return what the conventions require of every message and that is not its own.

    Without a ``method`` that is what holds for every request. Longer texts than ``limit`` are cut.
    """
    if method is None:
        described = _COMMON.copy()
    elif (known := KNOWN_METHODS.get(method)) is not None:
        described = known.copy()
    else:
        described = {semantic_conventions.MCP_METHOD_NAME: method[:limit], **_COMMON}
    if target is not None and (key := semantic_conventions.TARGET_ATTRIBUTES.get(method or "")) is not None:
        described[key] = target[:limit]
    if protocol_version is not None:
        described[semantic_conventions.MCP_PROTOCOL_VERSION] = protocol_version[:limit]
    return described


def own_attributes(
    request_id: str | float | None, session_keys: tuple[str, ...], session_id: str | None, *, limit: int
) -> dict[str, AttributeValue]:
    """Return what each message has for itself.

    That is its id, and under ``session_keys`` the digest of its session.
    """
    found: dict[str, AttributeValue] = {}
    if request_id is not None:
        found[semantic_conventions.JSONRPC_REQUEST_ID] = str(request_id)[:limit]
    if session_id is not None:
        found |= dict.fromkeys(session_keys, span_record.session_digest(session_id))
    return found


def span_name(method: str | None, target: str | None, rpc_code: int | None, *, http_method: str) -> str:
    """Return ``{method} {target}`` if there are few targets, else a method.

    It is that of the message, or else of HTTP.

    A target that was answered "invalid params" may not exist, and a hidden one must look the same: a client that
    guesses names would fill the backend with operations (conventions, "Span name").
    """
    if method is None or method not in KNOWN_METHODS:
        return semantic_conventions.http_span_name(http_method)
    if target and rpc_code != INVALID_PARAMS and method in semantic_conventions.NAMED_TARGETS:
        return f"{method} {target[:_NAME_LIMIT]}"
    return method
