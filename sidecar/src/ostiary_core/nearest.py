"""The name that was probably meant in place of one that is not there.

Names come from tenants and from their servers, so no comparison may cost more for names that were chosen to be dear:
they are compared by the pairs of characters that they share, which takes a microsecond whatever they are.
"""

import itertools
from collections.abc import Iterable
from typing import Final

#: Characters of a name that count.
_LENGTH: Final = 128
#: The share of pairs, of those of both names, from which names are alike.
_ALIKE: Final = 0.6


class Nearest:
    """Names that can be meant, prepared for being compared with several."""

    def __init__(self, names: Iterable[str]) -> None:
        self._pairs = {name: _pairs(name) for name in sorted(names)}

    def to(self, name: str) -> str:
        """Return the name that is most like this one, of several the first; empty where none is."""
        wanted = _pairs(name)
        best, share = "", 0.0
        for each, pairs in self._pairs.items():
            alike = 2 * len(wanted & pairs) / (len(wanted) + len(pairs))
            if alike > share:
                best, share = each, alike
        return best if share >= _ALIKE else ""


def _pairs(name: str) -> frozenset[str]:
    """Return the pairs of neighbouring characters, of which one may be the name's beginning or its end."""
    text = f"\n{name[:_LENGTH]}\n"
    return frozenset(map("".join, itertools.pairwise(text)))
