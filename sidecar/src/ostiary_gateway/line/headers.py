"""The mirrored headers of 2026-07-28: what they say must be what the body says (specification, Standard Headers).

A value that is not printable ASCII travels as ``=?base64?…?=``; it is decoded before it is compared. A header is never
trusted in place of the body: it may agree, or the request is refused.
"""

import base64
import binascii
from collections.abc import Mapping
from typing import Final

from ostiary_core.mcp import codes
from ostiary_gateway.errors import Refusal

_OPEN: Final = "=?base64?"
_CLOSE: Final = "?="


def mismatch(message: str) -> Refusal:
    """Return the answer to a header that is missing, malformed or contradicts the body."""
    return Refusal(400, "HeaderMismatch", message, code=codes.HEADER_MISMATCH)


def decoded(name: str, value: str) -> str:
    """Return a header's value behind its encoding.

    Raises:
        Refusal: the encoding is begun and broken.
    """
    value = value.strip(" \t")
    if not (value.startswith(_OPEN) and value.endswith(_CLOSE) and len(value) >= len(_OPEN) + len(_CLOSE)):
        return value
    try:
        return base64.b64decode(value[len(_OPEN) : -len(_CLOSE)], validate=True).decode("utf-8")
    except (binascii.Error, ValueError):
        raise mismatch(f"The header {name} is not valid base64 of UTF-8") from None


def encoded(value: str) -> str:
    """Return a value as a header carries it."""
    plain = value.isascii() and value.isprintable() and value == value.strip(" \t")
    if plain and not (value.startswith(_OPEN) and value.endswith(_CLOSE)):
        return value
    return f"{_OPEN}{base64.b64encode(value.encode()).decode()}{_CLOSE}"


def require_agreement(headers: Mapping[str, str], name: str, expected: str) -> None:
    """Check that a header is there and says what the body says.

    Raises:
        Refusal: -32020.
    """
    value = headers.get(name)
    if value is None:
        raise mismatch(f"The header {name} is missing")
    if decoded(name, value) != expected:
        raise mismatch(f"The header {name} does not say what the body says")


def refuse_disagreement(headers: Mapping[str, str], name: str, expected: str) -> None:
    """Check a header that need not be there.

    Raises:
        Refusal: -32020.
    """
    if name in headers:
        require_agreement(headers, name, expected)
