"""Bytes as a network may deliver them: in pieces, cut at any place.

for piece in cut(b"GET / HTTP/1.1", [3, 99]):
    splitter.feed(piece)
"""

import itertools
from collections.abc import Sequence


def split_at(data: bytes, places: Sequence[int]) -> list[bytes]:
    """The same bytes in pieces, none of them empty. A place behind the end cuts nothing."""
    at = sorted({0, len(data), *(min(place, len(data)) for place in places)})
    return [data[a:b] for a, b in itertools.pairwise(at)]
