"""The operator's admin endpoint: ``/healthz``, ``/readyz`` and ``/metrics``.

It is healthy while the worker sends heartbeats. A replica is ready once one pass has succeeded, or while it stands by
for another replica that leads.

It serves no secrets, so it needs no authentication. In a pod it must listen on all addresses: probes come from outside.
"""

from dataclasses import dataclass, field
from typing import Final

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from ostiary_core.errors import OstiaryError
from ostiary_operator.clock import Clock
from ostiary_operator.controller.leader_election import LeaderElector
from ostiary_operator.controller.metrics import OperatorMetrics
from ostiary_operator.controller.queue import WorkQueue

#: Seconds without a heartbeat after which the worker counts as dead. The timeouts within a pass are shorter.
_DEAD_AFTER: Final = 300.0


class AdminError(OstiaryError):
    """The admin endpoint cannot listen on its address."""


@dataclass(slots=True)
class AdminServer:
    """Serves health, readiness and metrics. Once started, ``port`` is the actual port."""

    host: str
    port: int
    queue: WorkQueue
    metrics: OperatorMetrics
    clock: Clock
    election: LeaderElector | None = None
    _runner: web.AppRunner | None = field(default=None)

    async def start(self) -> None:
        """Start to listen.

        Raises:
            AdminError: the address is in use or not permitted.
        """
        app = web.Application()
        app.add_routes(
            [web.get("/healthz", self._healthz), web.get("/readyz", self._readyz), web.get("/metrics", self._metrics)]
        )
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, self.host, self.port)
        try:
            await site.start()
        except OSError as error:
            await self.stop()
            reason = error.strerror or str(error)
            raise AdminError(
                f"cannot listen on {self.host}:{self.port}: {reason}; choose another --admin-address"
            ) from error
        self.port = int(self._runner.addresses[0][1])

    async def stop(self) -> None:
        """Close the listener."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _healthz(self, _: web.Request) -> web.Response:
        silent = self.clock.monotonic() - self.queue.observed.heartbeat
        if silent > _DEAD_AFTER:
            return web.Response(status=503, text=f"the worker sent no heartbeat for {silent:.0f} s\n")
        return web.Response(text="ok\n")

    async def _readyz(self, _: web.Request) -> web.Response:
        if self.queue.first_success.is_set():
            return web.Response(text="ok\n")
        if self.election is not None and self.election.leader not in {"", self.election.identity}:
            return web.Response(text=f"standing by: {self.election.leader} leads\n")
        return web.Response(status=503, text="no pass has succeeded yet\n")

    async def _metrics(self, _: web.Request) -> web.Response:
        return web.Response(body=generate_latest(self.metrics.registry), headers={"Content-Type": CONTENT_TYPE_LATEST})
