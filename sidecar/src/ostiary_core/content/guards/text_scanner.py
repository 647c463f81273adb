"""Find in one text what guards look for, in slices, in time that is linear in its length.

A text is folded, then searched for signatures and secrets, and once more with what is encoded in it decoded. A slice
takes about a millisecond, also where each of its characters almost begins a match, so no thread is needed. A text of
very many finds ends in one that covers the rest: what is cut out or refused then is more than was found, never less.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Final, NamedTuple

from ostiary_core.content.detection.automaton import Automaton, automaton_of
from ostiary_core.content.detection.detector import Hit
from ostiary_core.content.detection.kinds import DETECTORS
from ostiary_core.content.detection.near_matches import NearMatches
from ostiary_core.content.guards.decoding import Decoded, decoded
from ostiary_core.content.guards.folding import fold, folded_places
from ostiary_core.content.guards.hidden_html import hidden_html_spans
from ostiary_core.content.guards.hidden_text import hidden_spans
from ostiary_core.content.guards.signature_search import MOST_CHARACTERS, SignatureMatch, SignatureSearch
from ostiary_core.contract.content import Direction
from ostiary_core.contract.guards import GuardDetector, Sensitivity, SignatureConfig
from ostiary_core.contract.masks import DetectedKind
from ostiary_core.steps import Steps

#: Characters of a slice; two slices share as many as a match can have.
_SLICE: Final = 8_192
#: Finds in one text that are told apart.
_MOST_HITS: Final = 256
_SURROGATE: Final = re.compile("[\ud800-\udfff]")


class GuardHit(NamedTuple):
    """What was found in a text: the detector, the signature or means, and the place."""

    detector: str
    signature: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class TextScanner:
    """Finds hidden text, signatures and secrets in texts of one direction.

    Safe to use in several threads.
    """

    finds_hidden: bool
    sensitivity: Sensitivity
    _search: SignatureSearch | None
    _secrets: Automaton | None

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
        search = SignatureSearch.build(detectors, sensitivity=sensitivity, direction=direction, signatures=signatures)
        secrets = automaton_of((DETECTORS[DetectedKind.SECRET],)) if GuardDetector.SECRET_OUT in detectors else None
        return cls(GuardDetector.HIDDEN_TEXT in detectors, sensitivity, search, secrets)

    def scanning(self, text: str) -> Steps[list[GuardHit]]:
        """Return everything that is found in a text, by place; a place is counted in characters."""
        text = _encodable(text)
        hits: set[GuardHit] = set()
        for some in chain(self._hidden(text) if self.finds_hidden else (), self._in_slices(text)):
            if some is None:
                yield
                continue
            if len(hits) == _MOST_HITS:
                hits.add(some._replace(end=len(text)))
                break
            hits.add(some)
        return sorted(hits, key=lambda hit: (hit.start, hit.end))

    def _hidden(self, text: str) -> Iterator[GuardHit | None]:
        """Yield hidden text; None where others may run."""
        found = chain(
            hidden_spans(text, sensitivity=self.sensitivity), hidden_html_spans(text, sensitivity=self.sensitivity)
        )
        for span in found:
            yield GuardHit(GuardDetector.HIDDEN_TEXT, span.means, span.start, span.end) if span is not None else None

    def _in_slices(self, text: str) -> Iterator[GuardHit | None]:
        if self._search is None and self._secrets is None:
            return
        near = NearMatches()
        for start in range(0, max(len(text) - MOST_CHARACTERS, 1), _SLICE):
            if start:
                yield None
            part = text[start : start + _SLICE + MOST_CHARACTERS]
            for hit in self._in_slice(part, near):
                yield hit._replace(start=hit.start + start, end=hit.end + start) if hit is not None else None

    def _in_slice(self, text: str, near: NearMatches) -> Iterator[GuardHit | None]:
        """Yield what is found in a text as written, as a reader sees it, and decoded."""
        folded = fold(text)
        yield from self._secrets_in(text, near)
        yield from self._folded(text, folded, near)
        plain = decoded(folded)
        if plain is not None:
            yield from self._decoded(text, plain, near)

    def _folded(self, text: str, folded: str, near: NearMatches) -> Iterator[GuardHit | None]:
        places: Sequence[int] | None = None
        for hit in chain(self._signatures(folded), self._secrets_in(folded, near) if folded != text else ()):
            places = places or folded_places(text)
            yield None if hit is None else hit._replace(start=places[hit.start], end=_end(places, hit.end))

    def _decoded(self, text: str, plain: Decoded, near: NearMatches) -> Iterator[GuardHit | None]:
        """Yield what is found in a text that was decoded; what was encoded is one place."""
        places, inner = folded_places(text), folded_places(plain.text)
        folded = fold(plain.text)
        for hit in chain(self._signatures(folded), self._secrets_in(folded, near)):
            if hit is None:
                yield None
            else:
                first, last = plain.span(inner[hit.start], _end(inner, hit.end))
                yield hit._replace(start=places[first], end=_end(places, last))

    def _signatures(self, folded: str) -> Iterator[GuardHit | None]:
        for match in self._search.matches(folded) if self._search is not None else ():
            yield _hit(match) if match is not None else None

    def _secrets_in(self, text: str, near: NearMatches) -> Iterator[GuardHit | None]:
        if self._secrets is None:
            return
        encoded = text.encode()
        if self._secrets.may_match(encoded):
            found: list[Hit] = []
            for _ in _collected(self._secrets.finding(encoded, near), found):
                yield None
            for start, end, _ in found:
                first = len(encoded[:start].decode())
                last = first + len(encoded[start:end].decode())
                yield GuardHit(GuardDetector.SECRET_OUT, "secret", first, last)


def _collected(steps: Steps[list[Hit]], hits: list[Hit]) -> Steps[None]:
    """Take the steps of a search in a short text, and put what it finds into ``hits``."""
    hits += yield from steps


def _encodable(text: str) -> str:
    """Return a text without lone surrogates, which no search accepts, of the same length."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return _SURROGATE.sub("\ufffd", text)
    return text


def _end(places: Sequence[int], end: int) -> int:
    """Return the place behind the last character of a match.

    What was folded away behind it is left out.
    """
    return places[end - 1] + 1 if end else places[0]


def _hit(match: SignatureMatch) -> GuardHit:
    return GuardHit(match.detector, match.signature, match.start, match.end)
