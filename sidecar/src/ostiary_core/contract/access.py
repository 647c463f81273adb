"""The rules of a policy, and the callers that it governs, as documents."""

from typing import Any, Literal, TypeAlias

from pydantic.dataclasses import dataclass

from ostiary_core.contract.base import CLOSED, ContractDocument
from ostiary_core.mcp.methods import Primitive, Verb

Effect: TypeAlias = Literal["Allow", "Deny"]


# There are tens of thousands of rules. Dataclasses take a third of the memory and time of models.
@dataclass(frozen=True, slots=True, config=CLOSED)
class SelectionConfig:
    """A rule's selection of one primitive.

    Absent verbs mean all verbs; absent names and patterns mean every name.
    """

    verbs: list[Verb] | None = None
    names: list[str] | None = None
    patterns: list[str] | None = None


@dataclass(frozen=True, slots=True, config=CLOSED)
class ArgumentConfig:
    """A constraint on the argument of a call at ``path``; the members are JSON Schema's.

    An argument that is absent fails every constraint of it.
    """

    path: list[str]
    enum: list[Any] | None = None
    const: Any = None
    pattern: str | None = None
    minimum: int | float | None = None
    maximum: int | float | None = None
    max_length: int | None = None


@dataclass(frozen=True, slots=True, config=CLOSED)
class AccessRuleConfig:
    """One rule; without any primitive it applies to all three.

    It matches where all of ``scopes``, the CEL expression ``when`` and all of ``arguments`` hold.
    """

    name: str
    effect: Effect
    tools: SelectionConfig | None = None
    resources: SelectionConfig | None = None
    prompts: SelectionConfig | None = None
    scopes: list[str] | None = None
    when: str | None = None
    arguments: list[ArgumentConfig] | None = None

    def selection(self, primitive: Primitive) -> SelectionConfig | None:
        """Return the rule's selection of a primitive."""
        selection: SelectionConfig | None = getattr(self, primitive)
        return selection


class AccessRulesConfig(ContractDocument):
    """The rules of a policy; an empty list denies everything."""

    rules: list[AccessRuleConfig]


class SubjectConfig(ContractDocument):
    """Callers that a policy governs: those that all present members match.

    ``consumers`` are ``namespace/name``; ``when`` is a CEL expression over the principal.
    """

    consumers: list[str] | None = None
    groups: list[str] | None = None
    when: str | None = None
