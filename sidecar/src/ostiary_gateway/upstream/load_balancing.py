"""Which of several endpoints gets the next request.

The less busy one of two random ones: nearly as even as looking at all of them, and without herds, in which every
replica of the gateway sends to the same idle endpoint. An endpoint that hangs keeps its requests and so gets no more:
where even the better one of the two has more than the average, many are compared.
"""

from collections.abc import Sequence
from random import random
from typing import Final, Protocol

from ostiary_core.contract.server_resilience import LoadBalancerName
from ostiary_gateway.upstream.endpoint import UpstreamEndpoint

#: The most endpoints that are compared for one request.
_MOST_COMPARED: Final = 32


class LoadBalancer(Protocol):
    """Chooses among endpoints."""

    def choose(self, endpoints: Sequence[UpstreamEndpoint], *, open_requests: int) -> UpstreamEndpoint:
        """Return one of two endpoints or more.

        ``open_requests`` is the number of requests at all endpoints of the server.
        """


class LeastRequest:
    """Takes the endpoint with fewer open requests and streams of two random ones."""

    def choose(self, endpoints: Sequence[UpstreamEndpoint], *, open_requests: int) -> UpstreamEndpoint:
        """Return the less busy one of two, or of many where both are busier than the average."""
        count = len(endpoints)
        # Both numbers of one random one.
        first, second = divmod(int(random() * (count * (count - 1))), count - 1)  # noqa: S311  no secret
        one, other = endpoints[first], endpoints[second + (second >= first)]
        best = one if one.open_requests <= other.open_requests else other
        if best.open_requests * count <= open_requests:
            return best
        others = endpoints if count <= _MOST_COMPARED else _window(endpoints, first)
        return min(others, key=_open_requests)


class RoundRobin:
    """Takes one endpoint after the other."""

    def __init__(self) -> None:
        self._next = int(random() * 1_000_000)  # noqa: S311  replicas do not begin with the same one

    def choose(self, endpoints: Sequence[UpstreamEndpoint], *, open_requests: int) -> UpstreamEndpoint:  # noqa: ARG002
        """Return the next one."""
        self._next += 1
        return endpoints[self._next % len(endpoints)]


def load_balancer(name: LoadBalancerName | None) -> LoadBalancer:
    """Return the load balancer of a server."""
    return RoundRobin() if name == "RoundRobin" else LeastRequest()


def _window(endpoints: Sequence[UpstreamEndpoint], first: int) -> list[UpstreamEndpoint]:
    """Return some endpoints from a random one on."""
    found = list(endpoints[first : first + _MOST_COMPARED])
    return found + list(endpoints[: _MOST_COMPARED - len(found)])


def _open_requests(endpoint: UpstreamEndpoint) -> float:
    # Of equally busy ones a random one, as above.
    return endpoint.open_requests + random()  # noqa: S311
