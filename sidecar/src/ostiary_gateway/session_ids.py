"""Sessions at one server, sealed into their id.

This is format ``1.`` of :mod:`ostiary_gateway.seal`. The content is the index of the revision (1 byte) and the
upstream's session id. Where the server has several endpoints, the first byte has a flag, and the key of the endpoint
that has the session stands before the id. A replica that does not know the flag takes such an id for one that is not
ours.
"""

import re
from dataclasses import dataclass, field
from typing import Final

from ostiary_gateway.errors import UpstreamFault
from ostiary_gateway.seal import SESSION, Sealer
from ostiary_gateway.upstream import faults

#: The longest upstream session id: some servers keep a session in its id, as we do. The specification has no limit.
#: The sealed id of such a session has 5,513 characters.
_MAX_UPSTREAM_ID: Final = 4096
#: The characters of a session id (specification, Session Management).
_UPSTREAM_ID: Final = re.compile(r"[\x21-\x7e]+")
#: Sealed ids contain indexes into this list: append only.
_REVISIONS: Final = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25")
#: The bytes of an endpoint's key.
ENDPOINT_BYTES: Final = 8
#: Set in the first byte of a session that one endpoint of several has.
_AT_ENDPOINT: Final = 0x80


@dataclass(frozen=True, slots=True)
class UpstreamSession:
    """The content of a sealed id: the upstream's own session id, and the negotiated revision.

    ``endpoint`` is the key of the endpoint that has the session; empty where the server has one place only.
    """

    upstream_id: str
    revision: str
    endpoint: bytes = field(default=b"", kw_only=True)


def seal_session(sealer: Sealer, session: UpstreamSession, *, proxy_uid: str, principal: str) -> str:
    """Return the id to give to the client.

    Raises:
        UpstreamFault: the upstream's id is invalid.
        Refusal: there is no key yet.
    """
    check_upstream_id(session.upstream_id)
    first = _REVISIONS.index(session.revision) | (_AT_ENDPOINT if session.endpoint else 0)
    content = bytes((first,)) + session.endpoint + session.upstream_id.encode()
    return sealer.seal(SESSION, content, proxy_uid=proxy_uid, principal=principal)


def session_in(content: bytes) -> UpstreamSession | None:
    """Return the session in what was sealed.

    It is None where a newer replica sealed what this one does not know.
    """
    if not content:
        return None
    if content[0] & _AT_ENDPOINT:
        return _at_endpoint(content)
    # A newer replica may seal a revision that this one does not have yet.
    return UpstreamSession(content[1:].decode(), _REVISIONS[content[0]]) if content[0] < len(_REVISIONS) else None


def _at_endpoint(content: bytes) -> UpstreamSession | None:
    """Return the session in a content with the flag of an endpoint."""
    index, start = content[0] & ~_AT_ENDPOINT, 1 + ENDPOINT_BYTES
    if index >= len(_REVISIONS) or len(content) <= start:
        return None
    return UpstreamSession(content[start:].decode(), _REVISIONS[index], endpoint=content[1:start])


def check_upstream_id(upstream_id: str) -> None:
    """Check what a server sent as its session id.

    Raises:
        UpstreamFault: no client could send it, or it is longer than we can seal.
    """
    if len(upstream_id) > _MAX_UPSTREAM_ID:
        words = f"its session id is {len(upstream_id)} characters long, and at most {_MAX_UPSTREAM_ID} can be sealed"
        raise UpstreamFault(faults.INVALID, words)
    if _UPSTREAM_ID.fullmatch(upstream_id) is None:
        raise UpstreamFault(faults.INVALID, "its session id is empty, or not of visible ASCII")
