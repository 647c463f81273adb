"""The order in which the servers of a routing rule are tried.

It is that of the rule, except that a server which does not work comes after those that do. Now and then one request is
sent to it all the same, to find out whether it works again.
"""

from collections.abc import Callable, Sequence
from time import time
from typing import Final
from weakref import WeakKeyDictionary

from ostiary_core.upstream_faults import (
    ADDRESS_FORBIDDEN,
    CIRCUIT_OPEN,
    CREDENTIAL_UNAVAILABLE,
    FULL,
    NO_CONNECTION,
)
from ostiary_gateway.errors import Refusal, UpstreamFault
from ostiary_gateway.upstream.server import UpstreamServer

#: Seconds after a fault, or after the last trial, until one request tries the server again.
TRIAL_SECONDS: Final = 5.0
#: The kinds of fault that prove that the server has not received the request.
_NOT_SENT: Final = NO_CONNECTION | {ADDRESS_FORBIDDEN, CIRCUIT_OPEN, CREDENTIAL_UNAVAILABLE, FULL}


class ServerTrials:
    """When each server that does not work was last tried.

    ``clock`` returns seconds since the epoch.
    """

    def __init__(self, clock: Callable[[], float] = time) -> None:
        self._clock = clock
        self._tried: WeakKeyDictionary[UpstreamServer, float] = WeakKeyDictionary()

    def in_order(self, servers: Sequence[UpstreamServer]) -> list[UpstreamServer]:
        """Return servers in the order in which this request should try them."""
        if not any(server.is_blocked or server.health.fault is not None or _is_open(server) for server in servers):
            return list(servers)
        return sorted(servers, key=self._is_left_out)

    def _is_left_out(self, server: UpstreamServer) -> bool:
        if server.is_blocked or (server.breaker is not None and server.breaker.is_refusing):
            return True
        fault, now = server.health.fault, self._clock()
        if fault is None:
            return False
        if now - max(fault.at, self._tried.get(server, 0.0)) < TRIAL_SECONDS:
            return True
        self._tried[server] = now
        return False


def _is_open(server: UpstreamServer) -> bool:
    return server.breaker is not None and server.breaker.is_open


def was_not_sent(refusal: Refusal) -> bool:
    """Return whether a refusal is due to a fault before the server received anything."""
    cause = refusal.__cause__
    return isinstance(cause, UpstreamFault) and cause.kind in _NOT_SENT


#: The trials of this process.
TRIALS: Final = ServerTrials()
in_order = TRIALS.in_order
