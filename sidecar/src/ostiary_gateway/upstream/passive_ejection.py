"""Takes endpoints out of use for a time after requests failed there, one after the other.

What counts is the transport: a failed connect, a reset, a missing head, and the statuses 502 to 504. What a working
server says (a JSON-RPC error, ``isError``, a status of 4xx) never does, nor does a caller that gives up. So that a
fault of all endpoints, or of the gateway's own network, cannot take a server out, only a share of them is ejected.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Collection
from time import monotonic
from typing import Final

from ostiary_core.contract.server_resilience import PassiveHealthCheckConfig
from ostiary_core.upstream_faults import GATEWAY_ERRORS
from ostiary_gateway.errors import UpstreamFault
from ostiary_gateway.upstream import faults
from ostiary_gateway.upstream.endpoint import UpstreamEndpoint
from ostiary_gateway.upstream.endpoint_log import EndpointLog
from ostiary_gateway.upstream.http1.upstream_response import UpstreamResponse

#: The kinds of fault that count.
COUNTED: Final = frozenset(
    {
        faults.ADDRESS_FORBIDDEN,
        faults.CONNECT_TIMEOUT,
        faults.LOOP,
        faults.RESET,
        faults.TIMEOUT,
        faults.TLS_FAILED,
        faults.UNREACHABLE,
    }
)
#: An endpoint that fails again and again is out for at most this many times the base.
_LONGEST: Final = 10


class PassiveEjection:
    """Ejects endpoints of one server.

    ``ready`` returns the endpoints that may be ejected; ``changed`` is called after one was, or has returned.
    """

    def __init__(
        self,
        config: PassiveHealthCheckConfig,
        *,
        log: EndpointLog,
        ready: Callable[[], Collection[UpstreamEndpoint]],
        changed: Callable[[], None],
    ) -> None:
        self._threshold = config.consecutive_gateway_errors
        self._base = config.base_ejection_time / 1000
        self._most_percent = config.max_ejection_percent
        self._log = log
        self._ready = ready
        self._changed = changed
        self._returns: dict[UpstreamEndpoint, asyncio.TimerHandle] = {}
        #: Ejections by the kind of the last fault.
        self.counts: Counter[str] = Counter()

    def ended(
        self, endpoint: UpstreamEndpoint, response: UpstreamResponse | None, error: BaseException | None = None
    ) -> None:
        """Note how an exchange with an endpoint ended: with a response, or else with an error."""
        if endpoint.is_tried:  # a caller that gave up has shown nothing
            self._set_tried(endpoint, False)
        fault = response.fault if response is not None else error
        if isinstance(fault, UpstreamFault):
            if fault.kind in COUNTED:
                self._failed(endpoint, fault.kind, fault.message)
        elif response is not None and response.status in GATEWAY_ERRORS:
            self._failed(endpoint, faults.UNAVAILABLE, f"HTTP {response.status}")
        elif response is not None and response.complete:
            endpoint.failures = 0

    def begun(self, endpoint: UpstreamEndpoint) -> None:
        """Note that an endpoint on trial got a request: no other one until there is a response."""
        self._set_tried(endpoint, True)

    def passed(self, endpoint: UpstreamEndpoint) -> None:
        """Note that an endpoint on trial has begun a response."""
        endpoint.is_on_trial = False
        endpoint.failures = 0
        self._set_tried(endpoint, False)

    def _set_tried(self, endpoint: UpstreamEndpoint, is_tried: bool) -> None:
        endpoint.is_tried = is_tried
        self._changed()

    def _failed(self, endpoint: UpstreamEndpoint, kind: str, words: str) -> None:
        endpoint.failures += 1
        if endpoint.failures >= self._threshold and not endpoint.is_ejected and self._may_eject(endpoint):
            self._eject(endpoint, kind, words)

    def _may_eject(self, endpoint: UpstreamEndpoint) -> bool:
        """Return whether one more of the endpoints may be ejected: never all of them."""
        ready = self._ready()
        most = min(len(ready) - 1, max(1, len(ready) * self._most_percent // 100)) if self._most_percent else 0
        return endpoint in ready and sum(each.is_ejected for each in ready) < most

    def _eject(self, endpoint: UpstreamEndpoint, kind: str, words: str) -> None:
        # One that worked for as long as it was out begins again with the shortest time.
        if monotonic() - endpoint.returned_at > self._base * endpoint.ejections:
            endpoint.ejections = 0
        endpoint.ejections = min(endpoint.ejections + 1, _LONGEST)
        endpoint.is_ejected, endpoint.is_on_trial = True, False
        seconds = self._base * endpoint.ejections
        self.counts[kind] += 1
        self._log.out(endpoint, f"for {seconds:g} s", f"{endpoint.failures} failures in a row, at last {kind}: {words}")
        self._returns[endpoint] = asyncio.get_running_loop().call_later(seconds, self._return, endpoint)
        self._changed()

    def _return(self, endpoint: UpstreamEndpoint) -> None:
        """Let an endpoint have one request; if that fails, it is ejected again."""
        del self._returns[endpoint]
        endpoint.is_ejected, endpoint.is_on_trial = False, True
        endpoint.failures = self._threshold - 1
        endpoint.returned_at = monotonic()
        self._log.back(endpoint)
        self._changed()

    def forget(self, endpoint: UpstreamEndpoint) -> None:
        """Forget an endpoint that is gone."""
        if (timer := self._returns.pop(endpoint, None)) is not None:
            timer.cancel()

    def close(self) -> None:
        """End every wait."""
        for endpoint in list(self._returns):
            self.forget(endpoint)
