"""Server-sent events, read and written (HTML specification).

A block is what :mod:`.sse_splitter` cuts from a stream. One that needs no shaping is sent as the server wrote it:
comments, ids, ``retry:``, CRLF and all.
"""

import re
from typing import Final

_NO_FIELD: Final = rb"(?!(?:event|data|id|retry)(?![^:\r\n])|:|\Z|[\r\n])"
#: A line that is neither a comment nor one of the four fields; clients should ignore it. An expression that begins with
#: a fixed byte is searched seven times faster, so there are three.
_STRAY: Final = re.compile(_NO_FIELD)
_LATER_STRAY: Final = re.compile(rb"\n" + _NO_FIELD)
_LATER_STRAY_CR: Final = re.compile(rb"\r" + _NO_FIELD)
#: Up to this number of lines, cutting them one by one is fast, however long they are.
_FEW: Final = 16
#: The type of MCP's events, explicit or by default.
_MESSAGE: Final = (b"", b"message")
#: What keeps an idle stream open through proxies that close silent connections.
KEEP_ALIVE: Final = b": keep-alive\n\n"


class Event:
    """The content of a block.

    ``block`` is the block itself, without lines that are no fields, see :func:`clean`.

    ``data`` is its joined data lines, None where it has none or they are blank, as in a priming event; ``id`` is None
    without one; ``is_message`` says whether its type is that of MCP's events, which is the default.
    """

    __slots__ = ("block", "data", "id", "is_message")

    def __init__(self, block: bytes, data: bytes | None, identifier: bytes | None, *, is_message: bool) -> None:
        self.block = block
        self.data = data
        self.id = identifier
        self.is_message = is_message


def clean(block: bytes) -> bytes:
    """Return a block without lines that are no fields; unchanged where there are none.

    A client that follows the specification ignores such a line, but another could interpret it: the line would be a
    second content of the stream that was not judged.
    """
    if not _has_stray(block):
        return block
    kept = [line for line in block.splitlines() if line and _STRAY.match(line) is None]
    return b"\n".join([*kept, b"", b""]) if kept else b""


def _has_stray(block: bytes) -> bool:
    lines = _few_lines(block)
    if lines is not None:
        return any(map(_STRAY.match, lines))
    if _STRAY.match(block) is not None or _LATER_STRAY.search(block) is not None:
        return True
    return b"\r" in block and _LATER_STRAY_CR.search(block) is not None


def read(block: bytes) -> Event:
    """Read a block: few lines are cut only once."""
    lines = _few_lines(block)
    if lines is None:
        return _read_many_lines(clean(block))
    data: list[bytes] = []
    kind, identifier = b"", None
    for line in lines:
        name, colon, text = line.partition(b":")
        if name == b"data":
            if colon:
                data.append(text.removeprefix(b" "))
        elif name == b"event":
            kind = text.removeprefix(b" ")
        elif name == b"id":
            identifier = text.removeprefix(b" ")
        elif name and name != b"retry":
            return _read_many_lines(clean(block))
    return Event(block, _joined(data), identifier, is_message=kind in _MESSAGE)


def _read_many_lines(block: bytes) -> Event:
    return Event(block, data_of(block), value_of(block, b"id"), is_message=is_message(block))


def _joined(data: list[bytes]) -> bytes | None:
    joined = data[0] if len(data) == 1 else b"\n".join(data)
    return joined if joined and not joined.isspace() else None


def data_of(block: bytes) -> bytes | None:
    """Return the joined data lines of a block.

    It is None where it has none or they are blank, as in a priming event.
    """
    if b"data" not in block:
        return None
    return _joined([line[5:].removeprefix(b" ") for line in _lines(block) if line.startswith(b"data:")])


def value_of(block: bytes, field: bytes) -> bytes | None:
    """Return the value of a field other than data, the last one of duplicates; None without it."""
    if field not in block:
        return None
    value = None
    for line in _lines(block):
        name, _, text = line.partition(b":")
        if name == field:
            value = text.removeprefix(b" ")
    return value


def line_ends(block: bytes) -> int:
    """Return the number of line ends in a block; CRLF counts twice."""
    return block.count(b"\n") + block.count(b"\r")


def is_message(block: bytes) -> bool:
    """Return whether a block's type is that of MCP's events, which is the default."""
    return (value_of(block, b"event") or b"") in _MESSAGE


def is_endpoint(block: bytes) -> bool:
    """Return whether a block names the endpoint, as HTTP+SSE (2024-11-05) begins its stream."""
    return value_of(block, b"event") == b"endpoint"


def with_data(block: bytes, data: bytes) -> bytes:
    """Return a block with other data and its other fields.

    ``data`` is JSON: its line ends are white space and removed.

    The event's type is written explicitly: some clients hang on an event without one.
    """
    kept = [line for line in _lines(block) if line and line != b"data" and not line.startswith(b"data:")]
    if value_of(block, b"event") in (None, b""):
        kept = [b"event: message", *(line for line in kept if line.partition(b":")[0] != b"event")]
    if b"\n" in data or b"\r" in data:
        data = data.replace(b"\r", b" ").replace(b"\n", b" ")
    return b"\n".join([*kept, b"data: " + data, b"", b""])


def with_id(block: bytes, identifier: bytes | None) -> bytes:
    """Return a block with another id and its other fields; None leaves it without one."""
    kept = [line for line in _lines(block) if line and line.partition(b":")[0] != b"id"]
    if identifier is not None:
        kept.insert(0, b"id: " + identifier)
    return b"\n".join([*kept, b"", b""]) if kept else b""


def event(data: bytes) -> bytes:
    """Return an event of our own."""
    return b"event: message\ndata: " + data + b"\n\n"


def _lines(block: bytes) -> list[bytes]:
    """Return the lines of a block, with or without empty ones at its end."""
    return _few_lines(block) or block.splitlines()


def _few_lines(block: bytes) -> list[bytes] | None:
    """Return the lines of a block.

    It is None for many lines, since cutting them one by one would be slower.
    """
    lines = []
    start = 0
    while (end := block.find(b"\n", start)) >= 0:
        lines.append(block[start:end])
        start = end + 1
        if len(lines) > _FEW:
            return None
    lines.append(block[start:])
    if b"\r" not in block:
        return lines
    return [piece for line in lines for piece in _without_crs(line.removesuffix(b"\r"))]


def _without_crs(line: bytes) -> list[bytes]:
    return line.split(b"\r") if b"\r" in line else [line]
