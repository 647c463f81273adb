"""The report of a gateway with several workers says what the worker does that is furthest behind."""

from typing import Any

import pytest

from ostiary_core.strict_json import dumps
from ostiary_gateway.workers.merged_config import merged_config
from ostiary_operator.status.replica_reports import parse_report

OLD, NEW = "a" * 64, "b" * 64


def page(digest: str = NEW, revision: int | None = 2, **more: Any) -> dict[str, Any]:
    entry = {"active": digest, "rejected": None, **more.pop("entry", {})}
    return {
        "replica": "gw-w0",
        "gateway": "ostiary/default",
        "revision": revision,
        "entries": {"default/mock": entry},
        "rejected": None,
        "incomplete": None,
        "misplacedKeys": [],
        **more,
    }


def merged(*pages: dict[str, Any]) -> Any:
    found = merged_config(pages, replica="gw")
    return parse_report(dumps(found), gateway="ostiary/default")


def test_a_proxy_is_in_force_once_every_worker_runs_it() -> None:
    assert merged(page(), page()).entries["default/mock"].active == NEW
    behind = merged(page(), page(OLD, 1))
    assert (behind.revision, behind.entries["default/mock"].active) == (1, OLD)
    assert behind.replica == "gw"


def test_a_worker_without_a_config_yet_is_the_furthest_behind() -> None:
    empty = {**page(revision=None), "entries": {}, "gateway": "ostiary/default"}
    found = merged(page(), empty)
    assert (found.revision, found.entries["default/mock"].active) == (0, None)


def test_the_rejection_of_one_worker_is_told() -> None:
    rejected = {"digest": NEW, "reason": "Unusable", "message": "why"}
    found = merged(page(), page(OLD, entry={"rejected": rejected}))
    assert found.entries["default/mock"].active == OLD
    assert found.entries["default/mock"].rejected.reason == "Unusable"
    whole = {"revision": 3, "reason": "Forged", "message": "why"}
    assert merged(page(), page(rejected=whole)).rejected.reason == "Forged"


def test_the_latest_fault_of_a_server_is_told_and_that_it_has_answered() -> None:
    def server(at: int, *, answered: bool) -> dict[str, Any]:
        return {"servers": {"up": {"answered": answered, "fault": {"kind": "timeout", "message": str(at), "at": at}}}}

    found = merged_config([page(entry=server(5, answered=False)), page(entry=server(3, answered=True))], replica="gw")
    up = found["entries"]["default/mock"]["servers"]["up"]
    assert (up["answered"], up["fault"]["at"]) == (True, 5)


def test_an_export_that_fails_at_one_worker_fails() -> None:
    good, bad = ({"traces": {"failing": failing}} for failing in (False, True))
    assert merged(page(telemetry=good), page(telemetry=bad)).telemetry["traces"].failing
    assert not merged(page(telemetry=good), page(telemetry=good)).telemetry["traces"].failing


def test_the_checkpoint_of_every_worker_s_chain_is_told() -> None:
    def audit(chain: str) -> dict[str, Any]:
        checkpoint = {"chain": chain, "seq": 1, "hash": OLD, "key": "k" * 43, "closing": False}
        trail = {"chain": chain, "seq": 1, "fault": None, "sinks": [{"name": "file"}], "waiting": 1}
        return {"audit": {"checkpoint": checkpoint, "publicKeys": ["k" * 43]}, "auditTrail": trail}

    found = merged(page(**audit("gw-w0:1")), page(**audit("gw-w1:1")))
    assert [each.chain for each in found.audit.checkpoints] == ["gw-w0:1", "gw-w1:1"]
    assert found.audit.public_keys == ("k" * 43,)
    assert len(found.audit_trail.sinks) == 2


def test_there_is_no_report_without_workers() -> None:
    with pytest.raises(ValueError, match="at least one worker"):
        merged_config([], replica="gw")
