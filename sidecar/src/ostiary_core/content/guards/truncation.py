"""Cut the texts of a result to a number of bytes.

So one answer does not fill a model's context, and what costs money by the token is bounded.
"""

from collections.abc import Iterable
from typing import Any, Final

from ostiary_core import strict_json
from ostiary_core.content.guards.guard_words import truncated
from ostiary_core.content.places import PlaceKind, ReadablePlace

#: Members of a result that hold what a tool, resource or prompt returned.
_RETURNED: Final = ("content", "contents", "messages")


def truncate(places: Iterable[ReadablePlace], limit: int, *, is_shadow: bool = False) -> int:
    """Cut texts of a result so that all together have at most ``limit`` bytes.

    Return how many are cut. A text is cut at a character and says so; what follows it is empty, apart from the same
    words. ``is_shadow`` only counts.
    """
    left, count = limit, 0
    for place in places:
        if not _is_returned(place):
            continue
        size = len(place.text) if place.text.isascii() else len(place.text.encode("utf-8", "replace"))
        if size > left and not is_shadow:
            first = _first(place.text, left)
            place.text = truncated(first, shown=len(first.encode()), total=size)
            place.put(place.text)
        count += size > left
        left = max(left - size, 0)
    return count


def _is_returned(place: ReadablePlace) -> bool:
    trail = place.trail
    is_text = place.kind in (PlaceKind.PROSE, PlaceKind.BLOB) and place.key in ("text", "blob", "data")
    return is_text and len(trail) > 2 and trail[0] == "result" and trail[1] in _RETURNED


def _first(text: str, limit: int) -> str:
    return text.encode("utf-8", "replace")[:limit].decode("utf-8", "ignore")


def is_structured_too_large(message: dict[str, Any], limit: int) -> bool:
    """Return whether the structured content of a result has more bytes of JSON.

    It cannot be cut and stay valid.
    """
    result = message.get("result")
    if type(result) is not dict or "structuredContent" not in result:
        return False
    return len(strict_json.dumps(result["structuredContent"])) > limit
