"""Asks the scorers of guards, which are services of owners.

A scorer is reached by the rules of upstream servers: forbidden addresses, the egress proxy, no redirects. It has one
deadline for its whole answer, and a circuit breaker, so that one which hangs delays few requests.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from time import monotonic
from typing import Any, Final

from ostiary_core import strict_json
from ostiary_core.content.scoring.scorer_documents import RESPONSE_BYTES
from ostiary_core.content.scoring.scorer_texts import ScorerError, flagged_spans
from ostiary_core.contract.guards import ScorerConfig
from ostiary_core.contract.server_resilience import CircuitBreakerConfig
from ostiary_core.errors import StrictJSONError
from ostiary_gateway.upstream.circuit import Circuit
from ostiary_gateway.upstream.credentials import direct
from ostiary_gateway.upstream.document_client import DocumentClient, DocumentUnavailable, Routing

#: When a scorer is not asked for a time: half of at least ten requests within ten seconds failed.
_BREAKER: Final = CircuitBreakerConfig(error_percent=50, minimum_requests=10, interval=10_000, open_for=5_000)
#: The requests that wait for one scorer at a time; further ones fail at once.
_WAITING: Final = 64
#: The scorers that are remembered: what a config no longer names is forgotten.
_SCORERS: Final = 256


class Scorers:
    """The scorers of this gateway. Must be used within one event loop.

    ``routing`` says how they are connected to.
    """

    def __init__(self, routing: Routing = direct, *, clock: Callable[[], float] = monotonic) -> None:
        self._routing = routing
        self._clock = clock
        self._links: OrderedDict[tuple[str, int, tuple[str, ...]], _ScorerLink] = OrderedDict()

    async def ask(
        self, config: ScorerConfig, request: Mapping[str, Any], *, addresses: Sequence[str] = ()
    ) -> list[tuple[int, int, int]] | None:
        """Return what a scorer flags of the texts of a request; None where it lets them pass.

        That is the number of a text, the start and the end of each part. ``addresses`` are CIDRs that it may resolve to
        although the default forbids them.

        Raises:
            ScorerError: it cannot be asked now, has not answered in time, or has answered nothing that fits.
        """
        return await self._link(config, tuple(addresses)).ask(request)

    def _link(self, config: ScorerConfig, addresses: tuple[str, ...]) -> "_ScorerLink":
        key = (config.url, config.timeout, addresses)
        link = self._links.get(key)
        if link is None:
            if len(self._links) >= _SCORERS:
                self._links.popitem(last=False)[1].close()
            link = self._links[key] = _ScorerLink(config, addresses, self._routing, self._clock)
        self._links.move_to_end(key)
        return link

    def close(self) -> None:
        """Close every connection; requests fail."""
        while self._links:
            self._links.popitem()[1].close()


class _ScorerLink:
    """One scorer, as a guard of a policy configures it."""

    def __init__(
        self, config: ScorerConfig, addresses: Sequence[str], routing: Routing, clock: Callable[[], float]
    ) -> None:
        self._url = config.url
        self._seconds = config.timeout / 1000
        self._clock = clock
        self._circuit = Circuit(_BREAKER)
        self._waiting = 0
        self._client = DocumentClient(routing, seconds=self._seconds, addresses=addresses, limit=RESPONSE_BYTES)

    async def ask(self, request: Mapping[str, Any]) -> list[tuple[int, int, int]] | None:
        """Return what the scorer flags.

        Raises:
            ScorerError: see :meth:`Scorers.ask`.
        """
        body = _written(request)
        if self._waiting >= _WAITING:
            raise ScorerError(f"{_WAITING} requests wait for the scorer already")
        ticket = self._circuit.admit(self._clock(), request)
        if ticket is None:
            raise ScorerError("the scorer failed too often, and is not asked for a time")
        try:
            flagged = await self._flagged(request, body)
        except ScorerError:
            self._circuit.failed(self._clock(), ticket)
            raise
        except asyncio.CancelledError:
            self._circuit.released(ticket)
            raise
        self._circuit.succeeded(self._clock(), ticket)
        return flagged

    async def _flagged(self, request: Mapping[str, Any], body: bytes) -> list[tuple[int, int, int]] | None:
        self._waiting += 1
        try:
            answer = await self._client.post_json(self._url, body)
        except DocumentUnavailable as error:
            raise ScorerError(str(error)) from None
        finally:
            self._waiting -= 1
        return flagged_spans(answer, [each["text"] for each in request["texts"]])

    def close(self) -> None:
        """Close its connections."""
        self._client.close()


def _written(request: Mapping[str, Any]) -> bytes:
    try:
        return strict_json.dumps(dict(request))
    except StrictJSONError as error:
        raise ScorerError(f"the texts cannot be written: {error}") from None
