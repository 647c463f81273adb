"""An ended span as plain data.

It is written to the queue, and read by encoders, printers and observers.
"""

import hashlib
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Final, NamedTuple

#: The types of an attribute's value (OpenTelemetry common attributes).
Scalar = str | bool | int | float
AttributeValue = Scalar | Sequence[Scalar]
Attributes = Mapping[str, AttributeValue]

# Span kinds and status codes by their numbers in OTLP (trace.proto).
INTERNAL: Final = 1
SERVER: Final = 2
CLIENT: Final = 3
UNSET: Final = 0
ERROR: Final = 2

#: Digests of sessions that are remembered, and the longest ids of theirs, in characters: 2 MiB at most.
_REMEMBERED: Final = 1024
_REMEMBERED_LENGTH: Final = 1024

KINDS: Final = {INTERNAL: "INTERNAL", SERVER: "SERVER", CLIENT: "CLIENT"}
STATUSES: Final = {UNSET: "UNSET", ERROR: "ERROR"}


class SpanRecord(NamedTuple):
    """One ended span.

    Ids are hex text ("" where there is none: no parent, or tracing is off and only an observer uses the record). Times
    are nanoseconds since the epoch; their difference is monotonic. ``links`` holds (trace id, span id) pairs.

    The queue holds plain tuples in this order, because they cost a third and the garbage collector can ignore them;
    ``SpanRecord._make`` adds the names.
    """

    trace_id: str
    span_id: str
    parent_span_id: str
    parent_is_remote: bool
    tracestate: str
    name: str
    kind: int
    start_ns: int
    end_ns: int
    attributes: Attributes
    status: int
    description: str
    links: tuple[tuple[str, str], ...]
    dropped_attributes: int

    @property
    def duration_ns(self) -> int:
        """How long the span lasted, in nanoseconds."""
        return self.end_ns - self.start_ns


#: A :class:`SpanRecord` without its names.
PlainRecord = tuple[
    str,
    str,
    str,
    bool,
    str,
    str,
    int,
    int,
    int,
    Attributes,
    int,
    str,
    tuple[tuple[str, str], ...],
    int,
]


def session_digest(session_id: str) -> str:
    """Return 32 hex digits that stand for a session in telemetry.

    The id itself is a credential on an open proxy (its holder can use the session), and trace backends have many
    readers. The digest still joins all spans of a session.
    """
    return _known_digest(session_id) if len(session_id) <= _REMEMBERED_LENGTH else _digest(session_id)


def _digest(session_id: str) -> str:
    return hashlib.sha256(session_id.encode("utf-8", "replace")).hexdigest()[:32]


_known_digest: Final = lru_cache(maxsize=_REMEMBERED)(_digest)
