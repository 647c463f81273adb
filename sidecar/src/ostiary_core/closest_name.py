"""Suggest the name that was probably meant in place of one that does not exist.

Names come from tenants and from their servers, so no comparison may cost more for hostile names: they are compared by
the pairs of characters that they share, which takes a microsecond whatever they are.
"""

import itertools
from collections.abc import Iterable
from typing import Final

#: The number of a name's characters that are compared.
_LENGTH: Final = 128
#: The share of common pairs, among those of both names, from which names count as similar.
_ALIKE: Final = 0.6


class Nearest:
    """Names that can be suggested, prepared for several comparisons."""

    def __init__(self, names: Iterable[str]) -> None:
        self._pairs = {name: _pairs(name) for name in sorted(names)}

    def to(self, name: str) -> str:
        """Return the most similar name, the first of several; empty where none is similar."""
        wanted = _pairs(name)
        best, share = "", 0.0
        for each, pairs in self._pairs.items():
            alike = 2 * len(wanted & pairs) / (len(wanted) + len(pairs))
            if alike > share:
                best, share = each, alike
        return best if share >= _ALIKE else ""


def _pairs(name: str) -> frozenset[str]:
    """Return the pairs of adjacent characters, including those with the name's start and end."""
    text = f"\n{name[:_LENGTH]}\n"
    return frozenset(map("".join, itertools.pairwise(text)))
