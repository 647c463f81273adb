"""The guards of a policy, as documents: what is suspicious, and what happens to it."""

import enum
from typing import Literal

from pydantic import Field

from ostiary_core.contract.base import ContractDocument, Positive
from ostiary_core.contract.content import Direction, SelectedContentConfig


class GuardDetector(enum.StrEnum):
    """What guards look for by themselves."""

    HIDDEN_TEXT = "HiddenText"
    OVERRIDE = "Override"
    ROLE_MARKERS = "RoleMarkers"
    COERCION = "Coercion"
    EXFILTRATION_LINK = "ExfiltrationLink"
    SECRET_OUT = "SecretOut"  # noqa: S105 - the name of a detector
    LOOK_ALIKE = "LookAlike"


class Sensitivity(enum.StrEnum):
    """How little is enough for a finding.

    Low finds what is almost certain, High what is possible.
    """

    LOW = "Low"
    MEDIUM = "Medium"
    HIGH = "High"


class GuardAction(enum.StrEnum):
    """What a guard does about a finding.

    Where several apply, the last of these wins. Annotate leaves a note for the model, Wrap encloses the text in a
    random boundary, Strip removes what was found, Hide removes the definition from lists, and Block refuses the
    message.
    """

    ANNOTATE = "Annotate"
    WRAP = "Wrap"
    STRIP = "Strip"
    HIDE = "Hide"
    BLOCK = "Block"


class SignatureConfig(ContractDocument):
    """A signature of the owner: an RE2 expression over folded text.

    Its ``reason`` is for evidence.
    """

    name: str
    pattern: str
    reason: str


class ScorerConfig(ContractDocument):
    """A service that judges texts.

    ``url`` is where they are posted; which addresses it may have, the entry of the proxy says. ``timeout`` is for the
    whole answer. Texts of more than ``max_bytes`` together, and a failure, count as ``on_failure`` says. ``sends`` Raw
    gives it the texts before they are masked.
    """

    url: str
    timeout: Positive
    max_bytes: Positive
    on_failure: Literal["Block", "Pass"]
    sends: Literal["Masked", "Raw"]


class ScorerAddressesConfig(ContractDocument):
    """CIDRs that scorers may resolve to although the default forbids them.

    They are by the tier of the policy.
    """

    platform: list[str] | None = Field(default=None, min_length=1)
    owner: list[str] | None = Field(default=None, min_length=1)


class GuardConfig(SelectedContentConfig):
    """One guard, with at least one of its members that look for something.

    ``truncate_text`` is the most bytes of UTF-8 of all texts of one result together; structured content of more is
    refused.
    """

    name: str
    directions: list[Direction] = Field(min_length=1)
    detect: list[GuardDetector] | None = Field(default=None, min_length=1)
    sensitivity: Sensitivity
    action: GuardAction
    signatures: list[SignatureConfig] | None = Field(default=None, min_length=1)
    scorer: ScorerConfig | None = None
    truncate_text: Positive | None = None
