"""The listener of the admin port, and its answers to all: liveness, readiness, metrics.

``/continuations`` takes what other replicas have sealed (added by the app); all else needs a bearer (:mod:`.rights`).
"""

import asyncio
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from aiohttp import web

from ostiary_gateway.errors import StartupError, port_taken
from ostiary_gateway.threads import in_background


class OpenHandlers:
    """Answers ``/healthz``, ``/readyz`` and ``/metrics``.

    ``ready`` returns why requests are not accepted, or None. ``exposition`` returns the text of a scrape for an Accept
    header, and its content type; it is called in a thread, after ``settle``, which has requests counted that ended.
    """

    def __init__(
        self,
        *,
        ready: Callable[[], str | None],
        exposition: Callable[[str], tuple[bytes, str]],
        settle: Callable[[], None] = lambda: None,
    ) -> None:
        self._not_ready = ready
        self._exposition = exposition
        self.settle = settle
        self._scraping = asyncio.Lock()

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [
            web.get("/healthz", self._healthz),
            web.get("/readyz", self._readyz),
            web.get("/metrics", self._metrics),
        ]

    async def _healthz(self, _: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def _readyz(self, _: web.Request) -> web.Response:
        reason = self._not_ready()
        return web.Response(text="ok\n") if reason is None else web.Response(text=f"{reason}\n", status=503)

    async def _metrics(self, request: web.Request) -> web.Response:
        """Answer a scrape as its Accept header wants it.

        Scrapes take turns, since each takes a thread.
        """
        async with self._scraping:
            self.settle()
            text, content_type = await in_background(self._exposition, request.headers.get("Accept", ""))
        return web.Response(body=text, headers={"Content-Type": content_type})


def admin_application(routes: Iterable[web.AbstractRouteDef]) -> web.Application:
    """Return the application of the admin listener."""
    app = web.Application()
    app.add_routes(routes)
    return app


async def listen(runner: web.BaseRunner, host: str, port: int) -> int:
    """Start the admin listener and return its port, which is chosen if ``port`` is 0.

    Raises:
        StartupError: the port is taken, or the address is not a local one; names the option to change.
    """
    site = web.TCPSite(runner, host, port)
    try:
        await site.start()
    except OSError as error:
        raise port_taken("admin port", host, port, error, option="--admin-port or ADMIN_PORT") from error
    addresses: list[tuple[Any, ...]] = runner.addresses
    return int(addresses[-1][1])


async def listen_at(runner: web.BaseRunner, path: Path) -> None:
    """Start the admin listener of a worker, at a socket of the file system.

    Raises:
        StartupError: it cannot be made.
    """
    try:
        await web.UnixSite(runner, path).start()
    except OSError as error:
        raise StartupError(f"--workers: cannot listen at {path} ({error.strerror or error}). Set TMPDIR.") from error
