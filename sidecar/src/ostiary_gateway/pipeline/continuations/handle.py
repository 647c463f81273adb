"""Names what waits in a replica: which replica, and for whom.

A handle is opaque and random, and leaves the gateway only sealed.
"""

import os
import struct
from dataclasses import dataclass
from typing import Final

KEY_BYTES: Final = 16
_LENGTH: Final = struct.Struct(">I")


@dataclass(frozen=True, slots=True)
class Handle:
    """Where something waits.

    ``replica`` is the address of a replica's admin port, ``host:port``; empty where no other replica can reach it.
    ``key`` names what waits there.
    """

    replica: str
    key: bytes

    @classmethod
    def new(cls, replica: str) -> "Handle":
        """Return a handle that no one can guess."""
        return cls(replica, os.urandom(KEY_BYTES))

    def packed(self) -> bytes:
        """Return its bytes, to be sealed."""
        return self.key + self.replica.encode()

    @classmethod
    def unpacked(cls, content: bytes) -> "Handle":
        """Return a handle from the bytes that we sealed."""
        return cls(content[KEY_BYTES:].decode(), content[:KEY_BYTES])


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose answer is awaited: only this principal, at this proxy, may give it.

    ``principal`` is the id of a principal, and where many callers have one id, what else distinguishes them.
    """

    proxy_uid: str
    principal: str


def pack(*parts: bytes) -> bytes:
    """Return parts as one text, each with its length."""
    return b"".join(_LENGTH.pack(len(part)) + part for part in parts)


def unpack(text: bytes) -> list[bytes]:
    """Return the parts of a text that :func:`pack` made.

    Raises:
        ValueError: it was not made so.
    """
    parts, start = [], 0
    while start < len(text):
        if len(text) - start < _LENGTH.size:
            raise ValueError("a length is cut off")
        (length,) = _LENGTH.unpack_from(text, start)
        start += _LENGTH.size
        if len(text) - start < length:
            raise ValueError("a part is cut off")
        parts.append(text[start : start + length])
        start += length
    return parts
