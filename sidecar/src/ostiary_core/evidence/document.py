"""The base of all evidence documents, their paths, and the types of their members.

A reader takes them as untrusted input: another process may have a replica's address. So models are strict and bounded.
Members that a reader does not know are ignored: a newer gateway may tell more.
"""

from enum import StrEnum
from typing import Annotated, Final, TypeAlias

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

#: Characters of a name that a client or server chose, of a principal, and of any other text.
MOST_NAME: Final = 256
MOST_TEXT: Final = 500
#: Bytes of one document. A reader refuses more; a gateway sends its proxies in pages that are smaller.
MOST_BYTES: Final = 16 * 1024 * 1024
#: Proxies and namespaces that one request may name, and proxies of one answer.
MOST_NAMED: Final = 64
MOST_PROXIES: Final = 1_000
#: Workers of one replica.
MOST_WORKERS: Final = 64
#: JSON's numbers are exact up to here in every reader.
_LARGEST: Final = 2**53 - 1
#: The times of a document are epoch milliseconds before the year 2248.
_LATEST: Final = 2**43
#: The header that holds the bearer of evidence where ``Authorization`` does not arrive: the API server removes that one
#: from requests which it passes on to Pods. It opens ``/evidence`` and nothing else.
TOKEN_HEADER: Final = "Ostiary-Evidence-Token"  # noqa: S105  the name of a header, not a token

Number: TypeAlias = Annotated[int, Field(ge=0, le=_LARGEST)]
EpochMilliseconds: TypeAlias = Annotated[int, Field(ge=0, lt=_LATEST)]
Seconds: TypeAlias = Annotated[float, Field(ge=0, allow_inf_nan=False, strict=False)]
Milliseconds: TypeAlias = Annotated[float, Field(ge=0, allow_inf_nan=False, strict=False)]
Name: TypeAlias = Annotated[str, Field(max_length=MOST_NAME)]
Text: TypeAlias = Annotated[str, Field(max_length=MOST_TEXT)]
#: ``namespace/name`` of an object; empty for requests that no proxy serves.
Identity: TypeAlias = Annotated[str, Field(max_length=320)]
Word: TypeAlias = Annotated[str, Field(max_length=64)]


class EvidencePath(StrEnum):
    """The paths of the admin port that the evidence bearer opens, all by GET."""

    TRAFFIC = "/evidence/traffic"
    CALLS = "/evidence/calls"
    REFUSALS = "/evidence/refusals"
    LIMITS = "/evidence/limits"
    DEFINITIONS = "/evidence/definitions"
    CAPTURE = "/evidence/capture"


class EvidencePart(BaseModel):
    """The base of everything in a document."""

    model_config = ConfigDict(
        frozen=True,
        strict=True,
        extra="ignore",
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        allow_inf_nan=False,
    )


class EvidenceDocument(EvidencePart):
    """What every document says first.

    ``replica`` is the process that answers and ``gateway`` its identity. ``now`` is the replica's clock, and ``since``
    when it began to record: nothing earlier is known. Without ``recording`` it is off in the gateway's settings.
    ``missing_workers`` are those of a gateway with several workers that did not answer: what they served is not here.
    """

    replica: Name
    gateway: Identity = ""
    since: EpochMilliseconds
    now: EpochMilliseconds
    recording: bool = True
    missing_workers: Annotated[tuple[Number, ...], Field(max_length=MOST_WORKERS, strict=False)] = ()
