"""Finds out whether rules let any name of a primitive pass.

The capabilities that a caller is shown depend on it. Patterns do not show it, so sample names are tried.
"""

import string
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice, product
from typing import Final

from ostiary_core.policy.cost_limits import STEPS, length_of
from ostiary_core.policy.name_matcher import NameMatcher

_FIRST: Final = string.ascii_letters + string.digits + "_-./ é"
#: Names that begin in every way that names of tools do, short and long.
SAMPLE: Final = tuple(first + rest for first in _FIRST for rest in ("", "q7_x"))
_FILLINGS: Final = ("", "x", "q7_x")
#: The most names of each kind that are tried.
_MOST: Final = 4_096
#: The limit for all names that are tried, as a multiple of the most costly decision allowed.
_DECISIONS: Final = 8
#: The steps of one rule in judging a name, whatever it matches.
_RULE_STEPS: Final = 64


def some_name_passes(
    demands: Sequence[Sequence[NameMatcher]],
    names: Iterable[str],
    *,
    passes: Callable[[str], bool],
    is_denied: Callable[[str], bool],
    size: int,
    rules: int,
) -> bool:
    """Try names: those that rules allow, and a sample of all names.

    ``names`` are such as :func:`candidates` returns. ``demands`` are the matchers of which each list must match a name,
    ``size`` the steps of judging one byte of it, and ``rules`` the number of rules that judge it. Beyond the limit of
    steps, no name is assumed to pass. Where no name passes, patterns may still allow one that was not tried, unless
    every name of the sample is denied: then everything is assumed to be denied.
    """
    steps, denied = 0, True
    for name in names:
        if passes(name):
            return True
        denied = denied and is_denied(name)
        steps += length_of(name) * size + rules * _RULE_STEPS
        if steps > _DECISIONS * STEPS:
            return False
    if any(map(is_finite, demands)):
        return False
    return not denied and any(matcher.expression is not None for demand in demands for matcher in demand)


def candidates(demands: Iterable[Sequence[NameMatcher]]) -> Iterator[str]:
    """Yield the sample, then names made from what rules require.

    A bounded number, and none of them empty.
    """
    return filter(None, _candidates(demands))


def _candidates(demands: Iterable[Sequence[NameMatcher]]) -> Iterator[str]:
    matchers = [matcher for demand in demands for matcher in demand]
    prefixes = sorted({prefix for matcher in matchers for prefix in matcher.prefixes})
    suffixes = sorted({suffix for matcher in matchers for suffix in matcher.suffixes})
    # First those that most likely pass, since each name is judged by all rules.
    yield from islice(sorted({name for matcher in matchers for name in matcher.exact}), _MOST)
    yield from islice((f"{prefix}x" for prefix in prefixes), _MOST)
    yield from SAMPLE
    yield from islice(map("".join, product(prefixes or [""], _FILLINGS, suffixes or [""])), _MOST)
    yield from islice(map("".join, product(prefixes, _FILLINGS)), _MOST)
    yield from islice(map("".join, product(_FILLINGS, suffixes)), _MOST)


def ends_of_names(demands: Iterable[Sequence[NameMatcher]]) -> Iterator[str]:
    """Yield the sample, and names with the ends that rules require.

    They may follow a prefix that rules do not name.
    """
    suffixes = sorted({suffix for demand in demands for matcher in demand for suffix in matcher.suffixes})
    yield from SAMPLE
    yield from islice(map("".join, product(_FILLINGS, suffixes)), _MOST)


def is_finite(demand: Iterable[NameMatcher]) -> bool:
    """Return whether the allowed names are all written out, so that all are candidates."""
    return not any(it.any or it.prefixes or it.suffixes or it.expression is not None for it in demand)
