"""The sources as pages see them: resources, evidence of gateways, and longer ranges.

``ostiary run``, a kubeconfig and a console in a cluster differ only in what stands behind these protocols. None of them
judges who may look: pages ask the viewer's rights first, and then for what the viewer may see.
"""

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol

from ostiary_core.errors import OstiaryError
from ostiary_core.evidence.proxy_traffic import ProxyTraffic
from ostiary_operator.api.labels import OPERATOR_NAMESPACE
from ostiary_operator.api.objects import ReadOnlyObject
from ostiary_operator.local.governed_proxy import GovernedProxy
from ostiary_operator.view.cluster_reader import GatewayOverview
from ostiary_operator.view.evidence.call_stream import CallEvent
from ostiary_operator.view.evidence.capture_log import DebugCaptureLog
from ostiary_operator.view.evidence.gathered import Gathered
from ostiary_operator.view.evidence.proxy_scope import ProxyScope, TrafficQuery
from ostiary_operator.view.evidence.reader import MOST_SHOWN, ObservedCalls, ObservedRefusals, ReplicaDefinitions
from ostiary_operator.view.limit_usage import LimitUsages


class SourceUnavailable(OstiaryError):
    """A source does not answer now.

    The message says which one and why; a page shows it with status 503, or in the place of the panel that needs it.
    """


class ConsoleObjects(Protocol):
    """The resources with their statuses, and what was delivered of them.

    Objects are shared between requests: they are never modified. All methods raise :class:`SourceUnavailable`.
    """

    @property
    def title(self) -> str:
        """Where the objects come from, for people: the files of a run, or an API server."""
        ...

    async def proxies(self) -> Sequence[ReadOnlyObject]:
        """Return all MCPProxies, in the order of namespace and name."""
        ...

    async def proxy(self, identity: str) -> ReadOnlyObject | None:
        """Return one MCPProxy (``namespace/name``), or None."""
        ...

    async def policies(self, namespace: str) -> Sequence[ReadOnlyObject]:
        """Return the MCPPolicies of a namespace, in the order of their names."""
        ...

    async def policy(self, identity: str) -> ReadOnlyObject | None:
        """Return one MCPPolicy (``namespace/name``), or None."""
        ...

    async def locks(self) -> Sequence[ReadOnlyObject]:
        """Return all MCPLocks, in the order of namespace and name."""
        ...

    async def gateways(self) -> Mapping[str, GatewayOverview]:
        """Return the gateways by identity.

        Each has the manifest of what was delivered to it, if that may be read.
        """
        ...

    async def governed(self, identity: str) -> GovernedProxy:
        """Return an MCPProxy (``namespace/name``) with its policies, as it was delivered.

        Raises:
            UnknownProxy: there is no such MCPProxy, or it was not delivered; the message says why.
        """
        ...


class ConsoleEvidence(Protocol):
    """What gateways recorded, as all ready replicas report it together.

    A replica, or a gateway, that does not answer is a problem in the result and never an error. Pages pass the proxies
    that the viewer may see: a scope without names is everything that gateways serve.
    """

    async def traffic(self, wanted: TrafficQuery) -> Gathered[dict[str, ProxyTraffic]]:
        """Return the traffic of each proxy (``namespace/name``), or their sum under the empty name."""
        ...

    async def calls(self, scope: ProxyScope, *, limit: int = MOST_SHOWN) -> Gathered[ObservedCalls]:
        """Return the latest calls, the newest first."""
        ...

    def tail(
        self, scope: ProxyScope, *, after: Mapping[str, int] = MappingProxyType({})
    ) -> AsyncGenerator[CallEvent, None]:
        """Yield calls as they come, until the iterator is closed.

        ``after`` are the numbers of the calls that are known, by :attr:`.ObservedCall.source`; without them it begins
        now. Use it with :func:`contextlib.aclosing`.
        """
        ...

    async def refusals(self, scope: ProxyScope) -> Gathered[ObservedRefusals]:
        """Return the distinct refusals, those of Shadow policies too."""
        ...

    async def limits(self, proxy: str = "") -> Gathered[LimitUsages]:
        """Return what the limits that govern a proxy (``namespace/name``), or all, have counted.

        A limit may govern other proxies, too: show its keys only to a viewer who may get its policy.
        """
        ...

    async def captured(self, proxy: str) -> Gathered[DebugCaptureLog]:
        """Return the exchanges of a proxy (``namespace/name``) that its debug capture kept.

        They hold arguments and results, so show them only to a viewer with the right to its calls.
        """
        ...

    async def definitions(self, proxy: str) -> Gathered[tuple[ReplicaDefinitions, ...]]:
        """Return what the servers of a proxy (``namespace/name``) listed to each replica."""
        ...


@dataclass(frozen=True, slots=True)
class LongSeries:
    """One series of a long range: its labels, and its points as epoch milliseconds and value."""

    labels: Mapping[str, str]
    points: tuple[tuple[int, float], ...]


class LongRanges(Protocol):
    """A Prometheus that scrapes the gateways. All methods raise :class:`SourceUnavailable`."""

    @property
    def title(self) -> str:
        """What a panel names as its source."""
        ...

    async def series(self, query: str, *, begin: int, end: int, step: int) -> Sequence[LongSeries]:
        """Return what a PromQL query gives over time.

        ``begin`` and ``end`` are in epoch milliseconds, ``step`` in seconds.
        """
        ...

    async def values(self, query: str, *, at: int) -> Sequence[LongSeries]:
        """Return what a PromQL query gives at one time, in epoch milliseconds.

        Each series has one point.
        """
        ...


@dataclass(frozen=True, slots=True)
class ConsoleSources:
    """Everything that pages read. ``long_ranges`` is None without a Prometheus.

    ``operator_namespace`` is where the shared gateways and the platform's policies are.
    """

    objects: ConsoleObjects
    evidence: ConsoleEvidence
    long_ranges: LongRanges | None = None
    operator_namespace: str = OPERATOR_NAMESPACE
