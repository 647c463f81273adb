"""Templates of spans: those of one tool differ in ids, times, caller and session only.

A span that ended well, and of which nothing unusual was reported, is encoded from the template of its like: the bytes
of its name and of all attributes that are the same in each. No attributes are collected for it. Every other span
becomes a record, and :func:`~ostiary_gateway.telemetry.otlp.encoder.encode_span` returns the same bytes of a record; a
property test holds both together.
"""

from collections.abc import Hashable
from functools import lru_cache
from typing import Any, Final, TypeVar

from ostiary_gateway.telemetry import semantic_conventions
from ostiary_gateway.telemetry.otlp.encoder import encode_attributes, request_id_attribute
from ostiary_gateway.telemetry.span_record import session_digest

#: Templates of each kind that are kept: about a MiB, since names may be a caller's own.
_MOST: Final = 1024
#: The longest text in a key, in characters.
_LONGEST: Final = 256
#: The longest ids of sessions whose attributes are remembered, in characters.
_SESSION: Final = 1024
#: The longest ids of requests, likewise.
_ID: Final = 64


Template = TypeVar("Template")


class SpanTemplates:
    """The templates of one config: another one begins with none. Must be used in one thread."""

    __slots__ = ("callers", "client", "revision", "server")

    def __init__(self) -> None:
        self.revision = 0
        #: Encoded attributes of spans by what they depend on; with what keeps identities in a key from being reused.
        self.server: dict[Hashable, tuple[bytes, Any]] = {}
        self.client: dict[Hashable, bytes] = {}
        #: The same of callers: there are more of them than of tools.
        self.callers: dict[Hashable, bytes] = {}

    def begin(self, revision: int) -> bool:
        """Begin with a newer config, without templates; return False for an older one."""
        if revision < self.revision:
            return False
        self.revision = revision
        for each in (self.server, self.client, self.callers):
            each.clear()
        return True


def keep(known: dict[Hashable, Template], key: tuple[Any, ...], template: Template) -> Template:
    """Keep a template under a key, unless a text in that is long, and return it."""
    if all(type(each) is not str or len(each) <= _LONGEST for each in key):
        if len(known) >= _MOST:
            known.clear()
        known[key] = template
    return template


def own_bytes(
    request_id: str | float | None, session_id: str | None, session_keys: tuple[str, ...], limit: int
) -> bytes:
    """Return ``own_attributes`` of a message, encoded."""
    found = b""
    if request_id is not None:
        shown = str(request_id)[:limit]
        found = _known_id(shown) if len(shown) <= _ID else request_id_attribute(shown)
    if session_id is None:
        return found
    if len(session_id) > _SESSION:
        return found + _session_bytes.__wrapped__(session_id, session_keys)
    return found + _session_bytes(session_id, session_keys)


#: Both spans of a request have its id, and clients number their requests from one on.
_known_id: Final = lru_cache(maxsize=_MOST)(request_id_attribute)


@lru_cache(maxsize=_MOST)
def _session_bytes(session_id: str, keys: tuple[str, ...]) -> bytes:
    return encode_attributes(dict.fromkeys(keys, session_digest(session_id)))


#: Under which keys spans name a session, by kind.
SERVER_SESSION: Final = (semantic_conventions.MCP_SESSION_ID, semantic_conventions.SESSION_ID)
CLIENT_SESSION: Final = (semantic_conventions.MCP_SESSION_ID,)
