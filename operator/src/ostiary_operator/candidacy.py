"""A replica's candidacy in leader election: its identity, connections, and final release."""

import asyncio
import contextlib
import functools
import os
import secrets
import socket
from collections.abc import AsyncIterator

from ostiary_operator.clock import Clock
from ostiary_operator.election import LeaderElector
from ostiary_operator.kube import connection
from ostiary_operator.kube.options import OperatorOptions
from ostiary_operator.kube.rest import RestClient


@contextlib.asynccontextmanager
async def candidate(options: OperatorOptions, clock: Clock) -> AsyncIterator[LeaderElector | None]:
    """Take part in leader election, if it is enabled, and release the Lease at the end.

    All tasks that write must end before this context is left.
    """
    if not options.leader_elect:
        yield None
        return
    cluster = RestClient(functools.partial(connection.load, options))
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
