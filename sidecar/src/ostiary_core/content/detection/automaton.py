"""Several detectors joined into one RE2 expression: one search for candidates of them all.

Most texts hold no candidate, and that is known after one pass at the speed of memory. Where there is one, each detector
looks for itself: the leftmost match of a joined expression hides what begins within it.
"""

import re
from collections.abc import Iterable
from functools import lru_cache
from itertools import islice
from typing import Any, Final

from ostiary_core.content.detection.detector import LONGEST_CANDIDATE, Detector, Hit, Span
from ostiary_core.content.detection.near_matches import NearMatches
from ostiary_core.content.detection.surroundings import as_words, words
from ostiary_core.policy.name_matcher import compile_expression
from ostiary_core.steps import THREAD_BYTES, InThread, Steps, run_steps, sorting

#: Bytes for the program and states of a joined expression. With less RE2 builds states again and again.
_MEMORY: Final = 8 << 20
#: Automata that are kept: proxies with the same kinds share one.
_KEPT: Final = 64
#: Places of candidates that are looked for in one step.
_AT_ONCE: Final = 128
#: Candidates that are judged in one step: each may take some microseconds, whatever it is.
_JUDGED_AT_ONCE: Final = 16
#: Keys whose meaning is remembered by an automaton, and the characters of one that are looked at.
_KEPT_KEYS: Final = 4096
LONGEST_KEY: Final = 128
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
        self._source = joined
        self._joined = compile_expression(joined, memory=_MEMORY) if detectors else None
        near = sorted({word for each in detectors for word in each.near})
        self._near = compile_expression(words(near), memory=_MEMORY) if near else None
        self._with_others: dict[str, Any] = {}
        self._explained: dict[str, bool] = {}
        self.is_anchored = any(_ANCHOR.search(_CLASS.sub("", each.expression)) for each in detectors)

    @property
    def weight(self) -> int:
        """The instructions of the joined program, for budgets."""
        return int(self._joined.programsize) if self._joined is not None else 0

    def may_match(self, text: bytes) -> bool:
        """Return whether a text holds a candidate; frees the interpreter's lock meanwhile."""
        return self._joined is not None and self._joined.search(text) is not None

    def may_match_or(self, other: str, text: bytes) -> bool:
        """Return whether a text holds a candidate, or matches another expression, by one search."""
        found = self._with_others.get(other)
        if found is None:
            joined = f"{self._source}|{other}" if self.detectors else other
            found = self._with_others[other] = compile_expression(joined, memory=_MEMORY)
        return found.search(text) is not None

    def find(self, text: bytes) -> list[Hit]:
        """Return all hits in a text, in the order of their places; they may overlap."""
        return run_steps(self.finding(text))

    def finding(self, text: bytes, near: NearMatches | None = None) -> Steps[list[Hit]]:
        """Find like :meth:`find`, in steps.

        ``near`` counts for all texts of one message what was found not to be a value; without it the text is one.
        """
        near = near or NearMatches()
        hits: list[Hit] = []
        parts = yield from self._parts(text)
        for detector, expression in self._each if parts else ():
            of_it = parts if detector.verified is not None else [(0, len(text))]
            for part in of_it:
                if hits and hits[-1].end == len(text) and near.are_too_many(detector):
                    break  # the rest is one
                hits += yield from _in_part((detector, expression), text, part, near)
            yield
        found = yield from sorting(hits, lambda hit: hit[:2])
        return found

    def explains(self, key: str) -> bool:
        """Return whether the key of an object says to a detector what its value is."""
        known = self._explained.get(key)
        if known is None:
            known = self._near is not None and self._near.search(as_words(key[:LONGEST_KEY])) is not None
            if len(self._explained) < _KEPT_KEYS:
                self._explained[key] = known
        return known

    def _parts(self, text: bytes) -> Steps[list[Span]]:
        """Return the parts of a text in which candidates begin."""
        parts: list[Span] = []
        place = 0
        while place <= len(text) and self._joined is not None:
            spans = yield from _some_spans(self._joined, text, place)
            for start, end in spans:
                if parts and start - parts[-1][1] < LONGEST_CANDIDATE:
                    parts[-1] = (parts[-1][0], end)
                else:
                    parts.append((start, end))
            if len(spans) < _AT_ONCE:
                break
            place = max(spans[-1][1], spans[-1][0] + 1)
            yield
        return parts


def _some_spans(expression: Any, text: bytes, place: int) -> Steps[list[Span]]:
    """Return the next matches in a text; searched in a thread where much is left."""

    def search() -> list[Span]:
        return [match.span() for match in islice(expression.finditer(text, place), _AT_ONCE)]

    if len(text) - place < THREAD_BYTES:
        return search()
    found: list[Span] = yield InThread(search)
    return found


def _in_part(searched: tuple[Detector, Any], text: bytes, part: Span, near: NearMatches) -> Steps[list[Hit]]:
    detector, expression = searched
    hits: list[Hit] = []
    for count, (start, found) in enumerate(detector.candidates(expression, text, *part), 1):
        if near.are_too_many(detector):
            return [*hits, Hit(start, len(text), detector)]
        if not found:
            near.add(detector)
        hits += [Hit(*span, detector) for span in found]
        if count % _JUDGED_AT_ONCE == 0:
            yield
    return hits


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
