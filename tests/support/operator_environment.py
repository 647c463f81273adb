"""The operator in the test's own event loop, against a real API server, and helpers to change objects there."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from operator_objects import condition, policy, proxy, service
from timeouts import TIMEOUT_SECONDS

from ostiary_core.contract.bundle import OpenedBundle, open_files
from ostiary_core.errors import ContractError
from ostiary_operator.controller.app import run_operator
from ostiary_operator.delivery import reader, secret
from ostiary_operator.kube.kinds import CONFIG_MAP, POLICY, PROXY, SECRET, SERVICE, Kind
from ostiary_operator.kube.options import OperatorOptions
from ostiary_tools.cluster.api import ApiError, KubeApi

CRDS = Path(__file__).parents[2] / "crds"


@dataclass
class OperatorEnvironment:
    """One operator's namespace with a gateway in it, and one of a team, on a real API server."""

    api: KubeApi
    kubeconfig: Path
    system: str
    team: str
    replicas: tuple[str, ...] | None = ()
    """Base URLs of the gateway's replicas; None takes its EndpointSlices."""
    wide: bool = False
    """Watch the whole cluster."""

    @property
    def gateway(self) -> str:
        """The gateway's identity."""
        return f"{self.system}/default"

    @property
    def operator_name(self) -> str:
        """What the chart calls the operator of a release of its namespace's name, its service account and its Lease."""
        return f"{self.system}-ostiary-operator"

    def options(self, **changes: Any) -> OperatorOptions:
        """How the operator of this world is started."""
        given: dict[str, Any] = {
            "operator_namespace": self.system,
            "watch_namespaces": () if self.wide else (self.team,),
            "kubeconfig": str(self.kubeconfig),
            "gateway_replicas": {} if self.replicas is None else {self.gateway: self.replicas},
            "admin_host": "127.0.0.1",
            "admin_port": 0,
            "startup_timeout": 30.0,
            "name": self.operator_name,
        }
        return OperatorOptions(**(given | changes))

    def has_gateway(self) -> dict[str, Any]:
        """Create the gateway's Service."""
        return self.create(SERVICE, service(namespace=self.system))

    def has_proxy(self, name: str, **spec: Any) -> dict[str, Any]:
        """Create an MCPProxy of the team."""
        return self.create(PROXY, proxy(name, namespace=self.team, **spec))

    def has_policy(self, name: str, *targets: str, **spec: Any) -> dict[str, Any]:
        """Create an MCPPolicy of the team."""
        return self.create(POLICY, policy(name, *targets, namespace=self.team, **spec))

    def create(self, kind: Kind, body: Mapping[str, Any]) -> dict[str, Any]:
        """Create an object in the namespace that it names."""
        whole = {"apiVersion": kind.api_version, "kind": kind.name, **body}
        made: dict[str, Any] = self.api.request("POST", kind.path(namespace=body["metadata"]["namespace"]), whole)
        return made

    def patch(self, kind: Kind, name: str, body: Mapping[str, Any], *, status: bool = False) -> dict[str, Any]:
        """Merge a patch into an object."""
        path = kind.path(namespace=self.place(kind), name=name, subresource="status" if status else None)
        patched: dict[str, Any] = self.api.request("PATCH", path, body)
        return patched

    def delete(self, kind: Kind, name: str) -> None:
        """Delete an object."""
        self.api.request("DELETE", kind.path(namespace=self.place(kind), name=name))

    def get(self, kind: Kind, name: str) -> dict[str, Any] | None:
        """Read an object; None where it is not."""
        try:
            found: dict[str, Any] = self.api.request("GET", kind.path(namespace=self.place(kind), name=name))
        except ApiError as error:
            if error.status == 404:
                return None
            raise
        return found

    def place(self, kind: Kind) -> str:
        """The namespace in which objects of a kind are looked for."""
        return self.team if kind in {PROXY, POLICY} else self.system

    def versions(self) -> dict[str, str]:
        """The resourceVersion of all that the operator writes."""
        named = [(CONFIG_MAP, "ostiary-default-0"), (SECRET, "ostiary-default")]
        for kind in (PROXY, POLICY):
            items = self.api.request("GET", kind.path(namespace=self.team))["items"]
            named += [(kind, item["metadata"]["name"]) for item in items]
        found = {f"{kind.name} {name}": self.get(kind, name) for kind, name in named}
        return {name: obj["metadata"]["resourceVersion"] for name, obj in found.items() if obj is not None}

    def delivered(self) -> OpenedBundle | None:
        """What the gateway would accept now; None where it would accept nothing."""
        obj = self.get(CONFIG_MAP, "ostiary-default-0")
        keys = secret.parse_secret(self.get(SECRET, "ostiary-default")).mac_keys()
        try:
            return open_files(reader.files_of(obj), keys, gateway=self.gateway)
        except ContractError:
            return None

    def served(self) -> set[str] | None:
        """The names of the proxies in the config; None where there is no good one."""
        bundle = self.delivered()
        return {each.proxy.partition("/")[2] for each in bundle.manifest.entries} if bundle is not None else None

    def events(self, reason: str) -> list[str]:
        """The notes of the Events in the operator's namespace that give a reason."""
        listed = self.api.request("GET", f"/apis/events.k8s.io/v1/namespaces/{self.system}/events")["items"]
        return [each.get("note", "") for each in listed if each.get("reason") == reason]

    def condition(self, kind: Kind, name: str, of_type: str) -> tuple[str, str]:
        """Status and reason of a condition."""
        return condition(self.get(kind, name), of_type)


@asynccontextmanager
async def running_operator(options: OperatorOptions) -> AsyncIterator[asyncio.Event]:
    """Run the operator; an error of its own fails the test."""
    stop = asyncio.Event()
    task = asyncio.create_task(run_operator(options, stop))
    try:
        yield stop
    finally:
        stop.set()
        async with asyncio.timeout(TIMEOUT_SECONDS):
            await task


async def eventually(holds: Callable[[], Any], *, seconds: float = 20.0, what: str = "the condition") -> Any:
    """Wait until something that asks the API server is true; its waiting leaves the loop to the operator."""
    async with asyncio.timeout(seconds):
        while True:
            found = await asyncio.to_thread(holds)
            if found:
                return found
            await asyncio.sleep(0.02)
    raise AssertionError(what)
