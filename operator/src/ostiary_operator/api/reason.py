"""The base class of condition reasons: each has a name, a meaning and a remedy."""

import enum
from typing import Final, Self

NOTHING: Final = "Nothing to do."
WAIT: Final = "Wait a few seconds. If it stays, check that the operator runs, and read its log."


class Reason(enum.StrEnum):
    """Base of the reasons of one condition type.

    A member is (reason, what it means, what to do).
    """

    meaning: str
    remedy: str

    def __new__(cls, value: str, meaning: str, remedy: str) -> Self:
        """Make a string with its meaning and remedy."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.meaning = meaning
        member.remedy = remedy
        return member
