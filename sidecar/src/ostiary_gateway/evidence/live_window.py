"""Requests of one proxy in the window that goes on, and closed windows in few bytes.

A closed window takes about fifty bytes: a thousand proxies with all their windows fit into ten MiB. What requests have
in common (method, HTTP status, error type, outcome) is one *kind*, a number in the bounded table :class:`RequestKinds`.
"""

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from ostiary_core.evidence.latency import BUCKETS
from ostiary_core.evidence.recorded_call import CallOutcome
from ostiary_gateway.telemetry.request_labels import OTHER_ERROR, known_error

#: Kinds of one process with their own status and error type. There are fewer, unless an upstream invents statuses.
MOST_KINDS: Final = 4096
#: Outcomes of requests that access rules refused.
DENIALS: Final = frozenset({CallOutcome.DENIED, CallOutcome.HIDDEN})
_MICROSECONDS: Final = 1_000_000


class RequestKind(NamedTuple):
    """What requests have in common. ``status`` is the HTTP status, 0 without a response."""

    method: str
    status: int
    error_type: str
    outcome: CallOutcome


class RequestKinds:
    """Numbers the kinds of requests of one process.

    Its methods, error types and outcomes are from closed lists.
    """

    def __init__(self) -> None:
        #: Numbers of requests that went well, by method and status: nearly all, and an outcome is slow to hash.
        self.usual: dict[tuple[str, int], int] = {}
        self._numbers: dict[RequestKind, int] = {}
        self._kinds: list[RequestKind] = []

    def number_of(self, method: str, status: int, error_type: str, outcome: CallOutcome) -> int:
        """Return the number of a kind, or of one that stands for it where there are too many."""
        kind = RequestKind(method, status, known_error(error_type), outcome)
        found = self._numbers.get(kind)
        if found is None:
            found = self._add(kind)
        if outcome is CallOutcome.OK and not error_type:
            self.usual[method, status] = found
        return found

    def _add(self, kind: RequestKind) -> int:
        if len(self._kinds) >= MOST_KINDS:
            kind = kind._replace(status=0, error_type=kind.error_type and OTHER_ERROR)
        found = self._numbers.get(kind)
        if found is None:
            found = self._numbers[kind] = len(self._kinds)
            self._kinds.append(kind)
        return found

    def __getitem__(self, number: int) -> RequestKind:
        """Return the kind with a number."""
        return self._kinds[number]


class LiveWindow:
    """What is counted in one window.

    ``kinds`` are counts by number of the kind; times are in seconds.
    """

    __slots__ = ("buckets", "kinds", "seconds", "slowest", "upstream_seconds")

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Begin again, with nothing."""
        self.buckets = [0] * BUCKETS
        self.kinds: dict[int, int] = {}
        self.seconds = self.upstream_seconds = self.slowest = 0.0

    def absorb(self, other: "LiveWindow") -> None:
        """Add what another window counted."""
        for bucket, count in enumerate(other.buckets):
            if count:
                self.buckets[bucket] += count
        for kind, count in other.kinds.items():
            self.kinds[kind] = self.kinds.get(kind, 0) + count
        self.seconds += other.seconds
        self.upstream_seconds += other.upstream_seconds
        self.slowest = max(self.slowest, other.slowest)

    def document(self, at: int, kinds: RequestKinds) -> dict[str, Any]:
        """Return it as a ``TrafficWindow``, which begins ``at`` (epoch milliseconds)."""
        methods: dict[str, int] = {}
        statuses: dict[str, int] = {}
        error_types: dict[str, int] = {}
        outcomes: dict[str, int] = {}
        calls = denied = 0
        for number, count in self.kinds.items():
            kind = kinds[number]
            calls += count
            denied += count if kind.outcome in DENIALS else 0
            _add(methods, kind.method, count)
            _add(outcomes, kind.outcome.value, count)
            if kind.status:
                _add(statuses, str(kind.status), count)
            if kind.error_type:
                _add(error_types, kind.error_type, count)
        return {
            "at": at,
            "calls": calls,
            "errors": sum(error_types.values()),
            "denied": denied,
            "seconds": round(self.seconds, 6),
            "upstreamSeconds": round(self.upstream_seconds, 6),
            "slowest": round(self.slowest, 6),
            "buckets": self.buckets,
            "methods": methods,
            "statuses": statuses,
            "errorTypes": error_types,
            "outcomes": outcomes,
        }


def _add(counts: dict[str, int], key: str, count: int) -> None:
    counts[key] = counts.get(key, 0) + count


class PackedWindows:
    """The closed windows of one proxy, oldest first, in one buffer.

    A window begins at its ``number`` times its length since the epoch.
    """

    __slots__ = ("_bytes", "count")

    def __init__(self) -> None:
        self._bytes = bytearray()
        self.count = 0

    def append(self, number: int, window: LiveWindow) -> None:
        """Keep a window."""
        body = bytearray()
        for value in (number, *map(_whole, (window.seconds, window.upstream_seconds, window.slowest))):
            _write(body, value)
        filled = [(bucket, count) for bucket, count in enumerate(window.buckets) if count]
        for pairs in (filled, list(window.kinds.items())):
            _write(body, len(pairs))
            for key, count in pairs:
                _write(body, key)
                _write(body, count)
        _write(self._bytes, len(body))
        self._bytes += body
        self.count += 1

    def keep(self, *, first: int, most: int) -> None:
        """Forget the oldest windows: those before the number ``first``, and all but ``most``."""
        position = 0
        while position < len(self._bytes):
            length, begin = _read(self._bytes, position)
            number, _ = _read(self._bytes, begin)
            if number >= first and self.count <= most:
                break
            position = begin + length
            self.count -= 1
        if position:
            del self._bytes[:position]

    def copy(self) -> bytes:
        """Return what :func:`absorb_packed` reads, in any thread."""
        return bytes(self._bytes)


def absorb_packed(packed: bytes, *, first: int, into: Callable[[int], LiveWindow]) -> None:
    """Add the windows of a buffer from a number on to those that ``into`` returns for them.

    It runs over the windows of a thousand proxies, so an integer of one byte is read without a call.
    """
    position = 0
    while position < len(packed):
        length, position = _read(packed, position)
        end = position + length
        number, position = _read(packed, position)
        if number >= first:
            _absorb_one(packed, position, into(number))
        position = end


def _absorb_one(packed: bytes, position: int, window: LiveWindow) -> None:
    """Add the window of a buffer that begins at a position, behind its number."""
    seconds, position = _read(packed, position)
    upstream, position = _read(packed, position)
    slowest, position = _read(packed, position)
    window.seconds += seconds / _MICROSECONDS
    window.upstream_seconds += upstream / _MICROSECONDS
    window.slowest = max(window.slowest, slowest / _MICROSECONDS)
    filled, position = _read(packed, position)
    buckets = window.buckets
    for _ in range(filled):
        bucket, count = packed[position], packed[position + 1]
        position += 2
        if count > 0x7F:
            count, position = _read(packed, position - 1)
        buckets[bucket] += count
    different, position = _read(packed, position)
    kinds = window.kinds
    for _ in range(different):
        kind, position = _read(packed, position)
        count, position = _read(packed, position)
        kinds[kind] = kinds.get(kind, 0) + count


def _whole(seconds: float) -> int:
    return max(0, round(seconds * _MICROSECONDS))


def _write(buffer: bytearray, value: int) -> None:
    """Append an integer, seven bits a byte, lowest first."""
    while value > 0x7F:
        buffer.append(value & 0x7F | 0x80)
        value >>= 7
    buffer.append(value)


def _read(buffer: bytes | bytearray, position: int) -> tuple[int, int]:
    """Return the integer at a position, and the position behind it."""
    value = shift = 0
    while (byte := buffer[position]) > 0x7F:
        value |= (byte & 0x7F) << shift
        shift += 7
        position += 1
    return value | byte << shift, position + 1
