"""Asks each endpoint of a server now and then whether it responds.

A probe is a ``ping`` in a session that no server has: a server that holds sessions answers 404 and creates none, where
a request without a session might make one. A REST service gets a ``GET`` of its URL instead, which changes nothing
there. It bears what every request to the server bears, and no credential of a caller. Any whole answer with a status
below 500 is a sign of life, whatever it says: servers without ``ping``, or that want a token, work. A probe that passes
proves no more than that: it never shortens an ejection (:mod:`.passive_ejection`).
"""

import asyncio
import random
from collections.abc import Callable, Sequence
from typing import Final

from ostiary_core.contract.server_resilience import ActiveHealthCheckConfig
from ostiary_gateway.errors import UpstreamFault
from ostiary_gateway.upstream.endpoint import UpstreamEndpoint
from ostiary_gateway.upstream.endpoint_log import EndpointLog
from ostiary_gateway.upstream.http1 import request_head as http1
from ostiary_gateway.upstream.http1.upstream_response import UpstreamResponse

_LINES: Final = b"Mcp-Session-Id: ostiary-probe\r\n"
_PING: Final = b'{"jsonrpc":"2.0","id":"ostiary-probe","method":"ping"}'
#: The bytes of an answer that are read at most; a longer one passes.
_ENOUGH_BYTES: Final = 64 * 1024
#: The most probes of one server that are under way.
_AT_ONCE: Final = 32


class EndpointProbes:
    """Probes the endpoints of one server.

    ``endpoints`` returns those that there are; ``changed`` is called after one failed too often, or responds again.
    """

    def __init__(
        self,
        config: ActiveHealthCheckConfig,
        *,
        log: EndpointLog,
        endpoints: Callable[[], Sequence[UpstreamEndpoint]],
        changed: Callable[[], None],
    ) -> None:
        self._interval = config.interval / 1000
        self._timeout = config.timeout / 1000
        self._threshold = config.unhealthy_threshold
        self._log = log
        self._endpoints = endpoints
        self._changed = changed
        self._rounds: asyncio.Task[None] | None = None
        self._probes: set[asyncio.Task[None]] = set()
        self._pending: set[UpstreamEndpoint] = set()

    def start(self) -> None:
        """Begin to probe, unless that has begun."""
        if self._rounds is None:
            self._rounds = asyncio.get_running_loop().create_task(self._run(), name="endpoint probes")

    async def _run(self) -> None:
        """Probe each endpoint once an interval, one after the other.

        So not all are asked at the same moment.
        """
        turn = 0
        while True:
            endpoints = self._endpoints()
            pause = self._interval / max(1, len(endpoints))
            await asyncio.sleep(pause * random.uniform(0.8, 1.2))  # noqa: S311  replicas do not ask at the same moment
            endpoints = self._endpoints()
            if endpoints:
                turn = (turn + 1) % len(endpoints)
                self._begin(endpoints[turn])

    def _begin(self, endpoint: UpstreamEndpoint) -> None:
        if endpoint in self._pending or len(self._pending) >= _AT_ONCE:
            return
        self._pending.add(endpoint)
        task = asyncio.get_running_loop().create_task(self._probe(endpoint), name="endpoint probe")
        self._probes.add(task)
        task.add_done_callback(self._probes.discard)

    async def _probe(self, endpoint: UpstreamEndpoint) -> None:
        try:
            async with asyncio.timeout(self._timeout):
                problem = await _problem(endpoint, seconds=self._timeout)
        except TimeoutError:
            problem = f"no whole answer within {self._timeout:g} s"
        except UpstreamFault as fault:
            problem = f"{fault.kind}: {fault.message}"
        finally:
            self._pending.discard(endpoint)
        if problem:
            self._failed(endpoint, problem)
        else:
            self._passed(endpoint)

    def _failed(self, endpoint: UpstreamEndpoint, problem: str) -> None:
        endpoint.failed_probes += 1
        if endpoint.failed_probes >= self._threshold and not endpoint.is_unhealthy:
            endpoint.is_unhealthy = True
            self._log.out(
                endpoint, "until a probe passes", f"{endpoint.failed_probes} failed in a row, at last {problem}"
            )
            self._changed()

    def _passed(self, endpoint: UpstreamEndpoint) -> None:
        endpoint.failed_probes = 0
        if endpoint.is_unhealthy:
            endpoint.is_unhealthy = False
            self._log.back(endpoint)
            self._changed()

    def close(self) -> None:
        """End every probe."""
        for task in self._tasks:
            task.cancel()

    async def ended(self) -> None:
        """Wait until every probe has ended and let go of its connection."""
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def _tasks(self) -> list[asyncio.Task[None]]:
        return [*self._probes, *([self._rounds] if self._rounds is not None else [])]


async def _problem(endpoint: UpstreamEndpoint, *, seconds: float) -> str:
    """Return why a probe does not pass; empty if it does.

    It has a connection of its own: those for requests may all be in use.

    Raises:
        UpstreamFault: no connection, or no whole answer.
    """
    connection = await endpoint.route.dialer.dial()
    try:
        response = await connection.exchange(_message(endpoint), seconds=seconds)
        if response.status >= 500:
            return f"HTTP {response.status}"
        await _read(response, seconds=seconds)
        return ""
    finally:
        connection.close()


def _message(endpoint: UpstreamEndpoint) -> bytes:
    """Return a probe; a REST service has no ``ping``, and a POST might change something there."""
    heads = endpoint.route.heads
    return http1.message(heads["GET"], b"", None) if endpoint.is_rest else http1.message(heads["POST"], _LINES, _PING)


async def _read(response: UpstreamResponse, *, seconds: float) -> None:
    """Read an answer to its end, or as much of it as shows that the endpoint lives."""
    count = 0
    while count < _ENOUGH_BYTES and (piece := await response.read_some(seconds)):
        count += len(piece)
