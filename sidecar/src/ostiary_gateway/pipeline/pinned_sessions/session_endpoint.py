"""The endpoint that has a session, for each request that belongs to it.

An endpoint that is about to end still gets what belongs to its sessions. One that is gone, or that does not work, has
lost them: then the session is opened again elsewhere (:mod:`..merged_sessions.server_sessions`).
"""

from collections import OrderedDict
from typing import Final

from ostiary_core.upstream_faults import NO_CONNECTION
from ostiary_gateway.errors import Refusal, UpstreamFault
from ostiary_gateway.session_ids import UpstreamSession
from ostiary_gateway.upstream import faults
from ostiary_gateway.upstream.endpoint import UpstreamEndpoint
from ostiary_gateway.upstream.http1.upstream_response import UpstreamResponse
from ostiary_gateway.upstream.server import UpstreamServer

#: The endpoints are known only by the name of their Service (:attr:`.EndpointSet.source`).
_BY_NAME: Final = "Service"
#: The most sessions whose endpoint is remembered; the ones that were used least recently go first.
_MOST_FOUND: Final = 4096


class FoundEndpoints:
    """Which endpoints are known to have a session, by proxy and the server's own id."""

    def __init__(self) -> None:
        self._keys: OrderedDict[tuple[str, str], bytes] = OrderedDict()

    def of(self, proxy_uid: str, session: UpstreamSession) -> bytes:
        """Return the key of the endpoint that has a session, empty if that is not known."""
        place = (proxy_uid, session.upstream_id)
        if place in self._keys:
            self._keys.move_to_end(place)
        return self._keys.get(place, b"")

    def note(self, proxy_uid: str, session: UpstreamSession) -> None:
        """Note which endpoint has a session."""
        place = (proxy_uid, session.upstream_id)
        self._keys[place] = session.endpoint
        self._keys.move_to_end(place)
        if len(self._keys) > _MOST_FOUND:
            self._keys.popitem(last=False)


def endpoint_of(server: UpstreamServer, key: bytes) -> UpstreamEndpoint | None:
    """Return the endpoint that gets the requests of a session; None where the server chooses.

    ``key`` is that of the session, empty for a session that no endpoint has.

    Raises:
        UpstreamFault: the endpoint is gone.
    """
    if not key or server.endpoints is None or is_by_name(server):
        return None
    found = server.endpoints.find(key)
    if found is None:
        words = "the endpoint that has this session is gone"
        raise UpstreamFault(faults.UNREACHABLE, words, of_caller=True)  # that says nothing about the server
    return found


def is_by_name(server: UpstreamServer) -> bool:
    """Return whether the endpoints of a server are known only by the name of their Service."""
    return server.endpoints is not None and server.endpoints.source == _BY_NAME


def key_of_sender(response: UpstreamResponse) -> bytes:
    """Return the key of the endpoint that sent a response, empty where there is one place."""
    return response.endpoint.key if response.endpoint is not None else b""


def is_gone(server: UpstreamServer, session: UpstreamSession | None) -> bool:
    """Return whether the endpoint that has a session is not there any more."""
    if session is None or not session.endpoint or server.endpoints is None or is_by_name(server):
        return False
    return server.endpoints.find(session.endpoint) is None


def is_lost(fault: UpstreamFault, session: UpstreamSession | None) -> bool:
    """Return whether a fault shows that the endpoint with a session is not there."""
    return session is not None and bool(session.endpoint) and fault.kind in NO_CONNECTION


def lost_with(refusal: Refusal, session: UpstreamSession | None) -> bool:
    """Return :func:`is_lost` of the fault behind a refusal."""
    cause = refusal.__cause__
    return isinstance(cause, UpstreamFault) and is_lost(cause, session)
