"""The body of a request.

This module checks its type and encoding, reads its bytes within limits of size and time, and parses its JSON.
"""

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Any, Final

from ostiary_core import json_weight
from ostiary_core.mcp import codes
from ostiary_gateway.errors import CallerGone, Refusal
from ostiary_gateway.limits.checks import finish_upload, reserve_request_bytes, reserve_tree_bytes
from ostiary_gateway.media_types import BOTH, EVENT_STREAM, JSON
from ostiary_gateway.pipeline.decode import parsing
from ostiary_gateway.pipeline.exchange import Exchange
from ostiary_gateway.pipeline.large_messages import LARGE_MESSAGES, in_slices, limit_of, weighed
from ostiary_gateway.server.request import Request

#: Seconds that a body may pause, and that it may take in all: a slower sender would occupy memory for nothing.
SILENCE_SECONDS: Final = 15.0
WHOLE_SECONDS: Final = 60.0

_ADMITTING: Final = {
    JSON: frozenset({JSON, "application/*", "*/*"}),
    EVENT_STREAM: frozenset({EVENT_STREAM, "text/*", "*/*"}),
}
#: What nearly all clients send.
_USUAL: Final = BOTH
#: "Not acceptable" (RFC 9110 §12.4.2).
_WEIGHS_NOTHING: Final = re.compile(r"(?:^|;)[ \t]*q=0(?:\.0*)?[ \t]*(?:;|$)")
_UTF8: Final = frozenset({"utf-8", "utf8"})


def check_head(request: Request) -> None:
    """Check the headers of a POST that describe its body and the response.

    Raises:
        Refusal: 415 for another type or an encoding, 406 where the client does not accept the response's types.
    """
    headers = request.headers
    content_type = headers.get("content-type", "")
    if content_type != JSON and not _is_utf8_json(content_type):
        raise Refusal(415, "UnsupportedMediaType", f"A message is {JSON} in UTF-8")
    if "content-encoding" in headers and headers["content-encoding"].lower() != "identity":
        raise Refusal(415, "UnsupportedEncoding", "A message is sent without Content-Encoding")
    check_accept(request, JSON, EVENT_STREAM)


def _is_utf8_json(content_type: str) -> bool:
    kind, *parameters = (part.strip().lower() for part in content_type.split(";"))
    charsets = {p.partition("=")[2].strip(' "') for p in parameters if p.partition("=")[0].strip() == "charset"}
    return kind == JSON and charsets <= _UTF8


def check_accept(request: Request, *kinds: str) -> None:
    """Check that the client accepts the types that the response may have.

    No Accept header accepts everything.

    Raises:
        Refusal: 406.
    """
    header = request.headers.get("accept", _USUAL)
    if header == _USUAL:
        return
    ranges = [part.lower().partition(";") for part in header.split(",")]
    refused = {kind.strip() for kind, _, parameters in ranges if _WEIGHS_NOTHING.search(parameters)}
    accepted = {kind.strip() for kind, _, _ in ranges} - refused
    for kind in kinds:
        if kind in refused or not accepted & _ADMITTING[kind]:
            raise Refusal(406, "NotAcceptable", f"The Accept header must admit {' and '.join(kinds)}")


def body_at_hand(exchange: Exchange, *, limit: int) -> bytes | None:
    """Return a body that arrived with its head, as nearly all do.

    It is None where the rest has not arrived.

    Raises:
        Refusal: 503 where the gateway has no memory reserved for it; 413 beyond the limit.
    """
    body = exchange.request.whole_body()
    if body is None:
        return None
    if len(body) > limit:
        raise _too_large(limit, len(body))
    reserve_request_bytes(exchange.reservation, len(body))
    return body


async def read_body(exchange: Exchange, *, limit: int) -> bytes:
    """Read a body of at most ``limit`` bytes, which are counted as they arrive.

    Raises:
        Refusal: 503 where the gateway has no room for it; 413 beyond the limit, whatever Content-Length says; 408 for a
            body that arrives too slowly; 400 for broken framing.
        CallerGone: the client has disconnected.
    """
    request = exchange.request
    if request.declared_length > limit:
        raise _too_large(limit, request.declared_length)
    request.send_continue()
    body = await _read_slowly(exchange, limit=limit)
    finish_upload(exchange.reservation)
    return body


async def _read_slowly(exchange: Exchange, *, limit: int) -> bytes:
    body = bytearray()
    try:
        async with asyncio.timeout(WHOLE_SECONDS):
            async for chunk in _chunks(exchange.request):
                body += chunk
                if len(body) > limit:
                    raise _too_large(limit, len(body))
                is_whole = exchange.request.complete
                reserve_request_bytes(exchange.reservation, len(chunk), close=not is_whole)
    except TimeoutError:
        raise Refusal(408, "BodyTooSlow", "The body did not arrive in time", close=True) from None
    except CallerGone as error:
        if exchange.request.connection.lost:
            raise
        raise Refusal(400, "BrokenBody", "The body ended early, or its framing is broken", close=True) from error
    return bytes(body)


async def _chunks(request: Request) -> AsyncIterator[bytes]:
    while True:
        async with asyncio.timeout(SILENCE_SECONDS):
            chunk = await request.read_some()
        if not chunk:
            return
        yield chunk


def _too_large(limit: int, size: int) -> Refusal:
    words = f"A message may be {limit} bytes long (bounds.requestBytes), and this one has {size} or more"
    return Refusal(413, "TooLarge", words, code=codes.TOO_LARGE, close=True)


async def parse_large(exchange: Exchange, text: bytes) -> dict[str, Any]:
    """Parse a body that is not :func:`.large_messages.is_light`, when the fair queue allows it.

    The memory of its parsed tree is reserved, besides that of its bytes, until the message is sent upstream.

    Raises:
        Refusal: 413 for more values than a message may hold; 503 where the gateway has no room for them; also as
            :func:`.decode.parsing`.
    """
    limit = limit_of(exchange.snapshot.settings.bounds)
    async with LARGE_MESSAGES.turn(exchange.proxy.uid):
        weight = await in_slices(weighed(text, limit))
        if weight > limit:
            raise _too_many_values(limit // json_weight.UNIT)
        reserve_tree_bytes(exchange.reservation, weight * json_weight.BYTES_EACH // json_weight.UNIT)
        return await in_slices(parsing(text))


def _too_many_values(limit: int) -> Refusal:
    words = f"A message may hold {limit} values (bounds.messageValues), and this one holds more"
    return Refusal(413, "TooManyValues", words, code=codes.TOO_LARGE)
