"""What stands in place of a value that was found, by the action of its mask.

- Mask: `[masked: CardNumber]`, or with `keepLast` stars except for the last characters: `**** **** **** 1111`
- Hash: a text that is the same for the same value, made with a key
- Tokenise: a text that the gateway turns into the value again, in arguments of the tools that may have it
- Remove: nothing
"""

from typing import Final, Protocol

from ostiary_core.content.detection.detector import Detector
from ostiary_core.content.masks.compiled_mask import CompiledMask
from ostiary_core.contract.masks import MaskAction

_STAR: Final = "*"


class MaskKeys(Protocol):
    """Makes hashes and tokens with keys that only gateways have, for one caller of one proxy."""

    def hash(self, text: str) -> str:
        """Return the same text for the same value; nothing can be learnt from it without the key."""

    def token(self, text: str) -> str:
        """Return a text that :meth:`opened` turns into the value again."""

    def opened(self, token: str) -> str | None:
        """Return the value of a token; None where it is not one of this caller at this proxy."""


def replacement(text: str, mask: CompiledMask, detector: Detector, keys: MaskKeys | None) -> str:
    """Return what a reader sees in place of ``text``.

    Without keys Hash and Tokenise do what Mask does.
    """
    if mask.action is MaskAction.REMOVE:
        return ""
    if mask.action is MaskAction.HASH and keys is not None:
        return keys.hash(detector.normal(text))
    if mask.action is MaskAction.TOKENISE and keys is not None:
        return keys.token(text)
    return masked(text, detector.name, keep_last=mask.keep_last)


def masked(text: str, name: str, *, keep_last: int) -> str:
    """Return the words for a masked value, or stars that end with its last characters."""
    if not keep_last:
        return f"[masked: {name}]"
    return stars(text, keep_last=keep_last)


def stars(text: str, *, keep_last: int = 0) -> str:
    """Return a text of the same length, with stars for letters and digits except for the last.

    ``keep_last`` of them stay readable, but at most half.
    """
    left = sum(map(str.isalnum, text))
    shown = left - min(keep_last, left // 2)
    found = []
    for character in text:
        if character.isalnum():
            shown -= 1
            found.append(_STAR if shown >= 0 else character)
        else:
            found.append(character)
    return "".join(found)
