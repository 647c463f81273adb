"""Cookies that only this console can make or read.

A cookie is ``v1.`` and base64url of a nonce (12 bytes) and AES-256-GCM over a JSON object, compressed by zlib. Its name
is authenticated with it, so that a cookie for one purpose does not open as one for another, and its end is inside, so
that no browser decides how long it lasts. One that was given up, as by signing out, opens nothing at this process any
more: several replicas do not tell each other, and a new process does not know.
"""

import base64
import binascii
import json
import os
import time
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from aiohttp import web
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ostiary_core.secret_bytes import SecretBytes

KEY_BYTES: Final = 32
_PREFIX: Final = "v1."
_NONCE_BYTES: Final = 12
#: Browsers store cookies of up to 4,096 bytes with their name and attributes.
_LONGEST: Final = 3800
_END: Final = "exp"
#: Cookies that were given up and would still last.
_MOST_ENDED: Final = 65_536


class CookieTooLarge(ValueError):
    """What should go into a cookie is more than browsers store."""


@dataclass(frozen=True, slots=True)
class SealedCookie:
    """One kind of cookie.

    ``is_secure`` is False on http, as on one's own machine: there the name has no ``__Host-``, which needs https.
    ``seconds`` is how long it lasts.
    """

    name: str
    seconds: int
    is_secure: bool
    cipher: AESGCM
    clock: Callable[[], float] = time.time
    #: When the cookies that were given up would have ended, by their nonces.
    ended: dict[bytes, float] = field(default_factory=dict)

    @classmethod
    def of(cls, name: str, key: SecretBytes, *, seconds: int, is_secure: bool) -> "SealedCookie":
        """Return the cookie with this name, sealed with a key of 32 bytes.

        Raises:
            ValueError: the key has another length.
        """
        if len(key) != KEY_BYTES:
            raise ValueError(f"the key of the cookies has {len(key)} bytes: it must have {KEY_BYTES}")
        whole = f"__Host-{name}" if is_secure else name
        return cls(whole, seconds, is_secure, AESGCM(key.reveal()))

    def put(self, response: web.StreamResponse, content: Mapping[str, Any], *, until: float | None = None) -> None:
        """Add the cookie to a response.

        It ends after its seconds, or at ``until`` (epoch seconds) if that is sooner.

        Raises:
            CookieTooLarge: the content does not fit.
        """
        now = self.clock()
        end = min(now + self.seconds, until) if until is not None else now + self.seconds
        value = self._seal({**content, _END: int(end)})
        response.set_cookie(
            self.name,
            value,
            max_age=max(int(end - now), 0),
            path="/",
            secure=self.is_secure,
            httponly=True,
            samesite="Lax",
        )

    def read(self, request: web.Request) -> dict[str, Any] | None:
        """Return the content of the cookie of a request.

        It is None without one of this console that still lasts.
        """
        found = self._lasting(request)
        return found[1] if found is not None else None

    def end(self, request: web.Request, response: web.StreamResponse) -> None:
        """Give up the cookie of a request.

        It opens nothing any more, and the browser forgets it.
        """
        found = self._lasting(request)
        if found is not None:
            self._give_up(*found)
        response.del_cookie(self.name, path="/", secure=self.is_secure, httponly=True, samesite="Lax")

    def _lasting(self, request: web.Request) -> tuple[bytes, dict[str, Any]] | None:
        """Return nonce and content of the cookie of a request, if it still lasts."""
        value = request.cookies.get(self.name)
        found = self._open(value) if value is not None else None
        if found is None or found[0] in self.ended or self.clock() >= found[1][_END]:
            return None
        return found

    def _give_up(self, nonce: bytes, content: Mapping[str, Any]) -> None:
        if len(self.ended) >= _MOST_ENDED:
            now = self.clock()
            for each in [each for each, end in self.ended.items() if end <= now] or [next(iter(self.ended))]:
                del self.ended[each]
        self.ended[nonce] = content[_END]

    def _seal(self, content: Mapping[str, Any]) -> str:
        nonce = os.urandom(_NONCE_BYTES)
        plain = zlib.compress(json.dumps(content, separators=(",", ":")).encode(), level=9)
        sealed = nonce + self.cipher.encrypt(nonce, plain, self.name.encode())
        value = _PREFIX + base64.urlsafe_b64encode(sealed).decode().rstrip("=")
        if len(value) > _LONGEST:
            raise CookieTooLarge(f"the cookie would have {len(value)} characters: browsers store {_LONGEST}")
        return value

    def _open(self, value: str) -> tuple[bytes, dict[str, Any]] | None:
        if len(value) > _LONGEST or not value.startswith(_PREFIX):
            return None
        text = value.removeprefix(_PREFIX)
        try:
            raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
            nonce = raw[:_NONCE_BYTES]
            plain = self.cipher.decrypt(nonce, raw[_NONCE_BYTES:], self.name.encode())
        except (InvalidTag, binascii.Error, ValueError):
            return None
        content: dict[str, Any] = json.loads(zlib.decompress(plain))
        return nonce, content
