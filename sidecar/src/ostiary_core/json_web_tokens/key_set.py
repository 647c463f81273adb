"""A JSON Web Key Set (RFC 7517): the public keys that verify an issuer's tokens.

Only asymmetric keys of a sufficient size are used. A key that cannot be used is skipped, as RFC 7517 §5 asks: a set may
have keys for encryption, or of kinds that are new.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm
from jwt.exceptions import PyJWTError

from ostiary_core.errors import OstiaryError

PublicKey: TypeAlias = RSAPublicKey | EllipticCurvePublicKey | Ed25519PublicKey | Ed448PublicKey

#: The algorithms of a signature that a gateway can verify. All are asymmetric: with HMAC a verifier could sign, too.
RSA_ALGORITHMS: Final = frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"})
CURVE_ALGORITHMS: Final = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}
EDWARDS_ALGORITHM: Final = "EdDSA"
ALGORITHMS: Final = RSA_ALGORITHMS | {*CURVE_ALGORITHMS.values(), EDWARDS_ALGORITHM}

_READERS: Final[Mapping[str, Callable[[dict[str, Any]], object]]] = {
    "RSA": RSAAlgorithm.from_jwk,
    "EC": ECAlgorithm.from_jwk,
    "OKP": OKPAlgorithm.from_jwk,
}
_KEYS_LIMIT: Final = 100
#: The bits of an RSA modulus; the upper bound limits the time of one verification.
_RSA_BITS: Final = range(2048, 8192 + 1)
_EXPONENT_BITS: Final = 64
#: The longest text of a number in a key, in characters: a modulus of 8,192 bits takes 1,366.
_NUMBER_LENGTH: Final = 1400
_NAME_LENGTH: Final = 256


class KeySetError(OstiaryError):
    """A document is not a usable key set."""


@dataclass(frozen=True, slots=True, eq=False)
class VerificationKey:
    """One key. ``kid`` is None where it has no name; ``algorithms`` are those that it verifies."""

    kid: str | None
    algorithms: frozenset[str]
    public: PublicKey = field(repr=False)
    thumbprint: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, eq=False)
class KeySet:
    """The usable keys of a set."""

    keys: tuple[VerificationKey, ...]

    def find(self, kid: str | None, algorithm: str) -> VerificationKey | None:
        """Return the key for a token's header.

        A token without ``kid`` has a key only where one key alone fits: no token may make the gateway try many.
        """
        fitting = [key for key in self.keys if algorithm in key.algorithms and (kid is None or key.kid == kid)]
        return fitting[0] if len(fitting) == 1 else None

    def holds(self, key: VerificationKey) -> bool:
        """Return whether a key is still in the set."""
        return any(each.thumbprint == key.thumbprint for each in self.keys)


def parse_key_set(document: Mapping[str, Any]) -> KeySet:
    """Read a key set.

    Raises:
        KeySetError: it is no key set, has too many keys, or no usable one.
    """
    entries = document.get("keys")
    if not isinstance(entries, list):
        raise KeySetError("the key set has no list of keys")
    if len(entries) > _KEYS_LIMIT:
        raise KeySetError(f"the key set has more than {_KEYS_LIMIT} keys")
    keys = tuple(key for entry in entries if (key := _key(entry)) is not None)
    if not keys:
        raise KeySetError("the key set has no public key for signatures (RSA from 2048 bits, EC or OKP)")
    return KeySet(keys)


def _key(entry: Any) -> VerificationKey | None:
    """Return a usable key, or None."""
    if not isinstance(entry, dict) or not _is_for_signatures(entry):
        return None
    kid = entry.get("kid")
    if kid is not None and not (isinstance(kid, str) and len(kid) <= _NAME_LENGTH):
        return None
    public = _public_key(entry)
    algorithms = _algorithms(public) if public is not None else frozenset()
    if entry.get("alg") is not None:
        algorithms &= {entry["alg"]} if isinstance(entry["alg"], str) else set()
    if public is None or not algorithms:
        return None
    return VerificationKey(kid, algorithms, public, _thumbprint(public))


def _is_for_signatures(entry: dict[str, Any]) -> bool:
    """Return whether a key is public, and not declared for another use."""
    operations = entry.get("key_ops")
    return (
        "d" not in entry
        and entry.get("use") in (None, "sig")
        and (operations is None or (isinstance(operations, list) and "verify" in operations))
        and all(len(str(entry.get(name, ""))) <= _NUMBER_LENGTH for name in ("n", "e", "x", "y"))
    )


def _public_key(entry: dict[str, Any]) -> PublicKey | None:
    reader = _READERS.get(str(entry.get("kty")))
    try:
        return _as_public(reader(entry)) if reader is not None else None
    except (PyJWTError, ValueError, TypeError, KeyError, AttributeError):
        return None


def _as_public(key: object) -> PublicKey | None:
    return key if isinstance(key, PublicKey) else None


def _algorithms(key: PublicKey) -> frozenset[str]:
    """Return the algorithms that a key verifies, none where it is too weak or too expensive."""
    if isinstance(key, RSAPublicKey):
        sound = key.key_size in _RSA_BITS and key.public_numbers().e.bit_length() <= _EXPONENT_BITS
        return RSA_ALGORITHMS if sound else frozenset()
    if isinstance(key, EllipticCurvePublicKey):
        algorithm = CURVE_ALGORITHMS.get(key.curve.name)
        return frozenset({algorithm} if algorithm is not None else ())
    return frozenset({EDWARDS_ALGORITHM})


def _thumbprint(key: PublicKey) -> bytes:
    encoded = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(encoded).digest()
