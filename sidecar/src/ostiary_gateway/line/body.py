"""The body of a request: its type, its encoding, and its bytes up to the bound."""

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from ostiary_core.mcp import codes
from ostiary_gateway.errors import Refusal
from ostiary_gateway.line.forward import EVENT_STREAM, JSON

_ADMITTING = {
    JSON: frozenset({JSON, "application/*", "*/*"}),
    EVENT_STREAM: frozenset({EVENT_STREAM, "text/*", "*/*"}),
}


def check_head(request: web.BaseRequest) -> None:
    """Check what stands before the body of a POST.

    Raises:
        Refusal: 415 for another type or an encoding, 406 where the answer could not be taken.
    """
    media = request.headers.get("Content-Type", "").lower()
    kind, _, parameters = media.partition(";")
    if kind.strip() != JSON or ("charset" in parameters and "utf-8" not in parameters):
        raise Refusal(415, "UnsupportedMediaType", f"A message is {JSON} in UTF-8")
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise Refusal(415, "UnsupportedEncoding", "A message is sent without Content-Encoding")
    check_accept(request, JSON, EVENT_STREAM)


def check_accept(request: web.BaseRequest, *kinds: str) -> None:
    """Check that the caller takes what may come back. No Accept header takes everything.

    Raises:
        Refusal: 406.
    """
    header = request.headers.get("Accept")
    if header is None:
        return
    accepted = {part.partition(";")[0].strip().lower() for part in header.split(",")}
    for kind in kinds:
        if not accepted & _ADMITTING[kind]:
            raise Refusal(406, "NotAcceptable", f"The Accept header must admit {' and '.join(kinds)}")


async def read_body(request: web.BaseRequest, *, limit: int) -> bytes:
    """Read a body of at most ``limit`` bytes.

    Raises:
        Refusal: 413 beyond the limit, whatever Content-Length says; 400 for a body that is broken off.
    """
    if (request.content_length or 0) > limit:
        raise _too_large(limit)
    chunks: list[bytes] = []
    size = 0
    try:
        while chunk := await request.content.readany():
            size += len(chunk)
            if size > limit:
                raise _too_large(limit)
            chunks.append(chunk)
    except (HttpProcessingError, web.RequestPayloadError) as error:
        raise Refusal(400, "BrokenBody", "The body ended before it was whole, or its framing is broken") from error
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def _too_large(limit: int) -> Refusal:
    words = f"A message is at most {limit} bytes long"
    return Refusal(413, "TooLarge", words, code=codes.TOO_LARGE, headers={"Connection": "close"})
