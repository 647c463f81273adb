"""Which of several replicas of the operator leads: the one that holds a Lease, as client-go's elections do it.

No clocks are compared. Who does not hold the Lease watches it stand still, by his own clock, for as long as it is
given; who holds it stops to write well before that, by his own clock too, counted from before he asked to renew it. So
however late a request arrives or a process wakes up, there are never two who write.

While the API server is away nobody leads and nobody ends: whoever led goes on if the Lease is still his.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from ostiary_core.errors import OstiaryError
from ostiary_operator.clock import Clock
from ostiary_operator.kube import leases
from ostiary_operator.kube.client import KubernetesClient, Object
from ostiary_operator.kube.errors import ClusterError, Conflict, Unreachable
from ostiary_operator.kube.leases import LeaseRecord

_log = logging.getLogger(__name__)

#: A Lease that says to hold longer than this, in seconds, was not written by an election.
_LONGEST: Final = 60


@dataclass(frozen=True, slots=True)
class LeaseTimings:
    """Seconds: for which a Lease holds, within which it must be renewed so that we still write, and between attempts.

    ``lease`` must be longer than ``deadline`` by what a write takes on its way.
    """

    lease: int = 8
    deadline: float = 5.0
    renew: float = 2.0
    retry: float = 1.0


class LeadershipLost(OstiaryError):
    """Another replica leads now; whoever led before ends, and begins again as one that waits."""


class LeaderElector:
    """One replica's part in it. ``identity`` is its own and nobody else's, not even after a restart.

    The cluster should have connections of its own: a Lease that waits behind other requests is lost.
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
        """Say whether we may write at this moment."""
        return self._clock.monotonic() < self._until

    @property
    def leader(self) -> str:
        """The identity of whoever was last seen to lead; empty for nobody."""
        return self._seen.holder

    async def win(self) -> None:
        """Wait until we lead."""
        told = ""
        while not await self._attempt():
            if self.leader not in {told, ""}:
                told = self.leader
                _log.info("%s leads; standing by", told)
            await self._pause(self._times.retry)
        _log.info("leading as %s", self.identity)

    async def keep(self, regained: Callable[[], None]) -> None:
        """Renew until cancelled. ``regained`` is called where we lead again after we could not renew in time.

        Raises:
            LeadershipLost: another leads.
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
        """Stop to lead, and let the next replica take over at once. What fails is left to time."""
        ours, self._ours, self._until = self._ours, None, float("-inf")
        if ours is None or self.leader != self.identity:
            return
        now = self._clock.time()
        nobodys = LeaseRecord("", 1, now, now, self._seen.transitions)
        with contextlib.suppress(ClusterError, TimeoutError):
            async with asyncio.timeout(self._times.renew):
                await leases.write(self._cluster, ours, nobodys)
                _log.info("released the lease")

    async def _attempt(self) -> bool:
        """Take or renew the Lease if that may be done; say whether we have it."""
        try:
            async with asyncio.timeout(self._times.deadline):
                has_it = await self._take()
        except Conflict:
            return False  # somebody was faster; the next attempt shows who
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
                return False  # made and taken by another since we looked
        wanted = leases.taken(leases.parse(lease), self.identity, now=self._clock.time(), seconds=self._times.lease)
        self._ours = await leases.write(self._cluster, lease, wanted)
        self._observe(self._ours)
        self._until = began + self._times.deadline
        return True

    def _is_anothers(self) -> bool:
        """Say whether another has it and did not let it run out; one that was deleted has to run out all the same."""
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
            _log.warning("the lease %s cannot be had: %s", self._where["name"], error)
        self._failing = True
