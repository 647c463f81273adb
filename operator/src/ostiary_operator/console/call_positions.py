"""Where a live list goes on: the last call that a browser has of each replica, sealed.

Replicas number the calls of all proxies. The difference between the numbers of two own calls would tell a viewer how
much others called. So each number is sealed with a key of this process, bound to its replica, and spelled differently
each time. Another Pod of the console cannot open it: there a list goes on from now.
"""

import base64
import json
import os
from collections.abc import Mapping
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

#: Replicas whose last call a stream may be told.
_MOST_SOURCES: Final = 32
_LONGEST: Final = 64
_CIPHER: Final = AESGCM(AESGCM.generate_key(bit_length=256))
_NONCE: Final = 12


def position(source: str, number: int) -> str:
    """Return the position of the call ``number`` of a replica."""
    nonce = os.urandom(_NONCE)
    sealed = _CIPHER.encrypt(nonce, number.to_bytes(8, "big"), _bound(source))
    return base64.urlsafe_b64encode(nonce + sealed).decode()


def parameter(last: Mapping[str, int]) -> str:
    """Return the query parameter ``after`` of a stream, for the last numbers by replica."""
    few = list(last.items())[:_MOST_SOURCES]
    return json.dumps({source: position(source, number) for source, number in few}, separators=(",", ":"))


def positions(text: str) -> dict[str, int]:
    """Read the parameter ``after``: the number of the last known call of each replica.

    What this process has not sealed is nothing.
    """
    try:
        found = json.loads(text) if len(text) <= _MOST_SOURCES * 512 else {}
    except (ValueError, RecursionError):
        return {}
    if not isinstance(found, dict) or len(found) > _MOST_SOURCES:
        return {}
    opened = {source: _opened(source, sealed) for source, sealed in found.items()}
    return {source: number for source, number in opened.items() if number is not None}


def _opened(source: str, sealed: object) -> int | None:
    if not isinstance(sealed, str) or len(sealed) > _LONGEST:
        return None
    try:
        raw = base64.urlsafe_b64decode(sealed)
        return int.from_bytes(_CIPHER.decrypt(raw[:_NONCE], raw[_NONCE:], _bound(source)), "big")
    except (InvalidTag, ValueError):
        return None


def _bound(source: str) -> bytes:
    return source.encode("utf-8", "replace")
