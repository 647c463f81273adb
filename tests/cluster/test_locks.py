"""From an unreviewed server to an approved one, on a real API server with the chart's own rights."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mcp_clients import connect, eventually

from ostiary_operator.local.lock_file import ServedDefinitions, lock_text, read_server
from ostiary_tools.cluster.main import LocalCluster

_API = "/apis/ostiary.dev/v1alpha1/namespaces/default"
_TOOLS = 15


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    with LocalCluster(tmp_path_factory.mktemp("cluster")) as running:
        yield running


@pytest.fixture(scope="module", autouse=True)
def proxy(cluster: LocalCluster) -> None:
    resource = {
        "apiVersion": "ostiary.dev/v1alpha1",
        "kind": "MCPProxy",
        "metadata": {"name": "locked", "namespace": "default"},
        "spec": {
            "path": "/locked",
            "servers": [{"name": "mock", "url": cluster.mock_url}],
            "catalogue": {"pinning": "Block", "recheck": "1s"},
        },
    }
    cluster.kubectl("apply", "--server-side", "-f", "-", input=json.dumps(resource))
    cluster.wait_until_ready("locked")


def found(cluster: LocalCluster, plural: str, name: str = "locked") -> dict[str, Any]:
    resource: dict[str, Any] = cluster.control_plane.api.request("GET", f"{_API}/{plural}/{name}")
    return resource


def condition(resource: dict[str, Any], of_type: str = "DefinitionsMatch") -> dict[str, Any]:
    conditions = resource.get("status", {}).get("conditions", ())
    return next((each for each in conditions if each["type"] == of_type), {})


async def tools(cluster: LocalCluster, replica: int) -> int:
    async with connect(cluster.endpoint(replica, path="/locked"), era="modern") as client:
        return len((await client.list_tools()).tools)


async def until_shown(cluster: LocalCluster, number: int) -> None:
    for replica in cluster.replicas:

        async def shows(place: int = replica) -> bool:
            return await tools(cluster, place) == number

        await eventually(shows)


async def approve(cluster: LocalCluster, folder: Path, served: ServedDefinitions) -> None:
    file = folder / "lock.yaml"
    file.write_text(lock_text("default", "locked", "mock", served, name="locked"))
    # Client-side, as most pipelines do it: it drops nulls from structures, of which the schemas hold some.
    cluster.kubectl("apply", "-f", str(file))


async def test_what_no_lock_approves_is_hidden_reported_and_shown_once_it_is_approved(
    cluster: LocalCluster, tmp_path: Path
) -> None:
    await until_shown(cluster, 0)

    async def is_reported() -> bool:
        return condition(found(cluster, "mcpproxies")).get("status") == "False"

    await eventually(is_reported)
    drifted = found(cluster, "mcpproxies")
    assert condition(drifted)["reason"] == "DefinitionsChanged"
    row = next(each for each in drifted["status"]["drift"] if each["name"] == "add")
    assert (row["server"], row["primitive"], row["field"]) == ("mock", "tools", "name")

    served = await read_server(cluster.mock_url, {})
    await approve(cluster, tmp_path, served)
    await until_shown(cluster, _TOOLS)

    async def matches() -> bool:
        return all(condition(found(cluster, kind)).get("status") == "True" for kind in ("mcpproxies", "mcplocks"))

    async def is_ready() -> bool:
        return condition(found(cluster, "mcplocks"), "Ready").get("status") == "True"

    await eventually(is_ready)
    await eventually(matches, seconds=150)  # a recovery is written a minute after a fault
    assert found(cluster, "mcplocks")["status"]["definitions"] == served.count
    assert "drift" not in found(cluster, "mcpproxies")["status"]


async def test_a_changed_definition_is_named_with_its_member(cluster: LocalCluster, tmp_path: Path) -> None:
    served = await read_server(cluster.mock_url, {})
    for tool in served.items["tools"]:
        if tool["name"] == "add":
            tool["description"] = "What was reviewed."
    await approve(cluster, tmp_path, served)
    await until_shown(cluster, _TOOLS - 1)

    async def is_named() -> bool:
        rows = found(cluster, "mcpproxies")["status"].get("drift") or ()
        return any((row["name"], row["field"]) == ("add", "description") for row in rows)

    await eventually(is_named)
    async with connect(cluster.endpoint(path="/locked"), era="legacy") as client:
        assert (await client.call_tool("add", {"a": 1, "b": 2})).is_error
    shown = cluster.kubectl("get", "mlk", "locked", "-n", "default")
    assert "locked" in str(shown)


async def test_nothing_of_a_lock_is_written_but_its_status(cluster: LocalCluster) -> None:
    managers = {
        each["manager"]: each.get("subresource") for each in found(cluster, "mcplocks")["metadata"]["managedFields"]
    }
    assert managers.pop("ostiary-operator/lock-status") == "status"
    assert all(manager.startswith("kubectl") for manager in managers)
    assert not any("ostiary" in key for key in found(cluster, "mcplocks")["metadata"].get("annotations", {}))
