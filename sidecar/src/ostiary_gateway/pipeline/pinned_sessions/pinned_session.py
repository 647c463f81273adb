"""Open a session that can go on at another endpoint of its server.

The client's session id is a vector with one server (:mod:`..merged_sessions.session_vector`): the session at the
endpoint that opened it, what the client declared, and the terms of the handshake. With these the gateway initializes
another endpoint by itself.
"""

from collections.abc import Mapping
from typing import Any

from ostiary_gateway.pipeline.exchange import Exchange
from ostiary_gateway.pipeline.merged_sessions.session_opening import mark_of
from ostiary_gateway.pipeline.merged_sessions.session_vector import (
    MOST_BYTES,
    CapabilitiesTooLarge,
    ClientDeclaration,
    SessionVector,
    encoded,
    new_key,
    seal_vector,
)
from ostiary_gateway.pipeline.pinned_sessions.handshake_terms import terms_of
from ostiary_gateway.seal import Sealer
from ostiary_gateway.session_ids import UpstreamSession, check_upstream_id, seal_session
from ostiary_gateway.upstream.server import UpstreamServer


def declared_in(params: Mapping[str, Any]) -> ClientDeclaration | None:
    """Return what an initialize declares; None where it is too much for a session id."""
    try:
        return ClientDeclaration.read(params)
    except CapabilitiesTooLarge:
        return None


def seal_pinned(
    sealer: Sealer,
    exchange: Exchange,
    server: UpstreamServer,
    client: ClientDeclaration,
    session: UpstreamSession,
    result: Mapping[str, Any],
) -> str:
    """Return the id to give to a client whose handshake had this result.

    A server whose own ids leave no room keeps its sessions in them, so that any endpoint can go on with one.

    Raises:
        UpstreamFault: the server's id is invalid.
        Refusal: there is no key yet.
    """
    check_upstream_id(session.upstream_id)
    vector = SessionVector(new_key(), session.revision, client, {mark_of(server): session}, terms=terms_of(result))
    uid, principal = exchange.proxy.uid, exchange.principal.id
    if len(encoded(vector)) > MOST_BYTES:
        return seal_session(sealer, session, proxy_uid=uid, principal=principal)
    return seal_vector(sealer, vector, proxy_uid=uid, principal=principal)
