"""The types of a replica's report, which is untrusted input.

Texts become one line of limited length, without characters that a terminal would follow.
"""

import re
from typing import Annotated, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictInt, StrictStr

#: The most characters of a message, and of a name.
_MESSAGE: Final = 500
_NAME: Final = 128
_UNPRINTABLE: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]+")
_WORD: Final = re.compile(r"[A-Za-z][A-Za-z0-9]{0,63}")


def _one_line(value: object) -> object:
    return _UNPRINTABLE.sub(" ", value)[:_MESSAGE] if isinstance(value, str) else value


def _short(value: object) -> object:
    return _UNPRINTABLE.sub(" ", value)[:_NAME] if isinstance(value, str) else value


def _word(value: object) -> object:
    return value if isinstance(value, str) and _WORD.fullmatch(value) else "Invalid"


Line = Annotated[StrictStr, BeforeValidator(_one_line)]
"""A message as one line."""

ReasonWord = Annotated[StrictStr, BeforeValidator(_word)]
"""A reason in one word; `Invalid` where it is none."""

ShortName = Annotated[StrictStr, BeforeValidator(_short)]
"""A name of limited length."""

SmallNumber = Annotated[StrictInt, Field(ge=0, lt=10**6)]
"""A number of things."""


ReportedDigest = Annotated[StrictStr, Field(pattern=r"^[0-9a-f]{64}$")]
"""The digest of a document."""

ReportedIdentity = Annotated[StrictStr, Field(max_length=320)]
"""``namespace/name`` of an object."""


class ReportPart(BaseModel):
    """A part of a report. Members that this version does not know are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore")
