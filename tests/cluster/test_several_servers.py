"""From `kubectl apply` of several servers to one catalogue at every replica, on a real API server."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from mcp import MCPError
from mcp_clients import connect, eventually

from ostiary_tools.cluster.main import LocalCluster
from ostiary_tools.common.errors import CommandError
from ostiary_tools.common.processes import wait_until

DENY = {"name": "no-delete", "effect": "Deny", "tools": {"names": ["delete_user"]}}
LACKING = {"name": "lacking", "effect": "Allow", "tools": {"names": ["get_users"]}}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    with LocalCluster(tmp_path_factory.mktemp("cluster")) as running:
        yield running


def apply(cluster: LocalCluster, kind: str, spec: Mapping[str, Any]) -> None:
    metadata = {"name": "tools", "namespace": "default"}
    document = {"apiVersion": "ostiary.dev/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec}
    cluster.kubectl("apply", "--server-side", "-f", "-", input=json.dumps(document))


def apply_proxy(cluster: LocalCluster, **prefixes: str) -> None:
    servers = [{"name": name, "prefix": prefix, "url": cluster.mock_url} for name, prefix in prefixes.items()]
    apply(cluster, "MCPProxy", {"path": "/tools", "serverSelection": "Merge", "servers": servers})


def apply_policy(cluster: LocalCluster, *rules: Mapping[str, Any], **spec: Any) -> None:
    targets = [{"kind": "MCPProxy", "name": "tools"}]
    apply(cluster, "MCPPolicy", {"targetRefs": targets, "access": {"rules": list(rules)}, **spec})


def condition(cluster: LocalCluster, kind: str, wanted: str) -> Mapping[str, Any]:
    found = json.loads(cluster.kubectl("get", kind, "tools", "-n", "default", "-o", "json"))
    conditions: list[dict[str, Any]] = found.get("status", {}).get("conditions", [])
    generation = found["metadata"]["generation"]
    current = (each for each in conditions if each.get("observedGeneration") == generation)
    return next((each for each in current if each["type"] == wanted), {})


def warnings(cluster: LocalCluster) -> list[str]:
    """The messages of all Warning Events."""
    command = ("get", "events", "-n", "default", "--field-selector", "type=Warning", "-o", "json")
    return [event["message"] for event in json.loads(cluster.kubectl(*command))["items"]]


async def until_tools(cluster: LocalCluster, *, beginning: Mapping[str, int]) -> None:
    """Wait until every replica shows so many tools with each beginning, and no others."""
    for replica in cluster.replicas:

        async def shows(number: int = replica) -> bool:
            async with connect(cluster.endpoint(number, path="/tools"), era="modern") as client:
                names = [tool.name for tool in (await client.list_tools()).tools]
            counted = {prefix: sum(name.startswith(prefix) for name in names) for prefix in beginning}
            return counted == beginning and len(names) == sum(beginning.values())

        await eventually(shows)


async def test_servers_are_one_catalogue_whose_names_a_deny_knows_in_both_forms(cluster: LocalCluster) -> None:
    apply_proxy(cluster, crm="crm_", erp="erp_")
    apply_policy(cluster, DENY, tests=[{"call": {"tool": "erp_delete_user"}, "expect": "Deny"}])
    cluster.wait_until_ready("tools")
    await until_tools(cluster, beginning={"crm_": 14, "erp_": 14})
    async with connect(cluster.endpoint(path="/tools"), era="legacy") as client:
        assert not (await client.call_tool("crm_get_users", {})).is_error
        with pytest.raises(MCPError, match="Unknown tool: erp_delete_user"):
            await client.call_tool("erp_delete_user", {"user_id": 1})

    apply_proxy(cluster, crm="c.", erp="erp_")
    await until_tools(cluster, beginning={"c.": 14, "erp_": 14})
    wait_until(lambda: "spec.servers[0].prefix: crm_ → c." in warnings(cluster), what="the event of the other prefix")


async def test_the_api_server_refuses_prefixes_that_overlap(cluster: LocalCluster) -> None:
    with pytest.raises(CommandError, match="two prefixes of which one begins the other"):
        apply_proxy(cluster, crm="crm", erp="crm_")


async def test_an_allow_without_a_prefix_is_reported(cluster: LocalCluster) -> None:
    apply_proxy(cluster, crm="crm_", erp="erp_")
    apply_policy(cluster, LACKING)
    wait_until(
        lambda: condition(cluster, "mcppolicy", "Effective").get("reason") == "NameWithoutPrefix",
        what="the name without a prefix in the status",
    )
    assert "write for example crm_get_users" in condition(cluster, "mcppolicy", "Effective")["message"]
