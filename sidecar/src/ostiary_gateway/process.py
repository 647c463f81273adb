"""``ostiary gateway``: one process from start to SIGTERM."""

import asyncio
import gc
import logging
import os
import signal
import sys

from ostiary_gateway.app import GatewayApp
from ostiary_gateway.errors import StartupError
from ostiary_gateway.options import GatewayOptions
from ostiary_gateway.telemetry import Telemetry

_log = logging.getLogger(__name__)


def run(options: GatewayOptions) -> int:
    """Serve until SIGTERM or SIGINT; return the exit code."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    try:
        asyncio.run(serve(options))
    except StartupError as error:
        sys.stderr.write(f"ostiary gateway: {error}\n")
        return 1
    return 0


async def serve(options: GatewayOptions) -> None:
    """Start a gateway, wait for a signal, drain and stop.

    Raises:
        StartupError: it cannot start.
    """
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    gateway = GatewayApp(options, Telemetry.from_env(), environ=os.environ)
    await gateway.start()
    tune_collector()
    _log.info("data port %s:%d, admin port %s:%d", options.host, gateway.port, options.admin_host, gateway.admin_port)
    try:
        await stopping.wait()
        _log.info("draining, at most %.0f s", options.drain_delay_seconds + options.drain_seconds)
    finally:
        await gateway.stop()


def tune_collector() -> None:
    """Run the garbage collector rarely, and exclude permanent objects.

    A large response becomes thousands of objects, all in trees and freed with the request. At its default rate the
    collector would run several times while one is parsed, in vain, and take a third of the time.
    """
    gc.freeze()
    gc.set_threshold(20_000, 10, 20)
