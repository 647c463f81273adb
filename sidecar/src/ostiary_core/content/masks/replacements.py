"""What stands in place of a value that was found, by the action of its mask.

- Mask: `[masked: CardNumber]`, or with `keepLast` stars except for the last characters: `**** **** **** 1111`
- Hash: a text that is the same for the same value, made with a key
- Tokenise: a text that the gateway turns into the value again, in arguments of the tools that may have it
- Remove: nothing
"""

from typing import Final

from ostiary_core.content.detection.detector import Detector
from ostiary_core.content.masks.compiled_mask import CompiledMask
from ostiary_core.content.masks.tokens import LONGEST_VALUE, MaskKeys, label_of
from ostiary_core.contract.masks import MaskAction

_STAR: Final = "*"


def replacement(text: str, mask: CompiledMask, detector: Detector, keys: MaskKeys | None) -> str:
    """Return what a reader sees in place of ``text``.

    Without keys Hash and Tokenise do what Mask does, and so does Tokenise with a value that is too long.
    """
    if mask.action is MaskAction.REMOVE:
        return ""
    if mask.action is MaskAction.HASH and keys is not None:
        return keys.hash(detector.normal(text), label_of(mask))
    if mask.action is MaskAction.TOKENISE and keys is not None and len(text) <= LONGEST_VALUE:
        return keys.token(text, label_of(mask))
    return masked(text, detector.name, keep_last=mask.keep_last)


def masked(text: str, name: str, *, keep_last: int) -> str:
    """Return the words for a masked value, or stars that end with its last characters.

    What is longer than any value is a text that could not be judged: nothing of it is shown.
    """
    if not keep_last or len(text) > LONGEST_VALUE:
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
