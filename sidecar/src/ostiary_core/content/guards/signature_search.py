"""Search folded text for signatures: for all of them at once, then for each.

Almost every text is known to hold none of them after one search. Else each signature is searched near the matches only:
text in which everything almost matches costs not much more than other text.
"""

import functools
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from ostiary_core.content.guards.signatures import (
    Signature,
    ascii_bytes,
    built_in,
    compile_built_in,
    compile_signature,
)
from ostiary_core.contract.content import Direction
from ostiary_core.contract.guards import GuardDetector, Sensitivity, SignatureConfig

#: Characters that a match of a signature has at most.
MOST_CHARACTERS: Final = 1_024
#: Matches of one signature in one text that are told apart; from there on the rest of the text is one.
_MOST_MATCHES: Final = 64
#: Matches of all signatures together that are looked for in one step: each takes tens of microseconds.
_AT_ONCE: Final = 32
_ORDER: Final = tuple(Sensitivity)


class SignatureMatch(NamedTuple):
    """A match in folded text."""

    detector: str
    signature: str
    start: int
    end: int


class _Search(NamedTuple):
    """How one signature is searched: our own in bytes, those of owners in text."""

    detector: str
    name: str
    pattern: Any


@dataclass(frozen=True, slots=True)
class SignatureSearch:
    """Finds some of our signatures, and those of an owner. Safe to use in several threads."""

    _any: Any
    _own: tuple[_Search, ...]
    _of_owner: tuple[_Search, ...]

    @classmethod
    def build(
        cls,
        detectors: frozenset[GuardDetector],
        *,
        sensitivity: Sensitivity,
        direction: Direction,
        signatures: Sequence[SignatureConfig] = (),
    ) -> "SignatureSearch | None":
        """Compile the signatures of some detectors; None without any.

        Raises:
            PatternError: a signature of the owner is not valid.
        """
        joined, own = _built_in(detectors, sensitivity, direction)
        of_owner = tuple(_Search(each.name, each.name, compile_signature(each.pattern)) for each in signatures)
        return cls(joined, own, of_owner) if own or of_owner else None

    def matches(self, folded: str) -> Iterator[SignatureMatch | None]:
        """Yield every match in folded text; None where others may run."""
        for search in self._of_owner:
            yield from _matches(search, folded, 0)
        text = ascii_bytes(folded)
        if self._any is None or not self._any.search(text):
            return
        for start, end in (yield from _near(self._any, text)):
            part = text[start:end]
            for search in self._own:
                yield from _matches(search, part, start)
                yield None


def _near(pattern: Any, text: bytes) -> Generator[None, None, list[tuple[int, int]]]:
    """Return the parts of a text that can hold what overlaps a match, in steps."""
    parts: list[tuple[int, int]] = []
    for count, match in enumerate(pattern.finditer(text), 1):
        if count % _AT_ONCE == 0:
            yield
        start, end = match.start() - MOST_CHARACTERS, match.end() + MOST_CHARACTERS
        if parts and start <= parts[-1][1]:
            parts[-1] = (parts[-1][0], end)
        else:
            parts.append((max(start, 0), end))
    return parts


def _matches(search: _Search, text: str | bytes, offset: int) -> Iterator[SignatureMatch]:
    for count, match in enumerate(search.pattern.finditer(text)):
        start, end = match.span()
        if count == _MOST_MATCHES:
            yield SignatureMatch(search.detector, search.name, offset + start, offset + len(text))
            return
        yield SignatureMatch(search.detector, search.name, offset + start, offset + end)


@functools.lru_cache(maxsize=256)
def _built_in(
    detectors: frozenset[GuardDetector], sensitivity: Sensitivity, direction: Direction
) -> tuple[Any, tuple[_Search, ...]]:
    """Compile our own signatures of some detectors: one search for all, and one for each."""
    used = [each for each in built_in().signatures if _is_used(each, detectors, sensitivity, direction)]
    if not used:
        return None, ()
    return compile_built_in(used, is_rough=True), tuple(_search(each) for each in used)


def _is_used(
    signature: Signature, detectors: frozenset[GuardDetector], sensitivity: Sensitivity, direction: Direction
) -> bool:
    is_sensitive = _ORDER.index(signature.sensitivity) <= _ORDER.index(sensitivity)
    return signature.detector in detectors and is_sensitive and direction in signature.directions


@functools.lru_cache(maxsize=1024)
def _search(signature: Signature) -> _Search:
    return _Search(signature.detector, signature.name, compile_built_in([signature]))
