"""What becomes of one text: spans that are replaced, each by its strongest mask."""

from collections.abc import Callable, Iterable
from typing import Final, NamedTuple, TypeAlias

from ostiary_core.content.detection.detector import Detector
from ostiary_core.content.masks.compiled_mask import CompiledMask
from ostiary_core.steps import Steps, freeing, run_steps, sorting

#: Edits that are judged or made in one step.
EDITS_AT_ONCE: Final = 128


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


def strongest(edits: Iterable[TextEdit]) -> Steps[list[TextEdit]]:
    """Return edits that do not overlap, in steps.

    Of several that do, the strongest takes the place of them all.
    """
    found: list[TextEdit] = []
    ordered = yield from sorting(edits, lambda each: (each.start, -each.mask.strength))
    for count, edit in enumerate(ordered, 1):
        if count % EDITS_AT_ONCE == 0:
            yield
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
    return run_steps(writing(text, edits, replacing))


def writing(text: str, edits: Iterable[TextEdit], replacing: Replacing) -> Steps[str]:
    """Return the text with its edits, as :func:`written` does, in steps."""
    pieces: list[str] = []
    last = 0
    for count, edit in enumerate(edits, 1):
        if count % EDITS_AT_ONCE == 0:
            yield
        words = edit.words
        if words is None:
            words = replacing(text[edit.start : edit.end], edit.mask, edit.detector)
        pieces += [text[last : edit.start], words]
        last = edit.end
    pieces.append(text[last:])
    written_text = "".join(pieces)
    yield from freeing(pieces)
    return written_text
