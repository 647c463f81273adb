"""What the trace of a change holds, with the whole operator on a cluster in memory."""

from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from aiohttp import ClientSession
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from operator_objects import (
    GATEWAY,
    SYSTEM,
    StubReplica,
    delivered,
    delivered_files,
    listening_replica,
    populated,
    proxy,
)

from ostiary_core.contract import change_trace
from ostiary_operator.clock import ManualClock
from ostiary_operator.controller.app import assemble
from ostiary_operator.controller.change_trace import PATIENCE, ChangeTracer
from ostiary_operator.controller.queue import PassRequest
from ostiary_operator.delivery.secret import parse_secret
from ostiary_operator.kube.errors import Busy
from ostiary_operator.kube.fake import FakeClient
from ostiary_operator.kube.kinds import CONFIG_MAP, PROXY, SECRET
from ostiary_operator.kube.options import OperatorOptions

OPTIONS = OperatorOptions(operator_namespace=SYSTEM, admin_host="127.0.0.1", admin_port=0)


@dataclass
class TracedOperator:
    """The operator without its watches, and the spans that it has ended."""

    cluster: FakeClient
    clock: ManualClock
    replicas: tuple[str, ...] = ()
    off: bool = False
    exporter: InMemorySpanExporter = field(default_factory=InMemorySpanExporter)

    def __post_init__(self) -> None:
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.tracer = ChangeTracer(None if self.off else provider.get_tracer("test"), self.clock)
        options = replace(OPTIONS, gateway_replicas={GATEWAY: self.replicas})
        self.parts = assemble(self.cluster, options, self.clock, tracer=self.tracer)

    def see(self, obj: dict[str, Any], event: str = "MODIFIED") -> None:
        """Report a change as the informer does."""
        assert self.parts.event_filter.matters(PROXY, event, self.cluster.put(PROXY, obj))

    async def run_pass(self, *reasons: str) -> None:
        await self.parts.queue._work(PassRequest(frozenset(reasons or {"test"})))

    async def poll(self) -> None:
        async with ClientSession() as session:
            await self.parts.poller.round(session)

    async def give_up(self) -> None:
        """Let the time pass that replicas have."""
        await self.clock.advance(PATIENCE)
        await self.poll()

    @property
    def spans(self) -> tuple[ReadableSpan, ...]:
        return self.exporter.get_finished_spans()

    def named(self, name: str) -> list[ReadableSpan]:
        return [span for span in self.spans if span.name == name]

    def one(self, name: str) -> ReadableSpan:
        (found,) = self.named(name)
        return found


def edited(name: str, generation: int = 2) -> dict[str, Any]:
    obj = proxy(name)
    obj["metadata"] |= {
        "generation": generation,
        "managedFields": [
            {"manager": "ostiary-operator/proxy-status", "subresource": "status", "time": "2026-02-01T00:00:00Z"},
            {"manager": "helm", "time": "2025-01-01T00:00:00Z"},
            {"manager": "argocd-controller", "time": "2026-01-01T00:00:00Z"},
        ],
    }
    return obj


def traced(*objects: dict[str, Any], replicas: tuple[str, ...] = (), off: bool = False) -> TracedOperator:
    clock = ManualClock()
    return TracedOperator(populated(*objects, time=clock.time), clock, replicas, off)


def identity(span: ReadableSpan) -> tuple[int, int]:
    assert span.context is not None
    return span.context.trace_id, span.context.span_id


def parent_of(span: ReadableSpan) -> int:
    assert span.parent is not None
    return span.parent.span_id


async def test_a_change_is_one_trace_from_its_event_to_the_replica_that_enforces_it() -> None:
    async with listening_replica(StubReplica()) as one, listening_replica(StubReplica()) as two:
        it = traced(replicas=(one.url, two.url))
        it.see(edited("crm"))
        await it.run_pass()
        for replica in (one, two):
            replica.runs(delivered(it.cluster))
        await it.poll()
    change, reconcile, deliver = (it.one(name) for name in ("change MCPProxy", "reconcile", "deliver"))
    assert dict(change.attributes or {}) == {
        "ostiary.change.event": "MODIFIED",
        "ostiary.change.kind": "MCPProxy",
        "ostiary.object.namespace": "tools",
        "ostiary.object.name": "crm",
        "ostiary.change.generation": 2,
        "ostiary.change.field_manager": "argocd-controller",
    }
    assert {span.context.trace_id for span in it.spans if span.context} == {identity(change)[0]}
    assert parent_of(it.one("queued")) == parent_of(reconcile) == identity(change)[1]
    for name in ("list", "compile", "deliver"):
        assert parent_of(it.one(name)) == identity(reconcile)[1]
    assert {parent_of(span) for span in it.named("write ConfigMap") + it.named("write Secret")} == {
        identity(deliver)[1]
    }
    enforced = it.named("enforced by replica")
    assert {parent_of(span) for span in enforced} == {identity(deliver)[1]}
    assert len({str((span.attributes or {})["ostiary.replica"]) for span in enforced}) == 2
    assert all(span.status.is_unset for span in it.spans)


async def test_the_context_of_the_delivery_travels_with_the_manifest_and_changes_no_digest() -> None:
    plain, it = traced(edited("crm"), off=True), traced(edited("crm"))
    it.see(edited("crm"))
    await plain.run_pass()
    await it.run_pass()
    files = delivered_files(it.cluster)
    keys = parse_secret(it.cluster.peek(SECRET, name="ostiary-default", namespace=SYSTEM)).mac_keys()
    manifest = delivered(it.cluster).manifest
    trace_id, span_id = identity(it.one("deliver"))
    sent = change_trace.read(files, keys, revision=manifest.revision)
    assert sent is not None
    assert sent.startswith(f"00-{trace_id:032x}-{span_id:016x}-")
    assert int(sent[-2:], 16) & 1
    assert change_trace.TRACE_FILE not in delivered_files(plain.cluster)
    assert manifest.entries == delivered(plain.cluster).manifest.entries


async def test_an_unchanged_manifest_keeps_the_context_that_it_has_and_is_not_written_again() -> None:
    it = traced()
    it.see(edited("crm"))
    await it.run_pass()
    before = it.cluster.peek(CONFIG_MAP, name="ostiary-default-0", namespace=SYSTEM)
    await it.run_pass()
    it.off = True
    it.__post_init__()  # the operator starts again, with tracing off
    await it.run_pass()
    assert it.cluster.peek(CONFIG_MAP, name="ostiary-default-0", namespace=SYSTEM) == before


async def test_several_changes_in_one_pass_are_linked_in_both_directions() -> None:
    it = traced()
    it.see(edited("crm"))
    it.see(edited("wiki"))
    await it.run_pass()
    await it.give_up()
    first, second = it.named("change MCPProxy")
    reconcile = it.one("reconcile")
    assert identity(reconcile)[0] == identity(first)[0] != identity(second)[0]
    assert [(link.context.trace_id, link.context.span_id) for link in reconcile.links] == [identity(second)]
    assert [(link.context.trace_id, link.context.span_id) for link in second.links] == [identity(reconcile)]
    assert (reconcile.attributes or {})["ostiary.pass.changes"] == 2


async def test_a_flood_of_one_namespace_neither_grows_the_trace_nor_hides_another_namespace() -> None:
    it = traced()
    await it.run_pass()
    it.exporter.clear()
    for number in range(500):
        it.tracer.seen("MODIFIED", PROXY, proxy(f"flood-{number}"))
    it.tracer.seen("MODIFIED", PROXY, proxy("quiet", namespace="sales"))
    await it.run_pass()  # nothing is written, so no replica is waited for
    changes = it.named("change MCPProxy")
    assert len(changes) == 9
    assert "quiet" in {(span.attributes or {})["ostiary.object.name"] for span in changes}
    assert (it.one("reconcile").attributes or {})["ostiary.pass.changes"] == 501


async def test_a_pass_that_finds_nothing_new_leaves_no_span() -> None:
    it = traced(proxy("crm"))
    await it.run_pass("start")
    assert it.named("change MCPProxy") == []
    assert it.one("reconcile").parent is None
    it.exporter.clear()
    await it.run_pass("resync")
    assert it.spans == ()


async def test_a_failed_pass_leaves_the_change_open_and_the_next_pass_continues_its_trace() -> None:
    it = traced()
    it.see(edited("crm"))
    it.cluster.fail("list", PROXY, Busy("the API server is busy"))
    with pytest.raises(Busy):
        await it.run_pass()
    assert it.named("change MCPProxy") == []
    assert it.one("list").status.description == "the API server is busy"
    await it.run_pass()
    await it.give_up()
    change = it.one("change MCPProxy")
    assert {identity(span)[0] for span in it.named("reconcile")} == {identity(change)[0]}
    assert len(it.named("queued")) == 1


async def test_a_replica_that_rejects_the_change_ends_it_with_its_own_message() -> None:
    async with listening_replica(StubReplica()) as one:
        it = traced(replicas=(one.url,))
        it.see(edited("crm"))
        await it.run_pass()
        bundle = delivered(it.cluster)
        one.runs(bundle)
        digest = bundle.manifest.entries[0].digest
        rejection = {"digest": digest, "reason": "Invalid", "message": "no such server"}
        one.entries["tools/crm"] = {"active": None, "rejected": rejection}
        await it.poll()
    enforced = it.one("enforced by replica")
    assert enforced.status.description == "rejected MCPProxy tools/crm: Invalid: no such server"
    assert "no such server" in str(it.one("change MCPProxy").status.description)


async def test_a_replica_that_never_runs_the_change_ends_it_after_a_minute_with_what_it_says() -> None:
    async with listening_replica(StubReplica()) as one:
        it = traced(replicas=(one.url,))
        it.see(edited("crm"))
        await it.run_pass()
        await it.poll()
        assert it.named("change MCPProxy") == []
        await it.give_up()
    assert "does not run it after 60 s" in str(it.one("enforced by replica").status.description)
    assert not it.one("change MCPProxy").status.is_ok


async def test_events_and_status_name_the_trace_of_the_change_until_it_is_enforced() -> None:
    async with listening_replica(StubReplica()) as one:
        it = traced(replicas=(one.url,))
        it.see(edited("crm"))
        await it.run_pass()
        one.runs(delivered(it.cluster))
        await it.poll()
        trace_id = f"{identity(it.one('reconcile'))[0]:032x}"
        found = it.cluster.peek(PROXY, name="crm", namespace="tools")
        assert found is not None
        assert found["status"]["changeTrace"] == trace_id
        assert [span.name for span in it.named("write MCPProxy/status")] == ["write MCPProxy/status"] * 2
        records = [it.parts.events._waiting.take() for _ in range(len(it.parts.events._waiting))]
        assert {record.reason for record in records} == {"Accepted", "NoPolicy", "Programmed"}
        assert {record.change_trace for record in records} == {trace_id}
        event = it.parts.events._body(records[0])
        assert event["note"].endswith(f" (trace {trace_id})")
        assert event["metadata"]["annotations"] == {"ostiary.dev/change-trace": trace_id}
        assert it.parts.publisher._change_traces == {}


async def test_off_it_writes_what_it_would_write_without_it() -> None:
    it = traced(proxy("crm"), off=True)
    it.see(edited("crm"))
    await it.run_pass()
    found = it.cluster.peek(PROXY, name="crm", namespace="tools")
    assert found is not None
    assert "changeTrace" not in found["status"]
    assert it.parts.events._waiting.take().change_trace == ""
    assert it.spans == ()
