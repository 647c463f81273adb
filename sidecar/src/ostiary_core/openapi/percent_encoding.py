"""Percent-encoding (RFC 3986, section 2.1) of arguments, and what paths mean.

A value is encoded whole: only unreserved characters stand as they are. What a server makes of an encoded slash or dot
differs, so a value that any reading turns into a dot segment is refused.
"""

import re
from functools import lru_cache
from typing import Final

#: RFC 3986, section 2.3.
UNRESERVED: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"
#: What may stand in the path of a document besides: RFC 3986, section 3.3; ``%`` begins what is encoded already.
OF_PATHS: Final = f"{UNRESERVED}/!$&'()*+,;=:@%"
_ENCODED: Final = re.compile(rb"%([0-9A-Fa-f]{2})")
_SEPARATOR: Final = re.compile(r"[/\\]")
_PLAIN: Final = re.compile(r"[A-Za-z0-9_~-][A-Za-z0-9._~-]*")
#: Times that a chain of servers may decode a path.
_READINGS: Final = 3


@lru_cache(maxsize=8)
def _table(kept: str) -> tuple[str, ...]:
    return tuple(chr(octet) if chr(octet) in kept else f"%{octet:02X}" for octet in range(256))


def encode(text: str, *, kept: str = UNRESERVED) -> str:
    """Return a text with every octet of its UTF-8 encoded that is not in ``kept``.

    Raises:
        UnicodeEncodeError: it holds a lone surrogate.
    """
    if _PLAIN.fullmatch(text):
        return text
    table = _table(kept)
    return "".join([table[octet] for octet in text.encode()])


def decode(text: str) -> str:
    """Return a text decoded once; what is no UTF-8 then is replaced."""
    if "%" not in text:
        return text
    octets = _ENCODED.sub(lambda found: bytes([int(found[1], 16)]), text.encode("utf-8", "replace"))
    return octets.decode("utf-8", "replace")


def climbs(text: str) -> bool:
    """Return whether a reading of a text has a dot segment, or control characters.

    A server may decode it again, take a backslash for a slash, and cut what follows a semicolon from a segment.
    """
    if _PLAIN.fullmatch(text):
        return False
    for _ in range(_READINGS):
        if any(each.partition(";")[0].strip() in (".", "..") for each in _SEPARATOR.split(text)):
            return True
        if any(each < " " or each == "\x7f" for each in text):
            return True
        text = decode(text)
    return False
