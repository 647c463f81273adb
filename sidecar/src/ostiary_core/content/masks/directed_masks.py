"""The masks of one direction, with one automaton for all that they look for."""

import re
from collections.abc import Iterable, Sequence
from typing import Final

from ostiary_core.content.detection.automaton import LONGEST_KEY, Automaton, joined
from ostiary_core.content.detection.detector import Detector
from ostiary_core.content.detection.surroundings import as_words
from ostiary_core.content.encoded_text import data_texts, may_hold_data
from ostiary_core.content.masks.compiled_mask import CompiledMask
from ostiary_core.content.masks.escaped_json import readings_of_json
from ostiary_core.content.masks.neighbouring_blocks import runs_of
from ostiary_core.content.masks.unescaped_text import may_hide, splits_bytes, unescaped
from ostiary_core.content.places import PLACES_AT_ONCE, PlaceKind, ReadablePlace
from ostiary_core.policy.name_matcher import compile_expression
from ostiary_core.steps import THREAD_BYTES, InThread, Steps

_SAYS_NOTHING: Final = frozenset({PlaceKind.KEY, PlaceKind.BLOB})
_TEXT: Final = b'"text"'
#: Keys of base64, without quotes: those may be escaped, in JSON within a text.
_BLOB: Final = b"blob"
_DATA: Final = b"data"
_MIME_TYPE: Final = b"mimeType"
#: A text block has these words twice, as its type and as a key.
_ONE_BLOCK: Final = 2
_STRUCTURED: Final = "structuredContent"
#: Digits of other scripts, full-width characters of numbers and addresses: models read them as those of ASCII.
_OTHER_DIGITS: Final = "".join(
    chr(zero + digit) for zero in (0x660, 0x6F0, 0x966, 0xFF10, 0x1D7CE, 0x1D7D8, 0x1D7E2) for digit in range(10)
)
_OTHER_SIGNS: Final = "\uff20\uff0e\uff0d\uff0b\uff1a"
_FOLDED: Final = str.maketrans(_OTHER_DIGITS + _OTHER_SIGNS, "0123456789" * 7 + "@.-+:")
_HAS_OTHER: Final = re.compile(f"[{_OTHER_DIGITS}{_OTHER_SIGNS}]")
_HAS_OTHER_BYTES: Final = compile_expression(f"[{_OTHER_DIGITS}{_OTHER_SIGNS}]")
#: What a URI may hide a character of a value behind.
_PERCENT: Final = re.compile(rb"%(?:[2-7][0-9a-fA-F]|(?i:E2|C2|EF)%)")
#: Up to so many characters Python's own expressions are faster than RE2 with what has to be encoded.
_SHORT: Final = 512
#: A number that is written with an exponent: only a parser knows its digits.
_EXPONENT: Final = re.compile(r"[0-9]\.[0-9]{5,}[eE]")
#: Values in a list, which the key before the list explains: between them stands what no expression looks across.
_IN_LISTS: Final = (
    r'"\s*:\s*\[\s*(?:["\-0-9\[]|true|false|null)|[}\]]\s*,\s*(?:[\-0-9\[]|true|false|null|"[^"]*"\s*[,\]])'
)
#: What more than one search is needed for: several text blocks, base64, characters behind a percent sign, exponents,
#: and numbers that may be out of range (:func:`.may_hold_wild_numbers`).
_TO_BE_PARSED: Final = (
    r'"text"(?s:.*)"text"(?s:.*)"text"|blob|mimeType|64,|%[2-7][0-9a-fA-F]|[0-9]\.[0-9]{5,}[eE]|'
    rf"[0-9][eE]\+?[0-9]{{3}}|[0-9]{{18}}|{_IN_LISTS}"
)


class DirectedMasks:
    """The masks of one direction.

    ``owners`` are the masks that ask for what a detector finds; ``fields`` the places that masks name.

    Raises:
        PatternError: the patterns together are too large.
    """

    __slots__ = ("automaton", "fields", "masks", "owners", "structured_fields")

    def __init__(self, masks: Sequence[CompiledMask]) -> None:
        self.masks = masks
        self.owners: dict[Detector, list[CompiledMask]] = {}
        for mask in masks:
            for detector in (*mask.detectors, *(each for _, each in mask.fields)):
                self.owners.setdefault(detector, []).append(mask)
        self.automaton: Automaton = joined(each for mask in masks for each in mask.detectors)
        self.fields = [(path, detector) for mask in masks for path, detector in mask.fields]
        #: Those below structured content, from there: servers repeat it as JSON in a text.
        self.structured_fields = [(path[1:], each) for path, each in self.fields if path[:1] == (_STRUCTURED,)]

    def holds_nothing(self, text: bytes) -> bool:
        """Return whether a text of JSON certainly holds nothing that a mask is about.

        Then it holds no number out of range, either. That takes one search.
        """
        if self.fields or self.automaton.is_anchored or _may_hide(text):
            return False
        readings = readings_of_json(text)
        return readings is not None and not any(self.automaton.may_match_or(_TO_BE_PARSED, each) for each in readings)

    def may_match_json(self, text: bytes) -> bool:
        """Return whether a text of JSON could hold anything that a mask is about."""
        if self.fields or self.automaton.is_anchored:
            return True
        readings = readings_of_json(text)
        if readings is None or any(self.automaton.may_match_or(_IN_LISTS, each) for each in readings):
            return True
        if text.count(_TEXT) > _ONE_BLOCK:
            return True  # a value may be spread over several blocks
        if _BLOB in text or (_DATA in text and _MIME_TYPE in text):
            return True  # base64, which is searched decoded
        if may_hold_data(text) or _may_hide(text):
            return True
        return b"%" in text and _PERCENT.search(text) is not None

    def may_match_some(self, places: Sequence[ReadablePlace]) -> Steps[bool]:
        """Return whether one of the places could hold anything: one search in all of them."""
        if self.automaton.is_anchored:
            return True
        each: list[str] = []
        for start in range(0, len(places), PLACES_AT_ONCE):
            some = places[start : start + PLACES_AT_ONCE]
            if any(map(_hides_text, some)):
                return True
            each += [self.introduction(place) + place.text for place in some]
            if len(some) == PLACES_AT_ONCE:
                yield
        for run in (yield from runs_of(places)):
            for count, join in enumerate(run.joins(), 1):
                each.append(join.text)
                if count % PLACES_AT_ONCE == 0:
                    yield
        yield
        texts = "\n".join(each).encode("utf-8", "replace")
        if len(texts) < THREAD_BYTES:
            return self.automaton.may_match(texts)
        found = yield InThread(lambda: self.automaton.may_match(texts))
        return bool(found)

    def may_match_values(self, places: Sequence[ReadablePlace]) -> bool:
        """Return whether one of a few places, taken each for itself, could hold anything.

        JSON in a text always could: its keys say what its values are.
        """
        if self.automaton.is_anchored or self.fields:
            return True
        if any(is_like_json(place.text) or _hides_text(place) for place in places):
            return True
        texts = "\n".join([self.introduction(place) + place.text for place in places])
        return len(texts) >= THREAD_BYTES or self.automaton.may_match(texts.encode("utf-8", "replace"))

    def introduction(self, place: ReadablePlace) -> str:
        """Return what is put before the text of a place: the key that says what it is."""
        near = place.near
        if place.kind in _SAYS_NOTHING or not near:
            return ""
        if not near.isascii():
            seen = unescaped(near[:LONGEST_KEY], is_uri=False)
            near = near if seen is None else seen.text
        return f"{as_words(near)}: " if self.automaton.explains(near) else ""


def directed(masks: Iterable[CompiledMask]) -> DirectedMasks | None:
    """Return the masks together; None where there are none."""
    chosen = tuple(masks)
    return DirectedMasks(chosen) if chosen else None


def _may_hide(text: bytes) -> bool:
    """Return whether a text has characters that split values, or digits of other scripts."""
    return splits_bytes(text) or (not text.isascii() and _HAS_OTHER_BYTES.search(text) is not None)


def folded(text: str) -> str:
    """Return a text with the digits of ASCII for those of other scripts; as long as it was."""
    return text.translate(_FOLDED) if _has_other_digits(text) else text


def _has_other_digits(text: str) -> bool:
    if text.isascii():
        return False
    if len(text) <= _SHORT:
        return _HAS_OTHER.search(text) is not None
    return _HAS_OTHER_BYTES.search(text.encode("utf-8", "replace")) is not None


def is_like_json(text: str) -> bool:
    """Return whether a text could be an object or a list."""
    return text[:1] in ("{", "[") or text[:64].lstrip()[:1] in ("{", "[")


def _hides_text(place: ReadablePlace) -> bool:
    """Return whether a search in the text alone could miss what its readers see."""
    text = place.text
    if _has_other_digits(text):
        return True
    if may_hide(text, is_uri=place.kind is PlaceKind.URI) or next(data_texts(text), None) is not None:
        return True
    return is_like_json(text) and ("\\" in text or _EXPONENT.search(text) is not None)
