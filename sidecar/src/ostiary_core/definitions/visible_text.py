"""Characters that a reader cannot see, made visible.

A definition is read by people before they approve it, and by models afterwards. What only a model sees must not pass a
review: zero-width and direction characters, tag characters, selectors, controls, and blanks that look like a space.
"""

import re
from collections.abc import Callable
from typing import Final

#: Characters that print as nothing, or as a blank, although they count as printable: fillers, selectors, Braille blank.
_BLANK: Final = frozenset(
    {0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x180B, 0x180C, 0x180D, 0x180F, 0x2800, 0x3164, 0xFFA0}
    | set(range(0xFE00, 0xFE10))
    | set(range(0xE0100, 0xE01F0))
)
_PRINTABLE_ASCII: Final = re.compile(r"[ -~]*")
_LINES: Final = frozenset("\n\t")


def is_visible(text: str) -> bool:
    """Return whether a reader sees each character of one line."""
    if _PRINTABLE_ASCII.fullmatch(text):
        return True
    return all(map(_is_visible, text))


def _is_visible(char: str) -> bool:
    return char.isprintable() and ord(char) not in _BLANK


def visible_characters(text: str, escape: Callable[[str], str]) -> str:
    """Return a text in which each character that cannot be seen is escaped."""
    if _PRINTABLE_ASCII.fullmatch(text):
        return text
    return "".join(char if _is_visible(char) else escape(char) for char in text)


def visible(text: str) -> str:
    """Return a text for people: what cannot be seen as ``<U+200B>``, line breaks as they are."""
    return visible_characters(text, lambda char: char if char in _LINES else f"<U+{ord(char):04X}>")


def visible_name(name: str) -> str:
    """Return a name for people: each character that is not ASCII as ``<U+0430>``.

    Names of tools are ASCII, and a letter of another alphabet may look like one of ours.
    """
    return "".join(char if " " <= char <= "~" else f"<U+{ord(char):04X}>" for char in name)
