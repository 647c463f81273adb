"""Servers of another operator behind a live gateway: tutorial 17 as written, and statuses that lie.

The test is the other operator: it writes what a status says.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from documented_commands import Folder, commands
from fenced_blocks import fenced_blocks
from foreign_kinds import GRANT, foreign_kinds, kind_named
from mcp import MCPError
from mcp_clients import connect
from web_application import serving_application

from ostiary_operator.kube.kinds import PROXY
from ostiary_tools.cluster.main import LocalCluster
from ostiary_tools.common.processes import wait_until

PAGE = "docs/tutorials/17-servers-of-another-operator.md"
GROUP = "mcp.x-k8s.io"
SERVER = kind_named(GROUP)


@pytest.fixture(scope="module")
def place(cluster: LocalCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Folder]:
    with foreign_kinds(cluster.control_plane, GROUP, GRANT.group):
        made = Folder(tmp_path_factory.mktemp("folder"), cluster.control_plane)
        made.prepare()
        yield made


def publish(cluster: LocalCluster, url: str, *, namespace: str = "crm") -> None:
    """Say in the status of the server that it is ready at this URL."""
    conditions = [{"type": each, "status": "True", "reason": "Ok"} for each in ("Available", "Verified")]
    path = SERVER.path(namespace=namespace, name="crm", subresource="status")
    cluster.control_plane.api.request("PATCH", path, {"status": {"address": {"url": url}, "conditions": conditions}})


def condition(cluster: LocalCluster, name: str, *, namespace: str) -> tuple[str, str]:
    found = cluster.control_plane.api.request("GET", PROXY.path(namespace=namespace, name="crm"))
    conditions = found.get("status", {}).get("conditions", [])
    return next(((each["status"], each["reason"]) for each in conditions if each["type"] == name), ("", ""))


async def tools(cluster: LocalCluster, path: str) -> set[str]:
    async with connect(cluster.endpoint(path=path), era="modern") as client:
        return {tool.name for tool in (await client.list_tools()).tools}


def listed(cluster: LocalCluster, path: str) -> set[str]:
    """What a client sees at a proxy."""
    return asyncio.run(tools(cluster, path))


def test_the_tutorial_works_as_written(cluster: LocalCluster, place: Folder) -> None:
    shown, *rest = fenced_blocks(PAGE, "yaml")
    assert rest == []
    for command in commands(PAGE):
        if command.startswith("kubectl wait --for=condition=Verified"):
            # Under another name than that of the example, whose MCPProxy leads to the same server.
            publish(cluster, cluster.mock_url.replace("localhost", "127.0.0.1"))
        printed = place.run(command)
        if command == "ostiary discover -n crm":
            assert printed == f"---\n{shown}"
        if "jsonpath" in command:
            assert printed == "RefNotPermitted"
        if command == "ostiary status -n crm":
            assert "get_users" in listed(cluster, "/crm/crm")
        if command.startswith("kubectl wait --for=condition=Ready mcpproxy/crm -n agents"):
            assert all(name.startswith(("get_", "list_", "search_")) for name in listed(cluster, "/agents/crm"))
    gone = [SERVER.path(namespace="crm", name="crm"), PROXY.path(namespace="agents", name="crm")]
    wait_until(lambda: not any(map(cluster.control_plane.api.answers, gone)), what="the end of the namespaces")


@pytest.fixture(scope="module")
def referred(cluster: LocalCluster, place: Folder) -> str:
    """A namespace with an MCPProxy that refers to a server of another operator."""
    namespace = "hostile-statuses"
    server = {"name": "crm", "serverRef": {"group": GROUP, "kind": "MCPServer", "name": "crm"}}
    objects = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}},
        {"apiVersion": SERVER.api_version, "kind": SERVER.name, "metadata": {"name": "crm", "namespace": namespace}},
        {
            "apiVersion": PROXY.api_version,
            "kind": PROXY.name,
            "metadata": {"name": "crm", "namespace": namespace},
            "spec": {"servers": [server]},
        },
    ]
    for each in objects:
        cluster.kubectl("apply", "-f", "-", input=json.dumps(each))
    return namespace


def serve(cluster: LocalCluster, namespace: str, url: str) -> None:
    """Publish a URL, and wait until every replica has it."""
    publish(cluster, url, namespace=namespace)

    def has_it() -> bool:
        found = cluster.control_plane.api.request("GET", PROXY.path(namespace=namespace, name="crm"))
        servers = found.get("status", {}).get("servers", [])
        ready = condition(cluster, "Programmed", namespace=namespace)[0] == "True"
        return ready and [each.get("url") for each in servers] == [url]

    wait_until(has_it, what=f"the server at {url}")


@asynccontextmanager
async def redirecting(target: str, status: int) -> AsyncIterator[str]:
    """A server that redirects everything to another place."""

    async def answer(_: web.Request) -> web.Response:
        return web.Response(status=status, headers={"Location": target})

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    async with serving_application(app) as origin:
        yield f"{origin}/mcp"


@pytest.mark.parametrize("status", [302, 307, 308])
async def test_a_status_url_that_redirects_elsewhere_is_not_followed(
    cluster: LocalCluster, referred: str, status: int
) -> None:
    asked: list[str] = []

    async def secret(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.json_response({"canary": "secret"})

    elsewhere = web.Application()
    elsewhere.router.add_route("*", "/{path:.*}", secret)
    async with serving_application(elsewhere) as target, redirecting(f"{target}/latest/meta-data", status) as url:
        await asyncio.to_thread(serve, cluster, referred, url)
        with pytest.raises(MCPError) as refused:
            await tools(cluster, f"/{referred}/crm")
    assert asked == []
    assert "canary" not in str(refused.value.error)


async def test_a_status_url_of_the_metadata_server_is_refused_at_the_connection(
    cluster: LocalCluster, referred: str
) -> None:
    await asyncio.to_thread(serve, cluster, referred, "http://169.254.169.254/mcp")
    with pytest.raises(MCPError) as refused:
        await tools(cluster, f"/{referred}/crm")
    assert refused.value.error.code == -31003


def test_a_status_url_of_our_own_gateway_is_a_loop_and_the_last_good_one_stays(
    cluster: LocalCluster, referred: str, place: Folder
) -> None:
    serve(cluster, referred, cluster.mock_url)
    status = cluster.control_plane.api.request("GET", PROXY.path(namespace=referred, name="crm"))["status"]
    publish(cluster, status["url"], namespace=referred)
    wait_until(
        lambda: condition(cluster, "ResolvedRefs", namespace=referred) == ("False", "UpstreamLoop"), what="UpstreamLoop"
    )
    assert "get_users" in listed(cluster, f"/{referred}/crm")
    diagnosed = place.run(f"ostiary doctor crm -n {referred} || test $? = 1")
    assert "UpstreamLoop: " in diagnosed
    assert "Name the server behind that gateway by service or url." in diagnosed
