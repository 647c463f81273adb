"""Ids of events, as a client of several servers gets them.

They hold the server and the request whose stream it is.

A client that resumes a stream gets it from the server that the id names. What comes there is bound to the request: a
server could otherwise answer, on a stream that it owns, a call that another server has. So the id is
``<server>.<request>.<the server's own id>``, where ``request`` is base64url of the JSON array of the request's id and
progress token, as the server knows them. It is empty on a stream that belongs to no request.
"""

import base64
import binascii
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from ostiary_core import strict_json
from ostiary_core.errors import StrictJSONError

#: The most characters of a server's own id, and of what stands for the request; more would not pass as a header.
_LONGEST: Final = 1024
_LONGEST_REQUEST: Final = 400
_IDS: Final = frozenset((int, str))


class StreamOf(NamedTuple):
    """The request that a stream belongs to.

    Its id and progress token, as its server knows them.
    """

    identifier: str | int
    token: str | int | None = None


class ResumedEvent(NamedTuple):
    """What the id of an event says.

    Its server, the request of the stream (None where it belongs to none), and the server's own id.
    """

    server: str
    stream: StreamOf | None
    own: str


class EventIds:
    """Exposes the ids of events on the stream of one request, or on one that belongs to none."""

    __slots__ = ("_begin", "_server", "_stream")

    def __init__(self, server: str, stream: StreamOf | None) -> None:
        self._server = server
        self._stream = stream
        self._begin: bytes | None = None

    def __call__(self, own: bytes) -> bytes | None:
        """Return the id of an event as the client gets it.

        None where it could not come back as a header.
        """
        if self._begin is None:  # most streams have no ids
            self._begin = _begin(self._server, self._stream)
        if not self._begin or len(own) > _LONGEST or not own or any(byte < 0x21 or byte > 0x7E for byte in own):
            return None
        return self._begin + own


def stream_of(body: Mapping[str, Any]) -> StreamOf | None:
    """Return the request that a message opens a stream for; None for a message without an id."""
    identifier, params = body.get("id"), body.get("params")
    meta = params.get("_meta") if isinstance(params, dict) else None
    token = meta.get("progressToken") if isinstance(meta, dict) else None
    if identifier is None or type(identifier) not in _IDS:
        return None
    return StreamOf(identifier, token if type(token) in _IDS else None)


def resumed_event(exposed: str) -> ResumedEvent | None:
    """Return what an id of an event says; None for any text that this module did not make."""
    server, _, rest = exposed.partition(".")
    request, _, own = rest.partition(".")
    if not server or not own or len(own) > _LONGEST or len(request) > _LONGEST_REQUEST:
        return None
    if not request:
        return ResumedEvent(server, None, own)
    try:
        found = strict_json.loads(base64.urlsafe_b64decode(request + "=" * (-len(request) % 4)))
    except (binascii.Error, ValueError, StrictJSONError):
        return None
    if not isinstance(found, list) or len(found) != 2 or type(found[0]) not in _IDS:
        return None
    token = found[1] if type(found[1]) in _IDS else None
    return ResumedEvent(server, StreamOf(found[0], token), own)


def _begin(server: str, stream: StreamOf | None) -> bytes:
    """Return what the ids of a stream begin with.

    Empty where the request's id is too long to be kept in them.
    """
    request = base64.urlsafe_b64encode(strict_json.dumps(list(stream))).rstrip(b"=") if stream is not None else b""
    return b"%b.%b." % (server.encode(), request) if len(request) <= _LONGEST_REQUEST else b""


def no_event_id(_own: bytes) -> None:
    """Drop the id of an event: its stream cannot be resumed."""
    return
