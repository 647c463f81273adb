"""The messages between replicas.

They are sealed with the gateway's key, since nothing else authenticates them. A request says what goes on and with
which answer. The response is a sequence of frames, each bound to its request and to its place, so that none can be
taken from another response, left out or repeated. A time of issue and the single use of what waits make a repeated
request worthless.
"""

import os
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from ostiary_core import strict_json
from ostiary_gateway.errors import Refusal, UpstreamFault
from ostiary_gateway.pipeline.continuations.handle import KEY_BYTES, Owner, pack, unpack
from ostiary_gateway.seal import HOP, Purpose, Sealer

#: Where the admin port takes requests of other replicas.
PATH: Final = "/continuations"
#: The header that shows, before the body is read, that a replica of this gateway sends the request.
TICKET: Final = "Ostiary-Hop"
_TICKET: Final = Purpose("k1.", "hop ticket v1", 512)
#: Seconds that a request of another replica is accepted for: its way, and clocks that differ.
REQUEST_SECONDS: Final = 60.0
#: After this many seconds without a message the replica reports that it still works on it.
KEEP_ALIVE_SECONDS: Final = 5.0
#: What sealing adds to a text of some bytes, as a factor and as a number: base64, and a few fields.
_FACTOR: Final = 1.4
_EXTRA: Final = 64 * 1024
#: A response lasts as long as its call: its frames are bound to a request that no one else knows.
_ANY_AGE: Final = float("inf")
_FRAME: Final = Purpose("H1.", "hop answer v1", HOP.longest)
LENGTH: Final = struct.Struct(">I")

MESSAGE: Final = b"m"
ALIVE: Final = b"a"
END: Final = b"e"
_REFUSED: Final = b"r"
_FAILED: Final = b"f"


@dataclass(frozen=True, slots=True)
class HopRequest:
    """What another replica is asked for.

    It goes on with what waits under ``key`` for ``owner``, with the answer ``payload``.
    ``nonce`` binds the response to it.
    """

    key: bytes
    owner: Owner
    payload: bytes
    nonce: str

    @classmethod
    def new(cls, key: bytes, owner: Owner, payload: bytes) -> "HopRequest":
        """Return a request with a nonce of its own."""
        return cls(key, owner, payload, os.urandom(KEY_BYTES).hex())

    def sealed(self, sealer: Sealer) -> bytes:
        """Return the body that is sent."""
        owner = self.owner
        parts = pack(self.key, owner.proxy_uid.encode(), owner.principal.encode(), self.payload, self.nonce.encode())
        return sealer.seal(HOP, parts, proxy_uid="", principal="").encode()

    def ticket(self, sealer: Sealer) -> str:
        """Return the value of the header that is sent with it."""
        return sealer.seal(_TICKET, self.nonce.encode(), proxy_uid="", principal="")

    @classmethod
    def opened(cls, sealer: Sealer, body: bytes) -> "HopRequest | None":
        """Return the request in a body; None for any that no replica of this gateway made just now."""
        if not body.isascii():
            return None
        content = sealer.open(HOP, body.decode(), proxy_uid="", principal="", max_age=REQUEST_SECONDS)
        if content is None:
            return None
        key, uid, principal, payload, nonce = unpack(content)
        return cls(key, Owner(uid.decode(), principal.decode()), payload, nonce.decode())


def is_ticket(sealer: Sealer, text: str) -> bool:
    """Return whether a replica of this gateway made this header just now."""
    return sealer.open(_TICKET, text, proxy_uid="", principal="", max_age=REQUEST_SECONDS) is not None


def most_sealed(size: int) -> int:
    """Return the most bytes that a message of ``size`` bytes has when it is sealed."""
    return int(size * _FACTOR) + _EXTRA


class FrameWriter:
    """Makes the frames of one response."""

    def __init__(self, sealer: Sealer, nonce: str) -> None:
        self._sealer = sealer
        self._nonce = nonce
        self._number = 0

    def frame(self, kind: bytes, content: bytes = b"") -> bytes:
        """Return the next frame, with its length."""
        text = self._sealer.seal(_FRAME, kind + content, proxy_uid=self._nonce, principal=str(self._number)).encode()
        self._number += 1
        return LENGTH.pack(len(text)) + text

    def failure(self, error: Refusal | UpstreamFault) -> bytes:
        """Return the last frame of a response that fails."""
        if isinstance(error, Refusal):
            found = {"reason": error.reason, "message": error.message, "code": error.code, "data": error.data}
            return self.frame(_REFUSED, strict_json.dumps(found))
        words = {"kind": error.kind, "message": error.message, "retryAfterMs": error.retry_after_ms}
        return self.frame(_FAILED, strict_json.dumps(words))


class FrameReader:
    """Reads the frames of one response."""

    def __init__(self, sealer: Sealer, nonce: str) -> None:
        self._sealer = sealer
        self._nonce = nonce
        self._number = 0

    def read(self, frame: bytes) -> tuple[bytes, bytes]:
        """Return kind and content of the next frame.

        Raises:
            ValueError: it is not the next frame of this response.
            Refusal, UpstreamFault: the response failed so.
        """
        content = self._sealer.open(
            _FRAME,
            frame.decode("ascii"),
            proxy_uid=self._nonce,
            principal=str(self._number),
            max_age=_ANY_AGE,
        )
        if not content:
            raise ValueError("a frame of another replica is not sealed for this request")
        self._number += 1
        kind, rest = content[:1], content[1:]
        if kind in (_REFUSED, _FAILED):
            raise _failure(kind, strict_json.loads(rest))
        return kind, rest


def _failure(kind: bytes, found: Mapping[str, object]) -> Refusal | UpstreamFault:
    if kind == _FAILED:
        after = found["retryAfterMs"]
        return UpstreamFault(
            str(found["kind"]), str(found["message"]), retry_after_ms=after if isinstance(after, int) else None
        )
    code, data = found["code"], found["data"]
    return Refusal(
        200,
        str(found["reason"]),
        str(found["message"]),
        code=code if isinstance(code, int) else None,
        data=dict(data) if isinstance(data, Mapping) else None,
    )
