"""What can fail upstream, and how a caller is answered.

The answer is a JSON-RPC error with HTTP 200, since clients turn other statuses into transport failures. The upstream's
own text, challenges and addresses are never shown to the caller.
"""

from typing import Final

from ostiary_core.mcp import codes
from ostiary_core.upstream_faults import (
    ADDRESS_FORBIDDEN,
    BLOCKED,
    CALLER_TOKEN_REQUIRED,
    CIRCUIT_OPEN,
    CONNECT_TIMEOUT,
    CREDENTIAL_REFUSED,
    CREDENTIAL_UNAVAILABLE,
    DRAINING,
    EGRESS_FAILED,
    EXCHANGE_REFUSED,
    FULL,
    HOST_REFUSED,
    INVALID,
    KINDS,
    LOOP,
    NO_ROOM,
    REDIRECTED,
    RESET,
    TIMEOUT,
    TLS_FAILED,
    TOO_LARGE,
    UNAUTHORIZED,
    UNAVAILABLE,
    UNREACHABLE,
)
from ostiary_gateway.errors import Refusal, UpstreamFault

__all__ = [
    "ADDRESS_FORBIDDEN",
    "BLOCKED",
    "CALLER_TOKEN_REQUIRED",
    "CIRCUIT_OPEN",
    "CONNECT_TIMEOUT",
    "CREDENTIAL_REFUSED",
    "CREDENTIAL_UNAVAILABLE",
    "DRAINING",
    "EGRESS_FAILED",
    "EXCHANGE_REFUSED",
    "FULL",
    "HOST_REFUSED",
    "INVALID",
    "KINDS",
    "LOOP",
    "NO_ROOM",
    "REDIRECTED",
    "RESET",
    "TIMEOUT",
    "TLS_FAILED",
    "TOO_LARGE",
    "UNAUTHORIZED",
    "UNAVAILABLE",
    "UNREACHABLE",
    "blocked",
    "code_of",
    "drain_expired",
    "idle_timeout",
    "refusal",
]

_CODES: Final = {
    UNREACHABLE: codes.UPSTREAM_UNAVAILABLE,
    ADDRESS_FORBIDDEN: codes.UPSTREAM_UNAVAILABLE,
    TLS_FAILED: codes.UPSTREAM_UNAVAILABLE,
    UNAUTHORIZED: codes.UPSTREAM_UNAVAILABLE,
    CREDENTIAL_REFUSED: codes.UPSTREAM_UNAVAILABLE,
    CREDENTIAL_UNAVAILABLE: codes.UPSTREAM_UNAVAILABLE,
    CALLER_TOKEN_REQUIRED: codes.DENIED,
    EXCHANGE_REFUSED: codes.DENIED,
    HOST_REFUSED: codes.UPSTREAM_UNAVAILABLE,
    LOOP: codes.UPSTREAM_UNAVAILABLE,
    EGRESS_FAILED: codes.UPSTREAM_UNAVAILABLE,
    REDIRECTED: codes.UPSTREAM_INVALID,
    UNAVAILABLE: codes.UPSTREAM_UNAVAILABLE,
    RESET: codes.UPSTREAM_UNAVAILABLE,
    CONNECT_TIMEOUT: codes.UPSTREAM_TIMEOUT,
    TIMEOUT: codes.UPSTREAM_TIMEOUT,
    INVALID: codes.UPSTREAM_INVALID,
    TOO_LARGE: codes.TOO_LARGE,
    FULL: codes.UPSTREAM_UNAVAILABLE,
    NO_ROOM: codes.LIMITED,
    DRAINING: codes.UPSTREAM_UNAVAILABLE,
    BLOCKED: codes.UPSTREAM_UNAVAILABLE,
    CIRCUIT_OPEN: codes.UPSTREAM_UNAVAILABLE,
}

_WORDS: Final = {
    codes.UPSTREAM_UNAVAILABLE: "The MCP server behind this gateway is unavailable",
    codes.UPSTREAM_TIMEOUT: "The MCP server behind this gateway did not answer in time",
    codes.UPSTREAM_INVALID: "The MCP server behind this gateway gave an answer that is not valid MCP",
    codes.TOO_LARGE: "The answer of the MCP server behind this gateway is too large",
    codes.LIMITED: "This gateway has no room for the answer now; the request itself may have been carried out",
}
#: Messages for some kinds that replace those of their code. The reader is often the gateway itself, or the person who
#: configured it, so the loop is named.
_OWN_WORDS: Final = {
    CREDENTIAL_UNAVAILABLE: "This gateway cannot get its credential for the MCP server behind it",
    CREDENTIAL_REFUSED: "The MCP server behind this gateway refuses the gateway's own credential",
    CALLER_TOKEN_REQUIRED: "The MCP server behind this gateway needs an access token of the caller",
    EXCHANGE_REFUSED: "The authorization server gives this caller no access to the MCP server behind this gateway",
    LOOP: "The MCP server behind this gateway leads back to this gateway",
    BLOCKED: "The operator of this gateway has blocked the MCP server behind it",
    CIRCUIT_OPEN: "The MCP server behind this gateway, or this tool of it, failed too often and is not called now",
    DRAINING: "This gateway is shutting down before the answer came; the request itself may have been carried out",
}
_RETRY_AFTER_MS: Final = 1000


def code_of(fault: UpstreamFault) -> int:
    """Return the JSON-RPC code that a caller sees for a fault."""
    return _CODES[fault.kind]


def refusal(fault: UpstreamFault) -> Refusal:
    """Return the caller's answer to a fault.

    For a response that is too large it includes the limit: both sides can act on that, and the text is ours.
    """
    code = code_of(fault)
    words = _OWN_WORDS.get(fault.kind) or _WORDS[code]
    if fault.kind == TOO_LARGE:
        words = f"{words}: {fault.message}"
    data = {"retryAfterMs": fault.retry_after_ms} if fault.retry_after_ms is not None else None
    return Refusal(200, fault.kind, words, code=code, data=data)


def blocked() -> UpstreamFault:
    """Return the fault of a server that the gateway's settings block."""
    return UpstreamFault(BLOCKED, "the gateway's settings block this server (blocked)")


def drain_expired() -> UpstreamFault:
    """Return the fault of a response that was not there when the drain period ended.

    Another replica can be called.
    """
    return UpstreamFault(DRAINING, "the gateway shut down before the response arrived", retry_after_ms=_RETRY_AFTER_MS)


def idle_timeout() -> UpstreamFault:
    """Return the fault of a server that was silent within a response for too long."""
    return UpstreamFault(TIMEOUT, "the server sent nothing for too long within its response")
