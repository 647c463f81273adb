"""Substitutes for ids and progress tokens that a caller has in flight already.

A substitute contains the caller's value: ``ostiary-<process>-<count>-n1`` stands for 1, ``…-sa`` for "a". So any
replica can restore the caller's value at any later time, also on a resumed stream.
"""

import os
import re
from collections.abc import Mapping
from functools import partial
from itertools import count
from typing import Any, Final

from ostiary_core import json_weight, strict_json
from ostiary_core.errors import StrictJSONError
from ostiary_core.json_spans import Read, SpanReader
from ostiary_gateway.errors import UpstreamFault
from ostiary_gateway.pipeline import jsonrpc
from ostiary_gateway.pipeline.list_cache import around_id
from ostiary_gateway.upstream import faults

#: In a text that weighs more the id is not searched everywhere: nearly all responses have theirs at one end.
_WEIGHT: Final = 10_000 * json_weight.UNIT
_START: Final = "ostiary-"
_IN_BYTES: Final = _START.encode()
_FORM: Final = re.compile(_START + r"[0-9a-f]{12}-[0-9a-f]{1,16}-(?:n(-?[0-9]{1,20})|s(.*))", re.DOTALL)
_PROGRESS: Final = "notifications/progress"
#: Random for each process, so that no two replicas of a gateway make the same substitute.
_PROCESS: Final = os.urandom(6).hex()
_numbers: Final = count()


def substitute(own: str | int) -> str:
    """Return a new substitute for an id or token of a caller."""
    kind = "s" if isinstance(own, str) else "n"
    return f"{_START}{_PROCESS}-{next(_numbers):x}-{kind}{own}"


def is_substitute(name: Any) -> bool:
    """Return whether a value has the form of a substitute."""
    return isinstance(name, str) and name.startswith(_START) and _FORM.fullmatch(name) is not None


def original_of(name: Any) -> str | int | None:
    """Return the value that a substitute stands for; None for any other value."""
    match = _FORM.fullmatch(name) if isinstance(name, str) else None
    if match is None:
        return None
    return int(match[1]) if match[1] is not None else match[2]


def with_id(text: bytes, found: Any, own: str | int) -> bytes:
    """Return a response with the id ``own`` in place of ``found``; the rest keeps its bytes.

    Raises:
        UpstreamFault: its id cannot be found, is a duplicate, or cannot be written.
    """
    written = _written(own)
    around = around_id(text, _written(found))
    return around.joined(written) if around is not None else _replaced(text, ("id",), written)


def with_original_ids(text: bytes, message: Mapping[str, Any], *, responses_too: bool) -> bytes:
    """Return a stream's message with the caller's token or id in place of a substitute.

    ``answers_too`` says whether ids are restored: not on a stream that belongs to one request, where each response is
    compared with the id that was sent.

    Raises:
        UpstreamFault: the place of the value cannot be found.
    """
    if _IN_BYTES not in text:
        return text
    if message.get("method") == _PROGRESS:
        params = message.get("params")
        own = original_of(params.get("progressToken")) if isinstance(params, dict) else None
        return _replaced(text, ("params", "progressToken"), _written(own)) if own is not None else text
    own = original_of(message.get("id")) if responses_too and jsonrpc.is_response(dict(message)) else None
    return with_id(text, message["id"], own) if own is not None else text


def _written(name: Any) -> bytes:
    """Return an id or token as JSON.

    A server may send one that we never would, such as half a surrogate pair.

    Raises:
        UpstreamFault: it cannot be written.
    """
    try:
        return strict_json.dumps(name)
    except StrictJSONError as error:
        raise UpstreamFault(faults.INVALID, f"its id or token is none: {error}") from None


def _replaced(text: bytes, path: tuple[str, ...], value: bytes) -> bytes:
    """Return a text with another value at the end of a path of members.

    Raises:
        UpstreamFault: the place cannot be found, or the text is too large to search at once.
    """
    if json_weight.at_most(text) > _WEIGHT:
        raise UpstreamFault(faults.INVALID, "its id is at an unusual place in a large message")
    try:
        reader = SpanReader(text)
        start, end = _place(reader, path)
    except StrictJSONError as error:
        raise UpstreamFault(faults.INVALID, f"its id cannot be replaced: {error}") from None
    return reader.replaced(start, end, value.decode())


def _place(reader: SpanReader, path: tuple[str, ...]) -> tuple[int, int]:
    found: list[tuple[int, int]] = []

    def note(start: int) -> int:
        end = reader.value(start)[1]
        found.append((start, end))
        return end

    read: Read = note
    for key in reversed(path[1:]):
        read = partial(_within, reader, key, read)
    reader.whole({path[0]: read})
    if not found:
        raise StrictJSONError(f"there is no {'.'.join(path)}")
    return found[0]


def _within(reader: SpanReader, key: str, read: Read, start: int) -> int:
    return reader.members(start, {key: read})
