"""Pods that are processes of this machine, for a control plane without nodes: a kubelet in a few lines.

Kubernetes' own controller makes the EndpointSlices of their Service, which refuse loopback: so the processes listen on
another address of this machine, each on a port of its own.

async with pod_processes(control_plane, "team") as pods: await pods.start("crm-1"); await pods.stop("crm-1")
"""

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from timeouts import TIMEOUT_SECONDS

from ostiary_tools.cluster.api import ApiError, KubeApi
from ostiary_tools.cluster.control_plane import ControlPlane

_PROGRAM: Final = Path(__file__).with_name("replica_process.py")
#: The name of the port of every Pod, and of its Service.
PORT_NAME: Final = "mcp"
#: As uvicorn has it, unless it is told.
KEEP_ALIVE_SECONDS: Final = 5
_CONDITIONS: Final = ("Ready", "ContainersReady", "Initialized", "PodScheduled")


def machine_address() -> str:
    """An address of this machine that is not a loopback one; nothing is sent to find it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))
        address: str = probe.getsockname()[0]
    assert not address.startswith("127."), "this test needs an address that is not loopback: connect to a network"
    return address


def free_port(address: str) -> int:
    """A port of an address that nothing listens on."""
    with socket.socket() as probe:
        probe.bind((address, 0))
        return int(probe.getsockname()[1])


@dataclass(slots=True)
class RunningPod:
    """A Pod, and its process."""

    name: str
    port: int
    process: asyncio.subprocess.Process


@dataclass
class PodProcesses:
    """The Pods of one namespace, all with the label ``app: NAME`` of their Service."""

    api: KubeApi
    namespace: str
    service: str
    address: str
    keep_alive: int = KEEP_ALIVE_SECONDS
    """Seconds that a Pod keeps an idle connection."""
    running: dict[str, RunningPod] = field(default_factory=dict)

    @property
    def _pods(self) -> str:
        return f"/api/v1/namespaces/{self.namespace}/pods"

    async def _request(self, method: str, path: str, body: object = None) -> Any:
        return await asyncio.to_thread(self.api.request, method, path, body)

    async def make_service(self, **more: Any) -> None:
        """Create the Service."""
        ports = [{"name": PORT_NAME, "port": 80, "targetPort": PORT_NAME}]
        spec = {"selector": {"app": self.service}, "ports": ports, **more}
        path = f"/api/v1/namespaces/{self.namespace}/services"
        await self._request("POST", path, {"metadata": {"name": self.service}, "spec": spec})

    async def make_node(self, name: str, *, zone: str) -> None:
        """Create a node in a zone, unless it is there: the controller takes the zones of endpoints from it."""
        tags = {"topology.kubernetes.io/zone": zone, "kubernetes.io/hostname": name}
        with contextlib.suppress(ApiError):
            await self._request("POST", "/api/v1/nodes", {"metadata": {"name": name, "labels": tags}})

    async def start(self, name: str, *, node: str = "node-a") -> None:
        """Create a Pod on a node, start its process, and call it ready."""
        port = free_port(self.address)
        container = {
            "name": "server",
            "image": "server.invalid/mcp",
            "ports": [{"name": PORT_NAME, "containerPort": port}],
        }
        spec = {"nodeName": node, "containers": [container], "terminationGracePeriodSeconds": 60}
        metadata = {"name": name, "labels": {"app": self.service}}
        await self._request("POST", self._pods, {"metadata": metadata, "spec": spec})
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            _PROGRAM,
            name,
            self.address,
            str(port),
            str(self.keep_alive),
            stdout=asyncio.subprocess.PIPE,
        )
        self.running[name] = RunningPod(name, port, process)
        assert process.stdout is not None
        assert await asyncio.wait_for(process.stdout.readline(), TIMEOUT_SECONDS), "the replica did not start"
        await self.set_ready(name, is_ready=True)

    async def set_ready(self, name: str, *, is_ready: bool) -> None:
        """Report the state of a Pod, as its kubelet would."""
        conditions = [{"type": each, "status": "True" if is_ready else "False"} for each in _CONDITIONS]
        ips = {"podIP": self.address, "podIPs": [{"ip": self.address}]}
        status = {"phase": "Running", "conditions": conditions, **ips}
        await self._request("PATCH", f"{self._pods}/{name}/status", {"status": status})

    async def stop(self, name: str, *, delay: float = 0.0) -> None:
        """Delete a Pod: after its preStop hook of ``delay`` seconds SIGTERM, and it is gone once its process is."""
        await self._request("DELETE", f"{self._pods}/{name}?gracePeriodSeconds=60")
        await asyncio.sleep(delay)
        pod = self.running[name]
        pod.process.terminate()
        await asyncio.wait_for(pod.process.wait(), TIMEOUT_SECONDS)
        await self._forget(name)

    def signal(self, number: int, *names: str) -> None:
        """Send a signal to the processes of Pods."""
        for name in names:
            os.kill(self.running[name].process.pid, number)

    async def kill(self, *names: str) -> None:
        """Kill the processes of Pods at once; Kubernetes does not hear of it."""
        self.signal(signal.SIGKILL, *names)
        for name in names:
            await self.running[name].process.wait()

    async def _forget(self, name: str) -> None:
        with contextlib.suppress(ApiError):
            await self._request("DELETE", f"{self._pods}/{name}?gracePeriodSeconds=0")
        del self.running[name]

    async def close(self) -> None:
        """End every process."""
        for pod in list(self.running.values()):
            if pod.process.returncode is None:
                pod.process.kill()
            await pod.process.wait()
            await self._forget(pod.name)

    async def endpoints(self) -> dict[str, list[dict[str, Any]]]:
        """What the slices of the Service say, by the names of its Pods."""
        selector = f"labelSelector=kubernetes.io/service-name={self.service}"
        path = f"/apis/discovery.k8s.io/v1/namespaces/{self.namespace}/endpointslices?{selector}"
        found: dict[str, list[dict[str, Any]]] = {}
        for each in (await self._request("GET", path))["items"]:
            for endpoint in each.get("endpoints") or ():
                found.setdefault(endpoint["targetRef"]["name"], []).append(endpoint)
        return found


@asynccontextmanager
async def pod_processes(
    control_plane: ControlPlane, namespace: str, *, service: str = "crm", keep_alive: int = KEEP_ALIVE_SECONDS
) -> AsyncIterator[PodProcesses]:
    """The Pods of a Service of a namespace, none yet, and two nodes in two zones."""
    pods = PodProcesses(control_plane.api, namespace, service, machine_address(), keep_alive)
    await pods.make_node("node-a", zone="a")
    await pods.make_node("node-b", zone="b")
    try:
        yield pods
    finally:
        await pods.close()
