"""One request of the gateway's own to a server, and its id.

Ids are ours, so they cannot be those of a caller's requests in the same session. How it is sent: :mod:`.server_request`
and :mod:`.server_streams`.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any, Final

from ostiary_core.mcp.methods import METHODS, NOTIFICATION_PREFIX, REPEATABLE
from ostiary_core.mcp.protocol_revisions import MODERN_REVISIONS

_OWN: Final = "ostiary-own-"
#: Random for each process.
_PROCESS: Final = os.urandom(6).hex()
_numbers: Final = count()
#: Requests without a message: they open the stream of a session, or end the session.
_HTTP_METHODS: Final = frozenset({"GET", "DELETE"})
#: To open a stream changes nothing, and a session ends only once.
_REPEATABLE: Final = REPEATABLE | _HTTP_METHODS | {"subscriptions/listen"}


def own_id() -> str:
    """Return a new id for a request of the gateway's own, unique over all replicas."""
    return f"{_OWN}{_PROCESS}-{next(_numbers):x}"


@dataclass(frozen=True, slots=True)
class OwnRequest:
    """One request or notification of the gateway's own.

    ``method`` is GET or DELETE where it has no message. ``revision`` is the protocol revision in which it is sent,
    empty for ``initialize``, which has none yet. ``endpoint`` is the key of the endpoint that has the session, empty
    where any endpoint may get the request.
    """

    method: str
    params: Mapping[str, Any]
    revision: str
    session_id: str | None = None
    endpoint: bytes = b""

    @property
    def http_method(self) -> str:
        """The HTTP method that it is sent with."""
        return self.method if self.method in _HTTP_METHODS else "POST"

    @property
    def is_repeatable(self) -> bool:
        """Whether it may be written again although the server may have received it."""
        return self.method in _REPEATABLE

    @property
    def is_modern(self) -> bool:
        """Whether it carries its metadata itself."""
        return self.revision in MODERN_REVISIONS

    @property
    def is_notification(self) -> bool:
        """Whether no response is due."""
        return self.method.startswith(NOTIFICATION_PREFIX)

    @property
    def name(self) -> str:
        """The name or URI that it is about, or empty."""
        row = METHODS.get(self.method)
        found = self.params.get(row.name_key) if row is not None and row.name_key else None
        return found if isinstance(found, str) else ""
