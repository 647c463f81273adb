"""What must not pass, and what is shown instead: `spec.masks` of an MCPPolicy."""

import enum
from typing import Annotated, ClassVar, Final

from pydantic import Field, StrictInt

from ostiary_core.contract.content import MOST_CONTENT_RULES
from ostiary_core.contract.masks import DetectedKind, MaskAction
from ostiary_operator.api.base_model import ApiModel
from ostiary_operator.api.constraints import Atomic, Rule, Unique
from ostiary_operator.api.content_rules import ContentPattern, ContentSelection, JsonPointer, NamedContentRule
from ostiary_operator.api.name_selections import SelectedNames
from ostiary_operator.api.names import DnsLabel
from ostiary_operator.api.quantities import INTEGRAL

#: Detectors of one mask.
_MOST_DETECTORS: Final = 16


class MaskDirection(enum.StrEnum):
    """Which messages a mask changes."""

    ARGUMENTS = "Arguments"
    RESULTS = "Results"


class MaskedNotifications(enum.StrEnum):
    """What happens to notifications, whose text may be divided among several of them."""

    SCAN = "Scan"
    DROP = "Drop"


class MaskDetector(ApiModel):
    """One thing that a mask looks for: exactly one of `kind`, `pattern` and `field`."""

    kind: DetectedKind | None = None
    """A kind of values that the gateway recognises by itself, with their checksums and the words around them:
    CardNumber, USSSN, IBAN, Email, Phone, IPAddress, or Secret, which is keys, tokens and passwords.
    Example: `CardNumber`."""

    pattern: ContentPattern | None = None
    """RE2 expression that is searched for in every text, in the same way as kinds are. Example: `EMP-[0-9]{6}`."""

    name: DnsLabel | None = None
    """What the pattern finds, for traces, metrics and audit records. Required with `pattern`, not permitted otherwise.
    Example: `employee`."""

    field: JsonPointer | None = None
    """JSON Pointer to a value that is masked whatever it is: from the `arguments` of a request, or from the `result`
    of a response. A step `*` is every member, or every item. Example: `/structuredContent/customers/*/ssn`."""

    constraints: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "[has(self.kind), has(self.pattern), has(self.field)].exists_one(each, each)",
            lambda it: [it.kind, it.pattern, it.field].count(None) == 2,
            "must have exactly one of kind, pattern and field",
            "set one of them, and write further ones as items of their own",
        ),
        Rule(
            "has(self.pattern) == has(self.name)",
            lambda it: (it.pattern is None) == (it.name is None),
            "must have pattern together with name",
            "say with name what the pattern finds, or remove it",
        ),
    )


class Mask(ContentSelection, NamedContentRule):
    """One mask: what it looks for, and what is shown instead."""

    directions: Annotated[tuple[MaskDirection, ...], Field(min_length=1, max_length=2), Unique()] = Field(
        default=(MaskDirection.RESULTS, MaskDirection.ARGUMENTS), alias="in"
    )
    """What is masked for callers and servers. Results: all that comes from servers, definitions and errors included.
    Arguments: all that goes to them. What is recorded of requests, in traces, audit records and captures, is masked
    always. Example: `[Results]`."""

    detect: Annotated[tuple[MaskDetector, ...], Field(min_length=1, max_length=_MOST_DETECTORS), Atomic()]
    """What the mask looks for, in every text, number and key that a caller or a server can read.
    Example: `[{kind: CardNumber}, {pattern: "EMP-[0-9]{6}", name: employee}]`."""

    action: MaskAction = MaskAction.MASK
    """What happens to what is found; where several masks apply to one place, the strongest does. Mask: asterisks.
    Hash: a keyed hash, the same for the same value. Tokenise: a token that only this caller, at this MCPProxy, can use.
    Remove: nothing is left of it. Block: the message is refused. From weak to strong: Tokenise, Hash, Mask, Remove,
    Block. Example: `Tokenise`."""

    keep_last: Annotated[StrictInt, Field(ge=1, le=8), INTEGRAL] | None = None
    """How many characters at the end stay readable with Mask, never more than half of them. Absent means none.
    Example: `4`."""

    restore_in: SelectedNames | None = None
    """Tools that get the value again where an agent passes its token on in their arguments; `{}` is all of them. Only
    with Tokenise. Absent means no tool. Example: `{names: [charge_card]}`."""

    notifications: MaskedNotifications = MaskedNotifications.SCAN
    """What happens to notifications about what the mask selects. Scan: they are masked; a value that is divided among
    several of them is seen with the last part, which is dropped, when the first parts are sent already. Drop: none
    passes. Example: `Drop`."""

    constraints: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "!has(self.keepLast) || !has(self.action) || self.action == 'Mask'",
            lambda it: it.keep_last is None or it.action is MaskAction.MASK,
            "is set, but only Mask leaves characters readable",
            "remove keepLast, or set action: Mask",
            field_path=".keepLast",
        ),
        Rule(
            "!has(self.restoreIn) || (has(self.action) && self.action == 'Tokenise')",
            lambda it: it.restore_in is None or it.action is MaskAction.TOKENISE,
            "is set, but only tokens can be restored",
            "remove restoreIn, or set action: Tokenise",
            field_path=".restoreIn",
        ),
    )


Masks = Annotated[tuple[Mask, ...], Field(max_length=MOST_CONTENT_RULES), Unique(("name",))]
"""The masks of a policy."""
