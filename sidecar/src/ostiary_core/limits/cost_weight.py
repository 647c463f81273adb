"""What a call costs, where a limit counts cost instead of requests.

A weight is fixed, or a number that an expression in CEL computes from the arguments or from the result. Of all weights
that match a call the largest counts. A call is never free because of a fault: an expression that fails, or does not
return a number from 0 to ``LARGEST``, counts as 1. Only a caller that asks for more than ``LARGEST`` is taken at its
word: it must not get that for 1.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ostiary_core.contract.limits import CostWeightConfig
from ostiary_core.limits.request_matcher import RequestMatcher
from ostiary_core.mcp.methods import Primitive, Verb
from ostiary_core.policy.message_conditions import Call
from ostiary_core.policy.number_expression import NumberExpression

#: The largest cost of one call: beyond it, a number is taken for a mistake.
LARGEST: Final = 1_000_000_000
#: Limits whose failures are counted one by one.
_COUNTED: Final = 4_096


class FailureCounts(Counter[tuple[str, str]]):
    """Expressions of weights that failed, by policy (``namespace/name``) and limit."""

    def count(self, policy: str, limit: str) -> None:
        """Count one failure, unless there are too many limits to keep apart."""
        if len(self) < _COUNTED or (policy, limit) in self:
            self[policy, limit] += 1


#: The failures in this process.
WEIGHT_FAILURES: Final = FailureCounts()


@dataclass(frozen=True, slots=True, eq=False)
class CostWeight:
    """One weight: fixed ``units``, or an expression over the arguments or the result."""

    matcher: RequestMatcher
    units: int = 0
    arguments: NumberExpression | None = None
    result: NumberExpression | None = None

    @classmethod
    def build(cls, config: CostWeightConfig) -> "CostWeight":
        """Compile a weight of the contract.

        Raises:
            PatternError: its patterns are invalid.
            ExpressionError: its expression is invalid.
        """
        return cls(
            RequestMatcher.build({Primitive.TOOLS: config.tools}),
            units=config.units or 0,
            arguments=NumberExpression.compile(config.arguments) if config.arguments is not None else None,
            result=NumberExpression.compile(config.result, reads_result=True) if config.result is not None else None,
        )

    def matches(self, primitive: Primitive | None, verb: Verb | None, names: Sequence[str] | None) -> bool:
        """Return whether the weight is for a request; ``names`` are all readings of its name."""
        return self.matcher.matches(primitive, verb, names)


def units_before(weights: Sequence[CostWeight], call: Call | None, *, policy: str, limit: str) -> int:
    """Return what a request costs before its result is known.

    ``weights`` are those that match it. A request that its result weighs costs at least 1, so that a flood of them is
    stopped before results come.
    """
    found = [1] if not weights or any(weight.result is not None for weight in weights) else []
    for weight in weights:
        if weight.arguments is not None:
            value = weight.arguments.evaluate(call) if call is not None else None
            found.append(LARGEST if value is not None and value > LARGEST else _units(value, policy, limit))
        elif weight.result is None:
            found.append(weight.units)
    return max(found)


def units_after(
    weights: Sequence[CostWeight], call: Call, result: Mapping[str, Any], *, policy: str, limit: str
) -> int:
    """Return what the result of a call costs, as the largest of all weights that read it."""
    found = (weight.result.evaluate(call, result) for weight in weights if weight.result is not None)
    return max((_units(value, policy, limit) for value in found), default=0)


def _units(value: float | None, policy: str, limit: str) -> int:
    if value is None or not 0 <= value <= LARGEST:
        WEIGHT_FAILURES.count(policy, limit)
        return 1
    return math.ceil(value)
