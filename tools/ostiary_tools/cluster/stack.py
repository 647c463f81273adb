"""Ostiary on a control plane without nodes.

The installed chart, and its processes on this machine with its rights.

with LocalCluster(directory) as cluster:
    cluster.apply(Path("examples/quickstart"))
    cluster.wait_until_ready()
    cluster.endpoint(replica=1)
"""

import base64
import json
import os
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import yaml

from ostiary_tools.cluster import crd_installer, port_assignment, workloads
from ostiary_tools.cluster.control_plane import ControlPlane
from ostiary_tools.cluster.port_assignment import Ports
from ostiary_tools.cluster.workloads import NAMESPACE, answers
from ostiary_tools.common.errors import ToolError
from ostiary_tools.common.ports import LOOPBACK
from ostiary_tools.common.processes import Process, ProcessDiedError, wait_until
from ostiary_tools.toolchain import binaries

ROOT = Path(__file__).parents[3]
CHART = ROOT / "helm" / "ostiary"
EXAMPLE = ROOT / "examples" / "quickstart"
EXAMPLE_PROXY = "mock-mcp-server"

_RELEASE = ("ostiary", str(CHART), "--namespace", NAMESPACE)
_EXAMPLES_MOCK = "http://localhost:7878/"
_START_TIMEOUT = 90.0  # seconds; it takes two on two idle cores, which a machine seldom has
_RESOURCES = "/apis/ostiary.dev/v1alpha1"
_RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}


class LocalCluster:
    """Control plane, operator, gateway replicas and mock MCP server, all on 127.0.0.1.

    Every method may be called from any thread, also with `asyncio.to_thread`.

    Attributes:
        control_plane: the API server; `control_plane.api` is a client, `control_plane.kubeconfig` a file.
        ports: of all processes.
        processes: those that were started and not stopped, by name: operator, gateway-0, gateway-1, …, mock-server.
    """

    def __init__(
        self,
        directory: Path,
        *,
        ports: Ports | None = None,
        values: Mapping[str, Any] | None = None,
        env: Mapping[str, Mapping[str, str]] | None = None,
    ) -> None:
        """Prepare; nothing runs yet.

        Args:
            directory: for state, keys and logs; files of an earlier cluster are removed.
            ports: by default free ones, for two replicas.
            values: of the chart; they override those of a local cluster (externalURL, and the grant of loopback). The
                operator gets their `watchNamespaces`. Namespaces that they name are created.
            env: further variables for `operator`, `gateway` (all replicas), `gateway-0`, …, `mock-server`.
        """
        self.control_plane = ControlPlane(directory)
        self.ports = ports or port_assignment.free()
        self.processes: dict[str, Process] = {}
        self._values = dict(values or {})
        self._env = env or {}
        self._stopped = False
        # A child dies with the thread that started it, so one thread starts them all.
        self._spawner = ThreadPoolExecutor(1, thread_name_prefix="spawner")

    # Addresses.

    def endpoint(self, replica: int = 0, *, path: str = f"/{EXAMPLE_PROXY}") -> str:
        """Return the URL for MCP clients of the proxy with this path, at one replica."""
        return f"http://{LOOPBACK}:{self.ports.data[replica]}{path}/mcp"

    @property
    def gateway_admin_urls(self) -> tuple[str, ...]:
        """The base URL of each replica's admin port."""
        return tuple(f"http://{LOOPBACK}:{port}" for port in self.ports.admin)

    @property
    def operator_admin_url(self) -> str:
        """The base URL of the operator's `/healthz`, `/readyz` and `/metrics`."""
        return f"http://{LOOPBACK}:{self.ports.operator}"

    @property
    def mock_url(self) -> str:
        """The URL of the mock MCP server, for an MCPProxy."""
        return f"http://localhost:{self.ports.mock}/mcp"

    @property
    def replicas(self) -> range:
        """The numbers of the gateway replicas."""
        return range(len(self.ports.data))

    def admin_token(self) -> str:
        """Return the bearer token for the replicas' `/config`.

        Raises:
            ApiError: the operator has not written it yet.
        """
        secret = self.control_plane.api.request("GET", f"/api/v1/namespaces/{NAMESPACE}/secrets/ostiary-default")
        return base64.b64decode(secret["data"]["admin-token"]).decode()

    def log(self, name: str) -> Path:
        """Return the log file of a process; it is kept after its end."""
        return self.control_plane.directory / "logs" / f"{name}.log"

    # Start and stop.

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start everything, and wait until every process is ready.

        Raises:
            ToolError: a process did not start; the message has the end of its log.
        """
        binaries.ensure()  # not in the spawner's thread: it may take minutes, and Ctrl-C must end it
        try:
            self._spawner.submit(self.control_plane.start).result()
            self._install()
            for start in (self.start_mock_server, self.start_operator, *self._gateway_starts()):
                start(wait=False)
            for name, url in self._readiness().items():
                self._wait(name, url)
        except BaseException:
            self.stop()
            raise

    def _gateway_starts(self) -> Iterable[Callable[..., None]]:
        return (partial(self.start_gateway, number) for number in self.replicas)

    def _readiness(self) -> dict[str, str]:
        gateways = {f"gateway-{number}": f"{url}/readyz" for number, url in enumerate(self.gateway_admin_urls)}
        mock = self.mock_url.removesuffix("/mcp")
        return {"mock-server": f"{mock}/healthz", "operator": f"{self.operator_admin_url}/readyz", **gateways}

    def stop(self) -> None:
        """Stop everything: our processes in parallel with SIGTERM, then the control plane."""
        if self._stopped:
            return
        self._stopped = True
        self._spawner.submit(lambda: None).result()  # wait for a start in progress, so that the process can be stopped
        names = list(self.processes)
        with ThreadPoolExecutor(max(len(names), 1)) as pool:
            list(pool.map(self._stop, names))
        self.control_plane.stop()
        self._spawner.shutdown()

    def start_operator(self, *, wait: bool = True) -> None:
        """Start the operator, and wait until it has listed everything."""
        watched, keyed = (self._values.get(name, ()) for name in ("watchNamespaces", "secretNamespaces"))
        command = workloads.operator(self.control_plane, self.ports, watched, keyed)
        self._start("operator", command, wait=wait)

    def stop_operator(self) -> int:
        """Stop the operator with SIGTERM; return its exit code."""
        return self._stop("operator")

    def start_mock_server(self, *, wait: bool = True) -> None:
        """Start the mock MCP server."""
        self._start("mock-server", workloads.mock_server(self.ports), wait=wait)

    def stop_mock_server(self) -> int:
        """Stop the mock MCP server with SIGTERM; return its exit code."""
        return self._stop("mock-server")

    def start_gateway(self, number: int, *, wait: bool = True) -> None:
        """Start a replica, and wait until it has a config."""
        command = workloads.gateway(self.control_plane, self.ports, number)
        self._start(f"gateway-{number}", command, wait=wait)

    def stop_gateway(self, number: int) -> int:
        """Stop a replica with SIGTERM, so that it drains; return its exit code."""
        return self._stop(f"gateway-{number}")

    def kill_gateway(self, number: int) -> int:
        """Kill a replica with SIGKILL; return its exit code."""
        return self.processes.pop(f"gateway-{number}").kill()

    def restart_gateway(self, number: int) -> None:
        """Stop a replica in order, and start it again."""
        self.stop_gateway(number)
        self.start_gateway(number)

    def _start(self, name: str, command: workloads.Command, *, wait: bool) -> None:
        kind = "gateway" if name.startswith("gateway-") else name
        further = {**self._env.get(kind, {}), **self._env.get(name, {})}
        environment = workloads.environment(os.environ, further)
        starting = self._spawner.submit(Process, name, command, log=self.log(name), env=environment)
        self.processes[name] = starting.result()
        if wait:
            self._wait(name, self._readiness()[name])

    def _wait(self, name: str, url: str) -> None:
        process = self.processes[name]
        wait_until(partial(answers, url), what=f"{name} to be ready", timeout=_START_TIMEOUT, processes=[process])

    def _stop(self, name: str) -> int:
        return self.processes.pop(name).stop()

    # Use.

    def kubectl(self, *arguments: str, input: str | None = None) -> str:  # noqa: A002  subprocess's word
        """Run kubectl as the administrator and return its stdout; raises CommandError."""
        return self.control_plane.kubectl(*arguments, input=input)

    def apply(self, path: Path) -> None:
        """Apply a YAML file or those of a folder.

        The mock server's default port is replaced by the actual one.

        Raises:
            CommandError: the API server refuses something.
        """
        files = [path] if path.is_file() else sorted(path.glob("*.yaml"))
        mock = self.mock_url.removesuffix("mcp")
        text = "\n---\n".join(file.read_text() for file in files).replace(_EXAMPLES_MOCK, mock)
        self.kubectl("apply", "-f", "-", input=text)

    def proxy(self, name: str = EXAMPLE_PROXY, *, namespace: str = "default") -> dict[str, Any]:
        """Return an MCPProxy from the API server; raises ApiError."""
        found: dict[str, Any] = self.control_plane.api.request(
            "GET", f"{_RESOURCES}/namespaces/{namespace}/mcpproxies/{name}"
        )
        return found

    def wait_until_ready(
        self, name: str = EXAMPLE_PROXY, *, namespace: str = "default", timeout: float = _START_TIMEOUT
    ) -> None:
        """Wait until the newest generation of an MCPProxy is in force at every replica.

        Raises:
            ToolError: it is not after `timeout` seconds; the message has its status.
        """
        try:
            wait_until(
                lambda: is_ready(self.proxy(name, namespace=namespace)),
                what=f"MCPProxy {namespace}/{name} to be ready",
                timeout=timeout,
                processes=list(self.processes.values()),
            )
        except ProcessDiedError:
            raise
        except ToolError as error:
            status = self.proxy(name, namespace=namespace).get("status", {})
            raise ToolError(f"{error}; its status is {json.dumps(status)}") from None

    def configure(self, values: Mapping[str, Any]) -> None:
        """Upgrade the release with other values (see `__init__`); no process is restarted."""
        self._values = dict(values)
        self._helm("upgrade")

    def _install(self) -> None:
        self._make_namespace(NAMESPACE, labels=_RESTRICTED)
        for name in workloads.namespaces_to_create(self._values):
            self._make_namespace(name, labels={})
        self._helm("install")
        names = [definition["metadata"]["name"] for definition in crd_installer.read(ROOT / "crds")]
        api = self.control_plane.api
        wait_until(
            lambda: all(crd_installer.usable(name, api) for name in names), what="MCPProxy and MCPPolicy to be known"
        )

    def _make_namespace(self, name: str, *, labels: Mapping[str, str]) -> None:
        body = {"metadata": {"name": name, "labels": labels}}
        self.control_plane.api.request("POST", "/api/v1/namespaces", body)

    def _helm(self, verb: str) -> None:
        file = self.control_plane.directory / "values.yaml"
        file.write_text(yaml.safe_dump(workloads.chart_values(self.ports, self._values)))
        self.control_plane.helm(verb, *_RELEASE, "--values", str(file))


def is_ready(resource: Mapping[str, Any]) -> bool:
    """Return whether a resource's status reports its newest generation as ready."""
    conditions = resource.get("status", {}).get("conditions", ())
    generation = resource["metadata"]["generation"]
    ready = [c for c in conditions if c["type"] == "Ready" and c.get("observedGeneration") == generation]
    return any(condition["status"] == "True" for condition in ready)
