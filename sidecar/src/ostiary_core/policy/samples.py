"""Sample names for a proxy.

Whether any name could pass cannot be computed from patterns, but it can be tried.
"""

import string
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice, product
from typing import Final

from ostiary_core.policy.names import NameMatcher

_FIRST: Final = string.ascii_letters + string.digits + "_-./ é"
#: Names that begin in every way that names of tools do, short and long.
SAMPLE: Final = tuple(first + rest for first in _FIRST for rest in ("", "q7_x"))
_FILLINGS: Final = ("", "x", "q7_x")
_MOST: Final = 4_096


def candidates(demands: Iterable[Sequence[NameMatcher]]) -> Iterator[str]:
    """Yield the sample, then names made from what rules require.

    A bounded number, and none of them empty.
    """
    return filter(None, _candidates(demands))


def _candidates(demands: Iterable[Sequence[NameMatcher]]) -> Iterator[str]:
    matchers = [matcher for demand in demands for matcher in demand]
    prefixes = sorted({prefix for matcher in matchers for prefix in matcher.prefixes})
    suffixes = sorted({suffix for matcher in matchers for suffix in matcher.suffixes})
    yield from SAMPLE
    yield from islice(sorted({name for matcher in matchers for name in matcher.exact}), _MOST)
    yield from islice(map("".join, product(prefixes or [""], _FILLINGS, suffixes or [""])), _MOST)
    yield from islice(map("".join, product(prefixes, _FILLINGS)), _MOST)
    yield from islice(map("".join, product(_FILLINGS, suffixes)), _MOST)


def is_finite(demand: Iterable[NameMatcher]) -> bool:
    """Say whether the allowed names are all written out, so that all are candidates."""
    return not any(it.any or it.prefixes or it.suffixes or it.expression is not None for it in demand)
