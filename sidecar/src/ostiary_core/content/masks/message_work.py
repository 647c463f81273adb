"""The work on one message: each place is judged, then all changes are made.

Changes come last, because what is found in one place may decide about another: a blocked message need not be changed, a
withheld item need not be masked.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain, repeat
from typing import Any, Final

from ostiary_core.content.detection.detector import Detector, Hit, hits_as_set, hits_in_characters
from ostiary_core.content.detection.near_matches import NearMatches
from ostiary_core.content.encoded_text import data_texts, encoded_text
from ostiary_core.content.finding import ContentFinding
from ostiary_core.content.masks.compiled_mask import CompiledMask
from ostiary_core.content.masks.directed_masks import DirectedMasks, folded, is_like_json
from ostiary_core.content.masks.fields import scalars_under, spots_of
from ostiary_core.content.masks.message_changes import MessageChanges, Replaced
from ostiary_core.content.masks.neighbouring_blocks import BlockRun, runs_of
from ostiary_core.content.masks.replacements import masked, replacement
from ostiary_core.content.masks.text_edits import EDITS_AT_ONCE, TextEdit, strongest, writing, written
from ostiary_core.content.masks.tokens import LONGEST_VALUE, MaskKeys, label_in_uri
from ostiary_core.content.masks.unescaped_text import may_hide, unescaping
from ostiary_core.content.places import PLACES_AT_ONCE, PlaceKind, ReadablePlace, values_of
from ostiary_core.contract.content import Direction
from ostiary_core.contract.masks import MaskAction
from ostiary_core.errors import StrictJSONError
from ostiary_core.steps import THREAD_BYTES, InThread, Steps, freeing
from ostiary_core.strict_json import dumps, loading

#: JSON in a text of JSON in a text: deeper it is text.
_MOST_NESTED: Final = 3
#: Places that are judged in one step; most are known to hold nothing after one search in all of them.
_JUDGED_AT_ONCE: Final = 64
#: Places where two blocks meet that are searched in one step: there may be values at each.
_JOINS_AT_ONCE: Final = 4
#: Texts that may be JSON, and those that identify an item.
_MAY_BE_JSON: Final = frozenset({PlaceKind.PROSE, PlaceKind.VALUE, PlaceKind.BLOB})
_IDENTITIES: Final = frozenset({PlaceKind.NAME, PlaceKind.URI})
#: What needs no place of its own where nothing of it is left.
_REMOVABLE: Final = frozenset({PlaceKind.VALUE, PlaceKind.NUMBER, PlaceKind.KEY})


@dataclass(slots=True)
class Masked:
    """What masks did to one message.

    ``is_blocked`` where a mask with Block found something, or where what names the message's subject would have to
    change: then it must not pass, and is not changed. ``is_of_caller`` where a token or hash was written, which other
    callers must not get.
    """

    is_changed: bool = False
    findings: tuple[ContentFinding, ...] = ()
    is_blocked: bool = False
    is_of_caller: bool = False
    replaced: tuple[Replaced, ...] = ()


class MessageWork:
    """Judges the places of one message or value, then changes them in place.

    For a record (``is_record``) every action does what Mask does.
    """

    def __init__(
        self, masks: DirectedMasks, direction: Direction, keys: MaskKeys | None = None, *, is_record: bool = False
    ) -> None:
        self._masks = masks
        self._direction = direction
        self._keys = keys
        self._is_record = is_record
        self._nested = 0
        self._near = NearMatches()
        self._changes = MessageChanges()
        self._forced: dict[tuple[int, Any], list[Detector]] = {}
        self._joined: dict[int, list[TextEdit]] = {}
        self.counts: dict[tuple[CompiledMask, Detector], int] = {}
        self.masked = Masked()

    @property
    def is_forced(self) -> bool:
        """Whether a field that a mask names is there."""
        return bool(self._forced)

    def force(self, root: Any, fields: Iterable[tuple[Sequence[str], Detector]]) -> None:
        """Look up fields that masks name, from the value that their pointers begin at."""
        for path, detector in fields:
            for spot in spots_of(root, path):
                for holder, key in scalars_under(spot):
                    self._forced.setdefault((id(holder), key), []).append(detector)

    def judging(self, places: Sequence[ReadablePlace]) -> Steps[None]:
        """Find what masks are about, and note what becomes of it, in steps."""
        for run in (yield from runs_of(places)):
            yield from self._judge_joins(run)
        for start in range(0, len(places), _JUDGED_AT_ONCE):
            some = places[start : start + _JUDGED_AT_ONCE]
            yield
            if self._forced or self._joined or self._masks.may_match_values(some):
                for place in some:
                    yield from self._judge(place)

    def _judge_joins(self, run: BlockRun) -> Steps[None]:
        for count, (text, start, join) in enumerate(run.joins(), 1):
            if count % _JOINS_AT_ONCE == 0:
                yield
            found = [(hit, text[hit.start : hit.end]) for hit in (yield from self._hits(text))]
            if may_hide(text, is_uri=False):
                found += yield from self._hidden_hits(text, {hit for hit, _ in found}, is_uri=False)
            for (first, last, detector), value in found:
                if start + first < join < start + last:
                    self._note_joined(run, start + first, start + last, detector, value)

    def _note_joined(self, run: BlockRun, start: int, end: int, detector: Detector, value: str) -> None:
        """Note the parts of a value in several blocks; its replacement stands in the first."""
        for mask in self._owners(detector):
            words = self._replacement(value, mask, detector)
            keeps_length = len(words) == len(value) == end - start and mask.action is MaskAction.MASK
            for place, first, last, offset in run.parts(start, end):
                part = words[offset : offset + last - first] if keeps_length else "" if offset else words
                self._joined.setdefault(id(place), []).append(TextEdit(first, last, mask, detector, part))

    def _judge(self, place: ReadablePlace) -> Steps[None]:
        spread = self._joined.get(id(place), [])
        if place.kind in _MAY_BE_JSON and not spread and is_like_json(place.text):
            is_json = yield from self._judge_json(place)
            if is_json:
                return
        edits = yield from self._edits(place)
        edits += spread
        if edits:
            apart = yield from strongest(edits)
            yield from freeing(edits)
            yield from self._note(place, apart)
            yield from freeing(apart)

    def _edits(self, place: ReadablePlace) -> Steps[list[TextEdit]]:
        """Find what shows in a text, and what escapes and characters that do not print hide in it."""
        introduction = self._masks.introduction(place)
        size = len(introduction)
        text = introduction + place.text
        hits = yield from self._hits(text)
        if place.kind is not PlaceKind.KEY:
            forced = self._forced.get((id(place.holder), place.key), ())
            hits += [Hit(size, len(text), detector) for detector in forced]
        hidden: list[tuple[Hit, str]] = []
        if may_hide(place.text, is_uri=place.kind is PlaceKind.URI):
            yield
            known = yield from hits_as_set(hits)
            hidden = yield from self._hidden_hits(text, known, is_uri=place.kind is PlaceKind.URI)
        edits: list[TextEdit] = []
        for count, ((start, end, detector), value) in enumerate(chain(zip(hits, repeat(None)), hidden), 1):
            if count % EDITS_AT_ONCE == 0:
                yield
            if end > size:
                for mask in self._owners(detector):
                    words = None if value is None else self._replacement(value, mask, detector)
                    edits.append(TextEdit(max(0, start - size), end - size, mask, detector, words))
        yield from freeing(hits)
        edits += yield from self._data_edits(place)
        return edits

    def _data_edits(self, place: ReadablePlace) -> Steps[list[TextEdit]]:
        """Find values in `data:` URIs: their base64 is that of the masked text then."""
        found: list[TextEdit] = []
        for start, end, text in data_texts(place.text):
            yield
            inner = ReadablePlace({}, "", PlaceKind.BLOB, text, place.trail)
            edits = yield from strongest((yield from self._edits(inner)))
            if edits:
                best = max(edits, key=lambda edit: edit.mask.strength)
                words = yield from writing(text, edits, self._replacement)
                found.append(TextEdit(start, end, best.mask, best.detector, encoded_text(words)))
        return found

    def _hits(self, text: str) -> Steps[list[Hit]]:
        """Find values in a text; their places are counted in characters."""
        plain = folded(text)
        hits = yield from self._masks.automaton.finding(plain.encode("utf-8", "replace"), self._near)
        found = yield from hits_in_characters(plain, hits)
        return found

    def _hidden_hits(self, text: str, known: set[Hit], *, is_uri: bool) -> Steps[list[tuple[Hit, str]]]:
        """Find what does not show in a text, with the values as their readers see them."""
        plain = yield from unescaping(text, is_uri=is_uri)
        if plain is None:
            return []
        found: list[tuple[Hit, str]] = []
        for count, (start, end, detector) in enumerate((yield from self._hits(plain.text)), 1):
            if count % EDITS_AT_ONCE == 0:
                yield
            hit = Hit(plain.original(start), plain.original_end(end), detector)
            if hit not in known:
                found.append((hit, plain.text[start:end]))
        return found

    def _owners(self, detector: Detector) -> list[CompiledMask]:
        """Count a hit for each mask that asks for it; return those in force."""
        owners = self._masks.owners[detector]
        for mask in owners:
            self.counts[mask, detector] = self.counts.get((mask, detector), 0) + 1
        return [mask for mask in owners if not mask.scope.is_shadow]

    def _judge_json(self, place: ReadablePlace) -> Steps[bool]:
        """Judge the values of JSON in a text; return whether that was done."""
        if self._nested >= _MOST_NESTED or (id(place.holder), place.key) in self._forced:
            return False
        text = place.text.encode("utf-8", "replace")
        may_match = self._masks.may_match_json
        if not ((yield InThread(lambda: may_match(text))) if len(text) > THREAD_BYTES else may_match(text)):
            return True
        try:
            value = yield from loading(text)
        except StrictJSONError:
            return False
        yield from self._judge_value(place, value)
        return True

    def _judge_value(self, place: ReadablePlace, value: Any) -> Steps[None]:
        inner = MessageWork(self._masks, self._direction, self._keys, is_record=self._is_record)
        inner._nested, inner.counts, inner._near = self._nested + 1, self.counts, self._near
        if self._direction is Direction.RESULTS:
            inner.force(value, self._masks.structured_fields)
        places: list[ReadablePlace] = []
        for each in values_of(value):
            places.append(each)
            if len(places) % PLACES_AT_ONCE == 0:
                yield
        yield from inner.judging(places)
        found = yield from inner.finishing(value)
        self.masked.is_blocked |= found.is_blocked
        self.masked.is_of_caller |= found.is_of_caller
        if found.is_changed:
            self._changes.replace(place, dumps(value).decode())

    def _note(self, place: ReadablePlace, edits: list[TextEdit]) -> Steps[None]:
        if place.kind in _IDENTITIES and not self._is_record and not self._keeps_identity(place, edits):
            self._withhold(place, edits)
            return
        if place.kind is PlaceKind.URI and not self._is_record and self._direction is Direction.RESULTS:
            self._changes.replace(place, self._tokenised_uri(place.text, edits))
            return
        text = yield from writing(place.text, edits, self._replacement)
        self._changes.replace(place, None if not text and place.kind in _REMOVABLE else text)

    def _keeps_identity(self, place: ReadablePlace, edits: list[TextEdit]) -> bool:
        """Return whether an item can still be used: a token in its URI is restored later."""
        if place.kind is not PlaceKind.URI or self._keys is None:
            return False
        return all(edit.mask.action is MaskAction.TOKENISE and edit.end - edit.start <= LONGEST_VALUE for edit in edits)

    def _tokenised_uri(self, uri: str, edits: list[TextEdit]) -> str:
        """Return a URI with tokens that open in it alone, and stand for encoded characters."""
        spans = [edit._replace(words=None) for edit in edits]
        rest = written(uri, spans, lambda *_: "")
        self.masked.is_of_caller = True
        keys = self._keys
        return written(
            uri, spans, lambda text, mask, _: keys.token(text, label_in_uri(mask, rest)) if keys is not None else ""
        )

    def _withhold(self, place: ReadablePlace, edits: list[TextEdit]) -> None:
        is_blocked = any(edit.mask.action is MaskAction.BLOCK for edit in edits)
        index = next((index for index in range(len(place.trail) - 1, -1, -1) if type(place.trail[index]) is int), None)
        if is_blocked or index is None or self._direction is Direction.ARGUMENTS:
            self.masked.is_blocked = True
        else:
            self._changes.withhold(place.trail[: index + 1])

    def _replacement(self, text: str, mask: CompiledMask, detector: Detector) -> str:
        if self._is_record:
            return masked(text, detector.name, keep_last=mask.keep_last)
        if mask.action is MaskAction.BLOCK:
            self.masked.is_blocked = True
        self.masked.is_of_caller |= mask.action in (MaskAction.HASH, MaskAction.TOKENISE)
        return replacement(text, mask, detector, self._keys)

    def finishing(self, root: Any) -> Steps[Masked]:
        """Change the places below ``root``, in steps, and say what was found."""
        self.masked.findings = tuple(
            ContentFinding(
                mask.scope.policy, mask.scope.rule, detector.name, mask.action.value, self._direction, count,
                mask.scope.is_shadow,
            )
            for (mask, detector), count in self.counts.items()
        )  # fmt: skip
        if not self.masked.is_blocked:
            self.masked.is_changed = bool(self._changes)
            self.masked.replaced = yield from self._changes.making(root)
        return self.masked
