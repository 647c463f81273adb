"""Hashes and tokens in place of values, made with keys of the gateway's Secret.

A hash shows that two values are the same, and nothing else. A token is the value, encrypted (AES-SIV, RFC 5297): bound
to the proxy, the principal and the mask, so it opens for nothing else, and the same for the same value, so an agent can
compare it. Both begin with the time of activation of their key, and stay what they are while keys rotate.

    hs1 <activation, 4 bytes> <HMAC-SHA-256, 15 bytes>
    tk1 <activation, 4 bytes> <SIV, 16 bytes> <ciphertext>

Behind the prefix follows lower-case base32 without padding: a text in which no kind of values can be found, and that
people and models copy without a fault.
"""

import base64
import binascii
import hmac
import struct
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from ostiary_core.content.masks.tokens import HASH_PREFIX, LONGEST_TOKEN, TOKEN_PREFIX

_ACTIVATION: Final = struct.Struct(">I")
_HASH_BYTES: Final = 15
_SIV_BYTES: Final = 16
Keys = Mapping[int, bytes]


@dataclass(slots=True)
class ContentKeys:
    """The keys for hashes and tokens of one gateway.

    ``source`` returns the current keys by activation time; ``clock`` returns epoch seconds.
    """

    source: Callable[[], Keys] = dict
    clock: Callable[[], float] = time.time
    _ciphers: dict[bytes, AESSIV] = field(default_factory=dict, repr=False)

    def bound_to(self, *, proxy_uid: str, principal: str) -> "BoundKeys | None":
        """Return the keys for one principal at one proxy; None where the gateway has no key yet."""
        keys = self.source()
        active = [moment for moment in keys if moment <= self.clock()]
        return BoundKeys(self, keys, max(active), proxy_uid.encode(), principal.encode()) if active else None

    def cipher(self, key: bytes) -> AESSIV:
        """Return the cipher of a key; its two halves are derived, so that hashes use another key."""
        found = self._ciphers.get(key)
        if found is None:
            derived = hmac.digest(key, b"ostiary token v1", "sha512")
            found = self._ciphers[key] = AESSIV(derived)
        return found


@dataclass(frozen=True, slots=True)
class BoundKeys:
    """Makes the hashes and tokens of one principal at one proxy, and opens its tokens."""

    owner: ContentKeys
    keys: Keys = field(repr=False)
    activation: int
    proxy_uid: bytes
    principal: bytes

    def hash(self, text: str, label: str) -> str:
        """Return the hash of a value; ``label`` is the mask, so that two masks cannot be compared.

        It is the same for all principals: what agents write to each other can be compared.
        """
        key = hmac.digest(self.keys[self.activation], b"ostiary hash v1", "sha256")
        found = hmac.digest(key, _joined(self.proxy_uid, label.encode(), text.encode("utf-8", "replace")), "sha256")
        return HASH_PREFIX + _text(_ACTIVATION.pack(self.activation) + found[:_HASH_BYTES])

    def token(self, text: str, label: str) -> str:
        """Return the token of a value, which opens under the same ``label`` only."""
        cipher = self.owner.cipher(self.keys[self.activation])
        sealed = cipher.encrypt(text.encode("utf-8", "replace") or b"\0", self._bound(label))
        return TOKEN_PREFIX + _text(_ACTIVATION.pack(self.activation) + sealed)

    def opened(self, token: str, label: str) -> str | None:
        """Return the value of a token; None for one of another principal, proxy, mask or key."""
        raw = _raw(token.removeprefix(TOKEN_PREFIX)) if len(token) <= LONGEST_TOKEN else b""
        if len(raw) <= _ACTIVATION.size + _SIV_BYTES:
            return None
        key = self.keys.get(_ACTIVATION.unpack_from(raw)[0])
        try:
            plain = self.owner.cipher(key).decrypt(raw[_ACTIVATION.size :], self._bound(label)) if key else b""
        except InvalidTag:
            return None
        return plain.decode() if plain and _text(raw) == token.removeprefix(TOKEN_PREFIX) else None

    def _bound(self, label: str) -> list[bytes]:
        return [b"ostiary token v1", self.proxy_uid, self.principal, label.encode()]


def _joined(*parts: bytes) -> bytes:
    # With the lengths, so that no part of one can be taken for a part of another.
    return b"".join(b"%d\n%b" % (len(part), part) for part in parts)


def _text(raw: bytes) -> str:
    return base64.b32encode(raw).decode().rstrip("=").lower()


def _raw(text: str) -> bytes:
    try:
        return base64.b32decode(text.upper() + "=" * (-len(text) % 8)) if text == text.lower() else b""
    except (binascii.Error, ValueError):
        return b""
