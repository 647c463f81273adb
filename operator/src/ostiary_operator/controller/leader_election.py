"""Leader election among replicas of the operator with a Lease, as client-go does it.

No clocks are compared. A candidate measures expiry locally: it takes over once the Lease has been unchanged for
``leaseDuration``. The leader stops to write well before that, by its own clock, counted from before it sent the last
renewal. So two replicas never write at once, however late a request arrives or a process resumes.

While the API server is unavailable, no replica leads and none exits: the last leader continues if it still holds the
Lease.
"""

import asyncio
import contextlib
import functools
import logging
import os
import secrets
import socket
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Final

from ostiary_core.errors import OstiaryError
from ostiary_operator.api.objects import Object
from ostiary_operator.clock import Clock
from ostiary_operator.kube import credentials, leases
from ostiary_operator.kube.client import KubernetesClient
from ostiary_operator.kube.errors import ClusterError, Conflict, Unreachable
from ostiary_operator.kube.leases import LeaseRecord
from ostiary_operator.kube.options import OperatorOptions
from ostiary_operator.kube.rest import RestClient

_log = logging.getLogger(__name__)
#: A Lease with a longer duration than this, in seconds, was not written by a leader election.
_LONGEST: Final = 60


@dataclass(frozen=True, slots=True)
class LeaseTimings:
    """The times of the Lease, in seconds: its duration, renew deadline, and retry periods.

    After ``deadline`` without a renewal the leader stops to write. ``lease`` must be longer by the time that a write
    may be in transit.
    """

    lease: int = 8
    deadline: float = 5.0
    renew: float = 2.0
    retry: float = 1.0


class LeadershipLost(OstiaryError):
    """Another replica leads now; this process exits, and starts again as a candidate."""


class LeaderElector:
    """Acquires, renews and releases the Lease for one replica.

    ``identity`` is unique, and new after each restart. The client needs connections of its own: a renewal that waits
    behind other requests may come too late.
    """

    def __init__(
        self,
        cluster: KubernetesClient,
        clock: Clock,
        *,
        namespace: str,
        name: str,
        identity: str,
        times: LeaseTimings | None = None,
    ) -> None:
        self.identity = identity
        self._cluster = cluster
        self._clock = clock
        self._where = {"namespace": namespace, "name": name}
        self._times = times if times is not None else LeaseTimings()
        self._seen = LeaseRecord()
        self._seen_at = 0.0
        self._version = ""
        self._until = float("-inf")
        self._ours: Object | None = None
        self._failing = False

    def leads(self) -> bool:
        """Return whether this replica may write now."""
        return self._clock.monotonic() < self._until

    @property
    def leader(self) -> str:
        """The identity of the last leader that was observed; empty for none."""
        return self._seen.holder

    async def win(self) -> None:
        """Wait until this replica leads."""
        logged = ""
        while not await self._attempt():
            if self.leader not in {logged, ""}:
                logged = self.leader
                _log.info("%s leads; standing by", logged)
            await self._pause(self._times.retry)
        _log.info("leading as %s", self.identity)

    async def keep(self, regained: Callable[[], None]) -> None:
        """Renew the Lease until cancelled.

        ``regained`` is called when this replica leads again after a late renewal.

        Raises:
            LeadershipLost: another replica leads.
        """
        while True:
            led = self.leads()
            await self._pause(self._times.renew if led else self._times.retry)
            led = self.leads()
            if await self._attempt():
                if not led:
                    _log.info("leading again as %s", self.identity)
                    regained()
            elif self.leader not in {self.identity, ""}:
                self._until = float("-inf")
                raise LeadershipLost(f"{self.leader} leads now: our lease was not renewed in time")

    async def release(self) -> None:
        """Stop to lead, and release the Lease. If that fails, the Lease expires."""
        ours, self._ours, self._until = self._ours, None, float("-inf")
        if ours is None or self.leader != self.identity:
            return
        now = self._clock.time()
        released = LeaseRecord("", 1, now, now, self._seen.transitions)
        with contextlib.suppress(ClusterError, TimeoutError):
            async with asyncio.timeout(self._times.renew):
                await leases.write(self._cluster, ours, released)
                _log.info("released the lease")

    async def _attempt(self) -> bool:
        """Acquire or renew the Lease if possible; return whether this replica holds it."""
        try:
            async with asyncio.timeout(self._times.deadline):
                has_it = await self._take()
        except Conflict:
            return False  # another replica was faster; the next attempt shows which one
        except (ClusterError, TimeoutError) as error:
            self._failed(error if isinstance(error, ClusterError) else Unreachable("the API server does not answer"))
            return False
        self._failing = False
        return has_it

    async def _take(self) -> bool:
        began = self._clock.monotonic()
        lease = await leases.find(self._cluster, **self._where)
        if lease is not None:
            self._observe(lease)
        if self._is_anothers():
            return False
        if lease is None:
            lease = await leases.make(self._cluster, **self._where)
            self._observe(lease)
            if self._is_anothers():
                return False  # another replica created and acquired it since we read it
        wanted = leases.taken(leases.parse(lease), self.identity, now=self._clock.time(), seconds=self._times.lease)
        self._ours = await leases.write(self._cluster, lease, wanted)
        self._observe(self._ours)
        self._until = began + self._times.deadline
        return True

    def _is_anothers(self) -> bool:
        """Return whether another replica holds it, unexpired; so may a Lease that was deleted."""
        seen = self._seen
        seconds = seen.seconds if 0 < seen.seconds <= _LONGEST else self._times.lease
        runs = self._clock.monotonic() < self._seen_at + seconds
        return seen.holder not in {"", self.identity} and runs

    async def _pause(self, seconds: float) -> None:
        await self._clock.wait(asyncio.Event(), seconds)

    def _observe(self, lease: Object) -> None:
        version = lease["metadata"]["resourceVersion"]
        if version != self._version:
            self._version, self._seen, self._seen_at = version, leases.parse(lease), self._clock.monotonic()

    def _failed(self, error: ClusterError) -> None:
        if not self._failing:
            _log.warning("the lease %s cannot be acquired or renewed: %s", self._where["name"], error)
        self._failing = True


@contextlib.asynccontextmanager
async def candidate(options: OperatorOptions, clock: Clock) -> AsyncIterator[LeaderElector | None]:
    """Take part in leader election, if it is enabled, and release the Lease at the end.

    All tasks that write must end before this context is left.
    """
    if not options.leader_elect:
        yield None
        return
    cluster = RestClient(functools.partial(credentials.load, options))
    identity = f"{os.environ.get('POD_NAME') or socket.gethostname()}_{secrets.token_hex(4)}"
    election = LeaderElector(cluster, clock, namespace=options.operator_namespace, name=options.name, identity=identity)
    try:
        yield election
    finally:
        await election.release()
        await cluster.close()


async def wait_until_leading(election: LeaderElector, stop: asyncio.Event) -> bool:
    """Wait until this replica leads or ``stop`` is set; return whether it leads."""
    winning, stopping = asyncio.ensure_future(election.win()), asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait({winning, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if winning.done():
            winning.result()
        return winning.done() and not stop.is_set()
    finally:
        winning.cancel()
        stopping.cancel()
        await asyncio.wait({winning})
