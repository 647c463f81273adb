"""A detector: an RE2 expression that finds candidates, and what verifies them.

Everything works on UTF-8, so that RE2 need not translate positions. A match of an expression is only a candidate;
``verified`` decides in Python, and sees the text around it.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, TypeAlias

from ostiary_core.policy.name_matcher import compile_expression

Span: TypeAlias = tuple[int, int]
#: Yields the values within a candidate (text, start, end); none where it is no such value.
Verifier: TypeAlias = Callable[[bytes, int, int], Iterator[Span]]
#: The memory of one detector's expression, and of the states that RE2 keeps while it searches.
_MEMORY: Final = 2 << 20


class Hit(NamedTuple):
    """A value that was found: its first byte, the byte behind it, and what found it."""

    start: int
    end: int
    detector: "Detector"


@dataclass(frozen=True, slots=True)
class Detector:
    """Finds one kind of values.

    ``name`` is what evidence calls it. Two detectors are equal if they find the same: compiled forms are shared.
    ``normal`` turns what was found into a form that all spellings of one value share, for hashes.
    """

    name: str
    expression: str
    verified: Verifier | None = None
    normal: Callable[[str], str] = str

    def compiled(self) -> Any:
        """Return the compiled expression.

        Raises:
            PatternError: RE2 rejects it.
        """
        return compile_expression(self.expression, memory=_MEMORY)

    def spans(self, expression: Any, text: bytes) -> Iterator[Span]:
        """Yield what it finds in a text; ``expression`` is its compiled one."""
        for match in expression.finditer(text):
            start, end = match.span()
            if self.verified is not None:
                yield from self.verified(text, start, end)
            elif end > start:
                yield start, end


def own_pattern(name: str, pattern: str) -> Detector:
    """Return the detector of a policy's own pattern, in which every match counts."""
    return Detector(name, pattern)
