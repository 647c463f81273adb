"""One session with a legacy server that the gateway opens for a modern caller."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from time import monotonic
from types import MappingProxyType
from typing import Any, Final

from ostiary_core.mcp.protocol_revisions import LEGACY_REVISIONS
from ostiary_gateway.bridge.legacy_changes import server_name
from ostiary_gateway.bridge.to_legacy import initialize_params
from ostiary_gateway.errors import UpstreamFault
from ostiary_gateway.pipeline.bridged.server_link import ServerLink
from ostiary_gateway.pipeline.bridged.session_changes import SessionChanges
from ostiary_gateway.pipeline.exchange import Exchange
from ostiary_gateway.pipeline.own_request import OwnRequest
from ostiary_gateway.pipeline.server_answer import fault_of
from ostiary_gateway.pipeline.server_request import GATEWAY_INFO, ask
from ostiary_gateway.session_ids import UpstreamSession
from ostiary_gateway.telemetry import ServerSpan
from ostiary_gateway.upstream import faults
from ostiary_gateway.upstream.server import UpstreamServer

_INITIALIZE: Final = "initialize"
_INITIALIZED: Final = "notifications/initialized"
_NONE: Final[Mapping[str, Any]] = MappingProxyType({})


@dataclass(slots=True, eq=False)
class LegacySession:
    """One session, as its server opened it.

    ``session_id`` is None at a server that keeps none. ``handshake`` is the server's answer to initialize, and ``link``
    the caller's that used it last. ``level`` is its log level, ``changes`` what it announces. ``is_single`` if it ends
    with its one call. ``size`` is that of what both sides declared. ``endpoint`` is the key of the endpoint that has
    it, empty where the server has one place only or keeps no sessions.
    """

    link: ServerLink
    session_id: str | None
    revision: str
    handshake: Mapping[str, Any]
    is_single: bool
    size: int = 0
    endpoint: bytes = b""
    level: str = ""
    users: int = 0
    idle_since: float = field(default_factory=monotonic)
    changes: SessionChanges = field(default_factory=SessionChanges)

    @property
    def at_server(self) -> UpstreamSession:
        """The session as the server knows it; its id is empty where the server keeps none."""
        return UpstreamSession(self.session_id or "", self.revision, endpoint=self.endpoint)

    def request(self, method: str, params: Mapping[str, Any] = _NONE) -> OwnRequest:
        """Return a request of the gateway's own in this session."""
        return OwnRequest(method, params, self.revision, self.session_id, self.endpoint)

    @property
    def info(self) -> Mapping[str, Any]:
        """How the server names itself."""
        return server_name(self.handshake)

    @property
    def capabilities(self) -> Mapping[str, Any]:
        """What the server declares."""
        found = self.handshake.get("capabilities")
        return found if isinstance(found, dict) else {}


async def open_legacy_session(
    exchange: Exchange, server: UpstreamServer, span: ServerSpan, meta: Mapping[str, Any], *, is_single: bool
) -> LegacySession:
    """Open a session with what a caller declares.

    Raises:
        UpstreamFault: the server opens none.
    """
    params = initialize_params(meta, gateway=GATEWAY_INFO)
    seconds = server.request_seconds
    answer = await ask(exchange, server, OwnRequest(_INITIALIZE, params, ""), span=span, seconds=seconds)
    result = answer.result
    if result is None:
        server.eras.note_answer(_INITIALIZE, answer.status, answer.message or None)
        # No variable holds it: the frame, which it holds, would hold it.
        raise fault_of(server, answer) or UpstreamFault(faults.INVALID, "the server opens no session")
    revision = result.get("protocolVersion")
    if not isinstance(revision, str) or revision not in LEGACY_REVISIONS:
        raise UpstreamFault(faults.INVALID, "the server negotiated a revision that has no handshake")
    session = LegacySession(
        ServerLink.of(exchange, server),
        answer.session_id,
        revision,
        result,
        is_single,
        len(answer.text),
        answer.endpoint if answer.session_id else b"",
    )
    await ask(exchange, server, session.request(_INITIALIZED), span=span, seconds=seconds)
    return session
