"""The validation that policies demand, one by one and together.

The strictest value of each member counts. A policy in Shadow mode demands nothing: what it would have done is counted.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ostiary_core.content.finding import ContentFinding
from ostiary_core.content.rule_scope import RuleScope
from ostiary_core.contract.content import Direction
from ostiary_core.contract.validation import ValidationConfig, ValidationMode

if TYPE_CHECKING:
    from ostiary_core.content.content_rules import ItemRules

#: The rule and the detectors that evidence names.
RULE: Final = "validation"
SCHEMA: Final = "Schema"
UNCHECKABLE: Final = "Uncheckable"
_STRENGTH: Final = (None, ValidationMode.OFF, ValidationMode.WARN, ValidationMode.ENFORCE)
REFUSE: Final = "Refuse"
WARN: Final = "Warn"
_ACTIONS: Final = {ValidationMode.WARN: WARN, ValidationMode.ENFORCE: REFUSE}
_COERCE: Final = "Coerce"


@dataclass(frozen=True, slots=True, eq=False)
class CompiledValidation:
    """The validation of one policy."""

    scope: RuleScope
    config: ValidationConfig

    @classmethod
    def build(cls, config: ValidationConfig, scope: RuleScope) -> "CompiledValidation":
        """Return the validation of a policy; ``scope`` is what it is for."""
        return cls(scope, config)

    @property
    def weight(self) -> int:
        """It has no expressions of its own."""
        return 0

    @property
    def refuses_unknown(self) -> bool:
        """Whether arguments with names that a schema does not declare are refused."""
        return self.config.unknown_arguments == "Refuse"

    def mode(self, direction: Direction) -> ValidationMode:
        """Return what happens to what does not fit."""
        config = self.config
        return (config.arguments if direction is Direction.ARGUMENTS else config.results) or ValidationMode.OFF


class ValidationChecks:
    """What the validations of a message demand together.

    ``needs_arguments`` and ``needs_results`` where something is checked, if only to be counted.
    """

    def __init__(self, rules: "ItemRules") -> None:
        validations = self._validations = rules.validations
        enforced = [each for each in validations if not each.scope.is_shadow]
        configs = [each.config for each in enforced]
        self.arguments = _strongest(enforced, Direction.ARGUMENTS)
        self.results = _strongest(enforced, Direction.RESULTS)
        self.refuses_unknown = any(each.refuses_unknown for each in enforced)
        self.refuses_uncheckable = any(config.when_uncheckable == "Refuse" for config in configs)
        coerce = {config.coerce for config in configs}
        self.coerces = "Lossless" in coerce and "Off" not in coerce
        #: The evidence of policies in Shadow mode that would refuse names which a schema does not declare.
        self.shadow_unknown = tuple(
            _finding(each, SCHEMA, REFUSE, Direction.ARGUMENTS)
            for each in validations
            if each.scope.is_shadow and each.refuses_unknown
        )
        is_checked = _strongest(validations, Direction.ARGUMENTS) is not ValidationMode.OFF
        self.needs_arguments = is_checked or self.coerces or any(each.refuses_unknown for each in validations)
        self.needs_results = _strongest(validations, Direction.RESULTS) is not ValidationMode.OFF

    def refuses(self, direction: Direction) -> bool:
        """Return whether what does not fit goes no further."""
        mode = self.arguments if direction is Direction.ARGUMENTS else self.results
        return mode is ValidationMode.ENFORCE

    def refuses_unchecked(self, direction: Direction) -> bool:
        """Return whether what is to be checked, and cannot be, goes no further."""
        mode = self.arguments if direction is Direction.ARGUMENTS else self.results
        is_unknown_refused = direction is Direction.ARGUMENTS and self.refuses_unknown
        return self.refuses_uncheckable and (mode is not ValidationMode.OFF or is_unknown_refused)

    def findings(self, direction: Direction, *, has_unknown: bool = False) -> tuple[ContentFinding, ...]:
        """Return the evidence of a message that does not fit.

        ``has_unknown`` where it has arguments with names that are not declared.
        """
        found = []
        for each in self._validations:
            mode = each.mode(direction)
            if has_unknown and each.refuses_unknown:
                found.append(_finding(each, SCHEMA, REFUSE, direction))
            elif mode is not ValidationMode.OFF:
                found.append(_finding(each, SCHEMA, _ACTIONS[mode], direction))
        return tuple(found)

    def uncheckable(self, direction: Direction) -> tuple[ContentFinding, ...]:
        """Return the evidence of a message that cannot be checked."""
        return tuple(
            _finding(each, UNCHECKABLE, REFUSE if each.config.when_uncheckable == "Refuse" else WARN, direction)
            for each in self._validations
            if each.mode(direction) is not ValidationMode.OFF or each.refuses_unknown
        )

    def coercions(self) -> tuple[ContentFinding, ...]:
        """Return the evidence of arguments that were corrected."""
        return tuple(
            _finding(each, SCHEMA, _COERCE, Direction.ARGUMENTS)
            for each in self._validations
            if each.config.coerce == "Lossless"
        )


def _strongest(validations: Iterable[CompiledValidation], direction: Direction) -> ValidationMode:
    modes = [each.mode(direction) for each in validations]
    return max(modes, key=_STRENGTH.index, default=ValidationMode.OFF)


def _finding(validation: CompiledValidation, detector: str, action: str, direction: Direction) -> ContentFinding:
    scope = validation.scope
    return ContentFinding(scope.policy, RULE, detector, action, direction, is_shadow=scope.is_shadow)
