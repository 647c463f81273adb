"""The request to a scorer and its response: a service of the owner that judges texts.

Both are published as JSON Schemas (``schemas/scorer-request.schema.json`` and ``scorer-response.schema.json``). A
response is not believed: what does not fit the texts that were sent counts as no response.
"""

import enum
from typing import Annotated, Final, Literal, Self, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

from ostiary_core.contract.content import Direction

#: The most texts of one request, and spans of one response.
MOST_TEXTS: Final = 1024
MOST_SPANS: Final = 1024
#: The most bytes of a response.
RESPONSE_BYTES: Final = 256 * 1024
_CLOSED: Final = ConfigDict(
    extra="forbid", strict=True, frozen=True, alias_generator=to_camel, validate_by_name=True, validate_by_alias=True
)
#: A position in a text, in Unicode code points.
Position: TypeAlias = Annotated[int, Field(ge=0, le=2**31 - 1)]


class ScoredText(BaseModel):
    """One text of a message.

    ``place`` is a JSON Pointer (RFC 6901) from the root of the JSON-RPC message, such as `/result/content/0/text`. Its
    names are as the message has them: of masked members, too.
    """

    model_config = _CLOSED

    place: str
    text: str


class ScorerRequest(BaseModel):
    """The texts of one message that a scorer judges.

    ``version`` is that of this form. ``method`` is the method of the message or of the request that it answers, such as
    `tools/call`, and ``name`` the tool, prompt or URI that it is about; both are empty where that is not known.
    """

    model_config = _CLOSED

    version: Literal[1] = 1
    direction: Direction
    method: str = ""
    name: str = ""
    texts: list[ScoredText] = Field(min_length=1, max_length=MOST_TEXTS)


class ScorerVerdict(enum.StrEnum):
    """Whether a message may go on as it is.

    Flag lets the guard do what its `action` says.
    """

    PASS = "Pass"  # noqa: S105 - a verdict
    FLAG = "Flag"


class ScoredSpan(BaseModel):
    """A part of a text that the verdict is about.

    ``text`` is the position of the text in `texts` of the request. ``start`` and ``end`` are positions in it, in
    Unicode code points; ``end`` is behind the part. ``label`` says what it is, for people: the gateway ignores it.
    """

    model_config = _CLOSED

    text: Annotated[int, Field(ge=0, lt=MOST_TEXTS)]
    start: Position
    end: Position
    label: str = Field(default="", max_length=64, pattern=r"^[A-Za-z0-9_.-]*$")

    @model_validator(mode="after")
    def _check_order(self) -> Self:
        if self.end <= self.start:
            raise ValueError("a span ends behind its start")
        return self


class ScorerResponse(BaseModel):
    """What a scorer says of a message.

    Without ``spans`` a flag is about all texts. Pass has no spans.
    """

    model_config = _CLOSED

    verdict: ScorerVerdict = Field(strict=False)
    spans: list[ScoredSpan] = Field(default_factory=list, max_length=MOST_SPANS)

    @model_validator(mode="after")
    def _check_spans(self) -> Self:
        if self.verdict is ScorerVerdict.PASS and self.spans:
            raise ValueError("spans are parts that are flagged: the verdict is Flag")
        return self
