"""A detector: an RE2 expression that finds candidates, and what verifies them.

Everything works on UTF-8, so that RE2 need not translate positions. A match of an expression is only a candidate;
``verified`` decides in Python, and sees the text around it.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, TypeAlias

from ostiary_core.policy.name_matcher import compile_expression
from ostiary_core.steps import Steps

Span: TypeAlias = tuple[int, int]
#: Yields the values within a candidate (text, start, end); none where it is no such value.
Verifier: TypeAlias = Callable[[bytes, int, int], Iterator[Span]]
#: The memory of one detector's expression, and of the states that RE2 keeps while it searches.
_MEMORY: Final = 2 << 20
#: The most bytes of a candidate of a kind: what verifies it looks further by itself.
LONGEST_CANDIDATE: Final = 512
#: Hits that are looked at in one step.
_HITS_AT_ONCE: Final = 128


class Hit(NamedTuple):
    """A value that was found: its first byte, the byte behind it, and what found it."""

    start: int
    end: int
    detector: "Detector"


@dataclass(frozen=True, slots=True)
class Detector:
    """Finds one kind of values.

    ``name`` is what evidence calls it. One without ``verified`` is a policy's own pattern: every match counts, of any
    length. Two detectors are equal if they find the same: compiled forms are shared.
    ``normal`` turns what was found into a form that all spellings of one value share, for hashes. ``near`` are words
    (RE2) that say what a value is, also as the key of an object. ``resume`` says where the search goes on behind a
    candidate that is no value, if another may begin within it.
    """

    name: str
    expression: str
    verified: Verifier | None = None
    normal: Callable[[str], str] = str
    near: tuple[str, ...] = ()
    resume: Callable[[bytes, int, int], int] | None = None
    #: Computed once: each value that is found is counted by its detector.
    _hash: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_hash", hash((self.name, self.expression)))

    def __hash__(self) -> int:
        return self._hash

    def compiled(self) -> Any:
        """Return the compiled expression.

        Raises:
            PatternError: RE2 rejects it.
        """
        return compile_expression(self.expression, memory=_MEMORY)

    def candidates(self, expression: Any, text: bytes, start: int, end: int) -> Iterator[tuple[int, list[Span]]]:
        """Yield the place of each candidate that begins in a part of a text, and the values in it.

        Often there are none. ``expression`` is the compiled one.
        """
        place, last = start, min(len(text), end + LONGEST_CANDIDATE)
        while (match := expression.search(text, place, last)) is not None:
            begin, behind = match.span()
            if begin >= end:
                return
            found = self._values(text, begin, behind)
            yield begin, found
            place = max(self._resumed(text, begin, behind, found), begin + 1)

    def _values(self, text: bytes, start: int, end: int) -> list[Span]:
        if self.verified is not None:
            return list(self.verified(text, start, end))
        return [(start, end)] if end > start else []

    def _resumed(self, text: bytes, start: int, end: int, found: list[Span]) -> int:
        if found:
            return found[-1][1]
        return end if self.resume is None else self.resume(text, start, end)


def next_byte(text: bytes, start: int, end: int) -> int:  # noqa: ARG001  the signature of ``Detector.resume``
    """Go on behind the first byte of a candidate."""
    return start + 1


def own_pattern(name: str, pattern: str) -> Detector:
    """Return the detector of a policy's own pattern, in which every match counts."""
    return Detector(name, pattern)


def hits_as_set(hits: list[Hit]) -> Steps[set[Hit]]:
    """Return hits as a set, in steps."""
    found: set[Hit] = set()
    for start in range(0, len(hits), _HITS_AT_ONCE):
        if start:
            yield
        found.update(hits[start : start + _HITS_AT_ONCE])
    return found


def hits_in_characters(text: str, hits: list[Hit]) -> Steps[list[Hit]]:
    """Return hits with their places in characters, which were counted in bytes, in steps."""
    if text.isascii() or not hits:
        return hits
    raw = text.encode("utf-8", "replace")
    found: list[Hit] = []
    byte = character = 0
    for count, (start, end, detector) in enumerate(hits, 1):
        if count % _HITS_AT_ONCE == 0:
            yield
        character += len(raw[byte:start].decode("utf-8", "replace"))
        byte = start
        found.append(Hit(character, character + len(raw[start:end].decode("utf-8", "replace")), detector))
    return found
