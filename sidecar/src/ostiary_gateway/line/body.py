"""The body of a request: its type, its encoding, and its bytes up to the bound, in good time."""

import asyncio
from collections.abc import AsyncIterator
from typing import Final

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from ostiary_core.mcp import codes
from ostiary_gateway.errors import Refusal
from ostiary_gateway.line.forward import EVENT_STREAM, JSON

#: A body may be silent for so long, and take so long in all, in seconds: who sends slower holds memory for nothing.
SILENCE_SECONDS: Final = 15.0
WHOLE_SECONDS: Final = 60.0

_ADMITTING: Final = {
    JSON: frozenset({JSON, "application/*", "*/*"}),
    EVENT_STREAM: frozenset({EVENT_STREAM, "text/*", "*/*"}),
}
#: What nearly all clients send.
_USUAL: Final = [f"{JSON}, {EVENT_STREAM}"]
_UTF8: Final = frozenset({"utf-8", "utf8"})


def check_head(request: web.BaseRequest) -> None:
    """Check what stands before the body of a POST.

    Raises:
        Refusal: 415 for another type or an encoding, 406 where the answer could not be taken.
    """
    if not _is_utf8_json(request.headers.get("Content-Type", "")):
        raise Refusal(415, "UnsupportedMediaType", f"A message is {JSON} in UTF-8")
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise Refusal(415, "UnsupportedEncoding", "A message is sent without Content-Encoding")
    check_accept(request, JSON, EVENT_STREAM)


def _is_utf8_json(content_type: str) -> bool:
    if content_type == JSON:
        return True
    kind, *parameters = (part.strip().lower() for part in content_type.split(";"))
    charsets = {p.partition("=")[2].strip(' "') for p in parameters if p.partition("=")[0].strip() == "charset"}
    return kind == JSON and charsets <= _UTF8


def check_accept(request: web.BaseRequest, *kinds: str) -> None:
    """Check that the caller takes what may come back. No Accept header takes everything.

    Raises:
        Refusal: 406.
    """
    headers = request.headers.getall("Accept", ())
    if not headers or headers == _USUAL:
        return
    accepted = {part.partition(";")[0].strip().lower() for header in headers for part in header.split(",")}
    for kind in kinds:
        if not accepted & _ADMITTING[kind]:
            raise Refusal(406, "NotAcceptable", f"The Accept header must admit {' and '.join(kinds)}")


async def read_body(request: web.BaseRequest, *, limit: int) -> bytes:
    """Read a body of at most ``limit`` bytes.

    Raises:
        Refusal: 413 beyond the limit, whatever Content-Length says; 408 for a body that comes too slowly; 400 for one
            that is broken off or badly framed.
    """
    if (request.content_length or 0) > limit:
        raise _too_large(limit)
    content = request.content
    if content.is_eof() and content.exception() is None:
        body = content.read_nowait()  # it came with its head, as nearly all do
        if len(body) > limit:
            raise _too_large(limit)
        return body
    await _invite(request)
    return await _read_slowly(request, limit=limit)


async def _read_slowly(request: web.BaseRequest, *, limit: int) -> bytes:
    chunks: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(WHOLE_SECONDS):
            async for chunk in _chunks(request):
                size += len(chunk)
                if size > limit:
                    raise _too_large(limit)
                chunks.append(chunk)
    except TimeoutError:
        raise Refusal(408, "BodyTooSlow", "The body did not arrive in time", close=True) from None
    except (HttpProcessingError, web.RequestPayloadError, ConnectionError) as error:
        raise Refusal(400, "BrokenBody", "The body ended early, or its framing is broken", close=True) from error
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


async def _chunks(request: web.BaseRequest) -> AsyncIterator[bytes]:
    content = request.content
    while not content.at_eof():
        async with asyncio.timeout(SILENCE_SECONDS):
            chunk = await content.readany()
        yield chunk


async def _invite(request: web.BaseRequest) -> None:
    """Ask for a body that its sender holds back until he knows that it is welcome (RFC 9110 §10.1.1)."""
    if request.headers.get("Expect", "").lower() == "100-continue":
        writer = request.writer
        await writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        # What counts as sent is the answer: from its first byte on there can be no other.
        writer.output_size = 0


def _too_large(limit: int) -> Refusal:
    return Refusal(413, "TooLarge", f"A message is at most {limit} bytes long", code=codes.TOO_LARGE, close=True)
