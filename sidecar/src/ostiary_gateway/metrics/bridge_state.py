"""What bridges between protocol eras keep in this replica.

Calls that wait for an answer, and sessions.
"""

from collections.abc import Iterator
from typing import Final, Protocol

from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from ostiary_core.metric_family import MetricFamily, MetricKind

PARKED: Final = MetricFamily(
    "ostiary_parked_calls", "Calls that wait in this replica until their caller answers what their server asks"
)
LOST: Final = MetricFamily(
    "ostiary_continuations_lost",
    "Answers of callers for which nothing waited any more: used before, expired, or of a replica that is gone",
    MetricKind.COUNTER,
)
SESSIONS: Final = MetricFamily(
    "ostiary_bridge_sessions", "Sessions with legacy servers that the gateway keeps for modern callers"
)


class Waiting(Protocol):
    """What waits for answers."""

    @property
    def parked(self) -> int:
        """How many calls do."""

    @property
    def lost(self) -> int:
        """How many answers found nothing."""


class Kept(Protocol):
    """Sessions that are kept."""

    @property
    def kept(self) -> int:
        """Their number."""


class BridgeState(Collector):
    """The state of this moment."""

    def __init__(self, waiting: Waiting, sessions: Kept) -> None:
        self._waiting = waiting
        self._sessions = sessions

    def collect(self) -> Iterator[Metric]:
        """Yield what waits, what was lost, and the sessions."""
        yield PARKED.value(self._waiting.parked)
        yield LOST.value(self._waiting.lost)
        yield SESSIONS.value(self._sessions.kept)
