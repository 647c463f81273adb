"""Find in one text what guards look for, in slices, in time that is linear in its length.

A text is folded, then searched once for all signatures together; only where that finds something, each signature says
where. What is encoded in the text is decoded once and searched again. A slice of a text takes about a millisecond, also
where each of its characters almost begins a match, so no thread is needed. A signature sees at most
:data:`MOST_CHARACTERS` characters at once.
"""

import functools
import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from ostiary_core.content.guards.decoding import Decoded, decoded
from ostiary_core.content.guards.folding import fold, folded_places
from ostiary_core.content.guards.hidden_html import hidden_html_spans
from ostiary_core.content.guards.hidden_text import hidden_spans
from ostiary_core.content.guards.signatures import (
    Signature,
    ascii_bytes,
    built_in,
    compile_built_in,
    compile_signature,
)
from ostiary_core.contract.content import Direction
from ostiary_core.contract.guards import GuardDetector, Sensitivity, SignatureConfig
from ostiary_core.steps import Steps

#: Characters of a slice.
_SLICE: Final = 16_384
#: Characters that two slices share: no match of a signature is longer.
MOST_CHARACTERS: Final = 1_024
#: Matches of one signature in one slice that are reported; more change nothing but the time.
_MOST_MATCHES: Final = 64
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_ORDER: Final = tuple(Sensitivity)


class GuardHit(NamedTuple):
    """What was found in a text: the detector, the signature or means, and the place."""

    detector: str
    signature: str
    start: int
    end: int


class _Search(NamedTuple):
    """How one signature is searched in folded text, or all of them at once."""

    detector: str
    name: str
    #: Yields the spans of matches in folded text.
    spans: Callable[[str], Iterator[tuple[int, int]]]


@dataclass(frozen=True, slots=True)
class TextScanner:
    """Finds hidden text and signatures in texts of one direction.

    Safe to use in several threads.
    """

    finds_hidden: bool
    sensitivity: Sensitivity
    #: Whether any of our own signatures is in folded text, as bytes; None without any of them.
    _any: Any
    _searches: tuple[_Search, ...]
    _owners: tuple[_Search, ...]

    @classmethod
    def build(
        cls,
        detect: Iterable[GuardDetector],
        *,
        sensitivity: Sensitivity,
        direction: Direction,
        signatures: Sequence[SignatureConfig] = (),
    ) -> "TextScanner":
        """Compile what a guard detects; guards that detect the same share our own signatures.

        Raises:
            PatternError: a signature of the owner is not valid.
        """
        detectors = frozenset(detect)
        joined, searches = _built_in(detectors, sensitivity, direction)
        owners = tuple(_Search(each.name, each.name, _in_text(compile_signature(each.pattern))) for each in signatures)
        return cls(GuardDetector.HIDDEN_TEXT in detectors, sensitivity, joined, searches, owners)

    def scanning(self, text: str) -> Steps[list[GuardHit]]:
        """Return everything that is found in a text, by place; a place is counted in characters."""
        text = _encodable(text)
        hits = list(self._hidden(text)) if self.finds_hidden else []
        if self._any is None and not self._owners:
            return sorted(hits, key=_place)
        for start in range(0, max(len(text) - MOST_CHARACTERS, 1), _SLICE):
            if start:
                yield
            end = start + _SLICE + MOST_CHARACTERS
            hits.extend(_moved(hit, start) for hit in self._in_slice(text[start:end]))
        return sorted(set(hits), key=_place)

    def _hidden(self, text: str) -> Iterator[GuardHit]:
        spans = (
            hidden_spans(text, sensitivity=self.sensitivity),
            hidden_html_spans(text, sensitivity=self.sensitivity),
        )
        for start, end, means in itertools.chain(*spans):
            yield GuardHit(GuardDetector.HIDDEN_TEXT, means, start, end)

    def _in_slice(self, text: str) -> Iterator[GuardHit]:
        folded = fold(text)
        if found := self._found(folded):
            places = folded_places(text)
            for search, start, end in found:
                yield GuardHit(search.detector, search.name, places[start], _end(places, end))
        plain = decoded(folded)
        if plain is not None and (found := self._found(fold(plain.text))):
            yield from _of_decoded(text, plain, found)

    def _found(self, folded: str) -> list[tuple[_Search, int, int]]:
        searches = self._owners
        if self._any is not None and self._any.search(ascii_bytes(folded)):
            searches += self._searches
        return [(search, start, end) for search in searches for start, end in search.spans(folded)]


def _encodable(text: str) -> str:
    """Return a text without lone surrogates, which no search accepts, of the same length."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return _SURROGATE.sub("\ufffd", text)
    return text


def _place(hit: GuardHit) -> tuple[int, int]:
    return hit.start, hit.end


def _moved(hit: GuardHit, by: int) -> GuardHit:
    return hit._replace(start=hit.start + by, end=hit.end + by) if by else hit


def _end(places: Sequence[int], end: int) -> int:
    """Return the place behind the last character of a match.

    What was folded away behind it is left out.
    """
    return places[end - 1] + 1 if end else places[0]


def _of_decoded(text: str, plain: Decoded, found: Iterable[tuple[_Search, int, int]]) -> Iterator[GuardHit]:
    places, inner = folded_places(text), folded_places(plain.text)
    for search, start, end in found:
        first, last = plain.span(inner[start], _end(inner, end))
        yield GuardHit(search.detector, search.name, places[first], _end(places, last))


@functools.lru_cache(maxsize=256)
def _built_in(
    detectors: frozenset[GuardDetector], sensitivity: Sensitivity, direction: Direction
) -> tuple[Any, tuple[_Search, ...]]:
    """Compile our own signatures of some detectors: one search for all, and one for each."""
    used = [each for each in built_in().signatures if _is_used(each, detectors, sensitivity, direction)]
    if not used:
        return None, ()
    return compile_built_in(used), tuple(_search(each) for each in used)


def _is_used(
    signature: Signature, detectors: frozenset[GuardDetector], sensitivity: Sensitivity, direction: Direction
) -> bool:
    is_sensitive = _ORDER.index(signature.sensitivity) <= _ORDER.index(sensitivity)
    return signature.detector in detectors and is_sensitive and direction in signature.directions


@functools.lru_cache(maxsize=1024)
def _search(signature: Signature) -> _Search:
    return _Search(signature.detector, signature.name, _in_bytes(compile_built_in([signature])))


def _in_bytes(pattern: Any) -> Callable[[str], Iterator[tuple[int, int]]]:
    return lambda folded: _spans(pattern, ascii_bytes(folded))


def _in_text(pattern: Any) -> Callable[[str], Iterator[tuple[int, int]]]:
    return lambda folded: _spans(pattern, folded)


def _spans(pattern: Any, text: str | bytes) -> Iterator[tuple[int, int]]:
    for count, match in enumerate(pattern.finditer(text)):
        if count == _MOST_MATCHES:
            return
        yield match.span()
