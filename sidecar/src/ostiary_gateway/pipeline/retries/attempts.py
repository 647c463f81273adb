"""The attempts of one request at one server: whether there is another one, and where.

What was not sent cannot have been carried out: it goes to another endpoint at once, whatever it is. What was sent goes
out again only if that does no harm (:meth:`.RetryPolicy.repeats`), after a pause, and within the budget of the server.
All of it ends with the time of the request (``timeouts.request``).
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from time import monotonic
from typing import Final

from ostiary_core.upstream_faults import GATEWAY_ERRORS
from ostiary_gateway.errors import AttemptFailed, UpstreamFault
from ostiary_gateway.pipeline.message import Message
from ostiary_gateway.pipeline.pinned_sessions.session_endpoint import endpoint_of
from ostiary_gateway.telemetry import ClientSpan
from ostiary_gateway.upstream import faults
from ostiary_gateway.upstream.caller import UpstreamCaller
from ostiary_gateway.upstream.endpoint import UpstreamEndpoint
from ostiary_gateway.upstream.http1.request_head import Transmission
from ostiary_gateway.upstream.http1.upstream_response import UpstreamResponse
from ostiary_gateway.upstream.retry_policy import (
    OF_ENDPOINT,
    RetryOutcome,
    RetryPolicy,
    is_of_exchange,
    is_of_transport,
)
from ostiary_gateway.upstream.server import UpstreamServer

_TRACEPARENT: Final = "traceparent"
#: The most endpoints that one request tries until it is sent to one.
MOST_ENDPOINTS_TRIED: Final = 16


class Attempts(Transmission):
    """What is known of the attempts to send one request to a server with a policy.

    ``repeats``: it may be sent again although the server may have received it. ``seconds`` bound all attempts, where
    they are fewer than ``timeouts.request``. ``told`` is told, too, once it was written. ``pinned`` is the key of the
    only endpoint that can answer it; empty where any can. ``preferred`` is that of the
    one that is tried first.

    ``number`` counts the attempts after the first one. ``body`` and ``lines`` are what each of them sends, but for the
    context of its span; the body is forgotten as soon as it cannot be sent again. ``is_opened`` where each attempt
    writes the request again, so that the caller's message is kept; ``on_final`` is called once it need not be.
    """

    # Defaults of the class, since most requests need nothing beyond them.
    _is_written = False
    #: Those that were tried in vain.
    _failed: frozenset[UpstreamEndpoint] = frozenset()
    #: How many attempts count for the policy.
    _retries = 0
    _was_raced = False
    number = 0
    is_opened = False
    #: Whether the last attempt failed for want of a response.
    has_failed = False
    #: The message of the leg that they send; None for a request of the gateway's own.
    message: Message | None = None
    on_final: Callable[[], None] | None = None
    endpoint: UpstreamEndpoint | None = None
    body: bytes | None = None
    #: The span in whose context the body is.
    _traceparent = ""
    lines: bytes | None = None
    #: The fault of the first attempt that was sent.
    sent_fault: UpstreamFault | None = None

    def __init__(
        self,
        server: UpstreamServer,
        policy: RetryPolicy,
        *,
        repeats: bool,
        seconds: float | None = None,
        told: Transmission | None = None,
        pinned: bytes = b"",
        preferred: bytes = b"",
    ) -> None:
        self._server = server
        self._policy = policy
        self.repeats = repeats
        self._told = told
        self.pinned = pinned
        self._preferred = preferred
        now = monotonic()
        self._until = now + (server.request_seconds if seconds is None else min(seconds, server.request_seconds))
        if policy.budget is not None:
            policy.budget.note_request(now)

    @property
    def is_written(self) -> bool:
        """Whether the present attempt was written to a connection."""
        return self._is_written

    @is_written.setter
    def is_written(self, value: bool) -> None:
        self._is_written = value
        if value:
            if self._told is not None:
                self._told.is_written = True
            if not self.repeats:
                self.body = None
                on_final, self.on_final = self.on_final, None
                if on_final is not None:
                    on_final()

    def follow(self, earlier: "Attempts") -> None:
        """Go on where earlier attempts at the same request ended, in a session that is lost."""
        self._until = earlier._until
        self.repeats = earlier.repeats
        self._retries = earlier._retries
        self._was_raced = earlier._was_raced
        self.number = earlier.number + 1
        self.sent_fault = earlier.sent_fault

    def open(self, pinned: bytes) -> None:
        """Begin an attempt that writes the request again.

        ``pinned`` is the key of the only endpoint that can answer it, see above.
        """
        self.pinned = pinned
        self.body = self.lines = None

    @property
    def seconds_left(self) -> float:
        """The time that is left for the request."""
        return self._until - monotonic()

    @property
    def seconds_of_body(self) -> float:
        """How long the present attempt may take for a document after its head."""
        return max(0.0, self.seconds_left) if self.number else self._server.request_seconds

    @property
    def is_sent(self) -> bool:
        """Whether any attempt was written: then the server may have carried the request out."""
        return self._is_written or self.sent_fault is not None

    def keep(self, body: bytes, span: ClientSpan) -> None:
        """Keep what the first attempt sends, in the context of its span."""
        self.body, self._traceparent = body, span.context.get(_TRACEPARENT, "")

    def body_in(self, span: ClientSpan) -> bytes | None:
        """Return what the next attempt sends, in the context of its own span.

        The id of a span is random, so a caller's arguments cannot hold that of the one before.
        """
        own = span.context.get(_TRACEPARENT, "")
        if self.body is not None and own != self._traceparent:
            self.body = self.body.replace(self._traceparent.encode(), own.encode())
            self._traceparent = own
        return self.body

    def request(
        self, method: str, lines: bytes, body: bytes | None, *, passed: Sequence[str], caller: UpstreamCaller | None
    ) -> Awaitable[UpstreamResponse]:
        """Send the request once, to the next endpoint, and return what to await for the head.

        This is no coroutine of its own: every call of a server with a policy passes here.

        Raises:
            UpstreamFault: see :meth:`.UpstreamServer.request`.
        """
        self._is_written = False
        endpoint = self.endpoint = self._next_endpoint()
        sending = self._server.request(
            method, lines, body, passed=passed, caller=caller, transmission=self, endpoint=endpoint
        )
        # The first one has all of the time, which its connection measures.
        return self._in_time(sending) if self.number else sending

    async def _in_time(self, sending: Awaitable[UpstreamResponse]) -> UpstreamResponse:
        """Await a response for as long as there is time left for the request."""
        try:
            async with asyncio.timeout(self.seconds_left):
                return await sending
        except TimeoutError as error:
            words = f"no answer within {self._server.request_seconds:g} s, in {self.number + 1} attempts"
            raise UpstreamFault(faults.TIMEOUT, words) from error

    def _next_endpoint(self) -> UpstreamEndpoint | None:
        """Return where the next attempt goes; None leaves it to the server."""
        endpoints = self._server.endpoints
        if endpoints is None or self.pinned:
            return endpoint_of(self._server, self.pinned)
        if self._failed:
            found = endpoints.another(self._failed)
            if found is not None:
                return found
            self._failed = frozenset()  # all of them were tried: from the start
        return endpoints.pick(self._preferred)

    def after(self, found: UpstreamFault, *, has_begun: bool = False) -> AttemptFailed | None:
        """Return what says when the request is sent again after a fault; None where it is not.

        ``has_begun``: the caller has got a byte of a response.
        """
        fault = self._server.as_seen(found)
        if self._is_written and self.sent_fault is None:
            self.sent_fault = found
        if self.endpoint is not None:
            self._failed |= {self.endpoint}
        seconds = self._after_sending(fault, has_begun) if self._is_written else self._before_sending(fault)
        if seconds is None:
            self.has_failed = is_of_transport(fault)
            return None
        self.number += 1
        self._is_written = False
        self.endpoint = None
        return AttemptFailed(found, seconds)

    def may_move(self, fault: UpstreamFault) -> bool:
        """Return whether a pinned request that failed may go to another endpoint."""
        if not self.is_sent:
            return fault.kind in OF_ENDPOINT and self._has_time(0.0)
        return self.repeats and is_of_exchange(fault) and self._within_budget(RetryOutcome.REPEATED, 0.0) is not None

    def _before_sending(self, fault: UpstreamFault) -> float | None:
        """Return the pause after a fault before anything was sent."""
        if fault.kind not in OF_ENDPOINT or self.pinned:
            return None
        if self._server.endpoints is not None and self.endpoint is None:
            return None  # it has none, or could not even be written
        if self._other_is_left() and self.number < MOST_ENDPOINTS_TRIED:
            return self._noted(RetryOutcome.NEXT_ENDPOINT, 0.0) if self._has_time(0.0) else None
        return self._repeated(fault)

    def _after_sending(self, fault: UpstreamFault, has_begun: bool) -> float | None:
        """Return the pause after a fault of a request that was sent."""
        if not self.repeats or has_begun:
            return None
        if not is_of_exchange(fault):
            return None
        if fault.of_idle_connection and not self._was_raced:
            self._was_raced = True
            return self._within_budget(RetryOutcome.REPEATED, 0.0)
        return self._repeated(fault)

    def _repeated(self, fault: UpstreamFault) -> float | None:
        """Return the pause before an attempt that counts as such."""
        if self._retries >= self._policy.attempts:
            self._policy.counts[RetryOutcome.ATTEMPTS_USED_UP] += 1
            return None
        spread = random.random()  # noqa: S311  jitter
        pause = self._policy.pause(self._retries + 1, spread=spread)
        if fault.http_status in GATEWAY_ERRORS and fault.retry_after_ms is not None and not self._other_is_left():
            pause = max(pause, fault.retry_after_ms / 1000)  # what one endpoint asks for does not concern another one
        found = self._within_budget(RetryOutcome.REPEATED, pause)
        self._retries += found is not None
        return found

    def _within_budget(self, outcome: RetryOutcome, pause: float) -> float | None:
        if not self._has_time(pause):
            return None
        budget = self._policy.budget
        if budget is not None and not budget.take(monotonic()):
            self._policy.counts[RetryOutcome.BUDGET_USED_UP] += 1
            return None
        return self._noted(outcome, pause)

    def _has_time(self, pause: float) -> bool:
        if pause < self.seconds_left:
            return True
        self._policy.counts[RetryOutcome.NO_TIME_LEFT] += 1
        return False

    def _other_is_left(self) -> bool:
        endpoints = self._server.endpoints
        return not self.pinned and endpoints is not None and endpoints.another(self._failed) is not None

    def _noted(self, outcome: RetryOutcome, pause: float) -> float:
        self._policy.counts[outcome] += 1
        return pause

    def told_to_caller(self, fault: UpstreamFault) -> UpstreamFault:
        """Return the fault that ends the request: that of an attempt which was sent, if any was.

        Another server may be tried after a fault, but not if this one may have carried the request out.
        """
        if self._is_written or self.sent_fault is None:
            return fault
        return self._server.as_seen(self.sent_fault)
