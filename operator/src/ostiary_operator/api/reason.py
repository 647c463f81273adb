"""What a reason of a condition is: a word that carries what it means and what to do."""

import enum
from typing import Final, Self

NOTHING: Final = "Nothing is to be done."
WAIT: Final = "Wait a few seconds. If it stays, see whether the operator runs and what it logs."


class Reason(enum.StrEnum):
    """Base of the reasons of one condition type. A member is (reason, what it means, what to do)."""

    meaning: str
    remedy: str

    def __new__(cls, value: str, meaning: str, remedy: str) -> Self:
        """Make a string that carries its explanation."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.meaning = meaning
        member.remedy = remedy
        return member
