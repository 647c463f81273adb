"""The callers that a policy governs.

Subjects decide which callers the rules of a policy match, never whether the policy closes its tier: a policy with Allow
rules for one caller closes the proxy for every other one.
"""

from dataclasses import dataclass

from ostiary_core.contract.access import SubjectConfig
from ostiary_core.policy.expressions import Expression, ExpressionResult
from ostiary_core.policy.principal_conditions import PrincipalConditions


@dataclass(frozen=True, slots=True)
class Subject:
    """One kind of caller: the caller that all present members match."""

    consumers: frozenset[str] | None = None
    groups: frozenset[str] | None = None
    when: Expression | None = None

    @classmethod
    def build(cls, config: SubjectConfig) -> "Subject":
        """Compile a subject of the contract.

        Raises:
            ExpressionError: its expression is not valid, or reads the message.
        """
        return cls(
            consumers=frozenset(config.consumers) if config.consumers is not None else None,
            groups=frozenset(config.groups) if config.groups is not None else None,
            when=Expression.compile(config.when, principal_only=True) if config.when is not None else None,
        )

    @property
    def weight(self) -> int:
        """The cost of judging, in instructions: what budgets count."""
        return 1 + (self.when.weight if self.when is not None else 0)

    def evaluate(self, known: PrincipalConditions) -> ExpressionResult:
        """Judge a caller."""
        principal = known.principal
        if self.consumers is not None and principal.consumer not in self.consumers:
            return ExpressionResult.FALSE
        if self.groups is not None and self.groups.isdisjoint(principal.groups):
            return ExpressionResult.FALSE
        return known.evaluate(self.when) if self.when is not None else ExpressionResult.TRUE


def evaluate_subjects(subjects: tuple[Subject, ...], known: PrincipalConditions) -> ExpressionResult:
    """Judge a caller by all subjects of a policy: one of them must match.

    The result is kept with the caller: each of the policy's rules asks for it.
    """
    found = known.by_subjects.get(id(subjects))
    if found is None:
        found = known.by_subjects[id(subjects)] = _evaluate(subjects, known)
    return found


def _evaluate(subjects: tuple[Subject, ...], known: PrincipalConditions) -> ExpressionResult:
    results = [subject.evaluate(known) for subject in subjects]
    if ExpressionResult.TRUE in results:
        return ExpressionResult.TRUE
    return ExpressionResult.ERROR if ExpressionResult.ERROR in results else ExpressionResult.FALSE
