"""Checkpoints outside of the trail: in the log, and in the report of the admin port."""

import logging
from pathlib import Path

import pytest
from audit_trails import KEY

from ostiary_core.audit.chain import ChainPosition
from ostiary_core.secret_bytes import SecretBytes
from ostiary_gateway.audit.audit_keys import AuditKeys
from ostiary_gateway.audit.published_checkpoints import PublishedCheckpoints
from ostiary_operator.local.audit_verification import published_in

POSITION = ChainPosition("gw-0/1", 7, "a" * 64)


def test_the_last_checkpoint_and_the_public_keys_are_reported() -> None:
    published = PublishedCheckpoints(AuditKeys(lambda: {1: SecretBytes(b"k" * 32)}))
    assert published.report() is None
    published.publish(POSITION._replace(seq=3), KEY.public, False)
    published.publish(POSITION, KEY.public, True)
    assert published.report() == {
        "publicKeys": [KEY.public],
        "checkpoint": {"chain": "gw-0/1", "seq": 7, "hash": "a" * 64, "key": KEY.public, "closing": True},
    }


def test_a_verification_reads_checkpoints_from_the_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    PublishedCheckpoints(AuditKeys(dict)).publish(POSITION, KEY.public, False)
    log = tmp_path / "log"
    log.write_text(f"2026-11-29 17:00:00 INFO {caplog.messages[0]}\nother\n")
    assert list(published_in(log)) == [POSITION]
