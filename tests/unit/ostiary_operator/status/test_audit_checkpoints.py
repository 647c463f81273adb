"""Checkpoints of audit trails in a ConfigMap: they outlive Pods and operators, and never go back."""

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from ostiary_operator.clock import ManualClock
from ostiary_operator.kube.errors import ClusterError
from ostiary_operator.kube.fake import FakeClient
from ostiary_operator.kube.kinds import CONFIG_MAP
from ostiary_operator.local.audit_verification import keys_in, published_in
from ostiary_operator.status.audit_checkpoints import PUBLIC_KEYS, AuditCheckpoints
from ostiary_operator.status.replica_reports import Report, parse_report

GATEWAY = "ostiary-system/default"
OLD, NEW = "o" * 43, "n" * 43


def report(seq: int, *, chain: str = "gw-0/1", keys: tuple[str, ...] = (OLD,), closing: bool = False) -> Report:
    checkpoint = {"chain": chain, "seq": seq, "hash": f"{seq:064x}", "key": keys[0], "closing": closing}
    body: dict[str, Any] = {"gateway": GATEWAY, "revision": 1, "replica": "gw-0", "entries": {}}
    text = json.dumps({**body, "audit": {"publicKeys": keys, "checkpoint": checkpoint}})
    return parse_report(text.encode(), gateway=GATEWAY)


def data(cluster: FakeClient) -> dict[str, str]:
    found = cluster.peek(CONFIG_MAP, name="ostiary-default-audit", namespace="ostiary-system") or {}
    return dict(found.get("data") or {})


def seqs(cluster: FakeClient) -> dict[str, int]:
    return {key: json.loads(text)["seq"] for key, text in data(cluster).items() if key != PUBLIC_KEYS}


async def test_the_last_checkpoint_of_every_trail_is_kept_as_verify_reads_it(tmp_path: Path) -> None:
    cluster, clock = FakeClient(), ManualClock()
    kept = AuditCheckpoints(cluster, clock)
    kept.note(GATEWAY, report(7))
    kept.note(GATEWAY, report(3, chain="gw-1/1"))
    await kept.write()
    assert seqs(cluster) == {"gw-0_1": 7, "gw-1_1": 3}
    lines = tmp_path / "checkpoints"
    lines.write_text("\n".join(text for key, text in data(cluster).items() if key != PUBLIC_KEYS))
    assert [(each.id, each.seq) for each in published_in(lines)] == [("gw-0/1", 7), ("gw-1/1", 3)]
    keys = tmp_path / "keys"
    keys.write_text(data(cluster)[PUBLIC_KEYS])
    assert keys_in(keys) == (OLD,)


async def test_a_growing_trail_is_written_once_a_minute_and_a_new_or_closed_one_at_once() -> None:
    cluster, clock = FakeClient(), ManualClock()
    kept = AuditCheckpoints(cluster, clock)
    for seq in (1, 2):
        kept.note(GATEWAY, report(seq))
        await kept.write()
    assert seqs(cluster) == {"gw-0_1": 1}
    await clock.advance(60)
    await kept.write()
    assert seqs(cluster) == {"gw-0_1": 2}
    kept.note(GATEWAY, report(3, closing=True))
    await kept.write()
    assert seqs(cluster) == {"gw-0_1": 3}


async def test_an_older_checkpoint_never_replaces_a_newer_one_even_after_a_restart() -> None:
    cluster = FakeClient()
    first = AuditCheckpoints(cluster, ManualClock())
    first.note(GATEWAY, report(7, keys=(OLD,)))
    first.note(GATEWAY, report(5))
    await first.write()
    second = AuditCheckpoints(cluster, ManualClock())
    second.note(GATEWAY, report(6, keys=(NEW,)))
    second.note(GATEWAY, report(1, chain="gw-2/1"))
    await second.write()
    assert seqs(cluster) == {"gw-0_1": 7, "gw-2_1": 1}
    assert data(cluster)[PUBLIC_KEYS] == f"{OLD}\n{NEW}\n"


async def test_a_failed_write_is_logged_and_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    cluster, clock = FakeClient(), ManualClock()
    kept = AuditCheckpoints(cluster, clock)
    cluster.fail("patch", CONFIG_MAP, ClusterError("forbidden"))
    kept.note(GATEWAY, report(7))
    with caplog.at_level(logging.WARNING):
        await kept.write()
    assert "the checkpoints of its audit trails are not kept: forbidden" in caplog.text
    await kept.write()
    assert seqs(cluster) == {}
    await clock.advance(60)
    await kept.write()
    assert seqs(cluster) == {"gw-0_1": 7}


async def test_the_number_of_trails_is_bounded() -> None:
    cluster, clock = FakeClient(), ManualClock()
    kept = AuditCheckpoints(cluster, clock)
    for number in range(510):
        kept.note(GATEWAY, report(1, chain=f"gw-{number}/1"))
        await clock.advance(1)
    await kept.write()
    assert len(seqs(cluster)) == 500
    assert "gw-0_1" not in seqs(cluster)


async def test_a_gateway_without_a_trail_has_no_such_object() -> None:
    cluster = FakeClient()
    kept = AuditCheckpoints(cluster, ManualClock())
    kept.note(GATEWAY, report(1).model_copy(update={"audit": None}))
    await kept.write()
    assert cluster.peek(CONFIG_MAP, name="ostiary-default-audit", namespace="ostiary-system") is None
