"""Open a session with one of several servers, with what its predecessor knew."""

import asyncio
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from ostiary_core.mcp.protocol_revisions import LEGACY_REVISIONS, MODERN
from ostiary_gateway.bridge.handshake import initialize_result
from ostiary_gateway.bridge.to_modern import REVISION
from ostiary_gateway.errors import UpstreamFault
from ostiary_gateway.pipeline.bridged.era_discovery import told_by_modern
from ostiary_gateway.pipeline.exchange import Exchange
from ostiary_gateway.pipeline.merged_sessions.session_notes import SessionKey, SessionNote
from ostiary_gateway.pipeline.merged_sessions.session_vector import (
    ClientDeclaration,
    SessionVector,
    fingerprint,
    is_session_id,
)
from ostiary_gateway.pipeline.own_request import OwnRequest
from ostiary_gateway.pipeline.server_answer import ServerAnswer, fault_of
from ostiary_gateway.pipeline.server_request import ask
from ostiary_gateway.session_ids import UpstreamSession
from ostiary_gateway.telemetry import ServerSpan
from ostiary_gateway.upstream import faults
from ostiary_gateway.upstream.server import UpstreamServer
from ostiary_gateway.upstream.server_eras import refuses_era

#: Seconds for a handshake that a request waits for.
HANDSHAKE_SECONDS: Final = 10.0
#: Seconds for what a server is told after it, and how much of it at once.
_REPLAY_SECONDS: Final = 5.0
_AT_ONCE: Final = 8


class OpenedSession(NamedTuple):
    """A session that was opened just now, and the server's answer to the handshake."""

    session: UpstreamSession
    result: Mapping[str, Any]


def mark_of(server: UpstreamServer) -> bytes:
    """Return what stands for a server in vectors and notes."""
    if not server.session_mark:
        server.session_mark = fingerprint(server.name, server.url)
    return server.session_mark


def key_of(exchange: Exchange, vector: SessionVector) -> SessionKey:
    """Return the key under which things are noted of the session of an exchange."""
    proxy = exchange.proxy
    return SessionKey(proxy.identity, proxy.uid, exchange.principal.id, vector.upstream_id)


async def open_session_at(
    exchange: Exchange,
    server: UpstreamServer,
    client: ClientDeclaration,
    *,
    revision: str,
    span: ServerSpan,
    seconds: float,
) -> OpenedSession:
    """Initialize a server with what a client declared, and return the session.

    Its id is empty where the server keeps none. The notification that completes the handshake is not sent. A server
    that speaks only the newest revision knows no sessions: it is asked what it is, and told the rest in each request.

    Raises:
        UpstreamFault: the server did not answer in time, or refused.
    """
    if server.eras.only is not MODERN:
        params = {
            "protocolVersion": revision,
            "capabilities": dict(client.capabilities),
            "clientInfo": {"name": "unknown", "version": "unknown", **client.info},
        }
        answer = await ask(exchange, server, OwnRequest("initialize", params, ""), span=span, seconds=seconds)
        fault = fault_of(server, answer)
        if fault is None:
            return OpenedSession(_session_of(answer), answer.result or {})
        if not refuses_era("initialize", answer.status, answer.message or None):
            raise fault
    else:
        fault = None
    told = await told_by_modern(exchange, server, span=span)
    if told is None:
        raise fault or UpstreamFault(faults.UNAVAILABLE, "it speaks the newest revision no longer")
    return OpenedSession(UpstreamSession("", REVISION), initialize_result(told, asked=revision, keeps_notes=True))


def in_session(session: UpstreamSession | None, method: str, params: Mapping[str, Any]) -> OwnRequest:
    """Return a request of the gateway's own in a session, which may be one without an id."""
    if session is None:
        return OwnRequest(method, params, "")
    return OwnRequest(method, params, session.revision, session.upstream_id or None, session.endpoint)


async def complete_handshake(
    exchange: Exchange,
    server: UpstreamServer,
    session: UpstreamSession,
    result: Mapping[str, Any],
    note: SessionNote,
    span: ServerSpan,
) -> None:
    """Complete a handshake, and tell the server what the client has told its predecessor.

    Raises:
        UpstreamFault: the server failed meanwhile.
    """
    done = in_session(session, "notifications/initialized", {})
    await ask(exchange, server, done, span=span, seconds=HANDSHAKE_SECONDS)
    requests = _replayed(session, result, note, mark_of(server))
    room = asyncio.Semaphore(_AT_ONCE)

    async def replay(request: OwnRequest) -> None:
        async with room:
            await ask(exchange, server, request, span=span, seconds=_REPLAY_SECONDS)

    try:
        async with asyncio.timeout(_REPLAY_SECONDS):
            # What it refuses now it would have refused at any time: the request that waits is sent all the same.
            await asyncio.gather(*map(replay, requests), return_exceptions=True)
    except TimeoutError:
        return


def _replayed(session: UpstreamSession, result: Mapping[str, Any], note: SessionNote, mark: bytes) -> list[OwnRequest]:
    capabilities = result.get("capabilities")
    offered = capabilities if isinstance(capabilities, dict) else {}
    requests = []
    if note.log_level is not None and "logging" in offered:
        requests.append(in_session(session, "logging/setLevel", {"level": note.log_level}))
    subscribed = sorted(note.subscriptions.get(mark, ()))
    return requests + [in_session(session, "resources/subscribe", {"uri": uri}) for uri in subscribed]


def _session_of(answer: ServerAnswer) -> UpstreamSession:
    """Return the session that an answer to initialize opens.

    Raises:
        UpstreamFault: the revision is not a legacy one, or the session id is invalid.
    """
    revision = (answer.result or {}).get("protocolVersion")
    if not isinstance(revision, str) or revision not in LEGACY_REVISIONS:
        raise UpstreamFault(faults.INVALID, "the server negotiated a revision that has no handshake")
    identifier = answer.session_id or ""
    if identifier and not is_session_id(identifier):
        raise UpstreamFault(faults.INVALID, "its session id is too long, or not of visible ASCII")
    # A server without sessions has nothing that one endpoint knows and another does not.
    return UpstreamSession(identifier, revision, endpoint=answer.endpoint if identifier else b"")
