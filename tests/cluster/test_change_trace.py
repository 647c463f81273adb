"""One trace shows a change from `kubectl apply` to each replica that enforces it, with real processes and a sink."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from command_line import ostiary_command
from otlp_sink import Sink, SinkSpan, http_sink
from traced_cluster import traced_cluster

from ostiary_tools.cluster.main import LocalCluster
from ostiary_tools.common.processes import wait_until

_EVENTS = "/apis/events.k8s.io/v1/namespaces/default/events"


@pytest.fixture(scope="module")
def sink() -> Iterator[Sink]:
    with http_sink() as sink:
        yield sink


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory, sink: Sink) -> Iterator[LocalCluster]:
    with traced_cluster(tmp_path_factory.mktemp("cluster"), sink, "operator", "gateway") as running:
        yield running


def policy(*names: str) -> dict[str, Any]:
    rule = {"name": "only", "effect": "Allow", "tools": {"names": list(names)}}
    return {
        "apiVersion": "ostiary.dev/v1alpha1",
        "kind": "MCPPolicy",
        "metadata": {"name": "traced", "namespace": "default"},
        "spec": {
            "targetRefs": [{"kind": "MCPProxy", "name": "mock-mcp-server"}],
            "access": {"rules": [rule]},
        },
    }


def finished(sink: Sink, generation: int) -> SinkSpan | None:
    """Return the span of the policy's change, once it is enforced."""
    for span in sink.spans:
        changed = span.attributes.get("ostiary.object.name"), span.attributes.get("ostiary.change.generation")
        if span.name == "change MCPPolicy" and changed == ("traced", generation):
            return span
    return None


def applied(cluster: LocalCluster, sink: Sink, generation: int, *names: str) -> SinkSpan:
    """Apply the policy with kubectl, and return the span of this change."""
    cluster.kubectl("apply", "--server-side", "--field-manager=argocd", "-f", "-", input=json.dumps(policy(*names)))
    sink.wait_for(lambda _spans: finished(sink, generation), timeout=60)
    change = finished(sink, generation)
    assert change is not None
    return change


def live(cluster: LocalCluster) -> dict[str, Any]:
    path = "/apis/ostiary.dev/v1alpha1/namespaces/default/mcppolicies/traced"
    found: dict[str, Any] = cluster.control_plane.api.request("GET", path)
    return found


def test_one_trace_leads_from_the_event_to_every_replica_and_is_named_where_a_person_looks(
    cluster: LocalCluster, sink: Sink, capsys: pytest.CaptureFixture[str]
) -> None:
    change = applied(cluster, sink, 1, "echo")
    assert change.attributes["ostiary.change.field_manager"] == "argocd"
    assert change.service == "ostiary-operator"
    replicas = len(cluster.replicas)

    def names() -> list[str]:
        return sorted(span.name for span in sink.trace(change.trace_id))

    wait_until(lambda: names().count("config swap") == replicas, what="the swap of each replica")
    wait_until(lambda: "write MCPPolicy/status" in names(), what="the status writes")
    for name in ("queued", "reconcile", "list", "compile", "deliver", "write ConfigMap", "write statuses"):
        assert name in names()
    assert names().count("enforced by replica") == replicas
    by_name = {span.name: span for span in sink.trace(change.trace_id)}
    deliver = by_name["deliver"]
    swaps = [span for span in sink.trace(change.trace_id) if span.name == "config swap"]
    assert {span.parent_span_id for span in swaps} == {deliver.span_id}
    assert {span.service for span in swaps} == {"ostiary-gateway"}
    assert {span.attributes["ostiary.config.revision"] for span in swaps} == {
        deliver.attributes["ostiary.config.revision"]
    }
    assert all(span.status == "UNSET" for span in sink.trace(change.trace_id))

    wait_until(lambda: live(cluster)["status"].get("changeTrace") == change.trace_id, what="the trace in the status")
    events = [
        each
        for each in cluster.control_plane.api.request("GET", _EVENTS)["items"]
        if each["regarding"]["name"] == "traced"
    ]
    assert any(each["note"].endswith(f"(trace {change.trace_id})") for each in events)
    kubeconfig = str(cluster.control_plane.kubeconfig)
    found = ostiary_command(capsys)("status", "--kubeconfig", kubeconfig, "-n", "default", "-o", "wide")
    assert change.trace_id in found.out


def test_each_change_is_a_trace_of_its_own(cluster: LocalCluster, sink: Sink) -> None:
    generation = live(cluster)["metadata"]["generation"]
    first = applied(cluster, sink, generation + 1, "add")
    second = applied(cluster, sink, generation + 2, "add", "echo")
    assert first.trace_id != second.trace_id
    wait_until(lambda: live(cluster)["status"].get("changeTrace") == second.trace_id, what="the newer trace")
