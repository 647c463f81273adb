"""The mirrored headers of 2026-07-28: what they say must be what the body says (specification, Standard Headers).

A value that is not printable ASCII travels as ``=?base64?…?=``; it is decoded before it is compared. A header is never
trusted in place of the body: it may agree, or the request is refused.
"""

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Final

from ostiary_core.mcp import codes
from ostiary_gateway.errors import Refusal

_OPEN: Final = "=?base64?"
_CLOSE: Final = "?="
#: What a header's value may hold here (RFC 9110 §5.5, without its obsolete part): visible ASCII, spaces, tabs.
_SAFE: Final = re.compile(r"[\t\x20-\x7e]*")


def mismatch(message: str) -> Refusal:
    """Return the answer to a header that is missing, malformed or contradicts the body."""
    return Refusal(400, "HeaderMismatch", message, code=codes.HEADER_MISMATCH)


def decoded(name: str, value: str) -> str:
    """Return a header's value behind its encoding; half of the marker is a literal.

    Raises:
        Refusal: characters that a header cannot hold, or an encoding that is broken.
    """
    value = value.strip(" \t")
    require_safe(name, value)
    if not _is_encoded(value):
        return value
    payload = value[len(_OPEN) : -len(_CLOSE)]
    try:
        raw = base64.b64decode(payload, validate=True)
        text = raw.decode("utf-8")
    except (binascii.Error, ValueError):
        raise mismatch(f"The header {name} is not valid base64 of UTF-8") from None
    if base64.b64encode(raw).decode() != payload:
        raise mismatch(f"The header {name} is not the canonical base64 of its value")
    return text


def require_safe(name: str, value: str) -> None:
    """Check that a header holds visible ASCII only: what lies beyond is read differently by everyone.

    Raises:
        Refusal: -32020.
    """
    if _SAFE.fullmatch(value) is None:
        raise mismatch(f"The header {name[:64]} holds characters beyond visible ASCII; encode it as {_OPEN}…{_CLOSE}")


def _is_encoded(value: str) -> bool:
    return value.startswith(_OPEN) and value.endswith(_CLOSE) and len(value) >= len(_OPEN) + len(_CLOSE)


def encoded(value: str) -> str:
    """Return a value as a header carries it."""
    plain = value.isascii() and value.isprintable() and value == value.strip(" ")
    if plain and not (value.startswith(_OPEN) and value.endswith(_CLOSE)):
        return value
    return f"{_OPEN}{base64.b64encode(value.encode()).decode()}{_CLOSE}"


def require_agreement(headers: Mapping[str, str], name: str, expected: str) -> None:
    """Check that a header is there and says, letter for letter, what the body says.

    Raises:
        Refusal: -32020.
    """
    if _present(headers, name) != expected:
        raise _disagreement(name)


def require_name_agreement(headers: Mapping[str, str], name: str, expected: str) -> None:
    """Check a header whose value may be encoded: ``Mcp-Name``, ``Mcp-Param-*``.

    Raises:
        Refusal: -32020.
    """
    if decoded(name, _present(headers, name)) != expected:
        raise _disagreement(name)


def _present(headers: Mapping[str, str], name: str) -> str:
    value = headers.get(name.lower())
    if value is None:
        raise mismatch(f"The header {name} is missing")
    return value


def _disagreement(name: str) -> Refusal:
    return mismatch(f"The header {name} does not say what the body says")
