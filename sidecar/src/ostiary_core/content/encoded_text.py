"""The text in base64 of text types, as the most lenient reader would take it.

Readers differ in what they forgive: line breaks, characters for URLs, missing padding, the encoding of the text. What
one of them can read must be seen.
"""

import base64
import binascii
import re
from collections.abc import Iterator
from typing import Final, NamedTuple

#: Media types, besides ``text/``, whose content is text.
_TEXT_TYPES: Final = ("json", "xml", "yaml", "csv", "javascript", "x-www-form-urlencoded", "ndjson", "toml", "sql")
_SPACE: Final = re.compile(r"\s+")
_FOR_URLS: Final = str.maketrans("-_", "+/")
_CHARSET: Final = re.compile(r"charset\s*=\s*[\"']?([\w.:-]{1,40})", re.IGNORECASE)
_UTF_16_MARKS: Final = (b"\xff\xfe", b"\xfe\xff")
#: Encodings of text that a declared charset may choose; others could expand what they decode, or are no text.
_CHARSETS: Final = frozenset({"utf-16", "utf-16le", "utf-16be", "utf-32", "utf-32le", "utf-32be"})
#: What stands before base64 in a `data:` URI (RFC 2397), and the most characters before that.
_BASE64: Final = re.compile(r"(?i);base64,")
_BASE64_BYTES: Final = re.compile(rb"(?i);base64,")
_SCHEME: Final = "data:"
_LONGEST_TYPE: Final = 160
_PAYLOAD: Final = re.compile(r"[A-Za-z0-9+/_-]+(?:=|%3[dD])*")


class DataText(NamedTuple):
    """The text of a `data:` URI, and where its base64 stands."""

    start: int
    end: int
    text: str


def may_hold_data(text: bytes) -> bool:
    """Return whether there may be a `data:` URI with base64."""
    return b"64," in text and _BASE64_BYTES.search(text) is not None


def data_texts(text: str) -> Iterator[DataText]:
    """Yield what the `data:` URIs of text types in a text hold in base64."""
    if "64," not in text:
        return
    for match in _BASE64.finditer(text):
        head = text[max(0, match.start() - _LONGEST_TYPE) : match.start()]
        _, scheme, media_type = head.lower().rpartition(_SCHEME)
        payload = _PAYLOAD.match(text, match.end())
        if not scheme or payload is None:
            continue
        given = media_type if media_type[:1] not in ("", ";") else f"text/plain{media_type}"
        decoded = decoded_text(payload[0].replace("%3D", "=").replace("%3d", "="), given)
        if decoded is not None:
            yield DataText(*payload.span(), decoded)


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


def encoded_text(text: str) -> str:
    """Return a text in base64."""
    return base64.b64encode(text.encode("utf-8", "replace")).decode()


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
