"""Canonical JSON and its digest: equal values give equal bytes everywhere.

Keys are sorted by code point, there is no insignificant white space, and text is UTF-8. Floats occur only where a user
wrote one (a constraint on an argument), as the shortest decimal; durations are integer milliseconds. Two runs, two
machines and two Python versions give the same bytes, so a digest identifies a document.
"""

import hashlib
from typing import Any

import orjson


def canonical(value: Any) -> bytes:
    """Return the canonical JSON of a value.

    The value consists of dicts with string keys, lists, strings, numbers, booleans and None.
    """
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def digest(document: bytes) -> str:
    """Return the SHA-256 of a document as 64 lower-case hexadecimal digits."""
    return hashlib.sha256(document).hexdigest()
