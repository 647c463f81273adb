"""The figures of a comparison, and the ratios between them."""

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from ostiary_compare.load_generator import Loaded
from ostiary_compare.verification import Verified

NGINX: Final = "nginx"


@dataclass(frozen=True, slots=True)
class WayToCall:
    """One gateway in one mode, and a kind of request. ``policies`` says what it does besides forwarding."""

    gateway: str
    mode: str
    kind: str
    policies: str

    @property
    def name(self) -> str:
        """Its name in messages."""
        return f"{self.gateway}, {self.mode}, {self.kind}"


@dataclass(frozen=True, slots=True)
class Failure:
    """A gateway, a mode or a kind of request that could not be measured, and why."""

    gateway: str
    mode: str
    kind: str
    reason: str


@dataclass(frozen=True, slots=True)
class ComparedCall:
    """All figures of one way to call: a closed loop for each round, and one open loop.

    Each element of ``rounds`` was measured in the same turn as those of other ways at the same index.
    """

    way: WayToCall
    rounds: Sequence[Loaded]
    latency: Loaded | None

    @property
    def cpu_microseconds(self) -> float:
        """CPU of a request: the median over the rounds."""
        return statistics.median(it.cpu_microseconds / it.calls for it in self.rounds)

    @property
    def calls_per_second(self) -> float:
        """Throughput of one core: the median over the rounds."""
        return statistics.median(it.calls / it.seconds for it in self.rounds)

    @property
    def p50(self) -> float:
        """Milliseconds in the closed loop."""
        return statistics.median(it.p50 for it in self.rounds)

    @property
    def p99(self) -> float:
        """Milliseconds in the closed loop."""
        return statistics.median(it.p99 for it in self.rounds)

    @property
    def resident_mebibytes(self) -> float:
        """Memory after the last round."""
        return self.rounds[-1].resident_mebibytes

    @property
    def upstream_requests(self) -> float:
        """Requests that the MCP server got for one."""
        return sum(it.upstream_requests for it in self.rounds) / sum(it.calls for it in self.rounds)

    @property
    def listed(self) -> int:
        """Tools in a list."""
        return self.rounds[-1].listed

    def cost_against(self, other: "ComparedCall") -> float:
        """Return the multiple of another's CPU: the median of the quotients within a round."""
        pairs = zip(self.rounds, other.rounds, strict=False)  # a slow one has one round
        return statistics.median(a.cpu_microseconds / a.calls * b.calls / b.cpu_microseconds for a, b in pairs)

    def p99_against(self, other: "ComparedCall") -> float:
        """Return the multiple of another's p99: the median of the quotients within a round."""
        return statistics.median(a.p99 / b.p99 for a, b in zip(self.rounds, other.rounds, strict=False))


@dataclass(frozen=True, slots=True)
class Governance:
    """What a mode was seen to do at the start, and how many spans of a request arrived under load."""

    gateway: str
    mode: str
    policies: str
    seen: Verified
    spans: float | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """All figures of a run.

    ``load_before`` is the load average before anything was started. ``cores`` are those that were used.
    """

    at: str
    machine: str
    rate: int
    versions: dict[str, str]
    origins: dict[str, str]
    calls: Sequence[ComparedCall]
    governance: Sequence[Governance]
    failures: Sequence[Failure]
    load_before: float
    cores: int

    def document(self) -> dict[str, Any]:
        """Return the figures as JSON."""
        return asdict(self)

    def find(self, gateway: str, mode: str, kind: str) -> ComparedCall | None:
        """Return the figures of one way to call, if it was measured."""
        for each in self.calls:
            if (each.way.gateway, each.way.mode, each.way.kind) == (gateway, mode, kind):
                return each
        return None

    def floor(self, call: ComparedCall) -> ComparedCall | None:
        """Return the figures of nginx for the same kind of request."""
        return next((it for it in self.calls if it.way.gateway == NGINX and it.way.kind == call.way.kind), None)


def comparison_of(document: dict[str, Any]) -> Comparison:
    """Return the figures that :meth:`Comparison.document` wrote."""
    calls = [
        ComparedCall(
            WayToCall(**each["way"]),
            [Loaded(**it) for it in each["rounds"]],
            Loaded(**each["latency"]) if each["latency"] else None,
        )
        for each in document["calls"]
    ]
    failures = [Failure(**each) for each in document["failures"]]
    governance = [Governance(**{**each, "seen": Verified(**each["seen"])}) for each in document["governance"]]
    return Comparison(**{**document, "calls": calls, "governance": governance, "failures": failures})
