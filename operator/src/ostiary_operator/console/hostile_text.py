"""Text of tenants, upstream servers and agents, made fit to be shown.

Escaping keeps markup out. What is left are characters that lie to the eye: controls, which move a terminal's cursor,
and directional overrides and invisible characters, by which one name looks like another (Unicode TR 36,
CVE-2021-42574). They are shown as escapes. Every value that a template writes passes :func:`finalized`, so that no
template can forget it.
"""

import unicodedata
from typing import Final
from urllib.parse import urlsplit

#: Longer texts end in an ellipsis, unless a template says otherwise.
USUAL_LENGTH: Final = 300
#: No page shows more of one text: what is longer belongs into a file.
MOST_LENGTH: Final = 262_144
_LINK_LENGTH: Final = 2048
#: Cc controls, Cf formats (bidi, zero width), Co private use, Cs surrogates, Cn unassigned, Zl and Zp line breaks.
_UNSEEN: Final = frozenset({"Cc", "Cf", "Co", "Cs", "Cn", "Zl", "Zp"})


class ShownText(str):
    """Text that was made fit to be shown, so that it is not judged again."""

    __slots__ = ()


def one_line(text: str, limit: int = USUAL_LENGTH) -> ShownText:
    """Return text as one line, with unseen characters as escapes.

    What is behind ``limit`` characters is replaced by an ellipsis.
    """
    return _shown(text, limit, kept="")


def lines(text: str, limit: int = MOST_LENGTH) -> ShownText:
    """Return text with its line breaks and tabs, and everything else as in :func:`one_line`."""
    return _shown(text.replace("\r\n", "\n"), limit, kept="\n\t")


def _shown(text: str, limit: int, *, kept: str) -> ShownText:
    if len(text) <= limit and text.isascii() and text.isprintable():
        return ShownText(text)
    cut = text[:limit]
    shown = "".join(char if char in kept or not _is_unseen(char) else _escape(char) for char in cut)
    return ShownText(f"{shown}…" if len(text) > limit else shown)


def _is_unseen(char: str) -> bool:
    return unicodedata.category(char) in _UNSEEN


def _escape(char: str) -> str:
    return f"\\u{{{ord(char):x}}}"


def finalized(value: object) -> object:
    """Return what a template writes for a value: strings are made fit to be shown.

    It is Jinja's ``finalize``, which runs before escaping. Markup that a template made itself is left alone.
    """
    if isinstance(value, str) and not isinstance(value, ShownText) and not hasattr(value, "__html__"):
        return one_line(value)
    return "" if value is None else value


def web_link(text: str) -> ShownText | None:
    """Return a text if it is an absolute ``http`` or ``https`` URL, else None.

    One with credentials is none, since a page must not show them. ``javascript:`` and ``data:`` would run in the page
    (CVE-2022-31035).
    """
    if len(text) > _LINK_LENGTH or not text.isascii() or not text.isprintable() or set(text) & set(" \"'<>\\`{}|^"):
        return None
    try:
        parts = urlsplit(text)
        is_web = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.username is None
        _ = parts.port
    except ValueError:
        return None
    return ShownText(text) if is_web else None
