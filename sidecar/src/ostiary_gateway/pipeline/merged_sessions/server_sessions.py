"""The sessions of one client with the servers behind one endpoint.

Found, opened late, and opened again.

A server's session is in the client's session id, or in the session notes. A server that was late when the client
initialized has none yet, and one that answers HTTP 404 has forgotten its own: no request that is answered so was
carried out (specification, Session Management). Clients never initialize again because of one server of several. So
the gateway does, with what the client declared, and tells the server what the client told its predecessor: the log
level, and which resources it wants to hear of. Requests that need the same session at the same time wait for one
handshake. A session whose endpoint is not there any more is lost in the same way.
"""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, Final, Protocol
from weakref import WeakValueDictionary

from ostiary_core.mcp.protocol_revisions import LEGACY_REVISIONS
from ostiary_gateway.errors import UpstreamFault
from ostiary_gateway.pipeline.exchange import Exchange
from ostiary_gateway.pipeline.http_checks import session_not_found
from ostiary_gateway.pipeline.merged_sessions.session_notes import SessionKey, SessionNote, SessionNotes
from ostiary_gateway.pipeline.merged_sessions.session_opening import (
    HANDSHAKE_SECONDS,
    OpenedSession,
    complete_handshake,
    in_session,
    key_of,
    mark_of,
    open_session_at,
)
from ostiary_gateway.pipeline.merged_sessions.session_vector import SessionVector
from ostiary_gateway.pipeline.pinned_sessions.handshake_terms import are_kept, terms_of
from ostiary_gateway.pipeline.pinned_sessions.session_endpoint import is_gone, is_lost
from ostiary_gateway.pipeline.server_answer import ServerAnswer
from ostiary_gateway.pipeline.server_request import ask
from ostiary_gateway.pipeline.server_streams import end_session
from ostiary_gateway.session_ids import UpstreamSession
from ostiary_gateway.telemetry import ServerSpan
from ostiary_gateway.telemetry.session_counts import SESSIONS
from ostiary_gateway.upstream import faults
from ostiary_gateway.upstream.server import UpstreamServer

#: How many other sessions one request tries: one that another replica has noted may be lost, too.
_MOST_RENEWALS: Final = 2


class FollowsSession(Protocol):
    """A stream of changes of a session."""

    def end(self) -> None:
        """End it: its session has ended."""

    def subscribed_elsewhere(self, mark: bytes) -> None:
        """Ask a server, named by its fingerprint, for changes of what is subscribed now."""


class ServerSessions:
    """The sessions of all clients of this process with servers behind endpoints of several.

    ``following`` are the open streams of changes, by their session.
    """

    def __init__(self, notes: SessionNotes) -> None:
        self.notes = notes
        self.following: dict[SessionKey, set[FollowsSession]] = {}
        self._turns: WeakValueDictionary[tuple[SessionKey, bytes], asyncio.Lock] = WeakValueDictionary()

    def at_hand(self, exchange: Exchange, server: UpstreamServer) -> UpstreamSession | None:
        """Return the session with a server as far as this replica knows it, without waiting.

        Raises:
            Refusal: 404, the client has ended the session.
        """
        vector = exchange.session
        if not isinstance(vector, SessionVector):
            return None
        note = self._known(key_of(exchange, vector))
        mark = mark_of(server)
        found = note.servers.get(mark) if note is not None else None
        return found if found is not None else vector.servers.get(mark)

    async def obtain(self, exchange: Exchange, server: UpstreamServer, *, span: ServerSpan) -> UpstreamSession | None:
        """Return the session with a server, opened now if there is none yet.

        None for a caller without a session.

        Raises:
            UpstreamFault: it could not be opened.
            Refusal: 404, the client has ended the session.
        """
        vector = exchange.session
        if not isinstance(vector, SessionVector):
            return None
        found = self.at_hand(exchange, server)
        if found is not None and not is_gone(server, found):
            return found
        if found is not None:
            return await self.renewed(exchange, server, found, span=span)
        return await self._renewed(exchange, server, vector, None, span)

    async def renewed(
        self, exchange: Exchange, server: UpstreamServer, failed: UpstreamSession, *, span: ServerSpan
    ) -> UpstreamSession:
        """Return another session in place of one that the server has forgotten.

        Raises:
            UpstreamFault: it could not be opened.
            Refusal: 404, the client has ended the session, or no notes are kept: then it has to initialize again.
        """
        vector = exchange.session
        if not isinstance(vector, SessionVector) or not self.notes.are_kept:
            raise session_not_found()
        return await self._renewed(exchange, server, vector, failed, span)

    async def ask(
        self,
        exchange: Exchange,
        server: UpstreamServer,
        method: str,
        params: Mapping[str, Any],
        *,
        span: ServerSpan,
        seconds: float,
    ) -> ServerAnswer:
        """Send a request of the gateway's own in the caller's session with a server.

        The session is opened where there is none, and again if the server has forgotten it.

        Raises:
            UpstreamFault: there is no session and none could be opened, or as :func:`.server_request.ask`.
            Refusal: 404, the client has ended the session.
        """
        session = await self.obtain(exchange, server, span=span)
        for _ in range(_MOST_RENEWALS):
            try:
                answer = await ask(exchange, server, in_session(session, method, params), span=span, seconds=seconds)
            except UpstreamFault as fault:
                if not is_lost(fault, session):
                    raise
            else:
                if answer.status != 404 or session is None or not session.upstream_id:
                    return answer
            if session is not None:
                session = await self.renewed(exchange, server, session, span=span)
        return await ask(exchange, server, in_session(session, method, params), span=span, seconds=seconds)

    @contextmanager
    def followed_by(self, exchange: Exchange, stream: FollowsSession) -> Iterator[None]:
        """Let a stream know what happens to the session of its exchange, in this block."""
        vector = exchange.session
        if not isinstance(vector, SessionVector):
            yield
            return
        key = key_of(exchange, vector)
        streams = self.following.setdefault(key, set())
        streams.add(stream)
        try:
            yield
        finally:
            streams.discard(stream)
            if not streams and self.following.get(key) is streams:
                del self.following[key]

    def _known(self, key: SessionKey) -> SessionNote | None:
        note = self.notes.known(key)
        if note is not None and note.ended:
            raise session_not_found()
        return note

    async def _renewed(
        self,
        exchange: Exchange,
        server: UpstreamServer,
        vector: SessionVector,
        failed: UpstreamSession | None,
        span: ServerSpan,
    ) -> UpstreamSession:
        """Return a session other than ``failed``: one that is noted, or a new one."""
        if not self.notes.are_kept:
            raise UpstreamFault(faults.UNAVAILABLE, "it was not there when the session began (sessionNotes: None)")
        key, mark = key_of(exchange, vector), mark_of(server)
        turn = self._turns.setdefault((key, mark), asyncio.Lock())
        async with turn:
            found = self.at_hand(exchange, server)
            if found is not None and found != failed and not is_gone(server, found):
                return found  # another request has opened it meanwhile
            note = await self.notes.looked_up(key)
            if note.ended:
                raise session_not_found()
            found = note.servers.get(mark)
            if found is not None and found != failed and not is_gone(server, found):
                return found
            opened = await self._open(exchange, server, vector, note, span)
            return await self._agreed(exchange, server, vector, failed, opened, span)

    async def _agreed(
        self,
        exchange: Exchange,
        server: UpstreamServer,
        vector: SessionVector,
        failed: UpstreamSession | None,
        opened: UpstreamSession,
        span: ServerSpan,
    ) -> UpstreamSession:
        """Return the session that all replicas go on with: the first one that was noted.

        Raises:
            Refusal: 404, the client has ended the session meanwhile.
        """

        def is_lost(session: UpstreamSession) -> bool:
            return session == failed or is_gone(server, session)

        key, mark = key_of(exchange, vector), mark_of(server)
        agreed = await self.notes.replace_server(key, mark, opened, is_lost=is_lost)
        if agreed != opened:
            await _leave(exchange, server, opened, span)
        if agreed is None:
            raise session_not_found()
        return agreed

    async def _open(
        self,
        exchange: Exchange,
        server: UpstreamServer,
        vector: SessionVector,
        note: SessionNote,
        span: ServerSpan,
    ) -> UpstreamSession:
        opened = await open_session_at(
            exchange, server, vector.client, revision=vector.revision, span=span, seconds=HANDSHAKE_SECONDS
        )
        if vector.terms and not _keeps_terms(vector, opened):
            await _leave(exchange, server, opened.session, span)
            raise session_not_found()
        SESSIONS.note_renewed(exchange.proxy.identity, server.name)
        session = opened.session
        if session.revision in LEGACY_REVISIONS:
            await complete_handshake(exchange, server, session, opened.result, note, span)
        return session


async def _leave(exchange: Exchange, server: UpstreamServer, session: UpstreamSession, span: ServerSpan) -> None:
    """End a session that is not used; a server that fails to ends it by itself at some time."""
    if session.upstream_id:
        with suppress(UpstreamFault):
            await end_session(exchange, server, session, span=span, seconds=HANDSHAKE_SECONDS)


def _keeps_terms(vector: SessionVector, opened: OpenedSession) -> bool:
    """Return whether a new session of the one server keeps what its client was told."""
    return opened.session.revision == vector.revision and are_kept(vector.terms, terms_of(opened.result))
