"""Asks replicas through the API server where their addresses do not answer from here.

Addresses of Pods can rarely be reached from outside of a cluster. Which way works is remembered for some minutes, so
that an address from which nothing ever comes does not cost its whole time with each request.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias
from urllib.parse import urlsplit

import aiohttp

from ostiary_core.errors import OstiaryError
from ostiary_core.evidence.document import TOKEN_HEADER
from ostiary_core.secret_bytes import SecretBytes
from ostiary_operator.kube.errors import ClusterError, Forbidden
from ostiary_operator.kube.pod_proxy import PodAnswered, PodPort, PodProxy
from ostiary_operator.status.replicas import NoResponse, Refused, Replica
from ostiary_operator.view import admin_client
from ostiary_operator.view.admin_client import Open, Query

#: Seconds that an address has before the API server is asked, too.
_HEAD_START: Final = 0.3
#: Seconds for both ways together: less than a request for evidence has, so that it is said why neither works.
_TOGETHER: Final = 1.7
#: Seconds for which an address is not tried again: where the API server leads to the replica, and where it does not.
_WORKED: Final = 300.0
_FAILED: Final = 10.0
#: Replicas that are remembered.
_MOST: Final = 1024

_Task: TypeAlias = asyncio.Task[aiohttp.ClientResponse]


class NoProxyRight(NoResponse):
    """The address does not answer, and the right to ask through the API server is missing."""


@dataclass(frozen=True, slots=True)
class _Blocked:
    """An address that did not answer: until when it is left out, and why."""

    until: float
    why: str


class ReplicaRelay:
    """Asks through ``pods``, and remembers for which replicas that is the way."""

    def __init__(
        self,
        pods: PodProxy,
        *,
        head_start: float = _HEAD_START,
        together: float = _TOGETHER,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._pods = pods
        self._head_start = head_start
        self._together = together
        self._clock = clock
        self._blocked: dict[PodPort, _Blocked] = {}

    async def response(self, pod: PodPort, direct: Open, relayed: Open) -> aiohttp.ClientResponse:
        """Return the first usable response, of the address or through the API server.

        Raises:
            NotServed: the replica has nothing to show.
            NoProxyRight: the address does not answer, and the right to the other way is missing.
            NoResponse: neither way leads to an answer.
        """
        blocked = self._blocked.get(pod)
        if blocked is None or blocked.until <= self._clock():
            return await self._both(pod, direct, relayed)
        try:
            return await relayed()
        except NoResponse as error:
            self._block(pod, blocked.why, min(_FAILED, blocked.until - self._clock()))
            raise _neither(blocked.why, error) from error

    async def _both(self, pod: PodPort, direct: Open, relayed: Open) -> aiohttp.ClientResponse:
        tasks = [asyncio.create_task(direct())]
        found: _Task | None = None
        try:
            found = await _first(tasks, seconds=self._head_start)
            if found is None:
                tasks.append(asyncio.create_task(relayed()))
                found = await _first(tasks, seconds=self._together - self._head_start)
            if found is None:
                raise _neither(_why(tasks[0]), _failure(tasks[1]))
            return found.result()
        finally:
            self._learn(pod, tasks, found)
            await _abandoned([each for each in tasks if each is not found])

    def _learn(self, pod: PodPort, tasks: Sequence[_Task], found: _Task | None) -> None:
        """Remember what was found out; also where the caller did not wait for the end."""
        if found is tasks[0]:
            self._blocked.pop(pod, None)
        elif len(tasks) > 1:
            self._block(pod, _why(tasks[0]), _FAILED if found is None else _WORKED)

    def _block(self, pod: PodPort, why: str, seconds: float) -> None:
        self._blocked.pop(pod, None)
        self._blocked[pod] = _Blocked(self._clock() + seconds, why)
        while len(self._blocked) > _MOST:
            del self._blocked[next(iter(self._blocked))]

    async def ask(self, pod: PodPort, path: str, query: Query, token: SecretBytes) -> aiohttp.ClientResponse:
        """Return the response of a replica through the API server.

        Raises:
            NotServed: the replica has nothing to show.
            Refused: it does not accept the token.
            NoProxyRight: the right is missing.
            NoResponse: there is no answer.
        """
        headers = {TOKEN_HEADER: token.reveal().decode("ascii", "replace"), "Accept-Encoding": "identity"}
        try:
            return await self._pods.get(pod, path, query=query, headers=headers)
        except PodAnswered as error:
            raise admin_client.problem(error.status, error.content) from None
        except Forbidden:
            raise NoProxyRight(
                f"you may not ask it through the API server: get on pods/proxy in namespace {pod.namespace} is missing"
            ) from None
        except ClusterError as error:
            raise NoResponse(f"the API server does not lead to it: {error}") from error


@dataclass(frozen=True, slots=True)
class RelayedReplica:
    """Implements :class:`~ostiary_operator.view.admin_client.OtherWay`."""

    relay: ReplicaRelay
    pod: PodPort

    async def response(self, direct: Open, path: str, query: Query, token: SecretBytes) -> aiohttp.ClientResponse:
        """Return the response of the replica, on whichever way it answers."""

        async def judged() -> aiohttp.ClientResponse:
            response = await direct()
            if not response.content_type.startswith("application/json"):
                response.close()
                raise NoResponse("another program answers at its address")
            return response

        return await self.relay.response(self.pod, judged, lambda: self.relay.ask(self.pod, path, query, token))


def other_way(relay: ReplicaRelay | None, namespace: str, replica: Replica) -> RelayedReplica | None:
    """Return the way through the API server to a replica whose Pod is known."""
    port = urlsplit(replica.url).port
    if relay is None or not replica.pod or port is None:
        return None
    return RelayedReplica(relay, PodPort(namespace, replica.pod, port))


async def _first(tasks: Sequence[_Task], *, seconds: float) -> _Task | None:
    """Return the first task that ends with a response; None if none does.

    An error that is no missing answer ends it as well.
    """
    loop = asyncio.get_running_loop()
    end, waiting = loop.time() + seconds, {each for each in tasks if not each.done()}
    while waiting:
        done, waiting = await asyncio.wait(
            waiting, timeout=max(0.0, end - loop.time()), return_when=asyncio.FIRST_COMPLETED
        )
        found = next((each for each in tasks if each in done and not isinstance(each.exception(), NoResponse)), None)
        if found is not None or not done:
            return found
    return None


def _failure(task: _Task) -> NoResponse:
    error = task.exception() if task.done() else None
    return (
        error if isinstance(error, NoResponse) else NoResponse("the API server does not lead to it: it took too long")
    )


def _why(task: _Task) -> str:
    """Return why an address gave no usable answer."""
    if not task.done() or task.cancelled():
        return "no answer: it took too long"
    return str(task.exception() or "no answer")


def _neither(why: str, error: NoResponse) -> OstiaryError:
    """Return the error for both ways: a replica that refuses the token does so on every way."""
    return error if isinstance(error, Refused) else type(error)(f"{why}, and {error}")


async def _abandoned(tasks: Sequence[_Task]) -> None:
    """End tasks whose response is not wanted, and close what came."""
    for each in tasks:
        each.cancel()
    for found in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(found, aiohttp.ClientResponse):
            found.close()
