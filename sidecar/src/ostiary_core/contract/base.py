"""The base of all documents of a config, and the types of their numbers."""

from typing import Annotated, Final, TypeAlias

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from ostiary_core.canonical import canonical

#: JSON has integers of any size; canonical JSON, and most readers, stop at 64 bits.
_LARGEST: Final = 2**63 - 1
Count: TypeAlias = Annotated[int, Field(ge=0, le=_LARGEST)]
Positive: TypeAlias = Annotated[int, Field(gt=0, le=_LARGEST)]


CLOSED: Final = ConfigDict(
    extra="forbid",
    strict=True,
    alias_generator=to_camel,
    validate_by_name=True,
    validate_by_alias=True,
)


class ContractDocument(BaseModel):
    """Base of everything in the contract.

    Documents are frozen, and reject members that a reader would not understand.
    """

    model_config = ConfigDict(frozen=True, **CLOSED)

    def canonical(self) -> bytes:
        """Return the canonical JSON of the document."""
        return canonical(self.model_dump(mode="json", by_alias=True, exclude_none=True))
