"""Label selectors, with the semantics of Kubernetes' own (meta/v1 LabelSelector)."""

import enum
from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from ostiary_operator.api.base_model import ApiModel
from ostiary_operator.api.constraints import Atomic, Rule, Unique
from ostiary_operator.api.names import LabelKey, Labels, LabelValue


class Operator(enum.StrEnum):
    """How a requirement relates a label to its values."""

    IN = "In"
    NOT_IN = "NotIn"
    EXISTS = "Exists"
    DOES_NOT_EXIST = "DoesNotExist"


class Requirement(ApiModel):
    """One condition on one label."""

    key: LabelKey
    """Key of the label. Example: `team`."""

    operator: Operator
    """How the label relates to the values. In and NotIn need values, Exists and DoesNotExist forbid them.
    NotIn also matches objects without the label. Example: `In`."""

    values: Annotated[tuple[LabelValue, ...], Field(max_length=64), Unique()] = ()
    """Values of the label, for In and NotIn. Example: `[sales, support]`."""

    constraints = (
        Rule(
            "(self.operator in ['In', 'NotIn']) == (has(self.values) && self.values.size() > 0)",
            lambda it: (it.operator in (Operator.IN, Operator.NOT_IN)) == bool(it.values),
            "has values that do not suit its operator",
            "In and NotIn need at least one value, Exists and DoesNotExist have none",
        ),
    )

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether an object with these labels meets the condition."""
        match self.operator:
            case Operator.IN:
                return labels.get(self.key) in self.values
            case Operator.NOT_IN:
                return labels.get(self.key) not in self.values
            case Operator.EXISTS:
                return self.key in labels
            case Operator.DOES_NOT_EXIST:
                return self.key not in labels


class LabelSelector(ApiModel):
    """Selects objects by their labels. All conditions must hold; an empty selector
    selects everything.
    """

    match_labels: Labels
    """Labels that an object must have with exactly these values. Example: `{team: sales}`."""

    match_expressions: Annotated[tuple[Requirement, ...], Field(max_length=16), Atomic()] = ()
    """Further conditions on labels. Example: `[{key: tier, operator: In, values: [prod]}]`."""

    @property
    def chooses(self) -> bool:
        """Whether it has any condition on labels."""
        return bool(self.match_labels or self.match_expressions)

    def selects(self, labels: Mapping[str, str]) -> bool:
        """Whether an object with these labels is selected."""
        return all(labels.get(key) == value for key, value in self.match_labels.items()) and all(
            requirement.matches(labels) for requirement in self.match_expressions
        )
