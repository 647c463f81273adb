"""Evidence of gateways for many viewers: each thing is asked once in two seconds."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from types import MappingProxyType
from typing import Final

import aiohttp

from ostiary_core.evidence.proxy_traffic import ProxyTraffic
from ostiary_operator.console.sources.call_tails import CallTails
from ostiary_operator.console.sources.memory import ShortMemory
from ostiary_operator.view.evidence.call_stream import CallEvent, follow
from ostiary_operator.view.evidence.capture_log import DebugCaptureLog
from ostiary_operator.view.evidence.gathered import Gathered
from ostiary_operator.view.evidence.port_finders import EvidencePortFinder
from ostiary_operator.view.evidence.proxy_scope import ProxyScope, TrafficQuery
from ostiary_operator.view.evidence.reader import (
    MOST_SHOWN,
    EvidenceReader,
    ObservedCalls,
    ObservedRefusals,
    ReplicaDefinitions,
)
from ostiary_operator.view.limit_usage import LimitUsages

_SECONDS: Final = 2.0
#: Answers of one kind that are kept: each may have the traffic of many proxies.
_KEPT: Final = 16


class ReplicaEvidence:
    """Implements :class:`~ostiary_operator.console.sources.protocols.ConsoleEvidence`."""

    def __init__(self, http: aiohttp.ClientSession, finder: EvidencePortFinder, *, seconds: float = _SECONDS) -> None:
        reader = EvidenceReader(http, finder)
        self._tails = CallTails(lambda scope, after: follow(http, finder, scope, after=after))
        self._traffic: ShortMemory[TrafficQuery, Gathered[dict[str, ProxyTraffic]]] = ShortMemory(
            reader.traffic, seconds=seconds, most=_KEPT
        )
        self._calls: ShortMemory[tuple[ProxyScope, int], Gathered[ObservedCalls]] = ShortMemory(
            lambda key: reader.calls(key[0], limit=key[1]), seconds=seconds / 4, most=_KEPT
        )
        self._refusals: ShortMemory[ProxyScope, Gathered[ObservedRefusals]] = ShortMemory(
            reader.refusals, seconds=seconds, most=_KEPT
        )
        self._limits: ShortMemory[str, Gathered[LimitUsages]] = ShortMemory(reader.limits, seconds=seconds, most=_KEPT)
        self._captured: ShortMemory[str, Gathered[DebugCaptureLog]] = ShortMemory(
            reader.captured, seconds=seconds, most=_KEPT
        )
        self._definitions: ShortMemory[str, Gathered[tuple[ReplicaDefinitions, ...]]] = ShortMemory(
            reader.definitions, seconds=seconds, most=_KEPT
        )

    async def traffic(self, wanted: TrafficQuery) -> Gathered[dict[str, ProxyTraffic]]:
        """Return the traffic of each proxy (``namespace/name``), or their sum under the empty name."""
        return await self._traffic.get(wanted)

    async def calls(self, scope: ProxyScope, *, limit: int = MOST_SHOWN) -> Gathered[ObservedCalls]:
        """Return the latest calls, the newest first."""
        return await self._calls.get((scope, limit))

    async def refusals(self, scope: ProxyScope) -> Gathered[ObservedRefusals]:
        """Return the distinct refusals, those of Shadow policies too."""
        return await self._refusals.get(scope)

    async def limits(self, proxy: str = "") -> Gathered[LimitUsages]:
        """Return what the limits that govern a proxy (``namespace/name``), or all, have counted."""
        return await self._limits.get(proxy)

    async def captured(self, proxy: str) -> Gathered[DebugCaptureLog]:
        """Return the exchanges of a proxy (``namespace/name``) that its debug capture kept."""
        return await self._captured.get(proxy)

    async def definitions(self, proxy: str) -> Gathered[tuple[ReplicaDefinitions, ...]]:
        """Return what the servers of a proxy (``namespace/name``) listed to each replica."""
        return await self._definitions.get(proxy)

    async def tail(
        self, scope: ProxyScope, *, after: Mapping[str, int] = MappingProxyType({})
    ) -> AsyncGenerator[CallEvent, None]:
        """Yield calls as they come, until the iterator is closed."""
        async with aclosing(self._tails.tail(scope, after=after)) as events:
            async for event in events:
                yield event
