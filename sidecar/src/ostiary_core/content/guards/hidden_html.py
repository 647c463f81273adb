"""Find HTML whose text a page does not show, by a style, an attribute or a comment."""

from collections.abc import Iterator
from typing import Final

import re2

from ostiary_core.content.guards.hidden_text import HiddenSpan
from ostiary_core.contract.guards import Sensitivity
from ostiary_core.policy.name_matcher import re2_options

_MEMORY: Final = 8 << 20
_HIDING_STYLE: Final = (
    r"display\s*:\s*none|visibility\s*:\s*hidden|font-size\s*:\s*0(?:\.0+)?(?:px|pt|em|rem|%)?\s*[;\"'!]"
    r"|opacity\s*:\s*0(?:\.0+)?\s*[;\"'!]|color\s*:\s*transparent|text-indent\s*:\s*-\d{3}"
    r"|(?:left|top)\s*:\s*-\d{4}|clip\s*:\s*rect\(\s*0"
)
#: An opening tag that hides its element. (A tag holds no "<", so a search looks at each character once.)
_HIDING_TAG: Final = re2.compile(
    rf"(?i)<[a-z][a-z0-9-]*(?:\s[^<>]*)?\s(?:style\s*=[^<>]*(?:{_HIDING_STYLE})|hidden[\s=/>]|aria-hidden\s*=\s*.?true)",
    re2_options(memory=_MEMORY),
)
_COMMENT_START: Final = "<!--"
_COMMENT_END: Final = "-->"
#: The number of words from which a comment says something.
_WORDS: Final = 3


def hidden_html_spans(text: str, *, sensitivity: Sensitivity) -> Iterator[HiddenSpan]:
    """Yield each element of a text that a page hides, and its text.

    Comments are found at the sensitivity ``High`` only.
    """
    if "<" not in text:
        return
    if sensitivity is not Sensitivity.LOW:
        yield from _elements(text)
    if sensitivity is Sensitivity.HIGH:
        yield from _comments(text)


def _elements(text: str) -> Iterator[HiddenSpan]:
    place = 0
    while (match := _HIDING_TAG.search(text, place)) is not None:
        opened = text.find(">", match.end() - 1)
        if opened < 0:
            return
        end = text.find("</", opened)
        closed = text.find(">", end) + 1 if end >= 0 else 0
        if any(map(str.isalpha, text[opened + 1 : end if end >= 0 else len(text)])):
            yield HiddenSpan(match.start(), closed or len(text), "html")
        end = closed or len(text)
        place = end


def _comments(text: str) -> Iterator[HiddenSpan]:
    start = text.find(_COMMENT_START)
    while start >= 0:
        end = text.find(_COMMENT_END, start)
        end = len(text) if end < 0 else end + len(_COMMENT_END)
        if len(text[start:end].split()) > _WORDS:
            yield HiddenSpan(start, end, "comment")
        start = text.find(_COMMENT_START, end)
