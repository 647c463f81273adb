"""The bytes of a JSON text as its readers would see them, without parsing it.

Most messages hold nothing that a mask is about. That can be told from their bytes, before any walk: where a string has
no escape, its bytes are its text. The common escapes are undone here; for any other the answer is "parse it".
"""

from typing import Final

#: Escapes of one character, and what they stand for.
_SIMPLE: Final = (
    (b'\\"', b'"'),
    (b"\\n", b"\n"),
    (b"\\/", b"/"),
    (b"\\t", b"\t"),
    (b"\\r", b"\r"),
)
_UNICODE: Final = (b"\\u", b"\\b", b"\\f")
_BACKSLASHES: Final = b"\\\\"
#: In place of a backslash of the text, so that it escapes nothing. No value of any kind contains it.
_LITERAL: Final = b"\x00"


def readings_of_json(text: bytes) -> tuple[bytes, ...] | None:
    """Return texts in which everything can be found that strings of a JSON text hold.

    None where escapes must be decoded by a parser. A text with doubled backslashes is read twice: as JSON that has
    backslashes in its strings, and as JSON that has other JSON in them.
    """
    if b"\\" not in text:
        return (text,)
    if any(escape in text for escape in _UNICODE):
        return None
    if _BACKSLASHES not in text:
        return (_undone(text),)
    return _undone(text.replace(_BACKSLASHES, _LITERAL)), _undone(text)


def _undone(text: bytes) -> bytes:
    for escape, character in _SIMPLE:
        if escape in text:
            text = text.replace(escape, character)
    return text
