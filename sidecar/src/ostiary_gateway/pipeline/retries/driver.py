"""The attempts of a request, and what is told of each that failed.

What is sent again, where and when is decided by :mod:`.attempts`; :mod:`..send_and_shape` and :mod:`..server_request`
send until there is an answer, or the request has failed for good. Each attempt has a span of its own and is known to
no audit record, limit or metric of requests: for them there is one request.
"""

import asyncio

from ostiary_gateway.errors import AttemptFailed, Refusal, UpstreamFault
from ostiary_gateway.pipeline import record
from ostiary_gateway.pipeline.exchange import Exchange
from ostiary_gateway.pipeline.leg import Leg
from ostiary_gateway.pipeline.own_request import OwnRequest
from ostiary_gateway.pipeline.request_ids import RequestIds
from ostiary_gateway.pipeline.retries.attempts import Attempts
from ostiary_gateway.telemetry import ClientSpan, semantic_conventions
from ostiary_gateway.upstream import faults
from ostiary_gateway.upstream.http1.request_head import Transmission
from ostiary_gateway.upstream.retry_policy import RetryPolicy, brings_input
from ostiary_gateway.upstream.server import UpstreamServer


def attempts_of(exchange: Exchange, leg: Leg, policy: RetryPolicy) -> Attempts:
    """Return the attempts to send a leg, before the first one.

    They follow those that failed at another endpoint, which has lost the session of the leg.
    """
    attempts = Attempts(
        leg.server,
        policy,
        repeats=_repeats(exchange, leg, policy),
        told=exchange.limit_use,
        pinned=leg.session.endpoint if leg.session is not None else b"",
        preferred=leg.preferred,
    )
    attempts.message = leg.message
    earlier = leg.attempts
    if earlier is not None and earlier.has_failed and earlier.message is leg.message:
        attempts.follow(earlier)
    return attempts


def attempts_of_own(
    server: UpstreamServer, request: OwnRequest, *, seconds: float, told: Transmission | None
) -> Attempts | None:
    """Return the attempts to send a request of the gateway's own; None without a policy."""
    policy = server.retry
    if policy is None:
        return None
    repeats = policy.repeats(request.method, request.name, request.params)
    return Attempts(server, policy, repeats=repeats, seconds=seconds, told=told, pinned=request.endpoint)


def attempts_of_stream(server: UpstreamServer, endpoint: bytes) -> Attempts | None:
    """Return the attempts to open a stream of the gateway's own; None without a policy.

    ``endpoint`` is the key of the only one that has it, empty where any does. To open a stream changes nothing.
    """
    policy = server.retry
    return Attempts(server, policy, repeats=True, pinned=endpoint) if policy is not None else None


def _repeats(exchange: Exchange, leg: Leg, policy: RetryPolicy) -> bool:
    """Return whether a leg may be sent again although its server may have received it."""
    message = leg.message
    if message is None:
        return True  # a GET opens a stream, and a session ends only once
    if message.method is None or message.id is None:
        return False  # an answer to the server, a notification
    return policy.repeats(message.method.name, message.name, message.params) and (
        exchange.message is message or not _brings_input(exchange)
    )


def _brings_input(exchange: Exchange) -> bool:
    """Return whether the caller's own message brings input."""
    own = exchange.message
    return own is not None and brings_input(own.params)


def has_begun(exchange: Exchange) -> bool:
    """Return whether the caller has got a byte of a response."""
    return exchange.request.connection.stream is not None


async def before_next(exchange: Exchange, failed: AttemptFailed, request_ids: RequestIds) -> None:
    """Wait until a request is sent again.

    Raises:
        Refusal: its caller has cancelled it meanwhile.
    """
    if failed.seconds:
        await _pause(exchange, failed.seconds)
    if request_ids.cancelled and request_ids.is_cancelled(exchange):
        raise faults.refusal(failed.fault) from failed.fault


async def _pause(exchange: Exchange, seconds: float) -> None:
    """Wait; where the caller of a request ends it by leaving, no longer than it is there."""
    request = exchange.request
    if exchange.ends_with_caller:
        request.bind_to_caller()
    try:
        await asyncio.sleep(seconds)
    finally:
        request.release_from_caller()


def number_attempt(client: ClientSpan, attempts: Attempts | None) -> None:
    """Report which attempt a span is of, if it is not the first."""
    if attempts is not None and attempts.number:
        client.set(semantic_conventions.HTTP_REQUEST_RESEND_COUNT, attempts.number)


def next_attempt(
    server: UpstreamServer, client: ClientSpan, attempts: Attempts, fault: UpstreamFault, *, has_begun: bool = False
) -> AttemptFailed | None:
    """Report a fault after which a request is sent again, and return when; None if it is not.

    ``has_begun``: the caller has got a byte of a response.
    """
    failed = attempts.after(fault, has_begun=has_begun)
    if failed is not None:
        _report_absorbed(server, client, fault)
    return failed


def _report_absorbed(server: UpstreamServer, client: ClientSpan, fault: UpstreamFault) -> None:
    """Report an attempt that failed whose request is sent again."""
    fault.message = server.credential.redacted(fault.message)
    record.failed(client, fault)
    server.health.absorbed(fault)


def may_send_again(leg: Leg, refusal: Refusal) -> bool:
    """Return whether a pinned leg that failed may be sent to another endpoint.

    It may where nothing was sent, and else where its policy allows it; that counts for the budget of the server.
    """
    attempts, fault = leg.attempts, refusal.__cause__
    return attempts is not None and isinstance(fault, UpstreamFault) and attempts.may_move(fault)
