"""The mirrored headers of 2026-07-28.

They must agree with the body (specification, Standard Headers).

A value that is not printable ASCII is sent as ``=?base64?…?=`` and decoded before the comparison. A header never
replaces the body: it agrees, or the request is refused.
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
#: The characters of a header value (RFC 9110 §5.5, without its obsolete part): visible ASCII, spaces, tabs.
_SAFE: Final = re.compile(r"[\t\x20-\x7e]*")


def mismatch(message: str) -> Refusal:
    """Return the refusal of a header that is missing, malformed or contradicts the body."""
    return Refusal(400, "HeaderMismatch", message, code=codes.HEADER_MISMATCH)


def decoded(name: str, value: str) -> str:
    """Return a header's decoded value; an incomplete marker is literal text.

    Raises:
        Refusal: characters that a header cannot hold, or an invalid encoding.
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
    """Check that a header holds visible ASCII only: readers interpret other bytes differently.

    Raises:
        Refusal: -32020.
    """
    if _SAFE.fullmatch(value) is None:
        raise mismatch(f"The header {name[:64]} holds characters beyond visible ASCII; encode it as {_OPEN}…{_CLOSE}")


def _is_encoded(value: str) -> bool:
    return value.startswith(_OPEN) and value.endswith(_CLOSE) and len(value) >= len(_OPEN) + len(_CLOSE)


def encoded(value: str) -> str:
    """Return a value in the encoding of a header."""
    plain = value.isascii() and value.isprintable() and value == value.strip(" ")
    if plain and not (value.startswith(_OPEN) and value.endswith(_CLOSE)):
        return value
    return f"{_OPEN}{base64.b64encode(value.encode()).decode()}{_CLOSE}"


def require_agreement(headers: Mapping[str, str], name: str, expected: str) -> None:
    """Check that a header is present and equals the body's value exactly.

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
    return mismatch(f"The header {name} does not agree with the body")
