"""The rules about content of one policy, compiled for every proxy that it governs."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from ostiary_core.content.guards.compiled_guard import CompiledGuard
from ostiary_core.content.masks.compiled_mask import CompiledMask
from ostiary_core.content.rule_scope import RuleScope, ScopedRule
from ostiary_core.content.transforms.compiled_transform import CompiledTransform
from ostiary_core.content.validations.compiled_validation import CompiledValidation
from ostiary_core.contract.documents import PolicyDocument
from ostiary_core.errors import ExpressionError, PatternError
from ostiary_core.policy.subjects import Subject

Rule = TypeVar("Rule", bound=ScopedRule)


@dataclass(frozen=True, slots=True, eq=False)
class PolicyContentRules:
    """The masks, guards, transformations and validations of one policy."""

    masks: tuple[CompiledMask, ...] = ()
    guards: tuple[CompiledGuard, ...] = ()
    transforms: tuple[CompiledTransform, ...] = ()
    validations: tuple[CompiledValidation, ...] = ()

    @classmethod
    def build(cls, document: PolicyDocument, subjects: tuple[Subject, ...] | None) -> "PolicyContentRules | None":
        """Compile the rules of a policy for the callers of ``subjects``; None where it has none.

        Raises:
            PatternError: a pattern or header is invalid; the message names its field.
            ExpressionError: an expression is invalid; the message names its field.
        """

        def compiled(field: str, configs: Sequence[Any] | None, build: Callable[[Any, RuleScope], Rule]) -> Any:
            return tuple(
                _compiled(f"spec.{field}[{place}]", config, build, document, subjects)
                for place, config in enumerate(configs or ())
            )

        found = cls(
            masks=compiled("masks", document.masks, CompiledMask.build),
            guards=compiled("guards", document.guards, CompiledGuard.build),
            transforms=compiled("transforms", document.transforms, CompiledTransform.build),
            validations=_validations(document, subjects),
        )
        return found if next(found.rules(), None) is not None else None

    @property
    def weight(self) -> int:
        """The cost of the rules, in instructions: what budgets count."""
        return sum(rule.scope.weight + rule.weight for rule in self.rules())

    def rules(self) -> Iterator[ScopedRule]:
        """Yield all of them."""
        yield from self.masks
        yield from self.guards
        yield from self.transforms
        yield from self.validations


def _validations(document: PolicyDocument, subjects: tuple[Subject, ...] | None) -> tuple[CompiledValidation, ...]:
    config = document.validation
    if config is None:
        return ()
    try:
        scope = RuleScope.build(document, config, subjects)
    except PatternError as error:
        raise PatternError(f"spec.validation: {error}") from None
    return (CompiledValidation.build(config, scope),)


def _compiled(
    field: str,
    config: Any,
    build: Callable[[Any, RuleScope], Rule],
    document: PolicyDocument,
    subjects: tuple[Subject, ...] | None,
) -> Rule:
    try:
        return build(config, RuleScope.build(document, config, subjects, rule=config.name))
    except ExpressionError as error:
        raise error.within(f"{field}.{error.field}" if error.field else field) from None
    except PatternError as error:
        raise PatternError(f"{field} ({config.name}): {error}") from None
