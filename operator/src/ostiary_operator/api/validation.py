"""How messages are validated against schemas: `spec.validation` of an MCPPolicy."""

import enum
from typing import ClassVar

from ostiary_core.contract.validation import ValidationMode
from ostiary_operator.api.constraints import Rule
from ostiary_operator.api.content_rules import ContentSelection


class UnknownArguments(enum.StrEnum):
    """What happens to arguments that a schema does not name."""

    AS_SCHEMA = "AsSchema"
    REFUSE = "Refuse"


class Coercion(enum.StrEnum):
    """Whether arguments of a wrong type are converted."""

    OFF = "Off"
    LOSSLESS = "Lossless"


class WhenUncheckable(enum.StrEnum):
    """What happens where a schema cannot be used."""

    PASS = "Pass"  # noqa: S105  # to let pass
    REFUSE = "Refuse"


class Validation(ContentSelection):
    """How arguments and results are validated against the schemas that servers publish.

    Of all policies of an MCPProxy, the strictest value of each field applies.
    """

    arguments: ValidationMode | None = None
    """What happens to arguments that do not fit. Enforce: the call is refused with an explanation that a model can act
    on, and reaches no server. Warn: it passes, and is recorded. Absent means Off. Example: `Enforce`."""

    results: ValidationMode | None = None
    """What happens to structured results that do not fit the tool's output schema. Enforce: the caller gets an error
    instead. Warn: they pass, and are recorded. Absent means Off. Example: `Warn`."""

    unknown_arguments: UnknownArguments | None = None
    """What happens to arguments that the schema does not name. AsSchema: they pass unless the schema forbids them.
    Refuse: the call is refused. Absent means AsSchema. Example: `Refuse`."""

    coerce: Coercion | None = None
    """Whether an argument is converted where that loses nothing: the text "5" becomes the number 5 only where the
    schema takes a whole number and no text. Off, if any policy says so. Absent means what other policies say, and Off
    where none does. Example: `Lossless`."""

    when_uncheckable: WhenUncheckable | None = None
    """What happens to a call where the schema is too large or too costly, is not valid, or uses what cannot be checked
    safely. Absent means Pass. Example: `Refuse`."""

    constraints: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "[has(self.arguments), has(self.results), has(self.unknownArguments), has(self.coerce),"
            " has(self.whenUncheckable)].exists(each, each)",
            lambda it: any(
                each is not None
                for each in (it.arguments, it.results, it.unknown_arguments, it.coerce, it.when_uncheckable)
            ),
            "demands nothing",
            "set arguments or results to Warn or Enforce, or remove validation",
        ),
    )
