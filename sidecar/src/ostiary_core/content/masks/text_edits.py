"""What becomes of one text: spans that are replaced, each by its strongest mask."""

from collections.abc import Callable, Iterable
from typing import NamedTuple, TypeAlias

from ostiary_core.content.detection.detector import Detector
from ostiary_core.content.masks.compiled_mask import CompiledMask


class TextEdit(NamedTuple):
    """A span of a text, in characters, that a mask replaces.

    ``words`` stand in its place where they are known before: the part of a value that is spread over several texts.
    """

    start: int
    end: int
    mask: CompiledMask
    detector: Detector
    words: str | None = None


#: Returns what stands in place of a value.
Replacing: TypeAlias = Callable[[str, CompiledMask, Detector], str]


def strongest(edits: Iterable[TextEdit]) -> list[TextEdit]:
    """Return edits that do not overlap: of several that do, the strongest over all of them."""
    found: list[TextEdit] = []
    for edit in sorted(edits, key=lambda each: (each.start, -each.mask.strength)):
        if not found or edit.start >= found[-1].end:
            found.append(edit)
            continue
        last = found[-1]
        best = edit if edit.mask.strength > last.mask.strength else last
        end = max(last.end, edit.end)
        is_same = (best.start, best.end) == (last.start, end)
        found[-1] = TextEdit(last.start, end, best.mask, best.detector, best.words if is_same else None)
    return found


def written(text: str, edits: Iterable[TextEdit], replacing: Replacing) -> str:
    """Return the text with its edits, which do not overlap."""
    pieces: list[str] = []
    last = 0
    for edit in edits:
        words = edit.words
        if words is None:
            words = replacing(text[edit.start : edit.end], edit.mask, edit.detector)
        pieces += [text[last : edit.start], words]
        last = edit.end
    return "".join((*pieces, text[last:]))
