"""From `kubectl apply` to a governed, traced call, on a real API server, with the chart's own rights."""

import asyncio
import base64
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from mcp import MCPError
from mcp_clients import connect, eventually
from otlp_sink import Sink, http_sink
from traced_cluster import traced_cluster

from ostiary_tools.cluster.main import LocalCluster
from ostiary_tools.common.processes import Process, wait_until

_API = "/apis/ostiary.dev/v1alpha1"


@pytest.fixture(scope="module")
def sink() -> Iterator[Sink]:
    with http_sink() as sink:
        yield sink


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory, sink: Sink) -> Iterator[LocalCluster]:
    with traced_cluster(tmp_path_factory.mktemp("cluster"), sink, "gateway", "mock-server") as running:
        yield running


def apply(cluster: LocalCluster, resource: Mapping[str, Any]) -> None:
    cluster.kubectl("apply", "--server-side", "-f", "-", input=json.dumps(resource))


def proxy(cluster: LocalCluster, name: str, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "ostiary.dev/v1alpha1",
        "kind": "MCPProxy",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"path": f"/{name}", "servers": [{"name": "mock", "url": cluster.mock_url}], **spec},
    }


def policy(name: str, target: str, rules: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {
        "apiVersion": "ostiary.dev/v1alpha1",
        "kind": "MCPPolicy",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"targetRefs": [{"kind": "MCPProxy", "name": target}], "access": {"rules": list(rules)}},
    }


def allowing(*names: str) -> dict[str, Any]:
    return {"name": "only", "effect": "Allow", "tools": {"names": list(names)}}


def condition(cluster: LocalCluster, kind: str, name: str, wanted: str) -> Mapping[str, str]:
    found = cluster.control_plane.api.request("GET", f"{_API}/namespaces/default/{kind}/{name}")
    conditions = found.get("status", {}).get("conditions", ())
    generation = found["metadata"]["generation"]
    return next(
        (c for c in conditions if c["type"] == wanted and c.get("observedGeneration") == generation), {"status": "?"}
    )


def wait_for_condition(
    cluster: LocalCluster, kind: str, name: str, wanted: str, fits: Callable[[Mapping[str, str]], bool]
) -> Mapping[str, str]:
    wait_until(lambda: fits(condition(cluster, kind, name, wanted)), what=f"{wanted} of {kind} {name}", timeout=30)
    return condition(cluster, kind, name, wanted)


async def tools(cluster: LocalCluster, name: str, replica: int = 0) -> set[str]:
    async with connect(cluster.endpoint(replica, path=f"/{name}"), era="modern") as client:
        return {tool.name for tool in (await client.list_tools()).tools}


async def shows_all(cluster: LocalCluster, name: str) -> bool:
    return len(await tools(cluster, name)) == 15


async def is_gone(cluster: LocalCluster, name: str) -> bool:
    try:
        await tools(cluster, name)
    except MCPError:
        return True
    return False


async def until_tools(cluster: LocalCluster, name: str, expected: set[str]) -> None:
    """Wait until every replica shows exactly these; one that does not know the proxy yet is waited for, too."""
    for replica in cluster.replicas:

        async def shows(number: int = replica) -> bool:
            try:
                return await tools(cluster, name, number) == expected
            except MCPError:
                return False

        await eventually(shows)


async def test_what_is_applied_is_enforced_at_every_replica_then_edited_then_gone(cluster: LocalCluster) -> None:
    apply(cluster, proxy(cluster, "crm"))
    cluster.wait_until_ready("crm")
    assert len(await tools(cluster, "crm")) == 15

    apply(cluster, policy("readers", "crm", [allowing("get_users")]))
    await until_tools(cluster, "crm", {"get_users"})
    async with connect(cluster.endpoint(path="/crm"), era="legacy") as client:
        with pytest.raises(MCPError) as refused:
            await client.call_tool("delete_user", {"user_id": 1})
    assert refused.value.error.code == -32602

    apply(cluster, policy("readers", "crm", [allowing("get_users", "echo")]))
    await until_tools(cluster, "crm", {"get_users", "echo"})

    cluster.kubectl("delete", "mcppolicy", "readers", "-n", "default")
    await eventually(lambda: shows_all(cluster, "crm"))

    cluster.kubectl("delete", "mcpproxy", "crm", "-n", "default")
    await eventually(lambda: is_gone(cluster, "crm"))


async def test_the_status_names_the_urls_and_the_gateways_of_a_proxy(cluster: LocalCluster) -> None:
    status = cluster.proxy()["status"]

    assert status["url"] == f"http://localhost:{cluster.ports.data[0]}/mock-mcp-server/mcp"
    assert status["programmed"] == "default 2/2"
    assert status["policies"] == [{"namespace": "default", "name": "quickstart"}]
    conditions = {c["type"]: c["status"] for c in status["conditions"]}
    del conditions["UpstreamHealthy"]  # it knows what calls have met, and there may have been none
    conditions.pop("TelemetryReady", None)  # it knows what was exported, and there may have been nothing
    assert conditions == {
        "Accepted": "True",
        "ResolvedRefs": "True",
        "Programmed": "True",
        "Ready": "True",
        "Governed": "True",
    }


async def test_the_status_shows_each_server_of_a_proxy_and_what_it_lists(cluster: LocalCluster) -> None:
    servers = [{"name": name, "prefix": f"{name}_", "url": cluster.mock_url} for name in ("one", "two")]
    apply(cluster, proxy(cluster, "pair", serverSelection="Merge", servers=servers))
    apply(cluster, policy("pair", "pair", [allowing("one_get_users")]))
    await until_tools(cluster, "pair", {"one_get_users"})

    def shown() -> dict[str, Any]:
        path = f"{_API}/namespaces/default/mcpproxies/pair"
        found = cluster.control_plane.api.request("GET", path)["status"].get("servers", ())
        return {each["name"]: each for each in found}

    await eventually(lambda: shown().get("one", {}).get("tools", 0) > 10)
    assert [each["url"] for each in shown().values()] == [cluster.mock_url] * 2
    wait_for_condition(cluster, "mcpproxies", "pair", "UpstreamsHealthy", lambda found: found["status"] == "True")
    cluster.kubectl("delete", "mcpproxy/pair", "mcppolicy/pair", "-n", "default")


async def test_a_policy_is_programmed_when_every_replica_runs_it(cluster: LocalCluster) -> None:
    apply(cluster, policy("extra", "mock-mcp-server", [{"name": "no", "effect": "Deny", "tools": {"names": ["x_*"]}}]))

    found = wait_for_condition(cluster, "mcppolicies", "extra", "Programmed", lambda c: c["status"] == "True")

    cluster.kubectl("delete", "mcppolicy", "extra", "-n", "default")
    assert found["reason"] == "Programmed"


async def test_a_rule_that_names_no_tool_is_reported_in_the_status_once_a_list_has_passed(
    cluster: LocalCluster,
) -> None:
    rule = {"name": "no", "effect": "Deny", "tools": {"verbs": ["Call"], "names": ["delete_usr"]}}
    apply(cluster, policy("slip", "mock-mcp-server", [rule]))
    url = cluster.proxy()["status"]["url"]

    async def reports_the_slip() -> bool:
        async with connect(url, era="legacy") as client:
            await client.list_tools()
        found = json.loads(cluster.kubectl("get", "mcppolicy", "slip", "-n", "default", "-o", "json"))
        conditions = found.get("status", {}).get("conditions", ())
        effective: dict[str, Any] = next((each for each in conditions if each["type"] == "Effective"), {})
        return effective.get("reason") == "RuleMatchesNothing" and "did you mean delete_user?" in effective["message"]

    await eventually(reports_the_slip)
    cluster.kubectl("delete", "mcppolicy", "slip", "-n", "default")


async def test_a_second_claim_on_a_path_is_refused_and_names_the_first(cluster: LocalCluster) -> None:
    second = proxy(cluster, "squatter", path="/mock-mcp-server")
    apply(cluster, second)

    found = wait_for_condition(cluster, "mcpproxies", "squatter", "Accepted", lambda c: c["status"] == "False")

    cluster.kubectl("delete", "mcpproxy", "squatter", "-n", "default")
    assert found["reason"] == "PathConflict"
    assert "mock-mcp-server" in found["message"]
    assert len(await tools(cluster, "mock-mcp-server")) == 15


async def test_a_policy_that_targets_nothing_is_reported(cluster: LocalCluster) -> None:
    apply(cluster, policy("lost", "no-such-proxy", [allowing("get_users")]))

    found = wait_for_condition(cluster, "mcppolicies", "lost", "Accepted", lambda c: c["status"] == "False")

    cluster.kubectl("delete", "mcppolicy", "lost", "-n", "default")
    assert found["reason"] == "TargetNotFound"
    assert "no-such-proxy" in found["message"]


async def test_a_stream_outlives_a_reload_and_a_call_in_flight_finishes(cluster: LocalCluster) -> None:
    apply(cluster, proxy(cluster, "streams"))
    cluster.wait_until_ready("streams")
    seen: list[float] = []

    async def progress(progress: float, total: float | None, message: str | None) -> None:
        seen.append(progress)

    async with connect(cluster.endpoint(path="/streams"), era="legacy") as client:
        call = asyncio.create_task(
            client.call_tool("stream_count", {"count": 20, "interval_ms": 100}, progress_callback=progress)
        )
        await eventually(lambda: bool(seen))
        apply(cluster, policy("late", "streams", [allowing("get_users")]))
        await until_tools(cluster, "streams", {"get_users"})
        assert not call.done(), "the reload came while the call was in flight"
        result = await call
        with pytest.raises(MCPError):
            await client.call_tool("stream_count", {"count": 1})

    cluster.kubectl("delete", "mcppolicy/late", "mcpproxy/streams", "-n", "default")
    assert not result.is_error
    assert len(seen) >= 20


async def test_every_tool_call_is_a_trace(cluster: LocalCluster, sink: Sink) -> None:
    async with connect(cluster.endpoint(1), era="modern") as client:
        await client.call_tool("get_time", {})

    def call(spans: Sequence[Any]) -> list[Any]:
        return [s for s in spans if s.name == "tools/call get_time" and s.service == "ostiary-gateway"]

    spans = await asyncio.to_thread(sink.wait_for, lambda spans: len(call(spans)) == 2)

    server, client_span = sorted(call(spans), key=lambda span: span.kind, reverse=True)
    assert (server.kind, client_span.kind) == ("SERVER", "CLIENT")
    assert client_span.parent_span_id == server.span_id
    assert server.attributes["ostiary.proxy.name"] == "mock-mcp-server"


class Poisoned:
    """A replica that reads its config from a volume in which one document was altered."""

    def __init__(self, cluster: LocalCluster, directory: Path) -> None:
        api = cluster.control_plane.api
        base = "/api/v1/namespaces/ostiary-system"
        config = api.request("GET", f"{base}/configmaps/ostiary-default-0")
        secret = api.request("GET", f"{base}/secrets/ostiary-default")
        for name, text in (config.get("data") or {}).items():
            altered = text.replace('"path":"/poison"', '"path":"/prison"')
            (directory / name).write_text(altered)
        (directory / "keys").mkdir()
        for name, value in secret["data"].items():
            (directory / "keys" / name).write_bytes(base64.b64decode(value))
        ports = cluster.ports
        command: list[str | Path] = [Path(sys.executable).with_name("ostiary"), "gateway", "--config", directory]
        command += ["--gateway", "ostiary-system/default", "--port", str(ports.data[1])]
        command += ["--admin-port", str(ports.admin[1])]
        self.process = Process("poisoned", command, log=directory.with_suffix(".log"))


async def test_one_poisoned_replica_of_two_is_named_and_traffic_goes_on(cluster: LocalCluster, tmp_path: Path) -> None:
    apply(cluster, proxy(cluster, "poison"))
    cluster.wait_until_ready("poison")
    cluster.stop_gateway(1)
    volume = tmp_path / "volume"
    volume.mkdir()
    poisoned = Poisoned(cluster, volume)
    try:
        found = await asyncio.to_thread(
            wait_for_condition, cluster, "mcpproxies", "poison", "Programmed", lambda c: c["status"] == "False"
        )
        assert len(await tools(cluster, "poison", replica=0)) == 15
        assert len(await tools(cluster, "mock-mcp-server", replica=1)) == 15
    finally:
        poisoned.process.stop()
        cluster.start_gateway(1)
    cluster.wait_until_ready("poison")
    cluster.kubectl("delete", "mcpproxy", "poison", "-n", "default")

    assert found["reason"] == "Rejected"
    assert cluster.gateway_admin_urls[1] in found["message"], "the replica is named by where the operator asked it"
    assert "MCPProxy default/poison" in found["message"]


async def test_the_operator_ends_on_sigterm_and_resumes_after_a_restart(cluster: LocalCluster) -> None:
    before = cluster.control_plane.api.request("GET", "/api/v1/namespaces/ostiary-system/configmaps/ostiary-default-0")
    assert cluster.stop_operator() == 0
    cluster.start_operator()
    apply(cluster, proxy(cluster, "after"))
    cluster.wait_until_ready("after")
    cluster.kubectl("delete", "mcpproxy", "after", "-n", "default")

    after = cluster.control_plane.api.request("GET", "/api/v1/namespaces/ostiary-system/configmaps/ostiary-default-0")
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
