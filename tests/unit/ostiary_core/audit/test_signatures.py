"""The keys of an audit trail, and public keys as auditors hold them."""

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from ostiary_core.audit.signatures import AuditSigningKey, digest_key, is_signed, pem_of, public_keys
from ostiary_core.errors import AuditTrailError
from ostiary_core.secret_bytes import SecretBytes

SEED = SecretBytes(b"s" * 32)
KEY = AuditSigningKey(SEED)


def test_every_replica_derives_the_same_keys_and_none_of_them_is_the_seed() -> None:
    assert AuditSigningKey(SecretBytes(b"s" * 32)).public == KEY.public
    assert AuditSigningKey(SecretBytes(b"t" * 32)).public != KEY.public
    assert digest_key(SEED).reveal() != SEED.reveal()
    assert AuditSigningKey(digest_key(SEED)).public != KEY.public


def test_a_signature_is_valid_for_its_message_and_key_alone() -> None:
    signature = KEY.sign(b"message")
    assert is_signed(b"message", signature=signature, public=KEY.public)
    assert not is_signed(b"other", signature=signature, public=KEY.public)
    assert not is_signed(b"message", signature=signature, public=AuditSigningKey(SecretBytes(b"t" * 32)).public)


@pytest.mark.parametrize("text", ["", "A", "!", "ä", "A" * 43, "A" * 5000, "AAAA\n"])
def test_a_damaged_signature_or_key_is_not_valid(text: str) -> None:
    assert not is_signed(b"message", signature=text, public=KEY.public)
    assert not is_signed(b"message", signature=KEY.sign(b"message"), public=text)


def test_public_keys_are_read_as_pem_and_as_base64url() -> None:
    other = AuditSigningKey(SecretBytes(b"t" * 32)).public
    assert public_keys((pem_of(KEY.public) + "\n" + pem_of(other)).encode()) == (KEY.public, other)
    assert public_keys(f"{KEY.public}\n{other}\n".encode()) == (KEY.public, other)


def test_a_file_without_a_usable_key_says_what_a_key_looks_like() -> None:
    for text in (b"", b"\xff\xfe", b"ssh-ed25519 AAAA", base64.b64encode(b"k" * 32) * 3):
        with pytest.raises(AuditTrailError, match="BEGIN PUBLIC KEY"):
            public_keys(text)
    with pytest.raises(AuditTrailError, match="damaged"):
        public_keys(b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----")
    elliptic = ec.generate_private_key(ec.SECP256R1()).public_key()
    with pytest.raises(AuditTrailError, match="not an Ed25519 key"):
        public_keys(elliptic.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
