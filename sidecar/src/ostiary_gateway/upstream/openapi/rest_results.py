"""What a REST server answers, as the result of a tool (specification, Tool Result).

An HTTP error is a result with ``isError``: a model can act on it. What a server has no business to send (a web page in
place of data, more than is read, a broken body) is a fault of the server.
"""

import asyncio
import base64
import re
from collections.abc import Callable, Coroutine
from http import HTTPStatus
from typing import Any, Final

from ostiary_core import strict_json
from ostiary_core.errors import StrictJSONError
from ostiary_gateway.errors import UpstreamFault
from ostiary_gateway.upstream import faults
from ostiary_gateway.upstream.caller import UpstreamCaller
from ostiary_gateway.upstream.http1.upstream_response import UpstreamResponse
from ostiary_gateway.upstream.openapi.described_tools import DescribedTool

#: The most bytes of an answer that are read, and of an error that are passed on.
MOST_BYTES: Final = 1024 * 1024
MOST_ERROR_BYTES: Final = 4096
#: The most bytes of all answers of one server that are being read.
MOST_HELD_BYTES: Final = 64 * MOST_BYTES
_JSON: Final = re.compile(r"(application|text)/([a-z0-9.+_-]+\+)?json")
_HTML: Final = frozenset({"text/html", "application/xhtml+xml"})
_TEXT: Final = re.compile(
    r"text/.*|application/(xml|[a-z0-9.+_-]+\+xml|yaml|x-yaml|x-ndjson|graphql|x-www-form-urlencoded)"
)
_BINARY: Final = {"image/png": "image", "image/jpeg": "image", "image/gif": "image", "image/webp": "image"}
_CHARSET: Final = re.compile(r"charset\s*=\s*\"?(us-ascii|utf-?8|iso-8859-1|latin-?1)\b", re.IGNORECASE)
_FOREVER: Final = float("inf")
Result = dict[str, Any]


def told(words: str, *, is_error: bool = False) -> Result:
    """Return a result with a text."""
    result: Result = {"content": [{"type": "text", "text": words}]}
    return {**result, "isError": True} if is_error else result


class AnswerRoom:
    """The bytes of answers of one server that are being read. Together they are bounded.

    Those of a caller count for its limits, too.
    """

    __slots__ = ("held",)

    def __init__(self) -> None:
        self.held = 0

    def take(self, count: int, *, of: UpstreamCaller | None) -> None:
        """Take room for an answer to a caller, or give it back with a negative number.

        Raises:
            UpstreamFault: there is none left; none was taken.
        """
        if count > 0 and self.held + count > MOST_HELD_BYTES:
            raise UpstreamFault(faults.NO_ROOM, f"answers of more than {MOST_HELD_BYTES} bytes are being read")
        if of is not None and of.reserve is not None:
            of.reserve(count)
        self.held += count


async def read_result(
    tool: DescribedTool, response: UpstreamResponse, reserve: Callable[[int], None], *, seconds: float
) -> Result:
    """Read a whole answer within ``seconds``, and return the result of the tool.

    ``reserve`` counts the bytes that are held, fewer with a negative number.

    Raises:
        UpstreamFault: it is compressed, broken off, silent, or a web page that the document does not promise; or there
            is no room for it.
    """
    if response.encoded:
        raise UpstreamFault(faults.INVALID, "the response is compressed, which was not requested")
    is_good = 200 <= response.status < 300
    if is_good and response.content_type in _HTML and not tool.answers_html:
        words = f"the server answered {tool.method} {tool.path} with a web page, which its document does not promise"
        raise UpstreamFault(faults.INVALID, words)
    reading = _read(response, reserve, MOST_BYTES if is_good else MOST_ERROR_BYTES)
    # Most are whole once their head is read: then nothing has to be timed.
    body, is_whole = await (reading if response.complete else _in_time(reading, seconds))
    if not is_good:
        return _failed(response, body)
    if not is_whole:
        words = f"The answer is larger than {MOST_BYTES} bytes. Ask for less, such as one page or fewer fields."
        return told(words, is_error=True)
    return _succeeded(response, body)


async def _in_time(reading: Coroutine[Any, Any, tuple[bytes, bool]], seconds: float) -> tuple[bytes, bool]:
    try:
        async with asyncio.timeout(seconds):
            return await reading
    except TimeoutError:
        raise UpstreamFault(faults.TIMEOUT, f"the answer was not whole within {seconds:g} s") from None


async def _read(response: UpstreamResponse, reserve: Callable[[int], None], most: int) -> tuple[bytes, bool]:
    """Return at most ``most`` bytes of a body, and whether that is all of it."""
    pieces: list[bytes] = []
    size = held = 0
    try:
        while chunk := ready if (ready := response.ready()) is not None else await response.read_some(_FOREVER):
            size += len(chunk)
            reserve(len(chunk))
            held = size
            pieces.append(chunk)
            if size > most:
                return b"".join(pieces)[:most], False
        return b"".join(pieces), True
    finally:
        reserve(-held)


def _failed(response: UpstreamResponse, body: bytes) -> Result:
    status = _status(response)
    said = "" if response.content_type in _HTML else _as_text(response, body)
    after = response.header("retry-after")
    if response.status == 429 and after is not None and after.isdecimal() and len(after) < 8:
        status += f"; try again after {after} seconds"
    return told(f"{status}: {said}" if said else status, is_error=True)


def _succeeded(response: UpstreamResponse, body: bytes) -> Result:
    if not body:
        return told(_status(response))
    kind = response.content_type
    if _JSON.fullmatch(kind) or not kind:
        return _of_json(response, body)
    if kind in _BINARY:
        data = base64.b64encode(body).decode()
        return {"content": [{"type": _BINARY[kind], "data": data, "mimeType": kind}]}
    if _TEXT.fullmatch(kind):
        return told(_as_text(response, body))
    return told(f"{_status(response)}: {len(body)} bytes of {_printable(kind)}, which are not passed on")


def _of_json(response: UpstreamResponse, body: bytes) -> Result:
    result = told(_as_text(response, body))
    try:
        value = strict_json.loads(body)
    except StrictJSONError:
        return result  # as text only: a model reads what no program can
    if isinstance(value, dict):
        result["structuredContent"] = value
    return result


def _as_text(response: UpstreamResponse, body: bytes) -> str:
    found = _CHARSET.search(response.header("content-type") or "")
    is_latin = found is not None and found[1].lower().startswith(("iso", "latin"))
    return body.decode("latin-1" if is_latin else "utf-8", "replace")


def _status(response: UpstreamResponse) -> str:
    try:
        return f"HTTP {response.status} {HTTPStatus(response.status).phrase}"
    except ValueError:
        return f"HTTP {response.status}"


def _printable(kind: str) -> str:
    return "".join(each for each in kind[:64] if each.isprintable())
