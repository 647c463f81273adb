"""The masks of a policy: what must not pass, and what is shown instead."""

import enum
from typing import Literal, Self

from pydantic import Field, model_validator

from ostiary_core.contract.access import SelectionConfig
from ostiary_core.contract.base import ContractDocument
from ostiary_core.contract.content import Direction, PlaceConfig, SelectedContentConfig


class DetectedKind(enum.StrEnum):
    """A kind of values that masks find by themselves."""

    CARD_NUMBER = "CardNumber"
    US_SSN = "USSSN"
    IBAN = "IBAN"
    EMAIL = "Email"
    PHONE = "Phone"
    IP_ADDRESS = "IPAddress"
    SECRET = "Secret"  # noqa: S105 - the name of a kind


class MaskAction(enum.StrEnum):
    """What a mask does with what it finds.

    Where several apply to one place, the last of these wins.
    """

    TOKENISE = "Tokenise"
    HASH = "Hash"
    MASK = "Mask"
    REMOVE = "Remove"
    BLOCK = "Block"


class DetectConfig(ContractDocument):
    """What a mask looks for: one of ``kind``, ``pattern`` and ``field``.

    ``pattern`` is an RE2 expression that is searched for, and ``name`` says in evidence what it finds. ``field`` is a
    place from the ``arguments`` of a request, or from the ``result`` of a response; it finds whatever is there.
    """

    kind: DetectedKind | None = None
    pattern: str | None = None
    name: str | None = None
    field: PlaceConfig | None = Field(default=None, min_length=1)

    @model_validator(mode="after")
    def _check_one(self) -> Self:
        if [self.kind, self.pattern, self.field].count(None) != 2:
            raise ValueError("a detector has exactly one of kind, pattern and field")
        if (self.pattern is None) != (self.name is None):
            raise ValueError("a pattern has a name, and nothing else has one")
        return self


class MaskConfig(SelectedContentConfig):
    """One mask.

    ``directions`` are Arguments, Results or both; records of requests (spans, audit, captures, logs) it masks always.
    ``keep_last`` characters at the end stay readable with Mask. ``restore_in`` are the tools in whose arguments tokens
    of this mask become the values again, with Tokenise alone. ``notifications`` None scans them with what came before;
    Drop lets none pass about what the mask selects.
    """

    name: str
    directions: list[Direction] = Field(min_length=1)
    detect: list[DetectConfig] = Field(min_length=1)
    action: MaskAction
    keep_last: int | None = Field(default=None, gt=0)
    restore_in: SelectionConfig | None = None
    notifications: Literal["Drop"] | None = None
