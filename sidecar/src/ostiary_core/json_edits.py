"""Edit values deep in a JSON text, and keep the bytes of the rest."""

from collections.abc import Mapping
from typing import Final, TypeAlias

from ostiary_core.errors import StrictJSONError
from ostiary_core.json_spans import Read, SpanReader

#: By the key of an object or the index of an array: the edits within that value, JSON text that replaces it, or
#: :data:`REMOVED` for an item of an array.
Edits: TypeAlias = "Mapping[str | int, Edits | str]"
#: Removes an item. No JSON text is empty.
REMOVED: Final = ""
_Cut: TypeAlias = tuple[int, int, str]


def edited(text: bytes, edits: Edits) -> bytes:
    """Return a text with these edits of the object that it holds.

    Raises:
        StrictJSONError: the text is no object, a place is not there or of another kind, or one of the objects on the
            way to it has a duplicate key.
    """
    reader = SpanReader(text)
    cuts: list[_Cut] = []
    reader.whole(_members(reader, edits, cuts))
    pieces, place = [], 0
    for start, end, by in sorted(cuts):
        pieces += [reader.text[place:start], by]
        place = end
    return "".join([*pieces, reader.text[place:]]).encode()


def _members(reader: SpanReader, edits: Edits, cuts: list[_Cut]) -> dict[str, Read]:
    return {str(key): _read(reader, edit, cuts) for key, edit in edits.items()}


def _read(reader: SpanReader, edit: "Edits | str", cuts: list[_Cut]) -> Read:
    """Return what reads a value, and notes its edits."""

    def read(start: int) -> int:
        if isinstance(edit, str):
            end = reader.value(start)[1]
            cuts.append((start, end, edit))
            return end
        if any(isinstance(key, int) for key in edit):
            return _edit_items(reader, start, edit, cuts)
        return reader.members(start, _members(reader, edit, cuts))

    return read


def _edit_items(reader: SpanReader, start: int, edits: Edits, cuts: list[_Cut]) -> int:
    items = [(item.start, item.end) for item in reader.items(start)]
    end = reader.end
    if not all(key in range(len(items)) for key in edits):
        raise StrictJSONError(f"the array at character {start} has too few items")
    kept = [place for place in range(len(items)) if edits.get(place) != REMOVED]
    last = kept[-1] if kept else -1
    for place, edit in edits.items():
        assert isinstance(place, int)  # noqa: S101  checked above
        if edit != REMOVED:
            _read(reader, edit, cuts)(items[place][0])
        elif place < last:
            cuts.append((items[place][0], items[place + 1][0], ""))
    if items and last < len(items) - 1:  # those at the end go together, with the comma before them
        cuts.append((items[last][1] if kept else items[0][0], items[-1][1], ""))
    return end
