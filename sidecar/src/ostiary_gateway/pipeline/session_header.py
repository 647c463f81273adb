"""The session that a server opens with its response to initialize, as its client gets it."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final, Protocol

from ostiary_core.mcp.protocol_revisions import LEGACY_REVISIONS
from ostiary_gateway.errors import UpstreamFault
from ostiary_gateway.pipeline.exchange import Exchange
from ostiary_gateway.pipeline.leg import Leg
from ostiary_gateway.pipeline.pinned_sessions.session_endpoint import key_of_sender
from ostiary_gateway.session_ids import UpstreamSession
from ostiary_gateway.upstream import faults
from ostiary_gateway.upstream.http1.upstream_response import UpstreamResponse

_SESSION: Final = "Mcp-Session-Id"
_NONE: Final[Mapping[str, str]] = MappingProxyType({})

#: Returns the session id for a response to initialize, of the session that it opens and its result.
SealSession = Callable[[Exchange, Leg, UpstreamSession, Mapping[str, Any]], str]


class HeaderSink(Protocol):
    """Where a response goes, whose head may still be changed."""

    def add_headers(self, headers: Mapping[str, str], /) -> None:
        """Add headers to the HTTP response."""


def session_header(
    exchange: Exchange, leg: Leg, response: UpstreamResponse, message: dict[str, Any], seal: SealSession
) -> Mapping[str, str]:
    """Return the session header for a response to initialize.

    It is None if the server keeps no session.

    Raises:
        UpstreamFault: the revision is not a legacy one, or the session id is invalid.
    """
    if not opens_session(exchange):
        return _NONE
    result = message.get("result")
    if not isinstance(result, dict):
        return _NONE
    revision = result.get("protocolVersion")
    if not isinstance(revision, str) or revision not in LEGACY_REVISIONS:
        raise UpstreamFault(faults.INVALID, "the server negotiated a revision that has no handshake")
    upstream_id = response.header(_SESSION)
    if upstream_id is None:
        return _NONE
    session = UpstreamSession(upstream_id, revision, endpoint=key_of_sender(response))
    return {_SESSION: seal(exchange, leg, session, result)}


def opens_session(exchange: Exchange) -> bool:
    """Return whether the response to this request may open a session."""
    message = exchange.message
    return message is not None and message.method is not None and message.method.name == "initialize"
