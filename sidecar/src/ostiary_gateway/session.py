"""Sessions sealed into their id.

Every replica can open them, a restart keeps them, and no one else can make one.

A sealed id is ``1.`` and base64url of: activation time of the key (4 bytes, which names the key), nonce (12), and
AES-256-GCM over: issue time (4), index of the revision (1), the upstream's session id. The proxy's uid and the
principal are authenticated with it, so an id opens only where and for whom it was sealed. Its characters are those
that the specification allows (0x21 to 0x7E).
"""

import base64
import binascii
import os
import re
import struct
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ostiary_gateway.errors import Refusal, UpstreamFault
from ostiary_gateway.upstream import faults

_PREFIX: Final = "1."
_HEAD: Final = struct.Struct(">I12s")
_BODY: Final = struct.Struct(">IB")
#: The longest upstream session id: some servers keep a session in its id, as we do. The specification has no limit.
_MAX_UPSTREAM_ID: Final = 4096
#: The sealed id of such a session has 5,513 characters: the data port, and proxies before it, accept 8 KiB of headers.
_MAX_SEALED: Final = 5632
#: Head, body and tag (16) around an empty upstream id.
_SHORTEST: Final = _HEAD.size + _BODY.size + 16
#: The characters of a session id (specification, Session Management).
_UPSTREAM_ID: Final = re.compile(r"[\x21-\x7e]+")
#: Sealed ids contain indexes into this list: append only.
_REVISIONS: Final = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25")


@dataclass(frozen=True, slots=True)
class UpstreamSession:
    """The content of a sealed id: the upstream's own session id, and the negotiated revision."""

    upstream_id: str
    revision: str


class Sealer:
    """Seals and opens session ids with the keys of the gateway's Secret.

    ``keys`` returns the current keys by activation time; ``clock`` returns epoch seconds.
    """

    def __init__(self, keys: Callable[[], Mapping[int, bytes]], *, clock: Callable[[], float] = time.time) -> None:
        self._keys = keys
        self._clock = clock
        self._ciphers: dict[bytes, AESGCM] = {}

    def seal(self, session: UpstreamSession, *, proxy_uid: str, principal: str) -> str:
        """Return the id to give to the client.

        Raises:
            UpstreamFault: the upstream's id is invalid.
            Refusal: there is no key yet.
        """
        _check(session.upstream_id)
        now = int(self._clock())
        active = [moment for moment in self._keys() if moment <= now]
        if not active:
            raise Refusal(503, "NotReady", "The gateway has no key to seal sessions yet")
        moment, nonce = max(active), os.urandom(12)
        plain = _BODY.pack(now, _REVISIONS.index(session.revision)) + session.upstream_id.encode()
        sealed = self._cipher(moment).encrypt(nonce, plain, _bound_to(proxy_uid, principal))
        return _PREFIX + _text(_HEAD.pack(moment, nonce) + sealed)

    def open(self, sealed: str, *, proxy_uid: str, principal: str, max_age: float) -> UpstreamSession | None:
        """Return the content of an id.

        It is None for any id that is not ours: foreign, altered, expired, or of a lost key.

        ``max_age`` is in seconds.
        """
        raw = _decoded(sealed)
        if raw is None:
            return None
        moment, nonce = _HEAD.unpack_from(raw)
        if moment not in self._keys():
            return None
        try:
            plain = self._cipher(moment).decrypt(nonce, raw[_HEAD.size :], _bound_to(proxy_uid, principal))
        except InvalidTag:
            return None
        issued, revision = _BODY.unpack_from(plain)
        # A newer replica may seal a revision that this one does not have yet.
        if self._clock() - issued > max_age or revision >= len(_REVISIONS):
            return None
        return UpstreamSession(plain[_BODY.size :].decode(), _REVISIONS[revision])

    def _cipher(self, moment: int) -> AESGCM:
        key = self._keys()[moment]
        cipher = self._ciphers.get(key)
        if cipher is None:
            cipher = self._ciphers[key] = AESGCM(key)
        return cipher


def _check(upstream_id: str) -> None:
    """Check what a server sent as its session id.

    Raises:
        UpstreamFault: no client could send it, or it is longer than we can seal.
    """
    if len(upstream_id) > _MAX_UPSTREAM_ID:
        words = f"its session id is {len(upstream_id)} characters long, and at most {_MAX_UPSTREAM_ID} can be sealed"
        raise UpstreamFault(faults.INVALID, words)
    if _UPSTREAM_ID.fullmatch(upstream_id) is None:
        raise UpstreamFault(faults.INVALID, "its session id is empty, or not of visible ASCII")


def _bound_to(proxy_uid: str, principal: str) -> bytes:
    # With the length, so that no part of one field can be taken for a part of the other.
    return f"ostiary session v1\n{len(proxy_uid)}\n{proxy_uid}\n{principal}".encode()


def _decoded(sealed: str) -> bytes | None:
    if not sealed.startswith(_PREFIX) or len(sealed) > _MAX_SEALED:
        return None
    text = sealed.removeprefix(_PREFIX)
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
    # Accept one spelling of an id only: base64 has spare bits, and two alphabets.
    return raw if len(raw) > _SHORTEST and _text(raw) == text else None


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")
