"""Several detectors joined into one RE2 expression: one search for candidates of them all.

Most texts hold no candidate, and that is known after one pass at the speed of memory. Where there is one, each detector
looks for itself: the leftmost match of a joined expression hides what begins within it.
"""

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, Final

from ostiary_core.content.detection.detector import Detector, Hit
from ostiary_core.policy.name_matcher import compile_expression

#: Bytes for the program and states of a joined expression. With less RE2 builds states again and again.
_MEMORY: Final = 8 << 20
#: Automata that are kept: proxies with the same kinds share one.
_KEPT: Final = 64
_ANCHOR: Final = re.compile(r"\\[AzB]|\^|\$")
_CLASS: Final = re.compile(r"\[\^|\\[\^$\\]")


class Automaton:
    """Finds what several detectors find.

    ``is_anchored`` tells that one of them asks for the beginning or end of a text, so that texts cannot be joined for a
    first search.

    Raises:
        PatternError: a pattern is invalid, or all together are too large.
    """

    def __init__(self, detectors: tuple[Detector, ...]) -> None:
        self.detectors = detectors
        self._each: list[tuple[Detector, Any]] = [(each, each.compiled()) for each in detectors]
        joined = "|".join(f"(?:{each.expression})" for each in detectors)
        self._joined = compile_expression(joined, memory=_MEMORY) if detectors else None
        self.is_anchored = any(_ANCHOR.search(_CLASS.sub("", each.expression)) for each in detectors)

    @property
    def weight(self) -> int:
        """The instructions of the joined program, for budgets."""
        return int(self._joined.programsize) if self._joined is not None else 0

    def may_match(self, text: bytes) -> bool:
        """Return whether a text holds a candidate; frees the interpreter's lock meanwhile."""
        return self._joined is not None and self._joined.search(text) is not None

    def find(self, text: bytes) -> list[Hit]:
        """Return all hits in a text, in the order of their places; they may overlap."""
        hits = [Hit(*span, each) for each, expression in self._each for span in each.spans(expression, text)]
        return sorted(hits, key=lambda hit: hit[:2])


@lru_cache(maxsize=_KEPT)
def automaton_of(detectors: tuple[Detector, ...]) -> Automaton:
    """Return the automaton of these detectors, which is shared by all that use the same.

    Raises:
        PatternError: a pattern is invalid, or all together are too large.
    """
    return Automaton(detectors)


def joined(detectors: Iterable[Detector]) -> Automaton:
    """Return the automaton of a set of detectors, in whatever order they come.

    Raises:
        PatternError: a pattern is invalid, or all together are too large.
    """
    return automaton_of(tuple(sorted(set(detectors), key=lambda each: (each.name, each.expression))))
