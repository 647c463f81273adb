"""Callers notice nothing when a replica hangs or dies, or when its config is edited by hand."""

import asyncio
import base64
import functools
import json
import os
import signal
import urllib.request
from collections.abc import Mapping
from typing import Any

from mcp_clients import connect, eventually
from timeouts import TIMEOUT_SECONDS

from ostiary_core.contract import mac
from ostiary_core.contract.manifest import parse_manifest
from ostiary_tools.cluster.main import LocalCluster
from ostiary_tools.common.processes import wait_until

NAMESPACE = "ostiary-system"
CONFIG = f"/api/v1/namespaces/{NAMESPACE}/configmaps/ostiary-default-0"
SECRET = f"/api/v1/namespaces/{NAMESPACE}/secrets/ostiary-default"
PROXY = "mock-mcp-server"
ALL = 15


async def tools(cluster: LocalCluster, replica: int) -> set[str]:
    async with connect(cluster.endpoint(replica), era="modern") as client:
        return {tool.name for tool in (await client.list_tools()).tools}


async def serve_all(cluster: LocalCluster, *replicas: int) -> bool:
    return all([len(await tools(cluster, replica)) == ALL for replica in replicas])


def only(*names: str) -> dict[str, Any]:
    return {
        "apiVersion": "ostiary.dev/v1alpha1",
        "kind": "MCPPolicy",
        "metadata": {"name": "only", "namespace": "default"},
        "spec": {
            "targetRefs": [{"kind": "MCPProxy", "name": PROXY}],
            "access": {"rules": [{"name": "only", "effect": "Allow", "tools": {"names": list(names)}}]},
        },
    }


def condition(cluster: LocalCluster, of_type: str) -> tuple[str, str, str]:
    for each in cluster.proxy().get("status", {}).get("conditions", ()):
        if each["type"] == of_type:
            return each["status"], each["reason"], each["message"]
    return "", "", ""


def report(cluster: LocalCluster, replica: int, token: str) -> Any:
    """What a replica says on its admin port."""
    url = f"{cluster.gateway_admin_urls[replica]}/config"
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"})  # noqa: S310  our own
    with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as answer:  # noqa: S310  our own
        return json.load(answer)


def rejects(cluster: LocalCluster, replica: int, token: str) -> bool:
    return report(cluster, replica, token)["rejected"] is not None


async def until_logged(cluster: LocalCluster, of_type: str, *verdict: str) -> str:
    def holds() -> bool:
        return condition(cluster, of_type)[:2] == verdict

    await asyncio.to_thread(wait_until, holds, what=f"{of_type} {verdict}", timeout=25)
    return condition(cluster, of_type)[2]


async def test_a_replica_that_hangs_is_named_while_the_other_enforces_what_changes_and_catches_up_when_it_wakes(
    cluster: LocalCluster,
) -> None:
    hung = cluster.processes["gateway-1"].pid
    os.kill(hung, signal.SIGSTOP)
    try:
        cluster.kubectl("apply", "--server-side", "-f", "-", input=json.dumps(only("get_users")))

        async def enforced(replica: int = 0) -> bool:
            return await tools(cluster, replica) == {"get_users"}

        await eventually(enforced)
        message = await until_logged(cluster, "Programmed", "Unknown", "Unreachable")
        assert cluster.gateway_admin_urls[1] in message
        assert cluster.proxy()["status"]["programmed"] == "default 1/2"
    finally:
        os.kill(hung, signal.SIGCONT)
    await eventually(lambda: enforced(1))
    await until_logged(cluster, "Ready", "True", "Ready")
    cluster.kubectl("delete", "mcppolicy", "only", "-n", "default")
    await eventually(lambda: serve_all(cluster, 0, 1))


async def test_a_replica_that_is_killed_costs_the_other_nothing_and_is_itself_again_when_it_is_back(
    cluster: LocalCluster,
) -> None:
    cluster.kill_gateway(1)
    try:
        assert await serve_all(cluster, 0)
    finally:
        cluster.start_gateway(1)
    assert await serve_all(cluster, 0, 1)
    await until_logged(cluster, "Ready", "True", "Ready")


def forged(data: Mapping[str, str]) -> dict[str, str]:
    """The manifest of an operator that has no key: nothing is served any more, and at a far later revision."""
    manifest = parse_manifest(data["manifest.json"].encode())
    assert manifest.mac is not None
    emptied = manifest.model_copy(update={"entries": [], "revision": manifest.revision + 10**6, "mac": None})
    signed = mac.sign(emptied, key_name=manifest.mac.key, key=b"guessed" * 5)
    return {"manifest.json": signed.canonical().decode()}


async def test_without_the_operator_a_forged_config_is_refused_a_deleted_one_kept_and_both_restored_later(
    cluster: LocalCluster,
) -> None:
    api, token = cluster.control_plane.api, cluster.admin_token()
    keys = api.request("GET", SECRET)["data"]
    cluster.stop_operator()
    try:
        api.request("PATCH", CONFIG, {"data": forged(api.request("GET", CONFIG)["data"])})
        for replica in cluster.replicas:
            refused = functools.partial(rejects, cluster, replica, token)
            await asyncio.to_thread(wait_until, refused, what="a rejection")
        assert await serve_all(cluster, 0, 1)

        api.request("DELETE", CONFIG)
        api.request("DELETE", SECRET)
        assert await serve_all(cluster, 0, 1)
    finally:
        cluster.start_operator()
    await asyncio.to_thread(wait_until, lambda: api.answers(CONFIG), what="the config")
    assert base64.b64decode(api.request("GET", SECRET)["data"]["admin-token"]) != base64.b64decode(keys["admin-token"])
    await until_logged(cluster, "Ready", "True", "Ready")
    assert await serve_all(cluster, 0, 1)
