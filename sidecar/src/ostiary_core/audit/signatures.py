"""The keys of an audit trail: Ed25519 for its checkpoints, HMAC for digests of arguments.

Both are derived from the 32 random bytes of one entry of the gateway's Secret, so all replicas have the same ones. An
auditor that is given the HMAC key, to check a guess about an argument, cannot sign with it.

A public key is written as the base64url of its 32 bytes. ``cryptography`` is imported by this module alone.
"""

import base64
import binascii
import re
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

from ostiary_core.errors import AuditTrailError
from ostiary_core.secret_bytes import SecretBytes

_SIGNING: Final = b"ostiary audit checkpoint Ed25519"
_DIGESTS: Final = b"ostiary audit digest HMAC-SHA-256"
_PEM: Final = re.compile(rb"-----BEGIN PUBLIC KEY-----[^-]{1,1000}-----END PUBLIC KEY-----")
_PUBLIC_KEY: Final = re.compile(r"[A-Za-z0-9_-]{43}")


class AuditSigningKey:
    """The key that signs checkpoints, derived from the bytes in the Secret."""

    __slots__ = ("_private", "public")

    def __init__(self, seed: SecretBytes) -> None:
        self._private = Ed25519PrivateKey.from_private_bytes(_derived(seed, _SIGNING))
        self.public = _text(self._private.public_key().public_bytes_raw())

    def sign(self, message: bytes) -> str:
        """Return the signature of a message, as base64url."""
        return _text(self._private.sign(message))


def digest_key(seed: SecretBytes) -> SecretBytes:
    """Return the HMAC key for digests of arguments and results."""
    return SecretBytes(_derived(seed, _DIGESTS))


def is_signed(message: bytes, *, signature: str, public: str) -> bool:
    """Return whether a public key's owner signed a message; False where either is no such text."""
    try:
        Ed25519PublicKey.from_public_bytes(_bytes(public)).verify(_bytes(signature), message)
    except (InvalidSignature, ValueError, binascii.Error):
        return False
    return True


def pem_of(public: str) -> str:
    """Return a public key as PEM, for openssl and other tools.

    Raises:
        ValueError: it is not the base64url of 32 bytes.
    """
    key = Ed25519PublicKey.from_public_bytes(_bytes(public))
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode("ascii")


def public_keys(text: bytes) -> tuple[str, ...]:
    """Return the public keys in a file: PEM blocks, else one base64url key a line.

    Raises:
        AuditTrailError: it holds none, or one of another kind; the message says what a key looks like.
    """
    blocks = _PEM.findall(text)
    if blocks:
        return tuple(_of_pem(block) for block in blocks)
    lines = [line.strip() for line in text.decode("utf-8", "replace").splitlines() if line.strip()]
    if not lines or not all(_PUBLIC_KEY.fullmatch(line) for line in lines):
        raise AuditTrailError("it holds no public key: expected PEM (BEGIN PUBLIC KEY), or base64url of 32 bytes")
    return tuple(lines)


def _of_pem(block: bytes) -> str:
    try:
        key = load_pem_public_key(block)
    except ValueError:
        raise AuditTrailError("a PEM block in it is damaged") from None
    if not isinstance(key, Ed25519PublicKey):
        raise AuditTrailError("a PEM block in it is not an Ed25519 key, and audit trails are signed with Ed25519")
    return _text(key.public_bytes_raw())


def _derived(seed: SecretBytes, purpose: bytes) -> bytes:
    return HKDF(SHA256(), 32, salt=None, info=purpose).derive(seed.reveal())


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")


def _bytes(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
