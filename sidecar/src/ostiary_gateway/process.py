"""``ostiary gateway``: one process from start to SIGTERM, or the supervisor of several."""

import asyncio
import gc
import logging
import os
import signal
import socket
import sys
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

from ostiary_gateway.errors import StartupError
from ostiary_gateway.options import GatewayOptions
from ostiary_gateway.workers.supervisor import Supervisor
from ostiary_gateway.workers.supervisor_watch import SupervisorWatch
from ostiary_gateway.workers.worker_channel import WorkerNews

_log = logging.getLogger(__name__)


def run(options: GatewayOptions) -> int:
    """Serve until SIGTERM or SIGINT; return the exit code."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    try:
        asyncio.run(serve(options) if options.workers == 1 else supervise(options))
    except StartupError as error:
        sys.stderr.write(f"ostiary gateway: {error}\n")
        return 1
    return 0


async def serve(options: GatewayOptions, channel: socket.socket | None = None) -> None:
    """Start a gateway, wait for a signal, drain and stop.

    A worker has a ``channel`` to its supervisor: it says there that it listens, and stops once the supervisor is gone.

    Raises:
        StartupError: it cannot start.
    """
    # Not loaded by a supervisor, which would need 40 MiB more.
    from ostiary_gateway.app import GatewayApp  # noqa: PLC0415  see above
    from ostiary_gateway.garbage import PauseCollector  # noqa: PLC0415  see above
    from ostiary_gateway.telemetry import Telemetry  # noqa: PLC0415  see above

    stopping = _stopping(signal.SIGTERM, *(() if channel is not None else (signal.SIGINT,)))
    gateway = GatewayApp(options, Telemetry.from_env(), environ=os.environ)
    collector = PauseCollector(lambda: not gateway.pipeline.limiter.total.requests and not len(gateway.ended))
    gateway.store.listeners.append(collector.on_swap)
    await gateway.start()
    if options.worker is not None and options.worker.is_replacement:
        await _until(stopping, gateway.data_port.open_when_ready(gateway.not_ready))
    tune_collector()
    collecting = asyncio.create_task(collector.run())
    watch = None
    if channel is None:
        ports = (options.host, gateway.port, options.admin_host, gateway.admin_port)
        _log.info("data port %s:%d, admin port %s:%d", *ports)
    else:
        _log.info("serving as process %d", os.getpid())
        with suppress(OSError):  # the supervisor has just ended
            channel.sendall(WorkerNews().line())
        watch = SupervisorWatch(channel, stopping.set)
    try:
        await stopping.wait()
        if watch is not None and watch.has_ended:
            _log.error("the supervisor has ended: this worker accepts no more connections, and ends")
            gateway.options = watch.options(options)
            gateway.data_port.close()
        _log.info("draining, at most %.0f s", gateway.options.drain_delay_seconds + gateway.options.drain_seconds)
    finally:
        collecting.cancel()
        await gateway.stop()
        if watch is not None:
            watch.clean(options)


def run_worker(options: GatewayOptions, channel: socket.socket) -> None:
    """Serve as one of several workers, until SIGTERM or the end of the supervisor.

    Raises:
        StartupError: it cannot start.
    """
    asyncio.run(serve(options, channel))


async def supervise(options: GatewayOptions) -> None:
    """Start several workers, wait for a signal, drain and stop them.

    Raises:
        StartupError: they cannot start, or none of them stays alive.
    """
    await Supervisor(options).run(_stopping(signal.SIGTERM, signal.SIGINT))


async def _until(stopping: asyncio.Event, work: Coroutine[Any, Any, None]) -> None:
    """Do work until it is done, or until we stop; raise its exception."""
    working, waiting = asyncio.ensure_future(work), asyncio.ensure_future(stopping.wait())
    await asyncio.wait({working, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    working.cancel()
    with suppress(asyncio.CancelledError):
        await working


def _stopping(*numbers: signal.Signals) -> asyncio.Event:
    """Return an event that any of these signals sets."""
    stopping = asyncio.Event()
    for number in numbers:
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    return stopping


def tune_collector() -> None:
    """Run the garbage collector rarely, and exclude permanent objects.

    A large response becomes thousands of objects, all in trees and freed with the request. At its default rate the
    collector would run several times while one is parsed, in vain, and take a third of the time.
    """
    gc.freeze()
    gc.set_threshold(20_000, 10, 20)
