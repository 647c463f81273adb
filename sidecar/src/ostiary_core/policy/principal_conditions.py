"""The conditions that depend on the caller alone, each evaluated once for a principal."""

from ostiary_core.policy.expressions import Expression, ExpressionContext, ExpressionResult
from ostiary_core.policy.principal import Principal


class PrincipalConditions:
    """A principal, and the results of the expressions that read only the principal."""

    __slots__ = ("_context", "_results", "by_subjects", "principal")

    def __init__(self, principal: Principal) -> None:
        self.principal = principal
        self._context: ExpressionContext | None = None
        self._results: dict[str, ExpressionResult] = {}
        #: The results of the subjects of policies, by the address of the subjects.
        self.by_subjects: dict[int, ExpressionResult] = {}

    def evaluate(self, expression: Expression) -> ExpressionResult:
        """Return the result of an expression, from the first evaluation."""
        result = self._results.get(expression.source)
        if result is None:
            result = self._results[expression.source] = self._evaluate(expression)
        return result

    def _evaluate(self, expression: Expression) -> ExpressionResult:
        if self._context is None:
            self._context = ExpressionContext.of_principal(self.principal)
        return expression.evaluate(self._context)
