"""A replica's part in the election, as a process: a name that nobody else has, connections of its own, and an end."""

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
    """Stand for election until the end, and hand over then; None where there is no election.

    Whoever enters it ends all that writes before he leaves it.
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
    """Wait until we lead, or are told to stop; say whether we lead."""
    winning, told = asyncio.ensure_future(election.win()), asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait({winning, told}, return_when=asyncio.FIRST_COMPLETED)
        if winning.done():
            winning.result()
        return winning.done() and not stop.is_set()
    finally:
        winning.cancel()
        told.cancel()
        await asyncio.wait({winning})
