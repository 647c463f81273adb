"""Checks whether OAuth clients can find the authorization servers of MCP servers.

These are the servers of proxies with passthrough: they authenticate callers themselves. A check does what a client does
first: a request without a token must get 401, and the server's protected resource metadata must name an authorization
server (RFC 9728). The request is a ping, which changes nothing at the server.

It is made when a proxy with passthrough is new or its server changes, and again from time to time. A tenant may have
many such proxies, whose servers hang: one check at a time runs for each namespace, and few in the process.
"""

import asyncio
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic
from typing import Final, NamedTuple

from ostiary_core.auth_discovery import DiscoveryOutcome
from ostiary_gateway.config.runtime import ProxyRuntime
from ostiary_gateway.config.snapshot import Snapshot
from ostiary_gateway.errors import UpstreamFault
from ostiary_gateway.identity.passthrough import PassthroughAuthenticator, challenge_parameters
from ostiary_gateway.upstream.health import printable
from ostiary_gateway.upstream.server import UpstreamServer

#: Seconds for one check, with all its requests.
CHECK_SECONDS: Final = 10.0
#: Seconds until the next check of a server whose discovery is complete, and of one with a problem.
GOOD_SECONDS: Final = 600.0
BAD_SECONDS: Final = 60.0
#: Seconds between two checks of one proxy, however often its server changes.
DISTANCE_SECONDS: Final = 10.0
_AT_ONCE: Final = 8
_PING: Final = b'{"jsonrpc":"2.0","id":1,"method":"ping"}'


class DiscoveryReport(NamedTuple):
    """The outcome of a check, with its cause.

    The cause is one line of ASCII, which may quote the server.
    """

    outcome: DiscoveryOutcome
    cause: str = ""


_PENDING: Final = DiscoveryReport(DiscoveryOutcome.PENDING)


@dataclass(slots=True, eq=False)
class _Checked:
    """A proxy that is checked; ``due`` is the time of its next check."""

    proxy: ProxyRuntime
    due: float
    report: DiscoveryReport = _PENDING


class DiscoveryChecks:
    """Checks the servers of all proxies with passthrough. ``clock`` returns seconds.

    Must be used within one event loop.
    """

    def __init__(self, *, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._checked: dict[str, _Checked] = {}
        self._running: dict[str, asyncio.Task[None]] = {}
        self._changed = asyncio.Event()
        self._room = asyncio.Semaphore(_AT_ONCE)

    def report_of(self, proxy: ProxyRuntime) -> DiscoveryReport | None:
        """Return the last report on a proxy; None where the gateway authenticates its callers."""
        found = self._checked.get(proxy.identity)
        return found.report if found is not None else None

    def on_swap(self, snapshot: Snapshot, _changed: frozenset[str]) -> None:
        """Check the proxies of a new config. A proxy whose server is the same keeps its report."""
        now, before = self._clock(), self._checked
        relaying = [
            proxy for proxy in snapshot.proxies.values() if isinstance(proxy.authenticator, PassthroughAuthenticator)
        ]
        self._checked = {proxy.identity: _taken_over(proxy, before.get(proxy.identity), now) for proxy in relaying}
        if relaying or before:
            self._changed.set()

    async def run(self) -> None:
        """Check servers until cancelled."""
        try:
            while True:
                self._changed.clear()
                for namespace in {each.proxy.namespace for each in self._due()} - self._running.keys():
                    self._running[namespace] = asyncio.create_task(self._run_namespace(namespace))
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._pause()):
                        await self._changed.wait()
        finally:
            for task in self._running.values():
                task.cancel()

    def _due(self) -> Iterable[_Checked]:
        now = self._clock()
        return [each for each in self._checked.values() if each.due <= now and not each.proxy.server.is_blocked]

    def _pause(self) -> float:
        """Return the seconds until a check is due in a namespace where none runs."""
        waiting = (each.due for each in self._checked.values() if each.proxy.namespace not in self._running)
        return max(min(waiting, default=self._clock() + BAD_SECONDS) - self._clock(), 0.05)

    async def _run_namespace(self, namespace: str) -> None:
        try:
            while due := [each for each in self._due() if each.proxy.namespace == namespace]:
                checked = min(due, key=lambda each: each.due)
                checked.due = self._clock() + BAD_SECONDS
                async with self._room:
                    checked.report = await check(checked.proxy)
                is_good = checked.report.outcome is DiscoveryOutcome.COMPLETE
                checked.due = self._clock() + (GOOD_SECONDS if is_good else BAD_SECONDS)
        finally:
            del self._running[namespace]
            self._changed.set()


def _taken_over(proxy: ProxyRuntime, before: _Checked | None, now: float) -> _Checked:
    if before is None:
        return _Checked(proxy, now)
    if before.proxy.servers == proxy.servers:
        before.proxy = proxy
        return before
    return _Checked(proxy, now + DISTANCE_SECONDS)


async def check(proxy: ProxyRuntime) -> DiscoveryReport:
    """Check the server of a proxy with passthrough as a client without a token would."""
    authenticator = proxy.authenticator
    if not isinstance(authenticator, PassthroughAuthenticator):
        raise TypeError("only proxies with passthrough are checked")
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            status, challenge = await _response_without_token(proxy.server)
            if status == 429 or status >= 500:
                return DiscoveryReport(DiscoveryOutcome.SERVER_UNAVAILABLE, f"it responds with HTTP {status}")
            if status != 401:
                return DiscoveryReport(DiscoveryOutcome.NO_UNAUTHORIZED, f"it responds with HTTP {status}")
            problem = await authenticator.metadata.problem(proxy.endpoint)
    except TimeoutError:
        return DiscoveryReport(DiscoveryOutcome.SERVER_UNAVAILABLE, f"no response within {CHECK_SECONDS:g} s")
    except UpstreamFault as fault:
        return DiscoveryReport(DiscoveryOutcome.SERVER_UNAVAILABLE, printable(fault.message))
    if problem is None:
        return DiscoveryReport(DiscoveryOutcome.COMPLETE)
    outcome, cause = problem
    if outcome is DiscoveryOutcome.UNREADABLE:
        named = challenge_parameters(challenge).get("resource_metadata")
        outcome, cause = _unreadable(named, authenticator.metadata.paths(proxy.endpoint), cause)
    return DiscoveryReport(outcome, printable(cause))


async def _response_without_token(server: UpstreamServer) -> tuple[int, str]:
    """Return status and challenge of the response to a ping without a token."""
    response = await server.request("POST", b"", _PING, repeatable=True)
    try:
        return response.status, response.header("www-authenticate") or ""
    finally:
        response.close()


def _unreadable(named: str | None, paths: Iterable[str], cause: str) -> tuple[DiscoveryOutcome, str]:
    """Return why metadata cannot be read, given the URL that the server's challenge names."""
    if named is None:
        return DiscoveryOutcome.NOT_NAMED, cause
    if not named.partition("?")[0].endswith(tuple(paths)):
        return DiscoveryOutcome.ELSEWHERE, f"it names {named}"
    return DiscoveryOutcome.UNREADABLE, cause
