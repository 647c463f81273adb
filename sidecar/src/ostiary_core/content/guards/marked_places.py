"""Act on what guards found: block, withhold, cut out, wrap, or leave a note.

A text that a model reads as language can be wrapped and can have a note in front. Structured data cannot: it is named
in `_meta`, and a tool's result gets a text block in front. A name or URI cannot be cut, so its item is withheld.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from ostiary_core.content.guards.compiled_guard import CompiledGuard
from ostiary_core.content.guards.guard_words import REMOVED, meta_of, note, withheld, wrapped
from ostiary_core.content.guards.joined_texts import TextPart
from ostiary_core.content.places import PlaceKind, ReadablePlace
from ostiary_core.contract.content import Direction
from ostiary_core.contract.guards import GuardAction, GuardDetector

#: Members of a result that are lists of items which can be withheld one by one.
_ITEMS: Final = ("content", "contents", "messages")
#: Members that hold language, where words of ours may be added.
_LANGUAGE: Final = ("text", "message")
#: How a text begins that programs read, too: it stays JSON.
_JSON: Final = ("{", "[")
_WHOLE: Final = (PlaceKind.NAME, PlaceKind.URI)


class Mark(NamedTuple):
    """What one guard found in one place."""

    guard: CompiledGuard
    detector: str
    part: TextPart


@dataclass(slots=True)
class Acted:
    """Whether a message was changed, or must not pass."""

    is_changed: bool = False
    is_blocked: bool = False


@dataclass(slots=True)
class _Marked:
    """All that was found in one place."""

    place: ReadablePlace
    marks: list[Mark] = field(default_factory=list)

    @property
    def detectors(self) -> list[str]:
        return [str(mark.detector) for mark in self.marks]

    def by(self, action: GuardAction) -> list[Mark]:
        return [mark for mark in self.marks if mark.guard.action is action]

    @property
    def is_withheld(self) -> bool:
        return bool(self.by(GuardAction.HIDE) or self.by(GuardAction.STRIP))


def is_refused(marks: Iterable[Mark]) -> bool:
    """Return whether a guard that blocks found something."""
    return any(mark.guard.action is GuardAction.BLOCK for mark in marks)


def act(message: dict[str, Any], marks: Sequence[Mark], direction: Direction, boundary: Callable[[], str]) -> Acted:
    """Do to a message what its guards say; nothing if it must not pass.

    What they strip is cut out already. What is still to be stripped cannot be cut, so it is withheld.
    """
    places = grouped(marks)
    hidden = [each for each in places if each.is_withheld]
    if is_refused(marks) or any(_item_of(each.place) is None for each in hidden):
        return Acted(is_blocked=True)
    if direction is not Direction.RESULTS:
        return Acted(is_blocked=bool(hidden))
    is_changed = _enclose(message, [each for each in places if each not in hidden], boundary)
    return Acted(is_changed=_withhold(message, hidden) or is_changed)


def cut_and_act(
    message: dict[str, Any], marks: Sequence[Mark], direction: Direction, boundary: Callable[[], str]
) -> Acted:
    """Do to a message all that its guards say, once; nothing if it must not pass."""
    if is_refused(marks):
        return Acted(is_blocked=True)
    is_changed = strip(grouped(marks), direction)
    left = [
        each for each in marks if each.guard.action is not GuardAction.STRIP or _is_whole(each.part.place, direction)
    ]
    acted = act(message, left, direction, boundary)
    return Acted(is_changed or acted.is_changed, acted.is_blocked)


def _is_whole(place: ReadablePlace, direction: Direction) -> bool:
    """Return whether nothing can be cut out of a place."""
    return place.kind in _WHOLE or (place.kind is PlaceKind.KEY and direction is Direction.DEFINITIONS)


def grouped(marks: Iterable[Mark]) -> list[_Marked]:
    """Return what was found by place, values before keys.

    Renaming a key moves the value under it.
    """
    places: dict[int, _Marked] = {}
    for mark in marks:
        place = mark.part.place
        places.setdefault(id(place), _Marked(place)).marks.append(mark)
    return sorted(places.values(), key=lambda each: each.place.kind is PlaceKind.KEY)


def strip(places: Sequence[_Marked], direction: Direction) -> bool:
    """Cut out what guards strip; return whether there was anything.

    A name or URI is not cut, and no key of a definition: it is the name of an argument.
    """
    is_changed = False
    for each in places:
        marks = each.by(GuardAction.STRIP)
        if marks and not _is_whole(each.place, direction):
            each.place.text = _without(each.place.text, marks)
            each.place.put(each.place.text)
            is_changed = True
    return is_changed


def _without(text: str, marks: Iterable[Mark]) -> str:
    """Return a text without marked parts; what was no hidden text leaves a word in its place."""
    pieces, place = [], 0
    for mark in sorted(marks, key=lambda each: (each.part.start, -each.part.end)):
        _, start, end = mark.part
        if end <= place:
            continue
        pieces.append(text[place : max(start, place)])
        if mark.detector != GuardDetector.HIDDEN_TEXT and not (pieces and pieces[-1] == "" and REMOVED in pieces[-2:]):
            pieces.append(REMOVED)
        place = end
    return "".join([*pieces, text[place:]])


def _item_of(place: ReadablePlace) -> tuple[str, int] | None:
    """Return the list and index of the item of a result that a place is in."""
    trail = place.full_trail
    if len(trail) > 2 and trail[0] == "result" and trail[1] in _ITEMS and type(trail[2]) is int:
        return str(trail[1]), trail[2]
    return None


def _withhold(message: dict[str, Any], hidden: Sequence[_Marked]) -> bool:
    items: dict[tuple[str, int], list[str]] = {}
    for each in hidden:
        item = _item_of(each.place)
        if item is not None:
            items.setdefault(item, []).extend(each.detectors)
    for (name, index), detectors in items.items():
        _put_words(message["result"][name], name, index, withheld(detectors))
    return bool(items)


def _put_words(items: list[Any], name: str, index: int, words: str) -> None:
    """Replace an item of a result by words of ours, in the shape of its list."""
    block = {"type": "text", "text": words}
    if name == "content":
        items[index] = block
    elif name == "messages":
        items[index] = {"role": _role(items[index]), "content": block}
    else:
        items[index] = {"uri": _uri(items[index]), "mimeType": "text/plain", "text": words}


def _role(item: Any) -> str:
    return "assistant" if isinstance(item, dict) and item.get("role") == "assistant" else "user"


def _uri(item: Any) -> Any:
    return item.get("uri", "") if isinstance(item, dict) else ""


def _enclose(message: dict[str, Any], places: Sequence[_Marked], boundary: Callable[[], str]) -> bool:
    """Wrap what is to be wrapped, leave notes on the rest, and name all of it in `_meta`."""
    noted: list[str] = []
    unspoken: list[str] = []
    for each in places:
        wraps, annotates = each.by(GuardAction.WRAP), each.by(GuardAction.ANNOTATE)
        if not wraps and not annotates:
            continue
        noted += each.detectors
        text = each.place.text
        if wraps and _is_language(each.place):
            each.place.put(wrapped(text, boundary()))
        elif _is_language(each.place) and not text.lstrip().startswith(_JSON):
            each.place.put(f"{note(each.detectors)}\n{text}")
        else:
            unspoken += each.detectors
    if noted:
        _leave_notes(message, noted, unspoken)
    return bool(noted)


def _is_language(place: ReadablePlace) -> bool:
    """Return whether words of ours may stand next to a text: not in data, nor in names."""
    return place.kind is PlaceKind.PROSE and place.key in _LANGUAGE


def _leave_notes(message: dict[str, Any], noted: list[str], unspoken: list[str]) -> None:
    result = message.get("result")
    if type(result) is not dict:
        return
    result["_meta"] = meta_of(noted, result.get("_meta"))
    if unspoken and type(result.get("content")) is list:
        result["content"].insert(0, {"type": "text", "text": note(unspoken)})
