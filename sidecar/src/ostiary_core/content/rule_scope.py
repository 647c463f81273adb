"""Whom and what one rule about content is for: callers, names and servers.

Rules about content match names as Deny rules do: as exposed and as the server has them, and URIs in every reading. What
cannot be read matches: a rule that hides must not be evaded by a name that nothing can judge.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from ostiary_core.contract.content import SelectedContentConfig
from ostiary_core.contract.documents import PolicyDocument
from ostiary_core.mcp.methods import Primitive
from ostiary_core.policy.expressions import ExpressionResult
from ostiary_core.policy.name_matcher import NameMatcher
from ostiary_core.policy.principal_conditions import PrincipalConditions
from ostiary_core.policy.subjects import Subject, evaluate_subjects
from ostiary_core.policy.uri_readings import Readings, rule_names


@dataclass(frozen=True, slots=True, eq=False)
class RuleScope:
    """What one rule is for.

    ``policy`` is NAMESPACE/NAME, and ``rule`` the name in it; only evidence shows them. ``subjects`` is None for every
    caller, ``matchers`` None for every name of all primitives, and ``servers`` None for all servers of the proxy.
    """

    policy: str
    rule: str = ""
    is_shadow: bool = False
    subjects: tuple[Subject, ...] | None = None
    matchers: Mapping[Primitive, NameMatcher] | None = None
    servers: frozenset[str] | None = None

    @classmethod
    def build(
        cls,
        document: PolicyDocument,
        selected: SelectedContentConfig,
        subjects: tuple[Subject, ...] | None,
        *,
        rule: str = "",
    ) -> "RuleScope":
        """Compile what a rule of a policy selects, for the callers of ``subjects``.

        Raises:
            PatternError: a pattern is invalid, or all of them together are too large.
        """
        return cls(
            policy=document.identity,
            rule=rule,
            is_shadow=document.mode == "Shadow",
            subjects=subjects,
            matchers=None if selected.is_for_all else _matchers(selected),
            servers=frozenset(selected.servers) if selected.servers is not None else None,
        )

    @property
    def weight(self) -> int:
        """The cost of judging a name, in instructions: what budgets count."""
        return sum(matcher.weight for matcher in (self.matchers or {}).values())

    def size(self, primitive: Primitive) -> int:
        """Return the steps that comparing a name takes for each of its bytes."""
        matcher = (self.matchers or {}).get(primitive)
        return matcher.size if matcher is not None else 0

    def governs(self, known: PrincipalConditions) -> bool:
        """Return whether the rule is for a caller.

        It is where its subjects cannot be evaluated: it fails closed.
        """
        return self.subjects is None or evaluate_subjects(self.subjects, known) is not ExpressionResult.FALSE

    def may_match(self, primitive: Primitive | None) -> bool:
        """Return whether some name of a primitive could match.

        None is that of a message that does not say what it is about.
        """
        return self.matchers is None or primitive is None or primitive in self.matchers

    def matches(self, primitive: Primitive, readings: Readings) -> bool:
        """Return whether a name matches by one of its readings."""
        if self.matchers is None:
            return True
        matcher = self.matchers.get(primitive)
        return matcher is not None and any(map(matcher.matches, readings.looked_up + readings.ends_at))

    def is_towards(self, servers: frozenset[str]) -> bool:
        """Return whether the rule is for messages from or to one of these servers."""
        return self.servers is None or not self.servers.isdisjoint(servers)


class ScopedRule(Protocol):
    """A compiled rule about content: a mask, a guard, a transformation, a validation."""

    @property
    def scope(self) -> RuleScope:
        """What it is for."""

    @property
    def weight(self) -> int:
        """The instructions of its own expressions, besides those of the names that it selects."""


def _matchers(selected: SelectedContentConfig) -> dict[Primitive, NameMatcher]:
    found = {}
    for primitive in Primitive:
        selection = selected.selection(primitive)
        if selection is not None:
            names = selection.names
            if primitive is Primitive.RESOURCES:
                names = rule_names(names, denies=True)
            found[primitive] = NameMatcher.build(names, selection.patterns)
    return found
