"""What stands around a candidate: whether a word or number goes on, and which word is near."""

import re
from collections.abc import Iterable
from typing import Final

#: The bytes before a candidate in which a word that explains it is looked for.
_NEAR: Final = 48


def continues(text: bytes, end: int) -> bool:
    """Return whether a letter or digit of ASCII stands at ``end``, or the decimals of a number."""
    following = text[end : end + 2]
    return following[:1].isalnum() or (following[:1] == b"." and following[1:].isdigit())


def is_continuation(text: bytes, start: int) -> bool:
    """Return whether a letter or digit of ASCII stands before ``start``, or a decimal point."""
    before = text[max(0, start - 2) : start]
    return before[-1:].isalnum() or (before[-1:] == b"." and before[:1].isdigit() and len(before) == 2)


def stands_alone(text: bytes, start: int, end: int) -> bool:
    """Return whether neither side continues it."""
    return not is_continuation(text, start) and not continues(text, end)


def before(text: bytes, start: int, *, most: int = _NEAR) -> bytes:
    """Return what stands before a candidate, as far as it can explain it."""
    return text[max(0, start - most) : start]


def words(some: Iterable[str]) -> str:
    """Return an RE2 group that finds one of these expressions, in any case."""
    return f"(?i:{'|'.join(some)})"


_CAMEL: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_BETWEEN_WORDS: Final = str.maketrans("_-.", "   ")


def as_words(key: str) -> str:
    """Return the key of an object as a text says it: `homePhone` is `home Phone`."""
    return _CAMEL.sub(" ", key).translate(_BETWEEN_WORDS)
