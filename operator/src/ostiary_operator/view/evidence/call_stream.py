"""Follows the calls of all replicas as they come.

A replica that stops answering is asked again, from the last call that was seen. What it no longer keeps by then, and
what a reader was too slow for, is a gap that says how many calls are missing.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, TypeAlias

import aiohttp
from pydantic import ValidationError

from ostiary_core.errors import OstiaryError
from ostiary_core.evidence.document import EvidencePath
from ostiary_core.evidence.recorded_call import RecordedCall
from ostiary_operator.api.objects import mapping_of
from ostiary_operator.status.replicas import NoResponse
from ostiary_operator.view import admin_client
from ostiary_operator.view.evidence.gathered import ProblemKind, ReplicaProblem
from ostiary_operator.view.evidence.port_finders import EvidencePortFinder, EvidencePorts
from ostiary_operator.view.evidence.proxy_scope import Parameters, ProxyScope
from ostiary_operator.view.evidence.reader import ObservedCall
from ostiary_operator.view.evidence.replica_requests import EvidencePort

#: Seconds before a replica that stopped answering is asked again.
RETRY_SECONDS: Final = 1.0
#: Seconds between two looks for replicas that came or went.
REFRESH_SECONDS: Final = 5.0
#: Events that wait for the reader; then replicas wait, and count what they cannot keep.
_QUEUED: Final = 1024


@dataclass(frozen=True, slots=True)
class CallGap:
    """Calls of a replica that are missing here: too many at once, or it was away too long."""

    gateway: str
    replica: str
    missed: int


@dataclass(frozen=True, slots=True)
class ReplicaBack:
    """A replica that had stopped answering answers again.

    ``is_new`` where it began to record again, so that it numbers calls from 1: it is another process.
    """

    gateway: str
    replica: str
    is_new: bool


CallEvent: TypeAlias = ObservedCall | CallGap | ReplicaProblem | ReplicaBack
"""What a stream consists of. A problem says that a replica stopped answering; it is asked again."""


class _Restarted(OstiaryError):
    """The replica has begun to record again, and was asked for what follows an older call."""


class ReplicaStream:
    """The calls of one replica, from now on; where it was away, from the last one.

    With ``after`` it begins behind the call of this number.
    """

    def __init__(
        self,
        http: aiohttp.ClientSession,
        port: EvidencePort,
        scope: ProxyScope,
        *,
        after: int | None = None,
        retry: float = RETRY_SECONDS,
    ) -> None:
        self._http = http
        self._port = port
        self._scope = scope
        self._retry = retry
        self._last = after
        self._since: int | None = None

    async def events(self) -> AsyncGenerator[CallEvent, None]:
        """Yield events until cancelled."""
        is_lost = False
        while True:
            try:
                async for event in self._once():
                    if is_lost or not isinstance(event, ReplicaBack) or event.is_new:
                        yield event
                    is_lost = False
                problem = self._port.problem(ProblemKind.UNREACHABLE, "it ended the stream")
            except _Restarted:
                yield self._back(is_new=True)
                is_lost = False
                await asyncio.sleep(self._retry)
                continue
            except OstiaryError as error:
                kind = ProblemKind.UNREACHABLE if isinstance(error, NoResponse) else ProblemKind.NOT_SERVED
                problem = self._port.problem(kind, str(error))
            if not is_lost:
                yield problem
            is_lost = True
            await asyncio.sleep(self._retry)

    async def _once(self) -> AsyncIterator[CallEvent]:
        if self._last is None:
            self._last = await self._newest()
        async for line in admin_client.lines(self._http, self._port.admin, EvidencePath.CALLS, self._query()):
            match line.get("kind"):
                case "Calls":
                    yield self._back(is_new=self._begin(line))
                case "Call" if (call := _call(line)) is not None:
                    self._last = max(self._last or 0, call.number)
                    if self._scope.covers(call.proxy) and self._port.may_tell_of(call.proxy):
                        yield ObservedCall(self._port.admin.gateway, self._port.admin.replica, call)
                case "Gap":
                    yield self._gap(line.get("missed"))
                case _:
                    continue

    async def _newest(self) -> int:
        """Return the number of the newest call that the replica has recorded."""
        query = [*self._few(), ("limit", "1")]
        found = await admin_client.document(self._http, self._port.admin, EvidencePath.CALLS, query)
        return _number(mapping_of(found).get("last"))

    def _few(self) -> Parameters:
        """Return the parameters that name the proxies; none if one request may not name all.

        All calls are asked for then, and those of other proxies dropped here.
        """
        parameters = self._scope.parameters(self._port.only_namespace)
        return parameters[0] if len(parameters) == 1 else []

    def _query(self) -> Parameters:
        return [*self._few(), ("follow", "true"), ("after", str(self._last))]

    def _begin(self, head: dict[str, Any]) -> bool:
        """Read the first line; return whether the replica counts from 1 again.

        Raises:
            _Restarted: it counts from 1 again, and has come further than the process before.
        """
        before, self._since = self._since, _number(head.get("since"))
        known, last = self._last or 0, _number(head.get("last"))
        if known and last < known:
            self._last = 0
            return True
        if known and before not in {None, self._since}:
            self._last = 0
            raise _Restarted("it records again")
        return False

    def _back(self, *, is_new: bool) -> ReplicaBack:
        return ReplicaBack(self._port.admin.gateway, self._port.admin.replica, is_new)

    def _gap(self, missed: object) -> CallGap:
        return CallGap(self._port.admin.gateway, self._port.admin.replica, _number(missed))


def _call(line: dict[str, Any]) -> RecordedCall | None:
    """Return the call of a line, which is untrusted; None where it is none."""
    try:
        return RecordedCall.model_validate(line)
    except ValidationError:
        return None


def _number(value: object) -> int:
    return value if type(value) is int and 0 <= value < 2**53 else 0


class _Pumps:
    """Streams of all replicas into one queue; replicas come and go."""

    def __init__(self, http: aiohttp.ClientSession, scope: ProxyScope, after: Mapping[str, int]) -> None:
        self.queue: asyncio.Queue[CallEvent | Exception] = asyncio.Queue(_QUEUED)
        self._http = http
        self._scope = scope
        self._after = after
        self._running: dict[str, tuple[EvidencePort, asyncio.Task[None]]] = {}
        self._told: tuple[ReplicaProblem, ...] = ()
        #: Where a replica that is not known begins: now, and one that comes later with its first call.
        self._first: int | None = None

    async def run(self, finder: EvidencePortFinder) -> None:
        """Follow the replicas that there are, until cancelled."""
        try:
            while True:
                await self._update(await finder.find(self._scope))
                self._first = 0
                await asyncio.sleep(REFRESH_SECONDS)
        except Exception as error:  # noqa: BLE001  a bug: the reader gets it
            await self.queue.put(error)
        finally:
            await _ended(task for _, task in self._running.values())

    async def _update(self, places: EvidencePorts) -> None:
        for problem in places.problems:
            if problem not in self._told:
                await self.queue.put(problem)
        self._told = places.problems
        unknown = {problem.gateway for problem in places.problems}
        there = {port.source: port for port in places.ports}
        for source, (port, task) in list(self._running.items()):
            # Replicas of a gateway that cannot be looked up now may still be there.
            if there.get(source) != port and not unknown & {"", port.admin.gateway}:
                del self._running[source]
                await _ended([task])
        for source, port in there.items():
            if source not in self._running:
                self._running[source] = (
                    port,
                    asyncio.create_task(self._pump(port, self._after.get(source, self._first))),
                )

    async def _pump(self, port: EvidencePort, known: int | None) -> None:
        try:
            async for event in ReplicaStream(self._http, port, self._scope, after=known).events():
                await self.queue.put(event)
        except Exception as error:  # noqa: BLE001  likewise
            await self.queue.put(error)


async def _ended(tasks: Iterable["asyncio.Task[None]"]) -> None:
    found = list(tasks)
    for each in found:
        each.cancel()
    await asyncio.gather(*found, return_exceptions=True)


async def follow(
    http: aiohttp.ClientSession,
    finder: EvidencePortFinder,
    scope: ProxyScope,
    *,
    after: Mapping[str, int] = MappingProxyType({}),
) -> AsyncGenerator[CallEvent, None]:
    """Yield the events of all replicas as they come, until the iterator is closed.

    ``after`` are the numbers of calls that are known, by :attr:`.ObservedCall.source`; without them it begins now.
    """
    pumps = _Pumps(http, scope, after)
    # No task group: it turns the end of a generator into an error.
    running = asyncio.create_task(pumps.run(finder))
    try:
        while True:
            event = await pumps.queue.get()
            if isinstance(event, Exception):
                raise event
            yield event
    finally:
        await _ended([running])
