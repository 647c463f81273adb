"""Reads evidence from all ready replicas at the same time, and joins what they say.

A replica has two seconds. What it does not answer is missing in the result, which says so. What a replica says of
proxies that it was not asked for, or that its gateway cannot serve, is dropped.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import reduce
from typing import Final, TypeVar

import aiohttp

from ostiary_core.evidence.definitions import DefinitionsDocument
from ostiary_core.evidence.document import EvidencePath
from ostiary_core.evidence.proxy_traffic import ProxyTraffic, TrafficDocument, joined_traffic
from ostiary_core.evidence.recorded_call import CallsDocument, RecordedCall
from ostiary_core.evidence.refusals import DistinctRefusal, RefusalsDocument, joined_refusals
from ostiary_operator.status.replicas import NoResponse
from ostiary_operator.view.evidence.capture_log import DebugCaptureLog, parse_capture
from ostiary_operator.view.evidence.gathered import Gathered, ProblemKind, ReplicaAnswer, ReplicaProblem, gather
from ostiary_operator.view.evidence.port_finders import EvidencePortFinder
from ostiary_operator.view.evidence.proxy_scope import ProxyScope, TrafficQuery
from ostiary_operator.view.evidence.replica_requests import (
    DEADLINE,
    AnswerBytes,
    D,
    EvidencePort,
    EvidenceRequest,
    ask,
    ask_bytes,
)
from ostiary_operator.view.limit_usage import MOST_PAGES, PAGE, LimitsDocument, LimitUsages, joined_usages, of_replica

U = TypeVar("U")
V = TypeVar("V")
#: Replicas that are asked at the same time.
_TOGETHER: Final = 64
#: Calls that are shown at once.
MOST_SHOWN: Final = 500


@dataclass(frozen=True, slots=True)
class ObservedCall:
    """A call, and the replica that it came through."""

    gateway: str
    replica: str
    call: RecordedCall

    @property
    def source(self) -> str:
        """The replica, as ``gateway/replica``: it numbers its calls."""
        return f"{self.gateway}/{self.replica}"


@dataclass(frozen=True, slots=True)
class ObservedCalls:
    """The latest calls of all replicas, the newest first.

    ``last`` are the numbers of the newest call of each replica, of any proxy, by its :attr:`ObservedCall.source`. What
    comes after them is not here.
    """

    calls: tuple[ObservedCall, ...] = ()
    last: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ObservedRefusals:
    """Distinct refusals of all replicas, the latest first.

    ``forgotten`` requests made room for others.
    """

    refusals: tuple[DistinctRefusal, ...] = ()
    forgotten: int = 0


@dataclass(frozen=True, slots=True)
class ReplicaDefinitions:
    """What the servers of a proxy listed to one replica."""

    gateway: str
    replica: str
    definitions: DefinitionsDocument


class EvidenceReader:
    """Asks the replicas that ``finder`` finds; each has so many ``seconds``."""

    def __init__(self, http: aiohttp.ClientSession, finder: EvidencePortFinder, *, seconds: float = DEADLINE) -> None:
        self._http = http
        self._finder = finder
        self._seconds = seconds
        self._asking = asyncio.Semaphore(_TOGETHER)

    async def traffic(self, wanted: TrafficQuery) -> Gathered[dict[str, ProxyTraffic]]:
        """Return the traffic of each proxy (``namespace/name``), or their sum under the empty name."""

        def kept(port: EvidencePort, pages: Sequence[TrafficDocument]) -> list[ProxyTraffic]:
            found = [traffic for page in pages for traffic in page.proxies if wanted.covers(traffic.proxy)]
            return found if wanted.is_sum else [each for each in found if port.may_tell_of(each.proxy)]

        def requests(port: EvidencePort) -> list[EvidenceRequest[TrafficDocument]]:
            parameters = wanted.parameters(port.only_namespace)
            return [EvidenceRequest(EvidencePath.TRAFFIC, TrafficDocument, each) for each in parameters]

        return (await self._gather(wanted.scope, requests, kept)).map(_by_proxy)

    async def calls(self, scope: ProxyScope, *, limit: int = MOST_SHOWN) -> Gathered[ObservedCalls]:
        """Return the latest calls, the newest first."""

        def kept(port: EvidencePort, pages: Sequence[CallsDocument]) -> tuple[list[ObservedCall], int]:
            calls = (call for page in pages for call in page.calls if scope.covers(call.proxy))
            told = (call for call in calls if port.may_tell_of(call.proxy))
            # Pages were asked for one after the other: what came meanwhile is only in some of them.
            last = min(max([page.last, *(call.number for call in page.calls)]) for page in pages)
            return [ObservedCall(port.admin.gateway, port.admin.replica, call) for call in told], last

        def requests(port: EvidencePort) -> list[EvidenceRequest[CallsDocument]]:
            parameters = ([*each, ("limit", str(limit))] for each in scope.parameters(port.only_namespace))
            return [EvidenceRequest(EvidencePath.CALLS, CallsDocument, each, most_pages=1) for each in parameters]

        def newest(found: dict[str, tuple[list[ObservedCall], int]]) -> ObservedCalls:
            calls = (call for part, _ in found.values() for call in part)
            ranked = sorted(calls, key=lambda each: (-each.call.at, each.replica, -each.call.number))
            return ObservedCalls(tuple(ranked[:limit]), {source: last for source, (_, last) in found.items()})

        return (await self._gather(scope, requests, kept)).map(newest)

    async def refusals(self, scope: ProxyScope) -> Gathered[ObservedRefusals]:
        """Return the distinct refusals, those of Shadow policies too."""

        def kept(port: EvidencePort, pages: Sequence[RefusalsDocument]) -> ObservedRefusals:
            found = (refusal for page in pages for refusal in page.refusals if scope.covers(refusal.proxy))
            told = tuple(each for each in found if port.may_tell_of(each.proxy))
            return ObservedRefusals(told, max((page.forgotten for page in pages), default=0))

        def requests(port: EvidencePort) -> list[EvidenceRequest[RefusalsDocument]]:
            parameters = scope.parameters(port.only_namespace)
            return [EvidenceRequest(EvidencePath.REFUSALS, RefusalsDocument, each) for each in parameters]

        return (await self._gather(scope, requests, kept)).map(_joined)

    async def limits(self, proxy: str = "") -> Gathered[LimitUsages]:
        """Return what the limits that govern a proxy (``namespace/name``), or all, have counted.

        A limit may govern other proxies, too: its keys may name callers of those.
        """

        def kept(port: EvidencePort, pages: Sequence[LimitsDocument]) -> LimitUsages:
            found = of_replica(pages)
            told = tuple(each for each in found.keys if proxy or port.may_tell_of(each.policy))
            return replace(found, keys=told)

        def requests(port: EvidencePort) -> list[EvidenceRequest[LimitsDocument]]:
            query = [("most", str(PAGE)), *([("proxy", proxy)] if proxy else [])]
            request = EvidenceRequest(EvidencePath.LIMITS, LimitsDocument, query, most_pages=MOST_PAGES)
            return [request] if not proxy or port.may_tell_of(proxy) else []

        scope = ProxyScope.of([proxy] if proxy else None)
        return (await self._gather(scope, requests, kept)).map(lambda found: joined_usages(found.values()))

    async def definitions(self, proxy: str) -> Gathered[tuple[ReplicaDefinitions, ...]]:
        """Return what the servers of a proxy (``namespace/name``) listed to each replica."""

        def kept(port: EvidencePort, pages: Sequence[DefinitionsDocument]) -> list[ReplicaDefinitions]:
            told = (page for page in pages if page.proxy == proxy)
            return [ReplicaDefinitions(port.admin.gateway, port.admin.replica, page) for page in told]

        def requests(port: EvidencePort) -> list[EvidenceRequest[DefinitionsDocument]]:
            request = EvidenceRequest(EvidencePath.DEFINITIONS, DefinitionsDocument, [("proxy", proxy)], most_pages=1)
            return [request] if port.may_tell_of(proxy) else []

        found = await self._gather(ProxyScope.of([proxy]), requests, kept)
        return found.map(lambda by_replica: tuple(each for part in by_replica.values() for each in part))

    async def captured(self, proxy: str) -> Gathered[DebugCaptureLog]:
        """Return the captured exchanges of a proxy (``namespace/name``), the newest first.

        A replica without a capture of it is none that does not answer.
        """
        places = await self._finder.find(ProxyScope.of([proxy]))
        room = AnswerBytes()

        async def answer(port: EvidencePort) -> ReplicaAnswer[DebugCaptureLog] | ReplicaProblem:
            body = await ask_bytes(
                self._http, port, EvidencePath.CAPTURE, [("proxy", proxy)], room=room, seconds=self._seconds
            )
            if isinstance(body, ReplicaProblem):
                if body.kind is not ProblemKind.NOT_SERVED:
                    return body
                body = b""
            gateway, replica = port.admin.gateway, port.admin.replica
            return ReplicaAnswer(gateway, replica, 0, True, parse_capture(body, gateway=gateway, replica=replica))

        found = await asyncio.gather(*(answer(port) for port in places.ports if port.may_tell_of(proxy)))
        return _gathered(found, places.problems, _all_captured)

    async def _gather(
        self,
        scope: ProxyScope,
        requests: Callable[[EvidencePort], list[EvidenceRequest[D]]],
        kept: Callable[[EvidencePort, Sequence[D]], U],
    ) -> Gathered[dict[str, U]]:
        """Ask the replicas for which there are requests; return what is kept of each answer."""
        places = await self._finder.find(scope)
        room = AnswerBytes()

        async def answer(port: EvidencePort) -> ReplicaAnswer[U] | ReplicaProblem:
            async with self._asking:
                pages = await ask(self._http, port, requests(port), room=room, seconds=self._seconds)
            if isinstance(pages, ReplicaProblem):
                return pages
            since, recording = max(each.since for each in pages), all(each.recording for each in pages)
            silent = tuple(sorted({worker for each in pages for worker in each.missing_workers}))
            try:
                value = kept(port, pages)
                return ReplicaAnswer(port.admin.gateway, port.admin.replica, since, recording, value, silent)
            except NoResponse as error:
                return port.problem(ProblemKind.MALFORMED, str(error))

        found = await asyncio.gather(*(answer(port) for port in places.ports if requests(port)))
        return _gathered(found, places.problems, dict)


def _gathered(
    found: Iterable[ReplicaAnswer[U] | ReplicaProblem],
    problems: Iterable[ReplicaProblem],
    join: Callable[[dict[str, U]], V],
) -> Gathered[V]:
    answers: list[ReplicaAnswer[U]] = []
    missing = list(problems)
    for each in found:
        if isinstance(each, ReplicaProblem):
            missing.append(each)
        else:
            answers.append(each)
    return gather(answers, missing, lambda values: join(dict(values)))


def _all_captured(found: dict[str, DebugCaptureLog]) -> DebugCaptureLog:
    return reduce(DebugCaptureLog.joined, found.values(), DebugCaptureLog())


def _by_proxy(found: dict[str, list[ProxyTraffic]]) -> dict[str, ProxyTraffic]:
    """Return the traffic of each proxy at all replicas together."""
    parts: dict[str, list[ProxyTraffic]] = {}
    for each in (traffic for part in found.values() for traffic in part):
        parts.setdefault(each.proxy, []).append(each)
    return {proxy: joined_traffic(each, proxy=proxy) for proxy, each in sorted(parts.items())}


def _joined(found: dict[str, ObservedRefusals]) -> ObservedRefusals:
    refusals: Iterable[DistinctRefusal] = (each for part in found.values() for each in part.refusals)
    return ObservedRefusals(joined_refusals(refusals), sum(part.forgotten for part in found.values()))
