"""Find text that a person does not see and a model reads.

Characters are judged by their neighbours, not by their range. Tag characters build the flags of Scotland and Wales,
joiners build emoji, Persian and Indic words, and one variation selector is ordinary: these pass. What stays is hidden:
tags elsewhere, characters of no width between letters or in runs, runs of selectors, text direction that is never
closed or overridden, and escape sequences of terminals.
"""

import re
import unicodedata
from collections.abc import Iterator
from typing import Final, NamedTuple

import re2

from ostiary_core.contract.guards import Sensitivity
from ostiary_core.policy.name_matcher import re2_options


class HiddenSpan(NamedTuple):
    """Where a text hides something, and by which means."""

    start: int
    end: int
    means: str


_JOINERS: Final = "\u200b-\u200d\u2060-\u2064\u180e\ufeff\u00ad\u034f\u17b4\u17b5\u115f\u1160\u3164\uffa0"
_SELECTORS: Final = "\ufe00-\ufe0f\U000e0100-\U000e01ef"
_TAGS: Final = "\U000e0000-\U000e007f"
_BIDI: Final = "\u202a-\u202e\u2066-\u2069"
_SUSPECT: Final = re.compile(
    f"(?P<tag>[{_TAGS}]+)|(?P<selector>[{_SELECTORS}]+)|(?P<joiner>[{_JOINERS}]+)|(?P<bidi>[{_BIDI}])"
    r"|(?P<escape>(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]?"
    r"|(?:\x1b[\]PX^_]|\x9d[0-9]{1,4};)[^\x07\x1b\x9c]{0,4096}(?:\x07|\x1b\\|\x9c)?|\x1b.?)"
)
#: One search that finds none of these in almost every text.
_ANY: Final = re2.compile(f"[{_TAGS}{_SELECTORS}{_JOINERS}{_BIDI}\\x1b\\x{{9b}}\\x{{9d}}]", re2_options(memory=1 << 20))
_ESCAPE: Final = "\x1b"
#: What conceals the text that follows, in a terminal.
_CONCEALS: Final = re.compile(r"(?:\x1b\[|\x9b)(?:[0-9;]*;)?8(?:;[0-9;]*)?m|\x1b\]|\x9d")

_FLAG: Final = "\U0001f3f4"
_FLAG_TAGS: Final = re.compile("[\U000e0061-\U000e007a]{2}[\U000e0030-\U000e0039\U000e0061-\U000e007a]{1,4}\U000e007f")
#: Scripts whose spelling uses joiners: Arabic and its neighbours, those of India and of South-East Asia, Mongolian.
_JOINING: Final = re.compile(
    "[\u0590-\u08ff\u0900-\u0dff\u0f00-\u0fff\u1000-\u109f\u1780-\u17ff\u1800-\u18af\u1a20-\u1aaf"
    "\ua840-\ua87f\ua8e0-\ua8ff\uaa00-\uaaff\ufb50-\ufdff\ufe70-\ufefc\U00010a00-\U00010aff\U00011000-\U000114ff]"
)
#: Scripts without spaces: a space of no width says where a line may break.
_SPACELESS: Final = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u19e0-\u19ff\u3040-\u30ff\u3400-\u9fff]")
_EMOJI: Final = re.compile(
    "[\u00a9\u00ae\u203c-\u3299\u2190-\u21ff\u2300-\u27bf\u2b00-\u2bff\ufe0f\u20e3\U0001f000-\U0001faff]"
)
_HANGUL: Final = re.compile("[\u1100-\u11ff\ua960-\ua97f\ud7b0-\ud7ff]")
_IDEOGRAPH: Final = re.compile("[\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")
#: By character that opens an embedding, an override or an isolate: the one that closes it.
_CLOSED_BY: Final = {
    **dict.fromkeys("\u202a\u202b\u202d\u202e", "\u202c"),
    **dict.fromkeys("\u2066\u2067\u2068", "\u2069"),
}
_OVERRIDES: Final = "\u202d\u202e"
_KEYCAPS: Final = frozenset("#*0123456789")
#: More characters of no width than spelling ever needs in one place.
_RUN: Final = 3
#: Suspicious characters that are judged in one step.
_AT_ONCE: Final = 512


def hidden_spans(text: str, *, sensitivity: Sensitivity) -> Iterator[HiddenSpan | None]:
    """Yield each place of a text at which something is hidden; None where others may run.

    ``Low`` sees what can only be meant to hide: tags, runs, concealed text of a terminal. ``Medium`` adds the rest.
    """
    if (text.isascii() and _ESCAPE not in text) or not _ANY.search(text):
        return
    direction = _Direction()
    for count, match in enumerate(_SUSPECT.finditer(text), 1):
        if count % _AT_ONCE == 0:
            yield None
        span = HiddenSpan(match.start(), match.end(), str(match.lastgroup))
        if match.lastgroup == "bidi":
            yield from direction.after(text, match.start())
        elif _JUDGES[span.means](text, span, sensitivity):
            yield span
    yield from direction.unclosed()


def _tags_hide(text: str, span: HiddenSpan, _: Sensitivity) -> bool:
    is_flag = span.start > 0 and text[span.start - 1] == _FLAG and _FLAG_TAGS.fullmatch(text, span.start, span.end)
    return not is_flag


def _selectors_hide(text: str, span: HiddenSpan, sensitivity: Sensitivity) -> bool:
    """Return whether selectors carry data.

    One chooses the form of the character before it. A second one, or one behind a letter, has no use.
    """
    if span.end - span.start > 1:
        return True
    if sensitivity is Sensitivity.LOW:
        return False
    base = text[span.start - 1] if span.start else " "
    if text[span.start] >= "\U000e0100":
        return not _IDEOGRAPH.match(base)
    return base.isspace() or (base.isascii() and base not in _KEYCAPS)


def _joiners_hide(text: str, span: HiddenSpan, sensitivity: Sensitivity) -> bool:
    if span.end - span.start > _RUN:
        return True
    before, after = _neighbours(text, span)
    if not before or not after or sensitivity is Sensitivity.LOW:
        return False
    if _are_spelled(text[span.start], before, after):
        return False
    return _is_letter(before) and _is_letter(after) and text[span.start : span.end] != "\u00ad"


def _are_spelled(joiner: str, before: str, after: str) -> bool:
    """Return whether the spelling of these neighbours uses the joiner between them."""
    if joiner == "\u200d" and _EMOJI.match(after):
        return bool(_EMOJI.match(before))
    if _HANGUL.match(before) or _HANGUL.match(after):
        return True
    if _SPACELESS.match(before) or _SPACELESS.match(after):
        return joiner not in "\u200c\u200d" or bool(_JOINING.match(before))
    return bool(_JOINING.match(before) or _JOINING.match(after))


def _neighbours(text: str, span: HiddenSpan) -> tuple[str, str]:
    return text[span.start - 1 : span.start] if span.start else "", text[span.end : span.end + 1]


def _is_letter(character: str) -> bool:
    return unicodedata.category(character)[0] in "LN"


def _escapes_hide(text: str, span: HiddenSpan, sensitivity: Sensitivity) -> bool:
    return sensitivity is not Sensitivity.LOW or bool(_CONCEALS.match(text, span.start, span.end))


_JUDGES: Final = {"tag": _tags_hide, "selector": _selectors_hide, "joiner": _joiners_hide, "escape": _escapes_hide}


class _Direction:
    """What is open of embeddings, overrides and isolates in a paragraph, and since where."""

    def __init__(self) -> None:
        self._open: list[tuple[str, int]] = []

    def after(self, text: str, place: int) -> Iterator[HiddenSpan]:
        """Take one character of direction; yield what was left open before, and overridden text."""
        if self._open and text.find("\n", self._open[-1][1], place) >= 0:
            yield from self.unclosed()
        character = text[place]
        if character in _CLOSED_BY:
            self._open.append((character, place))
        elif not self._open or _CLOSED_BY[self._open[-1][0]] != character:
            yield HiddenSpan(place, place + 1, "bidi")
        else:
            opened, start = self._open.pop()
            if opened in _OVERRIDES and any(map(str.isalnum, text[start:place])):
                yield HiddenSpan(start, place + 1, "bidi")

    def unclosed(self) -> Iterator[HiddenSpan]:
        """Yield what was never closed."""
        for _, place in self._open:
            yield HiddenSpan(place, place + 1, "bidi")
        self._open.clear()
