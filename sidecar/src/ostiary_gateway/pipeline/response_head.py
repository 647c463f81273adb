"""Judge the head of a server's response: is it MCP, and whose fault is it where it is not?

A server's challenge is relayed only where the server authenticates callers itself (passthrough).
"""

import asyncio
import math
from collections.abc import Awaitable
from typing import Final

from ostiary_gateway.errors import Refusal, UpstreamFault
from ostiary_gateway.media_types import JSON
from ostiary_gateway.pipeline.exchange import Exchange
from ostiary_gateway.pipeline.http_checks import session_not_found
from ostiary_gateway.pipeline.leg import Leg
from ostiary_gateway.pipeline.merged_sessions.session_vector import SessionVector
from ostiary_gateway.telemetry.session_counts import FORGOTTEN, SESSIONS
from ostiary_gateway.upstream import faults, redirects
from ostiary_gateway.upstream.health import printable
from ostiary_gateway.upstream.http1.upstream_response import UpstreamResponse

_RETRY_AFTER_LIMIT: Final = 3600
#: Limits for the text that a server sends with a status outside MCP: bytes read, seconds waited, characters reported.
_WORDS_BYTES: Final = 2048
_WORDS_SECONDS: Final = 0.5
_WORDS_LENGTH: Final = 160
#: Bad request, conflict, gone, unprocessable: statuses with which servers refuse a request.
_TEXT_STATUSES: Final = frozenset({400, 409, 410, 422})
_TEXT_TYPES: Final = frozenset({"", "text/plain"})


def judge_head(exchange: Exchange, leg: Leg, response: UpstreamResponse) -> Awaitable[None] | None:
    """Raise for a response that is not MCP; return what to await where that must be found out.

    Nearly every response is a success, of which no more is asked.

    Raises:
        Refusal: 404 for a session that the upstream has forgotten, and the upstream's own status for something that is
            not a request and cannot be answered otherwise.
        UpstreamFault: anything else that is not MCP.
    """
    if response.encoded:
        raise UpstreamFault(faults.INVALID, "the response is compressed, which was not requested")
    return None if response.status < 300 else _judge_failure(exchange, leg, response)


async def _judge_failure(exchange: Exchange, leg: Leg, response: UpstreamResponse) -> None:
    status = response.status
    if status == 404 and leg.session is not None:
        raise _forgotten(exchange, leg)
    if status < 400:
        where = redirects.shown(response.header("location"))
        raise UpstreamFault(faults.REDIRECTED, f"the upstream answered HTTP {status} and redirects to {where}")
    if status in (401, 407) or (status == 403 and response.header("www-authenticate") is not None):
        relayed = _relayed(exchange, response)
        if relayed is not None:
            raise relayed
        # Its challenge would send the client to another party's authorization server.
        credential = leg.server.credential
        words = f"the upstream answered HTTP {status}"
        raise UpstreamFault(credential.refused_by(status), words, of_caller=credential.is_of_caller)
    if status in (403, 421):
        words = await _response_text(response)
        host = f"(the gateway sends Host: {leg.server.host})"
        raise UpstreamFault(faults.HOST_REFUSED, f"the upstream answered HTTP {status}{words} {host}")
    if exchange.awaits_response and (response.content_type == JSON or refuses_in_text(response)):
        return  # it may be a JSON-RPC error with the HTTP status that the specification gives it
    if not exchange.awaits_response and not _is_overload(status):
        raise _passed_on(exchange, status)
    raise http_fault(response)


def _forgotten(exchange: Exchange, leg: Leg) -> Refusal:
    """Return the refusal of a session that the server has forgotten.

    It counts where the client gets it: a leg that is kept is sent again in a new session, if that can be opened, or to
    another endpoint.
    """
    has_others = exchange.proxy.names or leg.server.endpoints is not None
    if not leg.is_kept or not (has_others or isinstance(exchange.session, SessionVector)):
        SESSIONS.note_refused(exchange.proxy.identity, FORGOTTEN)
    return session_not_found()


def _relayed(exchange: Exchange, response: UpstreamResponse) -> Refusal | None:
    """Return the refusal of a server that authenticates the callers of this proxy itself."""
    authenticator = exchange.proxy.authenticator
    if authenticator is None or response.status == 407:
        return None
    challenge = response.header("www-authenticate") or ""
    return authenticator.relay_challenge(exchange.request, exchange.snapshot.settings, response.status, challenge)


async def _response_text(response: UpstreamResponse) -> str:
    """Return the start of a response's text for the operator.

    It is empty if the server sends none in time.

    The text becomes one harmless line (:func:`ostiary_gateway.upstream.health.printable`).
    """
    found = b""
    try:
        async with asyncio.timeout(_WORDS_SECONDS):
            while len(found) < _WORDS_BYTES and (piece := await response.read_some(_WORDS_SECONDS)):
                found += piece
    except (TimeoutError, UpstreamFault):
        pass  # use what has arrived
    words = printable(found[:_WORDS_BYTES].decode("utf-8", "replace"), limit=_WORDS_LENGTH)
    return f": {words}" if words else ""


def _passed_on(exchange: Exchange, status: int) -> Refusal:
    """Return the refusal for an upstream's error status on a GET, a DELETE or a notification.

    A GET must give a stream or exactly 405: other statuses end real clients, so statuses that mean "not here" become
    405.
    """
    if exchange.message is None and status in (404, 405, 501):
        return no_stream()
    return Refusal(status, "UpstreamRefused", f"The MCP server refused this with HTTP {status}")


def no_stream() -> Refusal:
    """Return the refusal where a server offers no GET or DELETE."""
    return Refusal(
        405, "MethodNotAllowed", "The MCP server does not support this HTTP method here", headers={"Allow": "POST"}
    )


def refuses_in_text(response: UpstreamResponse) -> bool:
    """Return whether a response is a server's refusal in plain text, typed so or untyped.

    404 is not among the statuses: without a session it means that there is no MCP server at this URL.
    """
    return response.status in _TEXT_STATUSES and response.content_type in _TEXT_TYPES


def _is_overload(status: int) -> bool:
    return status == 429 or (status >= 500 and status != 501)


def http_fault(response: UpstreamResponse) -> UpstreamFault:
    """Return the fault for an HTTP error status that came without a JSON-RPC response."""
    words = f"the upstream answered HTTP {response.status}"
    if _is_overload(response.status):
        retry_after = retry_after_ms(response)
        return UpstreamFault(faults.UNAVAILABLE, words, retry_after_ms=retry_after, http_status=response.status)
    return UpstreamFault(faults.INVALID, words, http_status=response.status)


def retry_after_ms(response: UpstreamResponse) -> int | None:
    """Return a Retry-After in milliseconds; None unless it is given in seconds."""
    text = response.header("retry-after") or ""
    if not (text.isascii() and text.isdecimal()) or len(text) > 9:
        return None
    return math.ceil(min(int(text), _RETRY_AFTER_LIMIT) * 1000)
