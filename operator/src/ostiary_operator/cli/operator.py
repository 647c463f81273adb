"""``ostiary operator``: the process that runs :mod:`ostiary_operator.controller.app`."""

import argparse
import asyncio
import gc
import logging
import signal
import sys

from ostiary_core.errors import OstiaryError
from ostiary_operator.controller.app import run_operator
from ostiary_operator.kube.options import OperatorOptions, add_arguments, from_arguments

__all__ = ["add_arguments", "run"]

_log = logging.getLogger(__name__)


def run(arguments: argparse.Namespace) -> int:
    """Run the operator until SIGTERM or SIGINT; return the exit status."""
    logging.basicConfig(
        level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)-7s %(name)s: %(message)s"
    )
    _tune_collector()
    try:
        options = from_arguments(arguments)
        asyncio.run(_main(options))
    except (OstiaryError, ValueError) as error:
        print(f"ostiary operator: {error}", file=sys.stderr)
        return 1
    return 0


def _tune_collector() -> None:
    """Run the garbage collector rarely.

    A pass over thousands of resources makes trees without cycles, which need no collector. At its default rate the
    collector would traverse all objects several times per pass, and take longer than the pass itself.
    """
    gc.freeze()
    gc.set_threshold(50_000, 5, 20)


def _freeze_first_pass() -> None:
    """Exempt the objects of the first pass from garbage collection: most of them live long."""
    gc.collect()
    gc.freeze()


async def _main(options: OperatorOptions) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def end(number: signal.Signals) -> None:
        _log.info("%s: ending", number.name)
        stop.set()
        for each in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(each)  # a second one ends it at once

    for each in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(each, end, each)
    await run_operator(options, stop, on_started=_freeze_first_pass)
