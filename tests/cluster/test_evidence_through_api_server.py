"""Evidence of replicas whose addresses do not answer from here, through a real API server's proxy of Pods."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from command_line import CommandResult, ostiary_command
from console_process import ConsoleProcess
from mcp_clients import connect
from pod_processes import machine_address
from tcp_link import tcp_link
from timeouts import TIMEOUT_SECONDS

from ostiary_operator.console.sources.cluster_objects import ClusterObjects
from ostiary_operator.console.sources.cluster_ports import ClusterPorts
from ostiary_operator.kube.kubeconfig import Credentials, opened
from ostiary_operator.kube.pod_proxy import PodProxy
from ostiary_operator.view import admin_client
from ostiary_operator.view.evidence.call_stream import follow
from ostiary_operator.view.evidence.proxy_scope import ProxyScope
from ostiary_operator.view.evidence.reader import ObservedCall
from ostiary_operator.view.replica_relay import ReplicaRelay
from ostiary_tools.cluster.main import LocalCluster
from ostiary_tools.cluster.stack import EXAMPLE_PROXY
from ostiary_tools.common.processes import wait_until

SYSTEM = "ostiary-system"
POD = "gateway-behind-an-address"
#: An address for documentation (RFC 5737): nothing answers there.
NOWHERE = "192.0.2.7"
PROXY = f"default/{EXAMPLE_PROXY}"


def pod() -> dict[str, Any]:
    """A Pod that the namespace admits; no node runs it."""
    context = {
        "allowPrivilegeEscalation": False,
        "runAsNonRoot": True,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    container = {"name": "gateway", "image": "gateway.invalid/ostiary", "securityContext": context}
    return {"metadata": {"name": POD}, "spec": {"containers": [container]}}


def endpoint_slice(port: int) -> dict[str, Any]:
    """What names the Pod as a replica, at an address where nothing answers."""
    target = {"kind": "Pod", "namespace": SYSTEM, "name": POD}
    return {
        "metadata": {"name": POD, "labels": {"kubernetes.io/service-name": "ostiary-gateway"}},
        "addressType": "IPv4",
        "ports": [{"name": "admin", "port": port, "protocol": "TCP"}],
        "endpoints": [{"addresses": [NOWHERE], "conditions": {"ready": True}, "targetRef": target}],
    }


@pytest.fixture
async def replica(cluster: LocalCluster) -> AsyncIterator[None]:
    """A replica that only the API server reaches: its slice has an address where nothing answers."""
    api, pods = cluster.control_plane.api, f"/api/v1/namespaces/{SYSTEM}/pods"
    slices = f"/apis/discovery.k8s.io/v1/namespaces/{SYSTEM}/endpointslices"
    admin = int(cluster.gateway_admin_urls[0].rpartition(":")[2])
    # The API server does not reach for loopback.
    async with tcp_link(admin, host=machine_address()) as link:
        await asyncio.to_thread(api.request, "POST", pods, pod())
        address = machine_address()
        found = {"phase": "Running", "podIP": address, "podIPs": [{"ip": address}]}
        await asyncio.to_thread(api.request, "PATCH", f"{pods}/{POD}/status", {"status": found})
        await asyncio.to_thread(api.request, "POST", slices, endpoint_slice(link.port))
        yield
        await asyncio.to_thread(api.request, "DELETE", f"{slices}/{POD}")
        await asyncio.to_thread(api.request, "DELETE", f"{pods}/{POD}?gracePeriodSeconds=0")


async def echo(cluster: LocalCluster) -> None:
    async with connect(cluster.endpoint(0), era="modern") as client:
        await client.call_tool("echo", {"message": "hello"})


@pytest.mark.usefixtures("replica")
async def test_the_command_and_the_page_show_the_numbers(
    cluster: LocalCluster, capsys: pytest.CaptureFixture[str]
) -> None:
    await echo(cluster)
    kubeconfig = str(cluster.control_plane.kubeconfig)
    done = await asyncio.to_thread(
        ostiary_command(capsys), "traffic", PROXY, "-o", "json", "-n", "default", "--kubeconfig", kubeconfig
    )
    found = json.loads(done.out)
    assert (done.code, found["evidence"]["answered"], found["evidence"]["problems"]) == (0, 1, []), done.err
    assert found["report"]["numbers"]["calls"] >= 1

    def page() -> Any:
        with ConsoleProcess.started("--kubeconfig", kubeconfig) as console:
            console.sign_in()
            return console.twin("/traffic.json")

    shown = await asyncio.to_thread(page)
    assert (shown["source"]["asked"], shown["source"]["answered"]) == (1, 1), shown["source"]


@pytest.mark.usefixtures("replica")
async def test_calls_come_as_they_are_made(cluster: LocalCluster) -> None:
    async with (
        opened(Credentials(str(cluster.control_plane.kubeconfig))) as api,
        admin_client.session() as http,
        contextlib.AsyncExitStack() as stack,
        asyncio.timeout(TIMEOUT_SECONDS),
    ):
        pods = PodProxy(api)
        stack.push_async_callback(pods.close)
        objects = ClusterObjects(api, title="", operator_namespace=SYSTEM)
        finder = ClusterPorts(api, objects, operator_namespace=SYSTEM, relay=ReplicaRelay(pods))
        async with contextlib.aclosing(follow(http, finder, ProxyScope.of([PROXY]))) as events:
            calling = asyncio.create_task(repeated(cluster))
            try:
                async for event in events:
                    assert isinstance(event, ObservedCall), event
                    if event.call.name == "echo":
                        assert event.replica == POD
                        break
            finally:
                calling.cancel()
                await asyncio.gather(calling, return_exceptions=True)


async def repeated(cluster: LocalCluster) -> None:
    """Call again and again: it is not known when a reader has begun to follow."""
    while True:
        await echo(cluster)


@pytest.mark.usefixtures("replica")
async def test_without_the_right_the_message_names_it_and_the_other_way(
    cluster: LocalCluster, capsys: pytest.CaptureFixture[str]
) -> None:
    kubectl, account = cluster.kubectl, "--serviceaccount=default:looks-from-outside"

    def may(name: str, *what: str) -> None:
        kubectl("create", "role", name, "--verb=get,list", *(f"--resource={each}" for each in what), "-n", SYSTEM)
        kubectl("create", "rolebinding", name, f"--role={name}", account, "-n", SYSTEM)

    def asked(kubeconfig: str) -> CommandResult:
        return call("traffic", PROXY, "-n", "default", "--kubeconfig", kubeconfig)

    call = ostiary_command(capsys)
    await asyncio.to_thread(kubectl, "create", "serviceaccount", "looks-from-outside", "-n", "default")
    bind = ("create", "clusterrolebinding", "looks-from-outside", "--clusterrole=ostiary-viewer", account)
    await asyncio.to_thread(kubectl, *bind)
    await asyncio.to_thread(may, "reads-evidence", "secrets", "services", "endpointslices.discovery.k8s.io")
    file = cluster.control_plane.kubeconfig_for_service_account("default", "looks-from-outside")

    def names_it() -> bool:
        done = asked(str(file))
        return done.code == 2 and "get on pods/proxy in namespace ostiary-system is missing" in done.err

    await asyncio.to_thread(wait_until, names_it, what="the message about pods/proxy")
    assert f"port-forward pod/{POD}" in (await asyncio.to_thread(asked, str(file))).err
    await asyncio.to_thread(may, "asks-pods", "pods/proxy")
    await asyncio.to_thread(wait_until, lambda: asked(str(file)).code == 0, what="the numbers with the right")
