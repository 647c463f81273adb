"""The keys that sign identity assertions, and their public parts as a JWK Set (RFC 7517).

The gateway's Secret has 32 random bytes for each key. The private key of ES256 is derived from them, so every replica
has the same key under the same ``kid``. A key is published before it signs, and until its assertions have expired.
"""

import base64
import hashlib
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from ostiary_core import strict_json
from ostiary_core.canonical import canonical
from ostiary_core.secret_bytes import SecretBytes
from ostiary_gateway.errors import CredentialMissing, UpstreamFault
from ostiary_gateway.upstream import faults

#: The path on the data port where the public keys are served. No proxy can have it.
KEY_SET_PATH: Final = "/.well-known/jwks.json"
ALGORITHM: Final = "ES256"
_PURPOSE: Final = b"ostiary identity assertion ES256"
#: The order of the group of P-256 (FIPS 186-5).
_ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_NO_KEY: Final = "the gateway has no key to sign identity assertions yet"


class AssertionKey:
    """One signing key, derived from the bytes in the Secret."""

    def __init__(self, seed: SecretBytes) -> None:
        # 16 bytes more than the order has make the remainder uniform (FIPS 186-5, A.2.1).
        wide = HKDF(SHA256(), 48, salt=None, info=_PURPOSE).derive(seed.reveal())
        self._private = ec.derive_private_key(int.from_bytes(wide) % (_ORDER - 1) + 1, ec.SECP256R1())
        self.public = _jwk(self._private.public_key())

    def sign(self, claims: Mapping[str, Any]) -> str:
        """Return a JWT with these claims."""
        return jwt.encode(dict(claims), self._private, algorithm=ALGORITHM, headers={"kid": self.public["kid"]})


class AssertionKeys:
    """The signing keys of a gateway.

    ``seeds`` returns those of its Secret, by activation; ``clock`` returns epoch seconds.
    """

    def __init__(
        self, seeds: Callable[[], Mapping[int, SecretBytes]], *, clock: Callable[[], float] = time.time
    ) -> None:
        self._seeds = seeds
        self._clock = clock
        self._derived: dict[bytes, AssertionKey] = {}

    def require(self) -> None:
        """Check that there is a key.

        Raises:
            CredentialMissing: the Secret has none yet.
        """
        if not self._seeds():
            raise CredentialMissing(_NO_KEY)

    def sign(self, claims: Mapping[str, Any]) -> str:
        """Return a JWT with these claims, signed by the newest key that is active.

        Raises:
            UpstreamFault: there is none.
        """
        now = self._clock()
        active = [moment for moment in self._seeds() if moment <= now]
        if not active:
            raise UpstreamFault(faults.CREDENTIAL_UNAVAILABLE, _NO_KEY)
        return self._key(self._seeds()[max(active)]).sign(claims)

    def key_set(self) -> bytes | None:
        """Return the public keys as a JWK Set, the newest first; None where there is no key."""
        seeds = self._seeds()
        if not seeds:
            return None
        return strict_json.dumps({"keys": [self._key(seeds[moment]).public for moment in sorted(seeds, reverse=True)]})

    def _key(self, seed: SecretBytes) -> AssertionKey:
        name = seed.reveal()
        key = self._derived.get(name)
        if key is None:
            current = {each.reveal() for each in self._seeds().values()}
            self._derived = {each: kept for each, kept in self._derived.items() if each in current}
            key = self._derived[name] = AssertionKey(seed)
        return key


def _jwk(key: ec.EllipticCurvePublicKey) -> dict[str, str]:
    """Return the JWK of a key; its ``kid`` is the thumbprint (RFC 7638)."""
    numbers = key.public_numbers()
    required = {"crv": "P-256", "kty": "EC", "x": _coordinate(numbers.x), "y": _coordinate(numbers.y)}
    return {**required, "kid": _text(hashlib.sha256(canonical(required)).digest()), "use": "sig", "alg": ALGORITHM}


def _coordinate(number: int) -> str:
    return _text(number.to_bytes(32))


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")
