"""Finds out whether rules let any name of a primitive pass.

The capabilities that a caller is shown depend on it. Patterns do not show it, so sample names are tried.
"""

import string
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice, product
from typing import Final, NamedTuple

from ostiary_core.catalogue_names import CatalogueNames
from ostiary_core.mcp.methods import Primitive, Verb
from ostiary_core.policy.access import AccessEvaluator
from ostiary_core.policy.catalogue import CatalogueMatcher
from ostiary_core.policy.cost_limits import STEPS, length_of
from ostiary_core.policy.exposed_readings import sample_names
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


class NameJudge(NamedTuple):
    """How names of one primitive are judged.

    ``size`` are the steps of judging one byte of a name, ``rules`` the number of rules that judge it.
    """

    passes: Callable[[str], bool]
    is_denied: Callable[[str], bool]
    size: int
    rules: int

    def steps(self, name: str) -> int:
        """Return the steps of judging a name."""
        return length_of(name) * self.size + (self.rules + 1) * _RULE_STEPS


class _Trial:
    """The names of one server that were tried so far."""

    __slots__ = ("are_all_denied", "is_open", "passed", "steps")

    def __init__(self) -> None:
        self.steps = 0
        self.passed = False
        self.are_all_denied = True
        self.is_open = True

    def judge(self, name: str, judge: NameJudge, *, limit: int) -> None:
        """Judge one more name."""
        if judge.passes(name):
            self.passed, self.is_open = True, False
            return
        self.are_all_denied = self.are_all_denied and judge.is_denied(name)
        self.steps += judge.steps(name)
        self.is_open = self.steps <= limit


def usable_servers(
    primitive: Primitive, demands: Sequence[Sequence[NameMatcher]], judge: NameJudge, names: CatalogueNames | None
) -> frozenset[int]:
    """Return the places of the servers of which some name of a primitive passes.

    ``demands`` are the matchers of which each list must match a name. ``names`` are those of a proxy that merges
    servers, None at any other, whose place is 0.
    """
    if names is None:
        return _servers_that_pass(demands, ((0, name) for name in candidates(demands)), judge, servers=1)
    servers = len(names.servers)
    tried = sample_names(primitive, candidates(demands, servers=servers), ends_of_names(demands), names)
    return _servers_that_pass(demands, tried, judge, servers=servers)


def is_taken_away(
    asked: tuple[Primitive, Verb],
    name: str,
    access: AccessEvaluator,
    catalogue: CatalogueMatcher | None,
    names: CatalogueNames | None,
) -> bool:
    """Return whether the catalogue excludes a name, or a rule denies it, in one of its forms.

    ``asked`` is what is to be done with the name.
    """
    owned = names.owner_of(asked[0], name) if names is not None else None
    for each in {name, owned.name} if owned is not None else (name,):
        denial = access.denial(*asked, each)
        if (catalogue is not None and catalogue.excludes(each)) or (denial is not None and not denial.allowed):
            return True
    return False


def _servers_that_pass(
    demands: Sequence[Sequence[NameMatcher]], names: Iterable[tuple[int, str]], judge: NameJudge, *, servers: int
) -> frozenset[int]:
    """Try names of each of so many servers; return those of which some name passes.

    ``names`` are such as :func:`candidates` returns: those that rules allow, and a sample of all names. ``demands`` are
    the matchers of which each list must match a name. Beyond the limit of steps, no name is assumed to pass. Where no
    name passes, patterns may still allow one that was not tried, unless every name of the sample is denied: then
    everything is assumed to be denied.
    """
    if not all(demands):
        return frozenset()
    trials = [_Trial() for _ in range(servers)]
    limit, left = max(_DECISIONS // servers, 1) * STEPS, servers
    for server, name in names:
        trial = trials[server]
        if trial.is_open:
            trial.judge(name, judge, limit=limit)
            left -= not trial.is_open
            if not left:
                break
    # Patterns may allow a name that was not tried, where the names that are allowed are not all written out.
    has_patterns = any(matcher.expression is not None for demand in demands for matcher in demand)
    may_hide = has_patterns and not any(map(is_finite, demands))
    unsure = (trial.passed or (may_hide and trial.is_open and not trial.are_all_denied) for trial in trials)
    return frozenset(server for server, passes in enumerate(unsure) if passes)


def candidates(demands: Iterable[Sequence[NameMatcher]], *, servers: int = 1) -> Iterator[str]:
    """Yield the sample, then names made from what rules require.

    A bounded number for each of so many servers, and none of them empty.
    """
    return filter(None, _candidates(demands, servers * _MOST))


def _candidates(demands: Iterable[Sequence[NameMatcher]], most: int) -> Iterator[str]:
    matchers = [matcher for demand in demands for matcher in demand]
    prefixes = sorted({prefix for matcher in matchers for prefix in matcher.prefixes})
    suffixes = sorted({suffix for matcher in matchers for suffix in matcher.suffixes})
    # First those that most likely pass, since each name is judged by all rules.
    yield from islice(sorted({name for matcher in matchers for name in matcher.exact}), most)
    yield from islice((f"{prefix}x" for prefix in prefixes), most)
    yield from SAMPLE
    yield from islice(map("".join, product(prefixes or [""], _FILLINGS, suffixes or [""])), _MOST)
    yield from islice(map("".join, product(prefixes, _FILLINGS)), _MOST)
    yield from islice(map("".join, product(_FILLINGS, suffixes)), _MOST)


def ends_of_names(demands: Sequence[Sequence[NameMatcher]]) -> Iterator[str]:
    """Yield names with the ends that rules require, then the sample.

    They may follow a prefix that rules do not name. There are none where all allowed names are written out.
    """
    if any(map(is_finite, demands)):
        return
    suffixes = sorted({suffix for demand in demands for matcher in demand for suffix in matcher.suffixes})
    yield from islice((f"x{suffix}" for suffix in suffixes), _MOST)
    yield from SAMPLE
    yield from islice(map("".join, product(("", "q7_x"), suffixes)), _MOST)


def is_finite(demand: Iterable[NameMatcher]) -> bool:
    """Return whether the allowed names are all written out, so that all are candidates."""
    return not any(it.any or it.prefixes or it.suffixes or it.expression is not None for it in demand)
