"""Opened session ids, kept so that the calls of a session open its id once.

Opening an id takes base64, AES-GCM and the decoding of what is in it: about 20 µs. A kept session is found by its id,
its proxy and its principal, which are what the id is bound to; that its key is still one of the gateway's, and its age,
are judged at each use. An id that does not open is not kept, so nothing that a caller makes up takes memory. Whether
the server still has the session is not asked here: it answers 404, whatever is kept.
"""

from dataclasses import dataclass
from typing import Final, TypeAlias

from ostiary_core import json_weight
from ostiary_gateway.pipeline.merged_sessions.session_vector import SessionVector, decoded
from ostiary_gateway.seal import SESSION, SESSION_VECTOR, Sealer, Sealing
from ostiary_gateway.session_ids import UpstreamSession, session_in

#: About 20,000 sessions with ids as servers usually make them.
_MOST_BYTES: Final = 16 << 20
#: The approximate size in bytes of what is kept of a session, besides its texts.
_OVERHEAD: Final = 640
#: What is kept for each character of an id: the id itself and the server's.
_FOR_EACH_CHARACTER: Final = 2
#: What is kept of a vector besides, and for each server in it.
_OF_A_VECTOR: Final = 640
_FOR_EACH_SERVER: Final = 256

#: The id, the proxy's uid, and the principal's id.
_Place: TypeAlias = tuple[str, str, str]


@dataclass(slots=True)
class _Opened:
    """A session, how its id was sealed, and its size in bytes.

    ``is_used`` since it was last considered for removal.
    """

    session: UpstreamSession
    sealing: Sealing
    size: int
    is_used: bool = False


class OpenedSessions:
    """Opens session ids of one gateway, and keeps at most ``most_bytes`` of them.

    The oldest are removed first, except those that were used since they were last considered: a caller that opens
    many sessions removes its own, not those that others use.
    """

    def __init__(self, sealer: Sealer, *, most_bytes: int = _MOST_BYTES) -> None:
        self._sealer = sealer
        self._most = most_bytes
        self._kept: dict[_Place, _Opened] = {}
        #: The approximate number of bytes that are kept.
        self.held = 0

    def __len__(self) -> int:
        """The number of sessions that are kept."""
        return len(self._kept)

    def open(self, sealed: str, *, proxy_uid: str, principal: str, max_age: float) -> UpstreamSession | None:
        """Return the content of an id; None for any id that is not ours, see :meth:`.Sealer.read`.

        ``max_age`` is in seconds.
        """
        place = (sealed, proxy_uid, principal)
        found = self._kept.get(place)
        if found is None:
            return self._opened(place, max_age)
        if not self._sealer.is_valid(found.sealing, max_age):
            self._remove(place)
            return None
        found.is_used = True
        return found.session

    def _opened(self, place: _Place, max_age: float) -> UpstreamSession | None:
        """Open an id, and keep what is in it."""
        sealed, proxy_uid, principal = place
        is_vector = sealed.startswith(SESSION_VECTOR.prefix)
        purpose = SESSION_VECTOR if is_vector else SESSION
        found = self._sealer.read(purpose, sealed, proxy_uid=proxy_uid, principal=principal)
        if found is None or not self._sealer.is_valid(found.sealing, max_age):
            return None
        session = decoded(found.content) if is_vector else session_in(found.content)
        if session is not None:
            size = _OVERHEAD + len(sealed) * _FOR_EACH_CHARACTER
            if isinstance(session, SessionVector):
                size += _more_of_a_vector(session, found.content)
            self._keep(place, _Opened(session, found.sealing, size))
        return session

    def _keep(self, place: _Place, opened: _Opened) -> None:
        if opened.size > self._most:
            return
        self.held += opened.size
        while self.held > self._most:
            oldest = next(iter(self._kept))
            if self._kept[oldest].is_used:
                again = self._kept[oldest] = self._kept.pop(oldest)  # behind all others
                again.is_used = False
            else:
                self._remove(oldest)
        self._kept[place] = opened

    def _remove(self, place: _Place) -> None:
        self.held -= self._kept.pop(place).size


def _more_of_a_vector(vector: SessionVector, content: bytes) -> int:
    """Return about how many bytes a vector's servers take, and what its client declared.

    That is any small tree of JSON: of one text it may take four times the memory of another.
    """
    tree = json_weight.at_most(content) * json_weight.BYTES_EACH // json_weight.UNIT
    return _OF_A_VECTOR + len(vector.servers) * _FOR_EACH_SERVER + tree
