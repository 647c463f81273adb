"""Checkpoints: signed bytes of a line, and what is none."""

import json

import pytest

from ostiary_core.audit.chain import Chain, ChainPosition
from ostiary_core.audit.checkpoints import checkpoint_of, checkpoint_record
from ostiary_core.audit.record_layout import CHECKPOINT, EVENT, head_of, kind_of
from ostiary_core.audit.signatures import AuditSigningKey
from ostiary_core.secret_bytes import SecretBytes

KEY = AuditSigningKey(SecretBytes(b"k" * 32))
NEXT = AuditSigningKey(SecretBytes(b"n" * 32))
TIME = "2026-11-29T17:00:00.000000Z"


def sealed(**options: object) -> tuple[bytes, ChainPosition]:
    """The line of a checkpoint over one record, and the position of that record."""
    chain = Chain("gw-0/1")
    chain.seal(head_of(EVENT) + b'"auditID":"1"}')
    covers = chain.position
    return chain.seal(checkpoint_record(covers, time=TIME, key=KEY, **options)).rstrip(b"\n"), covers  # type: ignore[arg-type]


def test_a_checkpoint_is_a_record_whose_signature_is_valid_in_its_line() -> None:
    line, covers = sealed()
    assert kind_of(line) == CHECKPOINT
    found = checkpoint_of(line)
    assert found is not None
    assert (found.covers, found.closing, found.key, found.next_key) == (covers, False, KEY.public, None)
    assert found.has_valid_signature()
    assert found.signed == line[: line.index(b',"signature"')]


def test_the_last_one_of_a_process_and_a_change_of_keys_are_signed_too() -> None:
    line, _ = sealed(closing=True, next_key=NEXT.public)
    found = checkpoint_of(line)
    assert found is not None
    assert (found.closing, found.next_key) == (True, NEXT.public)
    assert found.has_valid_signature()
    for forged in (line.replace(b'"closing":true', b'"closing":false'), line.replace(NEXT.public.encode(), b"A" * 43)):
        read = checkpoint_of(forged)
        assert read is not None
        assert not read.has_valid_signature()


def test_a_signature_by_another_key_than_the_named_one_is_invalid() -> None:
    line, _ = sealed()
    read = checkpoint_of(line.replace(KEY.public.encode(), NEXT.public.encode()))
    assert read is not None
    assert not read.has_valid_signature()


@pytest.mark.parametrize("member", ["covers", "closing", "key", "signature"])
@pytest.mark.parametrize("value", [None, 7, [], {"id": 1, "seq": "x", "hash": None}])
def test_a_line_with_a_member_of_another_type_is_no_checkpoint(member: str, value: object) -> None:
    line, _ = sealed()
    assert checkpoint_of(json.dumps({**json.loads(line), member: value}, separators=(",", ":")).encode()) is None


@pytest.mark.parametrize("line", [b"", b"[]", b"{}", b"null", b'{"covers":7}', b"\xff", b"{" * 9000])
def test_another_text_is_no_checkpoint(line: bytes) -> None:
    assert checkpoint_of(line) is None
