"""Find HTML whose text a page does not show, by a style, an attribute or a comment."""

import re
from collections.abc import Generator, Iterator
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
    rf"(?i)<(?P<name>[a-z][a-z0-9-]*)(?:\s[^<>]*)?\s(?:style\s*=[^<>]*(?:{_HIDING_STYLE})|hidden[\s=/>]|aria-hidden\s*=\s*.?true)",
    re2_options(memory=_MEMORY),
)
_TAG: Final = re.compile(r"<(?P<close>/?)(?P<name>[A-Za-z][A-Za-z0-9-]*)[^<>]*>?")
#: Elements that hold no text, and those that end where the next one begins.
_VOID: Final = frozenset({"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "wbr"})
_SIBLINGS: Final = frozenset({"p", "li", "dt", "dd", "td", "th", "tr", "option"})
#: Tags that are looked at in one step.
_AT_ONCE: Final = 512
_COMMENT_START: Final = "<!--"
_COMMENT_END: Final = "-->"
#: The number of words from which a comment says something.
_WORDS: Final = 3


def hidden_html_spans(text: str, *, sensitivity: Sensitivity) -> Iterator[HiddenSpan | None]:
    """Yield each element of a text that a page hides, and its text; None where others may run.

    Comments are found at the sensitivity ``High`` only.
    """
    if "<" not in text:
        return
    if sensitivity is not Sensitivity.LOW:
        yield from _elements(text)
    if sensitivity is Sensitivity.HIGH:
        yield from _comments(text)


def _elements(text: str) -> Iterator[HiddenSpan | None]:
    place = 0
    for count, match in enumerate(_HIDING_TAG.finditer(text), 1):  # a search from each place would encode all again
        if count % _AT_ONCE == 0:
            yield None
        if match.start() < place:
            continue
        opened = text.find(">", match.end() - 1)
        if opened < 0:
            return
        name = match["name"].lower()
        inner, place = (opened + 1, opened + 1) if name in _VOID else (yield from _end_of(text, name, opened + 1))
        if any(map(str.isalpha, _TAG.sub("", text[opened + 1 : inner]))):
            yield HiddenSpan(match.start(), place, "html")


def _end_of(text: str, name: str, start: int) -> Generator[None, None, tuple[int, int]]:
    """Return where the content of an element ends, and the element itself.

    One that is never closed hides all that follows, as pages show it.
    """
    depth = 1
    for count, tag in enumerate(_TAG.finditer(text, start), 1):
        if count % _AT_ONCE == 0:
            yield
        if tag["name"].lower() != name:
            continue
        if name in _SIBLINGS and not tag["close"]:
            return tag.start(), tag.start()
        depth += -1 if tag["close"] else 1
        if not depth:
            return tag.start(), tag.end()
    return len(text), len(text)


def _comments(text: str) -> Iterator[HiddenSpan]:
    start = text.find(_COMMENT_START)
    while start >= 0:
        end = text.find(_COMMENT_END, start)
        end = len(text) if end < 0 else end + len(_COMMENT_END)
        if len(text[start:end].split()) > _WORDS:
            yield HiddenSpan(start, end, "comment")
        start = text.find(_COMMENT_START, end)
