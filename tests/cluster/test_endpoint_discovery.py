"""A gateway observes the endpoints that Kubernetes' own controller lists, and no operator runs."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from endpoint_slices import endpoint, endpoint_slice
from gateways import RunningGateway, running_gateway
from kube_api_proxy import kube_api_proxy
from mcp_caller import McpCaller, mcp_caller, modern
from mcp_clients import eventually
from pod_processes import PORT_NAME, PodProcesses, pod_processes

from ostiary_gateway.options import KubernetesOptions
from ostiary_gateway.upstream.server import UpstreamServer
from ostiary_tools.cluster.control_plane import ControlPlane

ACCOUNT = "gateway"
CALL = modern("tools/call", {"name": "who", "arguments": {}})
SLICES = "endpointslices.discovery.k8s.io"


@pytest.fixture
def token(control_plane: ControlPlane, namespace: str, tmp_path: Path) -> Path:
    """The file with the token of an account that has no rights yet."""
    control_plane.kubectl("create", "serviceaccount", ACCOUNT, "-n", namespace)
    file = tmp_path / "token"
    file.write_text(control_plane.service_account_token(namespace, ACCOUNT))
    return file


def grant(plane: ControlPlane, namespace: str) -> None:
    """Give the account the right that the chart gives a gateway."""
    plane.kubectl("create", "role", ACCOUNT, "-n", namespace, "--verb=list,watch", f"--resource={SLICES}")
    subject = f"--serviceaccount={namespace}:{ACCOUNT}"
    plane.kubectl("create", "rolebinding", ACCOUNT, "-n", namespace, f"--role={ACCOUNT}", subject)


@pytest.fixture
async def pods(control_plane: ControlPlane, namespace: str) -> AsyncIterator[PodProcesses]:
    async with pod_processes(control_plane, namespace) as pods:
        await pods.make_service()
        yield pods


@pytest.fixture
async def gateway(control_plane: ControlPlane, token: Path) -> AsyncIterator[RunningGateway]:
    options = KubernetesOptions(control_plane.url, token, control_plane.ca_file)
    async with running_gateway(gateway="ostiary/default", kubernetes=options) as gateway:
        yield gateway


async def serve(gateway: RunningGateway, namespace: str, *, managed: bool = True) -> UpstreamServer:
    """Let the gateway have a proxy of the Service; return its server."""
    discovery = {"namespace": namespace, "service": "crm", "port": 80, "port_name": PORT_NAME, "managed": managed}
    url = f"http://crm.{namespace}.svc/mcp"
    await gateway.apply(gateway.entry("mock", url, server={"discovery": discovery}))
    assert gateway.app.store.snapshot is not None
    return gateway.app.store.snapshot.proxies["default/mock"].server


async def serve_one_pod(plane: ControlPlane, pods: PodProcesses, gateway: RunningGateway) -> UpstreamServer:
    """Let the gateway observe a Service with one Pod; return its server."""
    grant(plane, pods.namespace)
    await pods.start("crm-1")
    server = await serve(gateway, pods.namespace)
    await eventually(lambda: len(ports(server)) == 1)
    return server


def state(server: UpstreamServer) -> tuple[str, str]:
    assert server.endpoints is not None
    problem = server.endpoints.problem
    return server.endpoints.source, problem[0] if problem is not None else ""


def ports(server: UpstreamServer) -> dict[int, bool]:
    """The ports of the endpoints of a server, and which of them drain."""
    assert server.endpoints is not None
    return {each.where.port: each.where.is_draining for each in server.endpoints if each.where is not None}


async def who(caller: McpCaller) -> str:
    reply = await caller.post(CALL)
    return str(reply.result["content"][0]["text"])


async def test_calls_reach_every_pod_and_follow_a_rollout_with_nothing_but_the_gateway_running(
    control_plane: ControlPlane, namespace: str, pods: PodProcesses, gateway: RunningGateway
) -> None:
    grant(control_plane, namespace)
    await asyncio.gather(*(pods.start(name, node=node) for name, node in (("crm-1", "node-a"), ("crm-2", "node-b"))))
    server = await serve(gateway, namespace)
    await eventually(lambda: len(ports(server)) == 2)
    assert state(server) == ("EndpointSlices", "")
    async with mcp_caller(gateway.url()) as caller:
        assert {await who(caller) for _ in range(40)} == {"crm-1", "crm-2"}

        await pods.start("crm-3")
        await eventually(lambda: pods.running["crm-3"].port in ports(server))
        old = pods.running["crm-1"].port
        stopping = asyncio.create_task(pods.stop("crm-1", delay=3.0))
        await eventually(lambda: ports(server).get(old) is True)
        assert {await who(caller) for _ in range(40)} == {"crm-2", "crm-3"}, "a Pod that ends gets no new calls"
        await stopping
        await eventually(lambda: old not in ports(server))
        assert {await who(caller) for _ in range(40)} == {"crm-2", "crm-3"}


async def test_a_pod_that_is_not_ready_gets_no_calls_and_a_service_without_ready_pods_fails_at_once(
    control_plane: ControlPlane, namespace: str, pods: PodProcesses, gateway: RunningGateway
) -> None:
    server = await serve_one_pod(control_plane, pods, gateway)
    await pods.set_ready("crm-1", is_ready=False)
    await eventually(lambda: ports(server) == {})
    async with mcp_caller(gateway.url()) as caller:
        reply = await caller.post(CALL)
        assert reply.error["data"]["reason"] == "UpstreamUnreachable"
        await pods.set_ready("crm-1", is_ready=True)
        await eventually(lambda: len(ports(server)) == 1)
        assert await who(caller) == "crm-1"


async def test_without_the_right_the_service_is_called_by_its_name_and_the_report_names_the_remedy(
    control_plane: ControlPlane, namespace: str, pods: PodProcesses, gateway: RunningGateway
) -> None:
    await pods.start("crm-1")
    server = await serve(gateway, namespace)
    await eventually(lambda: state(server) == ("Service", "NotPermitted"))
    assert server.endpoints is not None
    assert [each.where for each in server.endpoints] == [None]
    assert server.endpoints.problem is not None
    assert f"in namespace {namespace}" in server.endpoints.problem[1]

    grant(control_plane, namespace)
    await eventually(lambda: state(server) == ("EndpointSlices", ""))
    control_plane.kubectl("delete", "rolebinding", ACCOUNT, "-n", namespace)
    control_plane.kubectl("delete", "role", ACCOUNT, "-n", namespace)
    # A watch in progress goes on until the API server ends it; what it says is still true.
    assert len(ports(server)) == 1


async def test_a_service_that_is_made_again_is_followed(
    control_plane: ControlPlane, namespace: str, pods: PodProcesses, gateway: RunningGateway
) -> None:
    server = await serve_one_pod(control_plane, pods, gateway)
    control_plane.kubectl("delete", "service", "crm", "-n", namespace)
    await eventually(lambda: ports(server) == {})
    await pods.make_service()
    await eventually(lambda: len(ports(server)) == 1)


async def test_a_slice_that_a_user_writes_leads_calls_nowhere_unless_the_config_says_so(
    control_plane: ControlPlane, namespace: str, pods: PodProcesses, gateway: RunningGateway
) -> None:
    await serve_one_pod(control_plane, pods, gateway)
    own = pods.running["crm-1"].port
    by_hand = written_by_hand(namespace, pods.address)
    path = f"/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices"
    control_plane.api.request("POST", path, by_hand)

    trusting = await serve(gateway, namespace, managed=False)
    await eventually(lambda: ports(trusting).keys() == {own, 9})
    strict = await serve(gateway, namespace)
    assert ports(strict) == {own: False}


def written_by_hand(namespace: str, address: str) -> dict[str, Any]:
    made = endpoint_slice(
        "crm-by-hand",
        [endpoint(address, namespace=namespace, ready=True)],
        ports={PORT_NAME: 9},
        managed_by="me",
        namespace=namespace,
    )
    del made["metadata"]["resourceVersion"]
    return {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", **made}


async def test_a_gateway_prefers_the_endpoints_that_are_meant_for_its_zone(
    control_plane: ControlPlane, namespace: str, token: Path, pods: PodProcesses, monkeypatch: pytest.MonkeyPatch
) -> None:
    grant(control_plane, namespace)
    control_plane.kubectl(
        "patch",
        "service",
        "crm",
        "-n",
        namespace,
        "--type=merge",
        "-p",
        '{"spec":{"trafficDistribution":"PreferClose"}}',
    )
    async with AsyncExitStack() as stack:
        # Our own Service, with a Pod that stands for the gateway.
        own = await stack.enter_async_context(pod_processes(control_plane, namespace, service="gateway"))
        await own.make_service()
        control_plane.kubectl("label", "service", "gateway", "-n", namespace, "ostiary.dev/gateway=default")
        await own.start("gateway-0", node="node-b")
        monkeypatch.setenv("POD_NAME", "gateway-0")
        for name, node in (("crm-1", "node-a"), ("crm-2", "node-b")):
            await pods.start(name, node=node)

        options = KubernetesOptions(control_plane.url, token, control_plane.ca_file)
        gateway = await stack.enter_async_context(running_gateway(gateway=f"{namespace}/default", kubernetes=options))
        caller = await stack.enter_async_context(mcp_caller(gateway.url()))
        server = await serve(gateway, namespace)
        await eventually(lambda: near(server) == [pods.running["crm-2"].port])
        assert {await who(caller) for _ in range(30)} == {"crm-2"}
        await pods.set_ready("crm-2", is_ready=False)
        await eventually(lambda: ports(server).keys() == {pods.running["crm-1"].port})
        assert await who(caller) == "crm-1", "with no endpoint left in its zone every other one is used"


def near(server: UpstreamServer) -> list[int]:
    assert server.endpoints is not None
    return [each.where.port for each in server.endpoints if each.where is not None and each.where.is_near]


async def test_while_the_api_server_is_away_the_last_endpoints_stay_and_one_that_dies_costs_no_call(
    control_plane: ControlPlane, namespace: str, pods: PodProcesses, token: Path, tmp_path: Path
) -> None:
    grant(control_plane, namespace)
    await asyncio.gather(*(pods.start(name) for name in ("crm-1", "crm-2", "crm-3")))
    async with AsyncExitStack() as stack:
        api = await stack.enter_async_context(kube_api_proxy(control_plane, tmp_path))
        options = KubernetesOptions(api.url, token, tmp_path / "ca.crt")
        gateway = await stack.enter_async_context(running_gateway(gateway="ostiary/default", kubernetes=options))
        server = await serve(gateway, namespace)
        await eventually(lambda: len(ports(server)) == 3)
        caller = await stack.enter_async_context(mcp_caller(gateway.url()))

        is_away = asyncio.Event()
        api.refuse(lambda _: is_away.is_set(), status=503, times=1_000_000)
        is_away.set()
        api.expire_watches()
        await eventually(lambda: state(server) == ("EndpointSlices", "ApiUnavailable"))
        await pods.kill("crm-1")
        assert {await who(caller) for _ in range(40)} == {"crm-2", "crm-3"}
        assert len(ports(server)) == 3, "nothing else is known"
        await pods.start("crm-4")
        await pods.stop("crm-2")
        assert {await who(caller) for _ in range(40)} == {"crm-3"}

        is_away.clear()
        await eventually(lambda: state(server) == ("EndpointSlices", ""))
        assert {await who(caller) for _ in range(40)} == {"crm-3", "crm-4"}
