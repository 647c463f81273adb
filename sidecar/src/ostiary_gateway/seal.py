"""Seals text that leaves the gateway and comes back, so that only our replicas read it.

Sessions, cursors, states of parked calls and ids of tasks are sealed, so that every replica can open them, a restart
keeps them, and no client can make or change one. Each is sealed for one purpose, at one proxy, for one principal, and
opens only there: all three are authenticated with it.

A sealed text is the prefix of its purpose and base64url of: activation time of the key (4 bytes, which names the key),
nonce (12), and AES-256-GCM over: time of issue (4) and the content. Its characters are those that the specification
allows in a session id (0x21 to 0x7E).
"""

import base64
import binascii
import hmac
import os
import struct
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ostiary_gateway.errors import Refusal

_HEAD: Final = struct.Struct(">I12s")
_ISSUED: Final = struct.Struct(">I")
#: Head, time of issue and tag (16) around empty content.
_SHORTEST: Final = _HEAD.size + _ISSUED.size + 16


@dataclass(frozen=True, slots=True)
class Purpose:
    """What a text is sealed for.

    ``prefix`` begins the text and names its format, ``label`` separates it from every other purpose. Texts of more than
    ``longest`` characters are refused before they are decoded. A ``stable`` text is the same for the same content as
    long as the key is, and has no time of issue: an id that a client compares.
    """

    prefix: str
    label: str
    longest: int
    stable: bool = False


#: The id of a session at one server. Proxies before us accept 8 KiB of headers.
SESSION: Final = Purpose("1.", "session v1", 5632)
#: The id of a session that is one of several servers', or bridged.
SESSION_VECTOR: Final = Purpose("2.", "session v2", 4096)
#: Where in a merged list the next page begins.
CURSOR: Final = Purpose("c1.", "cursor v1", 1024)
#: The `requestState` of a parked call, which may hold a server's own.
REQUEST_STATE: Final = Purpose("s1.", "request state v1", 512 * 1024)
#: The id of a task, with its server. Clients compare it.
TASK: Final = Purpose("t1.", "task v1", 1024, stable=True)

#: What one replica sends to another, which has no principal of its own.
HOP: Final = Purpose("h1.", "hop v1", 3 * 512 * 1024 * 1024)


class Sealing(NamedTuple):
    """How a text was sealed: with the key of this activation time, and when.

    ``issued`` is in epoch seconds, None for a text without an age.
    """

    moment: int
    key: bytes
    issued: int | None


class OpenedText(NamedTuple):
    """What was in a text, and how it was sealed."""

    content: bytes
    sealing: Sealing


class Sealer:
    """Seals and opens texts with the keys of the gateway's Secret.

    ``keys`` returns the current keys by activation time; ``clock`` returns epoch seconds.
    """

    def __init__(self, keys: Callable[[], Mapping[int, bytes]], *, clock: Callable[[], float] = time.time) -> None:
        self._keys = keys
        self._clock = clock
        self._ciphers: dict[bytes, AESGCM] = {}

    def seal(self, purpose: Purpose, content: bytes, *, proxy_uid: str, principal: str) -> str:
        """Return a text that :meth:`open` turns into ``content``.

        A text longer than ``purpose.longest`` does not open: check the size of what others sent before.

        Raises:
            Refusal: there is no key yet.
        """
        now = int(self._clock())
        moment = self._active(now)
        plain = _ISSUED.pack(0 if purpose.stable else now) + content
        bound = _bound_to(purpose, proxy_uid, principal)
        nonce = self._stable_nonce(moment, bound, plain) if purpose.stable else os.urandom(12)
        sealed = self._cipher(moment).encrypt(nonce, plain, bound)
        return purpose.prefix + _text(_HEAD.pack(moment, nonce) + sealed)

    def open(self, purpose: Purpose, sealed: str, *, proxy_uid: str, principal: str, max_age: float) -> bytes | None:
        """Return the content of a text.

        It is None for any text that is not ours: foreign, altered, expired, of another purpose or of a lost key.

        ``max_age`` is in seconds; the texts of a stable purpose have no age.
        """
        found = self.read(purpose, sealed, proxy_uid=proxy_uid, principal=principal)
        return found.content if found is not None and self.is_valid(found.sealing, max_age) else None

    def is_valid(self, sealing: Sealing, max_age: float) -> bool:
        """Return whether a text that was sealed so still opens.

        Its key must be one of ours, and it must not be too old.
        """
        moment, key, issued = sealing
        return self._keys().get(moment) == key and (issued is None or self._clock() - issued <= max_age)

    def read(self, purpose: Purpose, sealed: str, *, proxy_uid: str, principal: str) -> OpenedText | None:
        """Return the content of a text of any age; None for any text that is not ours.

        Ask :meth:`is_valid` each time before it is used.
        """
        raw = _decoded(purpose, sealed)
        if raw is None:
            return None
        moment, nonce = _HEAD.unpack_from(raw)
        key = self._keys().get(moment)
        if key is None:
            return None
        try:
            plain = self._cipher(moment).decrypt(nonce, raw[_HEAD.size :], _bound_to(purpose, proxy_uid, principal))
        except InvalidTag:
            return None
        issued = None if purpose.stable else _ISSUED.unpack_from(plain)[0]
        return OpenedText(plain[_ISSUED.size :], Sealing(moment, key, issued))

    def _active(self, now: int) -> int:
        """Return the activation time of the newest key whose time has come."""
        active = [moment for moment in self._keys() if moment <= now]
        if not active:
            raise Refusal(503, "NotReady", "The gateway has no key to seal sessions yet")
        return max(active)

    def _stable_nonce(self, moment: int, bound: bytes, plain: bytes) -> bytes:
        """Return a nonce that two different contents do not share, so that it need not be random."""
        words = b"ostiary nonce v1\n%d\n%b%b" % (len(bound), bound, plain)
        return hmac.digest(self._keys()[moment], words, "sha256")[:12]

    def _cipher(self, moment: int) -> AESGCM:
        key = self._keys()[moment]
        cipher = self._ciphers.get(key)
        if cipher is None:
            cipher = self._ciphers[key] = AESGCM(key)
        return cipher


def _bound_to(purpose: Purpose, proxy_uid: str, principal: str) -> bytes:
    # With the length, so that no part of one field can be taken for a part of the other.
    return f"ostiary {purpose.label}\n{len(proxy_uid)}\n{proxy_uid}\n{principal}".encode()


def _decoded(purpose: Purpose, sealed: str) -> bytes | None:
    if not sealed.startswith(purpose.prefix) or len(sealed) > purpose.longest:
        return None
    text = sealed.removeprefix(purpose.prefix)
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
    # Accept one spelling of a text only: base64 has spare bits, and two alphabets.
    return raw if len(raw) >= _SHORTEST and _text(raw) == text else None


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")
