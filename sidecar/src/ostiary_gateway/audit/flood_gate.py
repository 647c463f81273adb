"""Limits how many records callers cause that have not authenticated.

Each refused call of an authenticated caller is recorded. Without a credential anyone can send a million requests that
are refused, and would fill the disk with them. So of each kind of such refusals the first ones are recorded, then a few
a second; the others are counted, and a record says how many there were.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from time import monotonic, time_ns
from typing import Final

from ostiary_gateway.audit.audit_events import LostRecords

#: Records of one kind at once, and then in a second.
BURST: Final = 50
RATE: Final = 1.0
#: Seconds between two records about what was only counted.
SUMMARY_SECONDS: Final = 10.0
#: Kinds that are counted apart; further ones are counted together.
_KINDS: Final = 512

#: The proxy, or empty; the reason of the refusal.
_Kind = tuple[str, str]


@dataclass(slots=True)
class _Bucket:
    """How many more records of a kind are written, and what was not."""

    left: float
    at: float
    counted: int = 0
    since_ns: int = 0
    until_ns: int = 0


class FloodGate:
    """The counts of one process. The event loop owns it."""

    def __init__(self) -> None:
        self._buckets: dict[_Kind, _Bucket] = {}
        self.counted = 0

    def admits(self, proxy: str, reason: str) -> bool:
        """Return whether a refusal is recorded; if not, it is counted."""
        kind = (proxy, reason)
        if kind not in self._buckets and len(self._buckets) >= _KINDS:
            kind = ("", "Other")
        now = monotonic()
        bucket = self._buckets.setdefault(kind, _Bucket(BURST, now))
        bucket.left = min(BURST, bucket.left + (now - bucket.at) * RATE)
        bucket.at = now
        if bucket.left >= 1.0:
            bucket.left -= 1.0
            return True
        bucket.until_ns = time_ns()
        bucket.since_ns = bucket.since_ns or bucket.until_ns
        bucket.counted += 1
        self.counted += 1
        return False

    @property
    def holds(self) -> bool:
        """Whether something was counted that no record says yet."""
        return any(bucket.counted for bucket in self._buckets.values())

    def summaries(self) -> Iterator[LostRecords]:
        """Yield what was only counted, and forget kinds that are quiet."""
        for kind, bucket in list(self._buckets.items()):
            if bucket.counted:
                scope = {"refusal": kind[1], **({"proxy": kind[0]} if kind[0] else {})}
                yield LostRecords("NotAuthenticated", bucket.counted, bucket.since_ns, bucket.until_ns, scope)
                bucket.counted = bucket.since_ns = 0
            elif monotonic() - bucket.at > BURST / RATE:
                del self._buckets[kind]
