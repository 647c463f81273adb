"""Decides whether two rules about contents may apply to the same name.

The answer may be a wrong yes, where regular expressions are compared, and is never a wrong no.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from ostiary_core.contract.access import SelectionConfig
from ostiary_core.contract.content import SelectedContentConfig
from ostiary_core.mcp.methods import Primitive
from ostiary_core.policy.name_matcher import NameMatcher
from ostiary_core.policy.uri_readings import rule_names

#: A server's name, and what stands before its names at the proxy: empty where servers are not merged.
PrefixedServer = tuple[str, str]
#: Pairs of names with wildcards that are compared; more count as overlapping.
_MOST_PAIRS: Final = 1024


@dataclass(frozen=True, slots=True)
class _SelectedTexts:
    """The names that a rule selects of one primitive."""

    exact: tuple[str, ...]
    wildcards: tuple[str, ...]
    has_patterns: bool
    matcher: NameMatcher


class SelectedMessages:
    """What one rule selects, prepared for comparisons with others.

    Raises:
        PatternError: a pattern is invalid.
    """

    __slots__ = ("_names", "_servers")

    def __init__(self, rule: SelectedContentConfig) -> None:
        self._servers = frozenset(rule.servers) if rule.servers is not None else None
        self._names = {primitive: names for primitive in Primitive if (names := _names(rule, primitive)) is not None}

    def may_overlap(self, other: "SelectedMessages", servers: Sequence[PrefixedServer] | None) -> bool:
        """Return whether both may be for messages about one name.

        ``servers`` are those of a proxy, None for any proxy that has one server.
        """
        if servers is None:
            prefixes = [""] if self._may_share_server(other) else []
        else:
            prefixes = [prefix for name, prefix in servers if self._is_for(name) and other._is_for(name)]
        shared = self._names.keys() & other._names.keys()
        return any(_meet(self._names[each], other._names[each], each, prefixes) for each in shared)

    def _is_for(self, server: str) -> bool:
        return self._servers is None or server in self._servers

    def _may_share_server(self, other: "SelectedMessages") -> bool:
        return self._servers is None or other._servers is None or bool(self._servers & other._servers)


def _names(rule: SelectedContentConfig, primitive: Primitive) -> _SelectedTexts | None:
    """Return the names that a rule selects; None where it selects none."""
    selection = SelectionConfig() if rule.is_for_all else rule.selection(primitive)
    if selection is None:
        return None
    is_all = selection.names is None and selection.patterns is None
    names = ["*"] if is_all else selection.names or []
    if primitive is Primitive.RESOURCES:
        names = rule_names(names, denies=True) or []
    exact = tuple(each for each in names if "*" not in each)
    wildcards = tuple(each for each in names if "*" in each)
    return _SelectedTexts(exact, wildcards, bool(selection.patterns), NameMatcher.build(names, selection.patterns))


def _meet(ours: _SelectedTexts, theirs: _SelectedTexts, primitive: Primitive, prefixes: Iterable[str]) -> bool:
    for prefix in prefixes:
        # Merged URIs are marked in another way, which names with wildcards cannot be compared by.
        if prefix and primitive is Primitive.RESOURCES:
            return True
        if _has_selected(ours.exact, theirs.matcher, prefix) or _has_selected(theirs.exact, ours.matcher, prefix):
            return True
        if _wildcards_meet(ours, theirs, prefix):
            return True
    return False


def _has_selected(names: Iterable[str], matcher: NameMatcher, prefix: str) -> bool:
    return any(matcher.matches(each) for name in names for each in {name, prefix + name, name.removeprefix(prefix)})


def _wildcards_meet(ours: _SelectedTexts, theirs: _SelectedTexts, prefix: str) -> bool:
    if (ours.has_patterns and (theirs.wildcards or theirs.has_patterns)) or (theirs.has_patterns and ours.wildcards):
        return True
    if len(ours.wildcards) * len(theirs.wildcards) > _MOST_PAIRS:
        return True
    return any(
        _fit(a, b) or _fit(a, prefix + b) or _fit(prefix + a, b) for a in ours.wildcards for b in theirs.wildcards
    )


def _fit(first: str, second: str) -> bool:
    """Return whether one name matches two texts that have wildcards.

    It is decided by how they begin and end: between two wildcards there is room for all that either demands.
    """
    (begin, _, _), (other, _, _) = first.partition("*"), second.partition("*")
    if not (begin.startswith(other) or other.startswith(begin)):
        return False
    (_, _, end), (_, _, other) = first.rpartition("*"), second.rpartition("*")
    return end.endswith(other) or other.endswith(end)
