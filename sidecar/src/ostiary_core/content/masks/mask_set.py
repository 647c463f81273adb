"""All masks that apply to one item: they mask messages, and values and texts of records.

Each place of a message is looked at on its own, decoded. What several masks find in one place is one: where their hits
overlap, the strongest action is taken of all.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final, Protocol

from ostiary_core.content.detection.automaton import Automaton, joined
from ostiary_core.content.detection.detector import Detector, Hit
from ostiary_core.content.detection.surroundings import as_words
from ostiary_core.content.finding import ContentFinding
from ostiary_core.content.masks.compiled_mask import CompiledMask
from ostiary_core.content.masks.fields import scalars_under, spots_of
from ostiary_core.content.masks.replacements import replacement, stars
from ostiary_core.content.masks.tokens import MaskKeys
from ostiary_core.content.places import PlaceKind, ReadablePlace, Trail, places_of, values_of
from ostiary_core.contract.content import Direction
from ostiary_core.contract.masks import MaskAction
from ostiary_core.steps import THREAD_BYTES, InThread, Steps, run_steps

#: Places that are collected or judged in one step.
_AT_ONCE: Final = 256
_SAYS_NOTHING: Final = frozenset({PlaceKind.KEY, PlaceKind.BLOB})


class MaskRules(Protocol):
    """What a set is made of: the masks that apply to an item."""

    @property
    def masks(self) -> Sequence[CompiledMask]:
        """The masks, of all policies."""


@dataclass(frozen=True, slots=True)
class Replaced:
    """A value below ``structuredContent`` that was replaced: what to try to keep it valid.

    ``trail`` leads to it from the root of the message; ``masked`` stands there now. ``same_length`` is a text of the
    length of the value. A member that was removed has None for both.
    """

    trail: Trail
    masked: Any
    same_length: str | None


@dataclass(slots=True)
class Masked:
    """What masks did to one message.

    ``is_blocked`` where a mask with Block found something: then the message must not pass, and is unchanged or changed
    in part. ``is_of_caller`` where a token or hash was written, which other callers must not get.
    """

    is_changed: bool = False
    findings: tuple[ContentFinding, ...] = ()
    is_blocked: bool = False
    is_of_caller: bool = False
    replaced: list[Replaced] = field(default_factory=list)


class MaskSet:
    """The masks of one item, compiled.

    Raises:
        PatternError: the patterns together are too large.
    """

    def __init__(self, rules: MaskRules) -> None:
        masks = tuple(rules.masks)
        self._sides = {each: _side(mask for mask in masks if each in mask.directions) for each in Direction}
        self._records = _side(masks)

    def may_match(self, text: bytes) -> bool:
        """Return whether a text of JSON could hold anything that a mask is about."""
        return any(side is not None and side.may_match_json(text) for side in self._sides.values())

    def masking(self, message: dict[str, Any], direction: Direction, keys: MaskKeys | None = None) -> Steps[Masked]:
        """Mask a parsed JSON-RPC message in place, in steps."""
        side = self._sides[direction]
        if side is None:
            return Masked()
        found = yield from _collected(message)
        work = _Work(side, direction, keys)
        work.force(message)
        if not work.forced and not (yield from side.may_match_some(found)):
            return work.masked
        for first in range(0, len(found), _AT_ONCE):
            for place in found[first : first + _AT_ONCE]:
                yield from work.judge(place)
            yield
        work.apply()
        return work.masked

    def value(self, value: Any, keys: MaskKeys | None = None) -> Any:
        """Return a value as records show it; an object or list is changed in place."""
        if self._records is None:
            return value
        holder = [value]
        work = _Work(self._records, Direction.RESULTS, keys, is_record=True)
        for place in list(values_of(holder)):
            run_steps(work.judge(place))
        work.apply()
        return holder[0] if holder else None

    def text(self, text: str, keys: MaskKeys | None = None) -> str:
        """Return a text as records show it."""
        found = self.value(text, keys)
        return found if type(found) is str else ""


class _Side:
    """The masks of one direction, with the automaton of all their detectors."""

    def __init__(self, masks: tuple[CompiledMask, ...]) -> None:
        self.masks = masks
        self.owners: dict[Detector, list[CompiledMask]] = {}
        for mask in masks:
            for detector in (*mask.detectors, *(each for _, each in mask.fields)):
                self.owners.setdefault(detector, []).append(mask)
        self.automaton: Automaton = joined({each for mask in masks for each in mask.detectors})
        self.fields = [(path, detector) for mask in masks for path, detector in mask.fields]

    def may_match_json(self, text: bytes) -> bool:
        if self.fields or self.automaton.is_anchored or b"\\" in text:
            return True
        return self.automaton.may_match(text)

    def may_match_some(self, places: list[ReadablePlace]) -> Steps[bool]:
        """Return whether one of the places holds a candidate: one search in all of them."""
        if self.automaton.is_anchored:
            return True
        joined = "\n".join([self.introduction(place) + place.text for place in places]).encode("utf-8", "replace")
        if len(joined) < THREAD_BYTES:
            return self.automaton.may_match(joined)
        found = yield InThread(lambda: self.automaton.may_match(joined))
        return bool(found)

    def introduction(self, place: ReadablePlace) -> str:
        """Return what is put before the text of a place: the key that says what it is."""
        if place.kind in _SAYS_NOTHING or not place.near or not self.automaton.explains(place.near):
            return ""
        return f"{as_words(place.near)}: "


def _side(masks: Iterable[CompiledMask]) -> _Side | None:
    chosen = tuple(masks)
    return _Side(chosen) if chosen else None


def _collected(message: dict[str, Any]) -> Steps[list[ReadablePlace]]:
    found: list[ReadablePlace] = []
    places = places_of(message)
    while some := list(islice(places, _AT_ONCE)):
        found += some
        if len(some) == _AT_ONCE:
            yield
    return found


class _Work:
    """Judges the places of one message, then changes them."""

    def __init__(self, side: _Side, direction: Direction, keys: MaskKeys | None, *, is_record: bool = False) -> None:
        self._side = side
        self._direction = direction
        self._keys = keys
        self._is_record = is_record
        self.forced: dict[tuple[int, Any], list[Detector]] = {}
        self._counts: dict[tuple[CompiledMask, Detector], int] = {}
        self._changes: list[tuple[ReadablePlace, str | None]] = []
        self.masked = Masked()

    def force(self, message: dict[str, Any]) -> None:
        """Look up the fields that masks name."""
        params = message.get("params")
        arguments = params.get("arguments") if type(params) is dict else None
        root = arguments if self._direction is Direction.ARGUMENTS else message.get("result")
        for path, detector in self._side.fields:
            for spot in spots_of(root, path):
                for holder, key in scalars_under(spot):
                    self.forced.setdefault((id(holder), key), []).append(detector)

    def judge(self, place: ReadablePlace) -> Steps[None]:
        """Find what masks are about in one place, and note what becomes of it."""
        text = place.text.encode("utf-8", "replace")
        hits = yield from self._found(place, text)
        if place.kind is not PlaceKind.KEY and (place.key.__class__ in (str, int)):
            for detector in self.forced.get((id(place.holder), place.key), ()):
                hits.insert(0, Hit(0, len(text), detector))
        if hits:
            self._note(place, text, hits)

    def _found(self, place: ReadablePlace, text: bytes) -> Steps[list[Hit]]:
        introduction = self._side.introduction(place).encode("utf-8", "replace")
        hits = yield from self._side.automaton.finding(introduction + text)
        if not introduction:
            return hits
        size = len(introduction)
        return [Hit(max(0, start - size), end - size, detector) for start, end, detector in hits if end > size]

    def _note(self, place: ReadablePlace, text: bytes, hits: list[Hit]) -> None:
        enforced: list[tuple[Hit, CompiledMask]] = []
        for hit in hits:
            for mask in self._side.owners[hit.detector]:
                key = (mask, hit.detector)
                self._counts[key] = self._counts.get(key, 0) + 1
                if not mask.scope.is_shadow:
                    enforced.append((hit, mask))
        if enforced:
            self._changes.append((place, self._written(text, enforced)))

    def _written(self, text: bytes, enforced: list[tuple[Hit, CompiledMask]]) -> str | None:
        """Return the text without what was found; None where nothing of it is left."""
        pieces, last = [], 0
        for start, end, mask, detector in _merged(enforced):
            pieces.append(text[last:start].decode("utf-8", "replace"))
            pieces.append(self._replacement(text[start:end].decode("utf-8", "replace"), mask, detector))
            last = end
        pieces.append(text[last:].decode("utf-8", "replace"))
        return "".join(pieces) or None

    def _replacement(self, text: str, mask: CompiledMask, detector: Detector) -> str:
        if mask.action is MaskAction.BLOCK:
            self.masked.is_blocked = True
        self.masked.is_of_caller |= mask.action in (MaskAction.HASH, MaskAction.TOKENISE)
        return replacement(text, mask, detector, self._keys)

    def apply(self) -> None:
        """Change the places, and say what was found."""
        self.masked.findings = tuple(
            ContentFinding(
                mask.scope.policy, mask.scope.rule, detector.name, mask.action.value, self._direction, count,
                mask.scope.is_shadow,
            )
            for (mask, detector), count in self._counts.items()
        )  # fmt: skip
        if self.masked.is_blocked and not self._is_record:
            return
        self.masked.is_changed = bool(self._changes)
        # Keys come last: until they are renamed, other places are found under them.
        for place, text in sorted(self._changes, key=lambda each: each[0].kind is PlaceKind.KEY):
            place.put("" if text is None else text)
            if "structuredContent" in place.trail[:2]:
                self.masked.replaced.append(Replaced(place.full_trail, text, stars(place.text)))


def _merged(enforced: list[tuple[Hit, CompiledMask]]) -> list[tuple[int, int, CompiledMask, Detector]]:
    """Return spans that do not overlap, each with the strongest mask of what was found in it."""
    found: list[tuple[int, int, CompiledMask, Detector]] = []
    for hit, mask in sorted(enforced, key=lambda each: (each[0].start, -each[1].strength)):
        if found and hit.start < found[-1][1]:
            start, end, known, detector = found[-1]
            if mask.strength > known.strength:
                known, detector = mask, hit.detector
            found[-1] = (start, max(end, hit.end), known, detector)
        else:
            found.append((hit.start, hit.end, mask, hit.detector))
    return found
