"""W3C Trace Context, level 2: parse a caller's context, write the context for an upstream.

Everything here accepts what a hostile caller may send, of any type and size, and never raises: an invalid value counts
as absent. Ids stay lower-case hex text; the encoder converts them to bytes in its own thread.
"""

import re
from collections.abc import Mapping, MutableMapping
from random import getrandbits
from types import MappingProxyType
from typing import Any, Final, NamedTuple, Protocol

TRACEPARENT: Final = "traceparent"
TRACESTATE: Final = "tracestate"
BAGGAGE: Final = "baggage"
_CARRIED: Final = (BAGGAGE, TRACEPARENT, TRACESTATE)

SAMPLED: Final = 0x01
#: Level 2: the right-most 56 bits of the trace id are random. Ours are.
RANDOM: Final = 0x02

#: The longest ``tracestate`` that we propagate, in characters (the minimum that the specification requires, 3.3.1.5).
TRACESTATE_LIMIT: Final = 512
_TRACESTATE_READ_LIMIT: Final = 8192
_TRACESTATE_MEMBERS: Final = 32
_TRACEPARENT_LIMIT: Final = 512
_BIG_MEMBER: Final = 128

#: The context where there is none.
NONE: Final[Mapping[str, str]] = MappingProxyType({})

_IDS: Final = r"(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})"
#: Version 00 must match exactly; a later one may have more after the flags; ff is invalid (section 3.2).
_current = re.compile(f"[ \t]*00-{_IDS}[ \t]*").fullmatch
_later = re.compile(f"[ \t]*(?!00|ff)[0-9a-f]{{2}}-{_IDS}(?:-.*|[ \t]*)").fullmatch
_FLAGS: Final = {f"{flags:02x}": flags for flags in range(256)}
_member = re.compile(
    r"((?:[a-z][-_0-9a-z*/]{0,255}|[0-9a-z][-_0-9a-z*/]{0,240}@[a-z][-_0-9a-z*/]{0,13}))"
    r"=([\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e])"
).fullmatch


class SpanContext(NamedTuple):
    """Ids and flags of a span.

    They are 32 and 16 hex digits, the flags byte, and the vendors' state ("" for none).
    """

    trace_id: str
    span_id: str
    flags: int
    tracestate: str

    def traceparent(self) -> str:
        """The ``traceparent`` value of this context.

        Bits that version 00 does not define are cleared.
        """
        return f"00-{self.trace_id}-{self.span_id}-{self.flags & 3:02x}"


class Named(Protocol):
    """What a sampler may ask of a message.

    It is its method, and the name of its tool, prompt or resource.
    """

    method: str | None
    target: str | None


class Decide(Protocol):
    """Decides whether to record and export a trace, by its remote parent and its id."""

    def __call__(self, parent: SpanContext | None, trace_id: str, message: Named | None = None, /) -> bool:
        """Return whether to record it. The built-in samplers do not look at the message."""


def parse(traceparent: object, tracestate: object = None) -> SpanContext | None:
    """The context in a pair of raw values from headers or from ``_meta``.

    ``None`` unless it is valid.

    An invalid ``tracestate`` is dropped and does not invalidate the parent.
    """
    if not isinstance(traceparent, str) or len(traceparent) > _TRACEPARENT_LIMIT:
        return None
    match = _current(traceparent) or _later(traceparent)
    if match is None:
        return None
    trace_id, span_id, flags = match.groups()
    return SpanContext(trace_id, span_id, _FLAGS[flags], parse_tracestate(tracestate) if tracestate else "")


def parse_tracestate(value: object) -> str:
    """The ``tracestate`` to propagate, shortened to the limit.

    "" if there is none or it is invalid as a whole.

    Only text that matches the grammar is sent, so no header can be smuggled in a value.
    """
    if not isinstance(value, str) or len(value) > _TRACESTATE_READ_LIMIT:
        return ""
    members = [member for part in value.split(",") if (member := part.strip(" \t"))]
    if len(members) > _TRACESTATE_MEMBERS:
        return ""
    keys = set()
    for member in members:
        match = _member(member)
        if match is None or match[1] in keys:
            return ""
        keys.add(match[1])
    joined = ",".join(members)
    return joined if len(joined) <= TRACESTATE_LIMIT else _shortened(members)


def _shortened(members: list[str]) -> str:
    """Shorten a ``tracestate`` by whole members.

    Those over 128 characters go first, then those at the end (section 3.3.1.5).
    """
    for big in reversed([member for member in members if len(member) > _BIG_MEMBER]):
        if len(",".join(members)) <= TRACESTATE_LIMIT:
            break
        members.remove(big)
    while len(",".join(members)) > TRACESTATE_LIMIT:
        members.pop()
    return ",".join(members)


def new_trace_id() -> str:
    """A random trace id of 32 hex digits, never all zero."""
    return (getrandbits(128) or 1).to_bytes(16).hex()


def new_span_id() -> str:
    """A random span id of 16 hex digits, never all zero."""
    return (getrandbits(64) or 1).to_bytes(8).hex()


def members(traceparent: str, tracestate: str) -> dict[str, str]:
    """A context as members of headers and of ``_meta`` alike."""
    return {TRACEPARENT: traceparent, TRACESTATE: tracestate} if tracestate else {TRACEPARENT: traceparent}


def inject(carrier: MutableMapping[str, Any], context: Mapping[str, str]) -> None:
    """Put this context (:func:`members`) into ``carrier`` in place of the caller's.

    ``carrier`` are outgoing headers or ``_meta``.

    ``baggage`` is removed: it crosses a trust boundary, and anyone may have written it.
    """
    for key in _CARRIED:
        if key in carrier:
            del carrier[key]  # not pop: for a multidict that would remove the first value only
    carrier.update(context)
