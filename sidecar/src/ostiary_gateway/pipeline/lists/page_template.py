"""The response to a request for a list, with gaps for what differs between two requests.

These are the id, and how long the list may be kept (``ttlMs``).
"""

import math
from dataclasses import dataclass
from typing import Any, Final

from ostiary_core.errors import StrictJSONError
from ostiary_core.json_spans import SpanReader

_TTL: Final = "ttlMs"


@dataclass(frozen=True, slots=True)
class PageTemplate:
    """A response in two or three pieces.

    ``ttl_first`` says that the time comes before the id. ``most_ttl`` is the time that the response had, None without
    one: then there are two pieces.
    """

    pieces: tuple[bytes, ...]
    ttl_first: bool = False
    most_ttl: int | None = None

    @property
    def size(self) -> int:
        """The bytes that it takes."""
        return sum(map(len, self.pieces))

    def filled(self, identifier: bytes, remaining_ms: int) -> bytes:
        """Return the response to a request with this id, that may be kept for this time at most."""
        return b"".join(self.filled_pieces(identifier, remaining_ms))

    def filled_pieces(self, identifier: bytes, remaining_ms: int) -> tuple[bytes, ...]:
        """Return the same in pieces, none of which is copied."""
        pieces = self.pieces
        if self.most_ttl is None:
            return pieces[0], identifier, pieces[1]
        ttl = b"%d" % min(self.most_ttl, remaining_ms)
        one, two = (ttl, identifier) if self.ttl_first else (identifier, ttl)
        return pieces[0], one, pieces[1], two, pieces[2]


def template_of(body: bytes) -> PageTemplate | None:
    """Return the template of a response.

    It is None for a response that is not strict JSON in its outer members, or has no id or result.
    """
    try:
        return _template(SpanReader(body))
    except StrictJSONError:
        return None


def _template(reader: SpanReader) -> PageTemplate | None:
    places: dict[str, tuple[int, int, Any]] = {}

    def note(key: str, start: int) -> int:
        value, end = reader.value(start)
        places[key] = start, end, value
        return end

    inner = {_TTL: lambda start: note(_TTL, start)}
    reader.whole({"id": lambda start: note("id", start), "result": lambda start: reader.members(start, inner)})
    if "id" not in places:
        return None
    ttl = places.get(_TTL)
    is_time = ttl is not None and type(ttl[2]) is float and math.isfinite(ttl[2]) and ttl[2] >= 0
    if ttl is None or not is_time:
        return PageTemplate(_cut(reader.text, places["id"]))
    first, second = sorted((places["id"], ttl))
    return PageTemplate(_cut(reader.text, first, second), ttl_first=first is ttl, most_ttl=int(ttl[2]))


def _cut(text: str, *gaps: tuple[int, int, Any]) -> tuple[bytes, ...]:
    """Return the pieces of a text between these places."""
    starts, ends = [0, *(gap[1] for gap in gaps)], [*(gap[0] for gap in gaps), len(text)]
    return tuple(text[start:end].encode() for start, end in zip(starts, ends, strict=True))
