"""The mock server as a process: its signals, its line of output, its exit code."""

import asyncio
import logging
import signal
import sys

from ostiary_operator.demo.mock_server import service, tracing
from ostiary_operator.demo.scenarios import Scenario
from ostiary_operator.demo.served_eras import ServedEras


def run(
    *, host: str, port: int, allowed_hosts: tuple[str, ...], eras: ServedEras, scenario: Scenario | None = None
) -> int:
    """Serve until SIGINT or SIGTERM; `service.serve` explains the arguments.

    Returns:
        The exit code: 0 after a signal, 1 when the server could not start.
    """
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    logging.getLogger("opentelemetry").setLevel(
        logging.ERROR
    )  # one error for a failed export is enough; each retry logs a warning
    try:
        end_tracing = tracing.start()
    except tracing.TracingError as error:
        return _complain(str(error))
    try:
        asyncio.run(_serve(host=host, port=port, allowed_hosts=allowed_hosts, eras=eras, scenario=scenario))
    except service.ListenError as error:
        remedy = "another port with --port or MOCK_PORT" if error.port_refused else "another address with --host"
        return _complain(f"cannot listen on {host}, port {port}: {error}; choose {remedy}")
    finally:
        end_tracing()
    return 0


async def _serve(
    *, host: str, port: int, allowed_hosts: tuple[str, ...], eras: ServedEras, scenario: Scenario | None
) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await service.serve(
        host=host,
        port=port,
        allowed_hosts=allowed_hosts,
        eras=eras,
        scenario=scenario,
        stop=stop,
        ready=_announce,
    )


def _announce(url: str) -> None:
    print(f"The mock MCP server listens at {url} (Ctrl-C ends it)", flush=True)


def _complain(message: str) -> int:
    print(f"ostiary mock-server: {message}", file=sys.stderr)
    return 1
