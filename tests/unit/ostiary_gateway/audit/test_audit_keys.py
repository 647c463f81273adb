"""Which key signs an audit trail, and which public keys exist."""

from ostiary_core.audit.signatures import AuditSigningKey, digest_key
from ostiary_core.secret_bytes import SecretBytes
from ostiary_gateway.audit.audit_keys import AuditKeys

OLD, NEW = SecretBytes(b"o" * 32), SecretBytes(b"n" * 32)


def test_the_newest_active_key_signs_and_a_later_one_from_its_activation_on() -> None:
    now = [150.0]
    keys = AuditKeys(lambda: {100: OLD, 200: NEW}, clock=lambda: now[0])
    signing = keys.signing()
    assert signing is not None
    assert signing.public == AuditSigningKey(OLD).public
    assert keys.signing() is signing
    assert keys.digest_key() == digest_key(OLD)
    now[0] = 200.0
    assert keys.signing() is not signing
    assert keys.digest_key() == digest_key(NEW)
    assert keys.published() == (AuditSigningKey(NEW).public, AuditSigningKey(OLD).public)


def test_a_replica_whose_clock_is_behind_signs_with_the_first_key() -> None:
    signing = AuditKeys(lambda: {100: OLD, 200: NEW}, clock=lambda: 50.0).signing()
    assert signing is not None
    assert signing.public == AuditSigningKey(OLD).public


def test_a_lost_secret_does_not_end_a_trail_that_began() -> None:
    seeds = {100: OLD}
    keys = AuditKeys(lambda: seeds, clock=lambda: 150.0)
    signing, digests = keys.signing(), keys.digest_key()
    seeds.clear()
    assert keys.signing() is signing
    assert keys.digest_key() == digests


def test_without_an_entry_there_is_no_key() -> None:
    keys = AuditKeys(dict)
    assert (keys.signing(), keys.digest_key(), keys.published()) == (None, None, ())
