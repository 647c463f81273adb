"""The text in base64 of text types, as the most lenient reader would take it.

Readers differ in what they forgive: line breaks, characters for URLs, missing padding, the encoding of the text. What
one of them can read must be seen.
"""

import base64
import binascii
import re
from typing import Final

#: Media types, besides ``text/``, whose content is text.
_TEXT_TYPES: Final = ("json", "xml", "yaml", "csv", "javascript", "x-www-form-urlencoded", "ndjson", "toml", "sql")
_SPACE: Final = re.compile(r"\s+")
_FOR_URLS: Final = str.maketrans("-_", "+/")
_CHARSET: Final = re.compile(r"charset\s*=\s*[\"']?([\w.:-]{1,40})", re.IGNORECASE)
_UTF_16_MARKS: Final = (b"\xff\xfe", b"\xfe\xff")
#: Encodings of text that a declared charset may choose; others could expand what they decode, or are no text.
_CHARSETS: Final = frozenset({"utf-16", "utf-16le", "utf-16be", "utf-32", "utf-32le", "utf-32be"})


def decoded_text(encoded: str, media_type: object) -> str | None:
    """Return the text in base64 of a text type; None where it is none.

    Content without a type is taken for text where it is valid UTF-8.
    """
    is_typed = type(media_type) is str
    if is_typed and not _is_text_type(str(media_type)):
        return None
    raw = _raw(encoded)
    if raw is None:
        return None
    return _as_typed(raw, str(media_type)) if is_typed else _as_utf_8(raw)


def is_base64(text: str) -> bool:
    """Return whether a text is base64, of whatever."""
    return _raw(text) is not None


def _raw(encoded: str) -> bytes | None:
    plain = _SPACE.sub("", encoded).translate(_FOR_URLS).rstrip("=")
    try:
        return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None


def _as_utf_8(raw: bytes) -> str | None:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return None


def _as_typed(raw: bytes, media_type: str) -> str:
    """Decode what is text by its type; byte by byte if not in UTF-8, so that ASCII is seen."""
    found = _CHARSET.search(media_type)
    charset = found.group(1).lower().replace("_", "-") if found else ""
    if raw.startswith(_UTF_16_MARKS):
        charset = "utf-16"
    if charset in _CHARSETS:
        return raw.decode(charset, "replace")
    text = _as_utf_8(raw)
    return raw.decode("latin-1") if text is None else text


def _is_text_type(media_type: str) -> bool:
    plain = media_type.partition(";")[0].strip().lower()
    return plain.startswith("text/") or plain.endswith(_TEXT_TYPES)
